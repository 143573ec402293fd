#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# In a guest with -icount: what a host waits for where blocks are missing, over a link of
# 1 ms and 1 Gbit/s, on SSDs of 50 us. Random 4 KiB reads and the same ones again; first
# writes; a flush after each write. Sluice's copy goes on meanwhile at its floor, which it
# keeps to while a host waits.

# shellcheck source=tests/bench/lib.sh
. "${SLUICE_TOP:?}/tests/bench/lib.sh"

bench_up 192
# What is local has data, and what nobody has written null_blk reads with 600 instructions less.
dd if=/dev/image of=/dev/nullb2 bs=1M oflag=direct conv=fsync status=none

# Each kind has a part of the image of its own, where nothing is local before; all are
# behind what the copy reaches meanwhile: between blocks that are local it copies in pieces.
# Writes are 64 KiB apart, so that none finds a region of dm-clone local that another one
# has fetched. Of 4 KiB there are 1024: 128 take 8 ms, in which there is a chunk of the copy,
# which makes them a sixth longer, or there is none.

# The same blocks for the same seed: of a part only some, at random. Where all of it is
# read the next block is missed every now and then, and read ahead of.
one() {
	requests "$1" randread 1 --bs=4k --offset=72M --size=8M --io_size=1M --randseed="$2" "${@:3}"
}
many() {
	requests "$1" randread 32 --bs=4k --offset=80M --size=16M --io_size=8M --randseed="$2" "${@:3}"
}

# reads WHO DISK SEED
reads() {
	one "$2" "$3"
	result miss_us.depth1 "$1" "$US"
	many "$2" "$3"
	# What counts here is how many there are.
	result miss_us.depth32 "$1" "$EACH"
}

# keep_logs SEED: what one and many read, over and over. fio's own loops read other blocks.
keep_logs() {
	one /dev/nullb2 "$1" --write_iolog=/tmp/one
	many /dev/nullb2 "$1" --write_iolog=/tmp/many
	repeated 64 </tmp/one >/tmp/one_again
	repeated 40 </tmp/many >/tmp/many_again
}

# repeated N: a log of fio's without its times, its reads N times.
repeated() {
	awk -v n="$1" '
		$3 == "read" { reads = reads "/dev/disk read " $4 " " $5 "\n" }
		END {
			print "fio version 2 iolog\n/dev/disk add\n/dev/disk open"
			while (n--)
				printf "%s", reads
			print "/dev/disk close"
		}'
}

# again LOG DEPTH DISK: for a second. Once takes some ms, in which there is a chunk of the copy
# or none; and a host that has worked for a while is what the second read is for.
again() {
	requests "$3" randread "$2" --read_iolog="/tmp/$1_again" --replay_redirect="$3" \
		--replay_no_stall=1 --runtime=1
}

# reads_again WHO DISK
reads_again() {
	again one 1 "$2"
	result miss_us.depth1 "$1" "$US"
	again many 32 "$2"
	result miss_us.depth32 "$1" "$EACH"
}

# Writes begin with nothing in the disk's cache: to empty it of what was read before takes
# null_blk up to 16 ms, and whoever writes meanwhile would have them.

# writes WHO DISK
writes() {
	sync "$2"
	requests "$2" write:60k 1 --bs=4k --offset=128M --size=64M
	result first_write_us.4k "$1" "$US"
	requests "$2" write:65024 1 --bs=512 --offset=104M --size=8M
	result first_write_us.512 "$1" "$US"
}

# flush_after_write KEY WHO DISK [OPTION]...
flush_after_write() {
	flushed "$3" --offset=112M --size=8M "${@:4}"
	result "flush_us.$1" "$2" "$FLUSHED"
}

# flush_again WHO DISK: to blocks that are local, for a second. Once over them takes 16 ms,
# in which there is a chunk of the copy or there is none.
flush_again() {
	flush_after_write resident "$@" --loops=64
}

# flushes WHO DISK: with writes to what was missing, and to the same blocks again.
flushes() {
	sync "$2"
	flush_after_write missing "$@"
	flush_again "$@"
}

# fast WHO: of what EACH is, what a core makes that is four times as fast: disk and link are
# four times as slow then, and the time is a fourth.
fast() {
	result miss_us.depth32_fast "$1" "$(awk -v each="$EACH" 'BEGIN { print each / 4 }')"
}

# by_profile WHO DISK MS COMMAND...: which makes requests; DISK is one that has them all.
by_profile() {
	("${@:4}" && result miss_us.depth32 "$1" "$EACH") &
	profiled "$2" 300 "$3"
	wait $!
}

# For profile.sh, at depth 32. miss: where the instructions of a missing block go, beside
# those of a remote read and of a local write; nothing is copied meanwhile. again: those of
# a block that is local, beside the same of the disk.
if [ -n "${MARK:-}" ]; then
	"$MARK" 0
	case $1 in
	miss)
		by_profile remote image 80 many "$REMOTE" 1
		by_profile local_write nullb2 15 requests /dev/nullb2 randwrite 32 --bs=4k --size=16M
		sluice_up --paused
		by_profile sluice image 80 many /dev/sluice0 1
		;;
	again)
		keep_logs 1
		by_profile local nullb2 800 again many 32 /dev/nullb2
		sluice_up --max-rate 2M
		many /dev/sluice0 1
		"$ctl" pause d >/dev/null
		by_profile sluice_again_paused nullb0 800 again many 32 /dev/sluice0
		"$ctl" resume d >/dev/null
		by_profile sluice_again nullb0 800 again many 32 /dev/sluice0
		;;
	esac
	cat /proc/kallsyms >"$OUT/kallsyms"
	sluice_down
	daemon_kill TERM || true
	exit
fi

for run in $(seq "$RUNS"); do
	keep_logs "$run"
	reads remote "$REMOTE" "$run"
	reads_again remote_again "$REMOTE"
	reads local_first /dev/nullb2 "$run"
	reads_again local /dev/nullb2
	writes local /dev/nullb2
	flushes local /dev/nullb2
	for region in 4 64; do
		clone_up $((region * 2))
		[ $region != 4 ] || reads dm_clone /dev/mapper/clone "$run"
		writes dm_clone_${region}k /dev/mapper/clone
		flushes dm_clone_${region}k /dev/mapper/clone
		[ $region != 4 ] || reads_again dm_clone_again /dev/mapper/clone
		# As Sluice does: it copies meanwhile.
		if [ $region = 64 ]; then
			before=$(hydrated_of clone)
			dmsetup message clone 0 enable_hydration
			flush_again dm_clone_64k_copies /dev/mapper/clone
			echo "hydrated $before then $(hydrated_of clone)"
		fi
		clone_down
	done
	sluice_up --max-rate 2M
	reads sluice /dev/sluice0 "$run"
	writes sluice /dev/sluice0
	flushes sluice /dev/sluice0
	reads_again sluice_again /dev/sluice0
	# The same without the copy: what is left is what a request over local blocks costs.
	"$ctl" pause d >/dev/null
	reads_again sluice_again_paused /dev/sluice0
	flush_again sluice_paused /dev/sluice0
	sluice_down
done

link 2ms 250mbit
for disk in nullb3 nullb4; do null_disk $disk 200 "${SSD[@]}" completion_nsec=200000; done
dd if=/dev/image of=/dev/nullb4 bs=1M oflag=direct conv=fsync status=none
for run in $(seq "$RUNS"); do
	keep_logs "$run"
	many "$REMOTE" "$run"
	fast remote
	again many 32 /dev/nullb4
	fast local
	LOCAL=/dev/nullb3 sluice_up --min-rate 512K --max-rate 512K
	many /dev/sluice0 "$run"
	fast sluice
	again many 32 /dev/sluice0
	fast sluice_again
	sluice_down
done
daemon_kill TERM || true
