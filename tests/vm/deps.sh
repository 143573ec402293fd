#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# deps.sh [PACKAGE]...: install the Debian packages that building and testing Sluice
# needs, and these. Costs one dpkg-query when all are there.

set -euo pipefail

# Building: module, tools and daemon.
packages=(build-essential ccache pkg-config liburing-dev libnvme-dev libjson-c-dev
	libblkid-dev libext2fs-dev libsystemd-dev libsmartcols-dev libmicrohttpd-dev libnbd-dev libiscsi-dev python3-docutils)
# The test kernel.
packages+=(bc bison flex libelf-dev libssl-dev pahole cpio rsync kmod xz-utils lz4 patch)
# The guests, the machine image and what runs in them.
packages+=(qemu-system-x86 busybox-static mmdebstrap debian-archive-keyring
	nvme-cli fio dmsetup netcat-openbsd gnuplot-nox e2fsprogs dosfstools mtools fdisk iproute2 ovmf
	grub-efi-amd64-bin)
# Servers of images; nbdkit is also the disk of a machine that loses its power.
packages+=(nbdkit qemu-utils tgt openssl keyutils)
# Terminals that tests type at.
packages+=(bash-completion zsh python3-pexpect jq)
# Clients that the benchmark compares with.
packages+=(libnbd-bin open-iscsi)
# A second opinion on metrics.
packages+=(python3-prometheus-client)
# Checkers.
packages+=(systemd sparse check spin clang clang-format libclang-rt-14-dev shellcheck codespell)

# The meta packages' names outlive kernel updates, and other than the
# linux-image ones they pull in no kernel.
packages+=(linux-headers-amd64 linux-headers-6.12-amd64)

packages+=("$@")
wanted=$(printf '%s\n' "${packages[@]}" | sort -u)
# dpkg-query fails when it does not know one of them: that is the question.
installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "${packages[@]}" 2>/dev/null |
	sed -n 's/^installed //p' | sort -u || true)
missing=$(comm -23 <(printf '%s\n' "$wanted") <(printf '%s\n' "$installed"))
[ -n "$missing" ] || exit 0
mapfile -t missing <<<"$missing"

if [ "$(id -u)" != 0 ]; then
	printf '%s: install these packages as root: %s\n' "$0" "${missing[*]}" >&2
	exit 1
fi
printf 'deps: installing %s\n' "${missing[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
apt-get -q update >&2
apt-get -q install -y --no-install-recommends "${missing[@]}" >&2
