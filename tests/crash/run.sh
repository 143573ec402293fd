#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# run.sh [STATES [SEED [CUTS]]]: deployments recorded by dm-log-writes in a guest, and
# every disk that a crash may leave of them, judged; the same with seeded bugs, each of
# which must be caught; what is known of dm-clone, which must be seen; and power cuts of
# a whole machine. Ends with "states=N violations=N mutants=K/K control=caught".

# shellcheck source=tests/vm/lib.sh
. "$(dirname "$0")/../vm/lib.sh"
cd "$SLUICE_TOP"

states=${1:-20000} seed=${2:-1} cuts=${3:-10}
log_mib=64
out=build/check/crash
here=tests/crash
# More of one recording are only more random subsets of the same epochs.
most=50000
mutant_states=4000

kernel=$(tests/vm/kernel.sh plain)
mkdir -p build/tests
make -s crash-tools guest-tools user >&2

# The module with seeded bugs; without one chosen it is the module.
ko=build/kmod-mutants/sluice.ko
build_mutants() {
	local dir=build/kmod-mutants/src
	module_sources "$dir" "$here/mutants.patch"
	make -s -C "$kernel/build" M="$(realpath "$dir")" SLUICE_VERSION=mutants modules >&2
	gcc -std=gnu11 -O2 -D_GNU_SOURCE -DCRASH_MUTANTS -I"$dir/kmod" -Ikmod/uapi \
		-o build/tests/crash-enumerate-mutants "$here"/{enumerate,sample,disk,oracle,log}.c \
		"$dir/kmod/media.c"
	cp "$dir/sluice.ko" "$ko"
}
if [ ! -e "$ko" ] || [ -n "$(find "$here" kmod Kbuild -newer "$ko" | head -1)" ]; then
	build_mutants
fi

# number of enum sluice_mutant; who has to catch it: the enumerator, or a test of
# kmod-test, where a crash alone does not show it.
mutants=(
	"1 sync-without-flush"
	"2 dirty-set-taken-late"
	"3 bit-at-submit"
	"4 fua-dropped inv10_fua"
	"5 flush-answered-early"
	"6 no-checksum"
	"7 one-slot"
	"8 discard-without-claim inv17_discard_of_missing"
	"9 fill-without-check inv1_write_then_fill"
	"10 failure-forgotten inv20_sticky_metadata_failure"
	"11 generation-unchecked inv25_attachment"
	"12 claim-leaked inv5_failed_write_leaves_missing"
	"13 partial-write-as-whole"
	"14 map-not-flushed"
	"15 complete-early"
	"16 superblocks-at-once"
	"17 first-write-not-durable"
	"18 page-beside-flush"
)

jobs=()
recordings=$(((states + most - 1) / most))
[ "$recordings" -ge 2 ] || recordings=2
fua=(fua '')
for ((i = 0; i < recordings; i++)); do
	# One in four with a namespace of two map pages, which is never complete; one in
	# three on a slow disk; every other one on a disk with FUA.
	jobs+=("record 0 $((seed + i)) 1200 $((i % 4 == 1 ? 130 : 10)) $((i % 3 == 2 ? 4 : 0)) ${fua[i % 2]}")
done
for m in "${mutants[@]}"; do
	read -r number name test <<<"$m"
	# With a mutant the test must fail, without it not.
	if [ -n "$test" ]; then
		jobs+=("kmod $number $test" "kmod 0 $test")
	else
		# With one map page the bits are all in its first sector: no tear shows.
		case $name in
		no-checksum | one-slot) jobs+=("record $number $seed 600 130") ;;
		first-write-not-durable | page-beside-flush)
			jobs+=("record $number $seed 600 10 0 fua") ;;
		# On a slow disk there is time for what must not happen to happen.
		*) jobs+=("record $number $seed 600 10 4") ;;
		esac
	fi
done
jobs+=(control "peer $seed 600")
control=$((${#jobs[@]} - 2)) peer=$((${#jobs[@]} - 1))

# guest NAME CPUS FIRST JOB...: they run in a guest.
guest() {
	local name=$1 cpus=$2 first=$3
	shift 3
	tests/vm/guest.sh --kernel plain --cpus "$cpus" --memory 2048 --timeout 3000 --out "$out" \
		--env SLUICE_KO="$SLUICE_TOP/$ko" --disk new:140M \
		--disk "$SLUICE_TOP/$out/log.img,size=$(((first + $#) * log_mib))M" \
		--disk "$SLUICE_TOP/$out/source.img,size=80M" --disk new:80M --disk new:80M \
		"$here/guest.sh" "$log_mib" "$first" "$@" >"$out/$name.log" 2>&1 ||
		{ tail -20 "$out/$name.log" >&2; die "the guest failed; logs are in $out"; }
}

rm -rf "$out"
mkdir -p "$out"
# Enough of them are worth knowing that a disk that loses what it flushed is noticed.
{
	tests/crash/cuts.sh "$cuts" "$seed" || true
	[ "$cuts" -lt 50 ] || LYING=1 tests/crash/cuts.sh 5 "$seed" || true
} >"$out/cuts" 2>"$out/cuts.log" &
cutting=$!
trap 'pkill -TERM -P "$cutting" || true' EXIT
say "crash: recording ${#jobs[@]} deployments and tests"
guest recording 2 0 "${jobs[@]}"

# enumerate PROGRAM N STATES [OPTION]...: both processors; the log to enumerate-N.
enumerate() {
	local program=$1 n=$2 wanted=$3 part status=0 pids=()
	shift 3
	[ -e "$out/journal-$n" ] || { echo "no recording" >"$out/enumerate-$n.0"; return 2; }
	for part in 0 1; do
		"$program" --states "$wanted" --part "$part/2" "$@" "$out/log.img" \
			$((n * log_mib << 20)) "$out/journal-$n" >"$out/enumerate-$n.$part" 2>&1 &
		pids+=($!)
	done
	wait "${pids[0]}" || status=$?
	wait "${pids[1]}" || status=$((status > $? ? status : $?))
	return "$status"
}

found_by() { # N: violations, of both parts
	sed -n 's/^states=.* violations=\([0-9]*\).*/\1/p' "$out/enumerate-$1".* | awk '{ s += $1 } END { print s + 0 }'
}

each_of() { # N: what makes the whole of it; of dm-clone those without random ones
	echo $(($1 < recordings ? states / recordings + ($1 < states % recordings) : 0))
}

# State 5 of recording 2, say, is opened by the module: sampled[I] is "2 5".
sampled=() recoveries=()
sample() { # N NUMBER KIND
	local i state
	build/tests/crash-enumerate --states "$(each_of "$1")" --sample "$2" --prefix "$out/sample-$1" \
		"$out/log.img" $(($1 * log_mib << 20)) "$out/journal-$1" >"$out/samples-$1" ||
		die "recording $1 could not be sampled"
	while read -r _ i _ state; do
		sampled+=("$1 $state")
		recoveries+=("$3 journal-$1 sample-$1-${i%:}")
	done < <(grep '^sample' "$out/samples-$1")
}
for ((n = 0; n < recordings; n++)); do
	# Of a large namespace each takes half a minute.
	sample "$n" $((recordings > 4 || n % 4 == 1 ? 2 : 4)) recover
done
sample "$peer" 4 recover-peer
say "crash: ${#recoveries[@]} of these states are opened, and brought to their end"
# One after the other: nothing there is for a second processor.
guest recovery 1 "${#jobs[@]}" "${recoveries[@]}" &
recovery=$!

total=0 violations=0 caught=0 n=0
for ((; n < recordings; n++)); do
	status=0
	enumerate build/tests/crash-enumerate "$n" "$(each_of "$n")" || status=$?
	# 1: violations; anything else is no verdict.
	[ "$status" -le 1 ] ||
		{ cat "$out/enumerate-$n".* >&2; die "recording $n, \"${jobs[n]}\", could not be judged"; }
	total=$((total + $(sed -n 's/^states=\([0-9]*\).*/\1/p' "$out/enumerate-$n.0")))
	found=$(found_by "$n")
	violations=$((violations + found))
	say "crash: recording $n: ${jobs[n]}: $found violations"
	grep -h '^violation' "$out/enumerate-$n".* >&2 || true
done
for m in "${mutants[@]}"; do
	read -r number name test <<<"$m"
	if [ -n "$test" ]; then
		if [ "$(<"$out/status-$n")" != 0 ] && [ "$(<"$out/status-$((n + 1))")" = 0 ]; then
			by=$test
		else
			by=
		fi
		n=$((n + 2))
	else
		by=
		if ! enumerate build/tests/crash-enumerate-mutants "$n" "$mutant_states" --mutant "$number"; then
			by=$(sed -n 's/^invariant \([0-9]*\):.*/\1/p' "$out/enumerate-$n".* | sort -nu |
				paste -sd' ')
			[ -z "$by" ] || by="the enumerator: invariant $by"
		fi
		n=$((n + 1))
	fi
	[ -z "$by" ] || caught=$((caught + 1))
	say "crash: mutant $name: ${by:-NOT CAUGHT}"
done

# What was opened, and every crash while it was.
judge() { # NUMBER N STATE OPTION VALUE: of crash-enumerate
	build/tests/crash-enumerate --states "$(each_of "$2")" --state "$3" "$4" "$5" "$out/log.img" \
		$(($2 * log_mib << 20)) "$out/journal-$2" >"$out/judge-$1$4" 2>&1
}
wait "$recovery" || die "what was sampled could not be opened"
during=0 clone=0
for i in "${!sampled[@]}"; do
	read -r n state <<<"${sampled[i]}"
	slot=$((${#jobs[@]} + i)) dump=$out/dump-$((${#jobs[@]} + i)) status=0
	judge "$i" "$n" "$state" --read "$dump" || status=$?
	if [ "$n" = "$peer" ]; then
		clone=$((clone + $(sed -n 's/^states=.* violations=//p' "$out/judge-$i--read")))
		continue
	fi
	[ "$status" != 0 ] || judge "$i" "$n" "$state" --then $((slot * log_mib << 20)) || status=$?
	if [ "$status" != 0 ]; then
		violations=$((violations + 1))
		say "crash: state $state of recording $n, opened:"
		cat "$out/judge-$i"-* >&2
	fi
	during=$((during + $(sed -n 's/^states=\([0-9]*\).*/\1/p' "$out/judge-$i--then")))
done
say "crash: and $during of crashes while they were"

wait "$cutting"
mapfile -t done_cuts < <(sed -n 's/^cuts=.* violations=//p' "$out/cuts")
say "crash: $(head -n 1 "$out/cuts")"
if [ "${done_cuts[0]:-1}" != 0 ]; then
	violations=$((violations + 1))
	tail -n 40 "$out/cuts.log" >&2
fi
lying=caught
[ "$cuts" -lt 50 ] || [ "${done_cuts[1]:-0}" != 0 ] || lying=NOT

echo "caught enumerator: $clone states of $(grep -c "^$peer " <(printf '%s\n' "${sampled[@]}")), opened by it" >>"$out/control-$control"
[ "$clone" != 0 ] || echo "NOT caught: no violation in what dm-clone left" >>"$out/control-$control"
sed 's/^/crash: dm-clone: /' "$out/control-$control" >&2
[ "$lying" = caught ] || say "crash: a local disk that does not flush was not noticed"
verdict=missed
if grep -q '^caught' "$out/control-$control" && ! grep -q '^NOT' "$out/control-$control" &&
	[ "$lying" = caught ]; then
	verdict=caught
fi
# A violation wants its recording again.
[ "$violations" != 0 ] || rm -f "$out/log.img"
echo "states=$total violations=$violations mutants=$caught/${#mutants[@]} control=$verdict"
[ "$violations" = 0 ] && [ "$caught" = "${#mutants[@]}" ] && [ "$verdict" = caught ]
