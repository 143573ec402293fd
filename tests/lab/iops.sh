#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2016 # orders to the machines are expanded there
# iops.sh: what Sluice costs a host over PCIe once its disk is local. The same
# null_blk namespace, with a complete Sluice device on it and without, side by side;
# the host runs from another disk. Ratios are meant: the machines are emulated.
# Leaves build/lab/iops/iops.json.

# shellcheck source=tests/lab/lab.sh
. "$(dirname "$0")/lab.sh"
cd "$SLUICE_TOP"

seconds=${SECONDS_EACH:-4} runs=${RUNS:-3}
image=$(tests/image/build.sh)
kernel=$(tests/vm/kernel.sh plain)
make -s user guest-tools >&2
make -s module KERNEL="$kernel/build" KMOD_DIR=build/kmod-plain >&2
lab_up build/lab/iops

# measure NAME: a line "NAME workload iops microseconds" for each run, to results.
measure() {
	local rw depth run
	lab_host_on "$image" wire
	lab_host_wait login 240 >/dev/null
	# Behind the prompt services still start, on the processor that is to make requests.
	lab_host_run 120 'systemctl is-system-running --wait; sleep 5' >/dev/null || true
	lab_host_run 30 'for c in /sys/class/nvme/nvme*; do
		[ "$(cat $c/device/device)" = 0x51ce ] && disk=/dev/${c##*/}n1; done; ls $disk' ||
		die "the host does not see the disk behind the wire"
	for run in $(seq "$runs"); do
		for rw in randread randwrite; do
			for depth in 1 16; do
				lab_host_run 120 "fio --name=x --filename=\$disk --rw=$rw --bs=4k --direct=1 \
					--ioengine=libaio --iodepth=$depth --time_based --runtime=$seconds \
					--minimal | cut -d';' -f8,40,49,81" >"$lab_out/fio"
				awk -F';' -v n="$1 $rw-$depth" '{ print n, $1 + $3, $2 + $4 }' "$lab_out/fio" |
					tee -a "$lab_out/results"
			done
		done
		say "$1: run $run of $runs"
	done
	lab_host_off
}

rm -f "$lab_out/results"
lab_nic --env SLUICE_KO="$SLUICE_TOP/build/kmod-plain/sluice.ko" \
	--disk "$image,snapshot" --disk new:64M tests/lab/card.sh
lab_nic_wait ready 120
lab_nic_run 60 'insmod "$SLUICE_KO" && nic_controller && modprobe null_blk nr_devices=0 &&
	mkdir /sys/kernel/config/nullb/nullb0 && cd /sys/kernel/config/nullb/nullb0 &&
	echo 256 >size && echo 1 >memory_backed && echo 1 >power && cd / &&
	truncate -s 128M /tmp/zeroes && daemon_start'
lab_nic_run 120 '"$ctl" deploy null --source file:/tmp/zeroes --local /dev/nullb0 --format \
	--force --export pci >/dev/null && "$ctl" wait null --timeout 100 >/dev/null'
measure sluice
lab_nic_run 60 '"$ctl" detach null && "$SLUICE_TOP/tests/lab/export-raw.sh" start /dev/nullb0'
measure raw
lab_nic_run 60 '"$SLUICE_TOP/tests/lab/export-raw.sh" stop && nic_stop'
lab_nic_end

python3 - "$lab_out/results" "$lab_out/iops.json" <<'PYTHON'
import json, statistics, sys
runs = {}
for line in open(sys.argv[1]):
    who, what, iops, us = line.split()
    runs.setdefault(what, {}).setdefault(who, []).append((float(iops), float(us)))
out = {}
print("%-14s %20s %20s %7s" % ("4 KiB", "raw IOPS / us", "sluice IOPS / us", "ratio"))
for what, who in runs.items():
    mid = {w: [statistics.median(x) for x in zip(*r)] for w, r in who.items()}
    ratio = mid["sluice"][0] / mid["raw"][0]
    out[what] = {w: {"iops": round(m[0]), "us": round(m[1]), "iops_runs": [round(r[0]) for r in who[w]]}
                 for w, m in mid.items()}
    out[what]["iops_ratio"] = round(ratio, 3)
    print("%-14s %12d / %5d %12d / %5d %7.2f" % (what, *mid["raw"], *mid["sluice"], ratio))
json.dump(out, open(sys.argv[2], "w"), indent=1)
PYTHON
