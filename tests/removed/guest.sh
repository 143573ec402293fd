#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# guest.sh LIST: in a guest like kmod.sh's, the tests of each line of LIST with a module
# that does without what the line names. Says of each whether a test failed. Ends early
# where the module cannot be unloaded any more.
set -euo pipefail

export DM_DISABLE_UDEV=1
: "${SLUICE_KO:?the module to load}" "${SLUICE_TOP:?}" "${OUT:?}"
modprobe -a dm-delay dm-dust dm-flakey dm-mod
modprobe null_blk nr_devices=0
dmsetup create slow --table "0 $(blockdev --getsz /dev/vdb) delay /dev/vdb 0 0 /dev/vdb 0 300"

unload() {
	local i
	for ((i = 0; i < 20; i++)); do
		[ -d /sys/module/sluice ] || return 0
		rmmod sluice 2>/dev/null || sleep 0.5
	done
	return 1
}

while read -r _ name tests; do
	echo "begin $name"
	insmod "$SLUICE_KO" removed="$name"
	status=0
	# shellcheck disable=SC2086 # names
	timeout -s KILL "$((60 * ${SLUICE_SLACK:-1}))" "$SLUICE_TOP/build/tests/kmod-test" \
		/dev/vda /dev/mapper/slow /dev/vdc $tests >"$OUT/$name" 2>&1 || status=$?
	echo "end $name $status"
	unload || exit 0
	dmsetup remove --retry bad 2>/dev/null || true
	rmdir /sys/kernel/config/nullb/* 2>/dev/null || true
done <"$1"
