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
libs=(-ljson-c -lcrypto -luring -lpthread)
read -ra check_libs <<<"$(pkg-config --cflags --libs check)"

result() {
	if [ "$2" = 0 ]; then
		passed=$((passed + 1))
		say "ok $1"
	else
		failed=$((failed + 1))
		say "not ok $1:"
		tail -40 "$out/$1.log" >&2
	fi
}

for test in tests/unit/test-*.c; do
	name=$(basename "$test" .c)
	# shellcheck disable=SC2046
	{
		gcc "${flags[@]}" -fsanitize=address,undefined -fno-sanitize-recover=all \
			-o "$out/$name" "$test" $(links "$test") "${check_libs[@]}" "${libs[@]}" &&
			timeout 120 "$out/$name"
	} >"$out/$name.log" 2>&1 && status=0 || status=$?
	result "$name" "$status"
done

# Weakened memory order shows only here.
{
	# shellcheck disable=SC2046
	gcc "${flags[@]}" -fsanitize=thread -o "$out/tsan-map-race" tests/unit/test-map-race.c \
		$(links tests/unit/test-map-race.c) "${check_libs[@]}" "${libs[@]}" &&
		timeout 120 "$out/tsan-map-race"
} >"$out/tsan-map-race.log" 2>&1 && status=0 || status=$?
result tsan-map-race "$status"

for test in tests/unit/test-*.sh tests/unit/test-*.py; do
	name=$(basename "$test")
	timeout 300 "$test" build/sluicectl >"$out/$name.log" 2>&1 && status=0 || status=$?
	result "$name" "$status"
done

# Not counted in one: each target is a test.
fuzzed=$(tests/fuzz/run.sh "${FUZZ_SECONDS:-3}") || true
read -r p _ f _ <<<"${fuzzed:-0 passed, 1 failed}"
passed=$((passed + p)) failed=$((failed + f))

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
