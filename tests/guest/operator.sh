#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2317 # functions are called by name
# In a guest: /dev/vda is an image, /dev/vdb a blank local disk. What an operator uses, with
# the real daemon: files of deployments, events, figures, the live screen, completion.

# shellcheck source=tests/guest/lib.sh
. "${SLUICE_TOP:?}/tests/guest/lib.sh"
# shellcheck source=tests/guest/assert.sh
. "$SLUICE_TOP/tests/guest/assert.sh"

ctl=$BIN/sluicectl
figures=/run/sluice/sluice.prom
look() { "$SLUICE_TOP/tests/guest/look.py" "$ctl" "$@"; }

# want LIMITS: the file of the deployment.
want() {
	printf '{"name":"d","sources":["file:/dev/vda","file:/run/image"],"local":"/dev/vdb",
		"limits":%s,"exports":[{"kind":"loop"%s}]%s}\n' "$1" "${2-}" "${3-}" >/tmp/d.json
}

# connects HOSTNQN: that host may.
connects() {
	nvme connect -t loop -n "$nqn" --hostnqn "$1" >/dev/null 2>&1 &&
		nvme disconnect -n "$nqn" >/dev/null
}
refuses() { ! connects "$1"; }

# says NAME PATTERN COMMAND...: succeeds with that in what it prints.
says() {
	local name=$1 pattern=$2
	shift 2
	if "$@" >/tmp/says 2>&1 && grep -qE -- "$pattern" /tmp/says; then
		ok "$name"
	else
		not_ok "$name: $(cat /tmp/says)"
	fi
}

# happened CONDITION: an event, in jq, is there; it may take a moment.
happened() {
	until_true 30 jq -es "any(.[]; $1)" /tmp/events >/dev/null && return
	cat /tmp/events
	return 1
}

# None of the copy is under way, so that what is looked at does not change.
at_rest() {
	local was='' now
	for _ in $(seq $((100 * SLACK))); do
		now=$("$ctl" status -o json | jq -c '.deployments | map([.fetched_bytes, .local_bytes])')
		[ "$now" != "$was" ] || return 0
		was=$now
		sleep 1
	done
	return 1
}

mkdir -p /run/sluice
mountpoint -q /sys/kernel/config || mount -t configfs none /sys/kernel/config
ip link set lo up
ln -s /dev/vda /run/image
insmod "$SLUICE_KO"
daemon_start --metrics-file "$figures" --metrics-port 9107

says "doctor finds the module" '^ok +abi +Module and sluiced have ABI' \
	bash -c "$ctl doctor || [ \$? = 18 ]"
says "doctor finds the disks" '^ok +disk +vdb: ' bash -c "$ctl doctor || [ \$? = 18 ]"

want '{"max_rate":"1M"}'
head -c 16M /dev/vdb | md5sum >/tmp/before
says "a dry run" 'd: content /dev/vdb: It is blank' "$ctl" apply /tmp/d.json --dry-run
says "a dry run looks at each source" 'source file:/run/image: It has an image of 67108864' \
	"$ctl" apply /tmp/d.json --dry-run
sed 's/"local"/"format":false,"local"/' /tmp/d.json >/tmp/e.json
says "a dry run on a blank disk that is not to be formatted" \
	"It holds no deployment, and is not to be formatted: allow that" \
	bash -c "$ctl apply /tmp/e.json --dry-run 2>&1; [ \$? = 9 ]"
check "a dry run changes nothing" diff /tmp/before <(head -c 16M /dev/vdb | md5sum)
says "and deploys nothing" "no deployment" "$ctl" status

"$ctl" events -o json >/tmp/events &
says "apply formats a blank disk" 'd: format /dev/vdb' "$ctl" apply /tmp/d.json
says "applied again it does nothing" 'd: is as' "$ctl" apply /tmp/d.json
says "a dry run does so, too" 'd: is as' "$ctl" apply /tmp/d.json --dry-run
check "the deployment is told of" happened '.event == "deployment" and .name == "d"'
check "its state is told of" happened '.event == "state" and .state == "copying"'
check "names complete" [ "$("$ctl" complete pause '' | cut -f1)" = d ]

# Blocks that the copy has not come to.
check "missing blocks are read" dd if=/dev/sluice0 of=/dev/null bs=64k skip=900 count=20 \
	iflag=direct status=none
"$ctl" pause >/dev/null
check "a pause is told of" happened '.event == "state" and .state == "paused" and .previous == "copying"'
check "the copy rests" at_rest
check "figures are those of the status" look metrics 9107 "$figures"
check "watch on a terminal" look watch "paused" "requests of the host wait" "from file:/dev/vda"

# Changed below whoever uses it.
nqn=$("$ctl" status -o json | jq -r '.deployments[0].exports[0].nqn')
host=nqn.2014-08.org.nvmexpress:uuid:1b4e28ba-2fa1-11d2-883f-0016d3cca42
check "any host connects" connects "${host}1"
printf 'sluice-profile 1\n32M 1M\n' >/tmp/boot
want '{"max_rate":"1M","deadline_ms":4321}' ",\"allow\":[\"${host}1\"]" ',"profile":"/tmp/boot"'
says "a dry run says what would change" 'd: would change the hosts of d' \
	"$ctl" apply /tmp/d.json --dry-run
says "hosts, profile and deadline are changed" 'd: change the profile of d' "$ctl" apply /tmp/d.json
says "applied again, it does nothing" 'd: is as' "$ctl" apply /tmp/d.json
check "one is allowed" connects "${host}1"
check "others are not" refuses "${host}2"
check "the deadline is another" \
	[ "$("$ctl" status -o json | jq '.deployments[0].deadline_ms')" = 4321 ]
check "the profile is there" \
	[ "$("$ctl" status -o json | jq '.deployments[0].profile.bytes')" = 1048576 ]
daemon_kill TERM
daemon_start --metrics-file "$figures" --metrics-port 9107
says "a new daemon knows all that" 'd: is as' "$ctl" apply /tmp/d.json
check "hosts are as they were" refuses "${host}2"
"$ctl" events -o json >/tmp/events &
want '{"max_rate":"1M","deadline_ms":4321}' ',"allow_any":true'
says "all hosts again" 'd: change the hosts of d' "$ctl" apply /tmp/d.json
check "all may" connects "${host}2"
# One list of hosts, whichever export has it and in whichever order they are.
exports() {
	printf '{"name":"d","sources":["file:/dev/vda","file:/run/image"],"local":"/dev/vdb",
		"exports":[%s]}\n' "$1" >/tmp/e.json
}
exports '{"kind":"loop"},{"kind":"tcp","allow":["'"${host}1"'"]}'
says "a dry run of one over tcp" 'd: export tcp: It can be made' "$ctl" apply /tmp/e.json --dry-run
says "one over tcp besides, with other hosts" 'd: export over tcp' "$ctl" apply /tmp/e.json
says "applied again, it is so" 'd: is as' "$ctl" apply /tmp/e.json
check "its hosts are those of loop, too" refuses "${host}2"
exports '{"kind":"loop","allow":["'"${host}2"'"]}'
says "it ends, and hosts change" 'd: end the export over tcp' "$ctl" apply /tmp/e.json
exports '{"kind":"loop","allow":["'"${host}1"'"]},{"kind":"tcp","allow":["'"${host}1"'"]}'
says "hosts change before it comes back" 'd: export over tcp' "$ctl" apply /tmp/e.json
exports '{"kind":"tcp","address":"127.0.0.1"},{"kind":"loop","allow_any":true}'
says "any for both" 'd: change the hosts of d' "$ctl" apply /tmp/e.json
exports '{"kind":"loop"}'
says "it ends again" 'd: end the export over tcp' "$ctl" apply /tmp/e.json
check "all may as before" connects "${host}2"
head -c 64M /dev/zero >/tmp/other
sed 's,file:/run/image,file:/tmp/other,' /tmp/d.json >/tmp/e.json
says "another image, dry" "It has another image" \
	bash -c "$ctl apply /tmp/e.json --dry-run 2>&1; [ \$? = 10 ]"
says "another image" "does not have the image of d: detach that" \
	bash -c "$ctl apply /tmp/e.json 2>&1; [ \$? = 10 ]"
rm /tmp/other

says "a source is removed" "active +file:/run/image" "$ctl" source remove d file:/dev/vda
check "another source is told of" happened \
	'.event == "source" and .source == "file:/run/image" and .previous == "file:/dev/vda"'
want '{"max_rate":"none"}'
says "apply puts it back" 'd: add source file:/dev/vda' "$ctl" apply /tmp/d.json
# Of four, which are all that there may be, the one that is read goes for another.
ln -s /dev/vda /run/image2
ln -s /dev/vda /run/image3
ln -s /dev/vda /run/image4
has() { # URI...: these, in any order
	[ "$("$ctl" source list -o json | jq -r '.sources[].uri' | sort | xargs)" = "$*" ]
}
sed 's,"file:/run/image",&\,"file:/run/image2"\,"file:/run/image3",' /tmp/d.json >/tmp/e.json
says "two more" 'd: add source file:/run/image3' "$ctl" apply /tmp/e.json
sed -i 's,"file:/run/image","file:/run/image4",' /tmp/e.json
says "another one for that which is read, dry" 'd: would remove source file:/run/image$' \
	"$ctl" apply /tmp/e.json --dry-run
says "another one for that which is read" 'd: remove source file:/run/image$' "$ctl" apply /tmp/e.json
check "four others" has file:/dev/vda file:/run/image2 file:/run/image3 file:/run/image4
says "applied again, they are so" 'd: is as' "$ctl" apply /tmp/e.json
says "and back" 'd: add source file:/run/image$' "$ctl" apply /tmp/d.json
check "two as before" has file:/dev/vda file:/run/image
"$ctl" resume >/dev/null
check "deployment completes" "$ctl" wait --timeout 300
check "completion is told of" happened '.event == "state" and .state == "complete"'
check "figures of a complete one" look metrics 9107 "$figures"
sed -i 's/vdb/vdc/' /tmp/d.json
refused "another disk" 10 "is on /dev/vdb, not on /dev/vdc" "$ctl" apply /tmp/d.json
sed -i 's/vdc/vdb/' /tmp/d.json
check "detach" "$ctl" detach -o json
check "its end is told of" happened '.event == "removed"'
says "what a disk holds is seen" 'content /dev/vdb: It holds a deployment' \
	"$ctl" apply /tmp/d.json --dry-run
says "apply goes on with it" 'd: deploy to /dev/vdb' "$ctl" apply /tmp/d.json
check "detach again" "$ctl" detach -o json
dd if=/dev/zero of=/dev/vdb bs=1M status=none 2>/dev/null || true
mke2fs -q -F /dev/vdb
says "data is seen" 'HoldsData' bash -c "$ctl apply /tmp/d.json --dry-run -o json 2>&1 || [ \$? = 8 ]"
refused_data() { "$ctl" apply /tmp/d.json >/tmp/says 2>&1; [ $? = 8 ]; }
check "data is not overwritten" refused_data
check "it is there" e2fsck -fn /dev/vdb
daemon_kill TERM
finish
