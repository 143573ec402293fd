#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# run.sh [SECONDS [TARGET]...]: each fuzz target for so long, from its seeds and what
# earlier runs have found in build/check/fuzz. Ends with "N passed, N failed"; what
# breaks one is kept, and is to be a seed once it does not.

# shellcheck source=tests/vm/lib.sh
. "$(dirname "$0")/../vm/lib.sh"
# shellcheck source=tests/unit/lib.sh
. "$SLUICE_TOP/tests/unit/lib.sh"
cd "$SLUICE_TOP"
seconds=${1:-3}
shift || true
names=("$@")
if [ ${#names[@]} = 0 ]; then
	for target in tests/fuzz/fuzz-*.c; do
		target=${target##*/fuzz-}
		names+=("${target%.c}")
	done
fi
passed=0 failed=0
out=build/check/fuzz
mkdir -p "$out"
# shellcheck disable=SC2054 # one option
flags+=(-fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all)

fuzz() { # NAME
	local seeds=()
	mkdir -p "$out/$1.corpus"
	[ ! -d "tests/fuzz/corpus/$1" ] || seeds=("tests/fuzz/corpus/$1")
	compile clang "$out/$1" "tests/fuzz/fuzz-$1.c" &&
		"$out/$1" -max_total_time="$seconds" -timeout=10 -artifact_prefix="$out/$1." \
			"$out/$1.corpus" "${seeds[@]}"
}

for name in "${names[@]}"; do
	[ -e "tests/fuzz/fuzz-$name.c" ] || die "there is no fuzz target \"$name\""
	status=0
	fuzz "$name" >"$out/$name.log" 2>&1 || status=$?
	verdict "fuzz-$name" "$status" "$out/$name.log"
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
