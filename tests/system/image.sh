#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The machine that `make system-test` boots: a kernel, and a Debian as one cpio archive that is root file system and
# initramfs at once. Nothing of ours is in it but the two lines that start the test; fdld comes in as packages at run time,
# so that a changed daemon does not build the machine anew. Kept until this file changes.
# usage: image.sh DIR [PACKAGE...]      with these packages, too; makes DIR/vmlinux, DIR/base.cpio, DIR/kernel; prints what it did in "# " lines
set -euo pipefail
cache=$1
shift
self=$(readlink -f "$0")
suite=bookworm

mkdir -p "$cache"
cache=$(cd "$cache" && pwd)
key=$({ cat "$self"; echo "$*"; } | sha256sum | cut -c1-16)
exec 9>"$cache/lock"
flock 9
if [ "$(cat "$cache/key" 2>/dev/null)" = "$key" ] && [ -s "$cache/vmlinux" ] && [ -s "$cache/base.cpio" ]; then
	echo "# image: cached in $cache (kernel $(cat "$cache/kernel"))"
	exit 0
fi
started=$(date +%s)
rm -f "$cache/key"
work=$(mktemp -d "$cache/work.XXXXXX")
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"

# ---- kernel: the packaged one, unpacked and not installed ----
package=$(apt-cache depends linux-image-amd64 | awk '$1 == "Depends:" { print $2; exit }')
release=${package#linux-image-}
mkdir -p "$work/kernel" "$cache/debs" "$cache/kernels"
ls "$cache/kernels/${package}"_*.deb >/dev/null 2>&1 ||
	(cd "$cache/kernels" && apt-get -qq -o APT::Sandbox::User="$(id -un)" download "$package")
dpkg-deb --fsys-tarfile "$cache/kernels/${package}"_*.deb | tar -C "$work/kernel" -x ./boot ./lib/modules
depmod -b "$work/kernel" "$release"
# The compressed kernel inside the boot image, unpacked here: emulated, that takes seconds of each boot. Where it lies is said
# in the setup header: 512-byte sectors of setup code, offset and length of the payload, whose last four bytes are its size.
python3 - "$work/kernel/boot/vmlinuz-$release" "$work/vmlinux" <<'PY'
import lzma, struct, sys
image = open(sys.argv[1], "rb").read()
sectors = image[0x1f1] or 4
offset, length = struct.unpack_from("<II", image, 0x248)
at = (sectors + 1) * 512 + offset
payload = image[at:at + length]
if payload[:6] != b"\xfd7zXZ\0":
    sys.exit("the kernel is not packed with xz")
elf = lzma.LZMADecompressor(format=lzma.FORMAT_XZ).decompress(payload)
if elf[:4] != b"\x7fELF" or len(elf) != struct.unpack("<I", payload[-4:])[0]:
    sys.exit("what is in the boot image is not a whole ELF kernel")
open(sys.argv[2], "wb").write(elf)
PY

# ---- what goes into the root file system beside the packages ----
tree=$work/tree
modules=$tree/usr/lib/modules/$release
mkdir -p "$modules" "$tree/share" "$tree/etc/modules-load.d" "$tree/etc/systemd/system.conf.d" "$tree/usr/local/sbin"
units=$tree/etc/systemd/system
mkdir -p "$units/multi-user.target.wants" "$units/systemd-udev-trigger.service.d" "$units/journald.conf.d"
cp "$work/kernel/lib/modules/$release"/modules.{order,builtin,builtin.modinfo} "$modules"
# the last four are what would take a phone for a modem
for module in vhci-hcd 9p 9pnet_virtio virtio_pci virtio_blk ext4 crc32c_generic autofs4 usbmon option usb-serial-simple qmi_wwan cdc-acm; do
	modprobe -d "$work/kernel" -S "$release" --show-depends "$module" | awk '$1 == "insmod" { print $2 }'
done | sort -u | while read -r file; do
	install -D -m 644 "$file" "$modules/${file#*"/lib/modules/$release/"}"
done
depmod -b "$tree/usr" "$release" 2>/dev/null || (ln -s usr/lib "$tree/lib" && depmod -b "$tree" "$release" && rm "$tree/lib")
printf '%s\n' vhci-hcd 9pnet_virtio virtio_blk ext4 >"$tree/etc/modules-load.d/system-test.conf"
echo 0123456789abcdef0123456789abcdef >"$tree/etc/machine-id"
echo station >"$tree/etc/hostname"
: >"$tree/etc/fstab"
printf '[Manager]\nDefaultLimitCORE=infinity\n' >"$tree/etc/systemd/system.conf.d/core.conf"
rmdir "$units/journald.conf.d"
mkdir -p "$tree/etc/systemd/journald.conf.d"
# volatile, and no line of a busy test is dropped
printf '[Journal]\nStorage=volatile\nRuntimeMaxUse=64M\nRateLimitIntervalSec=0\n' >"$tree/etc/systemd/journald.conf.d/test.conf"
# only what a machine without disks, screens and networks has to find at boot
printf '[Service]\nExecStart=\nExecStart=udevadm trigger --type=devices --action=add' >"$units/systemd-udev-trigger.service.d/few.conf"
printf ' --subsystem-match=%s' pci usb misc mem virtio block tty >>"$units/systemd-udev-trigger.service.d/few.conf"
for unit in getty@tty1 serial-getty@ttyS0 systemd-timesyncd systemd-update-utmp systemd-update-utmp-runlevel systemd-random-seed \
	systemd-machine-id-commit systemd-firstboot systemd-hwdb-update systemd-journal-flush ldconfig systemd-pstore systemd-sysusers \
	systemd-update-done systemd-remount-fs kmod-static-nodes dpkg-db-backup; do
	ln -s /dev/null "$units/$unit.service"
done
for unit in dev-hugepages.mount dev-mqueue.mount sys-kernel-tracing.mount sys-fs-fuse-connections.mount \
	proc-sys-fs-binfmt_misc.automount systemd-tmpfiles-clean.timer apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer; do
	ln -s /dev/null "$units/$unit"
done
ln -s /usr/lib/systemd/system/multi-user.target "$units/default.target"
# The test is a service beside others. Ordered before fdld so that it, and its phones with it, outlives fdld when the
# machine goes down.
cat >"$units/system-test.service" <<'UNIT'
[Unit]
Description=System test of fdld
After=basic.target dbus.socket systemd-logind.service
Before=fdld.service
[Service]
Type=exec
ExecStart=/usr/local/sbin/system-test
StandardOutput=append:/dev/ttyS0
StandardError=inherit
TimeoutStopSec=60
OOMScoreAdjust=-900
UNIT
ln -s ../system-test.service "$units/multi-user.target.wants/system-test.service"
cat >"$tree/usr/local/sbin/system-test" <<'RUN'
#!/bin/bash
# The test itself lies on the host's share. Its status leaves through the port of isa-debug-exit: 2n+1 ends the emulator.
export HOME=/root TERM=dumb SYSTEMD_COLORS=0 SYSTEMD_PAGER= PAGER=cat LC_ALL=C.UTF-8
mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144 share /share &&
	echo 1 >/proc/sys/kernel/core_uses_pid && echo '/share/core.%e' >/proc/sys/kernel/core_pattern
trap : TERM # the test decides when it ends
/share/guest /share
rc=$?
((rc == 100)) && exit 0 # the machine goes down by itself
journalctl -b -o short-monotonic --no-pager >/share/journal.txt
echo "$rc" >/share/rc
sync
((rc <= 120)) || rc=120
printf "\\x$(printf %02x "$rc")" | dd of=/dev/port bs=1 seek=244 conv=notrunc status=none
RUN
chmod 755 "$tree/usr/local/sbin/system-test"
tar -C "$tree" --owner=0 --group=0 -cf "$work/tree.tar" .

# ---- the root file system ----
packages=bash,coreutils,dash,sed,grep,mawk,findutils,diffutils,procps,util-linux,util-linux-extra,mount,login,passwd,hostname,kmod
packages+=,libc-bin,base-files,base-passwd,debianutils,init-system-helpers,tar,gzip,dpkg,perl-base,debconf
packages+=,systemd,systemd-sysv,libpam-systemd,udev,dbus,polkitd,modemmanager
for package in "$@"; do packages+=,$package; done
sources=()
for file in /etc/apt/sources.list /etc/apt/sources.list.d/debian.sources; do
	[ ! -s "$file" ] || sources+=("$file")
done
mode=unshare
[ "$(id -u)" != 0 ] || mode=root
# shellcheck disable=SC2016 # $1 is the hooks' own, the new root
trim='cd "$1" && rm -rf usr/lib/x86_64-linux-gnu/gconv usr/share/zoneinfo usr/lib/udev/hwdb.bin usr/lib/udev/hwdb.d etc/udev/hwdb.bin var/cache/* '
trim+='var/lib/apt/lists/* var/log/* usr/lib/systemd/system-generators/* && mkdir -p var/cache/debconf share && ln -sfn sbin/init init'
# What was fetched once is kept, so that another recipe asks the archive for its lists only.
# shellcheck disable=SC2016
mmdebstrap --quiet --mode=$mode --skip=download/empty --skip=essential/unlink --setup-hook='mkdir -p "$1/var/cache/apt/archives"' \
	--setup-hook="sync-in $cache/debs /var/cache/apt/archives" --customize-hook="sync-out /var/cache/apt/archives $cache/debs" \
	--variant=custom --format=tar --include="$packages" \
	--dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
	--customize-hook='chroot "$1" useradd -m -s /bin/bash alice' --customize-hook='chroot "$1" useradd -m -s /bin/bash bob' \
	--customize-hook="$trim" --customize-hook="tar-in $work/tree.tar /" \
	"$suite" "$work/root.tar" "${sources[@]}"
# owners and modes go from one archive straight into the other, without a file system between that would need root
bsdtar --format=newc --exclude './dev/*' -cf "$work/base.cpio" "@$work/root.tar"
mv "$work/vmlinux" "$work/base.cpio" "$cache/"
echo "$release" >"$cache/kernel"
echo "$key" >"$cache/key"
echo "# image: built in $(($(date +%s) - started)) s (kernel $release, $(($(stat -c %s "$cache/base.cpio") >> 20)) MiB, mode $mode)"
