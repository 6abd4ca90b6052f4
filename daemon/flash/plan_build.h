/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What compiling and resolving share: rules about names, and the builder of steps. */
#ifndef FDLD_FLASH_PLAN_BUILD_H
#define FDLD_FLASH_PLAN_BUILD_H

#include "flash/plan.h"
#include "pac/nv.h"

#define BOOT_HEADER_AT	 0x20u /* pac-and-flow 6.5: four words that FDL2 fills in an unsigned SPL */
#define BOOT_HEADER_SIZE 16u
#define BOOT_BALANCE_AT	 0x7FFCu
#define ERASE_EVERYTHING 0xFFFFFFFFu
#define GIB4		 (1ull << 32)

/* ---- names (plan_rules.c) ---- */

/* A name that no package may address: erase_all, user_partition, *_size (device-behaviour 7.2). */
bool rule_forbidden(const char *name);
/* A fixed-NV primary: any prefix, "fixnv1", perhaps a slot (pac-and-flow 3.4). */
bool rule_is_nv(const char *name);
/* Twin copies and running NV: an image written there has no header and no check. */
bool rule_is_nv_twin(const char *name);
bool rule_is_runtime_nv(const char *name);
/* "l_fixnv1_a" -> "l_fixnv2_a": the second copy, which FDL2 writes and erases too (pac-and-flow 3.4). False:
 * no such pair. */
bool rule_nv_twin(const char *name, char *twin, size_t size);
bool rule_is_boot_area(const char *name); /* splloader, splloader_bak: not in any table */
/* Part of what starts the phone: a cancel waits for the end of such an entry. */
bool rule_is_boot_chain(const char *name);
/* Written by FDL2 to <name>_bak too (pac-and-flow 5.11). */
bool rule_has_twin(const char *name);
/* "boot_a" -> "boot_b" and back; false if the name has no slot. */
bool rule_other_slot(const char *name, char *other, size_t size);
/* An address that only takes data: format, delete, pre-packed files (pac-and-flow 5.12). */
bool rule_write_only(uint64_t address);
/* Address of the NV area in address products. */
bool rule_is_nv_address(uint64_t address);
/* NV entry by ID, Type or target. */
bool rule_item_is_nv(const struct pac_item *item);
bool rule_item_is_phasecheck(const struct pac_item *item);
/* Entry of this name (ID, alias, partition), without case. */
bool rule_item_named(const struct pac_item *item, const char *name);
bool rule_taken(const struct plan_options *o, const struct pac_item *item);

/* ---- builder (plan_steps.c) ---- */

void plan_doubt(struct plan *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The next free step, zeroed, links -1; NULL when the plan is full. */
struct plan_step *plan_add(struct plan *p, enum plan_op op);
void plan_target_of(struct plan_step *s, const struct pac_item *item);
/* Appends the comparison of step `of`; NULL when the plan is full. */
struct plan_step *plan_add_verify(struct plan *p, uint32_t of, bool lk);
/* Areas that were erased are read whole up to this size, bytes; larger ones in places. */
#define ERASE_LOOK (4u << 20)
/* The same for an erase, once the phone's table is known; NULL: the plan is full. */
struct plan_step *plan_add_look(struct plan *p, uint32_t of, const struct flash_table *t);
/* Recomputes the sums of bytes. */
void plan_total(struct plan *p);
/* Bytes an entry takes on the device. */
uint64_t plan_need(const struct plan *p, const struct plan_step *s);
const struct pac_item *plan_item(const struct plan *p, int32_t item);
int plan_full(struct failure *why);
/* Fills fdl1 and fdl2 (plan_loader.c): p->family is known. */
int plan_loaders(struct plan *p, struct failure *why);
/* Family, loaders and table, and what follows from them. Negative errno with *why. */
int plan_head(struct plan *p, struct failure *why);
int plan_add_end(struct plan *p, struct failure *why);
/* Names the stage of a refusal that has none yet. */
void plan_blame(struct failure *why);
/* A plan with loaders and no steps; only the options that every job has. NULL: no memory, *why. */
struct plan *plan_begin(const struct pac *pac, const struct plan_options *options, enum addressing addressing,
			struct failure *why);
/* The end step, sums, and *out; with rc != 0 releases. */
int plan_finish(struct plan *p, int rc, struct plan **out, struct failure *why);
/* PartitionMissing for a name that a table lacks, with the name that was meant where that can be told. */
int plan_absent(const struct flash_table *t, const char *name, struct failure *why);
/* Puts a READ inside what the phone has; fills its size if that was left open. */
int plan_fit_read(struct plan *to, const struct device_facts *facts, struct plan_step *s,
		  struct failure *why);

#endif
