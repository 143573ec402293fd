#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# In a guest: cuts-guest.sh new|again|finish|end SEED: one life of a card, from power on
# to the cut that comes from outside. /dev/vda is the image, /dev/vdb the local disk,
# /dev/vdc the card's own, with its file system; the last two forget in a cut what was
# not flushed. /mnt/remembered is what the host remembers.
#
#	new	starts a deployment
#	again	resumes the one that there is
#	finish	and brings it to its end, then starts a new one
#	end	without a new one

# shellcheck source=tests/guest/lib.sh
. "${SLUICE_TOP:?}/tests/guest/lib.sh"

how=$1 seed=$2
ctl=$BIN/sluicectl
cuts=$BIN/tests/crash-cuts
journal=/mnt/remembered/journal

deploy() {
	rm -f "$journal"
	"$ctl" deploy d --source file:/dev/vda --local /dev/vdb --size image --format --force \
		--max-rate "$((1 + seed % 4))M" >/dev/null
}

check() { "$cuts" check /dev/sluice0 "$journal" "$@" >>"$OUT/check.log" 2>&1 || { cat "$OUT/check.log"; die "after the cut the host's data are not right"; }; }

finish() {
	"$ctl" limit d --max-rate none >/dev/null
	"$ctl" wait d --timeout 100 >/dev/null
	check all
	rm "$journal"
	"$ctl" detach d >/dev/null
}

# Exports and devices come before anything that may take time.
device() {
	until_true 30 test -b /dev/sluice0 && return
	"$ctl" status
	die "the deployment is gone after the cut"
}

mkdir -p /mnt/card
mount -t ext4 /dev/vdc /mnt/card
insmod "$SLUICE_KO"
: >"$OUT/booted"
daemon_start --state-dir /mnt/card/sluice
if [ "$how" != new ]; then
	if [ -e "$journal" ]; then
		device
		check
	elif ! "$ctl" status d >/dev/null 2>&1; then
		# It was cut before there was anything to write to.
		deploy
	fi
fi
case $how in
new) deploy ;;
finish | end)
	[ -e "$journal" ] || : >"$journal"
	device
	finish
	[ "$how" = finish ] || { : >"$OUT/ended"; exit 0; }
	deploy
	;;
esac
device
: >"$OUT/up"
"$cuts" write /dev/sluice0 "$journal" "$seed"
