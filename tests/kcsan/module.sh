#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# module.sh DIR [PATCH]: the module, patched, with accesses that weigh (weigh.c), built
# in DIR for the race detector's kernel.

# shellcheck source=tests/vm/lib.sh
. "$(dirname "$0")/../vm/lib.sh"
cd "$SLUICE_TOP"
dir=${1:?usage: module.sh DIR [PATCH]} patch=${2:-}
here=tests/kcsan

kernel=$(tests/vm/kernel.sh kcsan)
module_sources "$dir" "$patch"
cp "$here/weigh.c" "$dir"
{
	echo 'sluice-y += weigh.o'
	echo 'KCSAN_SANITIZE_weigh.o := n'
	echo 'CFLAGS_weigh.o := -foptimize-sibling-calls'
	for access in read write; do
		for n in 1 2 4 8 16; do
			echo "ldflags-y += --wrap=__tsan_$access$n"
		done
	done
} >>"$dir/Kbuild"
make -s -C "$kernel/build" M="$(realpath "$dir")" SLUICE_VERSION=watched modules >&2
