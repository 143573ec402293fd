#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# make check: every step, each with its log in build/check/; the last line is
# "N passed, N failed" over all of them.

# shellcheck source=tests/vm/lib.sh
. "$(dirname "$0")/vm/lib.sh"
cd "$SLUICE_TOP"
mkdir -p build/check
passed=0 failed=0
started=$SECONDS

# step NAME COMMAND...: adds up what the command's last line says.
step() {
	local name=$1 log=build/check/$1.log last status t=$SECONDS
	shift
	say "== $name"
	status=0
	"$@" >"$log" 2>&1 || status=$?
	sed "s/^/   /" "$log" >&2
	last=$(grep -E '^[0-9]+ passed, [0-9]+ failed' "$log" | tail -1) || true
	if [[ $last =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed ]]; then
		passed=$((passed + BASH_REMATCH[1]))
		failed=$((failed + BASH_REMATCH[2]))
		# A step that counts no failure and yet fails has failed once.
		[ "$status" = 0 ] || [ "${BASH_REMATCH[2]}" != 0 ] || failed=$((failed + 1))
	elif [ "$status" = 0 ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
	fi
	say "== $name: $([ "$status" = 0 ] && echo ok || echo FAILED) after $((SECONDS - t)) s"
}

step deps tests/vm/deps.sh
# The kernel takes longest when cold; nothing else uses both cores as well.
step kernel tests/vm/kernel.sh kasan
step image tests/image/build.sh
step build make user
step static tests/static.sh
step unit tests/unit.sh
step guests tests/guest.sh
step lab tests/lab/life-cycle.sh

say "check took $((SECONDS - started)) s"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
