#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# guest.sh [OPTION]... SCRIPT [ARG]...: run SCRIPT as root on a test kernel in
# QEMU, with the host's files around it, or with those of arm64-root.sh (read-only), and
# $OUT, its working directory, shared with the host. Ends with SCRIPT's status; 124: out of time,
# 125: the guest died without a report.

# shellcheck source=tests/vm/lib.sh
. "$(dirname "$0")/lib.sh"

usage() {
	cat >&2 <<-USAGE
	usage: guest.sh [OPTION]... SCRIPT [ARG]...
	  --kernel plain|kasan|kcsan|arm64-4k|arm64-64k
	                        test kernel (plain)
	  --memory MB           (1024, kasan and arm64 2048)
	  --cpus N              (2)
	  --timeout SECONDS     for SCRIPT, without the boot (600); times the slack
	  --disk FILE[,OPT]...  next of /dev/vda, /dev/vdb, ...; FILE or new:SIZE, a
	                        sparse temporary one. OPT: size=SIZE (create or
	                        grow FILE), ro, snapshot, serial=NAME, any other
	                        NAME=VALUE of virtio-blk-pci or of -drive
	  --share NAME=DIR      DIR, writable, as /mnt/NAME
	  --out DIR             \$OUT: /mnt/out inside (a new one in build/guest)
	  --env NAME=VALUE      into SCRIPT's environment
	  --icount              1 virtual ns = 1 instruction, one CPU
	  --append ARGS         to the kernel command line
	  --qemu ARGS           to QEMU's command line
	In OUT: output.log, console.log (all of printk), dmesg.log, exit-status and, with
	kcsan, kcsan (its counters). SCRIPT finds in \$SLUICE_BIN what was built for it, and
	in \$SLUICE_SLACK how many times longer than usual it should wait.
	The guest ends as by a power cut: SCRIPT syncs what its disks must keep.
	USAGE
	exit 2
}

kernel=plain memory='' cpus=2 timeout=600 out='' icount='' append='' extra=''
disks=() shares=() envs=()
while [ $# -gt 0 ]; do
	case $1 in
	--kernel) kernel=$2 ;;
	--memory) memory=$2 ;;
	--cpus) cpus=$2 ;;
	--timeout) timeout=$2 ;;
	--disk) disks+=("$2") ;;
	--share) shares+=("$2") ;;
	--out) out=$2 ;;
	--env) envs+=("$2") ;;
	--append) append+=" $2" ;;
	--qemu) extra+=" $2" ;;
	--icount) icount=1; shift; continue ;;
	--) shift; break ;;
	-*) usage ;;
	*) break ;;
	esac
	shift 2 || usage
done
[ $# -gt 0 ] || usage

script=$1
shift
[ -e "$script" ] || script=$(type -P -- "$script") ||
	die "no file or command \"$script\" to run in the guest"
script=$(realpath -s "$script")
run=("$script" "$@")
[ -x "$script" ] || run=(/bin/bash "${run[@]}")

kdir=$("$SLUICE_TOP/tests/vm/kernel.sh" "$kernel")
release=$(basename "$kdir"/modules/lib/modules/*)
modules=$(readlink -f /lib)/modules
[ -d "$modules" ] || die "no $modules to mount the guest's modules on; run tests/vm/deps.sh"
[ -n "$memory" ] || case $kernel in kasan | arm64-*) memory=2048 ;; *) memory=1024 ;; esac

case $kernel in
arm64-*)
	# A processor that cards have. QEMU's "max" has more to emulate.
	machine=(qemu-system-aarch64 -machine 'virt,gic-version=3' -cpu cortex-a72)
	root=$("$SLUICE_TOP/tests/vm/arm64-root.sh") busybox=$root/bin/busybox
	image=$kdir/Image bin=$SLUICE_TOP/build/arm64 console=ttyAMA0 slack=2
	;;
*)
	machine=("${QEMU:-qemu-system-x86_64}" -machine q35 -cpu "$emulated_cpu")
	root='' busybox=$(command -v busybox) || die "busybox-static is missing; run tests/vm/deps.sh"
	image=$kdir/bzImage bin=$SLUICE_TOP/build console=ttyS0 slack=1
	append+=' no_timer_check tsc=nowatchdog'
	;;
esac

# What the race detector does is set here, not when it is built: out of how many accesses
# it watches one, and for how many us at most, in which another processor must come by.
# Upstream's 4000 and 80 are for real processors. Those of a module of
# tests/kcsan/module.sh count two hundred times.
case $kernel in
kcsan)
	slack=4
	append+=' kcsan.skip_watch=2000 kcsan.udelay_task=400 kcsan.udelay_interrupt=200'
	;;
esac
timeout=$((timeout * slack))

# shellcheck disable=SC2317 # called by with_lock
build_initramfs() {
	local dir
	[ -e "$initramfs" ] && return
	dir=$(mktemp -d "$SLUICE_CACHE/initramfs.XXXXXX")
	mkdir "$dir/root" "$dir/root/bin"
	install -m 755 "$SLUICE_TOP/tests/vm/guest-init" "$dir/root/init"
	install -m 755 "$busybox" "$dir/root/bin/busybox"
	ln -s busybox "$dir/root/bin/sh"
	(cd "$dir/root" && find . | cpio --quiet -o -H newc -R 0:0 | gzip -n) >"$dir/cpio"
	mv "$dir/cpio" "$initramfs"
	rm -rf "$dir"
}

key=$(cat "$busybox" "$SLUICE_TOP/tests/vm/guest-init" | sha256sum | cut -c1-12)
initramfs=$SLUICE_CACHE/initramfs-$key.gz
with_lock initramfs build_initramfs

if [ -z "$out" ]; then
	mkdir -p "$SLUICE_TOP/build/guest"
	out=$(mktemp -d "$SLUICE_TOP/build/guest/$(basename "$script").XXXXXX")
	chmod 755 "$out"
fi
mkdir -p "$out"
out=$(realpath "$out")
rm -f "$out"/{exit-status,output.log,console.log,dmesg.log}

tmp=$(mktemp -d "${TMPDIR:-/var/tmp}/sluice-guest.XXXXXX")
children=()
# shellcheck disable=SC2317 # called by the traps
clean_up() {
	# Only here: bash would announce each child it finds killed.
	exec 2>/dev/null
	[ "${#children[@]}" = 0 ] || kill -KILL "${children[@]}" || true
	wait
	rm -rf "$tmp"
}
trap clean_up EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

qemu=()
comma() { printf '%s' "${1//,/,,}"; }
share() { # TAG DIR [FSDEV OPTION]...
	qemu+=(-fsdev "local,id=fs-$1,security_model=none,multidevs=remap,path=$(comma "$2")${3:+,$3}"
		-device "virtio-9p-pci,fsdev=fs-$1,mount_tag=$1")
}

add_disk() {
	local n=$1 file opt opts drive device='' size='' ro='' format=raw snapshot=''
	IFS=, read -ra opts <<<"$2"
	file=${opts[0]}
	drive='cache=writeback,aio=threads,discard=unmap,detect-zeroes=off'
	for opt in "${opts[@]:1}"; do
		case $opt in
		size=*) size=${opt#*=} ;;
		ro) ro=1 ;;
		snapshot) snapshot=1 ;;
		format=*) format=${opt#*=} ;;
		serial=* | *_block_size=* | num-queues=* | queue-size=* | write-cache=* | \
			discard=* | write-zeroes=* | max-* | *_granularity=* | *_io_size=* | iothread=*)
			device+=,$opt ;;
		*) drive+=,$opt ;;
		esac
	done
	if [ "${file#new:}" != "$file" ]; then
		size=${file#new:} file=$tmp/disk$n
	fi
	[ -z "$size" ] || truncate -s ">$size" "$file" ||
		die "disk $file cannot be made $size large"
	[ -e "$file" ] || die "disk $file does not exist; create it, or add ,size=SIZE"
	[ -z "$ro" ] || drive+=,readonly=on
	[ -z "$snapshot" ] || drive+=,snapshot=on
	qemu+=(-drive "if=none,id=disk$n,format=$format,$drive,file=$(comma "$file")"
		-device "virtio-blk-pci,drive=disk$n$device")
}

share host / readonly=on
[ -z "$root" ] || share root "$root" readonly=on
share out "$out"
names=''
for s in "${shares[@]}"; do
	[ -d "${s#*=}" ] || die "share $s: no directory ${s#*=}"
	share "${s%%=*}" "$(realpath "${s#*=}")"
	names+=" ${s%%=*}"
done
for n in "${!disks[@]}"; do add_disk "$n" "${disks[n]}"; done

soft=$timeout accel=(-accel 'tcg,thread=multi') rtc=host
if [ -n "$icount" ]; then
	# Virtual time jumps over idle phases: only the host can tell the time.
	soft=0 cpus=1 accel=(-accel 'tcg,thread=single' -icount 'shift=0,sleep=off') rtc=vm
fi

cat >"$out/guest.conf" <<-CONF
	RELEASE=${release@Q}
	MODULES=${modules@Q}
	KERNEL=${kdir@Q}
	ROOT=${root@Q}
	TOP=${SLUICE_TOP@Q}
	SCRIPT=${script@Q}
	SCRIPT_DIR=$(dirname "$script" | sed "s/'/'\\\\''/g; s/.*/'&'/")
	SHARES=${names@Q}
	TIMEOUT=${soft@Q}
CONF
{
	printf 'export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n'
	printf 'export HOME=/root TERM=linux LC_ALL=C OUT=/mnt/out\n'
	printf 'export SLUICE_TOP=%q SLUICE_BIN=%q SLUICE_KERNEL=%q SLUICE_SLACK=%d\n' \
		"$SLUICE_TOP" "$bin" "$kernel" "$slack"
	for e in "${envs[@]}"; do printf 'export %s=%q\n' "${e%%=*}" "${e#*=}"; done
	printf 'cd /mnt/out\nexec'
	printf ' %q' "${run[@]}"
	printf '\n'
} >"$out/run.sh"

mkfifo "$tmp/output"
# -p: whoever reads along may go, the log goes on.
tee -p "$out/output.log" <"$tmp/output" &
tee=$!
read -ra extra <<<"$extra"
# The death signal: not even a SIGKILL to this script leaves a QEMU behind.
setpriv --pdeathsig KILL "${machine[@]}" \
	-nodefaults -no-user-config -display none -no-reboot \
	"${accel[@]}" -smp "$cpus" -m "$memory" -rtc "base=utc,clock=$rtc" \
	-kernel "$image" -initrd "$initramfs" \
	-append "console=$console ignore_loglevel log_buf_len=4M panic=-1 nokaslr kasan_multi_shot$append" \
	-chardev "file,id=console,path=$(comma "$out/console.log")" -serial chardev:console \
	-object rng-random,id=rng,filename=/dev/urandom -device virtio-rng-pci,rng=rng \
	-device virtio-serial-pci -chardev "file,id=output,path=$(comma "$tmp/output")" \
	-device virtserialport,chardev=output,name=output \
	"${qemu[@]}" "${extra[@]}" </dev/null >"$out/qemu.log" 2>&1 9>&- &
guest=$!
# The guest's own clock comes first, for it can still say what hangs.
setpriv --pdeathsig KILL sleep $((timeout + (soft ? 60 : 0))) &
timer=$!
children=("$guest" "$timer")

first='' rc=0
wait -n -p first "$guest" "$timer" || rc=$?
if [ "$first" = "$timer" ]; then
	kill -KILL "$guest" 2>/dev/null || true
	echo 124 >"$out/exit-status"
else
	# Without QEMU there is no writer to end the reader.
	[ -s "$out/console.log" ] || : >"$tmp/output" &
fi
wait "$tee"

if [ ! -s "$out/exit-status" ]; then
	say "guest: died without a report (QEMU status $rc); $out/console.log ends:"
	cat "$out/qemu.log" >&2
	tail -n 25 "$out/console.log" >&2 || true
	exit 125
fi
status=$(<"$out/exit-status")
case $status in
0) ;;
124) say "guest: $script was stopped after $timeout s; $out/console.log has the blocked tasks" ;;
*) say "guest: $script ended with $status; logs are in $out" ;;
esac
exit "$status"
