#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2317 # functions are called by name
# In a guest: /dev/vda has a file "image" of 32 GiB with 1 GiB of data scattered over
# it; /dev/vdb and /dev/vdc are local disks that held something else. What crosses the
# network is counted at its interface; the disks are compared outside, where holes
# need not be read (sources-large.py).

# shellcheck source=tests/guest/lib.sh
. "${SLUICE_TOP:?}/tests/guest/lib.sh"
# shellcheck source=tests/guest/assert.sh
. "$SLUICE_TOP/tests/guest/assert.sh"
# shellcheck source=tests/guest/sources-lib.sh
. "$SLUICE_TOP/tests/guest/sources-lib.sh"

storage_up 0.1ms 10gbit
insmod "$SLUICE_KO"
modprobe ext4
mkdir -p "$WORK"
mount -t ext4 -o ro /dev/vda "$WORK"
daemon_start

deploy_to() {
	"$ctl" deploy d --source "$1" --local "$2" --size image --format --force >/dev/null
}

# large NAME URI DISK: less than 1.1 GiB comes for 1 GiB of data.
large() {
	local before received t

	before=$(storage_received)
	t=$(now_ms)
	check "$1: deploy" deploy_to "$2" "$3"
	check "$1: it completes" wait_complete 600
	received=$(($(storage_received) - before))
	check "$1: 1 GiB of data in 32 GiB came in $received bytes, after $(($(now_ms) - t)) ms" \
		[ "$received" -lt $((11 * (1 << 30) / 10)) ]
	check "$1: and it is said what was skipped" [ "$(status skipped_bytes)" -gt $((30 << 30)) ]
	check "$1: detach" detach
}

large_nbd() {
	nbdkit_up nbdkit 10809 file "$WORK/image"
	large NBD "nbd://$SRV" /dev/vdb
	unserve nbdkit
}

large_iscsi() {
	tgt_up "$WORK/image" thin_provisioning=1
	large tgt "iscsi://$SRV/$IQN/1" /dev/vdc
	unserve tgtd
}

parts "${@:-large_nbd large_iscsi}"
daemon_kill TERM || true
sync
finish
