/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A line by rule: a package in the store, armed places, and what they say of themselves. */
#ifndef FDLD_TESTS_BUS_LINE_H
#define FDLD_TESTS_BUS_LINE_H

#include <stdbool.h>

#include "tests/bus/rig.h"

#define LINE_RULES "/etc/fdld/rules.d/10-line.conf"

/* A rig that is up, with a package in the store as line.pac, settings and rules. */
bool line_up(struct rig *rig, struct rig_package *pack, const char *settings, const char *rules);
/* Slot.ArmedWhy; and until it is this word. */
const char *line_why_not(struct rig *rig, const struct rig_phone *p);
bool line_says(struct rig *rig, const struct rig_phone *p, const char *word);
/* Until so many phones have passed, or failed, in its slot. */
bool line_passes(struct rig *rig, const struct rig_phone *p, const char *count);
bool line_failures(struct rig *rig, const struct rig_phone *p, const char *count);
/* The slot becomes known: a phone was there once. */
bool line_known(struct rig *rig, struct rig_phone *p);
/* Until a slot's file has this line (a pattern). */
bool line_on_disk(struct rig *rig, const char *line);
/* Until none has. */
bool line_off_disk(struct rig *rig, const char *line);
void line_unplugged(struct rig *rig, struct rig_phone *p);

#endif
