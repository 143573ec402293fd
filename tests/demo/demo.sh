#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# make demo: a bare machine boots Debian from a disk that its SmartNIC shows it,
# while the image is still on the network; then from the same disk, now local, with
# Sluice's daemon stopped and the network down. Sets up all it needs; leaves
# timeline.json, timeline.svg and the consoles in build/demo.
#
#	storage --1 Gbit/s, 1 ms-- SmartNIC machine --PCIe-- host machine
#	nvmet-tcp, the image       sluiced, sluice.ko,       OVMF, GRUB, Debian
#	                           a blank local disk

# shellcheck disable=SC2016 # orders to the machines are expanded there
# shellcheck source=tests/lab/lab.sh
. "$(dirname "$0")/../lab/lab.sh"
cd "$SLUICE_TOP"

limit=$SLUICE_BOOT_TIMEOUT
out=build/demo

tests/vm/deps.sh
image=$(tests/image/build.sh)
kernel=$(tests/vm/kernel.sh plain)
make -s -j"$(nproc)" user guest-tools >&2
make -s -j"$(nproc)" module KERNEL="$kernel/build" KMOD_DIR=build/kmod-plain >&2
rm -rf "$out"
lab_up "$out"

now_ms() { echo $((${EPOCHREALTIME/./} / 1000)); }
mib() { echo $(($1 >> 20)); }

# event TEXT...: a line of the story, instead of the progress line.
event() {
	[ ! -t 1 ] || printf '\r\033[K'
	printf '%8.1f s  %s\n' "$(((${EPOCHREALTIME/./} / 1000 - t0) / 100))e-1" "$*"
}

# The last line that the card has written down.
sample() { tail -n 1 "$lab_out/nic/progress" 2>/dev/null || true; }
column() { sample | cut -d' ' -f"$1"; }

phase() {
	tail -n 1 "$lab_out/host/phases" 2>/dev/null | cut -d' ' -f2
}

# What is going on, once a second: a line that is overwritten on a terminal, now
# and then a line elsewhere; each also to samples, for the picture.
progress() {
	local n=0 last='' local_bytes fetched demand received rate eta state text
	while sleep 1; do
		read -r local_bytes fetched demand received rate eta state < <(sample) || continue
		# The card's clock ticks slower when it is busy.
		if [ "$received $local_bytes" != "$last" ]; then
			echo "$(($(now_ms) - t0)) $local_bytes $fetched $demand $received"
			last="$received $local_bytes"
		fi >>"$lab_out/samples"
		text=$(printf 'card: %s, %3d %% local, %d MiB/s, ETA %s s | host: %s' "$state" \
			$((local_bytes * 100 / namespace_bytes)) "$(mib "$rate")" "$eta" "$(phase)")
		if [ -t 1 ]; then
			printf '\r\033[K%s' "$text"
		elif [ $((n++ % 10)) = 0 ]; then
			printf '            %s\n' "$text"
		fi
	done
}

firmware_ms='' grub_ms='' kernel_ms='' mounted_ms='' login_ms='' fetched_at_mount=''

# booted NAME: waits for every phase of the boot; sets firmware_ms and so on.
booted() {
	local p ms
	for p in firmware grub kernel mounted login; do
		ms=$(lab_host_wait "$p" "$limit")
		[ "$p" != mounted ] || [ -n "$fetched_at_mount" ] ||
			fetched_at_mount=$(lab_nic_run 10 '"$ctl" status -o json' |
				sed -n 's/.*"fetched_bytes":\([0-9]*\).*/\1/p')
		printf -v "${p}_ms" '%s' "$ms"
		event "$1: $p reached, $ms ms after power-on or reset"
	done
}

host_is_right() {
	lab_host_run 120 'cd /srv/known && sha256sum --quiet -c SHA256SUMS' ||
		die "the host read wrong bytes"
	lab_host_run 30 'dmesg --level=emerg,alert,crit,err' >"$lab_out/host/errors"
	[ ! -s "$lab_out/host/errors" ] ||
		die "errors in the host's kernel log: $(<"$lab_out/host/errors")"
}

image_bytes=$(stat -c %s "$image")
t0=$(now_ms)
echo "Image: $(mib "$image_bytes") MiB of Debian behind NVMe-TCP, 1 Gbit/s and 1 ms; local disk: blank."
LAB_NIC_MIB=1536
lab_nic --env SLUICE_KO="$SLUICE_TOP/build/kmod-plain/sluice.ko" \
	--disk "$image,snapshot" --disk new:2304M --disk "$image,snapshot" tests/lab/card.sh
lab_nic_wait ready 120
lab_nic_run 60 'card_up 0.5ms 1gbit' >"$lab_out/card-up.log"
t0=$(now_ms)
lab_nic_run 60 'card_deploy && card_watch_start && { card_first_read & }' >"$lab_out/deploy.log"
namespace_bytes=$(lab_nic_run 10 'blockdev --getsize64 /dev/sluice0')
event "the card has deployed the image and shows the host a disk"

lab_host_on ''
t0=$(tail -n 1 "$lab_out/host/starts" | cut -d' ' -f2)
progress &
progress_pid=$!
(until_true "$limit" lab_nic_said first-read && echo $(($(now_ms) - t0)) >"$lab_out/first-read") &
event "the host is powered on"
booted "the host"
at_login=$(lab_nic_run 10 '"$ctl" status -o json')
value() { sed -n "s/.*\"$1\": *\"\{0,1\}\([^,\"}]*\).*/\1/p" <<<"$at_login"; }
fetched_at_login=$(value fetched_bytes)
demand_at_login=$(value demand_bytes)
expired_at_login=$(value expired)
login_at=$login_ms firmware_at=$firmware_ms grub_at=$grub_ms kernel_at=$kernel_ms
mounted_at=$mounted_ms
event "a login prompt; $(mib "$fetched_at_login") MiB of the image were fetched, $(mib "$demand_at_login") MiB of them because the host asked"

host_is_right
lab_host_run 30 'dmesg' >"$lab_out/host/dmesg"
driver=$(grep -o 'nvme nvme0: pci function.*' "$lab_out/host/dmesg") || die "not the stock driver"
event "the host's log: \"$driver\", no error; its known files are right"
lab_host_run 60 'mkdir /srv/new && cd /srv/new && for i in $(seq 20); do
	head -c $((i * 10000)) /dev/urandom >$i; done && sha256sum -- * >/tmp/s && mv /tmp/s SHA256SUMS && sync' ||
	die "the host cannot write"
event "the host has written 20 files"

lab_nic_run 900 '"$ctl" wait disk --timeout 900 >/dev/null' || die "the copy does not end"
all_local_ms=$(($(now_ms) - t0))
kill "$progress_pid"
wait "$progress_pid" 2>/dev/null || true

fetched_total=$(lab_nic_run 10 '"$ctl" status -o json' | sed -n 's/.*"fetched_bytes":\([0-9]*\).*/\1/p')
read -r _ _ demand_total received_total _ < <(sample)
echo "$all_local_ms $namespace_bytes $fetched_total $demand_total $received_total" >>"$lab_out/samples"
event "every block is local; $(mib "$fetched_total") MiB came over the network"

before=$(lab_nic_run 10 'sleep 1; card_watch_stop; storage_received')
lab_host_run 120 'echo 3 >/proc/sys/vm/drop_caches; cd /srv/known && sha256sum --quiet -c SHA256SUMS' ||
	die "the host read wrong bytes"
after=$(lab_nic_run 10 'daemon_kill TERM && storage_received; storage_cut')
idle_network_bytes=$((after - before))
event "the host has read $(mib $((32 << 20))) MiB again; bytes from the network meanwhile: $idle_network_bytes"
event "the daemon is stopped and the network is down: the host reboots"

lab_host_run 5 'nohup sh -c "sleep 0.5; systemctl reboot" >/dev/null 2>&1 &' >/dev/null
until_true 90 grep -q '^2 start' "$lab_out/host/phases" || die "the host does not reboot"
booted "the host again"
reboot_login_ms=$login_ms
host_is_right
lab_host_run 60 'cd /srv/new && sha256sum --quiet -c SHA256SUMS' || die "the host's files are gone"
event "its own files are there"
lab_host_run 5 'nohup sh -c "sleep 0.5; systemctl poweroff" >/dev/null 2>&1 &' >/dev/null
lab_host_left 90

differing_blocks=$(lab_nic_run 300 'daemon_start && card_down >/dev/null && card_compare')
lab_nic_run 120 card_check || die "the local disk alone is not as it should be"
event "without Sluice: $differing_blocks blocks of the local disk differ where the host did not write; its file system is clean"

# The reboot was from a disk that is all local, over the same wire. Without Sluice in
# the kernel it takes as long: SLUICE_DEMO_RAW=1 shows it.
local_login_ms=$reboot_login_ms
if [ -n "${SLUICE_DEMO_RAW:-}" ]; then
	lab_nic_run 60 '"$SLUICE_TOP/tests/lab/export-raw.sh" start /dev/vdc' || die "no raw export"
	lab_host_forget
	lab_host_on ''
	booted "for comparison, from a local disk over the same wire"
	local_login_ms=$login_ms
	host_is_right
	lab_host_off
	lab_nic_run 60 '"$SLUICE_TOP/tests/lab/export-raw.sh" stop'
fi
lab_nic_run 60 nic_stop
lab_nic_end
tests/vm/dmesg-scan.sh "$lab_out/nic/console.log"

ratio=$((login_at * 100 / local_login_ms))
cat >"$out/timeline.json" <<JSON
{"image_bytes": $image_bytes, "first_read_ms": $(<"$lab_out/first-read"),
 "firmware_ms": $firmware_at, "grub_ms": $grub_at, "kernel_ms": $kernel_at,
 "mounted_ms": $mounted_at, "fetched_bytes_at_mount": $fetched_at_mount,
 "login_ms": $login_at,
 "fetched_bytes_at_login": $fetched_at_login, "demand_bytes_at_login": $demand_at_login,
 "expired_at_login": $expired_at_login, "all_local_ms": $all_local_ms,
 "fetched_bytes_total": $fetched_total, "network_bytes_after_all_local": $idle_network_bytes,
 "reboot_login_ms": $reboot_login_ms, "local_login_ms": $local_login_ms,
 "login_ratio": $((ratio / 100)).$(printf %02d $((ratio % 100))),
 "differing_blocks": ${differing_blocks:--1}}
JSON
tests/demo/timeline.sh "$out/timeline.json" "$lab_out/samples" "$namespace_bytes" >"$out/timeline.svg"

cat <<SUMMARY

  firmware, GRUB, kernel    $firmware_at, $grub_at, $kernel_at ms after power-on
  login prompt              $login_at ms, $(mib "$fetched_at_login") MiB fetched, $(mib "$demand_at_login") MiB on demand ($((demand_at_login * 100 / image_bytes)) %)
  the same, disk all local  $local_login_ms ms (ratio $((ratio / 100)).$(printf %02d $((ratio % 100))))
  all local                 $all_local_ms ms
  reboot without network    $reboot_login_ms ms
  differing blocks          $differing_blocks
  timeline                  $out/timeline.json, $out/timeline.svg
SUMMARY
[ "$differing_blocks" = 0 ] || die "the local disk differs from the image where the host did not write"
[ $((demand_at_login * 100)) -lt $((image_bytes * 15)) ] || die "15 % of the image or more was fetched on demand"
# What is left is the network's own: neighbours look each other up.
[ "$idle_network_bytes" -lt 4096 ] || die "the card read from the network although all was local"
