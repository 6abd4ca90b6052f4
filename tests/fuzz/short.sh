#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A short run of one fuzz target over its corpus and fresh inputs; prints one TAP line.
set -u
target=$1
name=${target##*/}
here=$(dirname "$0")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
seeds=()
[ -d "$here/corpus/${name#fuzz_}" ] && seeds=("$here/corpus/${name#fuzz_}")
if "$target" -seed=1 -max_total_time="${FUZZ_SECONDS:-5}" -timeout=10 -rss_limit_mb=2048 -artifact_prefix="$work/" \
	"$work" "${seeds[@]}" >"$work.log" 2>&1; then
	echo "ok 1 - $name: $(grep -o 'Done [0-9]* runs' "$work.log")"
	rm -f "$work.log"
else
	tail -n 40 "$work.log"
	for f in "$work"/crash-* "$work"/timeout-* "$work"/oom-*; do
		[ -f "$f" ] && base64 <"$f" | head -c 4000
	done
	echo "not ok 1 - $name"
	rm -f "$work.log"
	exit 1
fi
