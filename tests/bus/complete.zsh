#!/usr/bin/env zsh
# SPDX-License-Identifier: LGPL-2.1-or-later
# What zsh offers at the end of a command line: a real line editor in a pseudo terminal, TAB, and what compadd was given,
# one a line. usage: complete.zsh LINE
zmodload zsh/zpty || exit 1
cd ${0:h}/../.. || exit 1
zpty shell zsh -f -i
zpty -w shell 'unset zle_bracketed_paste; PS1= RPS1=; setopt nopromptsp nobeep; stty -echo; source tests/bus/complete-inside.zsh; print READY$((1))'
local line
while zpty -r shell line; do
	[[ $line == *READY1* ]] && break
done
zpty -w -n shell "$1"$'\t'
while zpty -r shell line; do
	line=${line//[$'\r\n']/}
	[[ $line == *'<end>'* ]] && break
	[[ $line == *'<hit>'* ]] && print -r -- ${line#*<hit>}
done
zpty -d shell
