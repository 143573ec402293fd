#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2317,SC2119,SC2120 # functions are called by name
# In a guest: /dev/vda is an image without holes, /dev/vdb a blank local disk. iSCSI
# from tgt and the kernel's target, and what they do to a deployment when they fail.

# shellcheck source=tests/guest/lib.sh
. "${SLUICE_TOP:?}/tests/guest/lib.sh"
# shellcheck source=tests/guest/assert.sh
. "$SLUICE_TOP/tests/guest/assert.sh"
# shellcheck source=tests/guest/sources-lib.sh
. "$SLUICE_TOP/tests/guest/sources-lib.sh"

iscsi_tgt() {
	local uri="iscsi://$SRV/$IQN/1"

	tgt_up "$WORK/holey.img" thin_provisioning=1
	soil
	whole "$uri" "$WORK/holey.img" "tgt"
	check "tgt: holes are not transferred ($skipped bytes)" [ "$skipped" -ge $((220 << 20)) ]
	refused "tgt: no such target" 5 'not found' "$ctl" deploy d \
		--source "iscsi://$SRV/iqn.2026-01.org.sluice.test:nosuch/1" --local /dev/vdb --format --force
	refused "tgt: no such LUN" 5 'LOGICAL_UNIT' "$ctl" deploy d \
		--source "iscsi://$SRV/$IQN/9" --local /dev/vdb --format --force
	refused "tgt: nobody at the port" 5 'refuses connections' "$ctl" deploy d \
		--source "iscsi://$SRV:3299/$IQN/1" --local /dev/vdb --format --force

	tgt --op new --mode account --user card --password initiators-secret
	tgt --op new --mode account --user store --password the-targets-secret
	tgt --op bind --mode account --tid 1 --user card
	tgt --op bind --mode account --tid 1 --user store --outgoing
	chap tgt "$uri" "iscsi://card@$SRV/$IQN/1" store
	unserve tgtd
}

# chap NAME URI URI_WITH_USER TARGET_USER: of a target that knows card, and is known so.
chap() {
	local deploy=("$ctl" deploy d --local /dev/vdb --format --force --source)

	rm -f "$credentials"
	refused "$1: no secret" 5 'log in|Authentication' "${deploy[@]}" "$2"
	refused "$1: a user without a secret" 5 'no secret of the user card' "${deploy[@]}" "$3"
	(umask 077; echo "iscsi $IQN card not-the-initiators" >"$credentials")
	refused "$1: a wrong secret" 5 'log in|Authentication' "${deploy[@]}" "$2"
	echo "iscsi $IQN card initiators-secret $4 not-the-targets" >"$credentials"
	refused "$1: a target with a wrong secret" 5 'Authentication failed' "${deploy[@]}" "$2"
	echo "iscsi $IQN card initiators-secret $4 the-targets-secret" >"$credentials"
	chmod 644 "$credentials"
	refused "$1: a credentials file for everybody" 5 '0600' "${deploy[@]}" "$2"
	chmod 600 "$credentials"
	check "$1: CHAP both ways" deploy "$3"
	check "$1: it completes with CHAP" wait_complete
	check "$1: no secret is in a log" not_in_logs initiators
	check "$1: nor the target's" not_in_logs targets-secret
	detach
	rm "$credentials"
}

iscsi_lio() {
	local uri="iscsi://$SRV:3261/$IQN/0"

	lio_up fileio "fd_dev_name=/dev/vda,fd_dev_size=$(blockdev --getsize64 /dev/vda)"
	whole "$uri" /dev/vda "LIO"
	check "LIO: the id is the unit's" grep -q '^naa\.6001405' <("$ctl" deploy d --source "$uri" \
		--local /dev/vdb -o json | value image_id)
	detach
	# A newline would belong to them.
	printf card >"$TPG/auth/userid"
	printf initiators-secret >"$TPG/auth/password"
	echo 1 >"$TPG/attrib/authentication"
	(umask 077; echo "iscsi $IQN card initiators-secret" >"$credentials")
	check "LIO: CHAP one way" deploy "$uri" --max-rate 1M
	detach
	printf the-targets-secret >"$TPG/auth/password_mutual"
	printf store >"$TPG/auth/userid_mutual"
	echo "iscsi $IQN card initiators-secret store the-targets-secret" >"$credentials"
	refused "LIO: a target's user whose proof libiscsi misreads" 5 'at least 10 characters' \
		"$ctl" deploy d --source "$uri" --local /dev/vdb --format --force
	printf storage-of-images >"$TPG/auth/userid_mutual"
	chap LIO "$uri" "iscsi://card@$SRV:3261/$IQN/0" storage-of-images
	lio_down fileio
}

iscsi_killed() {
	tgt_up /dev/vda
	killed "tgt killed" "iscsi://$SRV/$IQN/1" "unserve tgtd" "tgt_up /dev/vda"
	unserve tgtd
}

iscsi_black_hole() {
	lio_up iblock udev_path=/dev/vda,readonly=1
	black_holed "iSCSI black hole" "iscsi://$SRV:3261/$IQN/0"
	lio_down iblock
}

# Sectors that cannot be read, below the target.
iscsi_range() {
	dusty_up
	lio_up iblock udev_path=/dev/mapper/dusty,readonly=1
	bad_sectors "iSCSI bad sectors" "iscsi://$SRV:3261/$IQN/0"
	lio_down iblock
	dmsetup remove dusty
}

# Another image in the same unit, and another unit behind the same name.
iscsi_swapped() {
	cp "$WORK/holey.img" "$WORK/swap.img"
	tgt_up "$WORK/swap.img"
	deploy "iscsi://$SRV/$IQN/1" --max-rate 1M
	sleep 1
	unserve tgtd
	dd if=/dev/vda of="$WORK/swap.img" bs=1M count=1 skip=30 conv=notrunc status=none
	tgt_up "$WORK/swap.img"
	check "iSCSI swapped: the deployment fails" until_true 20 state_is failed
	check "iSCSI swapped: and says why" grep -q 'its content differs' <("$ctl" status d -o json)
	detach
	unserve tgtd
	tgt_up "$WORK/holey.img"
	deploy "iscsi://$SRV/$IQN/1" --max-rate 1M
	unserve tgtd
	tgt_up "$WORK/holey.img" scsi_id=another
	check "another unit: the deployment fails" until_true 20 state_is failed
	check "another unit: and says why" grep -q 'its id differs' <("$ctl" status d -o json)
	detach
	unserve tgtd
	rm "$WORK/swap.img"
}

iscsi_slow() {
	delayed_up
	lio_up iblock udev_path=/dev/mapper/delayed,readonly=1
	slow "iSCSI slow" "iscsi://$SRV:3261/$IQN/0"
	lio_down iblock
	dmsetup remove delayed
}

# A target that takes reads of 64 KiB, and 16 commands at a time.
iscsi_limits() {
	local null=$CONFIGFS/nullb/nullb0 statistics=$LIO/core/iblock_0/image/statistics/scsi_lu

	modprobe null_blk nr_devices=0
	mkdir "$null"
	echo 64 >"$null/size"
	echo 1 >"$null/memory_backed"
	echo 128 >"$null/max_sectors"
	echo 1 >"$null/power"
	dd if=/dev/vda of=/dev/nullb0 bs=1M oflag=direct status=none
	lio_up iblock udev_path=/dev/nullb0,readonly=1
	echo 0 >"$TPG/enable"
	echo 16 >"$TPG/attrib/default_cmdsn_depth"
	echo 1 >"$TPG/enable"
	whole "iscsi://$SRV:3261/$IQN/0" /dev/vda "LIO with limits"
	check "LIO with limits: they were asked for ($(cat "$statistics/num_cmds") commands)" \
		[ "$(cat "$statistics/num_cmds")" -ge 1024 ]
	lio_down iblock
	echo 0 >"$null/power"
	rmdir "$null"
}

# What it says of one place is damaged on the way, or by itself.
iscsi_tampered() {
	tgt_up /dev/vda
	tamper_up iscsi 3270 3260
	tampered "iSCSI" "iscsi://$SRV:3270/$IQN/1?header-digest=none" header cut short moved
	tampered "iSCSI with a digest" "iscsi://$SRV:3270/$IQN/1" moved
	unserve tamper
	unserve tgtd
}

sources_up
[ $# != 0 ] || set -- iscsi_tgt iscsi_lio iscsi_killed iscsi_black_hole iscsi_slow iscsi_limits iscsi_range iscsi_swapped iscsi_tampered
parts "$@"
sources_down
