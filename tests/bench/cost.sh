#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# In a guest with -icount: what 4 KiB requests cost, in instructions. One virtual ns is
# one instruction and the processor is never idle, so a request costs 1e9 / IOPS.
# cost.sh [WHO]...: only those.
#
# Sluice deploys with the real daemon, which pauses: the image is a file, the host has
# read the measured part, all else is missing. Nothing wakes the daemon then but its
# watchdog, some times a virtual second.

# shellcheck source=tests/bench/lib.sh
. "${SLUICE_TOP:?}/tests/bench/lib.sh"

# What is measured, of a disk of which more is missing.
span=64M
only=("$@")

# requests_of RW DEVICE MS
requests_of() {
	fio --name=cost --filename="$2" --rw="$1" --bs=4k --size=$span --direct=1 \
		--ioengine=libaio --iodepth=32 --norandommap --randrepeat=1 --gtod_reduce=1 \
		--time_based --ramp_time=100ms --runtime="$3ms" --output-format=terse --output=/tmp/fio
}

# measure WHO DEVICE
measure() {
	local who=$1 rw iops

	[ ${#only[@]} = 0 ] || [[ " ${only[*]} " = *" $who "* ]] || return 0
	for rw in randread randwrite; do
		requests_of $rw "$2" 400 &
		[ -z "${MARK:-}" ] || profiled nullb0 5000 150
		wait $!
		case $rw in
		randread) iops=$(cut -d';' -f8 /tmp/fio) ;;
		randwrite) iops=$(cut -d';' -f49 /tmp/fio) ;;
		esac
		result "cost.${rw#rand}" "$who" $((1000000000 / iops))
	done
}

null_disk nullb0 256
null_disk source 256
null_disk metadata 16 memory_backed=1
# All programs are in memory once they have run.
requests_of randread /dev/nullb0 10
[ -z "${MARK:-}" ] || "$MARK" 0
measure raw /dev/nullb0

dm linear "0 $(sectors /dev/nullb0) linear /dev/nullb0 0"
measure dm_linear /dev/mapper/linear
dm_gone linear

dm clone "0 $(sectors /dev/nullb0) clone /dev/metadata /dev/nullb0 /dev/source 128"
hydrated clone
measure dm_clone_hydrated /dev/mapper/clone
dm_gone clone

insmod "$SLUICE_KO"
dd if=/dev/zero of=/tmp/image bs=1M count=128 status=none
daemon_start
"$ctl" deploy d --source file:/tmp/image --local /dev/nullb0 --format --force --max-rate 64K >/dev/null
"$ctl" pause d >/dev/null
dd if=/dev/sluice0 of=/dev/null bs=1M count=64 iflag=direct status=none
# The bits are durable, as after a while.
dd if=/dev/zero of=/dev/sluice0 bs=4k count=1 oflag=direct conv=fsync,notrunc status=none
sleep 2
measure sluice_resident /dev/sluice0
missing=$(($(status namespace_bytes) - $(status local_bytes)))
[ "$(status state) $((missing >= 32 << 20))" = "paused 1" ] ||
	die "what was measured is not a deployment that pauses: $missing bytes are missing"

"$ctl" resume d >/dev/null
"$ctl" limit d --max-rate 0 >/dev/null
"$ctl" wait d --timeout 600 >/dev/null
measure sluice_complete /dev/sluice0
[ -z "${MARK:-}" ] || cat /proc/kallsyms >"$OUT/kallsyms"
"$ctl" detach d >/dev/null
daemon_kill TERM || true
