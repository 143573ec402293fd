#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2317,SC2119,SC2120 # functions are called by name
# In a guest: /dev/vda is an image of 32 MiB, /dev/vdb a blank local disk. Deployments by
# the real daemon from a real NVMe-TCP target to a real host driver.

# shellcheck source=tests/guest/lib.sh
. "${SLUICE_TOP:?}/tests/guest/lib.sh"
# shellcheck source=tests/guest/assert.sh
. "$SLUICE_TOP/tests/guest/assert.sh"

ctl=$BIN/sluicectl
source="nvme-tcp://10.77.0.1:4420/$IMAGE_NQN?nsid=1"

# deploy [OPTION]...: NAME is "d"; the disk is made blank before.
deploy() {
	"$ctl" deploy d --source "$source" --local /dev/vdb --format --force "$@" >/dev/null
}

wait_complete() {
	"$ctl" wait d --timeout "${1:-300}" >/dev/null
}

host_down() {
	nvme disconnect -n "$nqn" >/dev/null
}

host_up() {
	deploy --export loop "$@"
	nqn=$("$ctl" status d -o json | value nqn)
	host_connect "$nqn"
	written_start "$HOST"
}

fio_verify() {
	# Its own part of the disk, so that the rest compares with the image.
	fio --name=verify --filename="$HOST" --offset=4M --size=24M --rw=randwrite --bsrange=512-64k \
		--bs_unaligned=0 --blockalign=512 --direct=1 --ioengine=libaio --iodepth=8 \
		--verify=crc32c --verify_fatal=1 --do_verify=1 --verify_backlog=64 \
		--fsync=32 --randseed="$1" --output="$OUT/fio-$1.log" --end_fsync=1
}

storage_up 0.5ms 1gbit
storage_serve /dev/vda
insmod "$SLUICE_KO"
# shellcheck disable=SC2119
daemon_start

# One missing block, which is answered from the pool: the guest's virtio disk itself
# takes whole sectors only, so the copy must not have been there before.
odd_buffer() {
	"$BIN/tests/oddread" "$HOST" $((30 << 20)) 4096 >/tmp/odd &&
		dd if=/dev/vda bs=4k skip=7680 count=1 status=none | cmp - /tmp/odd
}

under_load() {
	host_up --max-rate 128K
	check "a read of a missing block into segments that are no whole sectors" odd_buffer
	"$ctl" limit d --max-rate 0 >/dev/null
	check "fio verify during deployment" fio_verify 1
	check "deployment completes" wait_complete
	check "the host was never told of an error" [ "$(status expired)" = 0 ]
	written_stop "$OUT/written"
	host_down
	check "detach" "$ctl" detach d -o json
	check "every block not written by the host equals the image" compare /dev/vda "$OUT/written"
}

# The daemon stopped: whole blocks are written and synced, parts wait.
stopped() {
	local part t

	host_up --max-rate 128K
	kill -STOP "$SLUICED_PID"
	head -c 8192 /dev/urandom >/tmp/whole
	head -c 512 /dev/urandom >/tmp/part
	t=$(now_ms)
	check "whole blocks are written and synced with the daemon stopped" \
		timeout 10 dd if=/tmp/whole of="$HOST" bs=4k seek=7500 oflag=direct conv=fsync,notrunc status=none
	say "took $(($(now_ms) - t)) ms"
	dd if=/tmp/part of="$HOST" bs=512 seek=$((7600 * 8 + 3)) oflag=direct conv=notrunc status=none &
	part=$!
	sleep 2
	check "a write of part of a missing block waits" kill -0 "$part"
	kill -CONT "$SLUICED_PID"
	check "and succeeds when the daemon goes on" wait "$part"
	"$ctl" limit d --max-rate 0 >/dev/null
	wait_complete
	dd if="$HOST" bs=4k skip=7500 count=2 iflag=direct of=/tmp/whole.read status=none
	check "the whole blocks are intact" cmp /tmp/whole.read /tmp/whole
	dd if="$HOST" bs=512 skip=$((7600 * 8 + 3)) count=1 iflag=direct of=/tmp/part.read status=none
	check "the part is intact" cmp /tmp/part.read /tmp/part
	written_stop "$OUT/written"
	host_down
	"$ctl" detach d >/dev/null
	check "and so is the rest" compare /dev/vda "$OUT/written"
}

# SIGKILL twenty times at random moments of one deployment.
killed() {
	local fio

	host_up --max-rate 128K
	fio_verify 3 &
	fio=$!
	RANDOM=7
	for _ in $(seq 20); do
		sleep $((RANDOM % 4)).$((RANDOM % 10))
		daemon_kill KILL 2>/dev/null || true
		daemon_start
	done
	check "fio verify while the daemon is killed 20 times" wait "$fio"
	"$ctl" limit d --max-rate 0 >/dev/null
	check "deployment completes after 20 kills" wait_complete
	# A host retries what expired while a slow guest only ever restarted daemons.
	say "requests that expired: $(cat /sys/block/sluice*/sluice/expired)"
	written_stop "$OUT/written"
	host_down
	"$ctl" detach d >/dev/null
	check "every block not written by the host equals the image, after 20 kills" compare /dev/vda "$OUT/written"
}

# Restart of the daemon, then of everything, in the middle.
resumed() {
	local before after

	deploy --max-rate 4M
	sleep 2
	check "SIGTERM ends the daemon with status 0" daemon_kill TERM
	check "the device goes on without a daemon" \
		dd if=/dev/zero of=/dev/sluice0 bs=4k count=1 seek=7700 oflag=direct conv=fsync status=none
	daemon_start
	check "the deployment is there after a restart" [ "$(status name)" = d ]
	"$ctl" limit d --max-rate 4M >/dev/null
	sleep 1
	before=$(status local_bytes)
	"$ctl" detach d >/dev/null
	daemon_kill TERM || true
	rmmod sluice
	insmod "$SLUICE_KO"
	daemon_start
	check "the local disk is known again without --format" \
		"$ctl" deploy d --source "$source" --local /dev/vdb -o json
	after=$(status local_bytes)
	check "nothing that was local is lost ($before, then $after bytes)" [ "$after" -ge "$before" ]
	check "it completes" wait_complete
	"$ctl" detach d >/dev/null
	echo "$((7700 * 8)) 8" >/tmp/written
	check "and equals the image" compare /dev/vda /tmp/written
	check "a complete disk opens as complete" \
		"$ctl" deploy d --source "$source" --local /dev/vdb -o json
	check "at once" wait_complete 30
	"$ctl" detach d >/dev/null
}

# The target goes away and comes back.
source_lost() {
	local sub=$CONFIGFS/nvmet/subsystems/$IMAGE_NQN port=$CONFIGFS/nvmet/ports/900

	deploy --max-rate 2M
	sleep 1
	rm "$port/subsystems/$IMAGE_NQN"
	echo 0 >"$sub/namespaces/1/enable"
	sleep 3
	check "the daemon answers while its source is gone" "$ctl" status d -o json
	echo 1 >"$sub/namespaces/1/enable"
	nsenter --net=/run/netns/storage ln -s "$sub" "$port/subsystems/"
	"$ctl" limit d --max-rate 0 >/dev/null
	check "deployment completes when the target is back" wait_complete
	"$ctl" detach d >/dev/null
	check "and equals the image, after the target was gone" compare /dev/vda
}

# What was under way when the copy was paused ends first, in a slow guest after
# seconds; a copy that goes on never rests.
at_rest() {
	local a b
	for _ in $(seq 20); do
		a=$(status local_bytes)
		sleep 2
		b=$(status local_bytes)
		[ "$a" != "$b" ] || return 0
	done
	return 1
}

paused() {

	deploy --max-rate 4M
	check "pause" "$ctl" pause d -o json
	check "nothing is copied while paused" at_rest
	check "and all is not local" [ "$(status state)" = paused ]
	check "a paused deployment serves demand" \
		timeout 20 dd if=/dev/sluice0 of=/dev/null bs=4k skip=7700 count=1 iflag=direct status=none
	check "resume" "$ctl" resume d -o json
	"$ctl" limit d --max-rate 0 >/dev/null
	check "a resumed deployment completes" wait_complete
	"$ctl" detach d >/dev/null
}

from_file() {
	"$ctl" deploy f --source file:/dev/vda --local /dev/vdb --size image --format --force >/dev/null
	check "--size image" [ "$(blockdev --getsize64 /dev/sluice0)" = "$(blockdev --getsize64 /dev/vda)" ]
	check "a file source completes" "$ctl" wait f --timeout 300
	"$ctl" detach f >/dev/null
	check "and equals the image, from a file" compare /dev/vda
	# 32 MiB of it are the pool; larger pages hold more that is not asked for.
	peak=$(awk '/^VmHWM/ { print $2 }' "/proc/$SLUICED_PID/status")
	echo "the daemon's peak: $peak KiB"
	page=$(awk '/^KernelPageSize/ { print $2; exit }' /proc/self/smaps)
	check "the daemon is small" [ "$peak" -lt $((78000 + page * 512)) ]
}

parts "${@:-under_load stopped killed resumed source_lost paused from_file}"
daemon_kill TERM || true
check "the module unloads" rmmod sluice
finish
