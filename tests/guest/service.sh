#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2317,SC2119,SC2120 # functions are called by name
# In a guest: /dev/vda is an image, /dev/vdb a blank local disk. What the daemon tells
# systemd, its settings, and who may ask it what.

# shellcheck source=tests/guest/lib.sh
. "${SLUICE_TOP:?}/tests/guest/lib.sh"
# shellcheck source=tests/guest/assert.sh
. "$SLUICE_TOP/tests/guest/assert.sh"

ctl=$BIN/sluicectl
source="nvme-tcp://10.77.0.1:4420/$IMAGE_NQN?nsid=1"
NOTIFY_SOCKET=/run/notify

# In systemd's place: notes what the daemon says, a line each.
listener() {
	/usr/bin/python3 -u - <<-'PYTHON'
	import os, socket
	sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
	sock.bind("/run/notify")
	with open("/run/notified", "w", buffering=1) as said:
	    while True:
	        said.write(sock.recv(65536).decode() + "\n")
	PYTHON
}

said() { grep -q "^$1" /run/notified; }
beats() { [ "$(grep -c '^WATCHDOG=1' /run/notified)" -ge "$1" ]; }

# start OPTION...: as systemd would.
start() {
	: >/run/notified
	# The socket's reader goes on at its own offset.
	truncate -s 0 /run/notified
	export NOTIFY_SOCKET
	daemon_start "$@"
}

# What a boot does to the kernel's state.
forget_all() {
	local sub port
	for port in "$CONFIGFS"/nvmet/ports/*; do
		for sub in "$port"/subsystems/*org.sluice:*; do
			[ -e "$sub" ] || continue
			rm "$sub"
			rmdir "$port"
		done
	done
	for sub in "$CONFIGFS"/nvmet/subsystems/*org.sluice:*; do
		echo 0 >"$sub/namespaces/1/enable"
		rm -f "$sub"/allowed_hosts/*
		rmdir "$sub/namespaces/1" "$sub"
	done
	# SLUICE_IOC_CLOSE of index 0.
	/usr/bin/python3 -c '
import fcntl, struct
with open("/dev/sluice-control", "r+b") as control:
    fcntl.ioctl(control, 1 << 30 | 24 << 16 | 0xb5 << 8 | 2, struct.pack("IIQQ", 0, 0, 0, 0))'
	rmmod sluice
	insmod "$SLUICE_KO"
}

settings() {
	mkdir -p /etc/sluice/sluice.conf.d
	cat >/etc/sluice/sluice.conf <<-CONF
	log-level = debug
	colour = blue
	CONF
	check "settings that are good" "$BIN/sluiced" --check-config
	"$BIN/sluiced" --check-config >/tmp/said 2>&1
	check "an unknown one is warned about" grep -q '/etc/sluice/sluice.conf:2: There is no setting "colour"' /tmp/said
	echo 'ready-timeout = soon' >/etc/sluice/sluice.conf.d/x.conf
	: >/etc/sluice/sluice.conf
	refused "a bad one" 2 'sluice.conf.d/x.conf:1: ready-timeout: "soon" is no number' \
		"$BIN/sluiced" --check-config
	check "and does not start" sh -c "'$BIN/sluiced'; test \$? = 2"
	rm /etc/sluice/sluice.conf.d/x.conf /etc/sluice/sluice.conf
	echo 'socket = /run/other.sock' >/etc/sluice/sluice.conf.d/y.conf
	start --socket /run/sluice/control.sock
	check "the command line wins" [ ! -e /run/other.sock ]
	daemon_kill TERM
	rm -r /etc/sluice/sluice.conf.d
	refused "a file that is not there" 2 'no file' "$BIN/sluiced" --config /nowhere --check-config
}

watchdog() {
	# Whose it is, it checks.
	export WATCHDOG_USEC=400000
	unset WATCHDOG_PID
	start
	check "ready without any deployment" until_true 10 said READY=1
	check "it feeds the watchdog" until_true 20 beats 5
	kill -STOP "$SLUICED_PID"
	sleep 1
	: >/run/notified
	sleep 2
	check "not when it hangs" sh -c '! grep -q WATCHDOG /run/notified'
	kill -CONT "$SLUICED_PID"
	unset WATCHDOG_USEC
}

ready() {
	"$ctl" deploy d --source "$source" --local /dev/vdb --format --force --max-rate 1M \
		--export tcp --address 10.77.0.2:4421 --allow-any >/dev/null
	daemon_kill TERM
	check "it says that it stops" until_true 5 said STOPPING=1
	forget_all
	ip addr del 10.77.0.2/24 dev sto
	storage_cut
	start --ready-timeout 600
	check "its socket answers before" [ "$("$ctl" status d -o json | value name)" = d ]
	sleep 3
	check "not ready without the export" sh -c '! grep -q READY /run/notified'
	ip addr add 10.77.0.2/24 dev sto
	check "ready with it, and without the source" until_true 20 said READY=1
	check "which is up" [ -n "$(ls -d "$CONFIGFS"/nvmet/ports/*/subsystems/*org.sluice:*)" ]
	daemon_kill TERM
	forget_all
	ip addr del 10.77.0.2/24 dev sto
	start --ready-timeout 2
	check "ready without it when time is up" until_true 20 said READY=1
	check "and says so" grep -q 'd: It is not up after all this time' "$OUT/sluiced.log"
	ip addr add 10.77.0.2/24 dev sto
	storage_mend
	"$ctl" limit d --max-rate none >/dev/null
	check "it completes all the same" "$ctl" wait d --timeout 300
	check "and says how things are" until_true 20 said 'STATUS=1 deployments, 1 complete, 0 in trouble'
	daemon_kill TERM
}

# as GROUP COMMAND...: nobody, of that group alone.
as() { setpriv --reuid 65534 --regid "$1" --clear-groups "${@:2}"; }

group() {
	local socket=/run/sluice/control.sock
	start --group nogroup
	check "the socket is the group's" [ "$(stat -c '%U %G %a' "$socket")" = "root nogroup 660" ]
	check "its members see the status" as 65534 "$ctl" status
	refused "and change nothing" 17 'Only root may call Detach' as 65534 "$ctl" detach d
	refused "nor make anything" 17 'Only root may call Deploy' as 65534 "$ctl" deploy e \
		--source file:/dev/vda --local /dev/vdb
	refused "others see nothing" 15 'Only root and the members of its group' as 65533 "$ctl" status
	# As many as there are, held open.
	as 65534 /usr/bin/python3 -c '
import socket, time
held = []
for _ in range(70):
    sock = socket.socket(socket.AF_UNIX)
    sock.connect("/run/sluice/control.sock")
    held.append(sock)
open("/tmp/held", "w").close()
time.sleep(60)' &
	until_true 20 test -e /tmp/held
	check "they cannot keep root out" timeout 10 "$ctl" status
	kill $!
	daemon_kill TERM
	start --group nobody-has-this-one
	check "without the group it is root's" [ "$(stat -c '%U %G %a' "$socket")" = "root root 600" ]
	"$ctl" detach d >/dev/null
	daemon_kill TERM
}

storage_up 0.5ms 1gbit
storage_serve /dev/vda
insmod "$SLUICE_KO"
listener &
LISTENER=$!
until_true 20 test -S /run/notify
parts "${@:-settings watchdog ready group}"
check "the module that is loaded fits" "$BIN/sluiced" --check-module
kill "$LISTENER"
check "the module unloads" rmmod sluice
check "none fits always" "$BIN/sluiced" --check-module
finish
