# SPDX-License-Identifier: LGPL-2.1-or-later
# Completion of fdlctl for bash. What can stand where, "fdlctl __complete" says; this only asks and shows.

_fdlctl() {
	local IFS=$'\n' i n=-1 before line value cur lead
	local -a words=()

	# readline also breaks words at ":" and "=", which port names and --option=value are full of: put them together again
	# by what stands on the line between two of them
	line=${COMP_LINE:0:COMP_POINT}
	for ((i = 0; i <= COMP_CWORD; i++)); do
		value=${COMP_WORDS[i]}
		before=${line%%[![:space:]]*}
		line=${line#"$before"}
		((i < COMP_CWORD)) || value=$line # as far as the cursor
		line=${line#"$value"}
		if ((n >= 0)) && [[ -z $before ]]; then
			words[n]+=$value
		else
			words[++n]=$value
		fi
	done
	for ((i = COMP_CWORD + 1; i < ${#COMP_WORDS[@]}; i++)); do
		words+=("${COMP_WORDS[i]}")
	done
	cur=${words[n]}
	# the words as the program would see them; a leading ~/ and simple quoting are enough for file names
	for ((i = 1; i < ${#words[@]}; i++)); do
		value=${words[i]}
		[[ $value == \~/* ]] && value=$HOME/${value:2}
		words[i]=${value//[\\\"\']/}
	done

	COMPREPLY=()
	# what readline holds for finished and must not get once more
	lead=${cur%"${cur##*[:=]}"}
	[[ $COMP_WORDBREAKS == *:* && $COMP_WORDBREAKS == *=* ]] || lead=
	while IFS=$'\t' read -r value _; do
		if [[ $value == :pac ]]; then
			compopt -o filenames 2>/dev/null
			while read -r value; do
				COMPREPLY+=("$value")
			done < <(compgen -f -X '!*.[pP][aA][cC]' -- "$cur"; compgen -d -- "$cur")
		elif [[ $value == :dir ]]; then
			compopt -o filenames 2>/dev/null
			while read -r value; do
				COMPREPLY+=("$value")
			done < <(compgen -d -- "$cur")
		elif [[ $value == :file ]]; then
			compopt -o filenames 2>/dev/null
			while read -r value; do
				COMPREPLY+=("$value")
			done < <(compgen -f -- "$cur")
		elif [[ $value == "$cur"* ]]; then
			COMPREPLY+=("${value#"$lead"}")
		fi
	done < <("${words[0]}" __complete $((n - 1)) "${words[@]:1}" 2>/dev/null)
}

complete -F _fdlctl fdlctl
