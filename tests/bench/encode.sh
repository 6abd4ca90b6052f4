#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Instructions per payload byte, counted by callgrind: two sizes, and the difference between them.
# usage: encode.sh BUILDDIR
set -eu
program=${1:?usage: encode.sh BUILDDIR}/tests/bench/bench_encode
small=1984 large=9920 # KiB: 32 and 160 frames of 62 KiB

command -v valgrind >/dev/null || {
	echo "encode: not measurable here (valgrind is not installed)"
	exit 0
}

count() { # mode KiB -> instructions
	valgrind --tool=callgrind --callgrind-out-file=/dev/null "$program" "$1" "$2" 2>&1 |
		awk '/Collected/ { print $NF }'
}

per_byte() { # mode
	local a b
	a=$(count "$1" "$small")
	b=$(count "$1" "$large")
	awk -v a="$a" -v b="$b" -v bytes=$(((large - small) * 1024)) 'BEGIN { printf "%.2f", (b - a) / bytes }'
}

echo "encode plain: $(per_byte plain) instructions/byte (goal 1.0)"
echo "encode escaped: $(per_byte escaped) instructions/byte (goal 2.5)"
