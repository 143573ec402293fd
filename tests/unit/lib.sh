# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# How unit tests and fuzz targets are compiled, from the top. Sourced, never run.

# shellcheck disable=SC2034 # of whoever sources it
flags=(-std=gnu11 -O1 -g -D_GNU_SOURCE -DSLUICE_VERSION='"test"' -I. -Ilibcommon -Ikmod
	-Ikmod/uapi -Idaemon -Wall -Wextra -Werror -fno-omit-frame-pointer)

# links FILE: the files it is linked with, which a comment "LINK:" in its first lines names.
links() {
	sed -n '1,5s|.*LINK: *\(.*[^ ]\) *\*/.*|\1|p' "$1"
}
