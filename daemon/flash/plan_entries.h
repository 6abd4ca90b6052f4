/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From the entries of a package to backups and steps, in the order that is safe (pac-and-flow 5.4, 11). */
#ifndef FDLD_FLASH_PLAN_ENTRIES_H
#define FDLD_FLASH_PLAN_ENTRIES_H

#include "flash/plan_build.h"

/* Fills backups and steps of a plan whose loaders and table are there. Negative errno with *why. */
int plan_entries(struct plan *p, struct failure *why);
/* What is to be done about the table: the policy, or what the package's header asks for if that is the
 * policy. */
enum repartition_policy plan_repartition(const struct plan *p);
/* The header says "stop when the table differs" and that is the policy. */
bool plan_stops_on_mismatch(const struct plan *p);
/* The phone's whole table is to be compared with the package's. */
bool plan_compares_table(const struct plan *p);

#endif
