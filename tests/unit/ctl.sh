# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# For tests of sluicectl, whose first argument may be another one than that of build/: a
# server for it, and counts. Sourced from the top, never run.

# shellcheck disable=SC2034 # of whoever sources it
ctl=$(realpath "${1:-build/sluicectl}")
[ -x "$ctl" ] || { echo "There is no sluicectl at $ctl; run make build/sluicectl first."; exit 1; }
tmp=$(mktemp -d) || exit 1
sock=$tmp/sock
server=
passed=0
failed=0
unset NO_COLOR COLUMNS
export LC_ALL=C.UTF-8

stop() {
	[ -z "$server" ] || { kill "$server" && wait "$server"; } 2>/dev/null
	server=
	rm -f "$sock"
}
trap 'stop; rm -rf "$tmp"' EXIT

start() { # COMMAND...: something that makes the socket
	stop
	"$@" 2>"$tmp/server" &
	server=$!
	for _ in $(seq 600); do
		[ -S "$sock" ] && return
		sleep 0.05
	done
	echo "no server"
	exit 1
}

# A daemon without deployments.
start_sluiced() {
	mkdir "$tmp/state"
	start build/sluiced --state-dir "$tmp/state" --socket "$sock"
}

# fake: fake-sluiced with the script on stdin; what is called is in $tmp/calls.
fake() {
	cat >"$tmp/script"
	: >"$tmp/calls"
	[ -e "$tmp/fake-sluiced" ] ||
		${CC:-cc} -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -Werror -Ilibcommon -o "$tmp/fake-sluiced" \
			tests/unit/fake-sluiced.c libcommon/message.c -ljson-c || exit 1
	start "$tmp/fake-sluiced" "$sock" "$tmp/script" "$tmp/calls"
}

# The last line of a test.
finish() {
	echo "$passed passed, $failed failed"
	[ "$failed" = 0 ]
}
