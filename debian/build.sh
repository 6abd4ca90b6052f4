#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# make deb: the packages, with their source package, from a clean copy of the tree below build/deb. Needs no root, and no git:
# without it everything but build/ counts as source. Does nothing if nothing has changed since.
# usage: debian/build.sh [OUTDIR]
set -eu
cd "$(dirname "$0")/.."
out=${1:-build/deb}
export LC_ALL=C.UTF-8
files() {
	if [ "$(git rev-parse --show-toplevel 2>/dev/null)" = "$(pwd -P)" ]; then
		git ls-files -z --cached --others --exclude-standard
	else
		find . \( -path ./build -o -path ./.git \) -prune -o \( -type f -o -type l \) -print0
	fi | while IFS= read -r -d '' f; do [ ! -e "$f" ] || printf '%s\0' "${f#./}"; done | sort -z
}
name=$(dpkg-parsechangelog -S Source) version=$(dpkg-parsechangelog -S Version)
made=$(sed -n 's/^VERSION *:= *//p' Makefile)
if [ "$made" != "$version" ]; then
	echo "Makefile says version $made, debian/changelog $version" >&2
	exit 1
fi
mkdir -p "$(dirname "$out")"
exec 9>"$out.lock"
flock 9
state=$(files | xargs -0 sha256sum | sha256sum)
if [ "$(cat "$out/state" 2>/dev/null)" != "$state" ]; then
	rm -rf "$out"
	tree=$out/$name-$version
	mkdir -p "$tree"
	files | xargs -0 cp -a --parents -t "$tree"
	# the tests have their own commands; a build by hand (dpkg-buildpackage) runs those of the units
	(cd "$tree" && DEB_BUILD_OPTIONS="nocheck parallel=$(nproc)" dpkg-buildpackage -us -uc) >"$out/log" 2>&1 9>&- || {
		tail -n 40 "$out/log" >&2
		echo "the whole log: $out/log" >&2
		exit 1
	}
	rm -rf "$tree"
	echo "$state" >"$out/state"
fi
ls -1 "$out"/*.deb
