#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# run.sh [GROUP]...: what Sluice costs beside its alternatives, each group in a guest
# of its own: build/bench/bench.json, a plot of each key, and one table. A bound that is
# missed is shown and no failure.

# shellcheck source=tests/vm/lib.sh
. "$(dirname "$0")/../vm/lib.sh"
cd "$SLUICE_TOP"
kernel=$(tests/vm/kernel.sh plain)
make -s user guest-tools >&2
make -s module KERNEL="$kernel/build" KMOD_DIR=build/kmod-plain >&2
random_image build/tests/random-64.img
names=("$@") groups=() failed=()
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
		"tests/bench/$name.sh" >&2 || failed+=("$name")
	say "-- $name took $((SECONDS - started)) s"
	[ ! -s "$out/results" ] || groups+=("$name")
}

# A processor whose string instructions count by the word, which is what copying costs
# real ones; by the byte copies would hide all else.
virtual=(--icount --memory 2048 --qemu "-cpu max,-la57,-erms,-fsrm")
group cost "${virtual[@]}"
group miss "${virtual[@]}"
group copy "${virtual[@]}"
group load "${virtual[@]}"
group source "${virtual[@]}"
group memory "${virtual[@]}" --memory 4096 --disk new:1025G

[ ${#groups[@]} != 0 ] || die "nothing was measured for ${names[*]:-any group}"
tests/bench/report.py build/bench "${groups[@]}"
[ ${#failed[@]} = 0 ] || die "not finished: ${failed[*]}"
