#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2317,SC2119,SC2120 # functions are called by name
# In a guest: /dev/vda is an image, /dev/vdb a blank local disk. A boot is recorded
# through a real host driver, and deployed with; and how the copy tells its end.

# shellcheck source=tests/guest/lib.sh
. "${SLUICE_TOP:?}/tests/guest/lib.sh"
# shellcheck source=tests/guest/assert.sh
. "$SLUICE_TOP/tests/guest/assert.sh"

ctl=$BIN/sluicectl
source="nvme-tcp://10.77.0.1:4420/$IMAGE_NQN?nsid=1"
image_bytes=$(blockdev --getsize64 /dev/vda)

# What a boot asks for, as "KIB-OFFSET KIB-LENGTH": here and there, of all sizes, no two
# side by side, none twice.
boot() { # SEED COUNT
	awk -v seed="$1" -v count="$2" 'BEGIN {
		srand(seed)
		split("4 4 8 16 16 32 64 128", size, " ")
		while (n < count) {
			slot = 16 + int(rand() * 200)
			if (!(slot in used)) {
				used[slot] = 1
				n++
				print slot * 256, size[1 + int(rand() * 8)]
			}
		}
	}'
}

# read_boot FILE DISK: as a host does, one after the other.
read_boot() {
	local offset length
	while read -r offset length; do
		dd if="$2" of=/dev/null bs="${length}k" skip=$((offset * 1024)) count=1 \
			iflag=direct,skip_bytes status=none || return 1
	done <"$1"
}

# in_order BOOT PROFILE: the profile has the boot's extents in the boot's order.
in_order() {
	awk 'NR == FNR { want[$1 * 1024] = $2 * 1024; order[++n] = $1 * 1024; next }
		/^[0-9]/ && $1 in want {
			if (order[++at] != $1 || want[$1] != $2) { print "unlike:", $0; bad = 1 }
		}
		END { exit bad || at != n }' "$1" "$2"
}

# same_blocks ONE OTHER...: the blocks of the first are those of the others.
same_blocks() {
	awk '/^[0-9]/ { for (o = $1; o < $1 + $2; o += 4096)
			if (FILENAME != ARGV[1]) others[o] = 1
			else if (o in one) exit 1
			else one[o] = 1 }
		END {
			for (o in one) if (!(o in others)) exit 1
			for (o in others) if (!(o in one)) exit 1
		}' "$@"
}

deploy() {
	"$ctl" deploy d --source "$source" --local /dev/vdb --format --force "$@"
}

host_up() {
	"$ctl" export d loop >/dev/null
	host_connect "$("$ctl" status d -o json | value nqn)"
}

host_down() {
	nvme disconnect -n "$("$ctl" status d -o json | value nqn)" >/dev/null
}

# part KEY: of the profile object of the status.
profile_part() {
	status_json | sed -n 's/.*"profile":{\([^}]*\)}.*/\1/p' | tr -d '"' | tr ',' '\n' |
		sed -n "s/^$1:\(.*\)/\1/p"
}

status_json() {
	"$ctl" status d -o json | tr -d ' \n'
}

storage_up 0.5ms 1gbit
storage_serve /dev/vda
insmod "$SLUICE_KO"
daemon_start

recorded() {
	local recorder
	boot 1 40 >/tmp/boot1
	boot 2 25 >/tmp/boot2

	deploy --paused >/dev/null
	"$ctl" profile record d /tmp/one.profile 2>/tmp/record.err &
	recorder=$!
	check "a recording is under way" until_status extents 0
	refused "a second one is refused" 1 'recorded already' "$ctl" profile record d
	host_up
	check "the host reads" read_boot /tmp/boot1 "$HOST"
	check "and again" read_boot /tmp/boot1 "$HOST"
	check "mark" "$ctl" mark d up
	check "the recording ends by the mark" wait "$recorder"
	cat /tmp/record.err
	check "the profile is what the host read, in its order" in_order /tmp/boot1 /tmp/one.profile
	check "and knows its image" grep -q "^sluice-profile 1 bytes=$image_bytes digest=sample:" /tmp/one.profile
	check "nothing else was fetched meanwhile, nor ahead" \
		[ "$(status fetched_bytes)" = "$(status demand_bytes)" ]
	check "all of it" [ "$("$ctl" profile show /tmp/one.profile -o json | value bytes)" = "$(status fetched_bytes)" ]
	check "what was paused stays paused" [ "$(status state)" = paused ]
	check "the last recording can be had again" "$ctl" profile get d /tmp/again.profile
	check "as it was" cmp /tmp/one.profile /tmp/again.profile
	host_down
	"$ctl" detach d >/dev/null

	# A recording pauses the copy by itself, and lets it go on.
	deploy --max-rate 512K >/dev/null
	"$ctl" profile record d /tmp/two.profile --until quiet=3 2>/tmp/record.err &
	recorder=$!
	check "another recording" until_status extents 0
	check "stops the copy" [ "$(status state)" = paused ]
	host_up
	check "another boot" read_boot /tmp/boot2 "$HOST"
	check "a quiet period ends it" wait "$recorder"
	check "it says what it did not see" grep -q 'local before' /tmp/record.err
	check "the copy goes on" until_status state copying
	check "a time ends one" "$ctl" profile record d --until 1 -o json
	host_down
	"$ctl" detach d >/dev/null

	"$ctl" profile merge /tmp/one.profile /tmp/two.profile >/tmp/merged.profile
	check "two boots make one profile with all of both, and nothing twice" \
		same_blocks /tmp/merged.profile /tmp/one.profile /tmp/two.profile
}

# reads_start, reads_stop: offsets of what is read of the image's disk, in order.
reads_start() {
	local t=/sys/kernel/tracing
	echo 0 >"$t/tracing_on"
	echo >"$t/trace"
	echo 'dev == 266338304 && rwbs ~ "*R*"' >"$t/events/block/block_rq_issue/filter"
	echo 1 >"$t/events/block/block_rq_issue/enable"
	echo 1 >"$t/tracing_on"
}

reads_stop() {
	local t=/sys/kernel/tracing
	echo 0 >"$t/tracing_on"
	echo 0 >"$t/events/block/block_rq_issue/enable"
	awk '{ for (i = 1; i < NF; i++) if ($i == "+") print $(i - 1) * 512, $(i + 1) * 512 }' "$t/trace"
}

# How far what came is from the profile's order at most, and what came before it was done.
disorder() { # PROFILE READS
	awk 'NR == FNR { if (/^[0-9]/) for (o = $1; o < $1 + $2; o += 4096) place[o] = ++n; next }
		{
			for (o = $1; o < $1 + $2; o += 4096) {
				if (!(o in place)) { if (seen < n) early++; continue }
				seen++
				at = place[o] - seen
				if (at < 0) at = -at
				if (at > most) most = at
			}
		}
		END { print most + 0, early + 0, n - seen }' "$1" "$2"
}

deployed() {
	local most early missing before

	[ "$(lsblk -dno MAJ:MIN /dev/vda | tr -d ' ')" = 254:0 ] || die "vda has another number"
	# By the pace, not beside each other: so that the source sees an order.
	deploy --paused --max-rate 128K --profile /tmp/one.profile >/dev/null
	reads_start
	"$ctl" resume d >/dev/null
	check "the profile is what is fetched first" [ "$(status phase)" = profile ]
	"$ctl" limit d --max-rate 1M >/dev/null
	check "then the rest" until_status phase image
	sleep 1
	"$ctl" pause d >/dev/null
	reads_stop >/tmp/reads
	read -r most early missing < <(disorder /tmp/one.profile /tmp/reads)
	say "blocks out of order: at most $most; of others before the end: $early; not read: $missing"
	check "the source is read in the profile's order" [ "$most" -le 96 ]
	check "nothing else before that" [ "$early" = 0 ]
	check "and all of it" [ "$missing" = 0 ]
	before=$(status demand_bytes)
	host_up
	check "the host boots" read_boot /tmp/boot1 "$HOST"
	check "and waits for nothing" [ "$(status demand_bytes)" = "$before" ]
	host_down
	"$ctl" detach d >/dev/null
	check "a profile ends with its deployment" [ ! -e /var/lib/sluice/d.profile ]
}

# The daemon dies in the middle of the profile.
restarted() {
	local before

	deploy --max-rate 128K --profile /tmp/one.profile >/dev/null
	sleep 2
	check "the profile is under way" [ "$(status phase)" = profile ]
	daemon_kill KILL 2>/dev/null || true
	daemon_start
	check "it is there after a restart" [ "$(profile_part extents)" = \
		"$(grep -c '^[0-9]' /tmp/one.profile)" ]
	"$ctl" limit d --max-rate 4M >/dev/null
	check "and comes to its end" until_status phase image
	"$ctl" pause d >/dev/null
	before=$(status demand_bytes)
	check "everything in it is local" read_boot /tmp/boot1 /dev/sluice0
	check "without a demand" [ "$(status demand_bytes)" = "$before" ]
	"$ctl" limit d --max-rate 0 >/dev/null
	"$ctl" resume d >/dev/null
	check "the rest follows" "$ctl" wait d --timeout 300
	"$ctl" detach d >/dev/null
	check "and equals the image" compare /dev/vda
}

# Of another image, edited, and wrong.
fitted() {
	{
		sed '1s/sample:..../sample:0000/' /tmp/one.profile
		echo "$((image_bytes - 4096)) 8K # the last block, and one behind"
		echo "1T 1M"
	} >/tmp/other.profile
	deploy --paused --profile /tmp/other.profile >/dev/null 2>/tmp/deploy.err
	check "a profile of another image is used with a warning" grep -q 'another image' /tmp/deploy.err
	check "and without what the image does not have" grep -q 'behind the end' /tmp/deploy.err
	check "as the log says, too" grep -q 'of the boot profile are behind' "$OUT/sluiced.log"
	check "which the status says" [ "$(profile_part clipped_bytes)" = $((4096 + (1 << 20))) ]
	check "with both" [ "$(profile_part same_image)" = false ]
	"$ctl" detach d >/dev/null
	sed '1s/$/\n\n4096 banana/' /tmp/one.profile >/tmp/bad.profile
	refused "a bad line is told" 2 '/tmp/bad.profile:3: The length' \
		deploy --profile /tmp/bad.profile
	refused "a file that is none, too" 2 '/tmp/boot1:1: It is no profile' \
		deploy --profile /tmp/boot1
}

# A steady link: what is said at 30 % against what it took. Within 20 % is promised;
# where other machines take this one's time, a second more or less is theirs.
eta() {
	local said began took off

	tc qdisc change dev sto root netem delay 0.5ms rate 40mbit limit 10000
	ip netns exec storage tc qdisc change dev sto root netem delay 0.5ms rate 40mbit limit 10000
	deploy >/dev/null
	"$ctl" wait d --for 30 >/dev/null
	said=$(status eta_s)
	began=$(now_ms)
	"$ctl" wait d >/dev/null
	took=$((($(now_ms) - began) / 100))
	off=$((took > said * 10 ? took - said * 10 : said * 10 - took))
	say "at 30 % it said $said s, and took $((took / 10)).$((took % 10)) s"
	check "the time to go is right within 20 % and a second" [ "$off" -le $((took / 5 + 10)) ]
	"$ctl" detach d >/dev/null
}

parts "${@:-recorded deployed restarted fitted eta}"
daemon_kill TERM || true
check "the module unloads" rmmod sluice
finish
