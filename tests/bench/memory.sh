#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# In a guest with -icount; /dev/vda is a sparse disk of more than 1 TiB that can write
# zeroes. What deployments need of the card: kernel memory and the daemon's, with images of
# 1 GiB to 1 TiB that are almost all holes; then with 1 to 64 deployments, of which all but
# one wait, and what the processor has to do to copy a GiB meanwhile.

# shellcheck source=tests/bench/lib.sh
. "${SLUICE_TOP:?}/tests/bench/lib.sh"

insmod "$SLUICE_KO"
modprobe loop max_loop=0
mkdir -p /tmp/m
mount -t tmpfs -o size=2G tmpfs /tmp/m
daemon_start

# What the module has allocated with vmalloc: maps, buffer pools, rings. What else there is
# does not grow.
kernel_kib() { awk '/\[sluice\]/ { bytes += $2 } END { printf "%d", bytes / 1024 }' /proc/vmallocinfo; }

peak_kib() { awk '/^VmHWM/ { print $2 }' "/proc/$SLUICED_PID/status"; }

# What the processor has done for all threads, in ms. That is measured; what /proc/stat says
# of the processor is sampled, and differs by a tenth.
busy() {
	BUSY=$(sed 's/.*) //' /proc/[0-9]*/stat 2>/dev/null | awk '{ n += $12 + $13 } END { print n * 10 }')
}

# image NAME MIB: without data but for the last 2 MiB.
image() {
	truncate -s "$2M" "/tmp/m/$1.img"
	dd if=/dev/zero of="/tmp/m/$1.img" bs=1M count=2 seek=$(($2 - 2)) conv=notrunc status=none
}

# deploy NAME URI DISK OPTION...
deploy() {
	"$ctl" deploy "$1" --source "$2" --local "$3" --size image --format --force \
		"${@:4}" >/dev/null
}

gone() {
	"$ctl" detach "$1" >/dev/null
	rm "/tmp/m/$1.img"
}

# mib KIB
mib() { awk "BEGIN { printf \"%.1f\", $1 / 1024 }"; }

for gib in 1 32 1024; do
	image d$gib $((gib << 10))
	# A server that knows of holes.
	nbdkit -f -r -U /tmp/m/sock file /tmp/m/d$gib.img &
	server=$!
	until [ -S /tmp/m/sock ]; do nap 0.01; done
	busy
	before=$BUSY
	# Holes are not paced: they are done while the data waits.
	deploy d$gib "nbd+unix:///?socket=/tmp/m/sock" /dev/vda --max-rate 1
	# 32 GiB tell what one costs.
	"$ctl" wait d$gib --for $((gib > 32 ? 3200 / gib : 99))% --timeout 900 >/dev/null
	busy
	done_mib=$(($(status local_bytes) >> 20))
	result memory.kernel_mib ${gib}_gib "$(mib "$(kernel_kib)")"
	result memory.daemon_peak_mib ${gib}_gib "$(mib "$(peak_kib)")"
	result memory.ms_a_gib_of_holes ${gib}_gib \
		$(((BUSY - before) * 1024 / done_mib))
	gone d$gib
	kill $server
	wait $server || true
	rm -f /tmp/m/sock
done

# Its peak is of this part alone.
daemon_kill TERM || true
daemon_start
there=0
for count in 1 16 64; do
	while [ $there -lt $((count - 1)) ]; do
		there=$((there + 1))
		image idle$there 16
		truncate -s 32M /tmp/m/idle$there.disk
		deploy idle$there file:/tmp/m/idle$there.img "$(losetup --show -f /tmp/m/idle$there.disk)" --max-rate 1
		"$ctl" pause idle$there >/dev/null
	done
	# A thread's time is told in 10 ms.
	image data 640
	dd if=/dev/zero of=/tmp/m/data.img bs=1M count=640 conv=notrunc status=none
	busy
	before=$BUSY
	deploy data file:/tmp/m/data.img /dev/vda
	"$ctl" wait data --timeout 900 >/dev/null
	busy
	result memory.kernel_mib ${count}_deployments "$(awk "BEGIN { print $(kernel_kib) / 1024 }")"
	result memory.daemon_peak_mib ${count}_deployments "$(awk "BEGIN { print $(peak_kib) / 1024 }")"
	result memory.ms_a_gib_copied ${count}_deployments $(((BUSY - before) * 1024 / 640))
	gone data
done
kill -KILL "$SLUICED_PID"
