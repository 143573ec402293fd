# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Completion of sluicectl for bash with bash-completion: sluicectl itself knows
# what may follow.

_sluicectl()
{
	local cur cword words candidate
	_get_comp_words_by_ref -n : cur words cword
	COMPREPLY=()
	while IFS=$'\t' read -r candidate _; do
		if [ "$candidate" = :files ]; then
			[ "$cur" = = ] && cur=
			_filedir
		else
			COMPREPLY+=("$candidate")
		fi
	done < <("${words[0]}" complete "${words[@]:1:cword}" 2>/dev/null)
	# What somebody goes on writing.
	case ${COMPREPLY[0]-} in
	*[:/]) compopt -o nospace ;;
	esac
	__ltrim_colon_completions "$cur"
} && complete -F _sluicectl sluicectl
