#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2016,SC2317 # what is quoted is for another machine; functions are called by name
# run.sh [--again] [PART]...: make check-package, the Debian packages in a card with Debian
# 12 as it is. Parts, in their order; without one all run:
#
#	install      apt, DKMS, the machine's key, the unit (always)
#	service      figures and credentials under the unit
#	deploy       from NVMe/TCP to a host behind an NVMe/TCP export (for the next)
#	power_cut    while it is copied
#	upgrade      to a newer release while it is copied
#	interface    to a daemon that does not fit the module, and back
#	second_cut   after which a newer release's module is loaded
#	hang         a daemon that hangs
#	completion   the disk is the image and what the host wrote (after any of these)
#	purge        and what is left
#
# --again takes the packages, and the card with them installed, of the run before. The last
# line is "N passed, N failed". Logs are in build/check/package.

out=build/check/package
kept=build/package
# shellcheck source=tests/vm/lib.sh
. "$(dirname "$0")/../vm/lib.sh"
# shellcheck source=tests/guest/assert.sh
. "$SLUICE_TOP/tests/guest/assert.sh"
cd "$SLUICE_TOP"
again=''
[ "${1:-}" != --again ] || { again=1; shift; }
parts=("$@")
rm -rf "$out"
mkdir -p "$out" "$kept"
# shellcheck source=tests/package/storage.sh
. tests/package/storage.sh

mib=256
version=$(make -s --no-print-directory version)
newer=$version+1
other=$version+2
# Nothing but directories.
broken_kernel=6.1.0-99-amd64 old_kernel=5.10.0-99-amd64
figures=/var/lib/prometheus/node-exporter/sluice.prom

# any PART...: one of them is to run.
any() {
	local part
	for part; do
		! wanted "$part" "${parts[@]}" || return 0
	done
	return 1
}

# begin PART: whether it is to run.
begin() {
	any "$1" || return 1
	say "package: $1 at $SECONDS s"
}

# Packages: this release, a newer one, and a newer one with another interface.
packages() {
	local tree=$tmp/tree
	[ -z "$again" ] || return 0
	tools/packaging/deb.sh "$version" "$kept/deb" >/dev/null
	tools/packaging/deb.sh "$newer" "$kept/deb-newer" >/dev/null
	mkdir "$tree"
	git ls-files -z | tar -c --null -T - | tar -x -C "$tree"
	sed -i '/define SLUICE_ABI_VERSION/s/[0-9]*$/99/' "$tree/kmod/uapi/linux/sluice.h"
	grep -q 'SLUICE_ABI_VERSION	99' "$tree/kmod/uapi/linux/sluice.h"
	"$tree/tools/packaging/deb.sh" "$other" "$SLUICE_TOP/$kept/deb-other" >/dev/null
}

# offer DEB...: what apt in the card finds.
offer() {
	cp "$@" "$card_job/repo/" || return
	(cd "$card_job/repo" && dpkg-scanpackages -m . >Packages 2>/dev/null)
	card_run 60 'apt-get -qq update'
}

value() { sed -n "s/.*\"$1\": *\"\{0,1\}\([^,\"}]*\).*/\1/p" | head -1; }
status() { card_run 60 'sluicectl status web1 -o json' | value "$1" || true; }
percent() { status percent | cut -d. -f1; }
at_least() { [ "$(percent)" -ge "$1" ]; }
module_is() { [ "$(card_run 30 'cat /sys/module/sluice/version')" = "$1" ]; }
daemon_is() { [ "$(card_run 60 'sluicectl version -o json' | value version)" = "$1" ]; }
main_pid() { card_run 60 'systemctl show -P MainPID sluiced' || true; }
# A directory of sysfs is new each time that the module is loaded.
module_load() { card_run 30 'stat -c %i /sys/module/sluice' || true; }
copying() { [ "$(status state)" = copying ]; }
# More of the image than LOCAL_BYTES.
copied_on() { [ "$(status local_bytes)" -gt "$1" ]; }
goes_on() {
	local bytes
	bytes=$(status local_bytes)
	until_true 120 copied_on "$bytes"
}

# signed_by CERTIFICATE: the module for the next boot is, by the name and the serial number.
signed_by() {
	card_run 60 "set -e
		signer=\$(modinfo -F signer sluice) key=\$(modinfo -F sig_key sluice | tr -d :)
		echo \"signed by \$signer, \$key\"
		name=\$(openssl x509 -inform DER -in $1 -noout -subject -nameopt multiline | sed -n 's/.*commonName *= //p')
		serial=\$(openssl x509 -inform DER -in $1 -noout -serial)
		test \"\$name\" = \"\$signer\"
		test \"\${serial#serial=}\" = \"\$key\""
}

# Everything that a purge must take along again. Logs and caches are everybody's, and
# mok.* is the key of the machine.
list_files() { # FILE DIR
	card_run 120 "{
		find / -xdev \\( -path /tmp -o -path /var/tmp -o -path /var/log -o -path /var/cache \\
			-o -path /var/lib/apt -o -path /mnt \\) -prune -o -print |
			grep -vE '^/var/lib/dkms/mok\\.|^/var/lib/dpkg/.*-old$|^/etc/(passwd|group|shadow|gshadow)-$|^/var/lib/systemd/timers/'
		find /run /dev -name '*sluice*'
		getent group
		getent passwd
		systemctl list-unit-files --no-legend --no-pager
		} | sort >/mnt/job/$1"
	mv "$card_job/$1" "$2/"
}

# resumes PERCENT: after a power cut, by itself.
resumes() {
	card_cut
	card_on
	check "the service is up again" until_true 300 card_run 60 \
		'systemctl is-active -q sluiced && sluicectl status web1 >/dev/null'
	check "and the export" card_run 60 "journalctl -b -u sluiced -o cat | tail -50
		test -e /sys/kernel/config/nvmet/ports/*/subsystems/$nqn"
	check "nothing that was local is lost" at_least "$1"
	check "the host goes on" host_goes_on
}

# refusal COMMAND: is refused, with the deployment's name and the disk's, and all goes on.
refusal() {
	card_run 300 "$1 >/tmp/refused 2>&1
		s=\$?; cat /tmp/refused
		test \$s != 0 && grep 'deployment web1 is on /dev/sluice0' /tmp/refused &&
		systemctl is-active -q sluiced && dpkg -s sluice sluice-dkms | grep -c '^Status: .* installed' | grep -qx 2"
}

installed() {
	check "apt finds the packages" offer "$kept"/deb/*.deb
	if [ -n "$again" ]; then
		check "the card comes up with them installed" module_is "$version"
		return
	fi
	check "there are more kernels" card_run 60 \
		"mkdir -p /lib/modules/{$old_kernel,$broken_kernel}/build/include"
	check "the files are listed" list_files files-before "$kept"
	check "apt installs them" card_run 1800 'apt-get -q -y install sluice sluice-doc >/tmp/install 2>&1
		s=$?; cat /tmp/install; exit $s'
	check "DKMS has built the module" card_run 60 "dkms status; dkms status | grep -q '^sluice/$version,.*installed'"
	check "all kernels are tried, what fails is said" card_run 60 \
		"grep 'The module does not build for Linux $broken_kernel, which cannot serve disks' /tmp/install"
	check "a kernel that is too old is named" card_run 60 \
		"grep 'Linux $old_kernel is older than 6.1: the module is not built for it' /tmp/install"
	check "and refused by DKMS" card_run 60 "dkms build -m sluice -v $version -k $old_kernel >/tmp/old 2>&1
		s=\$?; cat /tmp/old; test \$s = 77 && grep 'should not be built' /tmp/old"
	check "the module is signed with the key that DKMS made for the machine" \
		signed_by /var/lib/dkms/mok.pub
	check "it is loaded" module_is "$version"
	check "the service is active" card_run 60 'systemctl status sluiced --no-pager; systemctl is-active -q sluiced'
	check "and enabled" card_run 60 'systemctl is-enabled sluiced'
	check "exposure is below 4" card_run 60 'systemd-analyze security --no-pager sluiced.service | tail -1
		systemd-analyze security --no-pager --threshold=39 sluiced.service >/dev/null'
	check "the settings are good" card_run 60 'sluiced --check-config'
	check "nobody has rights on the socket that he should not" card_run 60 \
		'test "$(stat -c "%U %G %a" /run/sluice/control.sock)" = "root sluice 660"'
	card_save "$kept/installed.qcow2"
}

service() {
	local small="sluicectl deploy small --format --force --local /dev/loop0
		--source iscsi://10.77.0.1/$image_iqn/1"
	small=${small//$'\n'/ }
	check "the storage wants a secret for another image" storage_serves_secretly
	check "without it there is none" card_run 120 "truncate -s 24M /var/tmp/small && losetup /dev/loop0 /var/tmp/small
		$small >/tmp/small 2>&1; s=\$?; cat /tmp/small; test \$s = 5"
	check "it is put where the unit looks, and figures are asked for" card_run 60 "set -e
		mkdir -p /etc/credstore $(dirname "$figures")
		(umask 077; echo 'iscsi $image_iqn card initiators-secret' >/etc/credstore/sluice.credentials)
		echo 'metrics-file = $figures' >/etc/sluice/sluice.conf.d/metrics.conf"
	check "the service restarts" card_run 120 'systemctl restart sluiced'
	check "it passes the secret on" card_run 120 "$small"
	head -c 16M "$out/image" >"$card_job/small"
	check "and the image is copied" card_run 300 'sluicectl wait small --timeout 280 &&
		cmp -n 16777216 /dev/sluice0 /mnt/job/small'
	check "figures are there, for everybody" until_true 60 card_run 60 "grep '^sluice_deployments 1' $figures &&
		test \"\$(stat -c '%U %a' $figures)\" = 'root 644'"
	check "no secret is in the journal" card_run 60 '! journalctl -u sluiced | grep -q initiators-secret'
	check "it goes" card_run 120 "sluicectl detach small && losetup -d /dev/loop0 &&
		rm /var/tmp/small /etc/credstore/sluice.credentials && rmdir /etc/credstore"
}

deploy() {
	check "deploy, exported" card_run 120 "sluicectl deploy web1 --format --force \
		--source nvme-tcp://10.77.0.1/$image_nqn --local /dev/disk/by-id/virtio-local \
		--max-rate 1M --export tcp --address 10.77.0.2 --allow-any"
	nqn=$(status nqn)
	check "links by name and uuid" card_run 60 'udevadm settle
		test "$(readlink -f /dev/disk/by-id/sluice-web1)" = /dev/sluice0 &&
		ls /dev/disk/by-id/sluice-uuid-*'
	check "a member of the group sees the status" card_run 60 \
		'setpriv --reuid 65534 --regid 65534 --groups $(getent group sluice | cut -d: -f3) sluicectl status web1'
	check "and may do nothing" card_run 60 \
		'setpriv --reuid 65534 --regid 65534 --groups $(getent group sluice | cut -d: -f3) sluicectl pause web1; test $? = 17'
	check "others do not even see it" card_run 60 \
		'setpriv --reuid 65534 --regid 65534 --clear-groups sluicectl status web1; test $? = 15'
	check "the host connects" host_connects
	check "and works" host_works
}

power_cut() {
	check "some is local" until_true 300 at_least 8
	resumes 8
}

second_cut() {
	local local_percent release=$version
	! any upgrade || release=$newer
	local_percent=$(percent)
	resumes "$local_percent"
	check "the module is that of the release" module_is "$release"
	check "and the daemon" daemon_is "$release"
	check "the copy goes on" goes_on
}

# upgrades: what there is, while the module stays and the host sees nothing.
upgrades() {
	local load lost
	load=$(module_load)
	lost=$(losses)
	check "apt upgrades them" card_run 1800 'apt-get -q -y -o Dpkg::Options::=--force-confold dist-upgrade >/tmp/upgrade 2>&1
		s=$?; cat /tmp/upgrade; exit $s'
	check "the module was not reloaded" [ "$(module_load)" = "$load" ]
	check "the deployment goes on" copying
	check "the host goes on" host_goes_on
	check "it saw no error" no_host_errors
	check "its controller did not lose the card" [ "$(losses)" = "$lost" ]
}

upgrade() {
	local bytes pid
	check "slower" card_run 60 'sluicectl limit web1 --max-rate 32K'
	check "apt finds newer ones" offer "$kept"/deb-newer/*.deb
	check "a removal is refused, and says why" refusal 'apt-get -q -y remove sluice sluice-dkms'
	check "the machine has a key of its own" card_run 120 "mkdir -p /etc/dkms/framework.conf.d
		openssl req -new -x509 -nodes -days 365 -subj '/CN=Owner of the card/' -newkey rsa:2048 \
			-keyout /etc/dkms/owner.key -outform DER -out /etc/dkms/owner.der
		printf 'mok_signing_key=/etc/dkms/owner.key\nmok_certificate=/etc/dkms/owner.der\n' \
			>/etc/dkms/framework.conf.d/owner.conf"
	bytes=$(status local_bytes) pid=$(main_pid)
	upgrades
	check "the new module is there for the next boot" card_run 60 "test \$(modinfo -F version sluice) = '$newer'"
	check "the daemon is another process" [ "$(main_pid)" != "$pid" ]
	check "of the new release" daemon_is "$newer"
	check "with the module that was loaded" module_is "$version"
	check "the copy goes on" until_true 120 copied_on "$bytes"
	check "it is signed with the machine's own key" signed_by /etc/dkms/owner.der
}

interface() {
	local pid before=$version
	! any upgrade || before=$newer
	check "still slow" card_run 60 'sluicectl limit web1 --max-rate 32K'
	check "apt finds others" offer "$kept"/deb-other/sluice_*.deb
	pid=$(main_pid)
	upgrades
	check "apt said that it takes a reboot" card_run 60 \
		'grep "goes on with the old module: reboot" /tmp/upgrade'
	check "the daemon that fits still runs" [ "$(main_pid)" = "$pid" ]
	check "the other one does not fit the module that is loaded" card_run 60 \
		'sluiced --check-module >/tmp/fits 2>&1; s=$?; cat /tmp/fits
		test $s = 1 && grep "speaks version 1 of the interface and this sluiced version 99" /tmp/fits'
	check "and back" card_run 600 "apt-get -q -y --allow-downgrades install sluice=$before"
	check "the daemon is started anew" [ "$(main_pid)" != "$pid" ]
	check "of the release that fits" daemon_is "$before"
}

hang() {
	check "systemd restarts a daemon that hangs" card_run 300 'pid=$(systemctl show -P MainPID sluiced)
		kill -STOP $pid
		for _ in $(seq 200); do
			now=$(systemctl show -P MainPID sluiced)
			[ $now != 0 ] && [ $now != $pid ] && sluicectl status web1 && exit 0
			sleep 1
		done
		exit 1'
	check "the host goes on after it" host_goes_on
}

completion() {
	check "faster" card_run 60 'sluicectl limit web1 --max-rate none'
	check "it completes" card_run 900 'sluicectl wait web1 --timeout 880'
	check "the host goes on with a complete disk" host_goes_on
	check "the host stops" host_stops
	check "the host never saw an error" no_host_errors
	echo "$((16 << 11)) $((8 << 11))" >"$storage_job/written"
	check "what the host sees is the image and what it wrote" storage_run 300 \
		"$SLUICE_TOP/build/tests/blockcmp /dev/vda \$(cat /tmp/disk) /mnt/out/written"
	check "a purge is still refused" refusal 'apt-get -q -y purge sluice sluice-dkms sluice-doc'
	check "the host disconnects" storage_run 60 "nvme disconnect -n $nqn"
	check "detach" card_run 120 'sluicectl detach web1'
}

# A daemon of another interface than the module's, started all the same.
misfit() {
	check "a daemon that does not fit the module deploys nothing" card_run 60 "
		dpkg -x /mnt/job/repo/sluice_${other}_*.deb /tmp/other
		/tmp/other/usr/sbin/sluiced --state-dir /tmp/state --socket /tmp/sock >/tmp/log 2>&1 &
		pid=\$!
		for _ in \$(seq 100); do test -S /tmp/sock && break; sleep 0.1; done
		sluicectl --socket /tmp/sock deploy x --format --source file:/dev/vda \
			--local /dev/vdb >/tmp/fits 2>&1
		s=\$?; cat /tmp/fits /tmp/log; kill \$pid; wait
		test \$s != 0 && grep 'speaks version 1 of the interface and sluiced version 99' /tmp/fits"
}

# A package that was removed left its settings, and its version.
back_again() {
	check "the daemon goes on where the settings have become wrong" card_run 120 'set -e
		echo "log-level = loud" >/etc/sluice/sluice.conf.d/wrong.conf
		pid=$(systemctl show -P MainPID sluiced)
		DPKG_MAINTSCRIPT_PACKAGE=sluice /var/lib/dpkg/info/sluice.postinst configure 0 >/tmp/wrong 2>&1
		cat /tmp/wrong; rm /etc/sluice/sluice.conf.d/wrong.conf
		grep "not started anew with wrong settings" /tmp/wrong
		test "$(systemctl show -P MainPID sluiced)" = "$pid"'
	check "removed and installed again, it runs" card_run 600 'set -e
		version=$(dpkg-query -W -f "\${Version}" sluice)
		apt-get -q -y remove sluice
		if systemctl is-active sluiced; then exit 1; fi
		apt-get -q -y install "sluice=$version"
		systemctl is-active sluiced; systemctl is-enabled sluiced sluice-apply'
}

purge() {
	! any interface || misfit
	back_again
	check "apt purges them" card_run 600 'apt-get -q -y purge sluice sluice-dkms sluice-doc'
	check "no process is left, and no module" card_run 120 'for exe in /proc/[0-9]*/exe; do
			readlink $exe | grep sluice && exit 1
		done
		grep sluice /proc/modules && exit 1
		exit 0'
	check "nor figures" card_run 60 "test ! -e $figures"
	check "what is the test's own goes" card_run 60 \
		"rm -rf /etc/dkms/owner.* /etc/dkms/framework.conf.d/owner.conf /var/lib/prometheus"
	check "the files are listed" list_files files-after "$out"
	check "the machine is as it was: files, units, users and groups" \
		diff "$kept/files-before" "$out/files-after"
}

say "package: making packages"
check "packages are made" packages
[ "$FAILED" = 0 ] || finish
check "lintian finds nothing" lintian --no-cfg --allow-root \
	--fail-on warning,error "$kept"/deb/*.changes

openssl enc -aes-128-ctr -K 00 -iv 00 -in /dev/zero 2>/dev/null | head -c ${mib}M >"$out/image" || true
card_new $(((mib + 8) << 20)) ${again:+"$kept/installed.qcow2"}
storage_on "$out/image"
card_on
check "the storage serves the image" storage_serves

say "package: install at $SECONDS s"
installed
! begin service || service
deploying=''
! any deploy power_cut upgrade interface second_cut hang completion || deploying=1
if [ -n "$deploying" ]; then
	say "package: deploy at $SECONDS s"
	deploy
	for part in power_cut upgrade interface second_cut hang; do
		! begin "$part" || "$part"
	done
	say "package: completion at $SECONDS s"
	completion
fi
! begin purge || purge
card_cut
if [ -n "$deploying" ]; then
	check "the local disk is the image and what the host wrote" \
		build/tests/blockcmp "$out/image" "$out/local.img" "$storage_job/written"
fi
check "the card's kernel has nothing to complain of" sh -c \
	"! grep -E 'BUG:|WARNING:|Oops|Call Trace|blocked for more' '$out'/card/console-*.log"
touch "$storage_job/end"
say "package: took $SECONDS s"
finish
