#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# run.sh [NAME]...: takes what upholds the invariants out of the module, one thing at a
# time, and asks the tests that the list names to fail. Ends with "N passed, N failed".

# shellcheck source=tests/vm/lib.sh
. "$(dirname "$0")/../vm/lib.sh"
cd "$SLUICE_TOP"
here=tests/removed
out=build/removed
names=("$@")

kernel=$(tests/vm/kernel.sh kasan)
make -s guest-tools >&2
module_sources "$out/src" "$here/removed.patch"
make -s -C "$kernel/build" M="$(realpath "$out/src")" SLUICE_VERSION=removed modules >&2

# Whatever can be taken out is tried, and nothing else.
cmp <(grep -oh 'REMOVED("[a-z-]*")' -r "$out/src/kmod" | cut -d'"' -f2 | sort -u) \
	<(awk '!/^#/ && $2 != "crash" { print $2 }' "$here/list" | sort) >&2 ||
	die "$here/list and $here/removed.patch name different things"
for n in {1..33}; do
	grep -q "^$n " "$here/list" || die "$here/list has nothing for invariant $n"
done
while read -r n _ mutant; do
	grep -q "\"[0-9]* $mutant\(\"\| \)" tests/crash/run.sh ||
		die "invariant $n: tests/crash/run.sh knows no mutant $mutant"
done < <(grep '^[0-9]* crash ' "$here/list")

# work N: a guest at a time for the N-th part, until each of it has ended or ended it.
work() {
	local dir=$out/guest-$1 name
	mkdir -p "$dir"
	while [ -s "$out/todo-$1" ]; do
		rm -f "$dir"/*
		cp "$out/todo-$1" "$dir/todo"
		tests/vm/guest.sh --kernel kasan --timeout 1500 --out "$dir" \
			--append panic_on_warn=0 --env SLUICE_KO="$SLUICE_TOP/$out/src/sluice.ko" \
			--disk new:80M --disk new:80M --disk new:80M \
			"$here/guest.sh" /mnt/out/todo >"$dir.log" 2>&1 || true
		grep -q '^begin ' "$dir/output.log" || { say "a guest did not begin: $dir.log"; return 1; }
		while read -r _ name; do
			awk -v name="$name" '$1 == "end" && $2 == name { print $3 }' \
				"$dir/output.log" >"$out/status-$name"
			# Without an end it took the guest with it.
			[ -s "$out/status-$name" ] || echo died >"$out/status-$name"
			cp "$dir/$name" "$out/log-$name" 2>/dev/null || true
			sed -i "/^[0-9]* $name /d" "$out/todo-$1"
		done < <(grep '^begin ' "$dir/output.log")
	done
}

rm -f "$out"/todo-* "$out"/status-* "$out"/log-*
n=0
while read -r number name tests; do
	if [ "$name" = crash ] || ! wanted "$name" "${names[@]}"; then
		continue
	fi
	echo "$number $name $tests" >>"$out/todo-$n"
	n=$((1 - n))
done < <(grep -v '^#' "$here/list")
work 0 &
work 1 &
wait

passed=0 failed=0
while read -r number name _; do
	if [ "$name" = crash ] || ! wanted "$name" "${names[@]}"; then
		continue
	fi
	status=$(cat "$out/status-$name" 2>/dev/null) || status='not run'
	# 1: a test has failed; 137: it hung.
	case $status in
	1 | 137 | died)
		passed=$((passed + 1))
		say "ok $number without $name: $(grep -hm1 'not true' "$out/log-$name" || echo "$status")"
		;;
	*)
		failed=$((failed + 1))
		say "not ok $number without $name: nobody noticed ($status)"
		;;
	esac
done < <(grep -v '^#' "$here/list")
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
