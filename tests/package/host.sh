#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# host.sh DISK IMAGE DIR: in the storage machine, a host that uses the disk until there is
# a file DIR/stop: writes and verifies a part of it, and compares other parts with the
# image. Each round adds a line to DIR/rounds, each error one to DIR/errors.

set -u
disk=$1 image=$2 dir=$3
blocks=$(($(blockdev --getsize64 "$image") / 65536))
RANDOM=11
: >"$dir/errors"

# The part of the host's own is [16 MiB, 24 MiB).
while [ ! -e "$dir/stop" ]; do
	fio --name=own --filename="$disk" --offset=16M --size=8M --io_size=1M --rw=randwrite \
		--bsrange=4k-64k --direct=1 --ioengine=libaio --iodepth=4 --fsync=16 \
		--verify=crc32c --verify_fatal=1 --do_verify=1 --randseed=$RANDOM \
		--output="$dir/fio.log" --end_fsync=1 >>"$dir/fio.err" 2>&1 ||
		{ cat "$dir/fio.log" "$dir/fio.err"; } >>"$dir/errors"
	for _ in 1 2 3 4; do
		block=$(((RANDOM * 32768 + RANDOM) % blocks))
		[ $((block / 128)) != 2 ] || continue
		cmp -s <(dd if="$disk" bs=64k skip=$block count=1 iflag=direct status=none) \
			<(dd if="$image" bs=64k skip=$block count=1 iflag=direct status=none) ||
			echo "64 KiB block $block cannot be read or is not the image's" >>"$dir/errors"
	done
	echo "$SECONDS" >>"$dir/rounds"
	sleep 1
done
