#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# make install into a DESTDIR puts every file where it belongs, and make uninstall takes all of them away. TAP.
set -u
cd "$(dirname "$0")/../.." || exit 1
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
rc=0
if make --no-print-directory DESTDIR="$root" prefix=/usr install >"$root.log" 2>&1 && [ -x "$root/usr/bin/fdlctl" ] &&
	"$root/usr/bin/fdlctl" --version >/dev/null && "$root/usr/libexec/fdld" --version >/dev/null; then
	echo "ok 1 - install"
else
	cat "$root.log"
	echo "not ok 1 - install"
	rc=1
fi
make --no-print-directory DESTDIR="$root" prefix=/usr uninstall >"$root.log" 2>&1
left=$(find "$root" -type f)
if [ -z "$left" ]; then echo "ok 2 - uninstall leaves nothing"; else
	echo "$left"
	echo "not ok 2 - uninstall leaves nothing"
	rc=1
fi
rm -f "$root.log"
exit $rc
