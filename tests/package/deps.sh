#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# deps.sh: install the Debian packages that making and testing packages needs, beside
# those of tests/vm/deps.sh.

exec "$(dirname "$0")/../vm/deps.sh" debhelper dh-dkms dpkg-dev lintian rpm fakeroot
