#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# rpm.sh VERSION [OUT [RPMBUILD_OPTION]...]: RPM packages from this checkout into OUT
# (build/rpm). With options --with kmod --define "kernel_release RELEASE" also the module
# for that kernel.

set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=tools/packaging/tree.sh
. tools/packaging/tree.sh

version=$1 out=${2:-build/rpm}
shift "$(($# < 2 ? $# : 2))"
rm -rf "$out"
mkdir -p "$out"
out=$(realpath "$out")
top=$out/top
mkdir -p "$top/SOURCES"
sources "$top/sluice-$version"
tar -c -C "$top" "sluice-$version" | xz >"$top/SOURCES/sluice-$version.tar.xz"

# What removing a package asks first, three times the same; rpm halves "%%".
cat >"$top/refuse" <<'REFUSE'
	used=
	for name in /sys/block/sluice*/sluice/name; do
		[ -e "$name" ] || continue
		device=${name#/sys/block/}
		echo "sluice: The deployment $(cat "$name") is on /dev/${device%%%%/*}." >&2
		used=1
	done
	if [ "$used" ]; then
		echo "sluice: It cannot be removed while hosts may use these: sluicectl detach NAME." >&2
		exit 1
	fi
REFUSE
sed -e "/@REFUSE@/{r $top/refuse" -e 'd}' -e "s/@VERSION@/$version/g" \
	tools/packaging/rpm/sluice.spec.in >"$top/sluice.spec"

# Where the packages of the build are not RPMs, rpm does not know about them.
[ -s /var/lib/rpm/rpmdb.sqlite ] || [ -s /var/lib/rpm/Packages ] || set -- --nodeps "$@"
logged "$out/build.log" rpmbuild -ba --define "_topdir $top" "$@" "$top/sluice.spec"
find "$top/RPMS" "$top/SRPMS" -name '*.rpm' -exec mv -t "$out" {} +
rm -rf "$top"
printf '%s\n' "$out"/*.rpm
