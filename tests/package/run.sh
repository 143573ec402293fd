#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2016,SC2317 # what is quoted is for another machine; functions are called by name
# make check-package: the Debian packages in a card with Debian 12 as it is. Installed with
# apt, a deployment from NVMe/TCP to a host behind an NVMe/TCP export, two power cuts, an
# upgrade, one to a daemon that does not fit the module, a daemon that hangs, removal and
# purge. The last line is "N passed, N failed". Logs are in build/check/package.

out=build/check/package
# shellcheck source=tests/vm/lib.sh
. "$(dirname "$0")/../vm/lib.sh"
# shellcheck source=tests/guest/assert.sh
. "$SLUICE_TOP/tests/guest/assert.sh"
cd "$SLUICE_TOP"
rm -rf "$out"
mkdir -p "$out"
# shellcheck source=tests/package/machines.sh
. tests/package/machines.sh

mib=256
version=$(make -s version)
newer=$version+1
image_nqn=nqn.2026-01.org.sluice.test:image

# Packages: this release, a newer one, and a newer one with another interface, without its
# module.
packages() {
	local tree=$tmp/tree
	tools/packaging/deb.sh "$version" "$out/deb" >/dev/null
	tools/packaging/deb.sh "$newer" "$out/deb-newer" >/dev/null
	mkdir "$tree"
	git ls-files -z | tar -c --null -T - | tar -x -C "$tree"
	sed -i '/define SLUICE_ABI_VERSION/s/[0-9]*$/99/' "$tree/kmod/uapi/linux/sluice.h"
	"$tree/tools/packaging/deb.sh" "$version+2" "$out/deb-other" >/dev/null
	grep -q 'SLUICE_ABI_VERSION	99' "$tree/kmod/uapi/linux/sluice.h"
}

# offer DEB...: what apt in the card finds.
offer() {
	cp "$@" "$card_job/repo/"
	(cd "$card_job/repo" && dpkg-scanpackages -m . >Packages 2>/dev/null)
	card_run 60 'apt-get -qq update'
}

value() { sed -n "s/.*\"$1\": *\"\{0,1\}\([^,\"}]*\).*/\1/p" | head -1; }
status() { card_run 30 'sluicectl status web1 -o json' | value "$1"; }
at_least() { [ "$(status percent | cut -d. -f1)" -ge "$1" ]; }
module_is() { [ "$(card_run 30 'cat /sys/module/sluice/version')" = "$1" ]; }
daemon_is() { [ "$(card_run 30 'sluicectl version -o json' | value version)" = "$1" ]; }
host_errors() { storage_run 30 'cat /tmp/host/errors'; }
no_host_errors() { [ -z "$(host_errors)" ] || { host_errors >&2; return 1; }; }
rounds() { storage_run 30 'cat /tmp/host/rounds 2>/dev/null | wc -l'; }

# The host goes on: two more rounds of it.
host_goes_on() {
	local n
	n=$(($(rounds) + 2))
	until_true 200 more_rounds "$n"
}
more_rounds() { [ "$(rounds)" -ge "$1" ]; }

storage_serves() {
	storage_run 60 "set -e
		modprobe -a virtio_net nvmet nvmet-tcp nvme-tcp
		for _ in \$(seq 50); do [ -e /sys/class/net/eth0 ] && break; sleep 0.1; done
		ip addr add 10.77.0.1/24 dev eth0
		ip link set eth0 up
		sub=/sys/kernel/config/nvmet/subsystems/$image_nqn
		port=/sys/kernel/config/nvmet/ports/1
		mkdir \$sub \$sub/namespaces/1 \$port
		echo 1 >\$sub/attr_allow_any_host
		echo /dev/vda >\$sub/namespaces/1/device_path
		echo 1 >\$sub/namespaces/1/enable
		echo tcp >\$port/addr_trtype
		echo ipv4 >\$port/addr_adrfam
		echo 10.77.0.1 >\$port/addr_traddr
		echo 4420 >\$port/addr_trsvcid
		ln -s \$sub \$port/subsystems/"
}

host_connects() {
	storage_run 90 "set -e
		nvme connect -t tcp -a 10.77.0.2 -s 4420 -n $nqn --ctrl-loss-tmo=-1 \
			--reconnect-delay=1 --keep-alive-tmo=5
		for _ in \$(seq 100); do
			for ctrl in /sys/class/nvme/nvme*; do
				[ \"\$(cat \$ctrl/subsysnqn)\" = $nqn ] || continue
				disk=/dev/\$(ls -d /sys/class/nvme-subsystem/*/nvme*n1 | sed 's,.*/,,' | head -1)
				[ -b \$disk ] && echo \$disk >/tmp/disk && exit 0
			done
			sleep 0.1
		done
		exit 1"
}

host_works() {
	storage_run 30 "mkdir -p /tmp/host
		setsid bash $SLUICE_TOP/tests/package/host.sh \$(cat /tmp/disk) /dev/vda /tmp/host \
			</dev/null >/tmp/host/log 2>&1 &"
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

say "package: making packages"
check "packages are made" packages
check "lintian finds nothing" lintian --no-cfg --allow-root \
	--fail-on warning,error "$out"/deb/*.changes

openssl enc -aes-128-ctr -K 00 -iv 00 -in /dev/zero 2>/dev/null | head -c ${mib}M >"$out/image" || true
card_new $(((mib + 8) << 20))
storage_on "$out/image"
card_on
check "the storage serves the image" storage_serves
check "apt finds the packages" offer "$out"/deb/*.deb

say "package: installing at $SECONDS s"
check "apt installs them" card_run 1800 'apt-get -q -y install sluice sluice-doc'
check "DKMS has built the module" card_run 60 "dkms status; dkms status | grep -q '^sluice/$version,.*installed'"
check "it is loaded" module_is "$version"
check "the service is active" card_run 60 'systemctl status sluiced --no-pager; systemctl is-active -q sluiced'
check "and enabled" card_run 60 'systemctl is-enabled sluiced'
check "exposure is below 4" card_run 60 'systemd-analyze security --no-pager --threshold=39 sluiced.service >/dev/null'
check "the settings are good" card_run 60 'sluiced --check-config'
check "nobody has rights on the socket that he should not" card_run 60 \
	'test "$(stat -c "%U %G %a" /run/sluice/control.sock)" = "root sluice 660"'

say "package: deploying at $SECONDS s"
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

check "some is local" until_true 300 at_least 8
say "package: first power cut at $SECONDS s, $(status percent) %"
resumes 8
check "more is local" until_true 300 at_least 16
say "package: second power cut at $SECONDS s, $(status percent) %"
resumes 16

say "package: upgrading at $SECONDS s, $(status percent) %"
check "slower" card_run 60 'sluicectl limit web1 --max-rate 16K'
check "apt finds newer ones" offer "$out"/deb-newer/*.deb
check "a removal is refused, and says why" card_run 300 'apt-get -q -y remove sluice sluice-dkms 2>&1 |
	tee /tmp/refused; grep "deployment web1 is on /dev/sluice0" /tmp/refused &&
	systemctl is-active -q sluiced && dpkg -s sluice | grep -q "^Status: .* installed"'
check "apt upgrades them" card_run 1800 'apt-get -q -y -o Dpkg::Options::=--force-confold dist-upgrade'
check "the new daemon runs" until_true 60 daemon_is "$newer"
check "with the old module" module_is "$version"
check "the new one is there for the next boot" card_run 60 "test \$(modinfo -F version sluice) = '$newer'"
check "the deployment goes on" [ "$(status state)" = copying ]
check "the host goes on after the upgrade" host_goes_on
check "the host saw no error" no_host_errors

say "package: a daemon that does not fit at $SECONDS s, $(status percent) %"
check "apt finds a newer daemon still" offer "$out"/deb-other/sluice_*.deb
check "apt upgrades it" card_run 600 'apt-get -q -y install sluice >/tmp/other 2>&1; s=$?; cat /tmp/other
	test $s = 0 && grep "goes on with the old module: reboot" /tmp/other'
check "the daemon that fits still runs" daemon_is "$newer"
check "and back" card_run 600 "apt-get -q -y --allow-downgrades install sluice=$newer"

say "package: a daemon that hangs at $SECONDS s"
check "systemd restarts a daemon that hangs" card_run 300 'pid=$(systemctl show -P MainPID sluiced)
	kill -STOP $pid
	for _ in $(seq 200); do
		now=$(systemctl show -P MainPID sluiced)
		[ $now != 0 ] && [ $now != $pid ] && sluicectl status web1 && exit 0
		sleep 1
	done
	exit 1'

say "package: completing at $SECONDS s, $(status percent) %"
check "faster" card_run 60 'sluicectl limit web1 --max-rate none'
check "it completes" card_run 900 'sluicectl wait web1 --timeout 880'
check "the host goes on with a complete disk" host_goes_on
storage_run 60 'touch /tmp/host/stop; while pgrep -f package/host.sh >/dev/null; do sleep 0.2; done'
check "the host never saw an error" no_host_errors
echo "$((16 << 11)) $((8 << 11))" >"$storage_job/written"
check "what the host sees is the image and what it wrote" storage_run 300 \
	"$SLUICE_TOP/build/tests/blockcmp /dev/vda \$(cat /tmp/disk) /mnt/out/written"

say "package: removing at $SECONDS s"
check "a removal is still refused" card_run 300 'apt-get -q -y purge sluice sluice-dkms sluice-doc; test $? != 0'
storage_run 60 "nvme disconnect -n $nqn"
check "detach" card_run 120 'sluicectl detach web1'
check "apt purges them" card_run 600 'apt-get -q -y purge sluice sluice-dkms sluice-doc'
check "nothing is left" card_run 120 'ls -d /proc/[0-9]*/exe | xargs -n1 readlink 2>/dev/null | grep sluice && exit 1
	getent group sluice && exit 1
	grep sluice /proc/modules && exit 1
	systemctl list-unit-files --no-legend "sluice*" | grep . && exit 1
	find / -xdev -name "*sluice*" -not -path "/mnt/*" -not -path "/var/lib/apt/lists/*" \
		-not -path /etc/initramfs-tools/conf.d/sluice -not -path "/tmp/*" | grep . && exit 1
	exit 0'
card_cut
check "the local disk is the image and what the host wrote" \
	build/tests/blockcmp "$out/image" "$out/local.img" "$storage_job/written"
check "the card's kernel has nothing to complain of" sh -c \
	"! grep -E 'BUG:|WARNING:|Oops|Call Trace|blocked for more' '$out'/card/console-*.log"
touch "$storage_job/end"
say "package: took $SECONDS s"
finish
