#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2317 # functions are called by name
# make check-rpm: the RPM packages, both variants of the module: what is in them, an
# installation into an empty root, and what their scriptlets do in one that has a shell.
# The last line is "N passed, N failed".

# shellcheck source=tests/vm/lib.sh
. "$(dirname "$0")/../vm/lib.sh"
# shellcheck source=tests/guest/assert.sh
. "$SLUICE_TOP/tests/guest/assert.sh"
cd "$SLUICE_TOP"
[ "$(id -u)" = 0 ] || die "rpm changes its root as root only"

out=build/check/rpm
version=$(make -s version)
release=''
for dir in /lib/modules/6.1.*; do
	[ ! -e "$dir/build/Makefile" ] || release=${dir##*/}
done
[ -n "$release" ] || die "no headers of Linux 6.1 in /lib/modules; run tests/vm/deps.sh"
tmp=$(mktemp -d "${TMPDIR:-/var/tmp}/sluice-rpm.XXXXXX")
trap 'rm -rf "$tmp"' EXIT

files_are() { # NAME FILE...
	# Not every rpm compresses manual pages.
	rpm -qlp "$out/$1-$version"-*.{x86_64,aarch64,noarch}.rpm 2>/dev/null |
		grep -v '^/usr/share/licenses/' | sed '/^.usr.share.man/s/\.gz$//' | sort >"$tmp/files"
	shift
	printf '%s\n' "$@" | sort | diff - "$tmp/files"
}

module_files() {
	local src=/usr/src/sluice-$version
	{
		git ls-files Kbuild 'kmod/*' | sed "s,^,$src/,"
		git ls-files 'kmod/*' | sed "s,/[^/]*$,,; s,^,$src/," | sort -u
		printf '%s\n' "$src" "$src/dkms.conf" "$src/kmod/uapi"
	} | sort -u
}

# install_into ROOT OPTION...: all packages, in the root's own database.
install_into() {
	local root=$1
	shift
	mkdir -p "$root"
	rpm --root "$root" --initdb
	rpm --root "$root" -i --nodeps --ignorearch "$@" \
		"$out"/{sluice,sluice-dkms,sluice-doc,kmod-sluice}-"$version"-*.{x86_64,aarch64,noarch}.rpm
}

# Scripts run by rpm see this root alone.
root_with_shell() {
	mkdir -p "$1/bin" "$1/sys/block" "$1/etc" "$1/dev" \
		"$1/lib/modules/5.10.0-99-amd64/build/include" "$1/lib/modules/$release/build/include"
	mknod "$1/dev/null" c 1 3
	install -m 755 "$(command -v busybox)" "$1/bin/busybox"
	for applet in sh cat grep uname sort head; do
		ln -s busybox "$1/bin/$applet"
	done
	# What it is asked for is looked at; what it does is seen with the Debian packages.
	printf '#!/bin/sh\necho "$@" >>/dkms.log\n' >"$1/bin/dkms"
	chmod 755 "$1/bin/dkms"
	install_into "$1" 2>&1 | tee "$tmp/installed"
}

refused() { # ROOT PACKAGE
	! rpm --root "$1" -e --nodeps "$2" >"$tmp/refused" 2>&1 || return 1
	cat "$tmp/refused"
	grep -q 'The deployment web1 is on /dev/sluice3\.$' "$tmp/refused" &&
		grep -q 'sluicectl detach' "$tmp/refused" &&
		rpm --root "$1" -q "$2" >/dev/null
}

left_behind() {
	find "$1" -path "$1/var/lib/rpm" -prune -o -path "$1/bin" -prune -o -path "$1/sys" -prune -o \
		\( -name '*sluice*' -print \)
}

shopt -s nullglob
check "packages are made" tools/packaging/rpm.sh "$version" "$out" --with kmod \
	--define "kernel_release $release"
mapfile -t pages < <(git ls-files 'Documentation/man/*.rst' |
	sed -E 's,.*/(.*\.(.))\.rst,/usr/share/man/man\2/\1,')
mapfile -t units < <(git ls-files 'tools/packaging/systemd/*.service' |
	sed 's,.*/,/usr/lib/systemd/system/,')
check "files of sluice" files_are sluice /etc/sluice /etc/sluice/deployments.d \
	/etc/sluice/sluice.conf /etc/sluice/sluice.conf.d \
	/usr/share/bash-completion/completions/sluicectl \
	/usr/share/zsh/vendor-completions/_sluicectl /usr/bin/sluicectl /usr/lib/modprobe.d/sluice.conf \
	/usr/lib/modules-load.d/sluice.conf \
	/usr/lib/sysusers.d/sluice.conf /usr/lib/tmpfiles.d/sluice.conf \
	/usr/lib/udev/rules.d/65-sluice.rules /usr/sbin/sluiced \
	"${pages[@]}" "${units[@]}"
mapfile -t files < <(module_files)
check "files of sluice-dkms" files_are sluice-dkms "${files[@]}"
check "files of kmod-sluice" files_are kmod-sluice "/lib/modules/$release/extra/sluice.ko"
check "the settings survive an upgrade" \
	[ "$(rpm -qp --configfiles "$out/sluice-$version"-*.{x86_64,aarch64}.rpm 2>/dev/null)" = /etc/sluice/sluice.conf ]

check "they install into an empty root" install_into "$tmp/empty" --noscripts
check "and are as they were made" rpm --root "$tmp/empty" -V --nodeps sluice sluice-dkms sluice-doc kmod-sluice

check "they install with their scriptlets" root_with_shell "$tmp/root"
check "the module is built for each kernel that is new enough" diff "$tmp/root/dkms.log" - <<-ASKED
	add -m sluice -v $version --rpm_safe_upgrade
	install -m sluice -v $version -k $release --rpm_safe_upgrade
ASKED
check "one that is too old is named" \
	grep 'Linux 5.10.0-99-amd64 is older than 6.1: the module is not built for it' "$tmp/installed"
mkdir -p "$tmp/root/sys/block/sluice3/sluice"
echo web1 >"$tmp/root/sys/block/sluice3/sluice/name"
for package in sluice sluice-dkms kmod-sluice; do
	check "$package is not removed from under a device" refused "$tmp/root" "$package"
done
rm -r "$tmp/root/sys/block/sluice3"
check "without one they are" rpm --root "$tmp/root" -e --nodeps sluice sluice-dkms sluice-doc kmod-sluice
check "DKMS forgets it" grep -x "remove -m sluice -v $version --all --rpm_safe_upgrade" "$tmp/root/dkms.log"
check "nothing is left" [ -z "$(left_behind "$tmp/root")" ]
finish
