/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What holds for the end of any job, whatever it was for. */
#ifndef TESTS_SIMLIB_JUDGE_H
#define TESTS_SIMLIB_JUDGE_H

#include "tests/simlib/simlib.h"

/* What a person is told of a failure does not contradict what the phone was left as. */
bool sim_words_agree(const struct sim_outcome *o);
/*
 * An end has a name, a stage and a remedy; PASS and what it leaves agree; who reads changes nothing. reads:
 * the job was to change nothing. False: text.
 */
bool sim_end_is_told(const struct sim_outcome *o, bool reads, char *text, size_t size);

#endif
