# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034 # variables are of the scripts that source it
# For the groups of the benchmark, inside their guest. Sourced, never run.

# shellcheck source=tests/guest/lib.sh
. "${SLUICE_TOP:?}/tests/guest/lib.sh"

ctl=$BIN/sluicectl

# result KEY WHO VALUE...: one figure of one run, for report.py.
result() {
	printf '%s\n' "$*" | tee -a "$OUT/results"
}

# null_disk NAME MB [ATTRIBUTE=VALUE]...: /dev/NAME, a disk that costs nothing.
null_disk() {
	local dir=$CONFIGFS/nullb/$1 setting

	modprobe null_blk nr_devices=0
	mkdir "$dir"
	echo "$2" >"$dir/size"
	for setting in "${@:3}"; do
		echo "${setting#*=}" >"$dir/${setting%%=*}"
	done
	echo 1 >"$dir/power"
}

# dm NAME TABLE...: /dev/mapper/NAME; there is no udev here.
dm() {
	modprobe "dm-$(cut -d' ' -f3 <<<"$2")" 2>/dev/null || true
	DM_DISABLE_UDEV=1 dmsetup create "$1" --table "$2"
}

dm_gone() {
	DM_DISABLE_UDEV=1 dmsetup remove "$1"
}

# sectors DEVICE
sectors() { blockdev --getsz "$1"; }

# hydrated NAME: all of a dm-clone is local.
hydrated() {
	local done_of

	dmsetup message "$1" 0 enable_hydration
	for _ in $(seq 3000); do
		done_of=$(dmsetup status "$1" | cut -d' ' -f7)
		[ "${done_of%/*}" != "${done_of#*/}" ] || return 0
		sleep 0.1
	done
	die "dm-clone has copied $done_of regions only"
}
