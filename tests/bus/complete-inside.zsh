# SPDX-License-Identifier: LGPL-2.1-or-later
# Inside the shell of complete.zsh: the completion system with our function, and a compadd that tells.
fpath=($PWD/client/completions $fpath)
autoload -Uz compinit
compinit -D -u
zstyle ':completion:*' list-prompt ''
LISTMAX=100000
tell() { print -r -- '<end>' }
comppostfuncs=(tell)
compadd() {
	local -a hits
	# a call that only asks for an array is no offer
	if [[ ${argv[(r)-[a-zA-Z]#[OAD]]} == -* && ${argv[(i)-[OAD]]} -lt ${argv[(i)--]} ]]; then
		builtin compadd "$@"
		return
	fi
	builtin compadd -O hits "$@"
	(( $#hits )) && print -rl -- '<hit>'${^hits}
	builtin compadd "$@"
}
