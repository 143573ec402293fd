#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# forms.sh: the Debian image in the forms that servers keep it in: a disk with an
# ext4, which has debian.img (sparse) and debian.qcow2, and debian.img.xz in blocks of
# 1 MiB. Prints the directory of disk and debian.img.xz; takes the cached one if there
# is one.

# shellcheck source=tests/vm/lib.sh
. "$(dirname "$0")/../vm/lib.sh"

# Half of the usual size: some servers do not tell what of it is empty.
image=$("$SLUICE_TOP/tests/image/build.sh" --size 1024)
key=$({ cat "$0" && echo "$image"; } | sha256sum | cut -c1-12)
forms=$SLUICE_CACHE/image/forms-$key

# shellcheck disable=SC2317 # called by with_lock
build() {
	[ -e "$forms" ] && return
	tmp=$(mktemp -d "$SLUICE_CACHE/image/build.XXXXXX")
	trap 'rm -rf "$tmp"' EXIT
	say "image: compressing it for servers (a minute, once)"
	mkdir "$tmp/root" "$tmp/forms"
	cp --sparse=always "$image" "$tmp/root/debian.img"
	qemu-img convert -f raw -O qcow2 "$image" "$tmp/root/debian.qcow2"
	mke2fs -q -F -t ext4 -m 0 -d "$tmp/root" \
		-E lazy_itable_init=0,lazy_journal_init=0 "$tmp/forms/disk" 1536M >&2
	xz -0 -T0 --block-size=1MiB -c "$image" >"$tmp/forms/debian.img.xz"
	mv "$tmp/forms" "$forms"
}

with_lock image-forms build
printf '%s\n' "$forms"
