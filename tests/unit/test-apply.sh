#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# test-apply.sh [SLUICECTL]: files that "sluicectl apply" refuses, what it calls where
# deployments are otherwise, and a dry run of a real sluiced. Last line: "N passed, N failed".

cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/unit/ctl.sh
. tests/unit/ctl.sh

# expect NAME STATUS TEXT: of standard output or error.
expect() {
	if [ "$rc" = "$2" ] && grep -qF -- "$3" "$tmp/out" "$tmp/err"; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "FAILED: $1: status $rc, '$3' expected with $2"
		cat "$tmp/out" "$tmp/err"
	fi
}

# calls NAME METHOD...: these were called, in this order.
calls() {
	local name=$1 was
	shift
	was=$(sed 's/.*"org\.sluice\.\([A-Za-z]*\)".*/\1/' "$tmp/calls" | paste -sd ' ')
	if [ "$was" = "$*" ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "FAILED: $name: called $was instead of $*"
	fi
}

apply() { # TEXT ARG...
	printf '%s' "$1" >"$tmp/d.json"
	shift
	"$ctl" --socket "$sock" apply "$tmp/d.json" "$@" >"$tmp/out" 2>"$tmp/err"
	rc=$?
}

# --- files that are wrong, each with its place ------------------------------

good='"name":"d","sources":["file:/srv/i.raw"],"local":"/dev/vdb"'
while IFS='|' read -r text place; do
	apply "$text"; expect "$text" 2 "$tmp/d.json: $place"
done <<-END
	{"name":"d"}|$ has no sources
	{$good,"sizes":"max"}|$.sizes is not known
	{$good,"exports":[{"kind":"tcp"},{"kind":"pci","where":"x"}]}|$.exports[1].where is not known
	{$good,"exports":[{"address":"x"}]}|$.exports[0] has no kind
	{$good,"exports":{}}|$.exports is no array of objects
	{$good,"exports":[1]}|$.exports[0] is no object
	{$good,"exports":[{"kind":"tcp","allow":["a",1]}]}|$.exports[0].allow[1] is no text
	{$good,"exports":[{"kind":"tcp","allow_any":1}]}|$.exports[0].allow_any is neither true nor false
	{$good,"exports":[{"kind":"pci","queues":1000}]}|$.exports[0].queues is no number from 1 to 127
	{$good,"limits":{"min_rate":"fast"}}|$.limits.min_rate is no rate
	{$good,"limits":{"min_rate":-1}}|$.limits.min_rate is no rate
	{$good,"limits":{"min_rate":"2M","max_rate":"1M"}}|$.limits has a min_rate above max_rate
	{$good,"limits":{"rate":1}}|$.limits.rate is not known
	{$good,"name":""}|$.name is no text, or an empty one
	{$good,"sources":[]}|$.sources is no array of texts with at least one
	{$good,"sources":["http://x"]}|$.sources[0] cannot be used
	{$good,"local":"vdb"}|$.local is no absolute path
	{$good,"local":"/dev/vdb\u0000c"}|$.local is no text
	{$good,"sources":["file:/srv/i.raw\u0000c"]}|$.sources[0] is no text
	{$good,"profile":"x"}|$.profile is no absolute path
	{$good,"name":"b a/d"}|$.name is no name
	{$good,"name":"-d"}|$.name is no name
	{$good,"size":"banana"}|$.size is neither max, image nor a number of bytes
	{$good,"size":"0"}|$.size is neither max, image nor a number of bytes
	{$good,"sources":["nbd://a","nbd://b","nbd://c","nbd://d","nbd://e"]}|$.sources names more than four
	{$good,"exports":[{"kind":"tcp","allow":["nqn.a"]},{"kind":"loop","allow":["nqn.b"]}]}|$.exports[1] admits other hosts
	{$good,"exports":[{"kind":"pci"},{"kind":"usb"}]}|$.exports[1].kind is none of
	{$good,"exports":[{"kind":"tcp"},{"kind":"pci"},{"kind":"tcp"}]}|$.exports[2].kind is that of $.exports[0], too
END
printf 'sluice-profile 1\n0 many\n' >"$tmp/boot"
apply "{$good,\"profile\":\"$tmp/boot\"}"; expect "a wrong profile" 2 "$tmp/boot:2: The length"
apply '{"name":'; expect "half a file" 2 "cannot be used: The message"
apply "{$good} {}"; expect "two objects" 2 "cannot be used"
apply "[]"; expect "an array" 2 "not a JSON object"
apply "$(printf '%70000s' x)"; expect "a long file" 2 "longer than 64 KiB"
"$ctl" apply "$tmp/none" >"$tmp/out" 2>"$tmp/err"; rc=$?
expect "no file" 2 "cannot be read: No such file"
apply "{$good}"; expect "no daemon" 15 "No sluiced answers"

# --- what is called ---------------------------------------------------------

none='Status {"parameters":{"deployments":[]}}'
ok='{"parameters":{}}'
dep='"name":"d","state":"copying","local":"/dev/vdb","min_rate":4194304,"max_rate":0'
src='"sources":[{"uri":"file:/srv/i.raw","role":"active"}]'
have() { # KEYS
	printf 'Status {"parameters":{"deployments":[{%s}]}}\n' "$1"
	printf '%s %s\n' Limit "$ok" UseProfile "$ok" Admit "$ok" AddSource "$ok" RemoveSource "$ok" Export "$ok" Unexport "$ok"
}
nothing='Check {"parameters":{"findings":[]}}'
checked() { # SUBJECT OBJECT ERROR MESSAGE: what is found
	printf 'Check {"parameters":{"findings":[{"subject":"%s","object":"%s","error":"%s","message":"%s"}]}}\n' "$@"
}

printf 'sluice-profile 1\n4K 4K\n' >"$tmp/boot"
fake <<<"$none"$'\n'"Deploy $ok"
apply "{$good,\"profile\":\"$tmp/boot\"}"
calls "one with a profile" Status Deploy
grep -qF '"profile":"sluice-profile 1\n4096 4096\n"' "$tmp/calls"; rc=$?
expect "the profile" 0 ""
fake <<<"$none"$'\n'"Deploy $ok"
apply "{$good,\"limits\":{\"max_rate\":\"1M\"},\"exports\":[{\"kind\":\"pci\",\"controller\":\"c\"}]}"
expect "a new one" 0 "d: deploy to /dev/vdb"
calls "a new one" Status Deploy
grep -qF '"source":["file:/srv/i.raw"],"local":"/dev/vdb","max_rate":1048576,"export":"pci","export_options":{"address":"c"},"name":"d"' \
	"$tmp/calls"; rc=$?
expect "its parameters" 0 ""
fake <<-END
	$none
	Deploy {"error":"org.sluice.NotFormatted","parameters":{"message":"Blank."}}
	Deploy $ok
	Export $ok
END
apply "{$good,\"exports\":[{\"kind\":\"loop\"},{\"kind\":\"tcp\",\"allow_any\":true}]}"
expect "a blank disk" 0 "d: format /dev/vdb"
calls "a blank disk" Status Deploy Deploy Export
fake <<-END
	$none
	Deploy {"error":"org.sluice.NotFormatted","parameters":{"message":"Blank."}}
END
apply "{$good,\"format\":false}"; expect "a blank disk that must not be" 9 "Blank."
calls "a blank disk that must not be" Status Deploy
fake < <(have "$dep,$src")
apply "{$good}"; expect "as it is" 0 "d: is as $tmp/d.json wants it"
calls "as it is" Status
apply "{$good,\"limits\":{\"min_rate\":\"4M\",\"max_rate\":\"none\"}}"
expect "limits as they are" 0 "is as"
fake < <(have "$dep,$src")
apply "{$good,\"limits\":{\"min_rate\":\"4M\",\"max_rate\":\"9M\"}}" -o json
calls "another limit" Status Limit
expect "another limit" 0 '"actions":[{"action":"change limits of","object":"d"}]'
fake < <(have "$dep,$src")
apply '{"name":"d","sources":["nbd://a"],"local":"/dev/vdb"}'
calls "another source" Status AddSource RemoveSource
fake < <(have "${dep/copying/complete},$src")
apply '{"name":"d","sources":["nbd://a"],"local":"/dev/vdb"}'
calls "another source of a complete one" Status

# of ACTIVE STANDBY...: sources that there are. wanted SOURCE...: a file that wants these.
of() {
	printf '"sources":[{"uri":"nbd://%s","role":"active"}' "$1"
	shift
	printf ',{"uri":"nbd://%s","role":"standby"}' "$@"
	printf ']'
}
wanted() {
	printf '{"name":"d","local":"/dev/vdb","sources":["nbd://%s"' "$1"
	shift
	printf ',"nbd://%s"' "$@"
	printf ']}'
}
moved() { # NAME MOVE...: sources that were added and removed
	local name=$1 was
	shift
	was=$(sed -n 's/.*\.\(Add\|Remove\)Source".*nbd:\/\/\([a-z]\).*/\1 \2/p' "$tmp/calls" |
		sed 's/Add /+/; s/Remove /-/' | paste -sd ' ')
	if [ "$was" = "$*" ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "FAILED: $name: $was instead of $*"
	fi
}
while IFS='|' read -r name want moves; do
	fake < <(have "$dep,$(of a b c d)")
	# shellcheck disable=SC2086 # words
	apply "$(wanted $want)"
	# shellcheck disable=SC2086 # words
	moved "four sources: $name" $moves
	expect "four sources: $name" 0 ""
done <<-'END'
	a standby|a b c e|-d +e
	the first standby|a e c d|-b +e
	the one in use|b c d e|-d +e -a +d
	two, and the one in use|b e f c|-d +e -e +f -a +e
	all|e f g h|-d +e -c +f -b +g -g +h -a +g
	the one in use, for none|b c d|-a
END
fake <<-END
	Status {"parameters":{"deployments":[{$dep,$(of a b c d)}]}}
	RemoveSource $ok
	AddSource {"error":"org.sluice.SourceUnreachable","parameters":{"message":"Nobody listens."}}
	AddSource {"error":"org.sluice.Failed","parameters":{"message":"Nobody listens there, either."}}
END
apply "$(wanted b c d e)"
moved "a new one does not answer" -d +e +d
expect "a new one does not answer" 5 "sluicectl: $tmp/d.json: Nobody listens."
fake < <(have "$dep,$(of a b c d)"; echo "$nothing")
apply "$(wanted a b c e)" --dry-run
expect "four sources, a dry run" 0 "d: would remove source nbd://d"
calls "four sources, a dry run" Status Check
export='"exports":[{"kind":"tcp","address":"10.0.0.1:4420"}]'
fake < <(have "$dep,$src,$export")
apply "{$good,\"exports\":[{\"kind\":\"tcp\",\"address\":\"10.0.0.1\"}]}"; calls "the same export" Status
fake < <(have "$dep,$src,\"exports\":[{\"kind\":\"tcp\",\"address\":\"[fd00::1]:4420\"}]")
apply "{$good,\"exports\":[{\"kind\":\"tcp\",\"address\":\"[fd00::1]\"}]}"; calls "the same over IPv6" Status
fake < <(have "$dep,$src,$export")
apply "{$good}"; expect "nothing about exports" 0 "is as"
apply "{$good,\"exports\":[{\"kind\":\"tcp\",\"address\":\"10.0.0.2\"}]}"
expect "an export elsewhere" 10 "sluicectl unexport d tcp"
fake < <(have "$dep,$src,$export")
apply "{$good,\"exports\":[{\"kind\":\"loop\"}]}"; calls "another export" Status Unexport Export
fake < <(have "$dep,$src,$export"; echo "$nothing")
apply "{$good,\"exports\":[{\"kind\":\"loop\"}]}" --dry-run
expect "a dry run" 0 "d: would export over loop"
calls "a dry run" Status Check
fake < <(have "$dep,$src"; checked export pci org.sluice.ExportFailed "There is no such controller.")
apply "{$good,\"exports\":[{\"kind\":\"pci\",\"controller\":\"nosuch\"}]}" --dry-run
expect "a dry run of an export that cannot be" 13 "d: export pci: There is no such controller."
grep -qF '"exports":[{"kind":"pci","options":{"address":"nosuch"}}]' "$tmp/calls"; rc=$?
expect "what is checked of it" 0 ""
fake < <(echo "$none"; checked content /dev/vdb org.sluice.NotFormatted "It holds no deployment.")
apply "{$good,\"format\":false}" --dry-run
expect "a dry run on a blank disk that must not be" 9 "It holds no deployment."
grep -qF '"format":false' "$tmp/calls"; rc=$?
expect "that it must not be formatted" 0 ""
fake < <(have "$dep,$src")
apply "${good/vdb/vdc}"; expect "no braces" 2 "not a JSON object"
apply "{${good/vdb/vdc}}"; expect "another disk" 10 "is on /dev/vdb, not on /dev/vdc"

# What can be changed below a host, and what cannot.
fake < <(have "$dep,$src,\"deadline_ms\":20000")
apply "{$good,\"limits\":{\"deadline_ms\":20000}}"; calls "the same deadline" Status
apply "{$good,\"limits\":{\"deadline_ms\":5000}}"; expect "another deadline" 0 "d: change limits of d"
grep -qF '"org.sluice.Limit","parameters":{"deadline_ms":5000,"name":"d"}' "$tmp/calls"; rc=$?
expect "the deadline" 0 ""
fake < <(have "$dep,$src")
apply "{$good,\"profile\":\"$tmp/boot\"}"; expect "a new profile" 0 "d: change the profile of d"
calls "a new profile" Status UseProfile
digest=$(printf 'sluice-profile 1\n4096 4096\n' | sha256sum | cut -d' ' -f1)
fake < <(have "$dep,$src,\"profile\":{\"digest\":\"$digest\"}")
apply "{$good,\"profile\":\"$tmp/boot\"}"; calls "the same profile" Status
fake < <(have "$dep,$src,\"profile\":{\"digest\":\"$digest\"}")
apply "{$good}"; calls "a profile of somebody else" Status
admits() { printf '"exports":[{"kind":"tcp","address":"127.0.0.1:4420","allow":[%s],"allow_any":%s}]' "$1" "$2"; }
while IFS='|' read -r name have_list have_any wanted methods; do
	fake < <(have "$dep,$src,$(admits "$have_list" "$have_any")")
	apply "{$good,\"exports\":[{\"kind\":\"tcp\"$wanted}]}"
	# shellcheck disable=SC2086 # words
	calls "hosts: $name" Status $methods
done <<-'END'
	the same|"nqn.a","nqn.b"|false|,"allow":["nqn.b","nqn.a"]|
	one more|"nqn.a"|false|,"allow":["nqn.a","nqn.b"]|Admit
	one less|"nqn.a","nqn.b"|false|,"allow":["nqn.a"]|Admit
	none any more|"nqn.a"|false|,"allow":[]|Admit
	any|"nqn.a"|false|,"allow_any":true|Admit
	any, as before||true|,"allow_any":true|
	any no more||true|,"allow":["nqn.a"]|Admit
	nothing said|"nqn.a"|false||
END
fake < <(have "$dep,$src,$(admits '"nqn.a"' false)"; echo "$nothing")
apply "{$good,\"exports\":[{\"kind\":\"tcp\",\"allow\":[\"nqn.b\"]}]}" --dry-run
expect "hosts, dry" 0 "d: would change the hosts of d"
calls "hosts, dry" Status Check

# The order of exports in a file makes no difference.
tcp_b='{"kind":"tcp","allow":["nqn.b"]}' loop='{"kind":"loop"}'
while IFS='|' read -r exports first; do
	fake <<<"$none"$'\n'"Deploy $ok"$'\n'"Export $ok"
	apply "{$good,\"exports\":[$exports]}"
	grep -qF "\"export\":\"$first\"" "$tmp/calls"; rc=$?
	expect "$exports: $first comes with the deployment" 0 ""
	calls "$exports" Status Deploy Export
done <<-END
	$loop,$tcp_b|tcp
	$tcp_b,$loop|tcp
	$loop,{"kind":"tcp"}|tcp
	{"kind":"tcp"},{"kind":"loop","allow":["nqn.b"]}|loop
	{"kind":"pci"},{"kind":"tcp"}|tcp
END
for exports in "{\"kind\":\"loop\",\"allow\":[\"nqn.b\"]},$tcp_b" "$loop,$tcp_b" "$tcp_b,$loop"; do
	fake < <(have "$dep,$src,$(admits '"nqn.a"' false)")
	apply "{$good,\"exports\":[$exports]}"
	calls "hosts before another export: $exports" Status Admit Export
	fake < <(have "$dep,$src,\"exports\":[{\"kind\":\"loop\",\"allow\":[],\"allow_any\":true}]")
	apply "{$good,\"exports\":[$exports]}"
	calls "hosts before one over tcp: $exports" Status Admit Export
done
fake < <(have "$dep,$src,$(admits '"nqn.a"' false)")
apply "{$good,\"exports\":[$loop,{\"kind\":\"tcp\",\"address\":\"10.9.9.9\"}]}"
calls "nothing is changed where something cannot be" Status
pci='"exports":[{"kind":"pci","address":"c","queues":4,"mdts_kb":512}]'
fake < <(have "$dep,$src,$pci")
apply "{$good,\"exports\":[{\"kind\":\"pci\",\"queues\":4,\"mdts_kb\":512}]}"; calls "the same queues" Status
apply "{$good,\"exports\":[{\"kind\":\"pci\",\"queues\":8}]}"
expect "other queues" 10 "with another number of queues, perhaps to a host"
apply "{$good,\"exports\":[{\"kind\":\"pci\",\"mdts_kb\":64}]}" --dry-run
expect "another mdts" 10 "with another largest transfer"
fake < <(have "$dep,$src,\"namespace_bytes\":1073741824,\"image_bytes\":536870912")
apply "{$good,\"size\":\"1G\"}"; calls "the same size" Status
apply "{$good,\"size\":\"max\"}"; expect "as large as can be" 0 "is as"
apply "{$good,\"size\":\"2G\"}"; expect "another size" 10 "deploy it anew with --format --force"
apply "{$good,\"size\":\"image\"}" --dry-run; expect "the image's size" 10 "of 1073741824 bytes"
fake < <(have "$dep,$src"; echo "$nothing")
apply '{"name":"d","sources":["file:/srv/i.raw","nbd://a"],"local":"/dev/vdb"}' --dry-run
grep -qF '"source":["file:/srv/i.raw","nbd://a"]' "$tmp/calls"; rc=$?
expect "a new source is held against one that there is" 0 ""

# --- a directory ------------------------------------------------------------

mkdir "$tmp/dir"
echo "{$good}" >"$tmp/dir/b.json"
echo "{" >"$tmp/dir/a.json"
echo "nothing" >"$tmp/dir/c.txt"
fake < <(have "$dep,$src")
"$ctl" --socket "$sock" apply "$tmp/dir" >"$tmp/out" 2>"$tmp/err"; rc=$?
expect "a directory: the bad one" 2 "$tmp/dir/a.json cannot be used"
expect "a directory: the good one" 2 "d: is as $tmp/dir/b.json wants it"
[ "$(wc -l <"$tmp/err")" = 1 ]; rc=$?
expect "a directory: the bad one once" 0 "sluicectl: $tmp/dir/a.json"
"$ctl" --socket "$sock" -o json apply "$tmp/dir" >"$tmp/out" 2>"$tmp/err"
[ "$(wc -l <"$tmp/err")" = 1 ]; rc=$?
expect "a directory: once as JSON" 0 '{"error":"org.sluice.InvalidParameter"'
jq -es --arg dir "$tmp/dir" '(map([.file, .name, .ok, .error]) ==
	[[$dir + "/a.json", null, false, "org.sluice.InvalidParameter"], [$dir + "/b.json", "d", true, null]]) and
	(.[0].message | startswith($dir + "/a.json cannot be used")) and .[1].message == null' \
	"$tmp/out" >/dev/null; rc=$?
expect "a directory: an object for each file" 0 ""
fake <<-END
	$none
	Deploy {"error":"org.sluice.HoldsData","parameters":{"message":"It holds data."}}
END
apply "{$good}" -o json
jq -es --arg file "$tmp/d.json" 'map([.file, .name, .ok, .error, .message, .actions]) ==
	[[$file, "d", false, "org.sluice.HoldsData", $file + ": It holds data.", []]]' \
	"$tmp/out" >/dev/null; rc=$?
expect "what failed, as JSON" 0 ""
# Two of one name: the first counts.
rm "$tmp/dir/a.json"
echo "{$good,\"limits\":{\"max_rate\":\"1M\"}}" >"$tmp/dir/c.json"
fake < <(have "$dep,$src")
"$ctl" --socket "$sock" apply "$tmp/dir" >"$tmp/out" 2>"$tmp/err"; rc=$?
expect "two files of one name" 2 "$tmp/dir/c.json: The deployment d is that of $tmp/dir/b.json already"
expect "the first of them" 2 "d: is as $tmp/dir/b.json wants it"
calls "two files of one name" Status
# One that may work later counts, as the service has to try again for it.
final=" $(sed -n 's/^RestartPreventExitStatus=//p' tools/packaging/systemd/sluice-apply.service) "
rm "$tmp/dir/c.json"
echo "{" >"$tmp/dir/a.json"
kinds=0
# shellcheck disable=SC2016 # quotes of the page
while read -r kind status; do
	kinds=$((kinds + 1))
	fake <<<"$none"$'\n'"Deploy {\"error\":\"org.sluice.$kind\",\"parameters\":{\"message\":\"No.\"}}"
	"$ctl" --socket "$sock" apply "$tmp/dir" >"$tmp/out" 2>"$tmp/err"; rc=$?
	case $final in
	*" $status "*) expect "$kind after a file that cannot be used" 2 "b.json: No." ;;
	*) expect "$kind after a file that cannot be used" "$status" "b.json: No." ;;
	esac
done < <(sed -nE 's/^``(\w+)``  +.*  ([0-9]+)$/\1 \2/p' Documentation/control-protocol.rst)
[ "$kinds" -ge 15 ]; rc=$?
expect "kinds of errors" 0 ""
mv "$tmp/dir/b.json" "$tmp/dir/0.json"
fake <<<"$none"$'\n'"Deploy {\"error\":\"org.sluice.HoldsData\",\"parameters\":{\"message\":\"No.\"}}"
"$ctl" --socket "$sock" apply "$tmp/dir" >"$tmp/out" 2>"$tmp/err"; rc=$?
expect "of those that stay the first counts" 8 "0.json: No."

# --- a dry run of the real daemon -------------------------------------------

start_sluiced
truncate -s 64M "$tmp/image" "$tmp/disk"
apply "{\"name\":\"d\",\"sources\":[\"file:$tmp/image\",\"file:$tmp/gone\"],\"local\":\"$tmp/disk\",
	\"exports\":[{\"kind\":\"loop\"}]}" --dry-run -o json
finding() { # NAME SUBJECT ERROR
	jq -e --arg subject "$2" --arg error "$3" \
		'[.findings[] | select(.subject == $subject and (.error // "none") == $error)] | length == 1' \
		"$tmp/out" >/dev/null && rc=0 || rc=1
	expect "$1" 0 ""
}
finding "a source that is there" source none
finding "a source that is not" source org.sluice.SourceUnreachable
finding "a file is no disk" disk org.sluice.LocalUnusable
jq -e '.ok == false and .dry_run and .actions[0].action == "deploy to"' "$tmp/out" >/dev/null
rc=$?; expect "a dry run that fails" 0 ""
[ "$(cd "$tmp/state" && echo *)" = lock ]; rc=$?
expect "a dry run leaves nothing" 0 ""
"$ctl" --socket "$sock" -o json >"$tmp/out"; rc=$?
expect "a dry run deploys nothing" 0 '{"deployments":[]}'
apply "{\"name\":\"d\",\"sources\":[\"file:$tmp/gone\"],\"local\":\"/dev/nothing\"}" --dry-run
expect "a dry run for people" "$rc" "source file:$tmp/gone: "
[ "$rc" != 0 ]; rc=$?; expect "its status" 0 ""
# What is listened at is told with a port; a file is held against that as text.
for address in fd00::1 ::1 10.0.0.1:04420 '[10.0.0.1]' '[fd00::1' 10.0.0.1:0 10.0.0.1: '[::1]:65536'; do
	apply "{$good,\"exports\":[{\"kind\":\"tcp\",\"address\":\"$address\"}]}" --dry-run
	expect "the address $address" 2 "The export address $address is none"
done
for address in '[fd00::1]' '[::1]:4421' 10.0.0.1 10.0.0.1:4421; do
	apply "{$good,\"exports\":[{\"kind\":\"tcp\",\"address\":\"$address\"}]}" --dry-run
	grep -qF "is none: write" "$tmp/err"; rc=$?
	expect "the address $address" 1 ""
done

finish
