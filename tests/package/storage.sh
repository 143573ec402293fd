# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# What the storage machine does for run.sh: it serves the image, and is the host of the disk
# that the card exports. Sourced, never run; of the card's disk it wants $nqn.

# shellcheck source=tests/package/machines.sh
. "$SLUICE_TOP/tests/package/machines.sh"

image_nqn=nqn.2026-01.org.sluice.test:image
image_iqn=iqn.2026-01.org.sluice.test:small
nqn=''

storage_serves() {
	storage_run 60 "set -e
		modprobe -a virtio_net nvmet nvmet-tcp nvme-tcp
		for _ in \$(seq 50); do [ -e /sys/class/net/eth0 ] && break; sleep 0.1; done
		ip addr add 10.77.0.1/24 dev eth0
		ip link set eth0 up
		sub=/sys/kernel/config/nvmet/subsystems/$image_nqn
		port=/sys/kernel/config/nvmet/ports/1
		mkdir \$sub \$sub/namespaces/1 \$port
		echo 1 >\$sub/attr_allow_any_host
		echo /dev/vda >\$sub/namespaces/1/device_path
		echo 1 >\$sub/namespaces/1/enable
		echo tcp >\$port/addr_trtype
		echo ipv4 >\$port/addr_adrfam
		echo 10.77.0.1 >\$port/addr_traddr
		echo 4420 >\$port/addr_trsvcid
		ln -s \$sub \$port/subsystems/"
}

# The first 16 MiB of the image over iSCSI, for who knows a secret.
storage_serves_secretly() {
	storage_run 60 "set -e
		dd if=/dev/vda of=/tmp/small bs=1M count=16 status=none
		mkdir -p /run/tgtd
		ip link set lo up
		setsid tgtd -f -C 1 --iscsi portal=10.77.0.1:3260 </dev/null >/tmp/tgtd.log 2>&1 &
		for _ in \$(seq 100); do nc -z 10.77.0.1 3260 && break; sleep 0.1; done
		tgt() { tgtadm -C 1 --lld iscsi \"\$@\"; }
		tgt --op new --mode target --tid 1 -T $image_iqn
		tgt --op new --mode logicalunit --tid 1 --lun 1 -b /tmp/small
		tgt --op update --mode logicalunit --tid 1 --lun 1 --params readonly=1
		tgt --op bind --mode target --tid 1 -I ALL
		tgt --op new --mode account --user card --password initiators-secret
		tgt --op bind --mode account --tid 1 --user card"
}

host_connects() {
	storage_run 90 "set -e
		nvme connect -t tcp -a 10.77.0.2 -s 4420 -n $nqn --ctrl-loss-tmo=-1 \
			--reconnect-delay=1 --keep-alive-tmo=30
		for _ in \$(seq 100); do
			for ctrl in /sys/class/nvme/nvme*; do
				[ \"\$(cat \$ctrl/subsysnqn)\" = $nqn ] || continue
				disk=/dev/\$(ls -d /sys/class/nvme-subsystem/*/nvme*n1 | sed 's,.*/,,' | head -1)
				[ -b \$disk ] && echo \$disk >/tmp/disk && exit 0
			done
			sleep 0.1
		done
		exit 1"
}

host_works() {
	storage_run 30 "mkdir -p /tmp/host
		setsid bash $SLUICE_TOP/tests/package/host.sh \$(cat /tmp/disk) /dev/vda /tmp/host \
			</dev/null >/tmp/host/log 2>&1 &"
}

host_stops() {
	storage_run 120 'touch /tmp/host/stop; while pgrep -f package/host.sh >/dev/null; do sleep 0.2; done'
}

rounds() { storage_run 30 'cat /tmp/host/rounds 2>/dev/null | wc -l'; }
more_rounds() { [ "$(rounds)" -ge "$1" ]; }

# The host goes on: two more rounds of it.
host_goes_on() {
	local n
	n=$(($(rounds) + 2))
	until_true 200 more_rounds "$n"
}

host_errors() { storage_run 30 'cat /tmp/host/errors'; }
no_host_errors() { [ -z "$(host_errors)" ] || { host_errors >&2; return 1; }; }

# How often the host's controller has lost the card, since ever.
losses() { storage_run 30 'dmesg | grep -cE "starting error recovery|Reconnecting in|I/O error" || true'; }
