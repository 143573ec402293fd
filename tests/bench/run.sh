#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# run.sh [GROUP]...: what Sluice costs beside its alternatives, each group in a guest
# of its own: build/bench/bench.json, a plot of each group, and one table. Judges
# nothing by its status: times are of this machine.

# shellcheck source=tests/vm/lib.sh
. "$(dirname "$0")/../vm/lib.sh"
cd "$SLUICE_TOP"
kernel=$(tests/vm/kernel.sh plain)
make -s user guest-tools >&2
make -s module KERNEL="$kernel/build" KMOD_DIR=build/kmod-plain >&2
names=("$@") groups=()
mkdir -p build/bench
rm -f build/bench/bench.json

# group NAME GUEST_OPTION...
group() {
	local name=$1 out=build/bench/$1 started=$SECONDS
	shift
	wanted "$name" "${names[@]}" || return 0
	rm -rf "$out"
	say "-- $name"
	tests/vm/guest.sh --out "$out" --timeout 900 \
		--env SLUICE_KO="$SLUICE_TOP/build/kmod-plain/sluice.ko" "$@" \
		"tests/bench/$name.sh" >&2 || die "the group $name ended with $?"
	say "-- $name took $((SECONDS - started)) s"
	groups+=("$name")
}

# A processor whose string instructions count by the word, which is what copying costs
# real ones; by the byte copies would hide all else.
virtual=(--icount --memory 2048 --qemu "-cpu max,-la57,-erms,-fsrm")
group cost --icount
group miss "${virtual[@]}"
group copy "${virtual[@]}"
group load "${virtual[@]}"
group source "${virtual[@]}"

[ ${#groups[@]} != 0 ] || die "there is no group ${names[*]}"
tests/bench/report.py build/bench "${groups[@]}"
