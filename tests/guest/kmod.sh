#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# In a guest with three equal blank disks: the module with a daemon on strings.
set -euo pipefail

export SLUICE_KO=${SLUICE_KO:?the module to load}
export DM_DISABLE_UDEV=1

modprobe -a dm-delay dm-dust dm-flakey dm-mod ext4 || true
modprobe null_blk nr_devices=0
insmod "$SLUICE_KO"
size=$(blockdev --getsz /dev/vdb)
dmsetup create slow --table "0 $size delay /dev/vdb 0 0 /dev/vdb 0 300"
"${SLUICE_BIN:?}/tests/kmod-test" /dev/vda /dev/mapper/slow /dev/vdc "$@"
