#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# In a guest with -icount: what a host waits for where blocks are missing, over a link of
# 1 ms and 1 Gbit/s, on SSDs of 50 us. Random 4 KiB reads and the same ones again; first
# writes; a flush after each write. Sluice's copy goes on meanwhile at its floor, which it
# keeps to while a host waits.

# shellcheck source=tests/bench/lib.sh
. "${SLUICE_TOP:?}/tests/bench/lib.sh"

bench_up 64
# Where the copy does not come to meanwhile.
span=(--offset=32M --size=32M)

# reads KEY WHO DISK DEPTH KIB SEED
reads() {
	requests "$3" randread "$4" --bs=4k "${span[@]}" --io_size="$5k" --randseed="$6"
	# At depth 32 what counts is how many there are.
	[ "$4" = 1 ] || US=$((1000000 / IOPS))
	result "miss_us.$1" "$2" "$US"
}

# each_read WHO DISK AGAIN SEED
each_read() {
	reads depth1 "$1" "$2" 1 1024 "$4"
	reads depth1 "$3" "$2" 1 1024 "$4"
	reads depth32 "$1" "$2" 32 8192 "$4$4"
	reads depth32 "$3" "$2" 32 8192 "$4$4"
}

# writes WHO DISK SEED
writes() {
	requests "$2" randwrite 1 --bs=4k "${span[@]}" --io_size=1M --randseed="$3"
	result first_write_us.4k "$1" "$US"
	requests "$2" randwrite 1 --bs=512 "${span[@]}" --io_size=64k --randseed="$3$3"
	result first_write_us.512 "$1" "$US"
}

# flushes WHO DISK SEED: of blocks that were missing, and of the same ones again.
flushes() {
	local key

	for key in missing resident; do
		requests "$2" randwrite 1 --bs=4k "${span[@]}" --io_size=1M --fsync=1 --randseed="$3"
		result flush_us.$key "$1" $((1000000 / IOPS))
	done
}

for run in $(seq "${RUNS:-5}"); do
	requests "$REMOTE" randread 1 --bs=4k "${span[@]}" --io_size=1M --randseed=$run
	result miss_us.depth1 remote "$US"
	requests "$REMOTE" randread 32 --bs=4k "${span[@]}" --io_size=8M --randseed=$run$run
	result miss_us.depth32 remote $((1000000 / IOPS))
	reads depth1 local /dev/nullb2 1 1024 $run
	reads depth32 local /dev/nullb2 32 8192 $run$run
	writes local /dev/nullb2 $run
	flushes local /dev/nullb2 $run
	for region in 8 128; do
		clone_up $region
		[ $region != 8 ] || each_read dm_clone /dev/mapper/clone dm_clone_again $run
		writes dm_clone_$((region / 2))k /dev/mapper/clone 1$run
		flushes dm_clone_$((region / 2))k /dev/mapper/clone 2"$run"
		clone_down
	done
	sluice_up --max-rate 4M
	each_read sluice /dev/sluice0 sluice_again "$run"
	writes sluice /dev/sluice0 1$run
	flushes sluice /dev/sluice0 2$run
	sluice_down
done
daemon_kill TERM || true
