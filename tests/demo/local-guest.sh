#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The demonstration, inside the guest: /dev/vda holds the image (only the
# storage namespace uses it), /dev/vdb is a blank local disk.

# shellcheck source=tests/guest/lib.sh
. "$SLUICE_TOP/tests/guest/lib.sh"

image_bytes=$(blockdev --getsize64 /dev/vda)
mib() { echo "$(($1 >> 20)) MiB"; }
at() { printf '%7d ms  %s\n' $(($(now_ms) - t0)) "$*"; }

say "Image: $(mib "$image_bytes"), behind NVMe-TCP at 1 Gbit/s and 1 ms; local disk: blank."
storage_up 0.5ms 1gbit
storage_serve /dev/vda
insmod "$SLUICE_KO"
modprobe ext4
# shellcheck disable=SC2119
daemon_start

t0=$(now_ms)
"$BIN/sluicectl" deploy demo --source "nvme-tcp://10.77.0.1:4420/$IMAGE_NQN?nsid=1" \
	--local /dev/vdb --format --export loop >/dev/null
at "deployed and exported"
nqn=$("$BIN/sluicectl" status demo -o json | value nqn)

host_connect "$nqn"
written_start "$HOST"
dd if="$HOST" of=/dev/null bs=4k count=1 iflag=direct status=none
first_read_ms=$(($(now_ms) - t0))
at "the host's nvme driver has read from $HOST"
until_true 10 test -b "${HOST}p2" || true
mkdir -p /tmp/host
mount -t ext4 "${HOST}p2" /tmp/host
mounted_ms=$(($(now_ms) - t0))
fetched_at_mount=$(status fetched_bytes)
at "root file system mounted read-write; fetched $(mib "$fetched_at_mount") of $(mib "$image_bytes")"

(cd /tmp/host/srv/known && sha256sum --quiet -c SHA256SUMS)
files_ms=$(($(now_ms) - t0))
fetched_at_files=$(status fetched_bytes)
at "$(wc -l </tmp/host/srv/known/SHA256SUMS) known files read, checksums right; fetched $(mib "$fetched_at_files")"

mkdir /tmp/host/srv/new
for i in $(seq 20); do
	head -c $((i * 10000)) /dev/urandom >"/tmp/new.$i"
	dd if="/tmp/new.$i" of="/tmp/host/srv/new/$i" bs=64k conv=fsync status=none
done
(cd /tmp/host/srv/new && sha256sum -- * >/tmp/new.sums)
at "20 new files written with fsync"

last=
while [ "$(status state)" != complete ]; do
	case $(status state) in failed) die "the deployment failed: $(status error)" ;; esac
	percent=$(status percent)
	percent=${percent%%.*}
	if [ "${percent:-0}" -ge $((${last:--10} + 10)) ]; then
		at "$percent % local, $(($(status rate) >> 20)) MiB/s, ETA $(status eta_s) s"
		last=$((percent / 10 * 10))
	fi
	sleep 0.2
done
all_local_ms=$(($(now_ms) - t0))
fetched_total=$(status fetched_bytes)
at "every block is local"

umount /tmp/host
written_stop "$OUT/written"
nvme disconnect -n "$nqn" >/dev/null
"$BIN/sluicectl" detach demo >/dev/null
daemon_kill TERM
rmmod sluice
at "host unmounted, Sluice gone: what is left is the local disk"

compare=$("$BIN/tests/blockcmp" /dev/vda /dev/vdb "$OUT/written") || true
differing=$(sed -n 's/.*differing_blocks=\([0-9]*\).*/\1/p' <<<"$compare")
at "compared with the image: $compare"
blockdev --rereadpt /dev/vdb
until_true 10 test -b /dev/vdb2 || true
e2fsck -fn /dev/vdb2 >"$OUT/e2fsck.log" 2>&1 || die "e2fsck found errors, see e2fsck.log"
mount -t ext4 -o ro /dev/vdb2 /tmp/host
(cd /tmp/host/srv/new && sha256sum --quiet -c /tmp/new.sums)
(cd /tmp/host/srv/known && sha256sum --quiet -c SHA256SUMS)
umount /tmp/host
at "the local disk alone: file system clean, all files there"

cat >"$OUT/timeline.json" <<JSON
{"image_bytes": $image_bytes, "first_read_ms": $first_read_ms, "mounted_ms": $mounted_ms,
 "fetched_bytes_at_mount": $fetched_at_mount, "files_read_ms": $files_ms,
 "fetched_bytes_at_files": $fetched_at_files, "all_local_ms": $all_local_ms,
 "fetched_bytes_total": $fetched_total, "differing_blocks": ${differing:--1}}
JSON
say
say "  first read served    $first_read_ms ms"
say "  mounted              $mounted_ms ms, $(mib "$fetched_at_mount") fetched ($((fetched_at_mount * 100 / image_bytes)) %)"
say "  known files read     $files_ms ms, $(mib "$fetched_at_files") fetched ($((fetched_at_files * 100 / image_bytes)) %)"
say "  all local            $all_local_ms ms, $(mib "$fetched_total") fetched"
say "  differing blocks     $differing"
[ "$differing" = 0 ] || die "the local disk differs from the image where the host did not write"
[ $((fetched_at_files * 10)) -lt "$image_bytes" ] ||
	die "a tenth of the image or more was fetched before the host had read its files"
