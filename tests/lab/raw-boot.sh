#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# raw-boot.sh [STEP]...: the lab's own test, without Sluice. An unmodified Debian
# boots from a block device that nvmet_pci_epf exports, then the host does STEPs:
# controller_resets reboot_itself reset_button card_power_cut nonsense second_host;
# "all" of them by default. Prints when each boot reached what.

# shellcheck source=tests/lab/lab.sh
. "$(dirname "$0")/lab.sh"

limit=$SLUICE_BOOT_TIMEOUT
[ "${1:-all}" != all ] ||
	set -- controller_resets reboot_itself reset_button card_power_cut nonsense second_host
image=$("$SLUICE_TOP/tests/image/build.sh")
lab_up "$SLUICE_TOP/build/lab/raw-boot"

booted() {
	local phase
	for phase in firmware grub kernel login; do
		printf '%s: %s %s ms\n' "$1" "$phase" "$(lab_host_wait "$phase" "$limit")"
	done
}

# The known files, read from the disk and not from what is cached of it.
intact() {
	lab_host_run 120 'echo 3 >/proc/sys/vm/drop_caches; cd /srv/known && sha256sum --quiet -c SHA256SUMS' ||
		die "$1: the host read wrong bytes"
}

expect() { # KEY VALUE WHY
	[ "$(lab_wire "$1")" = "$2" ] || die "$3: the wire's $1 is $(lab_wire "$1")"
}

power_on() {
	lab_host_on ''
	booted "power-on"
	intact "power-on"
	lab_host_run 30 'dmesg' >"$lab_out/host/dmesg"
	grep 'nvme nvme0: pci function' "$lab_out/host/dmesg" || die "not the stock driver"
	lab_host_run 30 'dmesg --level=emerg,alert,crit,err' | tee "$lab_out/host/errors"
	[ ! -s "$lab_out/host/errors" ] || die "errors in the host's kernel log"
	expect bar_messages 0 "BAR 0 is not mapped"
	expect misplaced_maps 0 "the host's memory is not where the endpoint looks"
}

controller_resets() {
	lab_host_run 60 'nvme reset /dev/nvme0 && dd if=/dev/nvme0n1 of=/dev/null bs=1M count=8 iflag=direct' ||
		die "no I/O after a controller reset"
	intact "controller reset"
	lab_host_run 60 'cd /sys/class/nvme/nvme0/device && echo flr >reset_method && echo 1 >reset' ||
		die "no function level reset"
	intact "function level reset"
}

reboot_itself() {
	lab_host_run 5 'nohup sh -c "sleep 0.5; reboot -f" >/dev/null 2>&1 &'
	until_true 30 grep -q '^2 start' "$lab_out/host/phases" || die "the host does not reboot"
	booted "reboot"
	intact "reboot"
}

reset_button() {
	lab_host_reset
	booted "reset button"
	intact "reset button"
}

# To the host the card is pulled: it hangs, and is switched off, too.
card_power_cut() {
	lab_nic_kill
	lab_wire_wait endpoint absent 10
	lab_wire_wait host absent 10
	card
}

nonsense() {
	lab_host_off
	"$lab/nonsense.py" "$lab_tmp/host"
	lab_wire_wait host absent 10
}

second_host() {
	lab_host_off
	lab_host_on ''
	booted "second host"
	intact "second host"
}

card() {
	lab_nic --disk "$image,snapshot" "$lab/raw-guest.sh"
	lab_nic_wait exported 120
}

card
power_on
for step; do "$step"; done
expect late_resets 0 "the endpoint is late with resets"
lab_host_off
lab_nic_tell stop
lab_nic_end
