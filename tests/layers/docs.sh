#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What is told to people is whole and true: pages, help, completion, other languages; each is compared with the program or the
# table it speaks of. What needs a daemon is in tests/bus/check_docs.c.
# usage: docs.sh BUILDDIR      (TAP)
set -u
cd "$(dirname "$0")/../.." || exit 1
build=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
n=0 bad=0
verdict() { # verdict "name" "text of what is wrong, empty if nothing"
	n=$((n + 1))
	if [ -z "$2" ]; then echo "ok $n - $1"; else
		echo "not ok $n - $1"
		printf '%s\n' "$2" | head -n 40 | sed 's/^/# /'
		bad=1
	fi
}
english() { LC_ALL=C.UTF-8 LANGUAGE='' "$@"; }
german() { LC_ALL=C.UTF-8 LANGUAGE=de "$@"; }
ctl=$build/fdlctl
mapfile -t pages < <(ls man/*.[158])
mapfile -t languages <po/LINGUAS

# ---- pages -----------------------------------------------------------------------------------
rendered() { MANWIDTH=200 MANROFFOPT='-rHY=0' LC_ALL=C.UTF-8 man -l "$1" 2>/dev/null | col -bx; }

wrong=
for page in "${pages[@]}"; do
	said=$(LC_ALL=C.UTF-8 MANWIDTH=80 MANROFFSEQ='' man --warnings -E UTF-8 -l -Tutf8 -Z "$page" 2>&1 >/dev/null)
	[ -z "$said" ] || wrong+="$page: $said"$'\n'
	name=$(basename "$page")
	lexgrog "$page" 2>/dev/null | grep -q "\"${name%.*} - ." || wrong+="$page: lexgrog finds no name"$'\n'
	for section in NAME DESCRIPTION 'SEE ALSO'; do
		grep -q "^\.SH $section\$" "$page" || wrong+="$page: no $section"$'\n'
	done
done
verdict "man and lexgrog read every page without a word" "$wrong"

wrong=
for page in man/fdld.8 man/fdlctl.1; do
	for section in SYNOPSIS OPTIONS 'EXIT STATUS' ENVIRONMENT FILES EXAMPLES; do
		grep -q "^\.SH $section\$" "$page" || wrong+="$page: no $section"$'\n'
	done
done
# every page of ours that a page refers to is there
for page in "${pages[@]}"; do
	while read -r name section; do
		[ -f "man/$name.$section" ] || wrong+="$page refers to $name($section)"$'\n'
	done < <(grep -oE '^\.BR (fdld|fdlctl|fdld\.conf|fdld\\?-rules|org\.fdld1) \([0-9]\)' "$page" | sed -E 's/^\.BR ([^ ]+) \(([0-9])\)/\1 \2/; s/\\-/-/')
done
verdict "sections are there, and the pages that are referred to" "$wrong"

verdict "org.fdld1(5) and the exit statuses are those of dbus/*.xml and errors.def (else: make words)" \
	"$(python3 man/reference.py --check 2>&1)"

# exit statuses against the program, not the table
"$ctl" errors --json | python3 -c '
import json, sys
for e in json.load(sys.stdin):
    print(e["exit_code"], e["name"].rsplit(".", 1)[1], "fdld" if e["fault"] == "us" else e["fault"])
' | LC_ALL=C sort >"$work/table"
rendered man/fdlctl.1 | sed -n '/^EXIT STATUS/,/^ENVIRONMENT/p' | grep -oE '^ +[0-9]+ +[A-Z].*' |
	while read -r code rest; do
		tr ',' '\n' <<<"$rest" | sed -nE "s/^ *([A-Za-z0-9]+) \(([a-z]+)\)$/$code \1 \2/p"
	done | LC_ALL=C sort >"$work/page"
verdict "exit statuses of fdlctl(1) are those of fdlctl errors" \
	"$(diff "$work/table" "$work/page"; [ -s "$work/table" ] || echo "no table")"
rendered man/fdld.8 | sed -n '/^EXIT STATUS/,/^STABILITY/p' | sed -nE 's/^ +([0-9]+) +([A-Z][A-Za-z]+):.*/\1 \2/p' | while read -r code name; do
	grep -q "^$code $name " "$work/table" || echo "fdld(8): $code is not $name"
done >"$work/statuses"
verdict "exit statuses of fdld(8) are those of fdlctl errors" "$(cat "$work/statuses")"

# ---- options: help and page ------------------------------------------------------------------
mapfile -t verbs < <(english "$ctl" __complete 0 '' | cut -f 1)
options_of() { grep -oE '^ +--[a-z0-9-]+' | tr -d ' ' | sort -u; }
section_of() { # the part of fdlctl(1) that is about a verb
	rendered man/fdlctl.1 | awk -v verb="$1" '/^[A-Z]/ { in_verbs = /^VERBS/ } in_verbs && /^       [a-z]/ { on = ($1 == verb) } in_verbs && on'
}
wrong=
[ "${#verbs[@]}" -ge 8 ] || wrong="verbs: ${verbs[*]}"
english "$ctl" --help >"$work/help"
for verb in "${verbs[@]}"; do
	grep -qE "^  ([a-z]+, )*$verb(,| )" "$work/help" || wrong+="fdlctl --help does not name $verb"$'\n'
	english "$ctl" "$verb" --help >"$work/help.$verb" || wrong+="$verb --help fails"$'\n'
	head -n 1 "$work/help.$verb" | grep -q "^usage: fdlctl $verb" || wrong+="$verb --help does not begin with its usage"$'\n'
	sed 1d "$work/help.$verb" | grep -q '[a-z]' || wrong+="$verb --help says nothing"$'\n'
	section_of "$verb" >"$work/page.$verb"
	[ -s "$work/page.$verb" ] || wrong+="fdlctl(1) has nothing of $verb"$'\n'
	said=$(diff <(options_of <"$work/help.$verb") <(options_of <"$work/page.$verb")) || wrong+="$verb: < help, > page: $said"$'\n'
	# and what TAB offers is the same; each verb has these two
	said=$(diff <({ options_of <"$work/help.$verb"; printf '%s\n' --help --json; } | sort -u) \
		<(english "$ctl" __complete 1 "$verb" -- 2>&1 | cut -f 1 | grep '^--' | sort -u)) || wrong+="$verb: < help, > completion: $said"$'\n'
done
said=$(diff <(sed -n '/^Options, /,/^$/p' "$work/help" | grep -oE -- '--[a-z-]+' | sort -u) <(rendered man/fdlctl.1 | sed -n '/^OPTIONS/,/^VERBS/p' | options_of)) || wrong+="fdlctl: < help, > page: $said"$'\n'
said=$(diff <("$build/fdld" --help | grep -oE -- '--[a-z-]+' | sort -u) \
	<(rendered man/fdld.8 | sed -n '/^OPTIONS/,/^SIGNALS/p' | grep -oE '^ +(-., )?--[a-z-]+' | grep -oE -- '--[a-z-]+' | sort -u)) || wrong+="fdld: < help, > page: $said"$'\n'
verdict "every verb and option of the help is in the page and in completion, and the reverse" "$wrong"

# ---- help fits -------------------------------------------------------------------------------
wrong=
for tongue in '' "${languages[@]}"; do
	for said in "$build/fdld" "$ctl" "${verbs[@]/#/$ctl }"; do
		# shellcheck disable=SC2086
		wrong+=$(LC_ALL=C.UTF-8 LANGUAGE=$tongue $said --help | LC_ALL=C.UTF-8 python3 -c '
import sys
lines = sys.stdin.read().splitlines()
name = " ".join(sys.argv[1:])
if len(lines) > 24:
    print(f"{name}: {len(lines)} lines")
for line in lines:
    if len(line) > 80:
        print(f"{name}: {len(line)} columns: {line}")
' "${tongue:-en}" "$said"
			echo .)
		wrong=${wrong%.}
	done
done
verdict "help fits 80 columns and 24 lines in every language" "$wrong"

# ---- other languages -------------------------------------------------------------------------
po/update.sh --pot "$work/fdld.pot" >"$work/said" 2>&1
verdict "po/fdld.pot is what the sources say (else: make words)" "$(diff -u po/fdld.pot "$work/fdld.pot" | sed -n 1,30p; grep -v '^$' "$work/said")"
verdict "every source with words for people is in po/POTFILES" \
	"$(grep -lE '\bN?_\("' client/*.c | while read -r f; do grep -qx "$f" po/POTFILES || echo "$f"; done)"
for tongue in "${languages[@]}"; do
	said=$(msgfmt -c --check-accelerators=_ -o /dev/null "po/$tongue.po" 2>&1 | grep -v '^$')
	[ -s "$build/locale/$tongue/LC_MESSAGES/fdld.mo" ] || said+="no catalogue in $build"
	verdict "$tongue: msgfmt -c" "$said"
	verdict "$tongue: nothing is untranslated, doubtful or gone" "$(
		msgattrib --untranslated --no-obsolete "po/$tongue.po" | grep '^msgid' | sed 1d
		msgattrib --only-fuzzy --no-obsolete "po/$tongue.po" | grep '^msgid' | sed 1d
		msgcmp "po/$tongue.po" po/fdld.pot 2>&1
	)"
done

# installed under whatever prefix, it finds its words beside itself
mkdir -p "$work/opt/bin" "$work/opt/share/locale"
cp "$ctl" "$work/opt/bin/"
cp -r "$build/locale/." "$work/opt/share/locale/"
verdict "de: found from where fdlctl is installed" "$(german "$work/opt/bin/fdlctl" --help | grep -q '^Aufruf: ' || echo "it speaks: $(german "$work/opt/bin/fdlctl" --help | head -n 3)")"

# what a person sees, by name: each row of the table
"$ctl" errors --json >"$work/plain"
german "$ctl" errors --json >"$work/german"
verdict "de: JSON is not translated" "$(diff "$work/plain" "$work/german"; for f in plain german; do [ -s "$work/$f" ] || echo "empty: $f"; done)"
verdict "de: every error says cause and remedy in German" "$(
	python3 - "$work/plain" "$ctl" <<'PY'
import json, os, subprocess, sys
rows = json.load(open(sys.argv[1]))
flat = lambda text: " ".join(text.split())
def table(language):
    env = dict(os.environ, LC_ALL="C.UTF-8", LANGUAGE=language)
    out = subprocess.run([sys.argv[2], "errors"], env=env, capture_output=True, text=True).stdout
    parts, name = {}, None
    for line in out.splitlines():
        if not line.startswith(" "):
            name = line.split()[0]
            parts[name] = ""
        else:
            parts[name] += line + "\n"
    return parts
english, german = table(""), table("de")
for row in rows:
    name = row["name"].rsplit(".", 1)[1]
    if flat(row["cause"]) not in flat(english.get(name, "")) or flat(row["remedy"]) not in flat(english[name]):
        print(name, "is not in the English table")
    if name not in german or flat(row["cause"]) in flat(german[name]) or flat(row["remedy"]) in flat(german[name]):
        print(name, "is not translated")
    if len(flat(german.get(name, ""))) < 40:
        print(name, "says too little")
PY
)"
verdict "de: what polkit asks" "$(
	grep -oP '<(description|message) gettext-domain="fdld">\K[^<]*' dbus/org.fdld1.policy >"$work/asked"
	[ "$(wc -l <"$work/asked")" -ge 10 ] || echo "found only $(wc -l <"$work/asked") texts"
	[ "$(grep -cE '<(description|message)' dbus/org.fdld1.policy)" = "$(wc -l <"$work/asked")" ] || echo "a text without gettext-domain"
	while IFS= read -r text; do
		said=$(TEXTDOMAINDIR=$build/locale german gettext -d fdld -- "$text")
		[ "$said" != "$text" ] || echo "not translated: $text"
		# what polkit fills in must be the same
		# shellcheck disable=SC2016
		diff <(grep -o '\$([a-z]*)' <<<"$text" | sort) <(grep -o '\$([a-z]*)' <<<"$said" | sort) || echo "in: $said"
	done <"$work/asked"
)"
verdict "de: @FIELDS@ of journal texts are kept" "$(
	python3 - <<'PY'
import re
text = open("po/de.po", encoding="utf-8").read()
for source, made in re.findall(r'^msgid "(.*@.*)"\nmsgstr "(.*)"', text, re.M):
    if sorted(re.findall(r"@\w+@", source)) != sorted(re.findall(r"@\w+@", made)):
        print(made)
PY
)"

# the journal's catalogue
mkdir -p "$work/root/usr/lib/systemd/catalog" "$work/root/var/lib/systemd/catalog"
cp systemd/*.catalog "$work/root/usr/lib/systemd/catalog/"
verdict "the journal's catalogue in every language (else: make words)" "$(
	po/catalog.py --check
	journalctl --root="$work/root" --update-catalog 2>&1
	for tongue in "${languages[@]}"; do
		[ "$(grep -c '^Subject: ' "systemd/fdld.$tongue.catalog")" = "$(grep -c '^Subject: ' systemd/fdld.catalog)" ] || echo "$tongue: entries"
		grep -xF -f <(grep '^Subject: ' systemd/fdld.catalog) "systemd/fdld.$tongue.catalog" | sed "s/^/$tongue: not translated: /"
		grep -qaF "$(sed -n '/^Subject: /{p;q}' "systemd/fdld.$tongue.catalog")" "$work/root/var/lib/systemd/catalog/database" || echo "$tongue: not in the database"
	done
)"

# ---- completion ------------------------------------------------------------------------------
verdict "the completion functions parse" "$(
	bash -n client/completions/fdlctl.bash 2>&1
	zsh -n client/completions/_fdlctl 2>&1
	fish --no-config -n client/completions/fdlctl.fish 2>&1
	head -n 1 client/completions/_fdlctl | grep -qx '#compdef fdlctl' || echo "zsh: no #compdef"
)"

echo "1..$n"
exit $bad
