#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# In a guest: control.sh DISK SOURCE: what kmod-test finds right of Sluice, asked of
# dm-clone, the nearest kernel peer, which is known to do otherwise. A check that finds
# nothing wrong there could not find it anywhere. Prints "caught N" for each.
set -euo pipefail

export DM_DISABLE_UDEV=1
disk=$1 source=$2
mib=16
modprobe -a dm-clone dm-delay dm-flakey

filled() { head -c "$2" /dev/zero | tr '\0' "\\$1"; }

# put DEVICE OCTAL FIRST_BLOCK BLOCKS
put() { filled "$2" $(($4 * 4096)) | dd of="$1" bs=4k seek="$3" iflag=fullblock oflag=direct conv=notrunc status=none; }
is() { cmp -s <(filled "$2" 4096) <(dd if="$1" bs=4k skip="$3" count=1 iflag=direct status=none); }

caught() {
	if "${@:2}"; then
		echo "caught $1"
	else
		echo "NOT caught: $1"
	fi
}

# Metadata, destination and two sources are parts of the two disks.
part() { dmsetup create "$1" --table "0 $3 linear $2 $4"; }
part meta "$disk" 8192 0
part dest "$disk" $((mib * 2048)) 8192
part image "$source" $((mib * 2048)) 0
part other "$source" $((mib * 2048)) $((mib * 2048))

fresh() {
	put /dev/mapper/meta 0 0 1024
	put /dev/mapper/dest 252 0 $((mib * 256))
}
clone() { # SOURCE
	dmsetup create clone --table \
		"0 $((mib * 2048)) clone /dev/mapper/meta /dev/mapper/dest /dev/mapper/$1 8 2 no_hydration no_discard_passdown"
}
put /dev/mapper/image 21 0 $((mib * 256))
put /dev/mapper/other 42 0 $((mib * 256))

fresh
clone image
blkdiscard -o $((40 * 4096)) -l 4096 /dev/mapper/clone
sync /dev/mapper/clone
caught "17: a discarded missing block shows the previous tenant's content" \
	is /dev/mapper/clone 252 40
put /dev/mapper/clone 125 50 1
sync /dev/mapper/clone
dmsetup remove clone
clone other
caught "15: another image is accepted" is /dev/mapper/clone 42 60
dmsetup remove clone
put /dev/mapper/meta 0 0 1
clone image
caught "14: lost metadata is formatted again, and a flushed write reverts to the image" \
	is /dev/mapper/clone 21 50
dmsetup remove clone

fresh
clone image
sync /dev/mapper/clone
# Reads work, writes do not. Before the host's write: each second dm-clone commits.
dmsetup suspend meta
dmsetup reload meta --table "0 8192 flakey $disk 0 0 3600 1 error_writes"
dmsetup resume meta
put /dev/mapper/clone 125 70 1
sync /dev/mapper/clone 2>/dev/null || true
caught "20: without its metadata, a write that had ended reverts to the image" \
	is /dev/mapper/clone 21 70
dmsetup remove clone
dmsetup remove meta
part meta "$disk" 8192 0

fresh
# Time for the host while a fill is in flight.
dmsetup create far --table "0 $((mib * 2048)) delay $source 0 4000"
clone far
dmsetup message clone 0 enable_hydration
filling() { dmsetup status clone | awk '{ exit $8 != want }' want="$1"; }
until filling 1; do sleep 0.05; done
blkdiscard -f -o 0 -l 4096 /dev/mapper/clone 2>/dev/null
put /dev/mapper/clone 125 0 1
sync /dev/mapper/clone
dmsetup message clone 0 disable_hydration
until filling 0; do sleep 0.1; done
caught "1: a fill that was in flight overwrites a discard, a write and its flush" \
	is /dev/mapper/clone 21 0
dmsetup remove clone

for name in far other image dest meta; do dmsetup remove "$name"; done
