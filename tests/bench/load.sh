#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# In a guest with -icount: what a host keeps of its disk while the rest of the image is
# copied. It reads and writes (70/30) what is local, 4 KiB at random, two at a time: more
# would need all of the one processor even without a copy.

# shellcheck source=tests/bench/lib.sh
. "${SLUICE_TOP:?}/tests/bench/lib.sh"

bench_up 384

# host DISK MS: sets IOPS, P99 (of reads, in us) and HOST_WRITTEN.
host() {
	requests "$1" randrw 2 --rwmixread=70 --bs=4k --size=16M --time_based --runtime="$2ms" \
		--norandommap --randseed=7
	P99=$(grep -o '99\.000000%=[0-9]*' /tmp/fio | head -1 | cut -d= -f2)
	HOST_WRITTEN=$(($(cut -d';' -f47 /tmp/fio) * 1024))
}

# under_load WHO DISK BELOW COMMAND...: without the copy, then with it, which the command
# starts.
under_load() {
	local who=$1 disk=$2 below=$3 alone p99 before start
	shift 3

	# Whole regions and blocks: they are local then.
	dd if=/dev/zero of="$disk" bs=1M count=16 oflag=direct conv=fsync,notrunc status=none
	host "$disk" 500
	alone=$IOPS p99=$P99
	# It begins beside a host at work. What it does before that is seen is not of interest.
	host "$disk" 1000 &
	nap 0.5
	"$@"
	wait $!
	written "$below"
	before=$WRITTEN
	now
	start=$NOW
	host "$disk" 3000
	now
	written "$below"
	result under_load.iops_alone "$who" "$alone"
	result under_load.iops_kept "$who" "$(awk "BEGIN { print $IOPS / $alone }")"
	result under_load.p99_ratio "$who" "$(awk "BEGIN { print $P99 / $p99 }")"
	result under_load.copy_mb_s "$who" $(((WRITTEN - before - HOST_WRITTEN) / (NOW - start)))
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
	under_load dm_clone /dev/mapper/clone nullb1 clone_goes
	clone_down
	sluice_up --max-rate 64K
	"$ctl" pause d >/dev/null
	under_load sluice /dev/sluice0 nullb0 sluice_goes
	sluice_down
done
daemon_kill TERM || true
