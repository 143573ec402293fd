#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# In a guest with -icount: what a host waits for where blocks are missing, over a link of
# 1 ms and 1 Gbit/s, on SSDs of 50 us. Random 4 KiB reads and the same ones again; first
# writes; a flush after each write. Sluice's copy goes on meanwhile at its floor, which it
# keeps to while a host waits.

# shellcheck source=tests/bench/lib.sh
. "${SLUICE_TOP:?}/tests/bench/lib.sh"

bench_up 64

# Each kind has a part of the image of its own, where nothing is local before; all are
# behind what the copy reaches meanwhile. Writes are 64 KiB apart, so that none finds a
# region of dm-clone local that another one has fetched.

# reads WHO DISK WHO_AGAIN SEED: every block of a part once, at random; then eight times
# again, so that a chunk of the copy is not much of what is measured.
reads() {
	requests "$2" randread 1 --bs=4k --offset=20M --size=2M --randseed="$4"
	result miss_us.depth1 "$1" "$US"
	requests "$2" randread 1 --bs=4k --offset=20M --size=2M --io_size=16M --randseed="$4"
	result miss_us.depth1 "$3" "$US"
	# What counts here is how many there are.
	requests "$2" randread 32 --bs=4k --offset=24M --size=8M --randseed="$4"
	result miss_us.depth32 "$1" "$EACH"
	requests "$2" randread 32 --bs=4k --offset=24M --size=8M --io_size=64M --randseed="$4"
	result miss_us.depth32 "$3" "$EACH"
}

# writes WHO DISK
writes() {
	requests "$2" write:60k 1 --bs=4k --offset=32M --size=8M
	result first_write_us.4k "$1" "$US"
	requests "$2" write:65024 1 --bs=512 --offset=40M --size=8M
	result first_write_us.512 "$1" "$US"
}

# flushes WHO DISK: with writes to what was missing, and to the same blocks again.
flushes() {
	local key

	for key in missing resident; do
		requests "$2" write:60k 1 --bs=4k --offset=48M --size=8M --fsync=1
		result flush_us.$key "$1" "$EACH"
	done
}

for run in $(seq "$RUNS"); do
	reads remote "$REMOTE" remote_again "$run"
	reads local_first /dev/nullb2 local "$run"
	writes local /dev/nullb2
	flushes local /dev/nullb2
	for region in 4 64; do
		clone_up $((region * 2))
		[ $region != 4 ] || reads dm_clone /dev/mapper/clone dm_clone_again "$run"
		writes dm_clone_${region}k /dev/mapper/clone
		flushes dm_clone_${region}k /dev/mapper/clone
		clone_down
	done
	sluice_up --max-rate 4M
	reads sluice /dev/sluice0 sluice_again "$run"
	writes sluice /dev/sluice0
	flushes sluice /dev/sluice0
	sluice_down
done
daemon_kill TERM || true
