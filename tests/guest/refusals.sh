#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2317,SC2119,SC2120 # functions are called by name
# In a guest: /dev/vda is an image, /dev/vdb a blank disk of the same size, /dev/vdc
# a small one. Everything that must be refused: with one sentence, the documented
# status, and not a byte changed.

# shellcheck source=tests/guest/lib.sh
. "${SLUICE_TOP:?}/tests/guest/lib.sh"
# shellcheck source=tests/guest/assert.sh
. "$SLUICE_TOP/tests/guest/assert.sh"

ctl=$BIN/sluicectl
source="nvme-tcp://10.77.0.1:4420/$IMAGE_NQN?nsid=1"

# Sectors of the local disk written and discarded so far.
touched() {
	local stat
	sync
	read -ra stat </sys/block/vdb/stat
	touched="${stat[6]} ${stat[13]}"
}
unchanged() { touched && [ "$touched" = "$before" ]; }

# refuse NAME CODE PATTERN OPTION...
refuse() {
	touched
	before=$touched
	refused "$1" "$2" "$3" "$ctl" deploy d "${@:4}"
	check "$1: nothing on disk changed" unchanged
	[ "$("$ctl" status -o json)" = '{"deployments":[]}' ] || not_ok "$1: left a deployment behind"
	[ ! -e /dev/sluice0 ] || not_ok "$1: left a device behind"
}

storage_up 0ms 10gbit
storage_serve /dev/vda

# Without a daemon, then without a module.
refused "no daemon" 15 'sluiced' "$ctl" status
# shellcheck disable=SC2119
daemon_start
refuse "no module" 12 'module' --source "$source" --local /dev/vdb --format
insmod "$SLUICE_KO"

refuse "address that refuses" 5 '10\.77\.0\.1' \
	--source "nvme-tcp://10.77.0.1:9999/$IMAGE_NQN" --local /dev/vdb --format
refuse "address that does not answer" 5 '10\.77\.0\.99' \
	--source "nvme-tcp://10.77.0.99:4420/$IMAGE_NQN" --local /dev/vdb --format
refuse "wrong NQN" 5 'nqn\.2026-01\.org\.sluice\.test:nosuch' \
	--source "nvme-tcp://10.77.0.1:4420/nqn.2026-01.org.sluice.test:nosuch" --local /dev/vdb --format
refuse "wrong namespace" 5 '77' \
	--source "nvme-tcp://10.77.0.1:4420/$IMAGE_NQN?nsid=77" --local /dev/vdb --format
refuse "missing file" 5 '/nosuch' --source file:/nosuch --local /dev/vdb --format
refuse "bad URI" 2 'gopher' --source gopher://x/y --local /dev/vdb --format
refuse "local disk too small" 7 '/dev/vdc' --source "$source" --local /dev/vdc --format
refuse "no such local disk" 7 '/dev/nosuch' --source "$source" --local /dev/nosuch --format
refuse "local disk is a file" 7 '/etc/passwd' --source "$source" --local /etc/passwd --format
refuse "blank disk without --format" 9 '--format' --source "$source" --local /dev/vdb
head -c 1000100 /dev/urandom >/tmp/odd
refuse "image of an odd size" 6 '/tmp/odd' --source file:/tmp/odd --local /dev/vdb --format
refuse "size below the image" 2 'size' --source "$source" --local /dev/vdb --format --size 1M
refuse "no PCI endpoint controller" 13 '/sys/class/pci_epc' --source "$source" --local /dev/vdb --format \
	--export pci

mke2fs -q -F /dev/vdb
refuse "a file system" 8 '/dev/vdb' --source "$source" --local /dev/vdb --format
mkdir -p /tmp/m
modprobe ext4
mount -o ro /dev/vdb /tmp/m
refuse "a mounted disk" 7 '/dev/vdb' --source "$source" --local /dev/vdb --format --force
umount /tmp/m
echo 'label: gpt' | sfdisk -q /dev/vdb
refuse "a partition table" 8 '/dev/vdb' --source "$source" --local /dev/vdb --format

# A deployment that is there.
"$ctl" deploy d --source "$source" --local /dev/vdb --format --force --max-rate 1M >/dev/null
refused "same name" 4 'd' "$ctl" deploy d --source "$source" --local /dev/vdc --format
refused "same disk" 4 '/dev/vdb' "$ctl" deploy e --source "$source" --local /dev/vdb --format --force
refused "no such deployment" 3 'nosuch' "$ctl" pause nosuch
refused "second daemon" 1 'sluiced' "$BIN/sluiced"
exec 9<>/dev/sluice0
refused "detach of an open device" 14 'sluice0' "$ctl" detach d
exec 9>&-
check "it is still there" [ "$("$ctl" status d -o json | value name)" = d ]
"$ctl" detach d >/dev/null
refuse "a disk with a deployment, with --format" 8 '/dev/vdb' --source "$source" --local /dev/vdb --format
head -c 32M /dev/urandom >/tmp/other
refuse "another image" 10 '/dev/vdb' --source file:/tmp/other --local /dev/vdb

# Same size, another content: the sampled digest tells.
size=$(blockdev --getsize64 /dev/vda)
truncate -s "$size" /tmp/other
refuse "another image of the same size" 10 '/dev/vdb' --source file:/tmp/other --local /dev/vdb
rm /tmp/other

# Damage to both superblocks.
end=$(($(blockdev --getsize64 /dev/vdb) / 1048576 * 1048576))
for at in $((end - 1048576 + 300)) $((end - 4096 + 300)); do
	printf 'damage' | dd of=/dev/vdb bs=1 seek=$at conv=notrunc status=none
done
sync
refuse "a damaged superblock" 11 '/dev/vdb' --source "$source" --local /dev/vdb

# The control socket.
socket=/run/sluice/control.sock
check "the socket is root's alone" [ "$(stat -c %a:%U $socket)" = 600:root ]
for junk in '' 'x' '{' '[]' '{"method":7}' '{"method":"org.sluice.Nosuch","parameters":{}}' \
	'{"method":"org.sluice.Deploy","parameters":{"name":"../x"}}' \
	'{"method":"org.sluice.Pause","parameters":{"name":7}}'; do
	printf '%s\0' "$junk" | timeout 2 nc -U -N $socket >/tmp/junk.out 2>/dev/null || true
	grep -aq '"error"' /tmp/junk.out || [ ! -s /tmp/junk.out ] || not_ok "junk \"$junk\" was answered: $(cat /tmp/junk.out)"
done
check "the daemon lives through junk" "$ctl" version -o json
check "the daemon ends well" daemon_kill TERM
check "the module unloads" rmmod sluice
finish
