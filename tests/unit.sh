#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Unit tests under ASan and UBSan, and the fuzz targets for a few seconds each.
# A test names the files it links in a comment "LINK:" in its first lines.
# Ends with "N passed, N failed".

# shellcheck source=tests/vm/lib.sh
. "$(dirname "$0")/vm/lib.sh"
cd "$SLUICE_TOP"
passed=0 failed=0
out=build/check/unit
mkdir -p "$out"
flags=(-std=gnu11 -O1 -g -D_GNU_SOURCE -DSLUICE_VERSION='"test"' -I. -Ilibcommon -Ikmod
	-Ikmod/uapi -Idaemon -Wall -Wextra -Werror -fno-omit-frame-pointer)
libs=(-ljson-c -lcrypto -luring -lpthread)
read -ra check_libs <<<"$(pkg-config --cflags --libs check)"
SECONDS_EACH=${FUZZ_SECONDS:-3}

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

links() {
	sed -n '1,5s|.*LINK: *\(.*[^ ]\) *\*/.*|\1|p' "$1"
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

for test in tests/unit/test-*.sh; do
	[ -e "$test" ] || continue
	name=$(basename "$test")
	timeout 300 "$test" build/sluicectl >"$out/$name.log" 2>&1 && status=0 || status=$?
	result "$name" "$status"
done

for target in tests/fuzz/fuzz-*.c; do
	[ -e "$target" ] || continue
	name=$(basename "$target" .c)
	corpus=tests/fuzz/corpus/${name#fuzz-}
	mkdir -p "$out/$name.corpus"
	seeds=()
	[ -d "$corpus" ] && seeds=("$corpus")
	# shellcheck disable=SC2046
	{
		clang "${flags[@]}" -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
			-o "$out/$name" "$target" $(links "$target") "${libs[@]}" &&
			"$out/$name" -max_total_time="$SECONDS_EACH" -timeout=10 \
				-artifact_prefix="$out/$name." "$out/$name.corpus" "${seeds[@]}"
	} >"$out/$name.log" 2>&1 && status=0 || status=$?
	result "$name" "$status"
done

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
