#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# arm64-root.sh [--where]: print the directory of an arm64 Debian 12's files, unpacking it
# into the cache first if it is not there; with --where only print. What is cross-built is
# built against it (--sysroot), and arm64 guests have it as their root.
#
# The packages are only unpacked, by this machine's own apt and dpkg: nothing of this
# machine changes, and none of their scripts runs, for which it would need an arm64
# processor. Adding the architecture to the machine instead would tie each of its own
# libraries to the version of a second one, and would still give guests no root.

# shellcheck source=tests/vm/lib.sh
. "$(dirname "$0")/lib.sh"

# Building: see deps.sh.
packages=(libc6-dev liburing-dev libnvme-dev libjson-c-dev libblkid-dev libext2fs-dev libsystemd-dev
	libsmartcols-dev libmicrohttpd-dev libnbd-dev libiscsi-dev libssl-dev)
# What tests/guest/ runs.
packages+=(busybox-static bash coreutils util-linux mount findutils diffutils grep sed mawk procps kmod
	iproute2 netcat-openbsd nvme-cli fio dmsetup nbdkit e2fsprogs)

key=$(sha256sum <"$0" | cut -c1-12)
root=$SLUICE_CACHE/arm64-root-$key

# What packages' scripts would have done.
finish() {
	local link target
	ln -s bash "$1/usr/bin/sh"
	ln -s mawk "$1/usr/bin/awk"
	ln -s nc.openbsd "$1/usr/bin/nc"
	mkdir -p "$1/usr/lib/modules"
	printf '%s\n' root:x:0:0:root:/root:/bin/bash nobody:x:65534:65534:nobody:/:/usr/sbin/nologin \
		>"$1/etc/passwd"
	printf '%s\n' root:x:0: nogroup:x:65534: >"$1/etc/group"
	# A linker on this machine would follow them to this machine's libraries.
	find "$1/usr/lib/aarch64-linux-gnu" -type l -lname '/*' | while read -r link; do
		target=$1$(readlink "$link")
		ln -snf "$(realpath -s --relative-to="$(dirname "$link")" "$target")" "$link"
	done
}

# shellcheck disable=SC2317 # called by with_lock
unpack() {
	local tmp
	[ ! -e "$root/done" ] || return 0
	tmp=$(mktemp -d "$SLUICE_CACHE/arm64.XXXXXX")
	say "arm64: unpacking Debian (a minute, once)"
	mmdebstrap --quiet --variant=extract --mode=root --architectures=arm64 \
		--keyring=/usr/share/keyrings/debian-archive-keyring.gpg \
		--aptopt='Apt::Install-Recommends "false"' \
		--dpkgopt='path-exclude=/usr/share/doc/*' \
		--dpkgopt='path-exclude=/usr/share/man/*' \
		--dpkgopt='path-exclude=/usr/share/locale/*' \
		--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr \
		--include="$(IFS=,; printf '%s' "${packages[*]}")" \
		bookworm "$tmp/root" "deb $(debian_mirror) bookworm main" >"$tmp/log" 2>&1 ||
		{ tail -20 "$tmp/log" >&2; rm -rf "$tmp"; die "no arm64 files could be unpacked"; }
	finish "$tmp/root"
	touch "$tmp/root/done"
	rm -rf "$root"
	mv "$tmp/root" "$root"
	rm -rf "$tmp"
}

[ "${1:-}" = --where ] || [ -e "$root/done" ] || with_lock arm64-root unpack
printf '%s\n' "$root"
