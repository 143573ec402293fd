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

sources_up
[ $# != 0 ] || set -- paths_fail_over paths_differ
parts "$@"
sources_down
