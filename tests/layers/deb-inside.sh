#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Second half of deb.sh, in the throw-away Debian: what dpkg makes of the packages in /put. The bus and the service are the real
# ones; of the service manager there is only as much as the maintainer scripts talk to, and it writes down what it is told.
# usage: deb-inside.sh TESTS-SO-FAR VERSION
set -u
n=$1 version=$2 bad=0
calls=/run/calls
verdict() {
	n=$((n + 1))
	if [ -z "$2" ]; then echo "ok $n - $1"; else
		echo "not ok $n - $1"
		printf '%s\n' "$2" | sed 's/^/# /'
		bad=1
	fi
}
fails() { # what it said, if it did not succeed
	local out
	out=$("$@" 2>&1 </dev/null) || printf '%s\n' "${out:-status $?}"
}
# every file and link, but for what dpkg and the account files keep themselves
listing() {
	find / -xdev \( -path /proc -o -path /put -o -path /var/lib/dpkg -o -path /var/cache -o -path /var/log -o -path /tmp -o -path /run -o -path /dev \) -prune -o \
		! -type d ! -path '/etc/passwd*' ! -path '/etc/group*' ! -path '/etc/shadow*' ! -path '/etc/gshadow*' ! -path '/etc/ld.so.cache' \
		! -path '/etc/.pwd.lock' -print | sort
}
until_true() { # until_true TENTHS command...
	local i tenths=$1
	shift
	for ((i = 0; i < tenths; i++)); do
		"$@" && return 0
		sleep 0.1
	done
	return 1
}
manager() { busctl --auto-start=no get-property org.fdld1 /org/fdld1 org.fdld1.Manager "$1" 2>&1; }
service_pid() { cat /run/fdld.pid 2>/dev/null; }
# shellcheck disable=SC2317 # until_true calls it
serves() { [[ $(manager Version) == "s "* ]]; }
ended() { ! kill -0 "$1" 2>/dev/null; }

listing >/run/before

# ---- the client, alone ----
left=$(fails dpkg -i /put/fdlctl_*.deb)$(fails fdlctl --version)$(fails fdlctl errors NameTaken)
fdlctl list >/run/said 2>&1 && left+="it lists slots without a service: $(cat /run/said)"
want=$(fdlctl errors --json PackageSize | sed -n 's/.*"exit_code":[ ]*\([0-9]*\).*/\1/p')
fdlctl info /etc/passwd >/run/said 2>&1
rc=$?
((rc >= 20 && rc <= 49)) || left+="info ended with $rc, not as for a file that is no package (as ${want:-?}): $(cat /run/said)"
if [ -e /put/real.pac ]; then left+=$(fails fdlctl info /put/real.pac); fi
verdict "fdlctl installs and reads packages without the service" "$left"

# ---- in an image, where nothing runs ----
left=$(fails dpkg -i /put/fdld_*.deb)
user=$(grep '^fdld:' /etc/passwd)
[[ $user =~ ^fdld:x:[1-9][0-9]*:[1-9][0-9]*:.*:/var/lib/fdld:/usr/sbin/nologin$ ]] || left+=" passwd: ${user:-no fdld}"
[ "$(stat -c '%U:%G %a' /var/lib/fdld /var/lib/fdld/job 2>&1 | sort -u)" = "fdld:fdld 700" ] || left+=" state: $(stat -c '%n %U:%G %a' /var/lib/fdld/job 2>&1)"
[ -L /etc/systemd/system/multi-user.target.wants/fdld.service ] || left+=" the service is not enabled"
pgrep -x fdld >/dev/null && left+=" something was started"
verdict "installed into an image: user, directories, enabled, nothing started" "$left"
left=$(fails dpkg --purge fdld fdlctl)
left+=$(listing | diff /run/before - | grep '^[<>]')
for d in /var/lib/fdld /etc/fdld /usr/share/doc/fdld /usr/share/doc/fdlctl; do [ ! -e "$d" ] || left+=" $d is still there"; done
grep -q '^fdld:' /etc/passwd || left+=" the user is gone: its number could come to own other's files"
verdict "purged: all of it is gone, but for the user" "$left"

# ---- on a machine that runs ----
sed -i '/^fdld:/d' /etc/passwd /etc/group /etc/shadow /etc/gshadow # a machine that never had it
mkdir -p /run/systemd/system /run/dbus /usr/local/sbin
cat >/usr/local/sbin/systemctl <<'END'
#!/bin/sh
echo "systemctl $*" >>/run/calls
alive() { [ -e /run/fdld.pid ] && kill -0 "$(cat /run/fdld.pid)" 2>/dev/null; }
case "$*" in
show*MainPID*) if alive; then cat /run/fdld.pid; else echo 0; fi ;;
*is-active*) alive ;;
kill*SIGUSR1*) kill -USR1 "$(cat /run/fdld.pid)" ;;
*is-enabled*) echo enabled ;;
esac
END
# as the unit does: another go after 125, none after an end that was asked for
cat >/usr/local/sbin/deb-systemd-invoke <<'END'
#!/bin/bash
echo "invoke $*" >>/run/calls
case $1 in
start)
	[ -e /run/fdld.pid ] && kill -0 "$(cat /run/fdld.pid)" 2>/dev/null && exit 0
	mkdir -p /run/fdld && chown fdld:fdld /run/fdld
	setsid bash -c 'while :; do
		setpriv --reuid=fdld --regid=fdld --clear-groups /usr/libexec/fdld --udev-tag=fdld >>/run/service.log 2>&1 &
		echo $! >/run/fdld.pid
		wait $!
		rc=$?
		echo "ended with $rc" >>/run/calls
		[ $rc = 125 ] || exit 0
	done' </dev/null >/dev/null 2>&1 &
	;;
stop)
	pid=$(cat /run/fdld.pid) || exit 0
	kill -TERM "$pid" 2>/dev/null
	while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
	;;
esac
END
printf '#!/bin/sh\necho "udevadm $*" >>/run/calls\n' >/usr/local/sbin/udevadm
chmod 755 /usr/local/sbin/*
# it runs before the package comes: its rules name a user that it does not know yet
dbus-daemon --system --fork --print-pid >/dev/null || echo "# no bus"
order() { # order "what" "then what" ...: each in the record, one after the other
	local at=0 line what
	for what in "$@"; do
		line=$(awk -v from="$at" -v what="$what" 'NR > from && index($0, what) { print NR; exit }' "$calls")
		[ -n "$line" ] || {
			printf '"%s" was not done, or not in this order:\n%s\n' "$what" "$(cat "$calls")"
			return
		}
		at=$line
	done
}
: >"$calls"
left=$(fails dpkg -i /put/fdld_*.deb)
until_true 300 serves || left+=" the service has no name on the bus: $(cat /run/service.log)"
[[ $(manager Version) == "s \"$version\"" ]] || left+=" version on the bus: $(manager Version)"
[ "$(stat -c %U "/proc/$(service_pid)")" = fdld ] || left+=" it runs as $(stat -c %U "/proc/$(service_pid)")"
left+=$(order "udevadm control --reload" "systemctl reset-failed fdld.service" "invoke start fdld.service" "udevadm trigger --action=change --subsystem-match=usb --attr-match=idVendor=1782 --attr-match=idProduct=4d00")
grep -q SIGUSR1 "$calls" && left+=" a new service was told to begin anew"
verdict "installed on a running machine: it serves on the bus, as its own user; only our phones are triggered" "$left"

# ---- the next version ----
pid=$(service_pid)
: >"$calls"
echo '# ours' >>/etc/fdld/fdld.conf
printf '[jobs]\nkeep = 2h\n' >/etc/fdld/fdld.conf.d/50-ours.conf
left=$(fails dpkg -i /put/later.deb)
grep -qx '# ours' /etc/fdld/fdld.conf || left+=" fdld.conf was overwritten"
ended "$pid" && left+=" the running service was ended"
left+=$(grep -E '\b(stop|restart|try-restart|reload-or-restart)\b' "$calls")
left+=$(order "systemctl kill --kill-whom=main --signal=SIGUSR1 fdld.service")
until_true 300 grep -q "^ended with 125" "$calls" || left+=" it did not make room when it had nothing to do: $(cat /run/service.log)"
until_true 300 serves || left+=" the new one has no name"
case $(readlink "/proc/$(service_pid)/exe") in */fdld) ;; *) left+=" what runs is $(readlink "/proc/$(service_pid)/exe")" ;; esac
verdict "upgraded: nothing is stopped; the new program runs as soon as the old one has nothing to do" "$left"

: >"$calls"
left=$(fails /etc/needrestart/restart.d/fdld.service)
until_true 300 grep -q "^ended with 125" "$calls" || left+=" it did not begin anew: $(cat "$calls")"
left+=$(order "systemctl kill --kill-whom=main --signal=SIGUSR1 fdld.service" "ended with 125")
until_true 300 serves || left+=" the new one has no name"
verdict "a library upgraded (needrestart): the same" "$left"

# ---- removed ----
# seven jobs, as their folders look: NV is owed by 2, 3 and 7
job() { # job NUMBER "result lines" ; further arguments: files with content
	local dir=/var/lib/fdld/job/$1
	mkdir -p "$dir/nv"
	printf 'fdld-identity 1\nunit=%032d\nslot=pci-0000:00:14.0-usb-0:%d\nend=1\n' "$1" "$1" >"$dir/identity"
	printf 'fdld-request 1\nkind=flash\nslot=pci-0000:00:14.0-usb-0:%d\nend=1\n' "$1" >"$dir/request"
	[ -z "$2" ] || printf '%b' "fdld-result 1\nkind=flash\nresult=failed\nleaves=needs-flash\n$2" >"$dir/result"
	for f in "${@:3}"; do printf 'fdld-intent 1\njob %d\nbegin\n' "$1" >"$dir/$f"; done
}
jobs() {
	job 1 'nv_owed=0\nend=1\n' nv/nr_fixnv1 intent        # returned
	job 2 'nv_owed=1\nend=1\n' nv/nr_fixnv1 intent        # not returned
	job 3 '' nv/nr_fixnv1 intent                          # cut short while it destroyed
	job 4 '' nv/nr_fixnv1 intent                          # cut short before it did
	sed -i '/begin/d' /var/lib/fdld/job/4/intent
	job 5 'nv_owed=1\nend=1\n' nv/nr_fixnv1 intent        # returned by the next
	job 6 'nv_owed=0\nsettled=5\nend=1\n' nv/nr_fixnv1 intent
	job 7 'nv_owed=0\nsettled=2\n' nv/nr_fixnv1 intent    # its result is cut: it neither owes nothing nor has it returned anything
	job 8 'nv_owed=1\nend=1\n' intent                     # there was nothing to keep
	echo 9 >/var/lib/fdld/counter
	# what belongs to a user with few rights may be anything
	mkdir -p '/var/lib/fdld/job/9 precious' && ln -s /precious /var/lib/fdld/job/10 && ln -s /precious /var/lib/fdld/images
	chown -hR fdld:fdld /var/lib/fdld
}
mkdir -p /precious/nv && echo "not ours" >/precious/nv/file && echo "not ours" >/precious/intent
jobs
pid=$(service_pid)
: >"$calls"
# there is no phone here; two jobs run as far as anybody can tell
printf '#!/bin/sh\ncase "$*" in *Counters*) echo "a{st} 2 \\"jobs-queued\\" 1 \\"jobs-running\\" 2" ;; *) exec /usr/bin/busctl "$@" ;; esac\n' >/usr/local/sbin/busctl
chmod 755 /usr/local/sbin/busctl
left=
said=$(dpkg --remove fdld 2>&1) || left=$said
rm /usr/local/sbin/busctl
grep -q 'waiting for 2 running job' <<<"$said" || left+=" it does not say what it waits for: $said"
until_true 300 ended "$pid" || left+=" the service goes on"
left+=$(order "systemctl mask --runtime --quiet fdld.service" "invoke stop fdld.service" "ended with 0" "systemctl unmask --runtime --quiet fdld.service")
[ -e /var/lib/fdld/job/2/nv/nr_fixnv1 ] || left+=" the state is gone"
verdict "removed: nothing can start it meanwhile, it ends by itself, its records stay" "$left"
cp -a /var/lib/fdld /run/state
: >"$calls"
said=$(dpkg --purge fdld 2>&1)
left=
kept=$(cd /var/lib/fdld/job 2>/dev/null && echo *)
[ "$kept" = "2 3 7" ] || left="kept: $kept; $said"
for i in 2 3 7; do
	[ -s "/var/lib/fdld/job/$i/nv/nr_fixnv1" ] || left+=" the NV of job $i is gone"
	grep -q "/var/lib/fdld/job/$i .*usb-0:$i" <<<"$said" || left+=" job $i is not named: $said"
done
[ "$(cd /var/lib/fdld && echo *)" = "counter job" ] || left+=" beside it: $(ls /var/lib/fdld)"
[ ! -e /run/fdld ] || left+=" /run/fdld is still there"
verdict "purged: NV that is owed to a phone is kept and named, the rest is gone" "$left"
left=$(cat /precious/nv/file /precious/intent 2>&1 | grep -v '^not ours$')
verdict "purged: no link was followed" "$left"
left=
[ ! -e /etc/fdld/fdld.conf ] || left=" fdld.conf is still there"
[ -e /etc/fdld/fdld.conf.d/50-ours.conf ] || left+=" a file of the administrator's own is gone"
rm -rf /etc/fdld
verdict "purged: our configuration goes, a file of the administrator's own stays" "$left"

# ---- and back again: the service owes what the purge has kept ----
rm -rf /var/lib/fdld && cp -a /run/state /var/lib/fdld && rm -rf /var/lib/fdld/job/9* /var/lib/fdld/job/10 /var/lib/fdld/images
left=$(fails dpkg -i /put/fdld_*.deb)
until_true 300 serves || left+=" the service has no name on the bus: $(cat /run/service.log)"
owes=$(manager Counters | sed -n 's/.*"backups-owed" \([0-9]*\).*/\1/p')
[ "$owes" = 3 ] || left+=" the service owes ${owes:-?}, the purge kept $kept: $(cat /run/service.log)"
verdict "installed again: the service owes what the purge had kept" "$left"
rm -rf /var/lib/fdld/job/[237]
left=$(fails dpkg --purge fdld)
[ ! -e /var/lib/fdld ] || left+=" left: $(find /var/lib/fdld)"
rm -rf /usr/local/sbin/* /precious
left+=$(listing | diff /run/before - | grep '^[<>]')
verdict "purged with nothing owed: nothing is left" "$left"
echo "1..$n"
exit $bad
