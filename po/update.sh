#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Collects the words for people into fdld.pot and merges them into each language; what is new stays empty there until somebody
# has translated it. usage: po/update.sh [--pot FILE]      with --pot only the template, into FILE
set -eu
cd "$(dirname "$0")/.."
pot=po/fdld.pot
[ "${1:-}" != --pot ] || pot=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

collect() { # collect TABLE... -- OPTION...: joined to what was collected before
	local files=()
	while [ "$1" != -- ]; do
		files+=("$1")
		shift
	done
	shift
	xgettext --package-name=fdld --from-code=UTF-8 --add-location=file --no-wrap -o "$work/all.pot" -j "$@" "${files[@]}"
}

# neither dates nor line numbers: the template changes when a word does
cat >"$work/all.pot" <<'HEAD'
msgid ""
msgstr ""
"Project-Id-Version: fdld\n"
"MIME-Version: 1.0\n"
"Content-Type: text/plain; charset=UTF-8\n"
"Content-Transfer-Encoding: 8bit\n"
HEAD
mapfile -t sources < <(grep '\.[ch]$' po/POTFILES)
mapfile -t policies < <(grep '\.policy$' po/POTFILES)
for argument in 7 8; do
	collect common/errors.def -- --language=C --keyword --keyword=ROW:"$argument"
done
for argument in 5 6 7; do
	collect common/events.def -- --language=C --keyword --keyword=EVENT:"$argument"
done
collect "${sources[@]}" -- --language=C --keyword=_ --keyword=N_
collect "${policies[@]}" -- --its=po/its/polkit.its
{
	echo '# Words of fdld and fdlctl for people. Made by po/update.sh.'
	sed '/^# SOME DESCRIPTIVE/,/^#, fuzzy/d; /^"POT-Creation-Date/d; /^"PO-Revision-Date/d; /^"Last-Translator/d; /^"Language-Team/d; /^"Report-Msgid/d; /^#, fuzzy$/d' "$work/all.pot"
} >"$work/fdld.pot"
mv "$work/fdld.pot" "$pot"
[ "$pot" = po/fdld.pot ] || exit 0
while read -r language; do
	msgmerge --quiet --update --backup=none --no-fuzzy-matching --no-wrap --add-location=file "po/$language.po" "$pot"
	msgfmt -c --statistics -o /dev/null "po/$language.po"
done <po/LINGUAS
