#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# In a guest with -icount: how fast an image comes from each kind of source, by Sluice and
# by the protocol's own client, with the same server. Both throw away what they get: Sluice
# into a null_blk without memory, the others into nothing.

# shellcheck source=tests/bench/lib.sh
. "${SLUICE_TOP:?}/tests/bench/lib.sh"
# shellcheck source=tests/guest/sources-lib.sh
. "$SLUICE_TOP/tests/guest/sources-lib.sh"

mb=64
bytes=$((mb << 20))

storage_up 0.1ms 10gbit
insmod "$SLUICE_KO"
null_disk nullb0 $((mb + 64))
for _ in $(seq $((mb / 64))); do cat "$SLUICE_TOP/build/tests/random-64.img"; done >/tmp/image
mkdir -p "$WORK"
daemon_start

# by_sluice KEY URI
by_sluice() {
	written nullb0
	deploy_start "$2"
	copied nullb0 $bytes
	result "$1" sluice "$RATE"
	deploy_end
}

deploy_start() {
	"$ctl" deploy d --source "$1" --local /dev/nullb0 --size image --format --force >/dev/null
}

deploy_end() {
	"$ctl" wait d --timeout 60 >/dev/null
	"$ctl" detach d >/dev/null
}

# by_fio KEY DISK: the kernel's initiator.
by_fio() {
	fio --name=r --filename="$2" --rw=read --bs=1M --size=${mb}M --direct=1 --ioengine=libaio \
		--iodepth=16 --output-format=terse --output=/tmp/fio
	[ "$1" = warm ] || result "$1" client $(($(cut -d';' -f7 /tmp/fio) * 1024 / 1000000))
}

# by_nbdcopy KEY URI
by_nbdcopy() {
	local start

	now
	start=$NOW
	nbdcopy --no-extents --connections=4 --threads=1 --request-size=1048576 --requests=16 "$2" null:
	now
	[ "$1" = warm ] || result "$1" client $((bytes / (NOW - start)))
}

# each KEY URI CLIENT ARGUMENT: in turn, over the links asked for.
each() {
	local rate

	# All programs are in memory once they have run.
	"$3" warm "$4" >/dev/null
	for rate in none 1gbit; do
		if [ $rate = none ]; then link none; else link 0.5ms $rate; fi
		for _ in $(seq "$RUNS"); do
			"$3" "source.$1_${rate/none/unlimited}" "$4"
			by_sluice "source.$1_${rate/none/unlimited}" "$2"
		done
	done
}

nvme() {
	local c

	storage_serve /tmp/image
	command nvme connect -t tcp -a $SRV -s 4420 -n "$IMAGE_NQN" >/dev/null
	sleep 1
	for c in /sys/class/nvme/nvme*; do c=/dev/${c##*/}n1; done
	each nvme_tcp "$NVME" by_fio "$c"
	command nvme disconnect -n "$IMAGE_NQN" >/dev/null
}

nbd() {
	nbdkit_up nbdkit 10809 file /tmp/image
	each nbd "nbd://$SRV" by_nbdcopy "nbd://$SRV"
	unserve nbdkit
}

initiator() {
	modprobe -a iscsi_tcp sd_mod
	cp -rL /etc/iscsi /tmp/iscsi
	rm /etc/iscsi
	mv /tmp/iscsi /etc/iscsi
	echo InitiatorName=iqn.2026-01.org.sluice.test:host >/etc/iscsi/initiatorname.iscsi
	mkdir -p /run/lock/iscsi
	iscsid
}

# log_in PORTAL: DISK is the unit.
log_in() {
	iscsiadm -m node -o new -T "$IQN" -p "$1" >/dev/null
	iscsiadm -m node -T "$IQN" -p "$1" --login >/dev/null
	DISK=
	for _ in $(seq 100); do
		for DISK in /dev/sd?; do [ ! -b "$DISK" ] || return 0; done
		sleep 0.1
	done
	die "the initiator shows no disk"
}

log_out() {
	iscsiadm -m node -T "$IQN" --logout >/dev/null
	iscsiadm -m node -T "$IQN" -o delete >/dev/null
}

iscsi() {
	initiator
	tgt_up /tmp/image
	log_in $SRV:3260
	each iscsi_tgt "iscsi://$SRV/$IQN/1" by_fio "$DISK"
	log_out
	unserve tgtd
	lio_up fileio "fd_dev_name=/tmp/image,fd_dev_size=$bytes"
	log_in $SRV:3261
	each iscsi_lio "iscsi://$SRV:3261/$IQN/0" by_fio "$DISK"
	log_out
	lio_down fileio
}

parts "${@:-nvme nbd iscsi}"
daemon_kill TERM || true
