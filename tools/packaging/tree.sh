# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Sourced by deb.sh and rpm.sh, never run.

# sources DIR: what git tracks, or all but build/ where there is no git, from the top.
sources() {
	mkdir -p "$1"
	if [ -e .git ]; then
		git ls-files -z
	else
		find . -path ./build -prune -o -type f -printf '%P\0'
	fi | tar -c --null -T - | tar -x -C "$1"
}

# The same sources give the same packages.
source_date() { # FORMAT
	git log -1 --format=%cd --date="format:$1" 2>/dev/null || date -r Makefile "+$1"
}

# logged LOG COMMAND...: says only what went wrong.
logged() {
	local log=$1
	shift
	"$@" >"$log" 2>&1 && return
	tail -40 "$log" >&2
	printf '%s: the packages do not build; %s has it all\n' "$0" "$log" >&2
	exit 1
}
