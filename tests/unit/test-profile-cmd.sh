#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# test-profile-cmd.sh [SLUICECTL]: the commands on files of boot profiles. Needs no root
# and no daemon. Last line: "N passed, N failed".

cd "$(dirname "$0")/../.." || exit 1
ctl=$(realpath "${1:-build/sluicectl}")
PATH=$PATH:/usr/sbin:/sbin
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
cd "$tmp" || exit 1
passed=0 failed=0

run() {
	"$ctl" "$@" >out 2>err </dev/null
	rc=$?
}

# expect NAME STATUS [OUT-PATTERN [ERR-PATTERN]]: fixed strings.
expect() {
	if [ "$rc" = "$2" ] && grep -qF -- "${3:-}" out err && grep -qF -- "${4:-}" err out; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "FAILED: $1: status $rc"
		cat out err
	fi
}

check() {
	local name=$1
	shift
	"$@"
	rc=$?
	expect "$name" 0
}

# --- files ------------------------------------------------------------------

printf 'sluice-profile 1 bytes=1M id=a%%20b\n0 8K\n40K 4K # x\n' >one
printf 'sluice-profile 1 bytes=2M\n0 4K\n80K 4K\n' >two
printf 'sluice-profile 1\n0 4K\n\n4096 many\n' >bad

run profile show one
expect "show" 0 "2 extents, 12 KiB, of an image of 1 MiB (a b)"
run profile show one -o json
expect "show as JSON" 0 '"extents":[{"offset":0,"length":8192},{"offset":40960,"length":4096}]'
run profile show bad
expect "a bad line" 2 "" "bad:4: The length is no number of bytes."
run profile show nothing
expect "no file" 1 "" "nothing cannot be read"
run profile show /dev/null
expect "an empty file" 2 "" "/dev/null:1:"
run profile merge one two
expect "merge" 0 "sluice-profile 1 bytes=1048576 id=a%20b" "two was made from another image"
check "merge: order" test "$(grep '^[0-9]' out | tr '\n' ' ')" = "0 8192 81920 4096 40960 4096 "
run profile merge one bad
expect "merge: a bad line" 2 "" "bad:4:"
run profile
expect "no verb" 2 "" "write record, get"
run profile merge
expect "nothing to merge" 2 "" "profile merge FILE..."
run profile record --until quiet=0
expect "quiet for no time" 2 "" "from 1 to 1800"
run mark d down
expect "what cannot be marked" 2 "" "mark [NAME] up"
run deploy --source file:/x --local /dev/x --profile bad
expect "deploy: a bad line" 2 "" "bad:4:"

# --- lists of paths ---------------------------------------------------------

mkdir -p root/usr/bin root/etc
head -c 300000 /dev/urandom >root/usr/bin/tool
echo hello-from-etc >root/etc/motd
ln -s usr/bin root/bin
truncate -s 48M fs
mke2fs -q -F -t ext4 -b 4096 -d root fs
truncate -s 64M disk
printf 'label: gpt\nsize=8M\nsize=48M\n' | sfdisk -q disk
dd if=fs of=disk bs=1M seek=9 conv=notrunc status=none
printf '# what comes first\n/etc/motd\n/bin/tool\n/no/such\n' >list

# content IMAGE: what the profile on standard output names, in its order.
content() {
	local offset length
	while read -r offset length; do
		dd if="$1" bs=4096 skip=$((offset / 4096)) count=$((length / 4096)) status=none
	done < <(grep '^[0-9]' out)
}

for image in fs disk; do
	run profile from-paths "$image" list
	expect "$image: paths" 0 "sluice-profile 1 bytes=" "list: /no/such is not in the image"
	content "$image" >found
	check "$image: a small file" grep -qa hello-from-etc found
	check "$image: a directory" grep -qa motd found
	check "$image: all of a large file" test "$(python3 -c '
import sys
print(open("found", "rb").read().find(open("root/usr/bin/tool", "rb").read()) > 0)')" = True
	check "$image: and not much more" test "$(stat -c %s found)" -lt 400000
done
run profile from-paths disk list --partition 2
expect "the partition is chosen" 0 "sluice-profile 1"
run profile from-paths disk list --partition 1
expect "one without a file system" 1 "" "Partition 1 of disk holds no ext2"
run profile from-paths root/usr/bin/tool list
expect "no image" 1 "" "others are not understood"
echo /no/such >none
run profile from-paths fs none
expect "none of the paths" 3 "" "None of the paths"
truncate -s 128M both
printf 'label: gpt\nsize=48M\nsize=48M\n' | sfdisk -q both
dd if=fs of=both bs=1M seek=1 conv=notrunc status=none
dd if=fs of=both bs=1M seek=49 conv=notrunc status=none
run profile from-paths both list
expect "two file systems" 2 "" "choose with --partition"

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
