#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# make install into a DESTDIR puts every file where it belongs, and make uninstall takes all of them away, but for what
# the administrator has written. TAP.
set -u
cd "$(dirname "$0")/../.." || exit 1
root=$(mktemp -d)
trap 'rm -rf "$root" "$root.log"' EXIT
rc=0
verdict() { # verdict NUMBER NAME: as the command before it ended
	local status=$?
	if ((status == 0)); then echo "ok $1 - $2"; else
		cat "$root.log"
		echo "not ok $1 - $2"
		rc=1
	fi
}
run() { make --no-print-directory DESTDIR="$root" prefix=/usr "$1" >"$root.log" 2>&1; }
conf=$root/etc/fdld/fdld.conf

run install && [ -x "$root/usr/bin/fdlctl" ] && "$root/usr/bin/fdlctl" --version >/dev/null && "$root/usr/libexec/fdld" --version >/dev/null
verdict 1 install
[ -d "$conf.d" ] && (umask 022 && "$root/usr/bin/fdlctl" config check --root "$root" &&
	"$root/usr/bin/fdlctl" rules check --root "$root" | grep -q 'rules\.d/example\.conf  rules: 0$') >>"$root.log" 2>&1
verdict 2 "what is installed as configuration is good, and in its place"
echo "# mine" >>"$conf" && run install && [ "$(tail -n 1 "$conf")" = "# mine" ] && cmp -s daemon/fdld.conf "$conf.new"
verdict 3 "an fdld.conf that was edited is not overwritten"
run uninstall && [ "$(find "$root" -type f)" = "$conf" ]
verdict 4 "nor removed; nothing else is left"
cp daemon/fdld.conf "$conf" && run uninstall && [ -z "$(find "$root" -type f)" ] && [ ! -d "$conf.d" ]
verdict 5 "uninstall leaves nothing"
exit $rc
