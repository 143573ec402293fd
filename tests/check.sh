#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# make check: every step, each with its log in build/check/; the last line is
# "N passed, N failed" over all of them. ARCH=arm64: what an Arm card may do otherwise.

# shellcheck source=tests/vm/lib.sh
. "$(dirname "$0")/vm/lib.sh"
cd "$SLUICE_TOP"
mkdir -p build/check
passed=0 failed=0
started=$SECONDS
steps=()

# run NAME COMMAND...: what it said is shown once it has ended, and what it took.
run() {
	local name=$1 log=build/check/$1.log time=build/check/$1.time status=0 took
	local TIMEFORMAT='%0R %0U %0S'
	shift
	{ time "$@" >"$log" 2>&1; } 2>"$time" || status=$?
	echo "$status" >"build/check/$name.status"
	took=$(awk 'END { printf "%d s, %d of processor", $1, $2 + $3 }' "$time")
	# At once, as others run beside it.
	say "$(sed "s/^/   /" "$log"
		echo "== $name: $([ "$status" = 0 ] && echo ok || echo FAILED) after $took")"
}

step() { # NAME COMMAND...
	steps+=("$1")
	run "$@"
}

# beside MACHINES NAME COMMAND...: once there is room for so many. A guest spends a third
# of its time waiting, so one more than there are processors, where memory allows for it.
width=$(($(nproc) + 1))
room=$(awk '/^MemAvailable/ { print int($2 / 4000000) }' /proc/meminfo)
[ "$width" -le "$room" ] || width=$((room > 2 ? room : 2))
declare -A machines=()
beside() {
	local busy pid
	while :; do
		busy=$1
		for pid in $(jobs -rp); do busy=$((busy + machines[$pid])); done
		[ "$busy" -gt "$width" ] || break
		wait -n || true
	done
	steps+=("$2")
	run "${@:2}" &
	machines[$!]=$1
}

prepare() { tests/guest.sh --prepare >build/check/guests; }

native() {
	local name names long='kmod|deploy-killed|sources-debian|sources-large'

	step deps tests/vm/deps.sh
	# The kernels take longest when cold; nothing else uses both cores as well.
	step kernel-kasan tests/vm/kernel.sh kasan
	step kernel-plain tests/vm/kernel.sh plain
	step image tests/image/build.sh
	step build make -j"$(nproc)" user guest-tools crash-tools
	step guests prepare

	# The longest first, so that none runs alone for long. The lab has its hosts' deadlines.
	beside 2 lab tests/lab/life-cycle.sh brief
	mapfile -t names < <(grep -xE "$long" build/check/guests
		grep -vxE "$long" build/check/guests)
	for name in "${names[@]}"; do
		beside 1 "$name-guest" tests/guest.sh --brief "$name"
		case $name in
		kmod) beside 2 crash tests/crash/run.sh 8000 1 4 ;;
		deploy) beside 1 static tests/static.sh ;;
		deploy-killed) beside 1 unit tests/unit.sh ;;
		esac
	done
	wait
}

# What depends on the processor and on the size of its pages; all else is the same source.
arm64() {
	local pages

	step deps make deps
	for pages in 64k 4k; do step "kernel-arm64-$pages" tests/vm/kernel.sh "arm64-$pages"; done
	step build make -j"$(nproc)" user guest-tools
	for pages in 64k 4k; do
		step "guests-arm64-$pages" env KERNEL_FLAVOUR="arm64-$pages" \
			tests/guest.sh kmod deploy-briefly sources-nbdkit
	done
}

rm -f build/check/*.status
case ${ARCH:-} in
arm64) arm64 ;;
*) native ;;
esac

for name in "${steps[@]}"; do
	counted "build/check/$name.log" "$(cat "build/check/$name.status" 2>/dev/null || echo 1)"
done
say "check took $((SECONDS - started)) s"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
