#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The threat page names tests: each of them must be there, by the words it is called by. TAP.
set -u
cd "$(dirname "$0")/../.." || exit 1
page=${1:-ARCHITECTURE.md}
n=0 bad=0
section=$(sed -n '/^## Threats$/,/^## /p' "$page")
# shellcheck disable=SC2016 # the backticks are the page's
while read -r proof; do
	program=${proof%%: *} words=
	[ "$program" = "$proof" ] || words=${proof#*: }
	files=()
	for f in tests/{unit,bus,sim,fuzz,system}/"$program".c tests/layers/"$program"; do [ ! -f "$f" ] || files+=("$f"); done
	n=$((n + 1))
	if ((${#files[@]} == 1)) && grep -qF -- "$words" "${files[0]}"; then echo "ok $n - $proof"; else
		echo "not ok $n - $proof: ${files[*]:-no such program}"
		bad=1
	fi
done < <(grep -oE '`((check|test|sim|fuzz|s)_[a-z0-9_]+|[a-z-]+\.sh)(: [^`]+)?`' <<<"$section" | tr -d '`' | sort -u)
# who may do what is only said when every action is
n=$((n + 1))
left=$(sed -n 's/.*<action id="org\.fdld1\.\([a-z-]*\)".*/\1/p' dbus/org.fdld1.policy | while read -r action; do grep -qF "\`$action\`" <<<"$section" || echo "$action"; done)
if [ -z "$left" ]; then echo "ok $n - every action has its row"; else
	echo "not ok $n - no word of: ${left//$'\n'/ }"
	bad=1
fi
# and what it says is asked for is what the policy asks for
n=$((n + 1))
wrong=
while read -r action any inactive active; do
	row=$(grep -E "^\|[^|]*\`$action\`" <<<"$section")
	[ "$any $inactive" = "auth_admin auth_admin" ] || wrong+="$action: $any $inactive"$'\n'
	case $active in
	auth_admin_keep) want='kept for minutes at the seat' ;;
	auth_admin) want='every time' ;;
	*) want="no words for $active" ;;
	esac
	[[ $row == *"| an administrator's password, $want |"* ]] || wrong+="$action is not said to be asked for: $want"$'\n'
done < <(sed -n 's/.*<action id="org\.fdld1\.\([a-z-]*\)".*/\1/p; s/.*<allow_[a-z]*>\(.*\)<.*/\1/p' dbus/org.fdld1.policy | paste -d' ' - - - -)
if [ -z "$wrong" ]; then echo "ok $n - every action is asked for as the policy asks"; else
	echo "not ok $n - ${wrong//$'\n'/; }"
	bad=1
fi
# a page that has lost its proofs proves nothing
n=$((n + 1))
if ((n > 40)); then echo "ok $n - the page names its proofs"; else
	echo "not ok $n - the page names $n proofs only"
	bad=1
fi
echo "1..$n"
exit $bad
