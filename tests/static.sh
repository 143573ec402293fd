#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What can be said without running anything: the module against every kernel
# (W=1, and sparse where the kernel accepts Debian's), user space under two
# compilers, checkpatch, shellcheck, SPDX tags. Ends with "N passed, N failed".

# shellcheck source=tests/vm/lib.sh
. "$(dirname "$0")/vm/lib.sh"
cd "$SLUICE_TOP"
passed=0 failed=0
out=build/check/static
mkdir -p "$out"

check() {
	local name=$1 status=0
	shift
	"$@" >"$out/$name.log" 2>&1 || status=$?
	verdict "$name" "$status" "$out/$name.log"
}

# module NAME KERNEL_BUILD FLAGS: no warning of any kind in our files.
module() {
	local dir=build/check/kmod-$1
	rm -rf "$dir"
	make module KERNEL="$2" KMOD_DIR="$dir" KBUILD_FLAGS="$3" || return 1
}

quiet_module() {
	module "$@" 2>&1 | tee "$out/module-$1.out"
	[ "${PIPESTATUS[0]}" = 0 ] || return 1
	! grep -E 'kmod/.*(warning|error):' "$out/module-$1.out"
}

newest() {
	# shellcheck disable=SC2012,SC2086 # a pattern; package names hold no surprises
	ls -d $1 2>/dev/null | sort -V | tail -1
}

for version in 6.1 6.12; do
	headers=$(newest "/usr/src/linux-headers-$version.*-amd64")
	if [ -z "$headers" ]; then
		say "not ok module-$version: no headers of Linux $version in /usr/src"
		failed=$((failed + 1))
		continue
	fi
	check "module-$version" quiet_module "$version" "$headers" "W=1 C=2"
done
lab=$(tests/vm/kernel.sh kasan)
check module-lab quiet_module lab "$lab/build" "W=1"

check user-gcc make -j2 -B user B=build/check/gcc CC=gcc
check user-clang make -j2 -B user B=build/check/clang CC=clang

sources() {
	git ls-files -co --exclude-standard -- "$@"
}

# It takes a second a file: one in which the same checkpatch has found nothing, under the
# same name, is not shown to it again.
checkpatch() {
	local scripts=$SLUICE_CACHE/linux-source/scripts passed=$SLUICE_CACHE/checkpatch
	local tool sum file stamp new=() stamps=()
	tool=$(cat "$scripts"/{checkpatch.pl,spelling.txt,const_structs.checkpatch} .checkpatch.conf |
		sha256sum | cut -c1-12)
	mkdir -p "$passed"
	while read -r sum file; do
		stamp=$passed/$tool-${sum::24}-${file//\//-}
		[ ! -e "$stamp" ] || continue
		new+=("$file")
		stamps+=("$stamp")
	done < <(sources 'kmod/*.[ch]' 'kmod/**/*.[ch]' 'libcommon/*.[ch]' 'daemon/*.[ch]' \
		'tools/*.[ch]' | xargs sha256sum)
	[ ${#new[@]} != 0 ] || return 0
	"$scripts/checkpatch.pl" --quiet --terse --no-summary -f "${new[@]}" || return 1
	touch "${stamps[@]}"
}
check checkpatch checkpatch

# Whatever a shell runs; maintainer scripts have no suffix, but a first line.
shell_sources() {
	local f
	sources '*.sh' '*.bash'
	sources | while read -r f; do
		if head -n 1 "$f" | grep -aqE '^#!.*(\<|/)(ba)?sh\>'; then echo "$f"; fi
	done
}
scripts() {
	# shellcheck disable=SC2046
	shellcheck -x $(shell_sources | sort -u)
}
check shellcheck scripts

spelling() {
	# shellcheck disable=SC2046
	codespell --quiet-level=3 --ignore-words-list=inflight,padd \
		$(sources | grep -v -e /corpus/ -e '^LICENSES/')
}
check spelling spelling

spdx() {
	local f bad=0
	for f in $(sources); do
		case $f in
		LICENSES/* | *.md | *.doc-base | tests/*/corpus/*) continue ;;
		esac
		head -3 "$f" | grep -q 'SPDX-License-Identifier: ' ||
			{ echo "$f has no SPDX tag"; bad=1; }
	done
	return $bad
}
check spdx spdx

# The lock statements are executable; version checks stay where they belong.
rules() {
	local bad=0
	! grep -nE 'LINUX_VERSION_CODE|SLUICE_KERNEL\(' kmod/*.[ch] || bad=1
	! grep -nE 'le(16|32|64)_to_cpu' kmod/[!mu]*.[ch] kmod/map.[ch] kmod/main.c || bad=1
	! grep -rnE 'printf|printk' libcommon/*.c | grep -vE 'v?snprintf|asprintf|format\(printf' || bad=1
	# The path of I/O: nothing there may wait for memory that only I/O can free.
	! grep -nE 'GFP_KERNEL|[^_](k[mz]|v|kv[mz])alloc' kmod/{request,park,fill,flush,local}.c || bad=1
	for f in $(sources '*.c' '*.h'); do
		[ "$(wc -l <"$f")" -le 800 ] || { echo "$f is over 800 lines"; bad=1; }
	done
	return $bad
}
check rules rules

check dmesg-scan tests/vm/dmesg-scan-test.sh

# What systemd thinks of the service: 4.0 and more is too much exposure.
unit() {
	sed 's,@sbindir@,/usr/sbin,' tools/packaging/systemd/sluiced.service >"$out/sluiced.service"
	systemd-analyze security --no-pager --offline=yes --threshold=39 "$out/sluiced.service"
}
check unit unit

# By the command that people use; -B, for all of it.
pages() {
	make -B -C Documentation B="$out/doc" >"$out/pages.out" 2>&1
	cat "$out/pages.out"
	! grep -iE 'warning|error' "$out/pages.out"
}
check documentation pages

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
