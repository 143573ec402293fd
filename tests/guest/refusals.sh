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

# tells NAME PATTERN METHOD PARAMETERS: sluiced's answer to a call.
tells() {
	python3 - "$3" "$4" >/tmp/told <<-'END'
		import socket, sys
		s = socket.socket(socket.AF_UNIX)
		s.settimeout(60)
		s.connect("/run/sluice/control.sock")
		s.sendall(b'{"method":"org.sluice.%s","parameters":{%s}}\0' %
		          tuple(a.encode() for a in sys.argv[1:]))
		told = b""
		while not told.endswith(b"\0"):
		    told += s.recv(65536)
		print(told[:-1].decode())
	END
	if grep -qF -- "$2" /tmp/told; then ok "$1"; else not_ok "$1: $(cat /tmp/told)"; fi
}

storage_up 0ms 10gbit
storage_serve /dev/vda

# Without a daemon, then without a module.
refused "no daemon" 15 'sluiced' "$ctl" status
# shellcheck disable=SC2119
daemon_start
refuse "no module" 12 'The kernel module is not loaded' --source "$source" --local /dev/vdb --format
insmod "$SLUICE_KO"

refuse "address that refuses" 5 'port 9999 does not answer \(Connection refused\)' \
	--source "nvme-tcp://10.77.0.1:9999/$IMAGE_NQN" --local /dev/vdb --format
refuse "address that does not answer" 5 'source at 10\.77\.0\.99 port 4420 does not answer' \
	--source "nvme-tcp://10.77.0.99:4420/$IMAGE_NQN" --local /dev/vdb --format
refuse "wrong NQN" 5 'does not give us nqn\.2026-01\.org\.sluice\.test:nosuch' \
	--source "nvme-tcp://10.77.0.1:4420/nqn.2026-01.org.sluice.test:nosuch" --local /dev/vdb --format
refuse "wrong namespace" 5 'The subsystem [^ ]* has no namespace 77\.' \
	--source "nvme-tcp://10.77.0.1:4420/$IMAGE_NQN?nsid=77" --local /dev/vdb --format
refuse "missing file" 5 'source /nosuch cannot be opened' --source file:/nosuch --local /dev/vdb --format
refuse "bad URI" 2 'gopher' --source gopher://x/y --local /dev/vdb --format
refuse "local disk too small" 7 '/dev/vdc is too small: it has [0-9]+ bytes, the image' --source "$source" --local /dev/vdc --format
refuse "no such local disk" 7 'local disk /dev/nosuch cannot be found' --source "$source" --local /dev/nosuch --format
refuse "local disk is a file" 7 'local disk /etc/passwd is no block device' --source "$source" --local /etc/passwd --format
refuse "blank disk without --format" 9 'holds no deployment: deploy with --format' --source "$source" --local /dev/vdb
head -c 1000100 /dev/urandom >/tmp/odd
refuse "image of an odd size" 6 'bytes long, which is no multiple of' --source file:/tmp/odd --local /dev/vdb --format
refuse "size below the image" 2 "is less than the image's" --source "$source" --local /dev/vdb --format --size 1M
refuse "no PCI endpoint controller" 13 '/sys/class/pci_epc' --source "$source" --local /dev/vdb --format \
	--export pci

mke2fs -q -F /dev/vdb
refuse "a file system" 8 'The local disk /dev/vdb holds data \(ext2\); nothing was changed\. Deploy with --force' --source "$source" --local /dev/vdb --format
mkdir -p /tmp/m
modprobe ext4
mount -o ro /dev/vdb /tmp/m
refuse "a mounted disk" 7 'is in use: unmount it' --source "$source" --local /dev/vdb --format --force
umount /tmp/m
echo 'label: gpt' | sfdisk -q /dev/vdb
refuse "a partition table" 8 '/dev/vdb holds data' --source "$source" --local /dev/vdb --format
blockdev --setro /dev/vdb
refuse "a disk that is read-only" 7 'The local disk /dev/vdb is read-only\.' \
	--source "$source" --local /dev/vdb --format --force
blockdev --setrw /dev/vdb

# A deployment that is there.
"$ctl" deploy d --source "$source" --local /dev/vdb --format --force --max-rate 1M >/dev/null
refused "same name" 4 'There is a deployment d: detach it' "$ctl" deploy d --source "$source" --local /dev/vdc --format
refused "same disk" 4 '/dev/vdb is that of the deployment d: detach that' "$ctl" deploy e --source "$source" --local /dev/vdb --format --force
refused "no such deployment" 3 'There is no deployment nosuch' "$ctl" pause nosuch
refused "second daemon" 1 'Another sluiced runs with the state directory' "$BIN/sluiced"
# What a deployment does not take.
refused "the same source" 4 'is a source of d already' "$ctl" source add d "$source"
refused "no source" 3 'nbd://h is no source of d' "$ctl" source remove d nbd://h
refused "the only source" 2 'is the only source of d' "$ctl" source remove d "$source"
refused "no such export" 2 'd is not exported over tcp' "$ctl" unexport d tcp
tells "hosts of no export" 'The deployment d has no export with a list of hosts' \
	Admit '"name":"d","allow_any":true'
"$ctl" export d loop >/dev/null
refused "the same export" 13 'd is already exported over loop' "$ctl" export d loop
refused "other hosts" 13 'one deployment has one list of hosts' \
	"$ctl" export d tcp --allow nqn.2014-08.org.example:h
"$ctl" unexport d loop >/dev/null
refused "an address elsewhere" 13 '10\.9\.9\.9 is none of this machine' \
	"$ctl" export d tcp --address 10.9.9.9
refused "nothing recorded" 1 'No profile of d was recorded since' "$ctl" profile get d
tells "what is no mark" 'is nothing that can be marked' Mark '"name":"d","mark":"down"'
tells "a recording begins" '"name":"d"' RecordProfile '"name":"d"'
tells "another recording" 'A profile of d is being recorded already' RecordProfile '"name":"d"'
refused "half a recording" 1 'The profile of d is still being recorded' "$ctl" profile get d
"$ctl" mark d up >/dev/null
exec 9<>/dev/sluice0
refused "detach of an open device" 14 'The device /dev/sluice0 of d is open' "$ctl" detach d
exec 9>&-
check "it is still there" [ "$("$ctl" status d -o json | value name)" = d ]
"$ctl" detach d >/dev/null
refuse "a disk with a deployment, with --format" 8 'Deploy without --format to go on with it' --source "$source" --local /dev/vdb --format
head -c 32M /dev/urandom >/tmp/other
refuse "another image" 10 '/dev/vdb holds a deployment of another image: give' --source file:/tmp/other --local /dev/vdb

# Same size, another content: the sampled digest tells.
size=$(blockdev --getsize64 /dev/vda)
truncate -s "$size" /tmp/other
refuse "another image of the same size" 10 'of another image: give the source' --source file:/tmp/other --local /dev/vdb
rm /tmp/other

# Damage to both superblocks.
end=$(($(blockdev --getsize64 /dev/vdb) / 1048576 * 1048576))
for at in $((end - 1048576 + 300)) $((end - 4096 + 300)); do
	printf 'damage' | dd of=/dev/vdb bs=1 seek=$at conv=notrunc status=none
done
sync
refuse "a damaged superblock" 11 'whose superblock is damaged: start anew' --source "$source" --local /dev/vdb

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
