# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# How unit tests and fuzz targets are compiled, from the top. Sourced, never run.

flags=(-std=gnu11 -O1 -g -D_GNU_SOURCE -DSLUICE_VERSION='"test"' -I. -Ilibcommon -Ikmod
	-Ikmod/uapi -Idaemon -Wall -Wextra -Werror -fno-omit-frame-pointer)
libs=(-ljson-c -lcrypto -luring -lpthread)

# compile COMPILER PROGRAM TEST OPTION...: a file at a time, as ccache knows them; libraries
# are in $libs.
compile() {
	local compiler=$1 program=$2 test=$3 file objects=() more=()
	shift 3
	mkdir -p "$program.d"
	# shellcheck disable=SC2046 # our file names hold no spaces
	for file in "$test" $(links "$test"); do
		case $file in
		-l*) more+=("$file"); continue ;;
		esac
		objects+=("$program.d/${file//\//-}.o")
		"$compiler" "${flags[@]}" "$@" -c -o "${objects[-1]}" "$file" || return 1
	done
	"$compiler" "${flags[@]}" "$@" -o "$program" "${objects[@]}" "${more[@]}" "${libs[@]}"
}

# links FILE: the files it is linked with, which a comment "LINK:" in its first lines names.
links() {
	sed -n '1,5s|.*LINK: *\(.*[^ ]\) *\*/.*|\1|p' "$1"
}
