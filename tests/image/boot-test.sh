#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# boot-test.sh [IMAGE]: boot the machine image (by default the cached one) with
# UEFI firmware from QEMU's own NVMe device to the login prompt, and print when
# GRUB, the kernel and the prompt were seen. The image is not changed.

# shellcheck source=tests/vm/lib.sh
. "$(dirname "$0")/../vm/lib.sh"

limit=$SLUICE_BOOT_TIMEOUT
image=${1:-$("$SLUICE_TOP/tests/image/build.sh")}
[ -e "$image" ] || die "no image $image; tests/image/build.sh makes one"

firmware=/usr/share/OVMF
[ -e "$firmware/OVMF_CODE_4M.fd" ] || die "no UEFI firmware in $firmware; run tests/vm/deps.sh"

tmp=$(mktemp -d "${TMPDIR:-/var/tmp}/sluice-boot.XXXXXX")
qemu=''
# shellcheck disable=SC2317 # called by the trap
clean_up() {
	exec 2>/dev/null
	[ -z "$qemu" ] || kill -KILL "$qemu" || true
	wait
	rm -rf "$tmp"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

now() { echo $((${EPOCHREALTIME/./} / 1000)); }

cp "$firmware/OVMF_VARS_4M.fd" "$tmp/vars.fd"
start=$(now)
setpriv --pdeathsig KILL "${QEMU:-qemu-system-x86_64}" \
	-nodefaults -no-user-config -display none -no-reboot -snapshot \
	-machine q35 -accel tcg,thread=multi -cpu "$emulated_cpu" -smp 2 -m 1024 \
	-drive "if=pflash,format=raw,readonly=on,file=$firmware/OVMF_CODE_4M.fd" \
	-drive "if=pflash,format=raw,file=$tmp/vars.fd" \
	-drive "if=none,id=disk,format=raw,file=${image//,/,,}" \
	-device nvme,drive=disk,serial=sluice,bootindex=0 \
	-object rng-random,id=rng,filename=/dev/urandom -device virtio-rng-pci,rng=rng \
	-chardev "file,id=console,path=$tmp/console" -serial chardev:console \
	</dev/null >"$tmp/qemu.log" 2>&1 &
qemu=$!

# The prompt ends no line, so lines are not waited for.
for stage in GRUB:Loading.Linux kernel:Linux.version login:sluice-host.login:; do
	until grep -aq "${stage#*:}" "$tmp/console" 2>/dev/null; do
		why=''
		kill -0 "$qemu" 2>/dev/null || why='ended before'
		[ $(($(now) - start)) -lt $((limit * 1000)) ] || why="took over $limit s to"
		if [ -n "$why" ]; then
			cat "$tmp/qemu.log" >&2
			tail -n 40 "$tmp/console" >&2 || true
			die "$image $why \"${stage%%:*}\""
		fi
		sleep 0.05
	done
	printf '%s %d ms\n' "${stage%%:*}" $(($(now) - start))
done
