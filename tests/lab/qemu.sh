#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# qemu.sh: print the path of a command that runs the newer QEMU the lab's machines
# need (vfio-user-pci came with 10.1), unpacking it into the cache first if it
# is not there.
#
# The packages come from Debian's newer suites and are only unpacked: nothing of
# this machine changes. QEMU runs through the unpacked root's own dynamic loader
# and against its own libraries; a chroot would have to be shown every disk and
# socket.

# shellcheck source=tests/vm/lib.sh
. "$(dirname "$0")/../vm/lib.sh"

SUITE=${SLUICE_QEMU_SUITE:-trixie}
key=$(printf '%s' "$SUITE" | cat "$0" - | sha256sum | cut -c1-12)
root=$SLUICE_CACHE/qemu-$key

wrapper() {
	local loader lib
	loader=$(cd "$1" && echo usr/lib64/ld-linux-x86-64.so.2)
	[ -e "$1/$loader" ] || die "the unpacked QEMU has no dynamic loader $loader"
	lib=usr/lib/x86_64-linux-gnu
	cat <<-WRAPPER
	#!/bin/sh
	# SPDX-License-Identifier: GPL-2.0-or-later
	# Without its modules QEMU would look for the machine's own.
	export QEMU_MODULE_DIR='$root/$lib/qemu'
	exec '$root/$loader' --argv0 qemu-system-x86_64 \\
		--library-path '$root/$lib:$root/$lib/blas:$root/$lib/lapack' \\
		'$root/usr/bin/qemu-system-x86_64' \\
		-L '$root/usr/share/qemu' -L '$root/usr/share/seabios' "\$@"
	WRAPPER
}

# shellcheck disable=SC2317 # called by with_lock
unpack() {
	local mirror
	[ -e "$root/done" ] && return
	mirror=$(debian_mirror)
	tmp=$(mktemp -d "$SLUICE_CACHE/qemu.XXXXXX")
	trap 'rm -rf "$tmp"' EXIT
	say "lab: unpacking a newer QEMU (half a minute, once)"
	mmdebstrap --quiet --variant=extract --mode=root \
		--keyring=/usr/share/keyrings/debian-archive-keyring.gpg \
		--aptopt='Apt::Install-Recommends "false"' \
		--aptopt="APT::Default-Release \"$SUITE-backports\"" \
		--include=qemu-system-x86,seabios \
		"$SUITE" "$tmp/root" \
		"deb $mirror $SUITE main" "deb $mirror $SUITE-backports main" >"$tmp/log" 2>&1 ||
		{ tail -20 "$tmp/log" >&2; die "no QEMU could be unpacked from $SUITE-backports"; }
	wrapper "$tmp/root" >"$tmp/root/qemu"
	chmod 755 "$tmp/root/qemu"
	touch "$tmp/root/done"
	rm -rf "$root"
	mv "$tmp/root" "$root"
	"$root/qemu" -device vfio-user-pci,help >/dev/null ||
		{ rm -rf "$root"; die "the QEMU of $SUITE-backports has no vfio-user-pci"; }
}

[ -e "$root/done" ] || with_lock qemu unpack
printf '%s\n' "$root/qemu"
