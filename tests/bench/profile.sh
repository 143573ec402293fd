#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# profile.sh [cost [WHO]... | miss | again]: where the instructions of a request go: tables of
# modules and of kernel functions. Of the group "cost" a column for each of WHO (raw and the two of
# Sluice); of "miss", at depth 32, a remote read, a local write, and a missing block, which
# takes both; of "again" a read of the disk, and one behind Sluice with its copy paused and not.
# In build/bench/profile/.

# shellcheck source=tests/vm/lib.sh
. "$(dirname "$0")/../vm/lib.sh"
cd "$SLUICE_TOP"
group=${1:-cost}
shift $(($# != 0))
case $group in
cost) [ $# != 0 ] || set -- raw sluice_resident sluice_complete ;;
miss | again)
	random_image build/tests/random-64.img
	set -- "$group"
	group=miss
	;;
*) die "there is no profile of $group; it is cost, miss or again" ;;
esac
kernel=$(tests/vm/kernel.sh plain)
make -s user guest-tools profile-tools >&2
make -s module KERNEL="$kernel/build" KMOD_DIR=build/kmod-plain >&2
out=$SLUICE_TOP/build/bench/profile
rm -rf "$out"
mkdir -p "$out"
# The plugin's interface is that of Debian 12's QEMU.
QEMU=/usr/bin/qemu-system-x86_64 tests/vm/guest.sh --icount --out "$out" --timeout 900 \
	--memory 3072 \
	--env SLUICE_KO="$SLUICE_TOP/build/kmod-plain/sluice.ko" \
	--env MARK="$SLUICE_TOP/build/tests/insnprof-mark" \
	--qemu "-plugin $SLUICE_TOP/build/tests/insnprof.so,out=$out/blocks" \
	"tests/bench/$group.sh" "$@" >&2
tests/bench/profile.py "$out"
