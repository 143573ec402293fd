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

run() { # NAME COMMAND...
	local name=$1 status=0 t=$SECONDS
	shift
	say "== $name"
	"$@" >"build/check/$name.log" 2>&1 || status=$?
	echo "$status $((SECONDS - t))" >"build/check/$name.status"
}

# account NAME: what it said, and counted.
account() {
	local log=build/check/$1.log status=1 seconds=0
	read -r status seconds <"build/check/$1.status" || true
	sed "s/^/   /" "$log" >&2
	counted "$log" "$status"
	say "== $1: $([ "$status" = 0 ] && echo ok || echo FAILED) after $seconds s"
}

step() { # NAME COMMAND...
	run "$@"
	account "$1"
}

native() {
	step deps tests/vm/deps.sh
	# The kernels take longest when cold; nothing else uses both cores as well.
	step kernel-kasan tests/vm/kernel.sh kasan
	step kernel-plain tests/vm/kernel.sh plain
	step image tests/image/build.sh
	step build make -j"$(nproc)" user
	run static tests/static.sh &
	run unit tests/unit.sh &
	# No deadline of anything is tight in these.
	run crash tests/crash/run.sh 8000 1 4 &
	wait
	account static
	account unit
	account crash
	step guests tests/guest.sh
	step lab tests/lab/life-cycle.sh brief
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

say "check took $((SECONDS - started)) s"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
