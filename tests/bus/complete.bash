#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What bash would offer at the end of a command line: COMPREPLY, one a line. usage: complete.bash LINE [BEHIND]
# BEHIND stands behind the cursor.
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=client/completions/fdlctl.bash
source client/completions/fdlctl.bash
[[ $(complete -p fdlctl) == "complete -F _fdlctl fdlctl" ]] || exit 1
COMP_WORDBREAKS=$' \t\n"\'><=;|&(:'
compopt() { :; } # only known while readline completes

# as readline does: blanks part words, and a run of other break characters is a word of its own
split() {
	local text=$1 c word='' kind='' now i
	for ((i = 0; i < ${#text}; i++)); do
		c=${text:i:1}
		case $c in
		[[:blank:]]) now="blank" ;;
		[\>\<=\;\|\&\(:]) now="break" ;;
		*) now="plain" ;;
		esac
		if [[ $now != "$kind" && -n $word ]]; then
			COMP_WORDS+=("$word")
			word=
		fi
		[[ $now == blank ]] || word+=$c
		kind=$now
	done
	[[ -z $word ]] || COMP_WORDS+=("$word")
	[[ $kind == plain || $2 != cursor ]] || COMP_WORDS+=("")
}

COMP_WORDS=() COMP_LINE=$1${2:+ $2} COMP_POINT=${#1}
split "$1" cursor
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
[[ -z ${2:-} ]] || split "$2"
_fdlctl
((${#COMPREPLY[@]} == 0)) || printf '%s\n' "${COMPREPLY[@]}"
