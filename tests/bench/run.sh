#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# run.sh [GROUP]...: what Sluice costs beside its alternatives, each group in a guest
# of its own, the group boot in the lab: build/bench/bench.json, a plot of each key, and
# one table. A bound that is missed is shown and no failure. RUNS=N: how often what is
# repeated is (5).

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

# group NAME COMMAND...: which leaves build/bench/NAME/results.
group() {
	local name=$1 out=build/bench/$1 started=$SECONDS
	shift
	wanted "$name" "${names[@]}" || return 0
	rm -rf "$out"
	say "-- $name"
	"$@" "$out" >&2 || failed+=("$name")
	say "-- $name took $((SECONDS - started)) s"
	[ ! -s "$out/results" ] || groups+=("$name")
}

# guest GUEST_OPTION... OUT
guest() {
	local out=${!#}
	tests/vm/guest.sh "${@:1:$#-1}" --out "$out" --timeout 1800 --env RUNS="${RUNS:-}" \
		--env SLUICE_KO="$SLUICE_TOP/build/kmod-plain/sluice.ko" "tests/bench/${out##*/}.sh"
}

virtual=(guest --icount --memory 2048)
# The first, as it is the one that the rest of the machine disturbs.
group boot tests/bench/boot.sh
group cost "${virtual[@]}"
group miss "${virtual[@]}" --memory 3072
group copy "${virtual[@]}"
group load "${virtual[@]}"
group source "${virtual[@]}"
group memory "${virtual[@]}" --memory 4096 --disk new:1025G

[ ${#groups[@]} != 0 ] || die "nothing was measured for ${names[*]:-any group}"
tests/bench/report.py build/bench "${groups[@]}"
[ ${#failed[@]} = 0 ] || die "not finished: ${failed[*]}"
