# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# For scripts that run inside the SmartNIC machine. Sourced, never run.

# nic_controller: load the endpoint controller's driver and print its name.
nic_controller() {
	local module=$SLUICE_TOP/build/lab/kmod-$SLUICE_KERNEL/sluice-lab-epc.ko c
	[ -d /sys/module/sluice_lab_epc ] || insmod "$module"
	for c in /sys/class/pci_epc/*; do
		[ -e "$c" ] && { basename "$c"; return; }
	done
	echo "no endpoint controller: is this the SmartNIC machine?" >&2
	return 1
}

# nic_unload: the controller's configfs directory holds the module, so the
# driver is unbound first.
nic_unload() {
	local device
	for device in /sys/bus/pci/drivers/sluice-lab-epc/*:*; do
		basename "$device" >/sys/bus/pci/drivers/sluice-lab-epc/unbind
	done
	rmmod sluice_lab_epc
}

# nic_say KEY: what others may wait for (lab_nic_wait).
nic_say() {
	: >"$OUT/said-$1"
}

# nic_serve: do what the other side orders (lab_nic_run), in this shell, so that
# what it starts and defines stays; until "nic_stop" is ordered.
nic_serve() {
	local n=1 status idle
	nic_stopped=
	# Waiting on it costs no process: under TCG those are dear.
	exec {idle}<> <(:)
	until [ -n "$nic_stopped" ]; do
		until [ -e "$OUT/order-$n" ]; do read -rt 0.05 -u "$idle" || true; done
		status=0
		eval "$(<"$OUT/order-$n")" >"$OUT/answer-$n" 2>&1 || status=$?
		echo "$status" >"$OUT/new-status"
		mv "$OUT/new-status" "$OUT/status-$n"
		n=$((n + 1))
	done
}

# shellcheck disable=SC2034 # of nic_serve
nic_stop() { nic_stopped=1; }

# nic_hear KEY: until the other side says it (lab_nic_tell).
nic_hear() {
	# A 9p share has no change notification.
	until [ -e "$OUT/told-$1" ]; do sleep 0.1; done
}
