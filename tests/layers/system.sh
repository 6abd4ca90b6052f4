#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What is installed beside the programs, tried by those who read it: unit, sandbox, user, directories, activation, policy.
# The udev rule has its own test on the bed (tests/bus/check_udev). No service manager and no root needed.
# usage: system.sh BUILDDIR      (TAP)
set -u
cd "$(dirname "$0")/../.." || exit 1
build=$1
work=$(mktemp -d)
bus=
trap '[ -z "$bus" ] || kill "$bus"; rm -rf "$work"' EXIT
n=0 bad=0
verdict() { # verdict "name" "text of what is wrong, empty if nothing"
	n=$((n + 1))
	if [ -z "$2" ]; then echo "ok $n - $1"; else
		echo "not ok $n - $1"
		printf '%s\n' "$2" | sed 's/^/# /'
		bad=1
	fi
}
# the first program must succeed; what it said otherwise
fails() {
	local out
	out=$("$@" 2>&1) || printf '%s\n' "${out:-status $?}"
}

root=$work/root
make --no-print-directory BUILD="$build" DESTDIR="$root" prefix=/usr install >"$work/log" 2>&1 || sed 's/^/# /' "$work/log"
unit=$root/usr/lib/systemd/system/fdld.service
left=$(grep -rnE '@[a-z]+@' "$unit" "$root/usr/share/dbus-1/system-services" 2>&1)
verdict "no placeholder is left in what is installed" "$left"

# ---- the unit ----
# The machine's own units stand around ours; the program is one that exists here, at the path that the unit names.
sed "s|/usr/libexec/fdld|$root/usr/libexec/fdld|" "$unit" >"$work/fdld.service"
said=$(systemd-analyze verify --man=no "$work/fdld.service" 2>&1) || said+=" (status $?)"
verdict "systemd-analyze verify has nothing to say" "$(grep -i fdld <<<"$said")"
args=$(sed -n 's|^ExecStart=/usr/libexec/fdld ||p' "$unit")
# shellcheck disable=SC2086 # arguments, one by one
verdict "fdld takes the arguments of the unit" "$(fails "$root/usr/libexec/fdld" $args --version)"
said=$(systemd-analyze security --offline=true --threshold=10 "$unit" 2>&1)
rc=$?
echo "# $(tail -n 1 <<<"$said" | tr -cd '[:print:]')"
verdict "systemd-analyze security: exposure at most 1.0" "$( ((rc == 0)) || printf '%s\n' "${said:-status $rc}")"
# readiness, watchdog and end by sd_notify; only the main process is told to end; what is known of the ports outlives
# not only a restart but also a stop (ARCHITECTURE, Turns and ends)
left=
for line in Type=notify NotifyAccess=main BusName=org.fdld1 KillMode=mixed TimeoutStopSec=5min Restart=on-failure \
	RuntimeDirectory=fdld RuntimeDirectoryPreserve=yes StateDirectory=fdld User=fdld; do
	grep -qx "$line" "$unit" || left+="no $line"$'\n'
done
# far above the longest turn that the loop may take (bus/check_trouble: 50 ms)
watchdog=$(sed -n 's/^WatchdogSec=\([0-9]*\)s$/\1/p' "$unit")
((${watchdog:-0} >= 10)) || left+="the watchdog strikes too soon"$'\n'
verdict "start, end and watchdog of the unit are as fdld counts on them" "$left"
left=
for name in NameTaken StateDirectory ConfigInvalid; do
	code=$("$build/fdlctl" errors --json "$name" | sed -n 's/.*"exit_code":[ ]*\([0-9]*\).*/\1/p')
	grep -qE "^RestartPreventExitStatus=.*\b${code:-none}\b" "$unit" || left+="$name ends fdld with ${code:-no code}, the unit tries again"$'\n'
done
verdict "an end that would repeat itself is not tried again" "$left"
# what the filter takes away again, group by group; fdld itself must not be linked to any of it
expand() {
	local word
	for word in $(systemd-analyze syscall-filter "$1" 2>/dev/null | sed -n '2,$s/^ *\([@a-z0-9_-]*\).*/\1/p'); do
		case $word in @*) expand "$word" ;; *) echo "$word" ;; esac
	done
}
refused=$(sed -n 's/^SystemCallFilter=~//p' "$unit" | tr ' ' '\n' | while read -r group; do expand "$group"; done | sort -u)
left=$(comm -12 <(echo "$refused") <(nm -D --undefined-only "$build/fdld" | awk '{ sub(/@.*/, "", $2); print $2 }' | sort -u))
grep -qx chown <<<"$refused" || left+=" the groups of the filter are not known here"
verdict "fdld calls nothing that its filter refuses" "$left"

# ---- user and directories ----
mkdir -p "$root/etc"
said=$(systemd-sysusers --root="$root" 2>&1) || said+=" (status $?)"
user=$(grep '^fdld:' "$root/etc/passwd" 2>/dev/null)
group=$(grep '^fdld:' "$root/etc/group" 2>/dev/null)
left=
[[ $user =~ ^fdld:x:[1-9][0-9]*:[1-9][0-9]*:.*:/var/lib/fdld:/usr/sbin/nologin$ ]] || left="passwd: ${user:-no fdld}; $said"
[ -n "$group" ] || left+=" group: no fdld; $said"
verdict "sysusers makes user and group, without a shell" "$left"
# without root nobody can be given away: there fdld is who we are
if [ "$(id -u)" != 0 ]; then
	echo "fdld:x:$(id -u):$(id -g)::/:/usr/sbin/nologin" >"$root/etc/passwd"
	echo "fdld:x:$(id -g):" >"$root/etc/group"
fi
said=$(systemd-tmpfiles --root="$root" --create fdld.conf 2>&1) || said+=" (status $?)"
left=
want="$(sed -n 's/^fdld:x:\([0-9]*\):.*/\1/p' "$root/etc/passwd") 700"
for dir in var/lib/fdld var/lib/fdld/job; do
	is=$(stat -c '%u %a' "$root/$dir" 2>&1)
	[ "$is" = "$want" ] || left+="$dir: $is, not $want; $said"$'\n'
done
verdict "tmpfiles makes the state directory for fdld alone" "$left"
left=
line=$(sed -n 's/^#w /w /p' "$root/usr/lib/tmpfiles.d/fdld.conf")
if [ -z "$line" ]; then left="no such line"; else
	mkdir -p "$work/usb/sys/module/usbcore/parameters" "$work/usb/etc"
	echo 16 >"$work/usb/sys/module/usbcore/parameters/usbfs_memory_mb"
	echo "$line" >"$work/usb.conf"
	left=$(fails systemd-tmpfiles --root="$work/usb" --create - <"$work/usb.conf")
	[ "$(cat "$work/usb/sys/module/usbcore/parameters/usbfs_memory_mb")" -gt 16 ] || left+=" the limit is not raised"
fi
verdict "the line that raises usbfs memory does so once it is taken in" "$left"

# ---- the lock of logind ----
# the kinds that fdld asks for, each with the action that stands for it; the rule is run by polkitd's own engine
rules=$root/usr/share/polkit-1/rules.d/60-fdld-inhibit.rules
kinds=$(sed -n 's/^static const char block_what\[\] = "\(.*\)";$/\1/p' daemon/host/inhibit.c)
actions=$(tr : '\n' <<<"$kinds" | sed 's/^handle-/inhibit-handle-/; t; s/^/inhibit-block-/' | sed 's/^/org.freedesktop.login1./')
ask() { # ask USER ACTION
	{
		echo 'var rule, polkit = { Result: { YES: "yes" }, addRule: function (f) { rule = f; } };'
		cat "$rules"
		echo "print(rule({ id: \"$2\" }, { user: \"$1\" }));"
	} >"$work/rule.js"
	duk "$work/rule.js" 2>&1
}
left=
[ -n "$kinds" ] || left="the kinds of the lock are not found in the source"
for action in $actions; do
	grep -q "\"$action\"" /usr/share/polkit-1/actions/org.freedesktop.login1.policy || left+="logind knows no $action"$'\n'
	said=$(ask fdld "$action")
	[ "$said" = yes ] || left+="fdld, $action: $said"$'\n'
	said=$(ask nobody "$action")
	[ "$said" = undefined ] || left+="nobody, $action: $said"$'\n'
done
for action in org.freedesktop.login1.power-off org.freedesktop.login1.inhibit-block-everything org.fdld1.flash; do
	said=$(ask fdld $action)
	[ "$said" = undefined ] || left+="fdld, $action: $said"$'\n'
done
verdict "polkit's rule grants fdld the lock it asks for, and nothing else to nobody else" "$left"

# ---- hooks ----
rules=$root/usr/share/polkit-1/rules.d/61-fdld-hook.rules
start() { # start USER UNIT VERB: what the rule says of it
	{
		echo 'var rule, polkit = { Result: { YES: "yes" }, addRule: function (f) { rule = f; } };'
		cat "$rules"
		echo "var a = { unit: \"$2\", verb: \"$3\" };"
		echo "print(rule({ id: \"org.freedesktop.systemd1.manage-units\", lookup: function (k) { return a[k]; } }, { user: \"$1\" }));"
	} >"$work/rule.js"
	duk "$work/rule.js" 2>&1
}
left=
[ "$(start fdld fdld-hook@17.service start)" = yes ] || left+="fdld may not start its hook"$'\n'
while read -r who what how; do
	said=$(start "$who" "$what" "$how")
	[ "$said" = undefined ] || left+="$who, $what, $how: $said"$'\n'
done <<END
nobody fdld-hook@17.service start
fdld fdld-hook@17.service stop
fdld fdld-hook@x.service start
fdld fdld-hook@1.service.d start
fdld xfdld-hook@1.service start
fdld fdld.service start
fdld ssh.service start
END
verdict "polkit's rule lets fdld start its hooks, and nothing else" "$left"
cp "$root/usr/lib/systemd/system/fdld-hook@.service" "$work/fdld-hook@1.service"
said=$(systemd-analyze verify --man=no "$work/fdld-hook@1.service" 2>&1) || said+=" (status $?)"
verdict "systemd-analyze verify has nothing to say of the hook's unit" "$(grep -i fdld <<<"$said")"
# its environment is a file of fdld's: it must not be a way out of fdld's own sandbox
left=
hook=$(sed ':a; /\\$/ { N; s/\\\n//; ba }' "$root/usr/lib/systemd/system/fdld-hook@.service")
for name in LD_PRELOAD LD_AUDIT LD_LIBRARY_PATH BASH_ENV ENV PERL5OPT PYTHONPATH; do
	grep -qE "^UnsetEnvironment=(.* )?$name( |\$)" <<<"$hook" || left+="$name gets through"$'\n'
done
for dir in /run/fdld /var/lib/fdld; do
	grep -qE "^InaccessiblePaths=(.* )?-$dir( |\$)" <<<"$hook" || left+="$dir is seen"$'\n'
done
verdict "the hook's unit lets nothing through by which fdld could run what it likes" "$left"
# what the unit does, done by hand: scripts in the order of their names, with the facts
mkdir -p "$work/hooks.d"
for i in 20-b 10-a; do
	# shellcheck disable=SC2016 # the hook expands it
	printf '#!/bin/sh\necho "$FDLD_EVENT %s"\n' "$i" >"$work/hooks.d/$i"
	chmod +x "$work/hooks.d/$i"
done
said=$(FDLD_EVENT=pass sh -c "$(sed -n "s|^ExecStart=\(.*\)/etc/fdld/hooks.d|\1 $work/hooks.d|p" "$root/usr/lib/systemd/system/fdld-hook@.service")" 2>&1)
left=$(grep -o 'pass .*' <<<"$said")
verdict "the hook's unit runs each script with the facts" "$([ "$left" = $'pass 10-a\npass 20-b' ] || echo "$said")"

# ---- the bus ----
# a bus with our policy and activation files only, on which fdld (here: whoever we are) is started by a caller
mkdir -p "$work/services" "$work/state" "$work/runtime"
sed -e "s|^Exec=.*|Exec=$root/usr/libexec/fdld --bus=unix:path=$work/bus --state-dir=$work/state --runtime-dir=$work/runtime|" \
	-e '/^User=/d;/^SystemdService=/d' "$root/usr/share/dbus-1/system-services/org.fdld1.service" >"$work/services/org.fdld1.service"
policy=$root/usr/share/dbus-1/system.d/org.fdld1.conf
[ "$(id -u)" = 0 ] || sed "s|user=\"root\"|user=\"$(id -un)\"|" "$policy" >"$work/policy.conf"
[ -f "$work/policy.conf" ] || cp "$policy" "$work/policy.conf"
cat >"$work/bus.conf" <<END
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>custom</type><listen>unix:path=$work/bus</listen><servicedir>$work/services</servicedir>
<policy context="default"><allow user="*"/><allow send_type="method_return"/><allow send_type="error"/><allow send_type="signal"/>
<allow receive_type="method_call"/><allow receive_type="method_return"/><allow receive_type="error"/><allow receive_type="signal"/>
<allow send_destination="org.freedesktop.DBus"/><deny own="*"/><deny send_type="method_call"/><allow send_destination="org.freedesktop.DBus"/></policy>
<include>$work/policy.conf</include></busconfig>
END
dbus-daemon --config-file="$work/bus.conf" --nofork >"$work/bus.log" 2>&1 &
bus=$!
for ((i = 0; i < 100; i++)); do [ ! -S "$work/bus" ] || break; sleep 0.05; done
verdict "a call starts fdld, and the policy lets it own its name" \
	"$(fails busctl --address="unix:path=$work/bus" --timeout=20 call org.fdld1 /org/fdld1 org.freedesktop.DBus.ObjectManager GetManagedObjects)$(
		busctl --address="unix:path=$work/bus" status org.fdld1 2>&1 | grep -qE '^(PID|Comm)=' || cat "$work/bus.log")"
left=
for key in Name SystemdService User; do
	value=$(sed -n "s/^$key=//p" "$root/usr/share/dbus-1/system-services/org.fdld1.service")
	case $key in
	Name) want=$(sed -n 's/^BusName=//p' "$unit") ;;
	SystemdService) want=${unit##*/} ;;
	User) want=$(sed -n 's/^User=//p' "$unit") ;;
	esac
	[ "$value" = "$want" ] || left+="$key is $value, the unit says $want"$'\n'
done
verdict "activation file and unit agree" "$left"
# what systemctl service-log-level does
log=(busctl --address="unix:path=$work/bus" --timeout=20)
at=(org.fdld1 /org/freedesktop/LogControl1 org.freedesktop.LogControl1)
said=$("${log[@]}" get-property "${at[@]}" LogLevel SyslogIdentifier 2>&1; "${log[@]}" set-property "${at[@]}" LogLevel s debug 2>&1
	"${log[@]}" get-property "${at[@]}" LogLevel 2>&1)
verdict "the policy lets the log level be read and set" "$([ "$said" = $'s "info"\ns "fdld"\ns "debug"' ] || echo "$said")"
if [ "$(id -u)" = 0 ]; then
	chmod 755 "$work" && chmod 666 "$work/bus"
	said=$(setpriv --reuid=65534 --regid=65534 --clear-groups "${log[@]}" set-property "${at[@]}" LogLevel s emerg 2>&1
		"${log[@]}" get-property "${at[@]}" LogLevel 2>&1)
	verdict "a stranger may not set it" "$(grep -q 'Access denied' <<<"$said" && grep -q '"debug"' <<<"$said" || echo "it was not refused: $said")"
	kill "$(busctl --address="unix:path=$work/bus" status org.fdld1 2>/dev/null | sed -n 's/^PID=//p')" 2>/dev/null
	chmod 755 "$work" && chmod 666 "$work/bus"
	said=$(setpriv --reuid=65534 --regid=65534 --clear-groups busctl --address="unix:path=$work/bus" call org.freedesktop.DBus \
		/org/freedesktop/DBus org.freedesktop.DBus RequestName su org.fdld1 4 2>&1)
	verdict "a stranger may not own the name" "$(grep -qiE 'not allowed|denied' <<<"$said" || echo "it was not refused: $said")"
fi
echo "1..$n"
exit $bad
