#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Small named sabotages of the real code, one at a time: the test named beside each must fail. A survivor fails the run.
# usage: tests/mutants/run.sh [name...]        TAP, then the sum
#
# A mutant is a file NN-name.mutant:
#     file: path of the source            test: program below the build folder's tests/, with arguments
#     only: the one test of that program to run, for those that look at ONLY (may be left out)
#     why:  the promise it breaks
#     --- search
#     whole lines, or the end of one and more, that stand exactly once in the file
#     --- replace
#     what stands there instead
set -u
cd "$(dirname "$0")/../.." || exit 1
root=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
jobs=$(nproc)
workers=$((jobs + 1)) # while one waits another is built
export CMOCKA_MESSAGE_OUTPUT=TAP FDLD_BUILD=build PATIENCE=1 # most fail by what does not come
unset FDLD_DATA # made inputs only

if (($#)); then
	list=()
	for n in "$@"; do list+=(tests/mutants/*"$n"*.mutant); done
else
	mapfile -t list < <(printf '%s\n' tests/mutants/*.mutant | sort -V)
fi

field() { sed -n "/^--- search/q; s/^$2: *//p" "$1" | head -n 1; }

targets() { # what the test of a mutant needs
	local test
	test=$(field "$1" test)
	echo "build/tests/${test%% *}"
	[[ $test != bus/* ]] || echo all
}

run_test() { # run_test TREE MUTANT
	local test only
	test=$(field "$2" test)
	only=$(field "$2" only)
	(
		cd "$1" || exit 1
		[ -z "$only" ] || export ONLY=$only
		# shellcheck disable=SC2086
		timeout $((30 + 30 * PATIENCE)) build/tests/$test
	)
}

# the unharmed tree once, built, then one copy for each worker; times are kept so that nothing is built twice
programs=$(for m in "${list[@]}"; do targets "$m"; done | sort -u)
mkdir -p "$work/0"
git ls-files -z --cached --others --exclude-standard | xargs -0 cp -a --parents -t "$work/0"
# shellcheck disable=SC2086
if ! make -C "$work/0" --no-print-directory -j"$jobs" $programs EXTRA_CFLAGS=-Wno-error >"$work/build.log" 2>&1; then
	tail -n 30 "$work/build.log"
	echo "not ok 1 - the unharmed tree builds"
	echo "0 passed, 1 failed, 0 skipped"
	exit 1
fi

# what fails, or runs no test at all, without being harmed catches nothing; most of these wait, so that more run at once
healthy() { # healthy NUMBER MUTANT: leaves a file if it is not
	local out=$work/healthy.$1
	if PATIENCE=4 run_test "$work/0" "$2" >"$out" 2>&1 && grep -q '^ok' "$out"; then rm "$out"; fi
}
declare -A seen
running=0
for i in "${!list[@]}"; do
	key="$(field "${list[i]}" test)/$(field "${list[i]}" only)"
	[ -z "${seen[$key]:-}" ] || continue
	seen[$key]=1
	if ((running == jobs + 3)); then
		wait -n
		running=$((running - 1))
	fi
	healthy "$i" "${list[i]}" &
	running=$((running + 1))
done
wait
for i in "${!list[@]}"; do
	[ -f "$work/healthy.$i" ] || continue
	tail -n 30 "$work/healthy.$i"
	echo "not ok 1 - the unharmed tree passes $(field "${list[i]}" test) $(field "${list[i]}" only)"
	echo "0 passed, 1 failed, 0 skipped"
	exit 1
done
for ((w = 1; w < workers; w++)); do cp -a "$work/0" "$work/$w"; done

one() { # one WORKER MUTANT: prints "caught", or what went wrong
	local tree=$work/$1 m=$root/$2 keep=$work/$1.keep file object rc
	file=$(field "$m" file)
	object=build/obj/${file%.c}.o
	cp -a "$tree/$file" "$keep"
	[ ! -f "$tree/$object" ] || cp -a "$tree/$object" "$keep.o"
	if ! python3 - "$m" "$tree/$file" <<'PY'; then
import sys
text = open(sys.argv[1]).read()
search, replace = text.split("--- search\n", 1)[1].split("--- replace\n", 1)
source = open(sys.argv[2]).read()
if source.count(search) != 1:
    sys.exit(1)
open(sys.argv[2], "w").write(source.replace(search, replace))
PY
		echo "the text to replace does not stand exactly once in $file"
		cp -a "$keep" "$tree/$file"
		return
	fi
	# shellcheck disable=SC2046
	if ! make -C "$tree" --no-print-directory $(targets "$m") EXTRA_CFLAGS=-Wno-error >"$work/$1.log" 2>&1; then
		echo "the sabotaged code does not build: $(grep -m 1 error: "$work/$1.log")"
	else
		run_test "$tree" "$m" >"$work/$1.log" 2>&1
		rc=$?
		if ((rc == 0)); then echo "SURVIVED $(field "$m" test) $(field "$m" only)"; else echo caught; fi
	fi
	# the object too, or it would be compiled once more for nothing; what it goes into has to be made anew
	cp -a "$keep" "$tree/$file"
	if [ -f "$keep.o" ]; then
		cp "$keep.o" "$tree/$object"
		rm "$keep.o"
	else
		touch "$tree/$file"
	fi
}

worker() {
	local i
	for ((i = $1; i < ${#list[@]}; i += workers)); do
		one "$1" "${list[i]}" >"$work/result.$i"
	done
}
for ((w = 0; w < workers; w++)); do worker "$w" & done
wait

pass=0 fail=0
for i in "${!list[@]}"; do
	name=$(basename "${list[i]}" .mutant)
	verdict=$(cat "$work/result.$i")
	if [ "$verdict" = caught ]; then
		pass=$((pass + 1))
		echo "ok $((i + 1)) - $name: $(field "${list[i]}" why)"
	else
		fail=$((fail + 1))
		echo "not ok $((i + 1)) - $name: $verdict"
	fi
done
echo "$pass passed, $fail failed, 0 skipped"
((fail == 0))
