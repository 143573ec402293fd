#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# run.sh: the model of one block, whole, and with each bug, which must be found.
# Ends with "N passed, N failed".
set -euo pipefail

here=$(realpath "$(dirname "$0")")
out=$(realpath "$here/../..")/build/check/spin
bugs=(FILL_UNCHECKED BIT_AT_SUBMIT PARTIAL_AS_WHOLE DISCARD_UNCLAIMED FLUSH_EARLY COPY_LATE
	NO_FLUSH MAP_NOT_FLUSHED FIRST_NOT_DURABLE UNFLUSHED_IGNORED ASKED_EARLY)
passed=0 failed=0
mkdir -p "$out"
cd "$out"

# errors NAME [SPIN_OPTION]...: how many the verifier finds; nothing when it does not run.
errors() {
	local dir=$1
	shift
	mkdir -p "$dir"
	(cd "$dir" && rm -f ./*.trail && spin "$@" -a "$here/block.pml" &&
		gcc -O2 -w -DSAFETY -DCOLLAPSE -DVECTORSZ=2048 -o pan pan.c &&
		# Blocked writers at the end are a daemon that is gone, no error.
		./pan -E -m100000) >"$dir.log" 2>&1 || true
	sed -n 's/.*errors: \([0-9]*\)$/\1/p' "$dir.log"
}

check() { # NAME WHETHER
	if "${@:2}"; then
		passed=$((passed + 1))
		echo "ok $1"
	else
		failed=$((failed + 1))
		echo "not ok $1: see $out"
	fi
}

actors=("-DWRITER -DPARTIAL" "-DWRITER -DLATER" "-DPARTIAL -DDISCARD" "-DWRITER -DDISCARD")

holds() { # ACTORS
	local name=holds${1//[- ]/}
	# shellcheck disable=SC2086 # several options
	[ "$(errors "$name" $1)" = 0 ] && ! grep -q 'search not completed\|max search depth' "$name.log"
}

found() { # BUG
	local some n=0
	for some in "${actors[@]}"; do
		n=$((n + 1))
		# shellcheck disable=SC2086
		[ "$(errors "$1-$n" $some -D"$1")" -gt 0 ] && return 0
	done
	return 1
}

for some in "${actors[@]}"; do
	check "the model holds with $some" holds "$some"
done
for bug in "${bugs[@]}"; do
	check "$bug is found" found "$bug"
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
