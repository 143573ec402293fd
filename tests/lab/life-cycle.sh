#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2016,SC2317 # orders to the machines are expanded there
# life-cycle.sh: what happens to a host, to a card's daemon and to the network in
# the middle of a deployment, over the wire. Two machines, one deployment; ends with
# a booted host and a comparison, and with "N passed, N failed".
#
# A boot that does not come to its end ends the test: nothing after it could tell.

# shellcheck source=tests/lab/lab.sh
. "$(dirname "$0")/lab.sh"
# shellcheck source=tests/guest/assert.sh
. "$SLUICE_TOP/tests/guest/assert.sh"
cd "$SLUICE_TOP"

brief=${1-}
limit=$SLUICE_BOOT_TIMEOUT
image=$(tests/image/build.sh)
kernel=$(tests/vm/kernel.sh plain)
make -s user guest-tools >&2
make -s module KERNEL="$kernel/build" KMOD_DIR=build/kmod-plain >&2
lab_up build/check/lab

card() { lab_nic_run "$@"; }
host() { lab_host_run "$@"; }
ctl() { card 30 "\"\$ctl\" $*"; }
status() { ctl status -o json | sed -n "s/.*\"$1\": *\"\{0,1\}\([^,\"}]*\).*/\1/p" | head -1; }

reached() {
	printf '%s: %s after %s ms\n' "$1" "$2" "$(lab_host_wait "$2" "$limit")"
}

booted() {
	reached "$1" login
	check "$1: the host is up and reads right" intact
	check "$1: while the copy is under way" [ "$(status state)" = "${2:-copying}" ]
}

# The known files, from the disk and not from what is cached of it.
intact() {
	host 180 'echo 3 >/proc/sys/vm/drop_caches; cd /srv/known && sha256sum --quiet -c SHA256SUMS'
}

# A tenth of it, of all sizes but the largest.
intact_some() {
	host 60 'echo 3 >/proc/sys/vm/drop_caches; cd /srv/known && grep -v file-[56] SHA256SUMS | sha256sum --quiet -c'
}

# The first block at that MiB of the disk, in so many seconds. Those in the middle of
# the root file system wait for the storage: the copy has not reached them.
read_block() { # MIB SECONDS
	host "$2" "dd if=/dev/nvme0n1 of=/dev/null bs=4k count=1 skip=$(($1 << 8)) iflag=direct status=none"
}

# It ends, and not well. A host that does not answer has not told.
read_fails() {
	[ "$(host 60 "dd if=/dev/nvme0n1 of=/dev/null bs=4k count=1 skip=$(($1 << 8)) iflag=direct status=none 2>/dev/null; echo \$?")" = 1 ]
}

daemon_killed_and_source_cut_during_boot() {
	lab_host_on ''
	reached "first boot" firmware
	card 30 'daemon_kill KILL; daemon_start'
	reached "first boot" grub
	card 30 'daemon_kill KILL; daemon_start'
	reached "first boot" kernel
	card 30 'storage_cut; sleep 3; storage_mend'
	booted "daemon killed twice and source cut for 3 s during boot"
}

stock_driver() {
	host 30 'dmesg' >"$lab_out/host/dmesg"
	grep 'nvme nvme0: pci function' "$lab_out/host/dmesg" &&
		! grep -E 'nvme.*(timeout|abort|I/O error|[Rr]esetting)' "$lab_out/host/dmesg" &&
		[ -z "$(host 30 'dmesg --level=emerg,alert,crit,err')" ]
}

# Before anything is done to it.
host_io() {
	check "the stock driver, and no error" stock_driver
	check "the deadline is that of PCIe" [ "$(status deadline_ms)" = 3500 ]
	check "one name for the disk, whatever the card goes through" \
		host 10 "ls /dev/disk/by-id/nvme-Sluice_$(serial)"
	check "fio verify in the host" host 300 'fio --name=v --filename=/root/fio --size=16m \
		--rw=randwrite --bsrange=512-64k --blockalign=512 --bs_unaligned=0 --direct=1 \
		--ioengine=libaio --iodepth=8 --verify=crc32c --verify_fatal=1 --do_verify=1 \
		--fsync=16 --end_fsync=1 --minimal >/tmp/fio.log || { tail -5 /tmp/fio.log; false; }'
	check "dd writes and reads the same" host 120 'head -c 16M /dev/urandom >/tmp/r &&
		dd if=/tmp/r of=/root/dd bs=64k oflag=direct conv=fsync status=none &&
		echo 3 >/proc/sys/vm/drop_caches && cmp /tmp/r /root/dd && rm /tmp/r'
}

# A restarted daemon that has to make one export again leaves the other alone.
other_export_restored() {
	local enabled
	card 10 'shared="/sys/kernel/config/nvmet/ports/*/subsystems/nqn.2026-01.org.sluice:*-????????????"'
	enabled=$(grep -c 'Enabling controller' "$lab_out/nic/console.log")
	check "one more export, and the daemon killed" card 30 '"$ctl" export disk loop >/dev/null && {
		daemon_kill KILL || true; rm $shared; }'
	card 30 daemon_start
	check "the export that was gone is there again" until_true 20 card 10 'ls -d $shared'
	check "and the host's disk was never pulled" intact_some
	check "nor reset" \
		[ "$(grep -c 'Enabling controller' "$lab_out/nic/console.log")" = "$enabled" ]
	card 30 '"$ctl" unexport disk loop >/dev/null'
}

serial() { status uuid | tr -d - | cut -c1-20; }

controller_resets() {
	check "controller disable and enable" host 60 \
		'nvme reset /dev/nvme0 && dd if=/dev/nvme0n1 of=/dev/null bs=1M count=8 iflag=direct status=none'
	check "controller reset: the host reads right" intact_some
	check "function level reset" host 60 \
		'cd /sys/class/nvme/nvme0/device && echo flr >reset_method && echo 1 >reset'
	check "function level reset: the host reads right" intact
}

# Longer than the deadline of a waiting request: the host is told, may try again, and
# nothing is stuck. Its file system may well give up; the disk does not.
source_gone() {
	local expired
	expired=$(status expired)
	# What the host runs from now on is in its memory.
	host 60 'dd if=/dev/zero of=/dev/null count=1 status=none; nvme version; dmesg | tail -n 1; sync' >/dev/null
	card 10 storage_cut
	check "a read of what is missing fails while the source is gone" read_fails 1500
	check "it ended by its deadline" [ "$(status expired)" -gt "$expired" ]
	check "what is local is served on" read_block 0 20
	host 10 'dd if=/dev/nvme0n1 of=/dev/null bs=4k count=1 skip=400000 iflag=direct >/dev/null 2>&1 &' >/dev/null
	check "with a request waiting, a controller reset works" host 60 'nvme reset /dev/nvme0'
	check "and what is local is served after it" read_block 0 20
	host 10 'dd if=/dev/nvme0n1 of=/dev/null bs=4k count=1 skip=410000 iflag=direct >/dev/null 2>&1 &' >/dev/null
	lab_host_reset
	card 10 'sleep 2; storage_mend'
	booted "reset button with the source gone"
	check "what was missing is read now" read_block 1500 60
}

host_reboots() {
	local boot
	boot=$(tail -n 1 "$lab_out/host/phases")
	host 5 'nohup sh -c "sleep 0.5; systemctl reboot" >/dev/null 2>&1 &' >/dev/null
	until_true 90 grep -q "^$((${boot%% *} + 1)) start" "$lab_out/host/phases" ||
		die "the host does not reboot"
	booted "the host reboots"
}

nonsense() {
	"$lab/nonsense.py" "$lab_tmp/host" && lab_wire_wait host absent 10
}

# The copy needs no host.
host_off() {
	lab_host_off
	check "a host that sends nonsense is dropped" nonsense
	ctl limit disk --max-rate 0
	check "the copy ends without a host" card 600 '"$ctl" wait disk --timeout 600 >/dev/null'
}

second_host() {
	lab_host_forget
	lab_host_on ''
	booted "a second host" complete
	host 5 'nohup sh -c "sleep 0.5; systemctl poweroff" >/dev/null 2>&1 &' >/dev/null
	lab_host_left 90
}

LAB_NIC_MIB=1536
lab_nic --env SLUICE_KO="$SLUICE_TOP/build/kmod-plain/sluice.ko" \
	--disk "$image,snapshot" --disk new:2304M tests/lab/card.sh
lab_nic_wait ready 120
card 60 'card_up 0.5ms 1gbit'
refused_by_card() { # PATTERN OPTION...
	local pattern=$1
	shift
	! card 60 "card_deploy $*" >"$lab_out/refused" 2>&1 && grep -E -- "$pattern" "$lab_out/refused" &&
		[ "$(card 10 'ls /sys/kernel/config/nvmet/subsystems /sys/kernel/config/pci_ep/functions/nvmet_pci_epf | grep -c "sluice[:-]"')" = 0 ]
}
check "a controller that is not there is refused, and nothing is left" \
	refused_by_card 'no PCI endpoint controller nowhere' --controller nowhere
check "before the disk is touched" card 60 'cmp -n $((64 << 20)) <(tail -c 64M /dev/vdb) /dev/zero'
check "more queues than vectors are refused, and nothing is left" \
	refused_by_card 'no 101 interrupt vectors' --queues 100
card 60 'card_deploy --max-rate 1M'
daemon_killed_and_source_cut_during_boot
host_io
other_export_restored
controller_resets
source_gone
[ "$brief" = brief ] || host_reboots
host_off
# It also leaves a file system in order, which the end wants.
second_host
check "the wire was never late with a reset" [ "$(lab_wire late_resets)" = 0 ]
differing=$(card 300 'card_down >/dev/null && card_compare')
check "0 differing blocks ($differing)" [ "$differing" = 0 ]
check "the local disk alone is in order" card 120 card_check
card 30 'nic_unload && nic_stop'
check "the card ends well" lab_nic_end
check "the card's kernel log" tests/vm/dmesg-scan.sh "$lab_out/nic/console.log"
finish
