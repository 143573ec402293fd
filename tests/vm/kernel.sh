#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# kernel.sh plain|kasan|kcsan|arm64-4k|arm64-64k: print the directory of a test kernel of
# that flavour, building it first if the cache has none.
#
# The directory holds bzImage (arm64: Image), modules/ (an INSTALL_MOD_PATH) and build/ (what
# an external module is built against). The source is the newest linux-source
# package Debian has: stable-backports, which a Debian 12 machine can unpack
# although it cannot install it. With the patches of patches/, for upstream's bugs
# that tests would meet; one that does not apply any more is not needed or wants a
# look, and stops the build.

# shellcheck source=tests/vm/lib.sh
. "$(dirname "$0")/lib.sh"

FLAVOUR=${1:?usage: kernel.sh plain|kasan|kcsan|arm64-4k|arm64-64k}
HERE=$SLUICE_TOP/tests/vm
SUITE=${SLUICE_KERNEL_SUITE:-trixie-backports}
JOBS=${JOBS:-$(nproc)}
src=$SLUICE_CACHE/linux-source
# It is kept as a whole.
export CCACHE_DISABLE=1

# What the build of a flavour is told beside its configuration, and for which machine it is.
OPTIONS=()
MACHINE=()
image=arch/x86/boot/bzImage
case $FLAVOUR in
plain) FRAGMENTS=("$HERE/kernel-base.config") ;;
kasan) FRAGMENTS=("$HERE/kernel-base.config" "$HERE/kernel-kasan.config") ;;
kcsan)
	FRAGMENTS=("$HERE/kernel-base.config" "$HERE/kernel-kcsan.config")
	# Watched is what shares memory with a block driver, and the driver itself, which
	# is built like any module. With all of the kernel, of a thousand watchpoints,
	# each of which holds up a processor, hardly one would be Sluice's.
	# shellcheck disable=SC2016 # kbuild's own variables
	OPTIONS=('KCSAN_SANITIZE=$(if $(filter block/% drivers/block/% drivers/md/% drivers/nvme/% io_uring/% kernel/workqueue mm/mempool,$(obj)/$(target-stem)),y,n)'
		# A lock taken out of line is a barrier all the same.
		'KCSAN_INSTRUMENT_BARRIERS=$(if $(filter kernel/locking/% kernel/sched/% mm/%,$(obj)/$(target-stem)),y)')
	;;
arm64-4k | arm64-64k)
	FRAGMENTS=("$HERE/kernel-base.config" "$HERE/kernel-arm64.config" "$HERE/kernel-$FLAVOUR.config")
	MACHINE=(ARCH=arm64 CROSS_COMPILE="${CROSS_COMPILE:-aarch64-linux-gnu-}")
	image=arch/arm64/boot/Image
	;;
*) die "no kernel flavour \"$FLAVOUR\": plain, kasan, kcsan, arm64-4k or arm64-64k" ;;
esac

# What they change, without what they say about it.
changes() { sed -s -n '/^--- /,$p' "$HERE"/patches/*.patch; }
patched=$src/.patched-$(changes | sha256sum | cut -c1-12)

fetch_source() {
	local conf pkg dir patch
	[ -e "$patched" ] && return 0
	conf=$(apt_root "$SUITE")
	pkg=$(APT_CONFIG=$conf apt-cache pkgnames linux-source- |
		grep -E '^linux-source-[0-9]+\.[0-9]+$' | sort -V | tail -1)
	[ -n "$pkg" ] || die "$SUITE has no linux-source package"
	dir=$(mktemp -d "$SLUICE_CACHE/source.XXXXXX")
	say "kernel: fetching $pkg"
	(cd "$dir" && APT_CONFIG=$conf apt-get -q download "$pkg" >&2)
	dpkg-deb --fsys-tarfile "$dir"/*.deb | tar -C "$dir" -x --wildcards './usr/src/*.tar.xz'
	mkdir "$dir/src"
	xz -dc -T0 "$dir"/usr/src/*.tar.xz | tar -C "$dir/src" --strip-components=1 -x
	for patch in "$HERE"/patches/*.patch; do
		patch -s -p1 -d "$dir/src" <"$patch" >&2 ||
			die "$patch does not apply to $pkg"
	done
	touch "$dir/src/${patched##*/}"
	rm -rf "$src"
	mv "$dir/src" "$src"
	rm -rf "$dir"
}

# A fragment line that did not survive olddefconfig is a test that silently
# does not test: say so and stop.
check_fragments() {
	local f sym want
	for f in "${FRAGMENTS[@]}"; do
		while IFS='=' read -r sym want; do
			case $sym in CONFIG_*) ;; *) continue ;; esac
			grep -qxF "$sym=$want" "$1/.config" && continue
			[ "$want" = n ] && ! grep -q "^$sym=" "$1/.config" && continue
			# A later fragment may overrule an earlier one.
			grep -qE "^$sym=" "${FRAGMENTS[@]}" &&
				[ "$(grep -hE "^$sym=" "${FRAGMENTS[@]}" | tail -1)" != "$sym=$want" ] &&
				continue
			die "kernel option $sym=$want of $f was not accepted"
		done <"$f"
	done
}

directory() {
	local key
	key=$({ cat "${FRAGMENTS[@]}" "$src/Makefile" && changes &&
		printf '%s' "${OPTIONS[@]}"; } | sha256sum | cut -c1-12)
	printf '%s\n' "$SLUICE_CACHE/kernel-$FLAVOUR-$key"
}

build() {
	local out obj
	fetch_source
	out=$(directory)
	if [ ! -e "$out/done" ]; then
		say "kernel: building $FLAVOUR (some minutes, once)"
		rm -rf "$out"
		obj=$out/build
		mkdir -p "$obj"
		make -s -C "$src" O="$obj" "${MACHINE[@]}" allnoconfig >/dev/null
		"$src/scripts/kconfig/merge_config.sh" -m -O "$obj" "$obj/.config" \
			"${FRAGMENTS[@]}" >/dev/null
		make -s -C "$src" O="$obj" "${MACHINE[@]}" olddefconfig >&2
		check_fragments "$obj"
		make -s -C "$src" O="$obj" -j"$JOBS" "${MACHINE[@]}" "${OPTIONS[@]}" \
			"${image##*/}" modules \
			>"$out/log" 2>&1 ||
			{ tail -30 "$out/log" >&2; die "kernel build failed, log in $out/log"; }
		make -s -C "$src" O="$obj" "${MACHINE[@]}" INSTALL_MOD_PATH="$out/modules" \
			modules_install >>"$out/log" 2>&1
		cp "$obj/$image" "$out/"
		# Objects are of no further use; headers, scripts and symbols are.
		find "$obj" -name '*.o' ! -path '*/scripts/*' ! -path '*/tools/*' -delete
		rm -f "$obj"/vmlinux.unstripped "$obj"/.tmp_vmlinux*
		touch "$out/done"
	fi
	printf '%s\n' "$out"
}

# A kernel that is there is not waited for.
if [ -e "$patched" ] && [ -e "$(directory)/done" ]; then
	directory
else
	with_lock kernel build
fi
