# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2317,SC2119 # variables and functions are of who sources it
# Images, servers and deployments for the sources-*.sh. Sourced, never run.
#
#	network namespace "storage"              this machine
#	nbdkit, qemu-nbd, httpd, tgtd, LIO --- veth/netem --- 10.77.0.2  sluiced
#	10.77.0.1                                /dev/sluice0

SRV=10.77.0.1
WORK=/tmp/sources
ctl=$BIN/sluicectl
credentials=$WORK/credentials
declare -A pids=()

# sources_up: the network, the module, the daemon; and "holey.img".
sources_up() {
	storage_up 0.5ms 1gbit
	insmod "$SLUICE_KO"
	mkdir -p "$WORK"
	make_holey "$WORK/holey.img"
	daemon_start --credentials "$credentials"
}

# Ends everything, and the script.
sources_down() {
	local name

	for name in "${!pids[@]}"; do unserve "$name"; done
	daemon_kill TERM || true
	check "the module unloads" rmmod sluice
	finish
}

# in_storage COMMAND...: in the storage's network. Not "ip netns exec", which hides
# configfs behind a /sys of its own.
in_storage() { nsenter --net=/run/netns/storage "$@"; }

# serve NAME COMMAND...: in the background, as server NAME.
serve() {
	local name=$1
	shift
	# The job is to be the server itself, not a shell around it.
	(exec nsenter --net=/run/netns/storage "$@") </dev/null >>"$OUT/$name.log" 2>&1 &
	pids[$name]=$!
}

# unserve NAME [SIGNAL]
unserve() {
	kill "-${2:-KILL}" "${pids[$1]}" 2>/dev/null || true
	wait "${pids[$1]}" 2>/dev/null || true
	unset "pids[$1]"
}

# listening PORT: waits for it.
listening() {
	until_true 60 in_storage nc -z "$SRV" "$1" || die "nothing listens on port $1"
}

# nbdkit_up NAME PORT ARGUMENT...
nbdkit_up() {
	local name=$1 port=$2
	shift 2
	serve "$name" nbdkit -f -r -i "$SRV" -p "$port" "$@"
	listening "$port"
}

IQN=iqn.2026-01.org.sluice.test:image

tgt() { tgtadm -C 1 --lld iscsi "$@"; }

# tgt_up FILE [PARAMETER=VALUE,...]: LUN 1 of IQN by tgtd, for everybody.
tgt_up() {
	mkdir -p /run/tgtd
	serve tgtd tgtd -f -C 1 --iscsi portal="$SRV:3260"
	listening 3260
	until_true 10 tgt --op show --mode sys >/dev/null
	tgt --op new --mode target --tid 1 -T "$IQN"
	tgt --op new --mode logicalunit --tid 1 --lun 1 -b "$1"
	tgt --op update --mode logicalunit --tid 1 --lun 1 --params "readonly=1${2:+,$2}"
	tgt --op bind --mode target --tid 1 -I ALL
}

LIO=$CONFIGFS/target
TPG=$LIO/iscsi/$IQN/tpgt_1

# lio_up BACKSTORE CONTROL: LUN 0 of IQN by the kernel, on port 3261.
lio_up() {
	local store=$LIO/core/${1}_0/image

	modprobe -a target_core_mod "target_core_${1%io}" iscsi_target_mod
	mkdir -p "$store"
	echo "$2" >"$store/control"
	echo 5f3a4e0f-9b52-4a2d-81c8-90e36f1c0b6e >"$store/wwn/vpd_unit_serial"
	echo 1 >"$store/enable"
	mkdir -p "$LIO/iscsi"
	mkdir "$LIO/iscsi/$IQN" "$TPG" "$TPG/lun/lun_0"
	ln -s "$store" "$TPG/lun/lun_0/image"
	echo 0 >"$TPG/attrib/authentication"
	echo 1 >"$TPG/attrib/generate_node_acls"
	echo 1 >"$TPG/attrib/cache_dynamic_acls"
	# The portal listens in the network of whoever makes it.
	in_storage mkdir "$TPG/np/$SRV:3261"
	echo 1 >"$TPG/enable"
}

# lio_down BACKSTORE
lio_down() {
	echo 0 >"$TPG/enable"
	rmdir "$TPG/np/$SRV:3261"
	rm "$TPG/lun/lun_0/image"
	rmdir "$TPG/lun/lun_0" "$TPG" "$LIO/iscsi/$IQN"
	rmdir "$LIO/core/${1}_0/image" "$LIO/core/${1}_0"
}

NVME=nvme-tcp://$SRV/$IMAGE_NQN

# nvme_serve FILE: as namespace 1 by the kernel, if it is not.
nvme_serve() {
	local sub=$CONFIGFS/nvmet/subsystems/$IMAGE_NQN link=$CONFIGFS/nvmet/ports/900/subsystems/$IMAGE_NQN

	if [ ! -d "$sub" ]; then
		storage_serve "$1"
		return
	fi
	if [ "$(cat "$sub/namespaces/1/device_path")" != "$1" ]; then
		echo 0 >"$sub/namespaces/1/enable"
		echo "$1" >"$sub/namespaces/1/device_path"
	fi
	echo 1 >"$sub/namespaces/1/enable"
	[ -e "$link" ] || in_storage ln -s "$sub" "$link"
}

# nvme_portal PORT: serves it through that port, too.
nvme_portal() {
	local port=$CONFIGFS/nvmet/ports/$1

	if [ ! -d "$port" ]; then
		mkdir "$port"
		echo tcp >"$port/addr_trtype"
		echo ipv4 >"$port/addr_adrfam"
		echo "$SRV" >"$port/addr_traddr"
		echo "$1" >"$port/addr_trsvcid"
	fi
	in_storage ln -s "$CONFIGFS/nvmet/subsystems/$IMAGE_NQN" "$port/subsystems/"
}

nvme_portal_down() { rm "$CONFIGFS/nvmet/ports/$1/subsystems/$IMAGE_NQN"; }

# Lets go of every host, and of the file.
nvme_unserve() {
	nvme_portal_down 900
	echo 0 >"$CONFIGFS/nvmet/subsystems/$IMAGE_NQN/namespaces/1/enable"
}

# An image of 256 MiB with 20 MiB of data in 20 places: with zeroes that are holes of
# the file, and some that are written.
make_holey() {
	local i
	truncate -s 256M "$1"
	for i in $(seq 0 19); do
		dd if=/dev/vda of="$1" bs=64k count=16 skip=$((i * 16)) seek=$((i * 205)) \
			conv=notrunc status=none
	done
	dd if=/dev/zero of="$1" bs=1M count=4 seek=100 conv=notrunc status=none
	# Zeroes whose ends are no blocks'.
	dd if=/dev/vda of="$1" bs=512 count=3 seek=$((150 * 2048 + 5)) conv=notrunc status=none
	dd if=/dev/vda of="$1" bs=512 count=1 seek=$((256 * 2048 - 1)) conv=notrunc status=none
}

# What the disk held before: nothing of it may be left in a hole.
make_soil() {
	[ -e "$WORK/soil" ] || head -c 64M /dev/zero | tr '\0' '\377' >"$WORK/soil"
}

soil() {
	local at
	make_soil
	for at in 0 64 128 192; do
		dd if="$WORK/soil" of=/dev/vdb bs=1M seek=$at oflag=direct conv=notrunc status=none
	done
}

# deploy URI [OPTION]...: as "d".
deploy() {
	"$ctl" deploy d --source "$1" --local /dev/vdb --format --force "${@:2}" >/dev/null
}

detach() { "$ctl" detach d >/dev/null; }
unlimited() { "$ctl" limit d --max-rate 0 >/dev/null; }
wait_complete() { "$ctl" wait d --timeout "${1:-240}" >/dev/null; }

state_is() { status_is state "$1"; }
source_is() { status_is source "$1"; }

# read_block MIB: a read of a block by who uses the device; says how long it took.
read_block() {
	local t
	t=$(now_ms)
	timeout 60 dd if=/dev/sluice0 of=/tmp/block bs=4k skip=$(($1 * 256)) count=1 iflag=direct \
		status=none || return 1
	took=$(($(now_ms) - t))
	say "a read at $1 MiB took $took ms"
}

# quick_fail_over NAME ONE UP DOWN TWO UP DOWN: of the URIs ONE and TWO, of servers that
# these commands start and kill. What a host that waits pays for the loss of the active
# one: less than 2 s, or, where everything is emulated, than opening three of them takes.
# Up to thrice, since a machine that is busy otherwise may take its time.
quick_fail_over() {
	local name=$1 one=$2 two=$5 best=60000 most=60000 try t up_one down_one up_two down_two

	read -ra up_one <<<"$3"
	read -ra down_one <<<"$4"
	read -ra up_two <<<"$6"
	read -ra down_two <<<"$7"
	for try in 1 2 3; do
		"${up_one[@]}"
		"${up_two[@]}"
		t=$(now_ms)
		deploy "$one" --source "$two" --max-rate 1M
		t=$((3 * ($(now_ms) - t)))
		[ "$t" -ge "$most" ] || most=$t
		"${down_one[@]}"
		check "$name: a read when the active path was killed" read_block $((20 + try))
		[ "$took" -ge "$best" ] || best=$took
		check "$name: the other one is used" until_true 10 source_is "$two"
		[ "$try" != 1 ] || unlimited
		[ "$try" != 1 ] || check "$name: it completes" wait_complete
		detach
		[ "$try" != 1 ] || check "$name: every block equals the image" compare /dev/vda
		"${down_two[@]}"
		[ "$best" -ge 2000 ] || break
	done
	[ "$most" -ge 2000 ] || most=2000
	check "$name: it took little ($best ms, at most $most)" [ "$best" -lt "$most" ]
}

# whole URI IMAGE NAME: a deployment from start to end.
whole() {
	check "$3: deploy" deploy "$1"
	check "$3: it completes" wait_complete
	fetched=$(status fetched_bytes) skipped=$(status skipped_bytes)
	check "$3: detach" detach
	check "$3: every block equals the image" compare "$2"
}

# The image on a disk of which some sectors cannot be read once that is enabled.
dusty_up() {
	local sector

	modprobe dm-dust
	# Nobody but dmsetup makes the node.
	DM_DISABLE_UDEV=1 dmsetup create dusty --table "0 $(blockdev --getsz /dev/vda) dust /dev/vda 0 512"
	for sector in 61440 61441 61447; do
		dmsetup message dusty 0 addbadblock "$sector"
	done
}

# The image on a disk that takes two seconds to read.
delayed_up() {
	modprobe dm-delay
	DM_DISABLE_UDEV=1 dmsetup create delayed \
		--table "0 $(blockdev --getsz /dev/vda) delay /dev/vda 0 2000"
}

not_in_logs() { ! grep -qF -- "$1" "$OUT"/*.log; }

# black_hole PERCENT: of the packets to the storage vanish; 0% ends it.
black_hole() {
	tc qdisc change dev sto root netem delay 0.5ms rate 1gbit limit 10000 loss "$1"
	ip netns exec storage tc qdisc change dev sto root netem delay 0.5ms rate 1gbit limit 10000 loss "$1"
}

# make_ca DIR NAME
make_ca() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 \
		-subj "/CN=$2" -keyout "$1/ca-key.pem" -out "$1/ca-cert.pem" 2>/dev/null
}

# make_server_cert DIR ADDRESS: signed by the CA in DIR.
make_server_cert() {
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=$2" \
		-keyout "$1/server-key.pem" -out "$1/server.csr" 2>/dev/null
	openssl x509 -req -in "$1/server.csr" -CA "$1/ca-cert.pem" -CAkey "$1/ca-key.pem" \
		-CAcreateserial -days 3650 -extfile <(echo "subjectAltName=IP:$2") \
		-out "$1/server-cert.pem" 2>/dev/null
}

# What servers do to a deployment when they fail.

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

# tamper_up KIND PORT SERVER-PORT: a server before another one; see tampered().
tamper_up() {
	tamper_mode pass
	# No sample is taken there.
	serve tamper "$BIN/tests/tamper" "$1" "$SRV" "$2" "$3" /dev/vda $(((30 << 20) + 2048)) "$WORK/mode"
	listening "$2"
}

# tamper_mode MODE: at once, as it may be read at any time.
tamper_mode() {
	echo "$1" >"$WORK/mode.new"
	mv "$WORK/mode.new" "$WORK/mode"
}

damages() { grep -c "^damaged: $1" "$OUT/tamper.log" || true; }
damaged() { [ "$(damages "$1")" -ge "$2" ]; }

# tampered NAME URI MODE...: by a server that damages what it says of one place of the
# image, in these ways one after the other. None of it is taken for the image.
tampered() {
	local name=$1 uri=$2 mode

	deploy "$uri" --max-rate 8M
	for mode in "${@:3}"; do
		tamper_mode "$mode"
		check "$name, $mode: the place is asked for again" \
			until_true 60 damaged "$mode" $(($(damages "$mode") + 2))
	done
	unlimited
	check "$name: all else becomes local" until_true 60 local_but 2
	check "$name: nothing damaged does" [ "$(status local_bytes)" -lt "$(status namespace_bytes)" ]
	tamper_mode pass
	check "$name: it completes when the server is well" wait_complete
	detach
	check "$name: every block equals the image" compare /dev/vda
}
