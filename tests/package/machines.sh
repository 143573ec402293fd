# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# The two machines of check-package. Sourced, never run; whatever it started is gone when
# the sourcing script ends.
#
#	storage: a test kernel, never off           card: Debian 12 as its packages are
#	image on nvmet-tcp, 10.77.0.1 -- wire -- 10.77.0.2  sluiced, its local disk
#	and the host of what the card exports              loses what is not flushed
#
#	storage_on IMAGE          start it
#	card_on                   power the card on, the same disks as ever
#	card_cut                  cut its power
#	card_save FILE            its root disk as it is now, which card_new takes
#	storage_run SECONDS COMMAND, card_run SECONDS COMMAND
#	                          in a shell of root's there: output and status
#
# The sourcing script has set $out, where logs go.

# shellcheck source=tests/vm/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../vm/lib.sh"

out=$(realpath "${out:?}")
tmp=$(mktemp -d "${TMPDIR:-/var/tmp}/sluice-package.XXXXXX")
card_job=$tmp/card storage_job=$out/storage
card_pids=() storage_pid='' boots=0

# shellcheck disable=SC2317 # called by the trap
machines_down() {
	# Only here: bash would announce each child it finds killed.
	exec 2>/dev/null
	[ -z "$storage_pid" ] || kill -TERM "$storage_pid" || true
	[ "${#card_pids[@]}" = 0 ] || kill -KILL "${card_pids[@]}" || true
	wait
	# For whoever looks for what went wrong.
	cp "$card_job"/*.{cmd,out,rc} "$out/card" || true
	rm -rf "$tmp"
}
trap machines_down EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# Both ends bind their own address: either may come and go.
wire() { # MINE OTHER MAC
	rm -f "$tmp/$1.sock"
	printf '%s' "-netdev dgram,id=wire,local.type=unix,local.path=$tmp/$1.sock" \
		",remote.type=unix,remote.path=$tmp/$2.sock" \
		" -device virtio-net-pci,netdev=wire,mac=52:54:00:51:dc:$3"
}

storage_on() { # IMAGE
	mkdir -p "$storage_job"
	echo storage >"$storage_job/boot"
	"$SLUICE_TOP/tests/vm/guest.sh" --kernel plain --memory 768 --timeout 7000 \
		--out "$storage_job" --disk "$1,snapshot" --qemu "$(wire storage card 01)" \
		"$SLUICE_TOP/tests/package/job-agent" /mnt/out >"$out/storage.log" 2>&1 &
	storage_pid=$!
	until_true 120 test -e "$storage_job/up" || die "the storage machine does not start"
}

# card_new: disks as of a new machine, or its root as card_save left it.
card_new() { # LOCAL_BYTES [ROOT]
	card_image=$("$SLUICE_TOP/tests/package/image.sh")
	mkdir -p "$card_job/repo" "$out/card"
	if [ -n "${2:-}" ]; then
		cp "$2" "$tmp/root.qcow2"
	else
		qemu-img create -q -f qcow2 -F raw -b "$card_image/root.img" "$tmp/root.qcow2"
	fi
	# Not empty: what was there before must never be seen.
	openssl enc -aes-128-ctr -K 01 -iv 00 -in /dev/zero 2>/dev/null |
		head -c "$1" >"$out/local.img" || true
}

card_on() {
	local wire
	boots=$((boots + 1))
	echo "boot$boots" >"$card_job/boot"
	rm -f "$card_job/up"
	# With nothing but its cache between the disk and its file, which is empty in the
	# next life.
	rm -f "$tmp/local.sock"
	nbdkit -f -U "$tmp/local.sock" --filter=cache file "$out/local.img" cache=writeback &
	card_pids=("$!")
	until_true 20 test -S "$tmp/local.sock" || die "nbdkit does not come up"
	read -ra wire <<<"$(wire card storage 02)"
	setpriv --pdeathsig KILL qemu-system-x86_64 -nodefaults -no-user-config -display none \
		-no-reboot -machine q35 -accel tcg,thread=multi -cpu "$emulated_cpu" -smp 2 -m 1024 \
		-kernel "$card_image/vmlinuz" -initrd "$card_image/initrd.img" \
		-append "root=/dev/vda ro console=ttyS0 no_timer_check tsc=nowatchdog" \
		-chardev "file,id=console,path=$out/card/console-$boots.log" -serial chardev:console \
		-object rng-random,id=rng,filename=/dev/urandom -device virtio-rng-pci,rng=rng \
		-drive "if=none,id=root,file=$tmp/root.qcow2,format=qcow2,cache=writeback" \
		-device virtio-blk-pci,drive=root \
		-drive "if=none,id=local,format=raw,file=nbd+unix:///?socket=$tmp/local.sock" \
		-device virtio-blk-pci,drive=local,serial=local \
		-fsdev "local,id=job,security_model=none,multidevs=remap,path=$card_job" \
		-device virtio-9p-pci,fsdev=job,mount_tag=job "${wire[@]}" \
		</dev/null >"$out/card/qemu-$boots.log" 2>&1 &
	card_pids+=("$!")
	until_true 600 test -e "$card_job/up" || die "the card does not boot; see $out/card"
}

card_cut() {
	{
		kill -KILL "${card_pids[@]}" || true
		wait "${card_pids[@]}" || true
	} 2>/dev/null
	card_pids=()
}

# What is on the disk then is whole, and QEMU has written it: as after a power cut.
# shellcheck disable=SC2016 # the card expands it
card_save() {
	rm -f "$card_job"/{frozen,saved}
	(
		until_true 120 test -e "$card_job/frozen" && cp "$tmp/root.qcow2" "$1"
		touch "$card_job/saved"
	) &
	card_run 240 'fsfreeze -f / && touch /mnt/job/frozen
		for _ in $(seq 600); do [ -e /mnt/job/saved ] && break; sleep 0.2; done
		fsfreeze -u /'
	wait "$!"
}

# job DIR BOOT N SECONDS COMMAND
job() {
	local base=$1/$2-$3
	printf '%s\n' "$5" >"$base.new"
	mv "$base.new" "$base.cmd"
	until_true "$4" test -e "$base.rc" || { say "no answer within $4 s to: $5"; return 124; }
	cat "$base.out"
	return "$(cat "$base.rc")"
}

# Callers may be in subshells: the number is a file's.
next() { # FILE
	local n
	n=$(($(cat "$1" 2>/dev/null || echo 0) + 1))
	echo "$n" >"$1"
	echo "$n"
}

card_run() { job "$card_job" "boot$boots" "$(next "$tmp/n-boot$boots")" "$@"; }
storage_run() { job "$storage_job" storage "$(next "$tmp/n-storage")" "$@"; }
