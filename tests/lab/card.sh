#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Inside the SmartNIC machine, with Sluice: does what is ordered (lab_nic_run).
# /dev/vda is the image, which only the storage namespace uses, /dev/vdb a blank
# local disk.

# shellcheck source=tests/guest/lib.sh
. "$SLUICE_TOP/tests/guest/lib.sh"
# shellcheck source=tests/lab/nic.sh
. "$SLUICE_TOP/tests/lab/nic.sh"

ctl=$BIN/sluicectl

# card_up [DELAY [RATE]]: network, storage, endpoint controller, module, daemon.
card_up() {
	storage_up "$@" && storage_serve /dev/vda && insmod "$SLUICE_KO" &&
		nic_controller && daemon_start
}

# card_deploy [OPTION]...: to the host in whose slot this card is.
card_deploy() {
	"$ctl" deploy disk --source "nvme-tcp://10.77.0.1:4420/$IMAGE_NQN?nsid=1" \
		--local /dev/vdb --format --force --export pci "$@" && written_start /dev/sluice0
}

# card_watch: each second a line to progress: bytes local, fetched, fetched on
# demand, received from the network, a second; seconds left; state.
card_watch() {
	while sleep 1; do
		"$ctl" status -o json 2>/dev/null | sed "s/[{}\"]//g; s/,/\\n/g" | awk -F: \
			-v received="$(storage_received)" '
			{ v[$1] = $2 }
			END {
				if ("state" in v)
					print v["local_bytes"], v["fetched_bytes"], v["demand_bytes"],
						received, v["rate"], v["eta_s"], v["state"]
			}' >>"$OUT/progress"
	done
}

# card_first_read: says "first-read" when the host has read. Only the host's reads reach
# the local disk, and its first ones are where the copy has already been.
card_first_read() {
	local base reads idle
	read -r base _ </sys/block/vdb/stat
	exec {idle}<> <(:)
	until read -r reads _ </sys/block/vdb/stat && [ "$reads" != "$base" ]; do
		read -rt 0.05 -u "$idle" || true
	done
	nic_say first-read
}

card_watch_start() {
	card_watch &
	watcher=$!
}

card_watch_stop() {
	kill "$watcher"
	wait "$watcher" 2>/dev/null || true
}

# card_down: gives everything back; what is left is the local disk.
card_down() {
	"$ctl" detach disk && daemon_kill TERM && rmmod sluice
}

# card_compare: what the host did not write, with the image. Prints the number of
# blocks that differ.
card_compare() {
	written_stop "$OUT/written" || return 1
	"$BIN/tests/blockcmp" /dev/vda /dev/vdb "$OUT/written" >"$OUT/compare.log" || true
	sed -n 's/.*differing_blocks=\([0-9]*\).*/\1/p' "$OUT/compare.log"
}

# card_check: the file system of the local disk, without Sluice.
card_check() {
	modprobe ext4
	blockdev --rereadpt /dev/vdb
	for _ in $(seq 100); do
		[ -b /dev/vdb2 ] && break
		sleep 0.05
	done
	e2fsck -fn /dev/vdb2 >"$OUT/e2fsck.log" 2>&1 || { cat "$OUT/e2fsck.log"; return 1; }
	mkdir -p /tmp/disk && mount -t ext4 -o ro /dev/vdb2 /tmp/disk &&
		(cd /tmp/disk/srv/known && sha256sum --quiet -c SHA256SUMS) &&
		{ [ ! -d /tmp/disk/srv/new ] || (cd /tmp/disk/srv/new && sha256sum --quiet -c SHA256SUMS); } &&
		umount /tmp/disk
}

nic_say ready
nic_serve
