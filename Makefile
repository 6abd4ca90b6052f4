# SPDX-License-Identifier: LGPL-2.1-or-later
#
#   make            fdld and fdlctl into build/
#   make check      every test            make demo    the main job on emulated phones
#   make deps       what Debian must provide
#   make lint       formatter, analysers  make bench   ratios, printed
#   make sim SEEDS=100000                 make mutants each sabotage must be caught
#   make install    DESTDIR= prefix=      make SANITIZE=1 check   the same under ASan and UBSan
#   make deb        Debian packages into build/deb/      make system-test  them in a booted machine

.DEFAULT_GOAL := all
SHELL := /bin/bash
MAKEFLAGS += --no-builtin-rules
.SUFFIXES:

prefix      ?= /usr/local
bindir      ?= $(prefix)/bin
libexecdir  ?= $(prefix)/libexec
datadir     ?= $(prefix)/share
mandir      ?= $(datadir)/man
unitdir     ?= $(prefix)/lib/systemd/system
INSTALL     ?= install

CC          := $(if $(filter default undefined,$(origin CC)),gcc,$(CC))
VERSION     := 0.1.0
BUILD       ?= build$(if $(filter clang%,$(notdir $(CC))),/clang)$(if $(SANITIZE),/san)
SEEDS       ?= 2000

PKGS        := libevent_core libevent_pthreads libusb-1.0 libudev libsystemd expat libcrypto json-c sqlite3 libarchive
export PKG_CONFIG_PATH
PKG_CFLAGS  := $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
PKG_LIBS    := $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lpthread

# texts for people are cut to fit on purpose, so snprintf's truncation is no warning
WARN        := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wwrite-strings \
               -Wpointer-arith -Wvla -Wformat=2 -Wno-unused-parameter $(if $(findstring clang,$(CC)),,-Wno-format-truncation)
CFLAGS      ?= -O2 -g
ALL_CFLAGS   = -std=gnu11 $(CPPFLAGS) $(CFLAGS) $(WARN) -fno-strict-aliasing -fstack-protector-strong \
               -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -DFDLD_VERSION='"$(VERSION)"' \
               -I. -Idaemon $(PKG_CFLAGS) $(SAN_FLAGS) $(EXTRA_CFLAGS)
ALL_LDFLAGS  = -Wl,--as-needed $(LDFLAGS) $(SAN_FLAGS)
ifdef SANITIZE
SAN_FLAGS   := -fsanitize=address,undefined -fno-omit-frame-pointer -fno-sanitize-recover=undefined
endif

# ---- rooms: each folder is one archive; tests/layers checks who may see whom --------------------
DAEMON_ROOMS := loop bsl pac flash usb station host bus
rooms_src     = $(wildcard $(1)/*.c)
obj           = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
archive       = $(BUILD)/lib$(notdir $(1)).a

ROOM_DIRS    := common $(addprefix daemon/,$(DAEMON_ROOMS)) tests/phone tests/compose tests/bed tests/simlib
ROOM_DIRS    := $(foreach d,$(ROOM_DIRS),$(if $(call rooms_src,$(d)),$(d)))
ARCHIVES     := $(foreach d,$(ROOM_DIRS),$(call archive,$(d)))
HOUSE        := $(foreach d,$(filter common daemon/%,$(ROOM_DIRS)),$(call archive,$(d)))
TEST_LIBS    := $(foreach d,$(filter tests/%,$(ROOM_DIRS)),$(call archive,$(d)))

define room_rule
$(call archive,$(1)): $(call obj,$(call rooms_src,$(1)))
	@mkdir -p $$(@D)
	@rm -f $$@
	@$(AR) rcs $$@ $$^
endef
AR ?= ar
$(foreach d,$(ROOM_DIRS),$(eval $(call room_rule,$(d))))

$(BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC   $<"
	@$(CC) $(ALL_CFLAGS) -MMD -MP -c $< -o $@

CLIENT_OBJ  := $(call obj,$(wildcard client/*.c))
MAIN_OBJ    := $(call obj,$(wildcard daemon/main.c))
BINS        := $(if $(MAIN_OBJ),$(BUILD)/fdld) $(if $(CLIENT_OBJ),$(BUILD)/fdlctl)
group        = -Wl,--start-group $(1) -Wl,--end-group
link         = @mkdir -p $(@D); echo "  LD   $@"; $(CC) $(ALL_LDFLAGS) -o $@ $(1) $(call group,$(2)) $(3)

$(BUILD)/fdld: $(MAIN_OBJ) $(HOUSE)
	$(call link,$(MAIN_OBJ),$(HOUSE),$(PKG_LIBS))
CLIENT_HOUSE := $(filter %/libcommon.a %/libpac.a %/libflash.a,$(HOUSE))
# the screen of fdlctl top
CURSES_LIBS  := $(shell pkg-config --libs ncursesw 2>/dev/null)
$(BUILD)/fdlctl: $(CLIENT_OBJ) $(CLIENT_HOUSE)
	$(call link,$(CLIENT_OBJ),$(CLIENT_HOUSE),$(PKG_LIBS) $(CURSES_LIBS))

# ---- tests -----------------------------------------------------------------------------------
UNIT_SRC    := $(wildcard tests/unit/test_*.c)
UNIT_BINS   := $(patsubst %.c,$(BUILD)/%,$(UNIT_SRC))
PROG_SRC    := $(wildcard tests/sim/sim_*.c tests/bus/check_*.c tests/bus/demo_*.c tests/bench/bench_*.c)
PROG_BINS   := $(patsubst %.c,$(BUILD)/%,$(PROG_SRC))
FUZZ_SRC    := $(wildcard tests/fuzz/fuzz_*.c)
FUZZ_BINS   := $(patsubst %.c,$(BUILD)/%,$(FUZZ_SRC))

# what a folder of tests has beside its programs is linked into each of them
define prog_rule
$(filter $(BUILD)/tests/$(1)/%,$(UNIT_BINS) $(PROG_BINS)): $(BUILD)/%: $(BUILD)/obj/%.o \
		$(call obj,$(filter-out $(UNIT_SRC) $(PROG_SRC),$(wildcard tests/$(1)/*.c))) $(TEST_LIBS) $(HOUSE)
	$$(call link,$$(filter %.o,$$^),$(TEST_LIBS) $(HOUSE),$(PKG_LIBS) -lcmocka -lutil)
endef
$(foreach d,unit sim bus bench,$(eval $(call prog_rule,$(d))))

# the picture of fdlctl top is looked at without a terminal
$(BUILD)/tests/unit/test_wall: $(call obj,client/wall.c)

# a fuzz target is compiled whole with clang's libFuzzer, apart from the other objects
FUZZ_HOUSE  := $(foreach d,common daemon/bsl daemon/pac daemon/flash,$(call rooms_src,$(d)))
$(FUZZ_BINS): $(BUILD)/%: %.c $(FUZZ_HOUSE)
	@mkdir -p $(@D); echo "  FUZZ $<"
	@clang -std=gnu11 -O1 -g -w -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -DFDLD_VERSION='"fuzz"' -I. -Idaemon $(PKG_CFLAGS) \
	  -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined $< $(FUZZ_HOUSE) -o $@ \
	  $(shell pkg-config --libs expat libcrypto libsystemd 2>/dev/null)

# ---- words in other languages: po/update.sh collects what is to be translated --------------------
MO          := $(patsubst %,$(BUILD)/locale/%/LC_MESSAGES/fdld.mo,$(file <po/LINGUAS))
$(MO): $(BUILD)/locale/%/LC_MESSAGES/fdld.mo: po/%.po
	@mkdir -p $(@D)
	@echo "  MO   $<"
	@msgfmt -c -o $@ $<

.PHONY: all tests unit clean
all: $(BINS) $(MO)
tests: all $(UNIT_BINS) $(PROG_BINS)

# one unit test by name: make unit T=codec ; all: make unit
unit: $(if $(T),$(BUILD)/tests/unit/test_$(T),$(UNIT_BINS))
	@rc=0; for t in $^; do echo "== $$t"; $$t || rc=1; done; exit $$rc

clean:
	rm -rf build

-include $(wildcard $(BUILD)/obj/*/*.d $(BUILD)/obj/*/*/*.d)
include $(wildcard tests/tests.mk)
