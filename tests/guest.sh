#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# guest.sh [NAME]...: the guest tests, each in a fresh KASAN+lockdep guest whose
# kernel log is scanned after it. Ends with "N passed, N failed". SLUICE_STRESS in
# the environment: the long variants, the stress so many times as long.

# shellcheck source=tests/vm/lib.sh
. "$(dirname "$0")/vm/lib.sh"
cd "$SLUICE_TOP"
passed=0 failed=0
flavour=${KERNEL_FLAVOUR:-kasan}
kernel=$(tests/vm/kernel.sh "$flavour")
# SLUICE_KO: a module that is there already, below the top.
ko=${SLUICE_KO:-build/kmod-$flavour/sluice.ko}
mkdir -p build/check build/tests
[ -n "${SLUICE_KO:-}" ] ||
	make -s module KERNEL="$kernel/build" KMOD_DIR="build/kmod-$flavour" >&2
make -s user guest-tools >&2
names=("$@")

# run NAME GUEST_OPTION... -- SCRIPT ARG...: leaves "PASSED FAILED" in its .result.
run() {
	local name=$1 out=build/check/guest-$1 status=0 last passed=0 failed=0
	local options=()
	shift
	while [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	shift
	rm -rf "$out"
	tests/vm/guest.sh --kernel "$flavour" --out "$out" --env SLUICE_KO="$SLUICE_TOP/$ko" \
		${SLUICE_STRESS:+--env SLUICE_STRESS="$SLUICE_STRESS"} \
		"${options[@]}" "$@" >"$out.log" 2>&1 || status=$?
	last=$(grep -E '^[0-9]+ passed, [0-9]+ failed' "$out.log" | tail -1) || true
	if [[ $last =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed ]]; then
		passed=${BASH_REMATCH[1]}
		failed=${BASH_REMATCH[2]}
		# A step that counts no failure and yet fails has failed once.
		[ "$status" = 0 ] || [ "$failed" != 0 ] || failed=1
	elif [ "$status" = 0 ]; then
		passed=1
	else
		failed=1
	fi
	if tests/vm/dmesg-scan.sh "$out/console.log" >"$out.scan" 2>&1; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
	fi
	echo "$passed $failed" >"$out.result"
	{
		echo "-- guest $name: status $status, $passed passed, $failed failed"
		grep -E '^not ok|not true' "$out.log" || true
		[ "$status" = 0 ] || tail -15 "$out.log"
		cat "$out.scan"
	} >&2
}

# Two guests at a time: each spends most of its time waiting.
started=()
guest() {
	wanted "$1" "${names[@]}" || return 0
	rm -f "build/check/guest-$1.result"
	[ "$(jobs -rp | wc -l)" -lt 2 ] || wait -n
	run "$@" &
	started+=("$1")
}

# An image of 64 MiB without a hole: the same bytes every time.
image=build/tests/random-64.img
[ -s "$image" ] || {
	openssl enc -aes-128-ctr -K 00 -iv 00 -in /dev/zero 2>/dev/null | head -c 64M >"$image.new" || true
	mv "$image.new" "$image"
}

disk=$image,snapshot
# The longest first, so that none runs alone for long.
guest refusals --memory 3072 --disk "$disk" --disk new:68M --disk new:16M -- \
	tests/guest/refusals.sh
guest deploy --memory 3072 --disk "$disk" --disk new:68M -- tests/guest/deploy.sh \
	under_load resumed source_lost paused from_file
guest deploy-killed --memory 3072 --disk "$disk" --disk new:68M -- tests/guest/deploy.sh \
	killed stopped
guest faults --memory 3072 ${SLUICE_STRESS:+--append kmemleak=on} --disk "$disk" --disk new:68M -- \
	tests/guest/faults.sh inv22_unreadable_source inv15_changing_image \
	${SLUICE_STRESS:+inv21_local_disk inv28_silent_daemon}
guest kmod --append kmemleak=on --disk new:80M --disk new:80M --disk new:80M -- tests/guest/kmod.sh
# Only by name: for the race detector, or since they take long (make check-sources).
if [ ${#names[@]} != 0 ]; then
	guest races --disk new:80M --disk new:80M --disk new:80M -- tests/guest/kmod.sh \
		all_at_once all_at_once_disk_pulled
	guest recorded --memory 2048 --disk new:140M --disk new:128M --disk new:80M --disk new:80M \
		--disk new:80M -- tests/crash/guest.sh 64 0 "record 0 1 1200 10" "record 0 2 1200 130"
	for kind in nbd iscsi nvme paths; do
		guest "sources-$kind" --memory 3072 --disk "$disk" --disk new:300M --timeout 900 -- \
			"tests/guest/sources-$kind.sh"
	done
fi
wait

for name in "${started[@]}"; do
	read -r p f <"build/check/guest-$name.result" || { p=0; f=1; }
	passed=$((passed + p))
	failed=$((failed + f))
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
