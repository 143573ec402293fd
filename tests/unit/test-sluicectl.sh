#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# test-sluicectl.sh [SLUICECTL]: sluicectl against fake-sluiced, which is built
# here. Needs no root, no module and no daemon. Last line: "N passed, N failed".

cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/unit/ctl.sh
. tests/unit/ctl.sh

# run ARG...: leaves $rc, $tmp/out, $tmp/err.
run() {
	"$ctl" --socket "$sock" "$@" >"$tmp/out" 2>"$tmp/err" </dev/null
	rc=$?
}

# run_pty COLUMNS ARG...: the same on a terminal; everything is in $tmp/out.
run_pty() {
	local columns=$1
	shift
	printf -v line '%q ' "$ctl" --socket "$sock" "$@"
	TERM=xterm script -q -e -c "stty cols $columns rows 24; exec $line" /dev/null \
		>"$tmp/out" 2>"$tmp/err" </dev/null
	rc=$?
}

ok() {
	passed=$((passed + 1))
}

not_ok() {
	failed=$((failed + 1))
	echo "FAILED: $1"
	echo "  status $rc"
	sed 's/^/  out: /' "$tmp/out" | cat -v | head -n 20
	sed 's/^/  err: /' "$tmp/err" | cat -v | head -n 5
}

# check NAME COMMAND...
check() {
	local name=$1
	shift
	if "$@"; then ok; else not_ok "$name"; fi
}

# expect NAME STATUS [OUT-PATTERN [ERR-PATTERN]]: fixed strings; "-" means empty.
expect() {
	local name=$1 status=$2 out=$3 err=$4

	if [ "$rc" != "$status" ]; then
		not_ok "$name (status $status expected)"
	elif [ "$out" = - ] && [ -s "$tmp/out" ]; then
		not_ok "$name (no output expected)"
	elif [ -n "$out" ] && [ "$out" != - ] && ! grep -qF -- "$out" "$tmp/out"; then
		not_ok "$name (output lacks '$out')"
	elif [ "$err" = - ] && [ -s "$tmp/err" ]; then
		not_ok "$name (no error expected)"
	elif [ -n "$err" ] && [ "$err" != - ] && ! grep -qF -- "$err" "$tmp/err"; then
		not_ok "$name (error lacks '$err')"
	else
		ok
	fi
}

# called NAME TEXT: the last call holds TEXT.
called() {
	check "$1 (call lacks '$2')" grep -qF -- "$2" <(tail -n 1 "$tmp/calls")
}

last_call_is() {
	[ "$(tail -n 1 "$tmp/calls")" = "$1" ]
}

out_lacks() {
	! grep -qF -- "$1" "$tmp/out"
}

json() { # JQ-CONDITION: of all objects of the output
	jq -es "$1" "$tmp/out" >/dev/null
}

dep() { # NAME STATE PERCENT [MORE]
	printf '{"name":"%s","uuid":"4c5e","state":"%s","error":null,"device":"/dev/sluice0",' "$1" "$2"
	printf '"index":0,"source":"file:/srv/i.raw","local":"/dev/vdb","image_name":"i.raw",'
	printf '"image_id":"x","image_bytes":1073741824,"namespace_bytes":2147483648,'
	printf '"local_bytes":1073741824,"percent":%s,"fetched_bytes":1048576,' "$3"
	printf '"demand_bytes":4096,"zero_bytes":0,"waiting":2,"expired":1,"rate":104857600,'
	printf '"eta_s":185,"min_rate":0,"max_rate":1048576,"generation":1,"deadline_ms":4000,'
	printf '"exports":[{"kind":"tcp","nqn":"nqn.x:%s","address":"127.0.0.1:4420","port_id":1}]%s}' \
		"$1" "$4"
}
status_of() { # METHOD-LINE for one or more deployments
	printf 'Status {"parameters":{"deployments":[%s]}}\n' "$(IFS=,; echo "$*")"
}
one() {
	printf '{"parameters":{"deployment":%s}}' "$(dep vdb copying 42.37)"
}
error() {
	printf '{"error":"org.sluice.%s","parameters":{"message":"%s"}}' "$1" "$2"
}
deploy=(deploy --source file:/srv/i.raw --local /dev/vdb)

# --- usage and help, no daemon needed ---------------------------------------

run --help; expect "--help" 0 "deploy" -
run --version; expect "--version" 0 "sluicectl " -
run -V; expect "-V" 0 "sluicectl " -
run help; expect "help" 0 "fail-parked" -
for cmd in deploy status wait pause resume limit source detach export unexport fail-parked version watch events help; do
	run help $cmd; expect "help $cmd" 0 "Usage: sluicectl $cmd" -
	run $cmd --help; expect "$cmd --help" 0 "Usage: sluicectl $cmd" -
	run $cmd --nonsense
	expect "$cmd --nonsense" 2 - "The option --nonsense is unknown. See \"sluicectl help $cmd\"."
done
run help deploy; check "help fits 80 columns" awk 'length > 79 { exit 1 }' "$tmp/out"
run help frob; expect "help frob" 2 - 'no command "frob"'
run frob; expect "unknown command" 2 - 'There is no command "frob". See "sluicectl help".'
run -x; expect "unknown short option" 2 - "The option -x is unknown."
run -o yaml; expect "-o yaml" 2 - '"yaml" is unknown'
run -o; expect "-o without value" 2 - "needs a value"
run --help=x; expect "--help=x" 2 - "takes no value"
run status a b; expect "status a b" 2 - '"b" is one word too many'
run status ""; expect "empty name" 2 - "name of the deployment is empty"
run version x; expect "version x" 2 - "one word too many"

run -o json frob
expect "JSON usage error" 2 - '{"error":"org.sluice.InvalidParameter","message":"There is no command'
run frob -o json; expect "JSON usage error, -o last" 2 - '{"error":"org.sluice.InvalidParameter"'

run deploy; expect "deploy without source" 2 - "name it with --source"
run deploy --source file:/a; expect "deploy without local" 2 - "name it with --local"
run deploy --source http://x/y --local /dev/vdb; expect "deploy http" 2 - '"http" is unknown'
run deploy --source nvme-tcp://10.0.0.300/nqn.a --local /dev/vdb
expect "deploy bad address" 2 - "not an IPv4 address"
run deploy --source file:/a --local vdb; expect "relative local" 2 - "absolute path"
run deploy --source file:/a --local /dev/; expect "directory as local" 2 - "absolute path"
run "${deploy[@]}" --size 1.5G; expect "bad size" 2 - "is not a size"
run "${deploy[@]}" --size 0; expect "size 0" 2 - "is not a size"
run "${deploy[@]}" --deadline 0; expect "deadline 0" 2 - "not a number for --deadline"
run "${deploy[@]}" --deadline 3600001; expect "deadline too long" 2 - "not a number"
run "${deploy[@]}" --min-rate fast; expect "bad rate" 2 - "not a rate for --min-rate"
run "${deploy[@]}" --min-rate 2M --max-rate 1M; expect "min above max" 2 - "is above"
run "${deploy[@]}" --export usb; expect "bad export" 2 - '"usb" is unknown'
run "${deploy[@]}" --allow nqn.a; expect "allow without export" 2 - "only with --export"
run "${deploy[@]}" --export tcp --allow iqn.a; expect "bad host NQN" 2 - "NQN of a host"
run "${deploy[@]}" --export tcp --allow nqn.a --allow-any; expect "allow and any" 2 - "exclude"
run "${deploy[@]}" --queues 4; expect "queues without export" 2 - "only with --export"
run "${deploy[@]}" --export tcp --queues 4; expect "queues of tcp" 2 - "Only a pci export"
run "${deploy[@]}" --export pci --queues 1; expect "one queue" 2 - "queues"
run "${deploy[@]}" --export pci --mdts 4096; expect "large mdts" 2 - "mdts"
run "${deploy[@]}" --export pci --allow nqn.a; expect "allow of pci" 2 - "one host"
run "${deploy[@]}" --export pci --controller ''; expect "empty controller" 2 - "empty"
run "${deploy[@]}" --export loop --address ::1; expect "loop address" 2 - "Only a tcp export"
run one "${deploy[@]:1}" --name two; expect "not a command" 2 - 'no command "one"'
run "${deploy[@]}" one --name two; expect "two names" 2 - "there twice"
run "${deploy[@]}" "$(printf 'x%.0s' {1..64})"; expect "long name" 2 - "1 to 63 bytes"
run limit; expect "limit without rates" 2 - "nothing to set"
run limit --min-rate; expect "rate without value" 2 - "needs a value, RATE"
run export; expect "export without kind" 2 - "name it: tcp, loop or pci"
run wait --for 101; expect "wait for 101" 2 - "nothing to wait for"
run wait --for ""; expect "wait for nothing" 2 - "nothing to wait for"
run wait --for 0x10; expect "wait for 0x10" 2 - "nothing to wait for"
run wait --for 5.5.5; expect "wait for 5.5.5" 2 - "nothing to wait for"
run wait --for 5%%; expect "wait for 5%%" 2 - "nothing to wait for"
run wait --for x; expect "wait for x" 2 - "nothing to wait for"
run wait --for -1; expect "wait for -1" 2 - "nothing to wait for"
run wait --timeout 1.5; expect "wait --timeout 1.5" 2 - "not a number for --timeout"

# --- no daemon --------------------------------------------------------------

run; expect "no daemon" 15 - "No sluiced answers at $sock"
run -o json status; expect "no daemon, JSON" 15 - '{"error":"org.sluice.NoDaemon","message":"'

: >"$tmp/plain"
"$ctl" --socket "$tmp/plain" status >"$tmp/out" 2>"$tmp/err"; rc=$?
expect "a plain file" 15 - "No sluiced answers"
"$ctl" --socket "$(printf 'x%.0s' {1..200})" status >"$tmp/out" 2>"$tmp/err"; rc=$?
expect "a long path" 2 - "too long"

# --- errors of the daemon ---------------------------------------------------

while read -r kind code; do
	fake < <(echo "Status $(error "$kind" "Said $kind.")")
	run status; expect "$kind" "$code" - "sluicectl: Said $kind."
	run status -o json
	expect "$kind, JSON" "$code" - "{\"error\":\"org.sluice.$kind\",\"message\":\"Said $kind.\"}"
done <<-END
	InvalidParameter 2
	NotFound 3
	Exists 4
	SourceUnreachable 5
	ImageUnusable 6
	LocalUnusable 7
	HoldsData 8
	NotFormatted 9
	Mismatch 10
	Damaged 11
	Module 12
	ExportFailed 13
	InUse 14
	Failed 1
	Unheard 1
END
fake <<<'Status {"error":"org.sluice.NotFound"}'
run; expect "error without message" 3 - "without saying why"
fake <<<'Status {"error":"com.example.NotFound","parameters":{"message":"Hm."}}'
run; expect "error of others" 1 - "Hm."
fake <<<'Status {"error":"org.sluice.Failed","parameters":{"message":"a\u001b[31mb\u009bc"}}'
run; expect "escape sequences in an error" 1 - "a?[31mb??c"
fake <<<'Status @close'; run; expect "connection closed" 15 - "was lost"
fake <<<'Status @huge'; run; expect "reply too long" 1 - "longer than 1 MiB"
fake <<<'Status nonsense'; run; expect "reply no JSON" 1 - "makes no sense"
fake <<<'Status {}'; run; expect "reply without parameters" 1 - "has no parameters"
fake <<<'Status {"parameters":{}}'; run; expect "reply without list" 1 - "lists no deployments"
fake <<<'Deploy {"parameters":{}}'
run "${deploy[@]}"; expect "reply without deployment" 1 - "describes no deployment"

# --- status -----------------------------------------------------------------

fake < <(status_of)
run; expect "no deployments" 0 "There is no deployment." -
last_call='{"method":"org.sluice.Status","parameters":{}}'
check "bare status asks for all" last_call_is "$last_call"
run -o json; expect "no deployments, JSON" 0 '{"deployments":[]}' -
run pause; expect "pause of none" 3 - "There is no deployment"

fake < <(status_of "$(dep vdb copying 42.37)" "$(dep vdc complete 100)" \
	"$(dep vdd stalled 7 ',"error":"The source is gone."')")
run
expect "list: heading" 0 "NAME" -
expect "list: percent" 0 "42.3 %"
expect "list: rate" 0 "100 MiB/s"
expect "list: time" 0 "3 min 05 s"
expect "list: export" 0 "tcp"
expect "list: error" 0 "vdd is stalled: The source is gone."
check "list: no colours in a pipe" out_lacks $'\033'
run status -o json; expect "list, JSON" 0 '"name":"vdc"' -
check "JSON is one line" test "$(wc -l <"$tmp/out")" = 1
run pause; expect "pause of several" 2 - "There are 3 deployments"
run_pty 140; expect "list on a terminal: colour" 0 $'\033[32mcomplete'
NO_COLOR=1 run_pty 140; check "NO_COLOR" out_lacks $'\033['
run_pty 60; check "list is cut to the terminal" \
	awk '{ gsub(/\033\[[0-9;]*m|\r/, "") } /^(NAME|vd[bc]) / && length > 100 { exit 1 }' "$tmp/out"

fake < <(status_of "$(dep vdb copying 42.37 ',"image_name":"bad\u001b[31mname"')")
run status vdb
check "status NAME asks for it" last_call_is '{"method":"org.sluice.Status","parameters":{"name":"vdb"}}'
expect "details: uuid" 0 "4c5e" -
expect "details: export" 0 "tcp at 127.0.0.1:4420 as nqn.x:vdb"
expect "details: size" 0 "2 GiB (2147483648 bytes)"
expect "details: limit" 0 "1 MiB/s"
check "details: no escape sequences" out_lacks $'\033'
fake < <(echo "Status @split {\"parameters\":{\"deployments\":[$(dep vdb paused 1)]}}")
run; expect "a reply in two parts" 0 "paused" -

# --- deploy -----------------------------------------------------------------

fake < <(echo "Deploy $(one)")
run "${deploy[@]}"
expect "deploy" 0 "Deployment vdb is copying; its device is /dev/sluice0." -
expect "deploy: export" 0 "It is exported over tcp at 127.0.0.1:4420 as nqn.x:vdb."
check "deploy: parameters" last_call_is '{"method":"org.sluice.Deploy","parameters":{"name":"vdb","source":"file:/srv/i.raw","local":"/dev/vdb"}}'
run deploy web --source file:/srv/i.raw --local /dev/vdb; called "NAME" '"name":"web"'
run "${deploy[@]}" web; called "NAME last" '"name":"web"'
run "${deploy[@]}" --name=web; called "--name=" '"name":"web"'
run "${deploy[@]}" -- -web; called "--" '"name":"-web"'
run deploy --source file:/a --local "/dev/disk/by-path/pci-0000:00:03.0"
called "derived name" '"name":"pci-0000-00-03.0"'
run deploy --source file:/a --local "/dev/$(printf 'x%.0s' {1..99})"
called "derived long name" "\"name\":\"$(printf 'x%.0s' {1..63})\""
run "${deploy[@]}" --size 20G; called "size" '"size":"21474836480"'
run "${deploy[@]}" --size image; called "size image" '"size":"image"'
run "${deploy[@]}" --format --force; called "format" '"format":true,"force":true'
run "${deploy[@]}" --deadline 5000 --min-rate 1M --max-rate none
called "deadline and rates" '"deadline_ms":5000,"min_rate":1048576,"max_rate":0'
run "${deploy[@]}" --export tcp --address '[::1]:4421' --allow nqn.a --allow nqn.b
called "export" '"export":"tcp","export_options":{"address":"[::1]:4421","allow":["nqn.a","nqn.b"]}'
run "${deploy[@]}" --export loop; called "export loop" '"export":"loop","export_options":{}'
run "${deploy[@]}" -o json; expect "deploy, JSON" 0 '{"name":"vdb"' -
run deploy --source 'nvme-tcp://[fd00::1]:4420/nqn.a?nsid=1' --local /dev/vdb
called "nvme-tcp" '"source":"nvme-tcp://[fd00::1]:4420/nqn.a?nsid=1"'

run "${deploy[@]}" --source nbd://h/x; called "two sources" '"source":["file:/srv/i.raw","nbd://h/x"]'
run "${deploy[@]}" --source nbd://1 --source nbd://2 --source nbd://3 --source nbd://4
expect "five sources" 2 - "at most 4"
run "${deploy[@]}" --source nbd:x; expect "a bad second source" 2 - "cannot be used"

# --- commands on one deployment ---------------------------------------------

fake < <(status_of "$(dep vdb copying 42.37)"
	for m in Pause Resume Limit; do echo "$m $(one)"; done
	for m in Detach Unexport FailParked; do echo "$m {\"parameters\":{}}"; done
	echo 'Export {"parameters":{"export":{"kind":"loop","nqn":"nqn.x:vdb","address":null}}}'
	echo 'Version {"parameters":{"version":"9.8.7","abi_version":1,"module_abi_version":null}}')
run pause; expect "pause" 0 "Deployment vdb is copying" -
check "pause finds the name" last_call_is '{"method":"org.sluice.Pause","parameters":{"name":"vdb"}}'
run resume other; called "resume NAME" '"org.sluice.Resume","parameters":{"name":"other"}'
run limit --max-rate 10MB; check "limit leaves the other rate" last_call_is \
	'{"method":"org.sluice.Limit","parameters":{"max_rate":10000000,"name":"vdb"}}'
run limit vdb --min-rate 1K --max-rate none -o json; expect "limit, JSON" 0 '{"name":"vdb"' -
called "limit" '"min_rate":1024,"max_rate":0'
sources='"sources":[{"uri":"nbd://a","role":"active"},{"uri":"nbd://b","role":"standby"}]'
fake < <(status_of "$(dep vdb copying 42.37 ",$sources")"
	for m in AddSource RemoveSource; do
		printf '%s {"parameters":{"deployment":%s}}\n' $m "$(dep vdb copying 42.37 ",$sources")"
	done)
run source list; expect "source list" 0 "active   nbd://a" -
run source list vdb -o json; expect "source list, JSON" 0 "{$sources}" -
run source add nbd://b; expect "source add" 0 "standby  nbd://b" -
called "source add" '"org.sluice.AddSource","parameters":{"source":"nbd://b","name":"vdb"}'
run source remove other nbd://b
called "source remove" '"org.sluice.RemoveSource","parameters":{"source":"nbd://b","name":"other"}'
run source; expect "source" 2 - "write list, add or remove"
run source add; expect "source add nothing" 2 - "It is missing"
run source add vdb x; expect "source add nonsense" 2 - "is not a source"
run source list a b; expect "source list of two" 2 - "one word too many"
fake < <(status_of "$(dep vdb copying 42.37)"
	for m in Detach Unexport FailParked; do echo "$m {\"parameters\":{}}"; done
	echo 'Export {"parameters":{"export":{"kind":"loop","nqn":"nqn.x:vdb","address":null}}}'
	echo 'Version {"parameters":{"version":"9.8.7","abi_version":1,"module_abi_version":null}}')
run detach; expect "detach" 0 "Deployment vdb is detached" -
run detach -o json; expect "detach, JSON" 0 '{}' -
run fail-parked vdb; expect "fail-parked" 0 "told to try again" -
called "fail-parked" '"org.sluice.FailParked"'
run export --kind loop
expect "export" 0 "Deployment vdb has a new export. It is exported over loop as nqn.x:vdb." -
called "export" '"kind":"loop","options":{},"name":"vdb"'
run export vdb pci --controller epc.0 --queues 8 --mdts 256 -o json
called "export pci" '"kind":"pci","options":{"address":"epc.0","queues":8,"mdts_kb":256}'
run export vdb --kind tcp --allow-any --address 0.0.0.0 -o json
expect "export, JSON" 0 '{"kind":"loop"' -
called "export tcp" '"kind":"tcp","options":{"address":"0.0.0.0","allow_any":true}'
run export vdb tcp; expect "export for nobody" 0 "No host may connect yet" -
called "export word" '"kind":"tcp","options":{}'
run unexport loop; called "unexport word" '"kind":"loop"'
run unexport; expect "unexport" 0 "Deployment vdb is no longer exported." -
run unexport vdb --kind tcp; expect "unexport tcp" 0 "no longer exported over tcp." -
called "unexport" '"kind":"tcp"'
run version; expect "version: daemon" 0 "sluiced 9.8.7, ABI 1" -
expect "version: module" 0 "sluice.ko is not loaded"
run version -o json; expect "version, JSON" 0 '"version":"9.8.7"' -

# --- wait -------------------------------------------------------------------

fake < <(for p in 0 5 12.5 55; do status_of "$(dep vdb copying $p)"; done
	status_of "$(dep vdb stalled 56 ',"error":"The source is gone."')"
	status_of "$(dep vdb complete 100)")
run wait vdb
expect "wait" 0 "vdb: complete, 100.0 % local" -
expect "wait: line" 0 "vdb: copying, 12.5 % local, 100 MiB/s, 3 min 05 s to go"
expect "wait: stalled" 0 "vdb: stalled, 56.0 % local: The source is gone."
check "wait: a line every ten per cent" test "$(wc -l <"$tmp/out")" = 5
check "wait: no control characters" out_lacks $'\r'

fake < <(status_of "$(dep vdb copying 10)"; status_of "$(dep vdb copying 10)"
	status_of "$(dep vdb completing 100)"; status_of "$(dep vdb complete 100)")
run wait -o json; expect "wait, JSON" 0 '"state":"complete"' -
check "wait, JSON: one object" test "$(wc -l <"$tmp/out")" = 1

fake < <(status_of "$(dep vdb copying 49.9)"; status_of "$(dep vdb copying 50)")
run wait vdb --for 50%; expect "wait --for 50%" 0 "50.0 % local" -
run wait --for 51 --timeout 1; expect "wait --for, timeout" 16 "" "not 51 % local yet"
run wait --timeout 0; expect "wait --timeout 0" 16 "copying" "not complete yet; it goes on."
run wait --timeout 0 -o json
expect "wait, timeout, JSON" 16 '"state":"copying"' '{"error":"org.sluice.TimedOut","message":"'

fake < <(status_of "$(dep vdb failed 50 ',"error":"The image changed."')")
run wait; expect "wait, failed" 1 "vdb: failed" "Deployment vdb failed: The image changed."
run wait -o json; expect "wait, failed, JSON" 1 '"state":"failed"' '{"error":"org.sluice.Failed"'
fake < <(echo "Status $(error NotFound 'No.')"); run wait vdb; expect "wait, not found" 3 - "No."
fake <<<'Status @silent'; run wait vdb --timeout 0; expect "wait, silent" 16 - "not complete yet"

# A restarted daemon: the socket goes away in the middle.
fake < <(status_of "$(dep vdb copying 20)"; echo "Status @close"; status_of "$(dep vdb complete 100)")
run wait vdb; expect "wait over a lost connection" 0 "vdb: complete" -
fake < <(status_of "$(dep vdb copying 20)")
"$ctl" --socket "$sock" wait vdb >"$tmp/out" 2>"$tmp/err" &
waiter=$!
sleep 1
stop
sleep 1
fake < <(status_of "$(dep vdb complete 100)")
wait $waiter; rc=$?
expect "wait over a restart" 0 "vdb: complete" -

progress_script() {
	status_of "$(dep vdb copying 25)"
	status_of "$(dep vdb copying 50)"
	status_of "$(dep vdb complete 100)"
}
longest_line() { # of what is visible after each redraw
	tr '\r' '\n' <"$tmp/out" | sed 's/\x1b\[[0-9;]*[mK]//g' |
		awk '{ if (length > n) n = length } END { print n + 0 }'
}
fake < <(progress_script)
run_pty 100 wait vdb
expect "bar: status" 0 $'\r'
expect "bar: a quarter" 0 "#########>"
expect "bar: rate" 0 "100 MiB/s"
expect "bar: time" 0 "3 min 05 s to go"
expect "bar: end" 0 "100.0 %"
expect "bar: colour" 0 $'\033[32mcomplete'
check "bar: uses the width" test "$(longest_line)" -ge 80
check "bar: keeps to the width" test "$(longest_line)" -le 99
for columns in 70 50 40 30 20; do
	fake < <(progress_script)
	run_pty $columns wait vdb
	expect "bar on $columns columns" 0 "50.0 %"
	check "bar keeps to $columns columns" test "$(longest_line)" -lt $columns
done
fake < <(progress_script)
NO_COLOR=1 run_pty 80 wait vdb
expect "bar with NO_COLOR" 0 "##>"
check "bar: NO_COLOR" out_lacks $'\033[3'

# --- events, watch ----------------------------------------------------------

event() { # EVENT NAME STATE [MORE]
	printf '{"parameters":{"event":"%s","time":"2026-01-02T03:04:05.678Z","name":"%s",' "$1" "$2"
	printf '"state":"%s","error":null,"source":"nbd://b"%s},"continues":true}' "$3" "$4"
}
events() {
	printf 'Events @stream %s@@%s@@%s@@%s@@%s\n' "$(event deployment vdb copying)" \
		"$(event state vdb stalled ',"previous":"copying"')" \
		"$(event source vdb stalled ',"previous":"nbd://a"')" \
		"$(event error vdb stalled ',"error":"No\u001b[31mroute."')" "$(event removed vdb complete)"
}
fake < <(events)
run events
expect "events: the daemon ends" 15 "2026-01-02T03:04:05.678Z vdb: copying" "was lost"
expect "events: state" 15 "vdb: was copying, is stalled"
expect "events: source" 15 "vdb: is read from nbd://b, not from nbd://a"
expect "events: error" 15 "vdb: stalled: No?[31mroute."
expect "events: removed" 15 "vdb: is gone"
check "events: of all" last_call_is '{"method":"org.sluice.Events","parameters":{}}'
check "events: one line each" test "$(wc -l <"$tmp/out")" = 5
run events vdb -o json; called "events NAME" '"parameters":{"name":"vdb"}'
check "events: JSON" json 'length == 5 and .[1].previous == "copying" and .[4].event == "removed"'
run watch; check "watch in a pipe is events" json 'length == 5'
fake < <(echo "Events $(error NotFound 'No such.')")
run events x; expect "events of none" 3 - "No such."
fake < <(events)
run_pty 100 events; expect "events: colour" 15 $'\033[33mstalled'
NO_COLOR=1 run_pty 100 events; check "events: NO_COLOR" out_lacks $'\033[3'

# watch on a terminal, until it shows a text or ends; then the key.
run_watch() { # COLUMNS TEXT ARG...
	local columns=$1 text=$2 line
	shift 2
	printf -v line '%q ' "$ctl" --socket "$sock" watch "$@"
	: >"$tmp/out"
	# shellcheck disable=SC2094 # reading what is written is the point
	{
		for _ in $(seq 300); do
			grep -qF -- "$text" "$tmp/out" && break
			sleep 0.1
		done
		printf q
		sleep 0.5
	} | TERM=xterm script -q -e -c \
		"stty cols $columns rows 24; exec $line" /dev/null >"$tmp/out" 2>"$tmp/err"
	rc=$?
}
fake < <(status_of "$(dep vdb copying 42.37)" "$(dep vdc stalled 7 ',"error":"The source is gone."')")
run_watch 100 "source is gone"
expect "watch: bar" 0 "##>"
expect "watch: phase" 0 "copying"
expect "watch: rate and time" 0 "100 MiB/s  3 min 05 s to go"
expect "watch: waiting" 0 "2 requests of the host wait, 1 ended unserved"
expect "watch: source" 0 "from file:/srv/i.raw"
expect "watch: error" 0 "The source is gone."
expect "watch: colour" 0 $'\033[33mstalled'
expect "watch: other screen" 0 $'\033[?1049h'
check "watch: leaves it" grep -qF $'\033[?25h\033[?1049l' "$tmp/out"
NO_COLOR=1 run_watch 100 "source is gone"; check "watch: NO_COLOR" out_lacks $'\033[3'
run_watch 40 stalled
check "watch keeps to 40 columns" test "$(longest_line)" -lt 45
run_watch 80 copying vdb; called "watch NAME" '{"method":"org.sluice.Status","parameters":{"name":"vdb"}}'
fake < <(status_of "$(dep vdb copying 1)"; echo "Status @close"; status_of "$(dep vdb complete 100)")
run_watch 100 "100.0 %"
expect "watch over a lost connection" 0 "was lost"
fake < <(status_of); run_watch 80 "no deployment"; expect "watch: nothing" 0 "There is no deployment."
fake < <(echo "Status $(error NotFound 'No.')"); run_watch 80 No. x; expect "watch of none" 3 "No."

# --- output that cannot be written ------------------------------------------

fake < <(status_of "$(dep vdb copying 42.37)")
if [ -c /dev/full ]; then
	"$ctl" --socket "$sock" status >/dev/full 2>"$tmp/err"; rc=$?; : >"$tmp/out"
	expect "full device" 1 - "could not be written"
fi

finish
