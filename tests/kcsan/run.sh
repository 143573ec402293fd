#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# run.sh: what runs at once, in guests whose kernel reports data races (KCSAN), module
# included; any report with a function of Sluice's on the way to one of the accesses
# is a failure. The same with races seeded into the module, which must be reported.
# Ends with "N passed, N failed".

# shellcheck source=tests/vm/lib.sh
. "$(dirname "$0")/../vm/lib.sh"
cd "$SLUICE_TOP"
here=tests/kcsan
out=build/check
passed=0 failed=0

mkdir -p "$out"
make -s crash-tools >&2
"$here/module.sh" build/kmod-kcsan

status=0
KERNEL_FLAVOUR=kcsan SLUICE_KO=build/kmod-kcsan/sluice.ko tests/guest.sh kmod races deploy deploy-killed deploy-daemon recorded |
	tee "$out/kcsan-guests.log" >&2 || status=$?
# A run that counts nothing has tested nothing.
[[ $(tail -1 "$out/kcsan-guests.log") =~ ^[0-9]+\ passed,\ [0-9]+\ failed$ ]] || status=1
counted "$out/kcsan-guests.log" "$status"
status=0
[ -e "$out/guest-recorded/journal-0" ] && [ -e "$out/guest-recorded/journal-1" ] || status=1
verdict "deployments recorded to their end" "$status"

# watching GUEST: its detector was on to the end, and watched.
watching() {
	grep -q 'sluice: accesses weigh [0-9]*$' <(tr -d '\r' <"$out/guest-$1/console.log") &&
		awk '/^enabled:/ { on = $2 } /^setup_watchpoints:/ { n = $2 }
			END { exit !(on == 1 && n > 1000) }' "$out/guest-$1/kcsan"
}
status=0
for guest in kmod races deploy deploy-killed deploy-daemon; do
	watching "$guest" || { say "guest $guest was not watched"; status=1; }
done
verdict "the guests were watched" "$status"

# Silence means something only of a detector that speaks.
"$here/module.sh" build/kmod-kcsan-seeded "$here/seeds.patch"
seeded=$out/guest-seeded
rm -f "$seeded.scan"
seeds=(sluice_map_release sluice_part_alloc)
reported() { grep -q "KCSAN: data-race in .*\<$1\>" "$seeded.scan"; }
# Whether two processors meet is chance: what is asked is that they do before long. The
# clean module has been watched for longer than one attempt takes.
for attempt in 1 2 3; do
	# Counts that are lost may well show: that is not the question here.
	tests/vm/guest.sh --kernel kcsan --memory 1024 --out "$seeded" \
		--env SLUICE_KO="$SLUICE_TOP/build/kmod-kcsan-seeded/sluice.ko" \
		--disk new:80M --disk new:80M --disk new:80M tests/guest/kmod.sh all_at_once \
		>"$seeded.log" 2>&1 || true
	status=0
	tests/vm/dmesg-scan.sh "$seeded/console.log" >>"$seeded.scan" || status=$?
	! reported "${seeds[0]}" || ! reported "${seeds[1]}" || break
done
say "seeded races: attempt $attempt"
verdict "the log of seeded races is complained about" "$((status == 0))"
for function in "${seeds[@]}"; do
	status=0
	reported "$function" || status=1
	verdict "the race seeded into $function is reported" "$status"
done

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
