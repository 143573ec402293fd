#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# In a guest: control.sh DISK SOURCE: what kmod-test finds right of Sluice, asked of
# dm-clone, the nearest kernel peer, which is known to do otherwise. A check that finds
# nothing wrong there could not find it anywhere. Prints "caught N" for each.
set -euo pipefail

export DM_DISABLE_UDEV=1
disk=$1 source=$2
mib=16
modprobe dm-clone

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

for name in other image dest meta; do dmsetup remove "$name"; done
