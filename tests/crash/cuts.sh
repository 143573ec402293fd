#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# cuts.sh [CUTS [SEED]]: power cuts of the whole card in the middle of deployments that a
# host writes to. Local disk and the card's own file system lose in each what was not
# flushed. Every cut is followed by a resumption, and sooner or later by completion and
# a comparison of the whole disk. The last line is "cuts=N violations=N".
#
# With LYING=1 the local disk does not flush either, which must be found.

# shellcheck source=tests/vm/lib.sh
. "$(dirname "$0")/../vm/lib.sh"
cd "$SLUICE_TOP"

cuts=${1:-10} seed=${2:-1}
out=build/check/cuts${LYING:+-lying}
mib=8
kernel=$(tests/vm/kernel.sh plain)
make -s crash-tools user >&2
make -s module KERNEL="$kernel/build" KMOD_DIR=build/kmod-plain >&2

rm -rf "$out"
mkdir -p "$out/remembered"
truncate -s "${mib}M" "$out/image"
# As large as the image that it writes.
build/tests/crash-record image "$out/image"
truncate -s $((mib + 4))M "$out/local"
truncate -s 32M "$out/card"
mkfs.ext4 -q "$out/card"

tmp=$(mktemp -d "${TMPDIR:-/var/tmp}/sluice-cuts.XXXXXX")
children=()
# shellcheck disable=SC2317 # called by the trap
clean_up() {
	exec 2>/dev/null
	[ "${#children[@]}" = 0 ] || kill -KILL "${children[@]}" || true
	wait
	rm -rf "$tmp"
}
trap clean_up EXIT
trap 'exit 143' TERM

# With nothing but its cache between a disk and its file, which is empty in the next life.
disk_on() { # NAME
	local cache=writeback
	[ "$1" != local ] || [ -z "${LYING-}" ] || cache=unsafe
	nbdkit -f -U "$tmp/$1" --filter=cache file "$out/$1" cache="$cache" &
	children+=($!)
	until_true 5 test -S "$tmp/$1" || die "nbdkit does not come up for $1"
}

# power_on DIR ARG...: GUEST is the process that is the machine.
power_on() {
	local dir=$1 disk qemu=''
	shift
	children=()
	for disk in local card; do
		disk_on "$disk"
		qemu+=" -drive if=none,id=$disk,format=raw,file=nbd+unix:///?socket=$tmp/$disk"
		qemu+=" -device virtio-blk-pci,drive=$disk"
	done
	tests/vm/guest.sh --kernel plain --cpus 1 --timeout 200 --out "$dir" --share remembered="$out/remembered" \
		--env SLUICE_KO="$SLUICE_TOP/build/kmod-plain/sluice.ko" \
		--disk "$SLUICE_TOP/$out/image,snapshot" --qemu "$qemu" \
		tests/crash/cuts-guest.sh "$@" >"$dir.log" 2>&1 &
	GUEST=$!
}

power_off() {
	# bash would announce each.
	{
		kill -KILL "${children[@]}" || true
		kill -TERM "$GUEST" || true
		wait
	} 2>/dev/null
	rm -f "$tmp"/*
	children=()
}

# reached FILE: false when the machine ended by itself before.
reached() {
	for _ in $(seq 2400); do
		[ ! -e "$1" ] || return 0
		kill -0 "$GUEST" 2>/dev/null || return 1
		sleep 0.05
	done
	return 1
}

violations=0 how=new RANDOM=$seed
for ((n = 0; n < cuts && !violations; n++)); do
	dir=$out/life-$n
	mkdir "$dir"
	# One in five before it is up again.
	mark=up ms=$((RANDOM % 3000))
	[ "$n" = 0 ] || [ $((RANDOM % 5)) != 0 ] || mark=booted ms=$((RANDOM % 700))
	power_on "$dir" "$how" $((seed * 1000 + n))
	if reached "$dir/$mark"; then
		sleep "$((ms / 1000)).$(printf %03d $((ms % 1000)))"
	fi
	# A life that ends by itself has found something.
	if ! kill -0 "$GUEST" 2>/dev/null || [ ! -e "$dir/$mark" ]; then
		violations=1
		say "cuts: life $n ($how, seed $seed):"
		tail -n 15 "$dir.log" "$dir"/sluiced.log "$dir"/check.log >&2 || true
	fi
	power_off
	say "cuts: $n: $how, $ms ms after it had $mark"
	how=again
	[ $((RANDOM % 2)) = 0 ] || how=finish
done
if [ "$violations" = 0 ]; then
	mkdir "$out/life-$n"
	power_on "$out/life-$n" end "$seed"
	wait "$GUEST" || true
	if [ ! -e "$out/life-$n/ended" ]; then
		violations=1
		say "cuts: the last life (seed $seed):"
		tail -n 15 "$out/life-$n.log" "$out/life-$n/sluiced.log" >&2 || true
	fi
	power_off
fi
echo "cuts=$n violations=$violations"
[ "$violations" = 0 ]
