#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# serve-xz.sh: on the machine that runs a guest, for one NBD connection of it on stdin
# and stdout: what is in the file SLUICE_XZ, read from a web server in ranges and
# unpacked. Here, since unpacking is what an emulated processor does worst.

set -euo pipefail

web=
# shellcheck disable=SC2317 # called by the trap
clean_up() { [ -z "$web" ] || kill "$web" 2>/dev/null || true; }
trap clean_up EXIT

# Another may have the port: then this server has ended by itself.
for _ in $(seq 20); do
	port=$((20000 + RANDOM % 20000))
	busybox httpd -f -p "127.0.0.1:$port" -h "$(dirname "${SLUICE_XZ:?}")" </dev/null >/dev/null &
	web=$!
	for _ in $(seq 50); do
		kill -0 "$web" 2>/dev/null || continue 2
		! nc -z 127.0.0.1 "$port" || break 2
		sleep 0.1
	done
done
nbdkit -s -r --filter=xz curl "http://127.0.0.1:$port/$(basename "$SLUICE_XZ")"
