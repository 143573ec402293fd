#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2317,SC2119,SC2120 # functions are called by name
# In a guest: /dev/vda is an image without holes, /dev/vdb a blank local disk. The
# kinds of sources from real servers, what they spare, and what they do to a
# deployment when they fail.

# shellcheck source=tests/guest/lib.sh
. "${SLUICE_TOP:?}/tests/guest/lib.sh"
# shellcheck source=tests/guest/assert.sh
. "$SLUICE_TOP/tests/guest/assert.sh"
# shellcheck source=tests/guest/sources-lib.sh
. "$SLUICE_TOP/tests/guest/sources-lib.sh"

storage_up 0.5ms 1gbit
insmod "$SLUICE_KO"
mkdir -p "$WORK"
make_holey "$WORK/holey.img"
credentials=$WORK/credentials
# shellcheck disable=SC2119
daemon_start --credentials "$credentials"

nbd_nbdkit() {
	local before

	nbdkit_up nbdkit 10809 -e debian file "$WORK/holey.img"
	soil
	before=$(storage_received)
	whole "nbd://$SRV/debian" "$WORK/holey.img" "nbdkit"
	check "nbdkit: holes are not transferred ($skipped bytes)" [ "$skipped" -ge $((220 << 20)) ]
	check "nbdkit: nor fetched twice" [ $((fetched + skipped)) -le $((257 << 20)) ]
	check "nbdkit: nor is anything else" \
		[ $(($(storage_received) - before)) -lt $((36 << 20)) ]
	unserve nbdkit
}

nbd_no_structure() {
	# A server without block status and with one connection.
	nbdkit_up plain 10809 --filter=noextents --filter=multi-conn file "$WORK/holey.img" \
		multi-conn-mode=disable
	soil
	whole "nbd://$SRV" "$WORK/holey.img" "nbdkit without extents"
	check "nbdkit without extents: all of it is fetched" [ "$fetched" = $((256 << 20)) ]
	unserve plain
}

nbd_qcow2() {
	qemu-img convert -f raw -O qcow2 "$WORK/holey.img" "$WORK/holey.qcow2"
	serve qemu qemu-nbd -r -t -f qcow2 -b "$SRV" -p 10810 -x image "$WORK/holey.qcow2"
	listening 10810
	soil
	whole "nbd://$SRV:10810/image" "$WORK/holey.img" "qcow2"
	check "qcow2: holes are not transferred ($skipped bytes)" [ "$skipped" -ge $((220 << 20)) ]
	unserve qemu
	rm "$WORK/holey.qcow2"
}

nbd_tls() {
	local pki=$WORK/pki

	mkdir -p "$pki" "$WORK/trusted" "$WORK/other"
	make_ca "$pki" "storage CA"
	make_ca "$WORK/other" "another CA"
	make_server_cert "$pki" "$SRV"
	cp "$pki/ca-cert.pem" "$WORK/trusted"
	nbdkit_up tls 10811 --tls=require --tls-certificates="$pki" file "$WORK/holey.img"
	whole "nbds://$SRV:10811/?tls-certificates=$WORK/trusted" "$WORK/holey.img" "TLS"
	refused "TLS: a server of another CA" 5 'certificate verification' "$ctl" deploy d \
		--source "nbds://$SRV:10811/?tls-certificates=$WORK/other" --local /dev/vdb --format --force
	refused "TLS: none where the server wants it" 5 'requires TLS' "$ctl" deploy d \
		--source "nbd://$SRV:10811/" --local /dev/vdb --format --force
	unserve tls
	echo "card:$(openssl rand -hex 32)" >"$WORK/keys"
	chmod 600 "$WORK/keys"
	nbdkit_up psk 10811 --tls=require --tls-psk="$WORK/keys" file "$WORK/holey.img"
	sed 's/:.*/:00112233445566778899aabbccddeeff/' "$WORK/keys" >"$WORK/wrong-keys"
	chmod 600 "$WORK/wrong-keys"
	refused "TLS: a wrong pre-shared key" 5 'nbds://' "$ctl" deploy d \
		--source "nbds://card@$SRV:10811/?tls-psk-file=$WORK/wrong-keys" --local /dev/vdb --format --force
	check "TLS: a pre-shared key" deploy "nbds://card@$SRV:10811/?tls-psk-file=$WORK/keys"
	check "TLS: it completes with a pre-shared key" wait_complete
	detach
	check "no key is in a log" not_in_logs "$(sed 's/.*://' "$WORK/keys")"
	unserve psk
}

# A compressed raw image on a web server: nbdkit reads ranges of it.
nbd_http_xz() {
	mkdir -p "$WORK/www"
	head -c 64M "$WORK/holey.img" >"$WORK/xz.img"
	xz -0 -T2 --block-size=1MiB -c "$WORK/xz.img" >"$WORK/www/image.xz"
	serve httpd busybox httpd -f -p "$SRV:8080" -h "$WORK/www"
	listening 8080
	# On this side of the network: what crosses it is compressed.
	nbdkit -f -r -U "$WORK/xz.sock" --filter=xz curl "http://$SRV:8080/image.xz" \
		>>"$OUT/xz.log" 2>&1 &
	pids[xz]=$!
	until_true 10 test -S "$WORK/xz.sock"
	whole "nbd+unix:///?socket=$WORK/xz.sock" "$WORK/xz.img" "xz over HTTP"
	unserve xz
	unserve httpd
	rm -r "$WORK/www"
}

# The server is killed while a host waits, and comes back.
nbd_killed() {
	nbdkit_up server 10812 file /dev/vda
	killed "killed" "nbd://$SRV:10812" "unserve server" "nbdkit_up server 10812 file /dev/vda"
	unserve server
}

# killed NAME URI DOWN UP: of a server that these commands end and start again.
killed() {
	local down up reader

	read -ra down <<<"$3"
	read -ra up <<<"$4"
	deploy "$2" --max-rate 4M
	sleep 1
	"${down[@]}"
	dd if=/dev/sluice0 of=/tmp/late bs=4k skip=15000 count=1 iflag=direct status=none &
	reader=$!
	check "$1: stalled is said" until_true 20 state_is stalled
	check "$1: the daemon answers" "$ctl" status d -o json
	"${up[@]}"
	check "$1: a read that waited is served" wait "$reader"
	check "$1: with the right block" \
		cmp /tmp/late <(dd if=/dev/vda bs=4k skip=15000 count=1 status=none)
	check "$1: it goes on by itself" until_true 10 state_is copying
	unlimited
	check "$1: it completes" wait_complete
	detach
	check "$1: every block equals the image" compare /dev/vda
}

nbd_black_hole() {
	nbdkit_up server 10813 file /dev/vda
	black_holed "black hole" "nbd://$SRV:10813"
	unserve server
}

# black_holed NAME URI: packets vanish for 10 s; what waits is served within the
# host's 20 s.
black_holed() {
	local hole

	deploy "$2" --max-rate 4M
	sleep 1
	black_hole 100%
	(sleep 10; black_hole 0%) &
	hole=$!
	check "$1: a read that begins in it" read_block 60
	wait "$hole"
	check "$1: no request of the host expired" [ "$(status expired)" = 0 ]
	unlimited
	check "$1: it completes" wait_complete
	detach
	check "$1: every block equals the image" compare /dev/vda
}

nbd_slow() {
	nbdkit_up server 10814 --filter=delay file /dev/vda delay-read=2
	slow "slow" "nbd://$SRV:10814"
	unserve server
}

# slow NAME URI: each answer takes 2 s: slow, not gone.
slow() {
	local lines

	lines=$(wc -l <"$OUT/sluiced.log")
	deploy "$2"
	check "$1: a read is served" read_block 60
	check "$1: it completes" wait_complete
	check "$1: nothing was taken for lost" \
		[ "$(tail -n +$((lines + 1)) "$OUT/sluiced.log" | grep -c warning)" = 0 ]
	check "$1: no request of the host expired" [ "$(status expired)" = 0 ]
	detach
	check "$1: every block equals the image" compare /dev/vda
}

# Sectors that cannot be read: all else becomes local, they once they can be.
nbd_range() {
	dusty_up
	nbdkit_up server 10815 file /dev/mapper/dusty
	bad_sectors "NBD bad sectors" "nbd://$SRV:10815"
	unserve server
	dmsetup remove dusty
}

# bad_sectors NAME URI: of an image on the disk "dusty".
bad_sectors() {
	deploy "$2" --max-rate 4M
	dmsetup message dusty 0 enable
	unlimited
	check "$1: all else becomes local" until_true 60 local_but 2
	check "$1: it is said" until_true 20 state_is stalled
	dmsetup message dusty 0 disable
	check "$1: it completes once they can be read" wait_complete
	detach
	check "$1: every block equals the image" compare /dev/vda
}

# Another image behind the same name, of the same size and of another.
nbd_swapped() {
	cp "$WORK/holey.img" "$WORK/swap.img"
	nbdkit_up server 10816 file "$WORK/swap.img"
	deploy "nbd://$SRV:10816" --max-rate 1M
	sleep 1
	unserve server
	dd if=/dev/vda of="$WORK/swap.img" bs=1M count=1 seek=0 skip=30 conv=notrunc status=none
	nbdkit_up server 10816 file "$WORK/swap.img"
	check "swapped: the deployment fails" until_true 20 state_is failed
	check "swapped: and says why" grep -q 'its content differs' <("$ctl" status d -o json)
	detach
	unserve server
	nbdkit_up server 10816 file "$WORK/holey.img"
	deploy "nbd://$SRV:10816" --max-rate 1M
	unserve server
	truncate -s 300M "$WORK/swap.img"
	nbdkit_up server 10816 file "$WORK/swap.img"
	check "swapped by a larger one: the deployment fails" until_true 20 state_is failed
	check "swapped by a larger one: and says why" grep -q 'its size differs' <("$ctl" status d -o json)
	detach
	unserve server
	rm "$WORK/swap.img"
}

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
	chap tgt "$uri" "iscsi://card@$SRV/$IQN/1" both
	unserve tgtd
}

# chap NAME URI URI_WITH_USER one|both: of a target that knows card; both: and that
# is known as store.
chap() {
	local deploy=("$ctl" deploy d --local /dev/vdb --format --force --source)

	rm -f "$credentials"
	refused "$1: no secret" 5 'log in|Authentication' "${deploy[@]}" "$2"
	refused "$1: a user without a secret" 5 'no secret of the user card' "${deploy[@]}" "$3"
	(umask 077; echo "iscsi $IQN card not-the-initiators" >"$credentials")
	refused "$1: a wrong secret" 5 'log in|Authentication' "${deploy[@]}" "$2"
	if [ "$4" = both ]; then
		echo "iscsi $IQN card initiators-secret store not-the-targets" >"$credentials"
		refused "$1: a target with a wrong secret" 5 'Authentication failed' "${deploy[@]}" "$2"
		echo "iscsi $IQN card initiators-secret store the-targets-secret" >"$credentials"
	else
		echo "iscsi $IQN card initiators-secret" >"$credentials"
	fi
	chmod 644 "$credentials"
	refused "$1: a credentials file for everybody" 5 '0600' "${deploy[@]}" "$2"
	chmod 600 "$credentials"
	check "$1: CHAP, $4 way" deploy "$3"
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
	chap LIO "$uri" "iscsi://card@$SRV:3261/$IQN/0" one
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

nvme_killed() {
	nvme_serve /dev/vda
	killed "NVMe killed" "$NVME" nvme_unserve "nvme_serve /dev/vda"
}

nvme_black_hole() {
	nvme_serve /dev/vda
	black_holed "NVMe black hole" "$NVME"
}

nvme_slow() {
	modprobe dm-delay
	DM_DISABLE_UDEV=1 dmsetup create delayed --table "0 $(blockdev --getsz /dev/vda) delay /dev/vda 0 2000"
	nvme_serve /dev/mapper/delayed
	slow "NVMe slow" "$NVME"
	nvme_unserve
	dmsetup remove delayed
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
	check "NVMe swapped: the deployment fails" until_true 30 state_is failed
	check "NVMe swapped: and says why" grep -q 'its content differs' <("$ctl" status d -o json)
	detach
	nvme_unserve
	rm "$WORK/swap.img"
}

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

declare -A groups=(
	[nbd]="nbd_nbdkit nbd_no_structure nbd_qcow2 nbd_tls nbd_http_xz nbd_killed
		nbd_black_hole nbd_slow nbd_range nbd_swapped"
	[iscsi]="iscsi_tgt iscsi_lio iscsi_killed iscsi_black_hole iscsi_range iscsi_swapped"
	[paths]="paths_fail_over paths_differ"
	[nvme]="nvme_killed nvme_black_hole nvme_slow nvme_swapped nvme_ids nvme_auth"
)
[ $# != 0 ] || set -- nbd iscsi paths nvme
for part; do parts "${groups[$part]:-$part}"; done
for name in "${!pids[@]}"; do unserve "$name"; done
daemon_kill TERM || true
check "the module unloads" rmmod sluice
finish
