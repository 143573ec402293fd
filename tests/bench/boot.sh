#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2016 # orders to the card are expanded there
# boot.sh DIR: how soon after power-on a host has its login prompt, in the lab of two
# machines: an image of 2 GiB behind a link of 20 MB/s, one card, arms one after the other
# and again, each from a fresh local disk. Appends to DIR/results. RUNS (5).
#
#	local		the image is on the card's disk, which nvmet exports without Sluice
#	remote		nvmet exports the network's namespace, of which nothing is copied
#	sluice		deployed just before power-on
#	sluice_profile	the same with the profile of a boot before
#	copy_then_boot	dd of all of the image, and then the boot that is "local"
#
# These are machines that run in real time on whatever processors there are: only the
# ratios of one run mean anything. The card has one processor, so that it and the host
# have one each where there are two: a real card takes nothing from its host either.

LAB_NIC_CPUS=${LAB_NIC_CPUS:-1} LAB_NIC_MIB=1536
# shellcheck source=tests/lab/lab.sh
. "$(dirname "$0")/../lab/lab.sh"
cd "$SLUICE_TOP"

exec {idle}<> <(:)
runs=${RUNS:-5} limit=$SLUICE_BOOT_TIMEOUT
results=$1/results
image=$(tests/image/build.sh)
kernel=$(tests/vm/kernel.sh plain)
make -s user guest-tools >&2
make -s module KERNEL="$kernel/build" KMOD_DIR=build/kmod-plain >&2
lab_up "$1"
rm -f "$results"

card() { lab_nic_run "$@"; }
result() { printf '%s\n' "$*" | tee -a "$results"; }
seconds() { printf '%d.%03d' $(($1 / 1000)) $(($1 % 1000)); }

# Each run needs an image of its own for those who boot from it itself.
disks=(--disk "$image,snapshot" --disk new:2304M)
for run in $(seq "$runs"); do disks+=(--disk "$image,snapshot"); done
LAB_NIC_TIMEOUT=$((600 + 600 * runs))
lab_nic --env SLUICE_KO="$SLUICE_TOP/build/kmod-plain/sluice.ko" "${disks[@]}" tests/lab/card.sh
lab_nic_wait ready 120
nic_qemu=$(pgrep -P "$lab_nic_pid" -f qemu-system)
card 60 'card_up 0.5ms 160mbit && modprobe nvme-tcp && ls /dev/vd?' >"$lab_out/card-up.log"
mapfile -t spares < <(grep '^/dev/vd[c-z]$' "$lab_out/card-up.log")

# A machine that has never booted: GRUB is found the same way each time.
on() {
	lab_host_forget
	lab_host_on ''
}

# booted WHO RECEIVED: each phase of the boot, and what the card has received since then;
# what both machines have computed tells when they were in each other's way.
booted() {
	local phase ms nic
	nic=$(computed "$nic_qemu")
	until_login
	for phase in firmware grub kernel mounted login; do
		ms=$(lab_host_wait "$phase" "$limit")
		result "boot.${phase}_s" "$1" "$(seconds "$ms")"
	done
	result boot.card_cpu_s "$1" "$(seconds $(($(computed "$nic_qemu") - nic)))"
	result boot.host_cpu_s "$1" "$(seconds "$(computed "$lab_host_pid")")"
	result boot.fetched_mib "$1" $((($(received) - $2) >> 20))
	lab_host_off
	login_ms=$ms
}

# The console notes the times. Looking for them takes no process: those would run on the
# same processors as the machines.
until_login() {
	local phases='' end=$((SECONDS + limit))
	until [[ $phases = *" login "* ]] || [ "$SECONDS" -ge $end ]; do
		read -rt 0.1 -u "$idle" || true
		read -rd '' phases <"$lab_out/host/phases" || true
	done
}

# computed PID: ms of processor that it has had.
computed() {
	local stat
	read -ra stat <"/proc/$1/stat"
	echo $(((stat[13] + stat[14]) * 10))
}

received() { card 10 storage_received; }

# attached NQN: the card's own initiator has the namespace: prints its disk.
attached() {
	card 60 'nvme connect -t tcp -a 10.77.0.1 -s 4420 -n '"$1"' >/dev/null && sleep 1 &&
		for c in /sys/class/nvme/nvme*; do
			[ "$(cat $c/subsysnqn)" != '"$1"' ] || echo /dev/${c##*/}n1
		done'
}

let_go() { card 60 "nvme disconnect -n $1 >/dev/null"; }

exported() { card 60 '"$SLUICE_TOP/tests/lab/export-raw.sh" start '"$1"; }
unexported() { card 60 '"$SLUICE_TOP/tests/lab/export-raw.sh" stop'; }

# by_sluice WHO OPTION...: deployed, booted; its own account of it is in DIR/WHO.json.
by_sluice() {
	local who=$1 before
	shift
	card 60 'blkdiscard -f /dev/vdb'
	before=$(received)
	card 60 '"$ctl" deploy disk --source "nvme-tcp://10.77.0.1:4420/$IMAGE_NQN?nsid=1" \
		--local /dev/vdb --format --force --export pci '"$* >/dev/null"
	on
	booted "$who" "$before"
	card 10 '"$ctl" status -o json' >"$lab_out/$who.json"
	card 60 '"$ctl" detach disk >/dev/null'
}

recorded() {
	card 60 'blkdiscard -f /dev/vdb && "$ctl" deploy disk --local /dev/vdb --format --force --paused \
		--source "nvme-tcp://10.77.0.1:4420/$IMAGE_NQN?nsid=1" --export pci >/dev/null &&
		{ "$ctl" profile record disk $OUT/profile 2>$OUT/record.log & }'
	on
	lab_host_wait login "$limit" >/dev/null
	card 30 '"$ctl" mark disk up && wait %% && "$ctl" profile show $OUT/profile'
	lab_host_off
	card 60 '"$ctl" detach disk >/dev/null'
}

copied_then_booted() {
	local disk before start copy_ms
	disk=$(attached nqn.2026-01.org.sluice.test:image)
	card 60 'blkdiscard -f /dev/vdb'
	before=$(received)
	start=${EPOCHREALTIME/./}
	card 600 "dd if=$disk of=/dev/vdb bs=1M iflag=direct oflag=direct status=none"
	copy_ms=$(((${EPOCHREALTIME/./} - start) / 1000))
	let_go nqn.2026-01.org.sluice.test:image
	result boot.fetched_mib copy_then_boot $((($(received) - before) >> 20))
	exported /dev/vdb
	before=$(received)
	on
	booted local "$before"
	unexported
	result boot.login_s copy_then_boot "$(seconds $((copy_ms + login_ms)))"
}

remotely() {
	local disk before nqn=nqn.2026-01.org.sluice.test:run$run
	card 10 "storage_serve $1 $nqn"
	disk=$(attached "$nqn")
	before=$(received)
	exported "$disk"
	on
	booted remote "$before"
	unexported
	let_go "$nqn"
}

recorded >"$lab_out/profile.log"
for run in $(seq "$runs"); do
	copied_then_booted
	remotely "${spares[run - 1]}"
	by_sluice sluice
	by_sluice sluice_profile '--profile $OUT/profile'
done
card 60 'daemon_kill TERM; nic_stop'
lab_nic_end
tests/vm/dmesg-scan.sh "$lab_out/nic/console.log"
