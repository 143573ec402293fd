#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# In a guest with -icount: what a host keeps of its disk while the rest of the image is
# copied. It reads and writes (70/30) what is local, 4 KiB at random, two at a time: more
# would need all of the one processor even without a copy.

# shellcheck source=tests/bench/lib.sh
. "${SLUICE_TOP:?}/tests/bench/lib.sh"

bench_up 384

# host DISK MS [OPTION]...: sets IOPS and P99 (of reads, in us).
host() {
	requests "$1" randrw 2 --rwmixread=70 --bs=4k --size=16M --time_based --runtime="$2ms" \
		--norandommap --randseed=7 "${@:3}"
	P99=$(grep -o '99\.000000%=[0-9]*' /tmp/fio | head -1 | cut -d= -f2)
}

# fetched: FETCHED are the bytes of the image that were read so far: the host has its own.
fetched() {
	local stat

	read -ra stat </sys/block/image/stat
	FETCHED=$((stat[2] * 512))
}

# under_load WHO DISK COMMAND...: without the copy, then with it, which the command starts.
under_load() {
	local who=$1 disk=$2 alone p99 start before
	shift 2

	# Whole regions and blocks: they are local then.
	dd if=/dev/zero of="$disk" bs=1M count=16 oflag=direct conv=fsync,notrunc status=none
	host "$disk" 500
	alone=$IOPS p99=$P99
	# It begins beside a host at work, who does not pause: in a pause it would go as fast as
	# it can. What it does before it sees that host is not of interest.
	{
		nap 0.5
		"$@"
		nap 1
		fetched
		now
		echo "$NOW $FETCHED" >/tmp/begun
	} &
	host "$disk" 6000 --ramp_time=1500ms
	now
	fetched
	wait $!
	read -r start before </tmp/begun
	result under_load.iops_alone "$who" "$alone"
	result under_load.iops_kept "$who" "$(awk "BEGIN { print $IOPS / $alone }")"
	result under_load.p99_ratio "$who" "$(awk "BEGIN { print $P99 / $p99 }")"
	result under_load.copy_mb_s "$who" \
		"$(awk "BEGIN { printf \"%.2f\", ($FETCHED - $before) / ($NOW - $start) }")"
}

sluice_goes() {
	"$ctl" resume d >/dev/null
	"$ctl" limit d --max-rate 0 >/dev/null
}

clone_goes() {
	dmsetup message clone 0 enable_hydration
}

for _ in $(seq "$RUNS"); do
	clone_best
	under_load dm_clone /dev/mapper/clone clone_goes
	clone_down
	sluice_up --max-rate 64K
	"$ctl" pause d >/dev/null
	under_load sluice /dev/sluice0 sluice_goes
	sluice_down
done
daemon_kill TERM || true
