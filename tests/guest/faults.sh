#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2317,SC2119,SC2120 # functions are called by name
# In a guest: /dev/vda is an image, /dev/vdb a blank local disk. What goes wrong on
# either side of the real daemon: blocks of the source that cannot be read, an
# image that is changed or cut while it is copied, a disk that refuses writes, a
# daemon that falls silent.

# shellcheck source=tests/guest/lib.sh
. "${SLUICE_TOP:?}/tests/guest/lib.sh"
# shellcheck source=tests/guest/assert.sh
. "$SLUICE_TOP/tests/guest/assert.sh"

export DM_DISABLE_UDEV=1
ctl=$BIN/sluicectl
# Both disks behind device-mapper, where they can be made to fail.
source="nvme-tcp://10.77.0.1:4420/$IMAGE_NQN?nsid=1"
image=/dev/mapper/image
local=/dev/mapper/local

# deploy [OPTION]...: NAME is "d"
deploy() {
	"$ctl" deploy d --source "$source" --local "$local" --size image --format --force "$@" \
		>/dev/null
}

wait_complete() {
	"$ctl" wait d --timeout "${1:-300}" >/dev/null
}

fails() { ! "$@"; }

# read_block NUMBER [SECONDS]
read_block() {
	timeout "${2:-60}" dd if=/dev/sluice0 of=/tmp/block bs=4k skip="$1" count=1 iflag=direct status=none
}

# Some blocks of the source cannot be read: the rest comes, those never count as
# there, and a host that asks for one is told after its deadline. From a disk: behind
# nvmet-tcp it is not the error that is seen but, after 30 s, the kernel's time-out.
inv22_unreadable_source() {
	local b source=file:$image

	for b in $(seq 9000 9007) 12345; do
		dmsetup message image 0 addbadblock "$b" >/dev/null
	done
	dmsetup message image 0 enable
	deploy --deadline 6000
	check "a block that the source cannot read is an error" fails read_block 9003
	echo 20000 >/sys/block/sluice0/sluice/deadline_ms
	check "one beside it is not" read_block 9100
	dd if=/dev/vda bs=4k skip=9100 count=1 iflag=direct status=none | cmp - /tmp/block || not_ok "wrong data"
	# A chunk that was read in part is read again as a whole.
	check "the rest becomes local" until_true 300 local_but 2
	check "and that is not complete" until_status state stalled
	check "it says why" grep -q 'cannot be read (.*); trying on' <<<"$(status error)"
	dmsetup message image 0 disable
	check "a source that is well again completes" wait_complete
	"$ctl" detach d >/dev/null
	check "and equals the image, after errors of the source" compare /dev/vda
}

# remap_local LINE...: the local disk's table from now on.
remap_local() {
	dmsetup suspend --noflush --nolockfs local
	printf '%s\n' "$@" | dmsetup load local
	dmsetup resume local
}

# The disk refuses a range: what waits is served, the rest comes, then all.
inv21_local_disk() {
	local size bad=$((5000 * 8))

	size=$(blockdev --getsz /dev/vdb)
	deploy --max-rate 1M
	remap_local "0 $bad linear /dev/vdb 0" "$bad 80 error" \
		"$((bad + 80)) $((size - bad - 80)) linear /dev/vdb $((bad + 80))"
	check "a block that cannot be kept is read all the same" same_block 5003
	"$ctl" limit d --max-rate 0 >/dev/null
	check "the rest becomes local beside it" until_true 300 local_but 1
	check "which is not complete either" [ "$(status state)" != complete ]
	remap_local "0 $size linear /dev/vdb 0"
	check "a disk that is well again completes" wait_complete
	"$ctl" detach d >/dev/null
	check "and equals the image, after errors of the disk" compare /dev/vda
}

# same_block NUMBER: is read, as it is in the image.
same_block() {
	read_block "$1" && dd if=/dev/vda bs=4k skip="$1" count=1 iflag=direct status=none | cmp - /tmp/block
}

has_begun() { [ "$(status local_bytes)" -ge $((1 << 20)) ]; }

# Behind the blocks of the disk nothing can be written: nothing gets local any more, and
# the host can read all the same, under the next daemon, too.
inv20_metadata() {
	local size end

	size=$(blockdev --getsz /dev/vdb)
	deploy --max-rate 1M
	end=$(blockdev --getsz /dev/sluice0)
	check "it begins" until_true 60 has_begun
	remap_local "0 $end linear /dev/vdb 0" "$end $((size - end)) error"
	check "without its map it fails" until_status state failed
	check "and says so" grep -q 'metadata on .* cannot be written' <<<"$(status error)"
	check "what is not local is read" same_block 15000
	check "again" same_block 15000
	check "what is not local cannot be written" fails dd if=/dev/vda of=/dev/sluice0 bs=4k \
		seek=15001 count=1 oflag=direct status=none
	daemon_kill TERM || true
	daemon_start
	check "it has failed for the next daemon" until_status state failed
	check "of which the host reads, too" same_block 15002
	"$ctl" detach d >/dev/null
	remap_local "0 $size linear /dev/vdb 0"
}

# fails_as PATTERN: the deployment, for good; it is never complete.
fails_as() {
	check "$1: it fails" until_status state failed
	check "$1: it says so" grep -qE "$1" <<<"$(status error)"
	daemon_kill TERM || true
	daemon_start
	check "$1: also to the next daemon" until_status state failed
	check "$1: a resident block is still read" read_block 0
	[ "$(cat /sys/block/sluice0/sluice/state)" != complete ] || not_ok "$1: yet it is complete"
	"$ctl" detach d >/dev/null
}

# An image file that is cut, one that is written to; a disk with another content.
inv15_changing_image() {
	local source=file:/tmp/image

	# Either way it is the daemon's look at the file that tells.
	if [ -n "${SLUICE_STRESS:-}" ]; then
		head -c 32M /dev/vda >/tmp/image
		deploy --max-rate 4M
		truncate -s 16M /tmp/image
		fails_as 'while it was being deployed \(.* differs\): deploy the new one from'
	fi
	head -c 32M /dev/vda >/tmp/image
	deploy --max-rate 4M
	dd if=/dev/urandom of=/tmp/image bs=4k count=1 seek=5000 conv=notrunc status=none
	fails_as 'while it was being deployed \(.* differs\): deploy the new one from'
	rm /tmp/image
	# A disk tells no time: it is its content that differs, once all is copied.
	source=file:/dev/mapper/image
	deploy --max-rate 16M
	dd if=/dev/zero of="$image" bs=1M count=60 oflag=direct conv=notrunc status=none
	fails_as 'while it was being deployed \(.* differs\): deploy the new one from'
}

second() { "$ctl" --socket /tmp/second.sock "$@"; }

# Silent for longer than the watchdog's 20 s: another daemon may take over, and the
# first one, when it goes on, leaves it alone.
inv28_silent_daemon() {
	local first=$SLUICED_PID generation

	deploy --max-rate 1M
	generation=$(status generation)
	kill -STOP "$first"
	cp -r /var/lib/sluice /tmp/state
	"$BIN/sluiced" --state-dir /tmp/state --socket /tmp/second.sock 2>>"$OUT/second.log" &
	SLUICED_PID=$!
	check "nobody takes over from a daemon that may only be slow" fails read_block 15000 5
	check "nor for ever from one that is silent" read_block 15001
	kill -CONT "$first"
	check "the first one finds out" until_status state failed
	second limit d --max-rate 0 >/dev/null
	check "the second one completes" second wait d --timeout 300
	[ "$(second status d -o json | value generation)" -gt "$generation" ] ||
		not_ok "not a new generation"
	second detach d >/dev/null
	check "and it equals the image, from two daemons" compare /dev/vda
	kill -TERM "$SLUICED_PID" "$first"
	wait "$SLUICED_PID" "$first" || true
	rm -rf /var/lib/sluice/* /tmp/state
	daemon_start
}

storage_up 0.2ms 1gbit
modprobe -a dm-mod dm-dust
dmsetup create image --table "0 $(blockdev --getsz /dev/vda) dust /dev/vda 0 4096"
dmsetup create local --table "0 $(blockdev --getsz /dev/vdb) linear /dev/vdb 0"
storage_serve $image
insmod "$SLUICE_KO"
daemon_start

parts "${@:-inv22_unreadable_source inv15_changing_image inv20_metadata inv21_local_disk inv28_silent_daemon}"
daemon_kill TERM || true
check "nothing of the module's memory is lost" no_leaks
check "the module unloads" rmmod sluice
finish
