# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# For scripts that run inside a guest: a storage network, an NVMe-TCP target in
# it, the daemon, a host behind nvmet-loop. Sourced, never run.
#
#	network namespace "storage"                   this machine
#	nvmet-tcp 10.77.0.1:4420 --- veth/netem --- 10.77.0.2  sluiced
#	serves $1 of storage_serve                    /dev/sluice0 -- nvmet-loop -- nvme host

set -euo pipefail

BIN=${SLUICE_BIN:?where sluiced is}
IMAGE_NQN=nqn.2026-01.org.sluice.test:image
CONFIGFS=/sys/kernel/config
SLUICED_PID=
# How many times longer than usual to wait for what must come.
SLACK=${SLUICE_SLACK:-1}

say() { printf '%s\n' "$*"; }
die() { printf '%s\n' "$*" >&2; exit 1; }
now_ms() { echo $(($(date +%s%N) / 1000000)); }

# To start a program takes a guest a tenth of a second and more: what bash can read itself
# it reads.

# value KEY: of the first deployment, from JSON on stdin.
value() {
	local text
	text=$(</dev/stdin)
	field "$1" "$text"
}

# field KEY JSON
field() {
	[[ $2 =~ .*\"$1\":\ *\"?([^,\"}]*) ]] || return 0
	printf '%s\n' "${BASH_REMATCH[1]}"
}

# compare IMAGE [WRITTEN]: with the local disk /dev/vdb.
compare() {
	"$BIN/tests/blockcmp" "$1" /dev/vdb "${@:2}" >"$OUT/compare.log" 2>&1 ||
		{ cat "$OUT/compare.log"; return 1; }
}

# parts NAMES...: calls these functions; an argument may name several.
parts() {
	local part name
	for part; do
		for name in $part; do
			say "-- $name at $SECONDS s"
			"$name"
		done
	done
}

status() {
	local text
	text=$("$BIN/sluicectl" status -o json) || return
	field "$1" "$text"
}

# nap SECONDS: without a process.
exec {never}<> <(:)
nap() { read -rt "$1" -u "$never" || true; }

# until_true SECONDS COMMAND...: false when it is not within so long.
until_true() {
	local end=$((SECONDS + $1 * SLACK))
	shift
	until "$@"; do
		[ "$SECONDS" -lt "$end" ] || return 1
		nap 0.1
	done
}

status_is() { [ "$(status "$1")" = "$2" ]; }

# until_status KEY VALUE: within two minutes.
until_status() {
	until_true 120 status_is "$1" "$2" && return
	say "$1 is $(status "$1"), not $2"
	return 1
}

# local_but MIB: at most so much is missing.
local_but() { [ $(($(status namespace_bytes) - $(status local_bytes))) -le $(($1 << 20)) ]; }

storage_up() {
	local delay=${1:-0.5ms} rate=${2:-1gbit}

	modprobe -a veth sch_netem nvmet nvmet-tcp nvme-tcp nvme-loop
	ip netns add storage
	ip link add sto type veth peer name sto netns storage
	ip addr add 10.77.0.2/24 dev sto
	ip link set sto up
	ip -n storage addr add 10.77.0.1/24 dev sto
	ip -n storage link set sto up
	ip -n storage link set lo up
	# Half of the round trip each way; the limit holds a delay's worth.
	tc qdisc add dev sto root netem delay "$delay" rate "$rate" limit 10000
	ip netns exec storage tc qdisc add dev sto root netem delay "$delay" rate "$rate" limit 10000
}

# storage_serve DEVICE [NQN]: through the port of the storage namespace.
storage_serve() {
	local sub=$CONFIGFS/nvmet/subsystems/${2:-$IMAGE_NQN} port=$CONFIGFS/nvmet/ports/900

	mkdir "$sub" "$sub/namespaces/1"
	echo 1 >"$sub/attr_allow_any_host"
	echo "$1" >"$sub/namespaces/1/device_path"
	echo 1 >"$sub/namespaces/1/enable"
	if [ ! -d "$port" ]; then
		mkdir "$port"
		echo tcp >"$port/addr_trtype"
		echo ipv4 >"$port/addr_adrfam"
		echo 10.77.0.1 >"$port/addr_traddr"
		echo 4420 >"$port/addr_trsvcid"
	fi
	# The listener lives in the network namespace of whoever links; "ip netns
	# exec" would also hide configfs behind a fresh /sys.
	nsenter --net=/run/netns/storage ln -s "$sub" "$port/subsystems/"
}

# It answers, or has ended. There is nobody to ask before its socket is there, which may
# also be the last one's.
daemon_answers() {
	local socket=/run/sluice/control.sock
	kill -0 "$SLUICED_PID" 2>/dev/null || return 0
	[ -S $socket ] && [ ! $socket -ot /tmp/started ] &&
		"$BIN/sluicectl" version -o json >/dev/null 2>&1
}

# shellcheck disable=SC2120 # options are optional
daemon_start() {
	mkdir -p /run/sluice
	: >/tmp/started
	"$BIN/sluiced" "$@" 2>>"$OUT/sluiced.log" &
	SLUICED_PID=$!
	until_true 60 daemon_answers && kill -0 "$SLUICED_PID" 2>/dev/null && return
	tail -20 "$OUT/sluiced.log" >&2
	die "sluiced did not come up"
}

# daemon_kill SIGNAL: and wait for its end; the status is its own.
daemon_kill() {
	kill -"$1" "$SLUICED_PID"
	wait "$SLUICED_PID"
}

# host_connect NQN: the stock driver over nvmet-loop; sets HOST to the disk.
host_connect() {
	nvme connect -t loop -n "$1" >/dev/null
	until_true 30 host_there "$1" || die "the host driver shows no disk for $1"
}

host_there() {
	local ctrl nqn transport
	for ctrl in /sys/class/nvme/nvme*; do
		{ read -r nqn <"$ctrl/subsysnqn" && read -r transport <"$ctrl/transport"; } 2>/dev/null ||
			continue
		[ "$nqn $transport" = "$1 loop" ] || continue
		HOST=/dev/${ctrl##*/}n1
		[ -b "$HOST" ] && return 0
	done
	return 1
}

# storage_cut, storage_mend: the network between us and the storage.
storage_cut() { ip -n storage link set sto down; }
storage_mend() { ip -n storage link set sto up; }

# Bytes that came from the storage since the machine started.
storage_received() { cat /sys/class/net/sto/statistics/rx_bytes; }

# written_start DISK: from now on note what is written to the disk. With bios,
# where there are no requests (/dev/sluiceN, the head of NVMe multipath).
written_start() {
	local t=/sys/kernel/tracing numbers event=block_rq_issue
	[ -d "/sys/block/${1#/dev/}/mq" ] || event=block_bio_queue
	written_event=$event
	numbers=$(lsblk -dno MAJ:MIN "$1" | tr -d ' ')
	echo 0 >$t/tracing_on
	echo 16384 >$t/buffer_size_kb
	echo >$t/trace
	echo "dev == $(((${numbers%:*} << 20) | ${numbers#*:})) && (rwbs ~ \"*W*\" || rwbs ~ \"*D*\")" \
		>"$t/events/block/$event/filter"
	echo 1 >"$t/events/block/$event/enable"
	echo 1 >$t/tracing_on
}

# written_stop FILE: "first-sector sectors" of each write, discard and zeroing.
written_stop() {
	local t=/sys/kernel/tracing
	echo 0 >$t/tracing_on
	echo 0 >"$t/events/block/$written_event/enable"
	awk '/^overrun:/ && $2 > 0 { exit 1 }' $t/per_cpu/cpu*/stats ||
		die "the trace of the host's writes overran its buffer"
	awk -v event="$written_event:" '{
		for (i = 1; i < NF; i++)
			if ($i == event && $(i + 2) ~ /[WD]/)
				for (j = i; j < NF; j++)
					if ($j == "+" && $(j + 1) > 0)
						print $(j - 1), $(j + 1)
	}' $t/trace >"$1"
}

# No memory of the module's is lost; needs kmemleak=on. It leaves out what is
# younger than 5 s, or changed since the last look.
no_leaks() {
	local leaks=/sys/kernel/debug/kmemleak
	[ "$SLUICE_KERNEL" = kasan ] && grep -qw kmemleak=on /proc/cmdline || return 0
	echo scan >$leaks || return 1
	sleep 6
	echo scan >$leaks || return 1
	! grep -B20 '\[sluice\]' $leaks
}
