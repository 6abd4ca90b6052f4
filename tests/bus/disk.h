/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A small disk under the state directory, and how full it is. */
#ifndef TESTS_BUS_DISK_H
#define TESTS_BUS_DISK_H

#include "tests/bus/rig.h"

/* Before the service starts. options: of tmpfs, "size=32m,mode=700". */
bool disk_small(struct rig *rig, const char *options);
/* Leaves this many bytes, in whole pages. */
bool disk_fill(struct rig *rig, size_t leave);
/* There is room again. */
bool disk_empty(struct rig *rig);
/*
 * With so much room this command is refused, or given up, with StoreFailed before the phone is changed. There
 * is room again afterwards, and the phone is plugged in anew.
 */
bool disk_refuses(struct rig *rig, struct rig_phone *p, size_t leave, const char *command);
/* Taken away, after the service. */
bool disk_gone(struct rig *rig);

#endif
