#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# image.sh: make the root disk of the card that check-package installs Sluice on, or
# take the cached one, and print its directory: root.img, vmlinuz and initrd.img.
#
# Debian 12 with its own kernel, systemd and DKMS, as packages leave it. What is the
# test's in it is job.service, through which job.sh runs commands in it, and an apt
# source of the directory that the test shares.

# shellcheck source=tests/vm/lib.sh
. "$(dirname "$0")/../vm/lib.sh"

key=$(cat "$0" "$SLUICE_TOP/tests/package/job-agent" | sha256sum | cut -c1-12)
image=$SLUICE_CACHE/image/card-$key
size_mib=3072
root_uuid=51dce000-0000-4000-8000-000000000003

packages=(systemd-sysv udev dbus kmod login iproute2 zstd initramfs-tools lsof
	linux-image-amd64 linux-headers-amd64 dkms openssl)
# What Sluice's packages depend on: the test has no mirror inside.
packages+=(liburing2 libnvme1 libnbd0 libiscsi7 libblkid1 libsystemd0 libjson-c5 libssl3
	libsmartcols1 libmicrohttpd12 libext2fs2 libcom-err2)

overlay() {
	mkdir -p "$1"/etc/{initramfs-tools/conf.d,systemd/system/multi-user.target.wants,systemd/network} \
		"$1"/etc/{apt/apt.conf.d,apt/sources.list.d} "$1/usr/local/sbin" "$1/mnt/job"
	echo sluice-card >"$1/etc/hostname"
	printf '127.0.0.1 localhost\n127.0.1.1 sluice-card\n' >"$1/etc/hosts"
	echo 51dce00000004000800000000000000c >"$1/etc/machine-id"
	echo "UUID=$root_uuid / ext4 errors=remount-ro 0 1" >"$1/etc/fstab"
	# All drivers would be 30 MB to unpack on an emulated CPU.
	printf 'MODULES=list\nCOMPRESS=zstd\n' >"$1/etc/initramfs-tools/conf.d/sluice"
	printf '%s\n' virtio_pci virtio_blk ext4 crc32c >"$1/etc/initramfs-tools/modules"
	cat >"$1/etc/systemd/network/storage.network" <<-NETWORK
	[Match]
	Name=en*
	[Network]
	Address=10.77.0.2/24
	LinkLocalAddressing=no
	NETWORK
	install -m 755 "$SLUICE_TOP/tests/package/job-agent" "$1/usr/local/sbin/job-agent"
	cat >"$1/etc/systemd/system/job.service" <<-UNIT
	[Unit]
	Description=Commands of the test
	After=local-fs.target
	[Service]
	ExecStart=/usr/local/sbin/job-agent
	Restart=always
	[Install]
	WantedBy=multi-user.target
	UNIT
	ln -s ../job.service "$1/etc/systemd/system/multi-user.target.wants/job.service"
}

# shellcheck disable=SC2317 # called by with_lock
build() {
	local mirror
	[ -e "$image/root.img" ] && return
	[ "$(id -u)" = 0 ] || die "an image is built as root, for the owners of its files"
	mirror=$(debian_mirror)
	mkdir -p "$SLUICE_CACHE/image"
	tmp=$(mktemp -d "$SLUICE_CACHE/image/build.XXXXXX")
	trap 'rm -rf "$tmp"' EXIT
	chmod 755 "$tmp"
	say "image: building $image (minutes, once)"

	overlay "$tmp/overlay"
	mmdebstrap --quiet --variant=apt --mode=root \
		--include="$(IFS=,; printf '%s' "${packages[*]}")" \
		--dpkgopt='path-exclude=/usr/share/locale/*' \
		--aptopt='Apt::Install-Recommends "false"' \
		--essential-hook="copy-in $tmp/overlay/etc /" \
		bookworm "$tmp/root" "deb $mirror bookworm main" >&2
	# Again: mmdebstrap puts its own machine-id and hostname last.
	cp -r "$tmp/overlay/." "$tmp/root/"
	rm -f "$tmp"/root/var/cache/apt/archives/*.deb "$tmp"/root/etc/apt/sources.list \
		"$tmp"/root/etc/apt/sources.list.d/*
	echo 'deb [trusted=yes] file:/mnt/job/repo ./' >"$tmp/root/etc/apt/sources.list"
	echo root:sluice | chroot "$tmp/root" chpasswd
	chroot "$tmp/root" systemctl enable systemd-networkd >&2

	mkdir "$tmp/out"
	cp -L "$tmp/root/vmlinuz" "$tmp/root/initrd.img" "$tmp/out/"
	truncate -s "${size_mib}M" "$tmp/out/root.img"
	mke2fs -q -F -t ext4 -L root -U "$root_uuid" -d "$tmp/root" \
		-E lazy_itable_init=0,lazy_journal_init=0 "$tmp/out/root.img" >&2
	basename "$tmp"/root/lib/modules/* >"$tmp/out/release"
	chmod 755 "$tmp/out"
	rm -rf "$image"
	mv "$tmp/out" "$image"
}

with_lock image-card build
printf '%s\n' "$image"
