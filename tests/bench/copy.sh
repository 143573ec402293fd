#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# In a guest with -icount: how fast a whole image becomes local while no host asks for
# anything, over NVMe/TCP, to disks of 50 us a command.

# shellcheck source=tests/bench/lib.sh
. "${SLUICE_TOP:?}/tests/bench/lib.sh"

mb=64
bench_up $mb

by_dd() {
	written nullb2
	dd if="$REMOTE" of=/dev/nullb2 bs=1M iflag=direct oflag=direct status=none &
	copied nullb2 $((mb << 20))
	wait $!
	result "copy_mb_s.$1" dd "$RATE"
}

by_clone() {
	clone_best
	written nullb1
	dmsetup message clone 0 enable_hydration
	copied nullb1 $((mb << 20))
	result "copy_mb_s.$1" dm_clone "$RATE"
	clone_down
}

by_sluice() {
	written nullb0
	sluice_up --max-rate none
	copied nullb0 $((mb << 20))
	result "copy_mb_s.$1" sluice "$RATE"
	"$ctl" wait d --timeout 60 >/dev/null
	sluice_down
}

for _ in $(seq "$RUNS"); do
	for rate in 1gbit 10gbit unlimited; do
		if [ $rate = unlimited ]; then link none; else link 0.5ms $rate; fi
		by_dd $rate
		by_clone $rate
		by_sluice $rate
	done
done
daemon_kill TERM || true
