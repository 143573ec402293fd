#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# In a guest with -icount: what a host waits for where blocks are missing, over a link of
# 1 ms and 1 Gbit/s, on SSDs of 50 us. Random 4 KiB reads and the same ones again; first
# writes; a flush after each write. Sluice's copy goes on meanwhile at its floor, which it
# keeps to while a host waits.

# shellcheck source=tests/bench/lib.sh
. "${SLUICE_TOP:?}/tests/bench/lib.sh"

bench_up 64
# What is local has data, and what nobody has written null_blk reads with 600 instructions less.
dd if=/dev/image of=/dev/nullb2 bs=1M oflag=direct conv=fsync status=none

# Each kind has a part of the image of its own, where nothing is local before; all are
# behind what the copy reaches meanwhile. Writes are 64 KiB apart, so that none finds a
# region of dm-clone local that another one has fetched.

# The same blocks for the same seed: of a part only some, at random. Where all of it is
# read the next block is missed every now and then, and read ahead of.
one() { requests "$1" randread 1 --bs=4k --offset=8M --size=8M --io_size=1M --randseed="$2"; }
many() { requests "$1" randread 32 --bs=4k --offset=16M --size=16M --io_size=8M --randseed="$2"; }

# reads WHO DISK SEED
reads() {
	one "$2" "$3"
	result miss_us.depth1 "$1" "$US"
	many "$2" "$3"
	# What counts here is how many there are.
	result miss_us.depth32 "$1" "$EACH"
}

# reads_again WHO DISK SEED: the mean of several passes. One takes some ms at depth 32, of
# which a chunk of the copy would be much. fio's own loops read other blocks.
reads_again() {
	local us='' each=''

	for _ in 1 2 3 4 5 6; do
		one "$2" "$3"
		us+=" $US"
		many "$2" "$3"
		each+=" $EACH"
	done
	result miss_us.depth1 "$1" "$(mean "$us")"
	result miss_us.depth32 "$1" "$(mean "$each")"
}

mean() {
	awk '{ for (i = 1; i <= NF; i++) sum += $i; printf "%.2f", sum / NF }' <<<"$1"
}

# writes WHO DISK
writes() {
	requests "$2" write:60k 1 --bs=4k --offset=32M --size=8M
	result first_write_us.4k "$1" "$US"
	requests "$2" write:65024 1 --bs=512 --offset=40M --size=8M
	result first_write_us.512 "$1" "$US"
}

# flush_after_write KEY WHO DISK [OPTION]...
flush_after_write() {
	flushed "$3" --offset=48M --size=8M "${@:4}"
	result "flush_us.$1" "$2" "$FLUSHED"
}

# flush_again WHO DISK: to blocks that are local, for a second. Once over them takes 16 ms,
# in which there is a chunk of the copy or there is none.
flush_again() {
	flush_after_write resident "$@" --loops=64
}

# flushes WHO DISK: with writes to what was missing, and to the same blocks again.
flushes() {
	flush_after_write missing "$@"
	flush_again "$@"
}

for run in $(seq "$RUNS"); do
	reads remote "$REMOTE" "$run"
	reads_again remote_again "$REMOTE" "$run"
	reads local_first /dev/nullb2 "$run"
	reads_again local /dev/nullb2 "$run"
	writes local /dev/nullb2
	flushes local /dev/nullb2
	for region in 4 64; do
		clone_up $((region * 2))
		[ $region != 4 ] || reads dm_clone /dev/mapper/clone "$run"
		writes dm_clone_${region}k /dev/mapper/clone
		flushes dm_clone_${region}k /dev/mapper/clone
		[ $region != 4 ] || reads_again dm_clone_again /dev/mapper/clone "$run"
		clone_down
	done
	sluice_up --max-rate 4M
	reads sluice /dev/sluice0 "$run"
	writes sluice /dev/sluice0
	flushes sluice /dev/sluice0
	reads_again sluice_again /dev/sluice0 "$run"
	# The same without the copy: what is left is what a request over local blocks costs.
	"$ctl" pause d >/dev/null
	reads_again sluice_again_paused /dev/sluice0 "$run"
	flush_again sluice_paused /dev/sluice0
	sluice_down
done
daemon_kill TERM || true
