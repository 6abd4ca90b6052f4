# SPDX-License-Identifier: LGPL-2.1-or-later
# What proves the house: dependencies, checks, analysers, benchmarks, demo.

# Everything that building, demo, check, lint, bench and mutants need on Debian 12; nothing else installs packages.
DEB_PACKAGES := gcc clang libclang-rt-14-dev make pkg-config binutils libc6-dev \
                libusb-1.0-0-dev libevent-dev libsystemd-dev libudev-dev libexpat1-dev libssl-dev libjson-c-dev libsqlite3-dev libarchive-dev libncurses-dev \
                libcmocka-dev dbus systemd util-linux udev python3 python3-gi gir1.2-glib-2.0 libglib2.0-bin \
                clang-format clang-tidy cppcheck shellcheck valgrind man-db procps duktape polkitd gettext zsh fish \
                dpkg-dev debhelper lintian mmdebstrap \
                qemu-system-x86 libarchive-tools kmod e2fsprogs
MISSING_DEBS  = $$(dpkg-query -W -f '$${Package} $${db:Status-Status}\n' $(DEB_PACKAGES) 2>/dev/null | \
                awk '$$2 == "installed" { sub(/:.*/, "", $$1); have[$$1] = 1 } END { n = split("$(DEB_PACKAGES)", want, " "); \
                for (i = 1; i <= n; i++) if (!(want[i] in have)) printf "%s ", want[i] }')

.PHONY: deps need-deps check system-test demo demo-bus lint bench sim mutants fuzz layers check-unit check-sim check-bus install uninstall

deps:
	@missing="$(MISSING_DEBS)"; \
	if [ -z "$$missing" ]; then echo "deps: everything is installed"; exit 0; fi; \
	as=; if [ "$$(id -u)" != 0 ]; then as="sudo -n"; fi; \
	$$as apt-get update -qq && DEBIAN_FRONTEND=noninteractive $$as apt-get install -y --no-install-recommends $$missing

# check and demo install what is missing when they may; otherwise they name the one command and stop
need-deps:
	@missing="$(MISSING_DEBS)"; \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] || sudo -n true 2>/dev/null; then $(MAKE) --no-print-directory deps; \
	else echo "missing: $$missing"; echo "run:  sudo make deps"; exit 1; fi

# all cores, unless the caller has said how many
PARALLEL = $(if $(findstring -j,$(MAKEFLAGS)),,-j$(shell nproc))

# The second make sees what deps has just installed (pkg-config is asked when make starts).
check: need-deps
	@$(MAKE) --no-print-directory $(PARALLEL) tests $(if $(SANITIZE),,fuzz-bins $(GUEST) deb)
	@tests/run $(BUILD) layers unit sim bus $(if $(SANITIZE),,fuzz system)

# a machine is booted and our packages are installed in it (tests/system/run)
GUEST        = $(BUILD)/tests/system/guest
GUEST_LIBS   = $(filter %/libphone.a %/libcompose.a,$(TEST_LIBS))
$(GUEST): $(call obj,$(wildcard tests/system/*.c) tests/bus/storecheck.c) $(GUEST_LIBS)
	$(call link,$(filter %.o,$^),$(GUEST_LIBS),-lsystemd -lcrypto -lpthread -lutil)
# SANITIZE=1: with a daemon that brings its sanitizers along, as the machine has none; the phones and the packages stay as they are
SYSTEM_DAEMON = $(BUILD)/fdld-alone
$(SYSTEM_DAEMON): $(MAIN_OBJ) $(HOUSE)
	$(call link,$(MAIN_OBJ),$(HOUSE),$(PKG_LIBS) -static-libasan -static-libubsan)
system-test: need-deps
	@$(MAKE) --no-print-directory $(PARALLEL) SANITIZE= build/tests/system/guest deb
	@$(if $(SANITIZE),$(MAKE) --no-print-directory $(PARALLEL) $(SYSTEM_DAEMON))
	@TAP=1 $(if $(SANITIZE),SYSTEM_TEST_DAEMON=$(SYSTEM_DAEMON)) tests/run build system

check-unit: tests
	@tests/run $(BUILD) unit
check-sim: tests
	@tests/run $(BUILD) sim
check-bus: tests
	@tests/run $(BUILD) bus
layers: $(HOUSE) all
	@tests/run $(BUILD) layers
fuzz:
	@$(MAKE) --no-print-directory fuzz-bins
	@tests/run $(BUILD) fuzz
.PHONY: fuzz-bins
fuzz-bins: $(FUZZ_BINS)

sim: $(BUILD)/tests/sim/sim_seeds
	$< --seeds $(SEEDS)

mutants: need-deps
	@tests/mutants/run.sh

demo: need-deps
	@$(MAKE) --no-print-directory $(PARALLEL) all $(BUILD)/tests/bus/demo_station
	@$(BUILD)/tests/bus/demo_station $(BUILD)
demo-bus: need-deps
	@$(MAKE) --no-print-directory $(PARALLEL) all $(BUILD)/tests/bus/demo_station
	@$(BUILD)/tests/bus/demo_station $(BUILD) --stay

bench: need-deps
	@$(MAKE) --no-print-directory $(PARALLEL) tests
	@tests/bench/run $(BUILD)

# what is made of the tables and sources and kept in the tree: template and languages, parts of pages; a test compares
.PHONY: words
words:
	@man/reference.py && po/update.sh && po/catalog.py

# ---- analysers -------------------------------------------------------------------------------
C_FILES     := $(wildcard common/*.[ch] daemon/*.[ch] daemon/*/*.[ch] client/*.[ch] tests/*/*.[ch])
C_SOURCES   := $(filter %.c,$(C_FILES))
SH_FILES    := $(wildcard .ci/run tests/run po/*.sh client/completions/*.bash tests/bus/*.bash tests/*/run tests/*/*.sh debian/*.sh debian/*.p*inst debian/*.p*rm debian/restart.d/*)

.PHONY: lint-format lint-tidy lint-cppcheck lint-shell lint-clang
lint: need-deps lint-format lint-shell lint-cppcheck lint-tidy lint-clang
lint-format:
	@clang-format --dry-run --Werror $(C_FILES) && echo "ok format"
lint-shell:
	@shellcheck -x $(SH_FILES) && echo "ok shell"
lint-cppcheck:
	@cppcheck --quiet --std=c11 --enable=warning,portability --inline-suppr --error-exitcode=1 -j2 \
	  --suppress=missingIncludeSystem --suppress=nullPointerRedundantCheck --suppress=unknownMacro -D'EMIT(...)=' -I. -Idaemon common daemon client && echo "ok cppcheck"
TIDY_FLAGS   = -std=gnu11 -D_GNU_SOURCE -DFDLD_VERSION=__FILE__ -I. -Idaemon $(PKG_CFLAGS)
lint-tidy:
	@printf '%s\n' $(filter common/% daemon/% client/%,$(C_SOURCES)) | \
	  xargs -P$(shell nproc) -n4 sh -c 'clang-tidy --quiet --warnings-as-errors="*" "$$@" -- $(TIDY_FLAGS) 2>/dev/null' sh && echo "ok tidy"
# warnings are errors on both compilers; objects only, no link
lint-clang:
	@$(MAKE) --no-print-directory CC=clang $(patsubst %.c,build/clang/obj/%.o,$(C_SOURCES)) >/dev/null && echo "ok clang"

# ---- install ---------------------------------------------------------------------------------
# Under /usr and /usr/local each of these is where its reader looks. Two exceptions: the bus reads policy only below /usr and
# /etc, polkit its actions only below /usr and its rules also below /etc. For any other prefix the directories are the caller's to name.
DBUS_DIR    ?= $(datadir)/dbus-1
policydir   ?= $(if $(filter /usr/local,$(prefix)),/etc/dbus-1/system.d,$(DBUS_DIR)/system.d)
activatedir ?= $(DBUS_DIR)/system-services
actionsdir  ?= $(if $(filter /usr/local,$(prefix)),/usr,$(prefix))/share/polkit-1/actions
polkitdir   ?= $(if $(filter /usr/local,$(prefix)),/etc,$(datadir))/polkit-1/rules.d
docdir      ?= $(datadir)/doc/fdld
sysusersdir ?= $(prefix)/lib/sysusers.d
tmpfilesdir ?= $(prefix)/lib/tmpfiles.d
catalogdir  ?= $(prefix)/lib/systemd/catalog
rulesdir    ?= $(prefix)/lib/udev/rules.d

zshdir      ?= $(datadir)/zsh/$(if $(filter /usr,$(prefix)),vendor-completions,site-functions)
# Where fdld looks first for its settings, whatever the prefix. A file there is the administrator's: neither overwritten nor, once
# it says something else than ours, removed.
sysconfdir  ?= /etc

# mode:source:target, for install and uninstall alike; a source *.in has its @libexecdir@ filled in; mode "keep" as above,
# mode "dir" is a folder
INSTALLED    = 755:$(BUILD)/fdld:$(libexecdir)/fdld 755:$(BUILD)/fdlctl:$(bindir)/fdlctl \
               644:systemd/fdld.service.in:$(unitdir)/fdld.service 644:systemd/fdld.sysusers:$(sysusersdir)/fdld.conf \
               644:systemd/fdld.tmpfiles:$(tmpfilesdir)/fdld.conf \
               $(foreach f,$(wildcard systemd/*.catalog),644:$(f):$(catalogdir)/$(notdir $(f))) \
               644:udev/70-fdld.rules:$(rulesdir)/70-fdld.rules 644:dbus/org.fdld1.conf:$(policydir)/org.fdld1.conf \
               644:dbus/org.fdld1.service.in:$(activatedir)/org.fdld1.service \
               644:dbus/org.fdld1.policy:$(actionsdir)/org.fdld1.policy \
               644:dbus/fdld-station.rules:$(docdir)/examples/60-fdld-station.rules \
               644:dbus/60-fdld-inhibit.rules:$(polkitdir)/60-fdld-inhibit.rules \
               644:dbus/61-fdld-hook.rules:$(polkitdir)/61-fdld-hook.rules 644:systemd/fdld-hook@.service:$(unitdir)/fdld-hook@.service \
               keep:daemon/fdld.conf:$(sysconfdir)/fdld/fdld.conf dir::$(sysconfdir)/fdld/fdld.conf.d \
               keep:daemon/rules.conf:$(sysconfdir)/fdld/rules.d/example.conf dir::$(sysconfdir)/fdld/rules.d \
               644:client/completions/fdlctl.bash:$(datadir)/bash-completion/completions/fdlctl \
               644:client/completions/_fdlctl:$(zshdir)/_fdlctl \
               644:client/completions/fdlctl.fish:$(datadir)/fish/vendor_completions.d/fdlctl.fish \
               $(foreach f,$(MO),644:$(f):$(datadir)/$(f:$(BUILD)/%=%)) \
               $(foreach f,$(wildcard dbus/org.fdld1.*.xml),644:$(f):$(DBUS_DIR)/interfaces/$(notdir $(f))) \
               $(foreach f,$(wildcard man/*.[158]),644:$(f):$(mandir)/man$(subst .,,$(suffix $(f)))/$(notdir $(f)))

install: all
	@set -e; for i in $(INSTALLED); do IFS=: read -r mode from to <<<"$$i"; echo "  INST $(DESTDIR)$$to"; \
	  case $$mode:$$from in \
	  dir:*) $(INSTALL) -d -m 755 "$(DESTDIR)$$to" ;; \
	  keep:*) if [ ! -e "$(DESTDIR)$$to" ] || cmp -s "$$from" "$(DESTDIR)$$to"; then to2=$$to; else to2=$$to.new; echo "  KEEP $(DESTDIR)$$to"; fi; \
	    $(INSTALL) -D -m 644 "$$from" "$(DESTDIR)$$to2" ;; \
	  *.in) $(INSTALL) -d "$(DESTDIR)$$(dirname "$$to")"; sed "s|@libexecdir@|$(libexecdir)|g" "$$from" >"$(DESTDIR)$$to"; chmod "$$mode" "$(DESTDIR)$$to" ;; \
	  *) $(INSTALL) -D -m "$$mode" "$$from" "$(DESTDIR)$$to" ;; esac; done
	@$(if $(DESTDIR),:,printf '%s\n' 'Now, as root (a package does it by itself):' '  systemd-sysusers && systemd-tmpfiles --create fdld.conf' \
	  '  systemctl daemon-reload && systemctl reload dbus && journalctl --update-catalog' \
	  '  udevadm control --reload && udevadm trigger --attr-match=idVendor=1782 --attr-match=idProduct=4d00')
uninstall:
	@set -e; for i in $(INSTALLED); do IFS=: read -r mode from to <<<"$$i"; \
	  case $$mode in \
	  dir) rmdir --ignore-fail-on-non-empty "$(DESTDIR)$$to" 2>/dev/null || : ;; \
	  keep) rm -f "$(DESTDIR)$$to.new"; ! cmp -s "$$from" "$(DESTDIR)$$to" || rm -f "$(DESTDIR)$$to" ;; \
	  *) rm -f "$(DESTDIR)$$to" ;; esac; done

# ---- Debian packages ------------------------------------------------------------------------
.PHONY: deb check-deb
deb: need-deps
	@debian/build.sh
check-deb: need-deps
	@tests/run $(BUILD) deb
