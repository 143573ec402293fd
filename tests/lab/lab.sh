# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# The lab: a host machine and a SmartNIC machine with a PCIe wire between them.
# Sourced, never run; whatever it started is gone when the sourcing script ends.
#
#	host machine                 wire            SmartNIC machine
#	OVMF, GRUB, any OS  --vfio-user-- --ivshmem--  test kernel, a script of yours
#	its memory is a file  <------ mapped by ----   endpoint controller, nvmet
#	maps BAR 0            ------- which is ---->   memory of this machine
#
#	lab_up DIR                build what is missing, start the wire; logs to DIR
#	lab_nic [OPTION]... SCRIPT [ARG]...
#	                          start the SmartNIC machine; OPTIONs are guest.sh's
#	lab_nic_wait KEY SECONDS  until the script says so (nic_say in nic.sh)
#	lab_nic_tell KEY          let the script hear it (nic_hear)
#	lab_nic_run SECONDS COMMAND
#	                          in the script's shell, if it is a server (nic_serve):
#	                          output and status
#	lab_nic_end               wait for the script's end: its status
#	lab_nic_kill              a power cut
#	lab_host_on [FILE [wire]] power the host on, its disk behind the wire; FILE: a
#	                          copy of this image on QEMU's own NVMe device instead,
#	                          or, with "wire", first
#	lab_host_wait PHASE SECONDS
#	                          start, firmware, grub, kernel, mounted or login of the current
#	                          boot; prints its milliseconds since power-on or reset
#	lab_host_run SECONDS COMMAND
#	                          in a root shell of the host: output and status
#	lab_host_reset            the reset button
#	lab_host_left SECONDS     until the host has switched itself off
#	lab_host_forget           its boot entries, as a new machine would have
#	lab_host_off              a power cut; the wire has forgotten the host then. Also
#	                          of a host that is off
#	lab_wire KEY              a value of the wire's status
#	lab_wire_wait KEY VALUE SECONDS
#
# Settings: LAB_HOST_MIB (1024), LAB_HOST_CPUS (1), LAB_NIC_MIB (1024),
# LAB_NIC_CPUS (2), LAB_NIC_TIMEOUT (900 s), LAB_KERNEL (plain).

# shellcheck source=tests/vm/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../vm/lib.sh"

LAB_HOST_MIB=${LAB_HOST_MIB:-1024}
LAB_HOST_CPUS=${LAB_HOST_CPUS:-1}
LAB_NIC_MIB=${LAB_NIC_MIB:-1024}
LAB_NIC_CPUS=${LAB_NIC_CPUS:-2}
LAB_NIC_TIMEOUT=${LAB_NIC_TIMEOUT:-900}
LAB_KERNEL=${LAB_KERNEL:-plain}

lab=$SLUICE_TOP/tests/lab
lab_out='' lab_tmp='' lab_ram='' lab_wire_pid='' lab_nic_pid='' lab_host_pid='' lab_console_pid=''

# shellcheck disable=SC2317 # called by the traps
lab_down() {
	local pid
	# Only here: bash would announce each child it finds killed.
	exec 2>/dev/null
	# The SmartNIC machine's script cleans up after itself, if it is let.
	[ -z "$lab_nic_pid" ] || kill -TERM "$lab_nic_pid" || true
	for pid in $lab_host_pid $lab_console_pid $lab_wire_pid; do kill -KILL "$pid" || true; done
	wait
	[ -z "$lab_tmp" ] || rm -rf "$lab_tmp" "$lab_ram"
	return 0
}

# lab_build: the wire and the endpoint controller's driver, into build/lab.
lab_build() {
	local out=$SLUICE_TOP/build/lab kernel
	kernel=$("$SLUICE_TOP/tests/vm/kernel.sh" "$LAB_KERNEL")
	make -s -C "$lab/wire" O="$out" >&2
	# A flavour of its own: switching would rebuild it each time.
	mkdir -p "$out/kmod-$LAB_KERNEL"
	cp -u "$lab"/kmod/{Kbuild,*.[ch]} "$out/kmod-$LAB_KERNEL"
	make -s -C "$kernel/build" M="$out/kmod-$LAB_KERNEL" W=1 modules >"$out/kmod.log" 2>&1 ||
		{ cat "$out/kmod.log" >&2; die "the endpoint controller's driver does not build"; }
}

lab_up() {
	local old shm=/dev/shm
	trap lab_down EXIT
	trap 'exit 129' HUP
	trap 'exit 130' INT
	trap 'exit 143' TERM

	with_lock lab-build lab_build
	lab_qemu=$("$lab/qemu.sh")
	mkdir -p "$1"
	lab_out=$(realpath "$1")
	rm -rf "$lab_out"/{nic,host,wire.log}
	mkdir -p "$lab_out/host"
	[ -d "$shm" ] || shm=${TMPDIR:-/var/tmp}
	# What a lab that was killed has left behind is memory.
	for old in "$shm"/sluice-lab.*; do
		[ ! -d "$old" ] || [ -d "/proc/${old##*.}" ] || rm -rf "$old"
	done
	lab_ram=$shm/sluice-lab.$$
	mkdir -m 700 "$lab_ram"
	# Paths of sockets are short.
	lab_tmp=$(mktemp -d "${TMPDIR:-/var/tmp}/sluice-lab.XXXXXX")
	lab_wire_start
}

lab_wire_start() {
	setpriv --pdeathsig KILL "$SLUICE_TOP/build/lab/sluice-lab-wire" \
		--host-socket "$lab_tmp/host" --host-ram "$lab_ram/host" --host-mib "$LAB_HOST_MIB" \
		--nic-socket "$lab_tmp/nic" --nic-ram "$lab_ram/nic" --status "$lab_tmp/status" \
		2>"$lab_out/wire.log" &
	lab_wire_pid=$!
	until_true 5 test -S "$lab_tmp/status" || die "the wire does not start: $(<"$lab_out/wire.log")"
}

lab_wire() {
	nc -U -N "$lab_tmp/status" </dev/null | sed -n "s/.*\"$1\":\"\{0,1\}\([^,\"}]*\).*/\1/p"
}

lab_wire_is() { [ "$(lab_wire "$1")" = "$2" ]; }

lab_wire_wait() {
	until_true "$3" lab_wire_is "$1" "$2" ||
		die "the wire's $1 is not $2 after $3 s but $(lab_wire "$1")"
}

lab_nic() {
	rm -rf "$lab_out/nic"
	mkdir -p "$lab_out/nic"
	# The newer QEMU here, too: in Debian 12's all that a card does has to wait for one lock
	# that the timers of its network take all the time, and the host waits for the card.
	QEMU=$lab_qemu setpriv --pdeathsig TERM \
		"$SLUICE_TOP/tests/vm/guest.sh" --out "$lab_out/nic" \
		--kernel "$LAB_KERNEL" --memory "$LAB_NIC_MIB" --cpus "$LAB_NIC_CPUS" \
		--timeout "$LAB_NIC_TIMEOUT" \
		--qemu "-object memory-backend-file,id=ram,size=${LAB_NIC_MIB}M,mem-path=$lab_ram/nic,share=on" \
		--qemu "-machine memory-backend=ram -chardev socket,id=wire,path=$lab_tmp/nic" \
		--qemu "-device ivshmem-doorbell,chardev=wire,vectors=32" \
		"$@" >"$lab_out/nic.log" 2>&1 &
	lab_nic_pid=$!
}

lab_nic_said() {
	[ -e "$lab_out/nic/said-$1" ] || ! kill -0 "$lab_nic_pid" 2>/dev/null
}

lab_nic_wait() {
	until_true "$2" lab_nic_said "$1" || true
	[ -e "$lab_out/nic/said-$1" ] && return
	tail -n 25 "$lab_out/nic.log" >&2
	die "the SmartNIC machine did not say \"$1\" in $2 s; logs are in $lab_out"
}

lab_nic_tell() { : >"$lab_out/nic/told-$1"; }

lab_nic_answered() {
	[ -e "$lab_out/nic/status-$1" ] || ! kill -0 "$lab_nic_pid" 2>/dev/null
}

lab_nic_run() {
	local nic=$lab_out/nic n
	# Counted there: the caller may be a subshell.
	n=$(find "$nic" -name 'order-*' | wc -l)
	printf '%s\n' "$2" >"$nic/new-order"
	mv "$nic/new-order" "$nic/order-$((++n))"
	until_true "$1" lab_nic_answered "$n" || true
	[ ! -e "$nic/answer-$n" ] || cat "$nic/answer-$n"
	[ -e "$nic/status-$n" ] ||
		die "the SmartNIC machine did not do \"$2\" in $1 s; logs are in $lab_out"
	return "$(<"$nic/status-$n")"
}

lab_nic_end() {
	local status=0
	wait "$lab_nic_pid" || status=$?
	lab_nic_pid=''
	[ "$status" = 0 ] || tail -n 25 "$lab_out/nic.log" >&2
	return "$status"
}

lab_nic_kill() {
	kill -TERM "$lab_nic_pid"
	wait "$lab_nic_pid" || true
	lab_nic_pid=''
}

lab_host_on() {
	local out=$lab_out/host firmware=/usr/share/OVMF disk=()
	[ -e "$firmware/OVMF_CODE_4M.fd" ] || die "no UEFI firmware in $firmware; run tests/vm/deps.sh"
	# A machine of its own keeps its boot entries.
	[ -e "$lab_tmp/vars" ] || cp "$firmware/OVMF_VARS_4M.fd" "$lab_tmp/vars"
	if [ -n "${1:-}" ]; then
		# shellcheck disable=SC2054 # QEMU's commas
		disk=(-drive "if=none,id=disk,format=raw,snapshot=on,file=$1"
			-device nvme,drive=disk,serial=sluice,bootindex=1)
	fi
	if [ -z "${1:-}" ] || [ "${2:-}" = wire ]; then
		# QEMU finds BAR 0 once, when it starts.
		lab_wire_wait endpoint started 30
		lab_wire_wait host absent 30
		disk+=(-device "{\"driver\":\"vfio-user-pci\",\"bootindex\":2,\"socket\":{\"type\":\"unix\",\"path\":\"$lab_tmp/host\"}}")
	fi
	rm -f "$lab_tmp"/{serial,monitor} "$out/console"
	ln -sfn "$lab_tmp/serial" "$out/serial"
	: >"$out/phases"
	setpriv --pdeathsig KILL "$lab_qemu" -nodefaults -no-user-config -display none \
		-machine q35,memory-backend=ram -accel tcg,thread=multi -cpu "$emulated_cpu" \
		-smp "$LAB_HOST_CPUS" -m "$LAB_HOST_MIB" \
		-object "memory-backend-file,id=ram,size=${LAB_HOST_MIB}M,mem-path=$lab_ram/host,share=on" \
		-drive "if=pflash,format=raw,readonly=on,file=$firmware/OVMF_CODE_4M.fd" \
		-drive "if=pflash,format=raw,file=$lab_tmp/vars" \
		-object rng-random,id=rng,filename=/dev/urandom -device virtio-rng-pci,rng=rng \
		-chardev "socket,id=console,path=$lab_tmp/serial,server=on,wait=on" -serial chardev:console \
		-monitor "unix:$lab_tmp/monitor,server=on,wait=off" \
		"${disk[@]}" </dev/null >"$out/qemu.log" 2>&1 &
	lab_host_pid=$!
	until_true 20 test -S "$lab_tmp/serial" || die "the host does not start: $(<"$out/qemu.log")"
	# QEMU waits for it, so the boot begins now.
	setpriv --pdeathsig KILL "$lab/console.py" serve "$out" 2>"$out/console.err" &
	lab_console_pid=$!
	until_true 10 test -S "$out/console" || die "the host's console is deaf: $(<"$out/console.err")"
}

lab_host_reached() {
	local boot
	kill -0 "$lab_host_pid" 2>/dev/null || return 0
	boot=$(tail -n 1 "$lab_out/host/phases")
	grep -q "^${boot%% *} $1 " "$lab_out/host/phases"
}

lab_host_wait() {
	local boot
	until_true "$2" lab_host_reached "$1" || true
	boot=$(tail -n 1 "$lab_out/host/phases")
	sed -n "s/^${boot%% *} $1 //p" "$lab_out/host/phases" | grep . && return
	cat "$lab_out/host/qemu.log" >&2
	tail -n 25 "$lab_out/host/console.log" >&2
	die "the host did not reach \"$1\" in $2 s; logs are in $lab_out"
}

lab_host_run() { "$lab/console.py" run "$lab_out/host" "$@"; }

lab_host_forget() { rm -f "$lab_tmp/vars"; }

lab_host_monitor() { echo "$1" | nc -U -N "$lab_tmp/monitor" >/dev/null; }

lab_host_reset() {
	"$lab/console.py" mark "$lab_out/host"
	lab_host_monitor system_reset
}

# lab_host_left SECONDS: until the host has switched itself off.
lab_host_left() {
	until_true "$1" lab_host_is_off || die "the host did not switch itself off in $1 s"
	lab_host_off
}

lab_host_is_off() { ! kill -0 "$lab_host_pid" 2>/dev/null; }

lab_host_off() {
	local pid
	for pid in $lab_host_pid $lab_console_pid; do
		kill -KILL "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	done
	lab_host_pid='' lab_console_pid=''
	lab_wire_wait host absent 30
}
