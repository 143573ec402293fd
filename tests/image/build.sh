#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# build.sh [--size MIB] [--out FILE]: make a bootable Debian 12 disk image, or
# take the cached one, and print its path. --out copies it.
#
# GPT, an ESP with Debian's own GRUB, an ext4 root with Debian's own kernel;
# root's password is "sluice". /srv/known has files whose content never changes
# and their SHA256SUMS. No loop device and no mount: everything is written at
# its offset into the image file.

# shellcheck source=tests/vm/lib.sh
. "$(dirname "$0")/../vm/lib.sh"

size=2048 copy=''
while [ $# -gt 0 ]; do
	case $1 in
	--size) size=$2 ;;
	--out) copy=$2 ;;
	*) say "usage: build.sh [--size MIB] [--out FILE]"; exit 2 ;;
	esac
	shift 2
done
[ "$size" -ge 768 ] || die "$size MiB do not hold Debian; ask for 768 or more"

# Fixed, so that two builds differ only where Debian does.
esp_id=51DC-E001
root_uuid=51dce000-0000-4000-8000-000000000002
esp_mib=64
root_start=$((1 + esp_mib))
root_mib=$((size - root_start - 1))

key=$(sha256sum <"$0" | cut -c1-12)
image=$SLUICE_CACHE/image/debian-$size-$key.img

# Sizes from 1 KiB to 4 MiB on a logarithmic scale, 32 MiB together; hardly any
# is a multiple of a block.
known_files() {
	mkdir -p "$1"
	python3 - "$1" <<-'PYTHON'
	import hashlib, os, random, sys
	sums = open(os.path.join(sys.argv[1], "SHA256SUMS"), "w")
	for i in range(64):
	    size = int(1024 * 4096 ** (i / 63))
	    data = random.Random(i).randbytes(size)
	    name = "file-%02d" % i
	    with open(os.path.join(sys.argv[1], name), "wb") as f:
	        f.write(data)
	    print(hashlib.sha256(data).hexdigest() + "  " + name, file=sums)
	PYTHON
}

# What mmdebstrap does not know about, into the files it is about to configure.
overlay() {
	mkdir -p "$1"/etc/{initramfs-tools/conf.d,dpkg/dpkg.cfg.d} "$1/boot/efi"
	echo sluice-host >"$1/etc/hostname"
	printf '127.0.0.1 localhost\n127.0.1.1 sluice-host\n' >"$1/etc/hosts"
	# A first boot would write more than later ones.
	echo 51dce00000004000800000000000000a >"$1/etc/machine-id"
	cat >"$1/etc/fstab" <<-FSTAB
	UUID=$root_uuid / ext4 errors=remount-ro 0 1
	UUID=$esp_id /boot/efi vfat umask=0077 0 0
	FSTAB
	# All drivers would be 30 MB to unpack on an emulated CPU.
	printf 'MODULES=list\nCOMPRESS=zstd\n' >"$1/etc/initramfs-tools/conf.d/sluice"
	printf '%s\n' nvme ext4 crc32c >"$1/etc/initramfs-tools/modules"
}

# shellcheck disable=SC2317 # called by with_lock
build() {
	local mirror esp=$((1024 * 1024)) root=$((root_start * 1024 * 1024))
	[ -e "$image" ] && return
	[ "$(id -u)" = 0 ] || die "an image is built as root, for the owners of its files"
	mirror=$(debian_mirror)
	mkdir -p "$SLUICE_CACHE/image"
	tmp=$(mktemp -d "$SLUICE_CACHE/image/build.XXXXXX")
	trap 'rm -rf "$tmp"' EXIT
	chmod 755 "$tmp"
	say "image: building $image (a minute, once)"

	overlay "$tmp/overlay"
	mmdebstrap --quiet --variant=minbase --mode=root \
		--include=systemd-sysv,udev,kmod,login,iproute2,zstd,initramfs-tools,linux-image-cloud-amd64,nvme-cli,fio \
		--dpkgopt='path-exclude=/usr/share/doc/*' \
		--dpkgopt='path-exclude=/usr/share/man/*' \
		--dpkgopt='path-exclude=/usr/share/locale/*' \
		--aptopt='Apt::Install-Recommends "false"' \
		--essential-hook="copy-in $tmp/overlay/etc $tmp/overlay/boot /" \
		bookworm "$tmp/root" "deb $mirror bookworm main" >&2
	# Again: mmdebstrap puts its own machine-id and hostname last.
	cp -r "$tmp/overlay/." "$tmp/root/"
	echo root:sluice | chroot "$tmp/root" chpasswd
	known_files "$tmp/root/srv/known"

	truncate -s "${size}M" "$tmp/img"
	sfdisk -q "$tmp/img" <<-GPT
	label: gpt
	label-id: 51DCE000-0000-4000-8000-000000000000
	start=1MiB, size=${esp_mib}MiB, type=U, uuid=51DCE000-0000-4000-8000-000000000001
	start=${root_start}MiB, size=${root_mib}MiB, type=L, uuid=$root_uuid
	GPT

	cat >"$tmp/grub.cfg" <<-GRUB
	set timeout=0
	# The firmware's console: it is on the serial line and the screen.
	terminal_output console
	search --no-floppy --fs-uuid --set=root $root_uuid
	menuentry Debian {
		echo "Loading Linux ..."
		linux /vmlinuz root=UUID=$root_uuid ro console=ttyS0,115200
		initrd /initrd.img
	}
	GRUB
	# One sector a cluster: with more it is too small to be a FAT32.
	mkfs.vfat -F 32 -s 1 -n ESP -i "${esp_id/-/}" \
		--offset $((esp / 512)) \
		"$tmp/img" $((esp_mib * 1024)) >"$tmp/mkfs" 2>&1 ||
		{ cat "$tmp/mkfs" >&2; die "mkfs.vfat cannot make the image's ESP"; }
	mmd -i "$tmp/img@@$esp" ::EFI ::EFI/BOOT ::EFI/debian
	mcopy -i "$tmp/img@@$esp" /usr/lib/grub/x86_64-efi/monolithic/grubx64.efi \
		::EFI/BOOT/BOOTX64.EFI
	# The prefix built into that binary.
	mcopy -i "$tmp/img@@$esp" "$tmp/grub.cfg" ::EFI/debian/grub.cfg

	mke2fs -q -F -t ext4 -L root -U "$root_uuid" -d "$tmp/root" \
		-E "offset=$root,lazy_itable_init=0,lazy_journal_init=0" \
		"$tmp/img" "${root_mib}M" >&2
	e2fsck -fn "$tmp/img?offset=$root" >"$tmp/fsck" 2>&1 ||
		{ cat "$tmp/fsck" >&2; die "e2fsck finds fault with the new image's root"; }

	cat >"${image%.img}.json" <<-JSON
	{
		"image_bytes": $((size * 1024 * 1024)),
		"logical_block_size": 512,
		"esp_partition": 1,
		"esp_offset": $esp,
		"esp_bytes": $((esp_mib * 1024 * 1024)),
		"root_partition": 2,
		"root_offset": $root,
		"root_bytes": $((root_mib * 1024 * 1024)),
		"root_uuid": "$root_uuid",
		"kernel": "$(basename "$tmp"/root/lib/modules/*)",
		"hostname": "sluice-host",
		"known_files": "/srv/known"
	}
	JSON
	mv "$tmp/img" "$image"
}

with_lock image build
if [ -n "$copy" ]; then
	cp --sparse=always "$image" "$copy"
fi
printf '%s\n' "$image"
