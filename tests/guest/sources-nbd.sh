#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2317,SC2119,SC2120 # functions are called by name
# In a guest: /dev/vda is an image without holes, /dev/vdb a blank local disk. NBD from
# real servers: what they spare, and what they do to a deployment when they fail.

# shellcheck source=tests/guest/lib.sh
. "${SLUICE_TOP:?}/tests/guest/lib.sh"
# shellcheck source=tests/guest/assert.sh
. "$SLUICE_TOP/tests/guest/assert.sh"
# shellcheck source=tests/guest/sources-lib.sh
. "$SLUICE_TOP/tests/guest/sources-lib.sh"

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

nbd_black_hole() {
	nbdkit_up server 10813 file /dev/vda
	black_holed "black hole" "nbd://$SRV:10813"
	unserve server
}

nbd_slow() {
	nbdkit_up server 10814 --filter=delay file /dev/vda delay-read=2
	slow "slow" "nbd://$SRV:10814"
	unserve server
}

# Sectors that cannot be read: all else becomes local, they once they can be.
nbd_range() {
	dusty_up
	nbdkit_up server 10815 file /dev/mapper/dusty
	bad_sectors "NBD bad sectors" "nbd://$SRV:10815"
	unserve server
	dmsetup remove dusty
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

# What it says of one place is damaged on the way, or by itself.
nbd_tampered() {
	nbdkit_up server 10830 file /dev/vda
	tamper_up nbd 10831 10830
	tampered "NBD" "nbd://$SRV:10831" header cut short moved
	unserve tamper
	unserve server
}

sources_up
[ $# != 0 ] || set -- nbd_nbdkit nbd_no_structure nbd_qcow2 nbd_tls nbd_http_xz nbd_killed nbd_black_hole nbd_slow nbd_range nbd_swapped nbd_tampered
parts "$@"
sources_down
