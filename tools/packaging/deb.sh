#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# deb.sh VERSION [OUT]: Debian packages from this checkout into OUT (build/deb).
#
# debian/ is wanted at the top of the tree that is built, so the tree is made.

set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=tools/packaging/tree.sh
. tools/packaging/tree.sh

version=$1 out=${2:-build/deb}
rm -rf "$out"
mkdir -p "$out"
out=$(realpath "$out")
tree=$out/sluice-$version
sources "$tree"

cp -r "$tree/tools/packaging/debian" "$tree/debian"
date=$(source_date '%a, %d %b %Y %H:%M:%S %z')
mkdir "$tree/debian/source"
echo '3.0 (native)' >"$tree/debian/source/format"
for file in "$tree"/debian/*.in; do
	# Of a changelog its own format is all there may be.
	sed "1{/^# SPDX/d}; s/@VERSION@/$version/g; s/@DATE@/$date/g" "$file" >"${file%.in}"
	rm "$file"
done
cd "$tree"
logged "$out/build.log" dpkg-buildpackage --no-sign --build=full
cd "$out"
rm -rf "$tree"
printf '%s\n' "$out"/*.deb
