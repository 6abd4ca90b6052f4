/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the two halves of the simulation's runner share. */
#ifndef TESTS_SIMLIB_INTERNAL_H
#define TESTS_SIMLIB_INTERNAL_H

#include "tests/simlib/simlib.h"

int records_append(uint8_t **bytes, size_t *size, size_t *room, const uint8_t *data, size_t len);
struct sim_backup *records_backup(struct sim_records *r, uint64_t job, const struct sink_ref *sink,
				  bool make);
int records_sync(struct sim_backup *b);
void records_crash(struct sim_records *r);
void records_settle(struct sim_records *r, const struct session_result *result, const char *unit);

#endif
