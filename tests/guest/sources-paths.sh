#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2317,SC2119,SC2120 # functions are called by name
# In a guest: /dev/vda is an image without holes, /dev/vdb a blank local disk. Several
# places of one image.

# shellcheck source=tests/guest/lib.sh
. "${SLUICE_TOP:?}/tests/guest/lib.sh"
# shellcheck source=tests/guest/assert.sh
. "$SLUICE_TOP/tests/guest/assert.sh"
# shellcheck source=tests/guest/sources-lib.sh
. "$SLUICE_TOP/tests/guest/sources-lib.sh"

# Two servers of one image: the loss of one is not the loss of the image.
paths_fail_over() {
	local one="nbd://$SRV:10817" two="nbd://$SRV:10818"

	make_soil
	nbdkit_up one 10817 file /dev/vda
	nbdkit_up two 10818 file /dev/vda
	deploy "$one" --source "$two" --max-rate 1M
	check "two paths: the first is used" [ "$("$ctl" source list d | tr -s ' \n' ' ')" = \
		"active $one standby $two " ]
	unserve one
	check "two paths: a read when the active one was killed" read_block 60
	check "two paths: the other one is used" [ "$(status source)" = "$two" ]
	nbdkit_up one 10817 file /dev/vda
	check "two paths: the first one is used again once it is there" until_true 60 source_is "$one"
	check "two paths: a read then" read_block 80
	unserve one
	check "two paths: and when that was killed again" read_block 100
	check "two paths: no request of the host expired" [ "$(status expired)" = 0 ]
	unserve two
	check "two paths: without any it is stalled" until_true 20 state_is stalled
	nbdkit_up one 10817 file /dev/vda
	check "two paths: it goes on with the first" until_true 20 state_is copying

	nbdkit_up three 10819 file /dev/vda
	nbdkit_up wrong 10820 file "$WORK/soil"
	refused "source add: another image" 10 'does not have the image' \
		"$ctl" source add d "nbd://$SRV:10820"
	refused "source add: nobody there" 5 'refused' "$ctl" source add d "nbd://$SRV:10899"
	refused "source add: there already" 4 'already' "$ctl" source add d "$one"
	check "source add" "$ctl" source add d "nbd://$SRV:10819"
	check "source remove of the active one" "$ctl" source remove d "$one"
	check "source remove of one that is gone" "$ctl" source remove d "$two"
	refused "source remove of the last one" 2 'only source' \
		"$ctl" source remove d "nbd://$SRV:10819"
	daemon_kill KILL 2>/dev/null || true
	daemon_start --credentials "$credentials"
	check "sources are remembered" until_true 20 test "$(status source)" = "nbd://$SRV:10819"
	unserve one
	unlimited
	check "two paths: it completes" wait_complete
	detach
	check "two paths: every block equals the image" compare /dev/vda
	unserve three
	unserve wrong
}

# What one path cannot read another may; one with another image is not used.
paths_differ() {
	make_soil
	dusty_up
	nbdkit_up bad 10821 file /dev/mapper/dusty
	nbdkit_up good 10822 file /dev/vda
	deploy "nbd://$SRV:10821" --source "nbd://$SRV:10822" --max-rate 4M
	dmsetup message dusty 0 enable
	check "the path that cannot be read is in use" source_is "nbd://$SRV:10821"
	unlimited
	check "a range that one path cannot read comes from the other" wait_complete
	detach
	check "and every block equals the image" compare /dev/vda
	unserve bad
	dmsetup remove dusty
	nbdkit_up other 10821 file "$WORK/soil"
	deploy "nbd://$SRV:10822" --source "nbd://$SRV:10821" --max-rate 1M
	unserve good
	check "a path with another image: stalled, not failed" until_true 20 state_is stalled
	check "a path with another image: it is not used" grep -q '^wrong' <("$ctl" source list d)
	nbdkit_up good 10822 file /dev/vda
	unlimited
	check "it completes from the right one" wait_complete
	detach
	check "a path with another image: nothing of it was used" compare /dev/vda
	unserve good
	unserve other
}

# What it costs a host that waits, for each kind.
paths_quick() {
	quick_fail_over "NBD killed" \
		"nbd://$SRV:10823" "nbdkit_up one 10823 file /dev/vda" "unserve one" \
		"nbd://$SRV:10824" "nbdkit_up two 10824 file /dev/vda" "unserve two"
	quick_fail_over "iSCSI killed" \
		"iscsi://$SRV/$IQN/1" "tgt_up /dev/vda" "unserve tgtd" \
		"iscsi://$SRV:3261/$IQN/0" "lio_up iblock udev_path=/dev/vda,readonly=1" "lio_down iblock"
	nvme_serve /dev/vda
	nvme_portal_down 900
	quick_fail_over "NVMe killed" \
		"$NVME" "nvme_portal 900" "nvme_portal_down 900" \
		"nvme-tcp://$SRV:4421/$IMAGE_NQN" "nvme_portal 4421" "nvme_portal_down 4421"
}

# The first cannot be read when a deployment starts: it starts with the next.
paths_first_unreadable() {
	nbdkit_up bad 10825 --filter=error file /dev/vda error-pread=EIO error-pread-rate=1
	nbdkit_up good 10826 file /dev/vda
	refused "no path can be read" 5 'nbd://.*10825' "$ctl" deploy d \
		--source "nbd://$SRV:10825" --local /dev/vdb --format --force
	check "the first path cannot be read: deploy" deploy "nbd://$SRV:10825" --source "nbd://$SRV:10826"
	check "the first path cannot be read: the next one is used" source_is "nbd://$SRV:10826"
	check "the first path cannot be read: it completes" wait_complete
	detach
	check "the first path cannot be read: every block equals the image" compare /dev/vda
	unserve bad
	unserve good
}

connections_tried() { awk '/^Tcp: [0-9]/ { print $6 }' /proc/net/snmp; }

# Gone for longer than a host waits: it is told so, and the network is left in peace.
paths_gone() {
	local before after

	nbdkit_up gone 10827 file /dev/vda
	deploy "nbd://$SRV:10827" --deadline 3000 --max-rate 1M
	unserve gone
	check "gone: it is said" until_true 20 state_is stalled
	before=$(connections_tried)
	sleep 5 &
	check "gone: a read ends" refused_read 60 'No data available'
	check "gone: not before its deadline ($took ms)" [ "$took" -ge 2900 ]
	check "gone: counted as expired" [ "$(status expired)" -ge 1 ]
	wait $!
	after=$(connections_tried)
	# Every 0.5 to 1 s, however long that took.
	check "gone: it is tried again and again, but not stormed ($((after - before)) times)" \
		[ $((after - before)) -ge 2 -a $((after - before)) -le $((2 * (took / 1000 + 12))) ]
	nbdkit_up gone 10827 file /dev/vda
	check "gone: it goes on when it is back" until_true 20 state_is copying
	check "gone: and so do reads" read_block 60
	unlimited
	check "gone: it completes" wait_complete
	detach
	check "gone: every block equals the image" compare /dev/vda
	unserve gone
}

# refused_read MIB PATTERN: a read that ends with that error; says how long it took.
refused_read() {
	local t
	t=$(now_ms)
	if timeout 60 dd if=/dev/sluice0 of=/tmp/block bs=4k skip=$(($1 * 256)) count=1 \
		iflag=direct status=none 2>/tmp/refused.read; then
		return 1
	fi
	took=$(($(now_ms) - t))
	grep -q "$2" /tmp/refused.read
}

# A slow server is asked for no more at once than one that is not.
paths_not_stormed() {
	local log=$WORK/requests

	nbdkit_up lazy 10828 --filter=log --filter=delay file /dev/vda delay-read=2 \
		logfile="$log"
	deploy "nbd://$SRV:10828"
	sleep 4
	check "slow: requests at once are bounded ($(most_at_once "$log"))" \
		[ "$(most_at_once "$log")" -le 128 ]
	check "slow: it completes" wait_complete
	detach
	# Samples are taken when it is opened, every half minute and at the end.
	check "slow: little is asked for twice ($(asked_for "$log") bytes)" \
		[ "$(asked_for "$log")" -le $((68 << 20)) ]
	unserve lazy
}

# Of nbdkit's log: the largest number of reads that were under way.
most_at_once() {
	awk '/ Read .*offset/ { if (++n > most) most = n } / \.\.\.Read / { n-- } END { print most + 0 }' "$1"
}

asked_for() {
	local count total=0
	while read -r count; do total=$((total + count)); done < <(sed -n 's/.* Read .*count=\([^ ]*\).*/\1/p' "$1")
	echo "$total"
}

sources_up
[ $# != 0 ] || set -- paths_fail_over paths_differ paths_quick paths_first_unreadable paths_gone paths_not_stormed
parts "$@"
sources_down
