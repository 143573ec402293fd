#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# test-doctor.sh [SLUICECTL]: what "sluicectl doctor" finds on cards made of files, and
# on this machine with a real sluiced. Last line: "N passed, N failed".

cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/unit/ctl.sh
. tests/unit/ctl.sh

check() { # NAME COMMAND...
	local name=$1
	shift
	if "$@"; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "FAILED: $name (status $rc)"
		cat "$tmp/out" "$tmp/err"
	fi
}

# put FILE TEXT: of the card.
put() {
	mkdir -p "$card/${1%/*}"
	printf '%s\n' "$2" >"$card/$1"
}

# A card without a fault.
card() {
	local module
	card=$tmp/card
	rm -rf "$card"
	put proc/sys/kernel/osrelease 6.14.2-card
	put proc/sys/kernel/io_uring_disabled 0
	put proc/meminfo 'MemAvailable:    8000000 kB'
	put proc/mounts 'configfs /sys/kernel/config configfs rw 0 0'
	put lib/modules/6.14.2-card/modules.builtin kernel/drivers/nvme/target/nvmet.ko
	for module in target/nvmet-tcp target/nvme-loop target/nvmet-pci-epf host/nvme-tcp; do
		echo "kernel/drivers/nvme/$module.ko.xz:"
	done >"$card/lib/modules/6.14.2-card/modules.dep"
	echo 'updates/dkms/sluice.ko:' >>"$card/lib/modules/6.14.2-card/modules.dep"
	put sys/module/sluice/version 9.9
	put sys/module/nvmet_pci_epf/parameters/ends_failed_reads Y
	put boot/config-6.14.2-card '# CONFIG_NVME_TARGET_TCP_TLS is not set'
	mkdir -p "$card/sys/class/pci_epc/fd000000.pcie-ep"
	put sys/block/nvme0n1/device/transport pcie
	put sys/block/nvme0n1/size 2097152
	put sys/block/nvme0n1/queue/write_cache 'write through'
	put sys/block/nvme0n1/queue/write_zeroes_max_bytes 131072
	put sys/block/nvme1n1/device/transport tcp
	put sys/block/nvme1n1/size 2097152
	put sys/block/loop0/size 2097152
}

run() {
	"$ctl" --socket "$tmp/sock" doctor "$@" -o json >"$tmp/out" 2>"$tmp/err"
	rc=$?
}

# found NAME STATUS CHECK LEVEL [REMEDY]: the finding is there, with its remedy.
found() {
	check "$1: status $2" test "$rc" = "$2"
	# shellcheck disable=SC2016 # of jq
	check "$1: $3 is $4" jq -e --arg check "$3" --arg level "$4" --arg remedy "${5-}" \
		'[.findings[] | select(.check == $check and .level == $level and
		  ((.remedy // "") | contains($remedy)))] | length > 0' "$tmp/out"
}

exec 3>&1 >"$tmp/jq"
card; run --root "$card"
check "a good card" test "$rc" = 0
check "a good card: nothing but ok" jq -e 'all(.findings[]; .level == "ok" and .remedy == null)' "$tmp/out"
check "a good card: worst" jq -e '.worst == "ok"' "$tmp/out"
check "one disk is local" jq -e '[.findings[] | select(.check == "disk")] | length == 1' "$tmp/out"
found "a good card" 0 endpoint ok

card; put proc/sys/kernel/osrelease 5.15.0; run --root "$card"
found "an old kernel" 19 kernel error "Boot Linux 6.1"
card; put proc/sys/kernel/io_uring_disabled 2; run --root "$card"
found "no io_uring" 19 io_uring error kernel.io_uring_disabled=0
card; rm "$card/proc/sys/kernel/io_uring_disabled"; run --root "$card"
found "before io_uring_disabled" 0 io_uring ok
card; rm -r "$card/sys/module/sluice"; run --root "$card"
found "a module that is not loaded" 19 module error "modprobe sluice"
found "a module whose key is rejected" 19 module error "mokutil --import"
sed -i /sluice/d "$card"/lib/modules/*/modules.dep; run --root "$card"
found "no module" 19 module error sluice-dkms
put sys/module/sluice/version 9.9; run --root "$card"
found "a loaded module" 0 module ok
card; : >"$card/proc/mounts"; run --root "$card"
found "no configfs" 18 configfs warning "mount -t configfs"
card; : >"$card/lib/modules/6.14.2-card/modules.builtin"; run --root "$card"
found "no nvmet" 18 nvmet warning CONFIG_NVME_TARGET
for module in nvmet-tcp nvme-loop nvme-tcp; do
	card; sed -i "/$module/d" "$card"/lib/modules/*/modules.dep; run --root "$card"
	found "no $module" 0 "$module" note CONFIG_NVME_T
done
card; rm -r "$card/sys/module/nvmet_pci_epf"; sed -i /pci-epf/d "$card"/lib/modules/*/modules.dep
run --root "$card"; found "no nvmet-pci-epf" 0 nvmet-pci-epf note "Linux 6.14"
card; put boot/config-6.14.2-card CONFIG_NVME_TARGET_TCP_TLS=y; run --root "$card"
found "TLS in the target" 18 pci-tls warning nvmet-no-queue-yet.patch
card; rm -r "$card/sys/module/nvmet_pci_epf/parameters"; run --root "$card"
found "reads that block" 0 pci-reads note failed-reads.patch
card; rm -r "$card/sys/class/pci_epc"; run --root "$card"
found "no endpoint controller" 0 endpoint note "device tree"
card; rm -r "$card/sys/block/nvme0n1"; run --root "$card"
found "no disk" 18 disk warning "NVMe SSD"
card; rm "$card/sys/block/nvme0n1/device/transport"; put sys/class/nvme/nvme0/transport tcp
run --root "$card"; found "a multipath disk of the network" 18 disk warning
card; put sys/block/nvme0n1/queue/write_cache 'write back'; run --root "$card"
found "a volatile cache" 0 disk-cache note "power-loss"
card; put sys/block/nvme0n1/queue/write_zeroes_max_bytes 0; run --root "$card"
found "no write zeroes" 0 disk-zeroes note "Write Zeroes"
card; put proc/meminfo 'MemAvailable:    1000 kB'; run --root "$card"
found "little memory" 18 memory warning "32 MiB"

run
found "no daemon" "$rc" daemon warning "systemctl enable --now sluiced"

# This machine, and a real daemon.
start_sluiced
run
found "a daemon" "$rc" versions ok
check "its memory is judged" jq -e 'any(.findings[]; .check == "memory-lock")' "$tmp/out"
# shellcheck disable=SC2016 # of jq
check "the worst is the worst" jq -e '.worst as $w | (.findings | map(.level)) as $l |
	["error", "warning", "note", "ok"] | map(select(. as $x | $l | index($x))) | .[0] == $w' "$tmp/out"
"$ctl" --socket "$tmp/sock" doctor >"$tmp/out" 2>"$tmp/err"
check "text, with remedies" grep -q '^ok *kernel *Linux ' "$tmp/out"
"$ctl" --socket "$tmp/sock" events >"$tmp/out" 2>"$tmp/err" &
events=$!
for _ in $(seq 100); do
	"$ctl" --socket "$tmp/sock" status >/dev/null && break
done
stop
wait $events
rc=$?
check "events end with the daemon" test "$rc" = 15
card; run --root "$card" x
check "a word too many" test "$rc" = 2

exec >&3
grep -A20 FAILED "$tmp/jq"
finish
