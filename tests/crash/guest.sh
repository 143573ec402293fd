#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# In a guest: guest.sh LOG_MIB JOB..., with jobs numbered from 0 on:
#
#	record MUTANT SEED OPS NAMESPACE_MIB
#		on /dev/vda; the log goes to /dev/vdb from N * LOG_MIB on, the journal
#		to journal-N. A recording that does not come to its end has none.
#	kmod MUTANT TEST
#		of kmod-test, on /dev/vdc to /dev/vde; its status to status-N.
#	control
#		control.sh on /dev/vdc and /dev/vde, what it says to control-N.
set -euo pipefail

export DM_DISABLE_UDEV=1
log_mib=$1
tools=${SLUICE_TOP:?}/build/tests
shift
modprobe -a dm-mod dm-log-writes dm-delay

load() { insmod "${SLUICE_KO:?}" mutant="$1"; }

# What a test left that did not end well is still closing.
unload() {
	for _ in $(seq 100); do
		rmmod sluice 2>/dev/null && return
		sleep 0.1
	done
	rmmod sluice
}

poison() { # DISK MIB
	head -c "$2M" /dev/zero | tr '\0' '\252' |
		dd of="$1" bs=1M iflag=fullblock oflag=direct status=none
}

record() { # N MUTANT SEED OPS NAMESPACE_MIB
	local sectors=$((($5 + 4) * 2048))	# with the tail
	dmsetup create part --table "0 $sectors linear /dev/vda 0"
	dmsetup create log --table "0 $((log_mib * 2048)) linear /dev/vdb $(($1 * log_mib * 2048))"
	poison /dev/mapper/part $(($5 + 4))
	dmsetup create rec --table "0 $sectors log-writes /dev/mapper/part /dev/mapper/log"
	load "$2"
	if timeout 120 "$tools/crash-record" rec "${OUT:?}/journal-$1.new" "$3" "$4" "$5"; then
		mv "$OUT/journal-$1.new" "$OUT/journal-$1"
	else
		echo "recording $1, of mutant $2, did not end"
	fi
	unload
	dmsetup remove rec
	dmsetup remove part
	dmsetup remove log
}

kmod() { # N MUTANT TEST
	local status=0
	load "$2"
	timeout -k 5 120 "$tools/kmod-test" /dev/vdc /dev/mapper/slow /dev/vde "$3" || status=$?
	echo "$status" >"$OUT/status-$1"
	unload
}

control() { # N
	"$SLUICE_TOP/tests/crash/control.sh" /dev/vdc /dev/vde >"$OUT/control-$1"
}

dmsetup create slow --table "0 $(blockdev --getsz /dev/vdd) delay /dev/vdd 0 0 /dev/vdd 0 300"
n=0
for job; do
	read -ra words <<<"$job"
	"${words[0]}" "$n" "${words[@]:1}"
	n=$((n + 1))
done
sync /dev/vdb
