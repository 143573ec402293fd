# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Counting checks. Sourced, never run.

PASSED=0 FAILED=0

ok() {
	PASSED=$((PASSED + 1))
	printf 'ok %s\n' "$*"
}

not_ok() {
	FAILED=$((FAILED + 1))
	printf 'not ok %s\n' "$*"
}

# check NAME COMMAND...
check() {
	local name=$1
	shift
	if "$@"; then ok "$name"; else not_ok "$name"; fi
}

# refused NAME CODE PATTERN COMMAND...: ends with that status, one line on
# stderr that matches, and nothing on stdout.
refused() {
	local name=$1 code=$2 pattern=$3 status=0 lines said
	shift 3
	"$@" >/tmp/refused.out 2>/tmp/refused.err || status=$?
	mapfile -t lines </tmp/refused.err
	said=${lines[*]}
	if [ "$status" = "$code" ] && [ ${#lines[@]} = 1 ] && [ ! -s /tmp/refused.out ] &&
		[[ $said =~ $pattern ]]; then
		ok "$name: $said"
	else
		not_ok "$name: status $status, wanted $code with /$pattern/; it said: $said $(</tmp/refused.out)"
	fi
}

finish() {
	printf '%d passed, %d failed\n' "$PASSED" "$FAILED"
	[ "$FAILED" = 0 ]
	exit
}
