#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# guest.sh [--brief|--prepare] [NAME]...: the guest tests, or these, each in a fresh guest
# whose kernel log is scanned after it. Ends with "N passed, N failed". What is brief is
# what make check does of them; all are without a name. --prepare: only what they share is
# made, so that several guest.sh may run at once, of different names; their names.
# KERNEL_FLAVOUR in the environment: all on that kernel, also another processor's.
# SLUICE_STRESS: the long variants, the stress so many times as long.

# shellcheck source=tests/vm/lib.sh
. "$(dirname "$0")/vm/lib.sh"
cd "$SLUICE_TOP"
passed=0 failed=0 mode=''
case ${1-} in
--*) mode=$1; shift ;;
esac
results=build/check
case ${KERNEL_FLAVOUR:-} in
arm64-*)
	export ARCH=arm64
	results=build/arm64/check/${KERNEL_FLAVOUR#arm64-}
	;;
esac
mkdir -p "$results" build/tests
make -s user guest-tools >&2
names=("$@")
# All of each that is named.
[ $# != 0 ] || mode=${mode:---brief}

# flavour_of NAME: its kernel. Some tests are of the daemon and of what servers do to it;
# a kernel that checks itself takes three times as long for them.
flavour_of() {
	case $1 in
	sources-* | deploy-daemon | refusals | messages-* | profile | operator | service | eta) echo "${KERNEL_FLAVOUR:-plain}" ;;
	*) echo "${KERNEL_FLAVOUR:-kasan}" ;;
	esac
}

# cpus_of NAME: what looks for races in the kernel, and deployments as they are, has two;
# the rest spends a third of its time on a second one. A race detector wants them.
cpus_of() {
	case ${KERNEL_FLAVOUR:-}:$1 in
	kcsan:*) echo 2 ;;
	*:refusals | *:messages-* | *:deploy-daemon | *:sources-* | *:profile | *:operator | *:service) echo 1 ;;
	*) echo 2 ;;
	esac
}

# module_for FLAVOUR: sets ko. SLUICE_KO: one that is there already, below the top.
module_for() {
	local kernel
	ko=${SLUICE_KO:-build/kmod-$1/sluice.ko}
	[ -z "${SLUICE_KO:-}" ] || return 0
	kernel=$(tests/vm/kernel.sh "$1")
	make -s module KERNEL="$kernel/build" KMOD_DIR="build/kmod-$1" >&2
}

# run NAME FLAVOUR GUEST_OPTION... [--after COMMAND] -- SCRIPT ARG...: leaves "PASSED
# FAILED" in its .result. The command looks at what the guest leaves behind.
run() {
	local name=$1 flavour=$2 out=$results/guest-$1 status=0 after='' passed=0 failed=0
	local options=()
	shift 2
	while [ "$1" != -- ]; do
		case $1 in
		--after) after=$2; shift ;;
		*) options+=("$1") ;;
		esac
		shift
	done
	shift
	rm -rf "$out"
	# Time enough beside others: what hangs is found out all the same.
	tests/vm/guest.sh --kernel "$flavour" --cpus "$(cpus_of "$name")" --timeout 1500 \
		--out "$out" --env SLUICE_KO="$SLUICE_TOP/$ko" \
		${SLUICE_STRESS:+--env SLUICE_STRESS="$SLUICE_STRESS"} \
		"${options[@]}" "$@" >"$out.log" 2>&1 || status=$?
	counted "$out.log" "$status"
	if [ -n "$after" ]; then
		status=0
		# shellcheck disable=SC2086 # a command and its arguments
		$after >"$out.after" 2>&1 || status=$?
		counted "$out.after" "$status"
		cat "$out.after" >>"$out.log"
	fi
	if tests/vm/dmesg-scan.sh "$out/console.log" >"$out.scan" 2>&1; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
	fi
	echo "$passed $failed" >"$out.result"
	{
		echo "-- guest $name: status $status, $passed passed, $failed failed"
		grep -E '^not ok|^FAILED|not true' "$out.log" || true
		[ "$status" = 0 ] || tail -15 "$out.log"
		cat "$out.scan"
	} >&2
}

# Two guests at a time: each spends most of its time waiting.
started=()
guest() {
	local flavour
	wanted "$1" "${names[@]}" || return 0
	if [ "$mode" = --prepare ]; then
		module_for "$(flavour_of "$1")"
		echo "$1"
		return
	fi
	rm -f "$results/guest-$1.result"
	[ "$(jobs -rp | wc -l)" -lt 2 ] || wait -n
	flavour=$(flavour_of "$1")
	module_for "$flavour"
	run "$1" "$flavour" "${@:2}" &
	started+=("$1")
}

# debian NAME KIND...: the Debian image from servers of these kinds.
debian() {
	if [ "$mode" = --prepare ]; then
		guest "$1"
		return
	fi
	wanted "$1" "${names[@]}" || return 0
	SLUICE_XZ=$(tests/image/forms.sh)/debian.img.xz
	export SLUICE_XZ
	guest "$1" --memory 3072 --disk "$(dirname "$SLUICE_XZ")/disk,snapshot" --disk new:1100M \
		--qemu "-netdev user,id=web,restrict=on,guestfwd=tcp:10.0.2.100:10809-cmd:$SLUICE_TOP/tests/guest/serve-xz.sh" \
		--qemu "-device virtio-net-pci,netdev=web" -- tests/guest/sources-debian.sh "${@:2}"
}

image=build/tests/random-64.img
random_image $image
disk=$image,snapshot
# Half of that is enough for those that deploy it five times through a slow network.
random_image build/tests/random-32.img 32
small=build/tests/random-32.img,snapshot
guest kmod --append kmemleak=on --disk new:80M --disk new:80M --disk new:80M -- tests/guest/kmod.sh
guest deploy --memory 3072 --disk "$small" --disk new:36M -- tests/guest/deploy.sh \
	under_load resumed from_file
guest deploy-killed --memory 3072 --disk "$small" --disk new:36M -- tests/guest/deploy.sh \
	killed stopped
guest deploy-daemon --memory 3072 --disk "$small" --disk new:36M -- tests/guest/deploy.sh \
	source_lost paused
guest refusals --memory 3072 --disk "$disk" --disk new:68M --disk new:16M -- \
	tests/guest/refusals.sh
guest messages-disks --disk "$disk" -- tests/guest/messages-disks.py
guest messages-running --disk "$disk" -- tests/guest/messages-running.py
guest faults --memory 3072 ${SLUICE_STRESS:+--append kmemleak=on} --disk "$disk" --disk new:68M -- \
	tests/guest/faults.sh inv22_unreadable_source inv20_metadata inv15_changing_image \
	${SLUICE_STRESS:+inv21_local_disk inv28_silent_daemon}
guest profile --memory 3072 --disk "$disk" --disk new:68M -- tests/guest/profile.sh \
	recorded deployed fitted
guest operator --memory 3072 --disk "$disk" --disk new:68M -- tests/guest/operator.sh
guest service --memory 3072 --disk "$disk" --disk new:68M -- tests/guest/service.sh
# What each kind of server can do to a deployment: make check-sources does all of it, make
# check what is most likely to break.
declare -A often=(
	[nbd]="nbd_nbdkit nbd_tls nbd_killed nbd_tampered"
	[iscsi]="iscsi_tgt iscsi_lio iscsi_killed iscsi_tampered"
	[nvme]="nvme_killed nvme_tampered nvme_auth"
	[paths]="paths_differ paths_quick paths_gone"
	[large]="large_nbd"
	[debian]="nbd_qcow2 nvme_tcp"
)
# parts_of KIND [PART]...: sets part, to these when not brief.
parts_of() {
	part=("${@:2}")
	[ "$mode" != --brief ] || read -ra part <<<"${often[$1]}"
}
for kind in nbd iscsi nvme paths; do
	parts_of "$kind"
	guest "sources-$kind" --memory 3072 --disk "$disk" --disk new:300M -- \
		"tests/guest/sources-$kind.sh" "${part[@]}"
done
large=build/tests/large
parts_of large large_nbd large_iscsi
written=("${part[@]/#large_/$large-}")
written=("${written[@]/%/.img}")
if [ "$mode" != --prepare ] && wanted sources-large "${names[@]}"; then
	tests/guest/sources-large.py make $large.img $large.ext4
	tests/guest/sources-large.py soil $large-nbd.img $large-iscsi.img
fi
guest sources-large --memory 2048 --disk $large.ext4,snapshot --disk $large-nbd.img \
	--disk $large-iscsi.img \
	--after "tests/guest/sources-large.py compare $large.img ${written[*]}" \
	-- tests/guest/sources-large.sh "${part[@]}"
parts_of debian nbd_nbdkit nbd_qcow2 iscsi_tgt iscsi_lio nvme_tcp
debian sources-debian "${part[@]}"
# Only by name: what make check-sources has in addition, what is for the race detector, and
# what there is time for where a processor is emulated slowly.
if [ ${#names[@]} != 0 ]; then
	debian sources-debian-xz nbd_http_xz file
	guest deploy-briefly --memory 2048 --disk "$disk" --disk new:68M -- tests/guest/deploy.sh \
		under_load resumed from_file
	guest sources-nbdkit --memory 2048 --disk "$disk" --disk new:300M -- \
		tests/guest/sources-nbd.sh nbd_nbdkit
	guest races --disk new:80M --disk new:80M --disk new:80M -- tests/guest/kmod.sh \
		all_at_once all_at_once_disk_pulled
	guest recorded --memory 2048 --disk new:140M --disk new:128M --disk new:80M --disk new:80M \
		--disk new:80M -- tests/crash/guest.sh 64 0 "record 0 1 1200 10" "record 0 2 1200 130"
	guest profile-more --memory 3072 --disk "$disk" --disk new:68M -- \
		tests/guest/profile.sh recorded restarted eta
fi
wait
[ "$mode" != --prepare ] || exit 0

for name in "${started[@]}"; do
	read -r p f <"$results/guest-$name.result" || { p=0; f=1; }
	passed=$((passed + p))
	failed=$((failed + f))
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
