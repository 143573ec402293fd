#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Unit tests under ASan and UBSan, and the fuzz targets for a few seconds each.
# Ends with "N passed, N failed".

# shellcheck source=tests/vm/lib.sh
. "$(dirname "$0")/vm/lib.sh"
# shellcheck source=tests/unit/lib.sh
. "$SLUICE_TOP/tests/unit/lib.sh"
cd "$SLUICE_TOP"
passed=0 failed=0
out=build/check/unit
mkdir -p "$out"
# shellcheck disable=SC2207 # options hold no spaces
libs+=($(pkg-config --libs check))
names=()

# run NAME COMMAND...: as many at a time as there are processors, since some only wait.
run() {
	local name=$1
	shift
	names+=("$name")
	[ "$(jobs -rp | wc -l)" -lt "$(nproc)" ] || wait -n || true
	{
		status=0
		"$@" >"$out/$name.log" 2>&1 || status=$?
		echo "$status" >"$out/$name.status"
	} &
}

compiled() { # NAME TEST OPTION...
	compile gcc "$out/$1" "$2" "${@:3}" && timeout 120 "$out/$1"
}

rm -f "$out"/*.status
# The longest first.
run test-sluicectl.sh timeout 300 tests/unit/test-sluicectl.sh build/sluicectl
# Weakened memory order shows only here.
run tsan-map-race compiled tsan-map-race tests/unit/test-map-race.c -fsanitize=thread
for test in tests/unit/test-*.c; do
	name=$(basename "$test" .c)
	run "$name" compiled "$name" "$test" -fsanitize=address,undefined -fno-sanitize-recover=all
done
for test in tests/unit/test-*.sh tests/unit/test-*.py; do
	name=$(basename "$test")
	[ "$name" = test-sluicectl.sh ] || run "$name" timeout 300 "$test" build/sluicectl
done
wait

for name in "${names[@]}"; do
	verdict "$name" "$(cat "$out/$name.status")" "$out/$name.log"
done

# Not counted in one: each target is a test.
fuzzed=$(tests/fuzz/run.sh "${FUZZ_SECONDS:-3}") || true
read -r p _ f _ <<<"${fuzzed:-0 passed, 1 failed}"
passed=$((passed + p)) failed=$((failed + f))

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
