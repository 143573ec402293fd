#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2317 # functions are called by name
# make check-rpm: the RPM packages, both variants of the module: what is in them, an
# installation into an empty root, and what their scriptlets do in one that has a shell,
# on installation, upgrade and removal.
# The last line is "N passed, N failed".

# shellcheck source=tests/vm/lib.sh
. "$(dirname "$0")/../vm/lib.sh"
# shellcheck source=tests/guest/assert.sh
. "$SLUICE_TOP/tests/guest/assert.sh"
cd "$SLUICE_TOP"
[ "$(id -u)" = 0 ] || die "rpm changes its root as root only"

out=build/check/rpm
version=$(make -s --no-print-directory version)
newer=$version+1
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

with_libraries() { # ROOT PROGRAM
	local lib
	[ -e "$1/${2#"$1"}" ] || install -D "$2" "$1$2"
	ldd "$2" | grep -o '/[^ ]*' | while read -r lib; do
		install -D "$lib" "$1$lib"
	done
}

# Scripts run by rpm see this root alone.
root_with_shell() {
	local applet name
	mkdir -p "$1/bin" "$1/sys/block" "$1/etc" "$1/dev" "$1/run/systemd/system" \
		"$1/lib/modules/5.10.0-99-amd64/build/include" "$1/lib/modules/$release/build/include"
	mknod "$1/dev/null" c 1 3
	install -m 755 "$(command -v busybox)" "$1/bin/busybox"
	for applet in cat grep uname sort head; do
		ln -s busybox "$1/bin/$applet"
	done
	# Its own shell would take its own rmmod.
	with_libraries "$1" /bin/dash
	ln -s dash "$1/bin/sh"
	# What these are asked for is looked at; that it works is seen with the Debian packages.
	for name in dkms systemctl udevadm rmmod depmod getent groupadd; do
		printf '#!/bin/sh\necho %s "$@" >>/asked\n' "$name" >"$1/bin/$name"
		chmod 755 "$1/bin/$name"
	done
	install_into "$1" 2>&1 | tee "$tmp/installed" || return
	# For "sluiced --check-module", which is the real one.
	with_libraries "$1" "$1/usr/sbin/sluiced"
}

# asked COMMAND...: one of the scriptlets has run it.
asked() { grep -qxF -- "$*" "$tmp/root/asked"; }

# The device is in use; so is the module.
upgrade() {
	echo '#changed' >>"$1/etc/sluice/sluice.conf"
	rm "$1/asked"
	rpm --root "$1" -U --nodeps --ignorearch \
		"$out"/newer/{sluice,sluice-dkms,sluice-doc}-"$newer"-*.{x86_64,aarch64,noarch}.rpm
}

# The new module is there before the old one goes, which stays loaded.
module_upgraded() {
	asked dkms add -m sluice -v "$newer" --rpm_safe_upgrade &&
		grep '^dkms [ir]' "$1/asked" | diff - <(
			echo "dkms install -m sluice -v $newer -k $release --rpm_safe_upgrade"
			echo "dkms remove -m sluice -v $version --all --rpm_safe_upgrade"
		) && ! asked rmmod sluice
}

daemon_upgraded() {
	asked systemctl try-restart sluiced.service && ! grep -E 'stop|disable|--now' "$1/asked"
}

# The same packages once more.
upgrade_with_wrong_settings() {
	local status=0
	echo 'log-level = loud' >"$1/etc/sluice/sluice.conf.d/wrong.conf"
	rm "$1/asked"
	rpm --root "$1" -U --replacepkgs --nodeps --ignorearch \
		"$out"/newer/sluice-"$newer"-*.{x86_64,aarch64}.rpm >"$tmp/wrong" 2>&1 || status=$?
	cat "$tmp/wrong"
	rm "$1/etc/sluice/sluice.conf.d/wrong.conf"
	[ "$status" = 0 ] && grep -q 'not started anew with wrong settings' "$tmp/wrong" &&
		! grep -E 'restart|stop' "$1/asked"
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
check "newer ones, too" tools/packaging/rpm.sh "$newer" "$out/newer"
mapfile -t pages < <(git ls-files 'Documentation/man/*.rst' |
	sed -E 's,.*/(.*\.(.))\.rst,/usr/share/man/man\2/\1,')
mapfile -t units < <(git ls-files 'tools/packaging/systemd/*.service' |
	sed 's,.*/,/usr/lib/systemd/system/,')
check "files of sluice" files_are sluice /etc/sluice /etc/sluice/deployments.d \
	/etc/sluice/sluice.conf /etc/sluice/sluice.conf.d \
	/usr/share/bash-completion/completions/sluicectl \
	/usr/share/zsh/site-functions/_sluicectl /usr/bin/sluicectl /usr/lib/modprobe.d/sluice.conf \
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
check "the service is there at once" asked systemctl start sluiced.service
check "and the next time, with what is to be deployed" \
	asked systemctl enable sluiced.service sluice-apply.service
check "the module is built for each kernel that is new enough" diff - <(grep ^dkms "$tmp/root/asked") <<-ASKED
	dkms add -m sluice -v $version --rpm_safe_upgrade
	dkms install -m sluice -v $version -k $release --rpm_safe_upgrade
ASKED
check "one that is too old is named" \
	grep 'Linux 5.10.0-99-amd64 is older than 6.1: the module is not built for it' "$tmp/installed"
mkdir -p "$tmp/root/sys/block/sluice3/sluice"
echo web1 >"$tmp/root/sys/block/sluice3/sluice/name"
for package in sluice sluice-dkms kmod-sluice; do
	check "$package is not removed from under a device" refused "$tmp/root" "$package"
done
check "they are upgraded under one" upgrade "$tmp/root"
check "the module is built, the old one stays loaded" module_upgraded "$tmp/root"
check "the daemon is started anew, and never stopped" daemon_upgraded "$tmp/root"
check "not with wrong settings" upgrade_with_wrong_settings "$tmp/root"
check "changed settings are still there" grep -qx '#changed' "$tmp/root/etc/sluice/sluice.conf"
rm -r "$tmp/root/sys/block/sluice3"
check "without one they are removed" rpm --root "$tmp/root" -e --nodeps sluice sluice-dkms sluice-doc kmod-sluice
check "the service ends" asked systemctl stop sluice-apply.service sluiced.service
check "for ever" asked systemctl disable sluiced.service sluice-apply.service
check "DKMS forgets the module" asked dkms remove -m sluice -v "$newer" --all --rpm_safe_upgrade
check "which is unloaded" asked rmmod sluice
check "nothing is left but changed settings" diff <(left_behind "$tmp/root" | sort) - <<-LEFT
	$tmp/root/etc/sluice
	$tmp/root/etc/sluice/sluice.conf.rpmsave
LEFT
finish
