#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2317,SC2119,SC2120 # functions are called by name
# In a guest: /dev/vda is an image without holes, /dev/vdb a blank local disk. NVMe/TCP
# from the kernel's target, and what it does to a deployment when it fails.

# shellcheck source=tests/guest/lib.sh
. "${SLUICE_TOP:?}/tests/guest/lib.sh"
# shellcheck source=tests/guest/assert.sh
. "$SLUICE_TOP/tests/guest/assert.sh"
# shellcheck source=tests/guest/sources-lib.sh
. "$SLUICE_TOP/tests/guest/sources-lib.sh"

nvme_killed() {
	nvme_serve /dev/vda
	killed "NVMe killed" "$NVME" nvme_unserve "nvme_serve /dev/vda"
}

nvme_black_hole() {
	nvme_serve /dev/vda
	black_holed "NVMe black hole" "$NVME"
}

nvme_slow() {
	delayed_up
	nvme_serve /dev/mapper/delayed
	slow "NVMe slow" "$NVME"
	nvme_unserve
	dmsetup remove delayed
}

# Sectors that cannot be read, below the target.
nvme_range() {
	dusty_up
	nvme_serve /dev/mapper/dusty
	bad_sectors "NVMe bad sectors" "$NVME"
	nvme_unserve
	dmsetup remove dusty
}

# What it says of one place is damaged on the way, or by itself.
nvme_tampered() {
	local uri="nvme-tcp://$SRV:4430/$IMAGE_NQN"

	nvme_serve /dev/vda
	tamper_up nvme 4430 4420
	tampered "NVMe" "$uri" header cut short
	tampered "NVMe with digests" "$uri?header-digest=crc32c&data-digest=crc32c" flip moved
	unserve tamper
	nvme_unserve
}

# Two ports of one target, of which one gives no access to the namespace.
nvme_ana() {
	local one="nvme-tcp://$SRV/$IMAGE_NQN" two="nvme-tcp://$SRV:4421/$IMAGE_NQN"
	local ports=$CONFIGFS/nvmet/ports

	nvme_serve /dev/vda
	nvme_portal 4421
	echo inaccessible >"$ports/900/ana_groups/1/ana_state"
	refused "ANA: the only path gives no access" 5 'gives no access' "$ctl" deploy d \
		--source "$one" --local /dev/vdb --format --force
	check "ANA: another path does" deploy "$one" --source "$two" --max-rate 1M
	check "ANA: which is used" source_is "$two"
	echo optimized >"$ports/900/ana_groups/1/ana_state"
	echo inaccessible >"$ports/4421/ana_groups/1/ana_state"
	check "ANA: a read when that one ends access" read_block 60
	check "ANA: the first one is used then" source_is "$one"
	check "ANA: no request of the host expired" [ "$(status expired)" = 0 ]
	unlimited
	check "ANA: it completes" wait_complete
	detach
	check "ANA: every block equals the image" compare /dev/vda
	nvme_portal_down 4421
	nvme_unserve
}

# TLS needs a key in the kernel and tlshd, which Debian 12 does not have.
nvme_tls() {
	local uri="$NVME?tls=psk" hostnqn

	nvme_serve /dev/vda
	refused "NVMe: TLS without a key" 5 'no key for TLS' "$ctl" deploy d \
		--source "$uri" --local /dev/vdb --format --force
	hostnqn=$(sed -n 's/.*between \(nqn[^ ]*\) and.*/\1/p' /tmp/refused.err)
	keyctl padd psk "NVMe0R01 $hostnqn $IMAGE_NQN" %:.nvme <<<"$(head -c 32 /dev/zero | tr '\0' k)" >/dev/null
	refused "NVMe: TLS without tlshd" 5 'TLS handshakes: start tlshd' "$ctl" deploy d \
		--source "$uri" --local /dev/vdb --format --force
	nvme_unserve
}

# Another image in the same namespace, of the same size.
nvme_swapped() {
	make_soil
	head -c 64M /dev/vda >"$WORK/swap.img"
	nvme_serve "$WORK/swap.img"
	deploy "$NVME" --max-rate 1M
	sleep 1
	nvme_unserve
	nvme_serve "$WORK/soil"
	check "NVMe swapped: the deployment fails" until_true 60 state_is failed
	check "NVMe swapped: and says why" grep -q 'its content differs' <("$ctl" status d -o json)
	detach
	nvme_unserve
	rm "$WORK/swap.img"
}

# The namespace by its ids, and a target that wants to know who we are.
nvme_ids() {
	local uri="nvme-tcp://$SRV/$IMAGE_NQN" ns=$CONFIGFS/nvmet/subsystems/$IMAGE_NQN/namespaces/1

	nvme_serve /dev/vda
	echo 0 >"$ns/enable"
	echo 1b4e28ba-2fa1-11d2-883f-0016d3cca427 >"$ns/device_uuid"
	echo 5f3a4e0f-9b52-4a2d-81c8-90e36f1c0b6e >"$ns/device_nguid"
	echo 1 >"$ns/enable"
	for id in uuid=1b4e28ba-2fa1-11d2-883f-0016d3cca427 nguid=5f3a4e0f9b524a2d81c890e36f1c0b6e; do
		check "NVMe: a namespace by ${id%%=*}" deploy "$uri?$id" --max-rate 1M
		detach
	done
	refused "NVMe: no such UUID" 5 'no namespace of the UUID' "$ctl" deploy d \
		--source "$uri?uuid=2b4e28ba-2fa1-11d2-883f-0016d3cca427" --local /dev/vdb --format --force
}

none_merged() { awk '{ n++; merged += $2 } END { exit !n || merged }' /sys/class/nvme/nvme*/nvme*n*/stat; }

nvme_auth() {
	local uri="nvme-tcp://$SRV/$IMAGE_NQN" sub=$CONFIGFS/nvmet/subsystems/$IMAGE_NQN
	local host=$CONFIGFS/nvmet/hosts key other controllers
	local deploy=("$ctl" deploy d --local /dev/vdb --format --force --source)

	nvme_serve /dev/vda
	# The host NQN that the daemon made for itself, or the machine's.
	deploy "$uri" --max-rate 1M
	hostnqn=$(cat /sys/class/nvme-fabrics/ctl/nvme*/hostnqn | head -1)
	detach
	key=$(nvme gen-dhchap-key -m 1 -n "$hostnqn")
	other=$(nvme gen-dhchap-key -m 1 -n "$hostnqn")
	controllers=$(nvme gen-dhchap-key -m 1 -n "$hostnqn")
	mkdir "$host/$hostnqn"
	echo "$key" >"$host/$hostnqn/dhchap_key"
	echo 0 >"$sub/attr_allow_any_host"
	ln -s "$host/$hostnqn" "$sub/allowed_hosts/"
	refused "NVMe: no key" 5 'does not give us' "${deploy[@]}" "$uri"
	(umask 077; echo "nvme $IMAGE_NQN $other" >"$credentials")
	refused "NVMe: a wrong key" 5 'does not give us' "${deploy[@]}" "$uri"
	echo "nvme * $key" >"$credentials"
	check "NVMe: DH-HMAC-CHAP" deploy "$uri" --max-rate 1M
	dd if=/dev/sluice0 of=/dev/null bs=640k skip=10 count=8 iflag=direct status=none
	check "NVMe: what is waited for is no part of a larger read" none_merged
	detach
	echo "nvme * $key $other" >"$credentials"
	echo "$controllers" >"$host/$hostnqn/dhchap_ctrl_key"
	refused "NVMe: a controller with a wrong key" 5 'does not give us' "${deploy[@]}" "$uri"
	echo "nvme * $key $controllers" >"$credentials"
	check "NVMe: DH-HMAC-CHAP both ways" deploy "$uri"
	check "NVMe: it completes with authentication" wait_complete
	check "NVMe: no key is in a log" not_in_logs "${key#DHHC-1:01:}"
	detach
	check "NVMe: every block equals the image" compare /dev/vda
	rm "$credentials"
}

sources_up
[ $# != 0 ] || set -- nvme_killed nvme_black_hole nvme_slow nvme_range nvme_tampered nvme_ana nvme_tls nvme_swapped nvme_ids nvme_auth
parts "$@"
sources_down
