#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# export-raw.sh start DEVICE | stop: inside the SmartNIC machine, show the host
# a block device as an NVMe disk, with the kernel alone. What Sluice is compared
# with, and what tests the lab itself.

set -euo pipefail

CONFIGFS=/sys/kernel/config
NQN=nqn.2026-01.org.sluice.test:raw
SUBSYSTEM=$CONFIGFS/nvmet/subsystems/$NQN
# Both of a number space of their own; 1 to 99 is anybody else's.
PORT=$CONFIGFS/nvmet/ports/700
FUNCTION=$CONFIGFS/pci_ep/functions/nvmet_pci_epf/raw
VECTORS=${VECTORS:-5}
MDTS_KB=${MDTS_KB:-512}

die() { printf '%s: %s\n' "$0" "$*" >&2; exit 1; }

controller() {
	local c
	for c in "$CONFIGFS"/pci_ep/controllers/*; do
		[ -e "$c/start" ] && { echo "$c"; return; }
	done
	die "there is no endpoint controller"
}

start() {
	local c
	modprobe -a nvmet nvmet-pci-epf
	c=$(controller)

	mkdir "$SUBSYSTEM"
	echo 1 >"$SUBSYSTEM/attr_allow_any_host"
	echo SLUICERAW0001 >"$SUBSYSTEM/attr_serial"
	echo "Sluice lab" >"$SUBSYSTEM/attr_model"
	# Nobody's by default, which a host takes for an empty slot.
	echo 0x1b36 >"$SUBSYSTEM/attr_vendor_id"
	echo 0x1b36 >"$SUBSYSTEM/attr_subsys_vendor_id"
	echo $((VECTORS - 1)) >"$SUBSYSTEM/attr_qid_max"
	mkdir "$SUBSYSTEM/namespaces/1"
	echo "$1" >"$SUBSYSTEM/namespaces/1/device_path"
	echo 1 >"$SUBSYSTEM/namespaces/1/enable"

	mkdir "$PORT"
	echo pci >"$PORT/addr_trtype"
	ln -s "$SUBSYSTEM" "$PORT/subsystems/"

	mkdir "$FUNCTION"
	echo 0x51ce >"$FUNCTION/deviceid"
	echo "$VECTORS" >"$FUNCTION/msix_interrupts"
	# With a newline: the last character is cut off.
	echo "${PORT##*/}" >"$FUNCTION/nvme/portid"
	echo "$NQN" >"$FUNCTION/nvme/subsysnqn"
	echo "$MDTS_KB" >"$FUNCTION/nvme/mdts_kb"
	# Binds it: from here on nothing of the above can change.
	ln -s "$FUNCTION" "$c/"
	echo 1 >"$c/start"
}

stop() {
	local c
	c=$(controller)
	echo 0 >"$c/start"
	rm "$c/${FUNCTION##*/}"
	rmdir "$FUNCTION"
	rm "$PORT/subsystems/$NQN"
	rmdir "$PORT"
	echo 0 >"$SUBSYSTEM/namespaces/1/enable"
	rmdir "$SUBSYSTEM/namespaces/1" "$SUBSYSTEM"
}

case ${1:-} in
start) start "${2:?usage: export-raw.sh start DEVICE}" ;;
stop) stop ;;
*) die "usage: export-raw.sh start DEVICE | stop" ;;
esac
