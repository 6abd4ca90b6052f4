#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The plan of the house, enforced: which room may include which, and which outside symbols a room's archive may need.
# usage: check.sh BUILDDIR      (TAP)
set -u
cd "$(dirname "$0")/../.." || exit 1
build=$1
n=0 bad=0
verdict() { # verdict "name" "text of what is wrong, empty if nothing"
	n=$((n + 1))
	if [ -z "$2" ]; then echo "ok $n - $1"; else
		echo "not ok $n - $1"
		printf '%s\n' "$2" | sed 's/^/# /'
		bad=1
	fi
}

# room: folder | rooms it may include | outside headers it may include (regex) | outside symbols it must not need (regex)
io='open|openat|read|write|pread|pwrite|close|socket|ioctl|fopen|poll|epoll_wait|select|mmap'
clock='clock_gettime|gettimeofday|time|nanosleep|usleep'
threads='pthread_.*|thrd_.*'
libs='sqlite3_.*|sd_.*|libusb_.*|udev_.*|event_.*|evtimer_.*|XML_.*|EVP_.*|json_.*'
rules=(
	"common|common|systemd/sd-journal\.h|sd_bus_.*|libusb_.*|udev_.*|event_.*|XML_.*|EVP_.*|json_.*|sqlite3_.*|$threads"
	"daemon/bsl|common bsl||$io|$clock|$threads|$libs"
	"daemon/pac|common pac|expat\.h|openssl/.*|$io|$clock|$threads|sd_.*|libusb_.*|udev_.*|event_.*|json_.*|sqlite3_.*"
	"daemon/flash|common bsl pac flash||$io|$clock|$threads|$libs"
	"daemon/loop|common loop|event2/.*|pthread\.h|sd_.*|libusb_.*|udev_.*|XML_.*|EVP_.*|json_.*|sqlite3_.*"
	"daemon/usb|common loop usb|libusb.*|libudev\.h|linux/usb.*|pthread\.h|sd_.*|XML_.*|EVP_.*|json_.*|sqlite3_.*"
	"daemon/station|common loop usb pac flash station|openssl/.*|sqlite3\.h|archive.*|pthread\.h|sd_.*|libusb_.*|udev_.*|event_.*|XML_.*|json_.*"
	"daemon/host|common loop station host|systemd/.*|libusb_.*|udev_.*|event_.*|XML_.*|EVP_.*|json_.*|sqlite3_.*"
	"daemon/bus|common loop station bus|systemd/.*|libusb_.*|udev_.*|event_.*|XML_.*|EVP_.*|json_.*|sqlite3_.*"
	"client|common pac flash client|systemd/.*|json-c/.*|ncurses.*|term\.h|libusb_.*|udev_.*|event_.*|XML_.*|sqlite3_.*"
	"tests/phone|tests/phone||$io|$clock|$threads|$libs"
	"tests/compose|tests/compose tests/phone|openssl/.*|expat\.h|$clock|$threads|sd_.*|libusb_.*|udev_.*|event_.*|json_.*"
)
# headers of libc and the kernel that no room is refused; I/O is judged by symbols
plain='^(assert|ctype|errno|fcntl|inttypes|limits|math|poll|signal|stdarg|stdatomic|stdbool|syslog|stddef|stdint|stdio|stdlib|string|strings|time|unistd|locale|getopt|termios|wchar|libintl|dirent|endian|pwd|pthread|langinfo|libgen|sys/[a-z]+|bits/.*|emmintrin|immintrin|x86intrin|linux/.*|net/.*|sched)\.h$'

for rule in "${rules[@]}"; do
	IFS='|' read -r dir rooms rest <<<"$rule"
	[ -n "$(ls "$dir"/*.c 2>/dev/null)" ] || continue
	outside=() forbidden=()
	IFS='|' read -ra parts <<<"$rest"
	for p in "${parts[@]}"; do
		case $p in
		'') ;;
		*'\.h' | openssl/* | event2/* | systemd/* | json-c/* | linux/usb* | libusb.\* | ncurses* | archive*) outside+=("$p") ;;
		*) forbidden+=("$p") ;;
		esac
	done
	wrong=
	while IFS=: read -r file inc; do
		inc=${inc#*[<\"]}
		inc=${inc%%[>\"]*}
		ok=
		for r in $rooms; do
			case $inc in "$r"/*) ok=1 ;; esac
		done
		[ -f "$(dirname "$file")/$inc" ] && ok=1
		[ -z "$ok" ] && [[ $inc =~ $plain ]] && ok=1
		for o in "${outside[@]}"; do [[ $inc =~ ^${o}$ ]] && ok=1; done
		[ -n "$ok" ] || wrong+="$file includes $inc"$'\n'
	done < <(grep -HE '^[[:space:]]*#[[:space:]]*include' "$dir"/*.[ch])
	verdict "$dir includes only what its floor may see" "$wrong"

	lib=$build/lib$(basename "$dir").a
	[ -f "$lib" ] || continue
	pattern=$(IFS='|' && echo "${forbidden[*]}")
	wrong=$(nm -u "$lib" 2>/dev/null | awk '$1 == "U" { sub(/@.*/, "", $2); print $2 }' | sort -u | grep -xE "($pattern)" | sed "s|^|$lib needs |")
	verdict "$dir needs only the symbols its floor may use" "$wrong"
done

# tests of the device side share nothing with the house
wrong=$(comm -12 <(nm --defined-only -g "$build/libphone.a" 2>/dev/null | awk 'NF == 3 { print $3 }' | sort -u) \
	<(nm -u "$build"/lib{common,bsl,pac,flash,loop,usb,station,host,bus}.a 2>/dev/null | awk '$1 == "U" { print $2 }' | sort -u))
verdict "no room of the house uses the simulated phone" "$wrong"
echo "1..$n"
exit $bad
