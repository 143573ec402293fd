#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2317,SC2119,SC2120 # functions are called by name
# In a guest: /dev/vda holds the Debian image in the forms of tests/image/forms.sh,
# /dev/vdb is a blank local disk. The whole image from each kind of server, to a host
# that writes, verifies and reads all the while.

# shellcheck source=tests/guest/lib.sh
. "${SLUICE_TOP:?}/tests/guest/lib.sh"
# shellcheck source=tests/guest/assert.sh
. "$SLUICE_TOP/tests/guest/assert.sh"
# shellcheck source=tests/guest/sources-lib.sh
. "$SLUICE_TOP/tests/guest/sources-lib.sh"

FORMS=/run/forms
IMAGE=$FORMS/debian.img
mkdir -p "$FORMS" "$WORK"
modprobe ext4
# LIO and nvmet open files to write, too.
mount -o noatime /dev/vda "$FORMS"
storage_up 0.5ms 10gbit
insmod "$SLUICE_KO"
daemon_start

# load_start NAME: writes in a part of the disk of its own are verified as they go,
# beside reads all over the disk. While a host waits for blocks the copy is slow.
load_start() {
	fio --filename="$HOST" --direct=1 --ioengine=libaio --randseed="$RANDOM" \
		--output="$OUT/fio-$1.log" \
		--name=verify --offset=640M --size=16M --rw=randwrite --bsrange=512-64k \
		--bs_unaligned=0 --blockalign=512 --iodepth=8 --verify=crc32c --verify_fatal=1 \
		--do_verify=1 --verify_backlog=64 --fsync=32 --end_fsync=1 &
	verifier=$!
	fio --filename="$HOST" --direct=1 --ioengine=libaio --randseed="$RANDOM" \
		--output="$OUT/fio-$1-reads.log" --name=reads --rw=randread --bs=4k --iodepth=4 \
		--rate_iops=100 --time_based --runtime=15 &
	reader=$!
}

# under_load NAME URI [HOLES]: HOLES of the image at least are not fetched, in MiB.
under_load() {
	local nqn verifier reader t

	# The floor: what this host does must not hold the copy up for long.
	deploy "$2" --size image --export loop --min-rate 1G
	nqn=$("$ctl" status d -o json | value nqn)
	host_connect "$nqn"
	written_start "$HOST"
	t=$SECONDS
	load_start "$1"
	check "$1: it completes" wait_complete 500
	say "$1: complete after $((SECONDS - t)) s"
	check "$1: what the host wrote verifies" wait "$verifier"
	check "$1: no read failed" wait "$reader"
	check "$1: no request of the host expired" [ "$(status expired)" = 0 ]
	check "$1: holes are not fetched" [ "$(status skipped_bytes)" -ge $((${3:-0} << 20)) ]
	written_stop "$OUT/written"
	check "$1: the host did write" [ -s "$OUT/written" ]
	nvme disconnect -n "$nqn" >/dev/null
	detach
	check "$1: every block that the host did not write is the image's" compare "$IMAGE" "$OUT/written"
	say "$1: $(cat "$OUT/compare.log")"
}

file() {
	soil
	under_load file "file:$IMAGE" 400
}

nbd_nbdkit() {
	nbdkit_up nbdkit 10809 file "$IMAGE"
	under_load nbdkit "nbd://$SRV" 400
	unserve nbdkit
}

nbd_qcow2() {
	serve qemu qemu-nbd -r -t -e 4 -f qcow2 -b "$SRV" -p 10810 -x image "$FORMS/debian.qcow2"
	listening 10810
	under_load qcow2 "nbd://$SRV:10810/image" 400
	unserve qemu
}

# Behind the second network card is tests/guest/serve-xz.sh.
nbd_http_xz() {
	modprobe virtio_net
	until_true 10 test -e /sys/class/net/eth0
	ip addr add 10.0.2.15/24 dev eth0
	ip link set eth0 up
	under_load xz nbd://10.0.2.100:10809
}

iscsi_tgt() {
	tgt_up "$IMAGE" thin_provisioning=1
	under_load tgt "iscsi://$SRV/$IQN/1" 400
	unserve tgtd
}

iscsi_lio() {
	lio_up fileio "fd_dev_name=$IMAGE,fd_dev_size=$(stat -c %s "$IMAGE")"
	under_load LIO "iscsi://$SRV:3261/$IQN/0"
	lio_down fileio
}

nvme_tcp() {
	local loop

	modprobe loop
	# Of a file nvmet makes a disk with the blocks of its file system, not the image's.
	loop=$(losetup --find --show --direct-io=on "$IMAGE")
	nvme_serve "$loop"
	under_load NVMe "$NVME"
	nvme_unserve
}

parts "${@:-file nbd_nbdkit nbd_qcow2 nbd_http_xz iscsi_tgt iscsi_lio nvme_tcp}"
for name in "${!pids[@]}"; do unserve "$name"; done
daemon_kill TERM || true
check "the module unloads" rmmod sluice
finish
