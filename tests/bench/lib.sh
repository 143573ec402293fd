# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034 # variables are of the scripts that source it
# For the groups of the benchmark, inside their guest. Sourced, never run.

# shellcheck source=tests/guest/lib.sh
. "${SLUICE_TOP:?}/tests/guest/lib.sh"

ctl=$BIN/sluicectl
# How often what is no count of instructions is measured, everybody in turn.
RUNS=${RUNS:-5}

# result KEY WHO VALUE...: one figure of one run, for report.py.
result() {
	printf '%s\n' "$*" | tee -a "$OUT/results"
}

# null_disk NAME MB [ATTRIBUTE=VALUE]...: /dev/NAME, a disk that costs nothing.
null_disk() {
	local dir=$CONFIGFS/nullb/$1 setting

	modprobe null_blk nr_devices=0
	mkdir "$dir"
	echo "$2" >"$dir/size"
	for setting in "${@:3}"; do
		echo "${setting#*=}" >"$dir/${setting%%=*}"
	done
	echo 1 >"$dir/power"
}

# dm NAME TABLE...: /dev/mapper/NAME; there is no udev here.
dm() {
	modprobe "dm-$(cut -d' ' -f3 <<<"$2")" 2>/dev/null || true
	DM_DISABLE_UDEV=1 dmsetup create "$1" --table "$2"
}

dm_gone() {
	DM_DISABLE_UDEV=1 dmsetup remove "$1"
}

# sectors DEVICE
sectors() { blockdev --getsz "$1"; }

# hydrated_of NAME: regions of a dm-clone that are local, and of how many.
hydrated_of() { dmsetup status "$1" | cut -d' ' -f7; }

# hydrated NAME: all of a dm-clone is local.
hydrated() {
	local done_of

	dmsetup message "$1" 0 enable_hydration
	for _ in $(seq 3000); do
		done_of=$(hydrated_of "$1")
		[ "${done_of%/*}" != "${done_of#*/}" ] || return 0
		sleep 0.1
	done
	die "dm-clone has copied $done_of regions only"
}

# now: NOW is the time in us; without a process of its own, which would cost some ms.
now() { NOW=${EPOCHREALTIME/./}; }

# link DELAY RATE: of the storage's network, the delay one way; link none: unlimited.
link() {
	local in

	# What is on its way in a qdisc goes with it.
	nap 1
	for in in "" "nsenter --net=/run/netns/storage"; do
		$in tc qdisc del dev sto root 2>/dev/null || true
		[ "$1" = none ] || $in tc qdisc add dev sto root netem delay "$1" rate "$2" limit 10000
	done
}

# written DISK: WRITTEN are the bytes written to it so far.
written() {
	local stat

	read -ra stat <"/sys/block/$1/stat"
	WRITTEN=$((stat[6] * 512))
}

# copied DISK BYTES: waits until so much was written to it since WRITTEN; RATE is in MB/s,
# without the first 16 MiB.
copied() {
	local end=$((WRITTEN + $2)) first start

	first=$((WRITTEN + (16 << 20)))
	until written "$1" && [ "$WRITTEN" -ge "$first" ]; do nap 0.002; done
	now
	first=$WRITTEN start=$NOW
	until [ "$WRITTEN" -ge $end ]; do
		nap 0.004
		written "$1"
	done
	now
	RATE=$(((WRITTEN - first) / (NOW - start)))
}

# had DISK: HAD are the requests it has had so far.
had() {
	local stat

	read -ra stat <"/sys/block/$1/stat"
	HAD=$((stat[0] + stat[4]))
}

# For profile.sh: what runs is counted once DISK has had so many requests more, and is steady.
# profiled DISK REQUESTS MS
profiled() {
	local end

	had "$1"
	end=$((HAD + $2))
	until had "$1" && [ "$HAD" -ge $end ]; do nap 0.01; done
	"$MARK" "$3"
}

# An SSD: 50 us a command, with a cache that flushes cost as much again.
SSD=(memory_backed=1 cache_size=64 irqmode=2 completion_nsec=50000)

# bench_up MB: an image of so much on a target behind a link of 1 ms and 1 Gbit/s, which
# is $REMOTE to a host; three local disks, nullb0 (Sluice's), nullb1 (dm-clone's, with its
# metadata on /dev/metadata) and nullb2; the daemon.
bench_up() {
	local disk part

	storage_up 0.5ms 1gbit
	null_disk image "$1" memory_backed=1
	for part in $(seq 0 $(($1 / 64 - 1))); do
		dd if="$SLUICE_TOP/build/tests/random-64.img" of=/dev/image bs=1M seek=$((part * 64)) \
			oflag=direct status=none
	done
	storage_serve /dev/image
	command nvme connect -t tcp -a 10.77.0.1 -s 4420 -n "$IMAGE_NQN" >/dev/null
	sleep 1
	for REMOTE in /sys/class/nvme/nvme*; do REMOTE=/dev/${REMOTE##*/}n1; done
	for disk in nullb0 nullb1 nullb2; do null_disk $disk $(($1 + 8)) "${SSD[@]}"; done
	null_disk metadata 16 "${SSD[@]}"
	insmod "$SLUICE_KO"
	daemon_start
	# All programs are in memory once they have run.
	fio --name=warm --filename=/dev/nullb2 --rw=randrw --bs=4k --size=1M --direct=1 \
		--ioengine=libaio --output=/dev/null
	"$ctl" status >/dev/null
}

# sluice_up [OPTION]...: deploys to nullb0, or LOCAL.
sluice_up() {
	"$ctl" deploy d --source "nvme-tcp://10.77.0.1/$IMAGE_NQN" --local "${LOCAL:-/dev/nullb0}" \
		--size image --format --force "$@" >/dev/null
}

sluice_down() {
	"$ctl" detach d >/dev/null
}

# clone_up REGION_SECTORS [OPTION]...: /dev/mapper/clone on nullb1; it copies once told.
clone_up() {
	dd if=/dev/zero of=/dev/metadata bs=64k count=1 oflag=direct status=none
	dm clone "0 $(sectors "$REMOTE") clone /dev/metadata /dev/nullb1 $REMOTE $1 1 no_hydration ${*:2}"
}

# Best for copying: a region of 1 MiB, as what Sluice fetches at once, and as many under way.
clone_best() {
	clone_up 2048 4 hydration_threshold 16 hydration_batch_size 1
}

clone_down() { dm_gone clone; }

# requests DISK RW DEPTH OPTION...: by fio; IOPS, US, the mean time of a request, and EACH,
# the time by which there is one more.
requests() {
	fio --name=r --filename="$1" --rw="$2" --iodepth="$3" --direct=1 --ioengine=libaio \
		--output-format=terse --output=/tmp/fio "${@:4}"
	IFS=';' read -r IOPS US EACH < <(cut -d';' -f8,40,49,81 /tmp/fio | awk -F';' '{
		n = $1 + $3
		printf "%d;%.1f;%.2f\n", n, ($1 * $2 + $3 * $4) / n, 1000000 / n
	}')
}

# flushed DISK OPTION...: writes with a flush after each; FLUSHED is the mean time of both. Of
# what fio measures: all of it together it tells in whole ms, which is 8 us each.
flushed() {
	fio --name=r --filename="$1" --rw=write:60k --bs=4k --direct=1 --ioengine=psync --fsync=1 \
		--output-format=json --output=/tmp/fio "${@:2}"
	FLUSHED=$(jq '.jobs[0] | (.write.lat_ns.mean + .sync.lat_ns.mean) / 100 | round / 10' /tmp/fio)
}
