#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# make demo-local: sets up all it needs, runs the demonstration in one guest and
# leaves its timeline in build/demo/timeline.json.

# shellcheck source=tests/vm/lib.sh
. "$(dirname "$0")/../vm/lib.sh"
cd "$SLUICE_TOP"

tests/vm/deps.sh
image=$(tests/image/build.sh)
kernel=$(tests/vm/kernel.sh plain)
make -s user >&2
make -s module KERNEL="$kernel/build" KMOD_DIR=build/kmod-plain >&2
make -s guest-tools >&2

rm -rf build/demo
mkdir -p build/demo
tests/vm/guest.sh --kernel plain --memory 1024 --timeout 600 --out build/demo/guest \
	--env SLUICE_KO="$SLUICE_TOP/build/kmod-plain/sluice.ko" \
	--disk "$image,snapshot" --disk new:2304M tests/demo/local-guest.sh
cp build/demo/guest/timeline.json build/demo/
tests/vm/dmesg-scan.sh build/demo/guest/console.log
say "timeline: build/demo/timeline.json"
