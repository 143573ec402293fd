#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# deb.sh VERSION [OUT]: Debian packages from this checkout into OUT (build/deb).
#
# debian/ is wanted at the top of the tree that is built: the tree is made, of what git
# tracks, where there is git.

set -euo pipefail
cd "$(dirname "$0")/../.."

version=$1 out=${2:-build/deb}
tree=$out/sluice-$version
rm -rf "$out"
mkdir -p "$tree"
if [ -e .git ]; then
	git ls-files -z
else
	find . -path ./build -prune -o -type f -printf '%P\0'
fi | tar -c --null -T - | tar -x -C "$tree"

cp -r "$tree/tools/packaging/debian" "$tree/debian"
# The same sources give the same packages.
date=$(git log -1 --format=%cd --date=rfc2822 2>/dev/null || date -R -r Makefile)
mkdir "$tree/debian/source"
echo '3.0 (native)' >"$tree/debian/source/format"
for file in "$tree"/debian/*.in; do
	sed "s/@VERSION@/$version/g; s/@DATE@/$date/g" "$file" >"${file%.in}"
	rm "$file"
done
cd "$tree"
dpkg-buildpackage --no-sign --build=full >../build.log 2>&1 || {
	tail -40 ../build.log >&2
	printf '%s: the packages do not build; %s has it all\n' "$0" "$out/build.log" >&2
	exit 1
}
cd - >/dev/null
rm -rf "$tree"
ls "$out"/*.deb
