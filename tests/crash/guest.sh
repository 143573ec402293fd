#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# In a guest: guest.sh LOG_MIB FIRST JOB..., with jobs numbered from FIRST on:
#
#	record MUTANT SEED OPS NAMESPACE_MIB [DELAY [fua]]
#		on /dev/vda, or on a disk with FUA, where writes and flushes take DELAY ms; the
#		log goes to /dev/vdb from N * LOG_MIB on, the journal to journal-N. A recording
#		that does not come to its end has none.
#	peer SEED OPS
#		the same with dm-clone
#	recover JOURNAL SAMPLE
#		SAMPLE, a disk, on /dev/vda, opened and read to dump-N, and completed;
#		logged as a recording is
#	recover-peer JOURNAL SAMPLE
#		the same with dm-clone, which is only read
#	kmod MUTANT TEST
#		of kmod-test, on /dev/vdc to /dev/vde; its status to status-N.
#	control
#		control.sh on /dev/vdc and /dev/vde, what it says to control-N.
set -euo pipefail

export DM_DISABLE_UDEV=1
log_mib=$1 n=$2
tools=${SLUICE_TOP:?}/build/tests
shift 2
modprobe -a dm-mod dm-log-writes dm-delay dm-clone
modprobe null_blk nr_devices=1 gb=1 memory_backed=1 cache_size=64
peer_mib=10

load() { insmod "${SLUICE_KO:?}" mutant="$1" "${@:2}"; }

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

# logged N MIB [SAMPLE]: /dev/mapper/rec, a disk full of the pattern or of SAMPLE.
delay=0 base=/dev/vda
logged() {
	if [ "$delay" = 0 ]; then
		dmsetup create part --table "0 $(($2 * 2048)) linear $base 0"
	else
		dmsetup create part --table "0 $(($2 * 2048)) delay $base 0 0 $base 0 $delay $base 0 $delay"
	fi
	dmsetup create log --table "0 $((log_mib * 2048)) linear /dev/vdb $(($1 * log_mib * 2048))"
	if [ $# = 3 ]; then
		dd if="$3" of=/dev/mapper/part bs=1M oflag=direct status=none
	else
		poison /dev/mapper/part "$2"
	fi
	dmsetup create rec --table "0 $(($2 * 2048)) log-writes /dev/mapper/part /dev/mapper/log"
}

unlogged() {
	local name
	for name in rec part log; do dmsetup remove --retry "$name"; done
}

record() { # N MUTANT SEED OPS NAMESPACE_MIB [DELAY [fua]]
	delay=${6:-0}
	local trust=0
	[ "${7:-}" != fua ] || base=/dev/nullb0 trust=1
	logged "$1" $(($5 + 4))		# with the tail
	load "$2" stacked_fua="$trust"
	if timeout $((120 * ${SLUICE_SLACK:-1})) "$tools/crash-record" rec "${OUT:?}/journal-$1.new" "$3" "$4" "$5"; then
		mv "$OUT/journal-$1.new" "$OUT/journal-$1"
	else
		echo "recording $1, of mutant $2, did not end"
	fi
	unload
	unlogged
	delay=0 base=/dev/vda
}

# Its metadata, where Sluice has its tail.
clone() { # [KEEP]
	dmsetup create dest --table "0 $((peer_mib * 2048)) linear /dev/mapper/rec 0"
	dmsetup create meta --table "0 8192 linear /dev/mapper/rec $((peer_mib * 2048))"
	dmsetup create source --table "0 $((peer_mib * 2048)) linear /dev/vdc 0"
	if [ $# = 0 ]; then
		head -c 4M /dev/zero | dd of=/dev/mapper/part bs=1M seek="$peer_mib" iflag=fullblock oflag=direct status=none
		head -c "${peer_mib}M" /dev/zero >/dev/mapper/source
		"$tools/crash-record" image /dev/mapper/source
	fi
	dmsetup create clone --table \
		"0 $((peer_mib * 2048)) clone /dev/mapper/meta /dev/mapper/dest /dev/mapper/source 8 1 no_discard_passdown"
}

unclone() {
	local name
	for name in clone source meta dest; do dmsetup remove --retry "$name"; done
}

peer() { # N SEED OPS
	logged "$1" $((peer_mib + 4))
	clone
	timeout 120 "$tools/crash-record" rec "$OUT/journal-$1" "$2" "$3" "$peer_mib" /dev/mapper/clone
	unclone
	unlogged
}

recover() { # N JOURNAL SAMPLE
	logged "$1" $(($(stat -c %s "$OUT/$3") >> 20)) "$OUT/$3"
	load 0
	timeout 120 "$tools/crash-recover" rec "$OUT/$2" "$OUT/dump-$1" || rm -f "$OUT/dump-$1"
	unload
	unlogged
}

recover-peer() { # N JOURNAL SAMPLE
	logged "$1" $((peer_mib + 4)) "$OUT/$3"
	clone keep
	timeout 120 "$tools/crash-recover" rec "$OUT/$2" "$OUT/dump-$1" /dev/mapper/clone ||
		rm -f "$OUT/dump-$1"
	unclone
	unlogged
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
for job; do
	read -ra words <<<"$job"
	"${words[0]}" "$n" "${words[@]:1}"
	n=$((n + 1))
done
sync /dev/vdb
