# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Common ground of the rig's scripts: where things are cached, how to speak,
# and a private apt root that sees other Debian suites without touching the
# machine's own package state. Sourced, never run.

set -euo pipefail

SLUICE_TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
SLUICE_CACHE=${SLUICE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/sluice}
export SLUICE_TOP SLUICE_CACHE
mkdir -p "$SLUICE_CACHE"
# Seconds that a machine may take to boot an image: ten times what it needs of two
# processors of its own, as other runs may have most of them.
: "${SLUICE_BOOT_TIMEOUT:=600}"
# The processor of every x86 machine. Copies by the word: an emulated string instruction
# takes its time for each byte, and where instructions count they would hide all else.
# shellcheck disable=SC2034 # of who sources this
emulated_cpu='max,-la57,-erms,-fsrm'

# What is compiled again from the same text, options and compiler is taken from a cache.
# Headers that a build has just copied do not change under it.
if [ -d /usr/lib/ccache ] && [[ $PATH != /usr/lib/ccache:* ]]; then
	export PATH=/usr/lib/ccache:$PATH CCACHE_DIR=$SLUICE_CACHE/ccache
	export CCACHE_SLOPPINESS=include_file_mtime,include_file_ctime
fi

say() { printf '%s\n' "$*" >&2; }
die() { say "$0: $*"; exit 1; }

# wanted NAME [WANTED]...: whether it is one of those; without any, all are.
wanted() {
	local name=$1 one
	shift
	[ $# != 0 ] || return 0
	for one; do
		[ "$one" != "$name" ] || return 0
	done
	return 1
}

# until_true SECONDS COMMAND...: false when it is not within so long.
until_true() {
	local end=$((SECONDS + $1))
	shift
	until "$@"; do
		[ "$SECONDS" -lt "$end" ] || return 1
		sleep 0.1
	done
}

# counted LOG STATUS: adds what the last line of a step that ended so says to passed and
# failed.
counted() {
	local last

	last=$(grep -E '^[0-9]+ passed, [0-9]+ failed' "$1" | tail -1) || true
	if [[ $last =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed ]]; then
		passed=$((passed + BASH_REMATCH[1]))
		failed=$((failed + BASH_REMATCH[2]))
		# A step that counts no failure and yet fails has failed once.
		[ "$2" = 0 ] || [ "${BASH_REMATCH[2]}" != 0 ] || failed=$((failed + 1))
	elif [ "$2" = 0 ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
	fi
}

# verdict NAME STATUS [LOG]: counts one test and says how it went.
verdict() {
	if [ "$2" = 0 ]; then
		passed=$((passed + 1))
		say "ok $1"
	else
		failed=$((failed + 1))
		say "not ok $1${3:+:}"
		[ -z "${3:-}" ] || tail -40 "$3" >&2
	fi
}

# Only one process fills a cache entry; the others wait for it.
with_lock() {
	local name=$1
	shift
	mkdir -p "$SLUICE_CACHE/locks"
	(
		flock 9
		"$@"
	) 9>"$SLUICE_CACHE/locks/$name"
}

# random_image FILE [MIB]: 64 MiB without a hole, the same bytes every time.
random_image() {
	[ ! -s "$1" ] || return 0
	mkdir -p "$(dirname "$1")"
	openssl enc -aes-128-ctr -K 00 -iv 00 -in /dev/zero 2>/dev/null | head -c "${2:-64}M" >"$1.new" || true
	mv "$1.new" "$1"
}

# The Debian mirror of this machine, from its own apt configuration.
debian_mirror() {
	local uri
	# shellcheck disable=SC2016 # apt's own placeholders
	uri=$(apt-get indextargets --format '$(REPO_URI)|$(ORIGIN)|$(LABEL)' \
		'Created-By: Packages' 2>/dev/null |
		awk -F'|' '$2 == "Debian" && $3 == "Debian" { print $1; exit }')
	if [ -z "$uri" ]; then
		# Before the first `apt-get update` no origin is known.
		# shellcheck disable=SC2016
		uri=$(apt-get indextargets --format '$(REPO_URI)' \
			'Created-By: Packages' 2>/dev/null |
			awk '/\/debian\/?$/ { print; exit }')
	fi
	[ -n "$uri" ] || die "this machine's apt configuration names no Debian mirror; add one to /etc/apt/sources.list.d"
	printf '%s\n' "${uri%/}"
}

# apt_root SUITE...: a private apt state for these suites; prints the path of
# an apt.conf to be given through APT_CONFIG.
apt_root() {
	local root suite mirror
	root=$SLUICE_CACHE/apt-$(printf '%s-' "$@")root
	mirror=$(debian_mirror)
	mkdir -p "$root"/{etc/apt/apt.conf.d,etc/apt/preferences.d,state/lists/partial,cache/archives/partial}
	: >"$root/status"
	for suite in "$@"; do
		printf 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s %s main\n' \
			"$mirror" "$suite"
	done >"$root/etc/apt/sources.list"
	cat >"$root/apt.conf" <<-CONF
	Dir "$root";
	Dir::Etc "$root/etc/apt";
	Dir::State "$root/state";
	Dir::State::status "$root/status";
	Dir::Cache "$root/cache";
	APT::Architecture "$(dpkg --print-architecture)";
	APT::Sandbox::User "root";
	CONF
	# Proxies and the like are the machine's business: keep them.
	cat /etc/apt/apt.conf.d/*proxy* 2>/dev/null >>"$root/apt.conf" || true
	APT_CONFIG=$root/apt.conf apt-get -q update >&2
	printf '%s\n' "$root/apt.conf"
}

# module_sources DIR [PATCH]: what the module is built from, patched, in DIR, which is
# made anew.
module_sources() {
	rm -rf "$1"
	mkdir -p "$1"
	(cd "$SLUICE_TOP" && cp --parents -r Kbuild kmod "$(realpath "$1")")
	[ -z "${2:-}" ] || patch -s -p1 -d "$1" <"$2" >&2 ||
		die "$2 does not apply: do the same to what has changed"
}
