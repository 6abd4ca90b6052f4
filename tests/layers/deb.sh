#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The Debian packages: built, looked at by lintian and by us, and installed, upgraded, removed and purged in a throw-away Debian
# (deb-inside.sh), with their own maintainer scripts, the real bus and the real service. Root, or user namespaces, are needed
# for the last. That Debian is made once, and again when the packages need others. TAP.
# usage: deb.sh [OUTDIR]
set -u
cd "$(dirname "$0")/../.." || exit 1
out=$(realpath -m "${1:-build/deb}")
root=$out.root
export LC_ALL=C.UTF-8
n=0 bad=0
verdict() { # verdict "name" "text of what is wrong, empty if nothing"
	n=$((n + 1))
	if [ -z "$2" ]; then echo "ok $n - $1"; else
		echo "not ok $n - $1"
		printf '%s\n' "$2" | sed 's/^/# /'
		bad=1
	fi
}
finish() {
	echo "1..$n"
	exit $bad
}

# ---- built ----
said=$(debian/build.sh "$out" 2>&1) || verdict "the packages build" "$said"
((bad == 0)) || finish
version=$(dpkg-parsechangelog -S Version)
fdld=("$out"/fdld_"$version"_*.deb) fdlctl=("$out"/fdlctl_"$version"_*.deb)
verdict "the packages build" "$(ls "${fdld[0]}" "${fdlctl[0]}" 2>&1 >/dev/null)"
# without the tree's history, from what a release would hold
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
left=$(tar -tf "$out/fdld_$version.tar.xz" | sed -n 's|^[^/]*/||p' | grep -E '^(build|\.git)/|\.o$|\.deb$')
verdict "the source package holds no build" "$left"

# what is linked has to be asked for, though this machine may have it anyway
left=
wants=$(dpkg-query -W -f '${binary:Package}\n' | sed 's/:.*//' | grep -Fxf <(sed -n '/^Build-Depends:/,/^[^ B]/p' debian/control | grep -oE '[a-z0-9][a-z0-9.+-]+'))
# shellcheck disable=SC2016 # make expands it
for pc in $(make -s -f Makefile --eval='print-pkgs:; @echo $(PKGS)' print-pkgs); do
	owner=$(dpkg -S "$(pkg-config --variable=pcfiledir "$pc")/$pc.pc" 2>/dev/null | sed 's/[:].*//')
	grep -Fqx "${owner:-nobody}" <<<"$wants" || left+="$pc is in ${owner:-no package}, which Build-Depends does not name"$'\n'
done
verdict "every library is in Build-Depends" "$left"

# ---- looked at ----
said=$(lintian --pedantic --display-info --allow-root "$out"/*.changes 2>&1 | grep -E '^[EWIPX]: ')
verdict "lintian, pedantic, has nothing to say" "$said"
left=
for f in debian/*lintian-overrides debian/source/lintian-overrides; do
	[ ! -e "$f" ] || left+=$(awk '/^#/ { reason = 1; next } NF && !reason { print FILENAME ": " $0 } NF { reason = 0 }' "$f")
done
verdict "every override has its reason beside it" "$left"
mkdir "$work/fdld" "$work/fdlctl"
dpkg-deb -x "${fdld[0]}" "$work/fdld" && dpkg-deb -x "${fdlctl[0]}" "$work/fdlctl"
left=
for f in lib/systemd/system/fdld.service lib/udev/rules.d/70-fdld.rules usr/lib/sysusers.d/fdld.conf usr/lib/tmpfiles.d/fdld.conf \
	usr/lib/systemd/catalog/fdld.catalog usr/libexec/fdld usr/share/dbus-1/system.d/org.fdld1.conf \
	usr/share/dbus-1/system-services/org.fdld1.service usr/share/polkit-1/actions/org.fdld1.policy \
	usr/share/man/man8/fdld.8.gz usr/share/man/man5/org.fdld1.5.gz usr/share/man/man5/fdld-rules.5.gz; do
	[ -f "$work/fdld/$f" ] || left+="fdld lacks $f"$'\n'
done
for f in usr/bin/fdlctl usr/share/man/man1/fdlctl.1.gz; do
	[ -f "$work/fdlctl/$f" ] || left+="fdlctl lacks $f"$'\n'
done
left+=$(grep -rnE '@[a-z]+@' "$work"/fdld/{lib,usr/lib,usr/share/dbus-1} 2>&1)
left+=$(cd "$work" && find . ! -type d -perm /6002 -o ! -type d ! -perm -444 | sed 's/$/: its mode/')
left+=$(dpkg-deb -c "${fdld[0]}" | awk '$2 != "root/root"')$(dpkg-deb -c "${fdlctl[0]}" | awk '$2 != "root/root"')
verdict "each file is where its reader looks, root's, and readable" "$left"
left=$(comm -12 <(cd "$work/fdld" && find . ! -type d | sort) <(cd "$work/fdlctl" && find . ! -type d | sort))
left+=$(cd "$work" && find . -path '*/etc/*' ! -type d | sed 's|^\./[a-z]*||' | sort | comm -3 - <(
	for p in "${fdld[0]}" "${fdlctl[0]}"; do dpkg-deb -I "$p" conffiles 2>/dev/null; done | sort))
verdict "no file is in both, and what is below /etc is the administrator's" "$left"
left=
for f in "$work/fdld/usr/libexec/fdld" "$work/fdlctl/usr/bin/fdlctl"; do
	said=$(readelf -W -d -h -l "$f" && nm -D "$f")
	grep -q 'Type: *DYN' <<<"$said" || left+="$f: not position independent"$'\n'
	grep -q 'FLAGS.*NOW' <<<"$said" || left+="$f: late binding"$'\n'
	grep -q 'GNU_RELRO' <<<"$said" || left+="$f: tables can be written"$'\n'
	grep -q '__stack_chk_fail' <<<"$said" || left+="$f: stack is not protected"$'\n'
	grep -q '__snprintf_chk\|__vsnprintf_chk' <<<"$said" || left+="$f: not fortified"$'\n'
	grep -q 'GNU_STACK.* RWE' <<<"$said" && left+="$f: stack can be run"$'\n'
done
verdict "the distribution's hardening is in the programs" "$left"
left=$(dpkg-deb -f "${fdlctl[0]}" Depends | grep -oE '\b(fdld|libevent|libusb|libudev|systemd)\b[^,]*')
dpkg-deb -f "${fdlctl[0]}" Recommends | grep -qE '\bfdld\b' || left+=" fdlctl does not recommend fdld"
verdict "fdlctl needs nothing of the service, and recommends it" "$left"

# ---- used ----
inside() { # a root of our own, which takes its processes and mounts with it
	local map=()
	[ "$(id -u)" = 0 ] || map=(--user --map-root-user --map-auto)
	unshare "${map[@]}" --mount --pid --ipc --fork --kill-child "$@"
}
if ! inside true 2>"$work/log"; then
	echo "ok $((n += 1)) - installed in a throw-away Debian # SKIP neither root nor user namespaces: $(tail -n 1 "$work/log")"
	finish
fi
# what the two depend on, first alternatives, and what their scripts and we need beside it
needs=$(for p in "${fdld[0]}" "${fdlctl[0]}"; do dpkg-deb -f "$p" Depends; done | tr ',' '\n' | sed 's/|.*//; s/(.*//; s/ //g' | sort -u)
needs=$(tr '\n' ',' <<<"$needs"),bash,coreutils,dash,sed,grep,mawk,findutils,diffutils,dpkg,debconf,libc-bin,base-files,base-passwd
needs=${needs//,,/,},passwd,login,debianutils,init-system-helpers,mount,util-linux,procps,dbus-daemon
if [ "$(cat "$root/needs" 2>/dev/null)" != "$needs" ]; then
	rm -rf "$root" && mkdir -p "$root"
	src=()
	for f in /etc/apt/sources.list /etc/apt/sources.list.d/debian.sources; do [ ! -s "$f" ] || src+=("$f"); done
	mmdebstrap --quiet --variant=custom --include="$needs" --dpkgopt='path-exclude=/usr/share/doc/*' \
		--dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/man/*' \
		"$(. /etc/os-release && echo "$VERSION_CODENAME")" "$root/debian.tar" "${src[@]}" >"$work/log" 2>&1 && echo "$needs" >"$root/needs"
	echo "# made a throw-away Debian"
fi
[ -s "$root/needs" ] || {
	verdict "a throw-away Debian can be made" "$(tail -n 20 "$work/log")"
	finish
}
# a later version, as a release brings it: the same files under another number
mkdir "$work/put"
cp "${fdld[0]}" "${fdlctl[0]}" tests/layers/deb-inside.sh "$work/put"
dpkg-deb -R "${fdld[0]}" "$work/later" && sed -i "s/^Version: .*/Version: $version+later/; s/fdlctl (= [^)]*)/fdlctl/" "$work/later/DEBIAN/control" &&
	dpkg-deb --root-owner-group -b "$work/later" "$work/put/later.deb" >"$work/log" 2>&1
for f in "${FDLD_DATA:-../shared/data}"/pac/*.pac; do [ ! -s "$f" ] || cp "$f" "$work/put/real.pac"; done
# shellcheck disable=SC2016 # expanded inside
inside bash -c 'mkdir "$1/root" && mount -t tmpfs -o mode=755 tmpfs "$1/root" && tar -xf "$2" -C "$1/root" --exclude="./dev/*" &&
	mkdir "$1/root/put" && cp -a "$1"/put/* "$1/root/put/" && mount -t proc proc "$1/root/proc" &&
	for d in null zero random urandom tty; do : >"$1/root/dev/$d" && mount --bind "/dev/$d" "$1/root/dev/$d"; done &&
	exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive HOME=/root \
	chroot "$1/root" bash /put/deb-inside.sh "$3" "$4"' -- "$work" "$root/debian.tar" "$n" "$version" || bad=1
exit $bad
