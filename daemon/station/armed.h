/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Armed slots: what the rest of this room tells them. A slot that is armed begins by itself, by rule, with
 * each phone that comes; whether it does is decided in armed_decide.c.
 */
#ifndef FDLD_STATION_ARMED_H
#define FDLD_STATION_ARMED_H

#include "station/internal.h"

/* A phone has come; first of all, before anybody is given it. */
void armed_arrived(struct device *device);
/* It has left for good. */
void armed_gone(struct device *device);
/* A job has its phone: what was bound to the next unit of the slot goes into its record. */
void armed_bound(struct job *job);
/* Nothing but the house itself stood between the arrival of its phone and this job of a rule. */
bool armed_at_once(const struct job *job);
/* A phone that runs in this armed slot is to be brought into download mode. */
bool armed_wants(const struct slot *slot);
/* What belongs to the phone that is there, or would to one that comes now. */
void armed_bound_to(const struct slot *slot, struct slot_bound *bound);
/* What was bound to the slot's next phone is this one's from now on. True: the slot's file is to be written,
 * after the job's. */
bool armed_take_bound(struct slot *slot);
void bound_of(const struct job_record *record, struct slot_bound *bound);
/* gate.c: into a job's record; and from there to the disk, behind the loop's back, then the slot's file. */
void bound_note(struct job_record *record, const struct slot_bound *bound);
void bound_keep(struct job *job);
/* A job of an earlier run was cut off: what was bound to its phone is given back if nothing came of it. */
void bound_interrupted(struct slot *slot, const struct job_record *record);
/* A job has come to its end, its record is complete, its phone may still be there. */
void armed_over(struct job *job);
/* Begins with what may begin. Idempotent: whenever anything came, went or changed. */
void armed_look(struct station *st);
void armed_look_at(struct slot *slot);
/* When to look again although nothing happens; UINT64_MAX: not at all. */
uint64_t armed_again(const struct station *st);
/* Rules, images or the like have changed: what was refused may be asked for again. */
void armed_changed(struct station *st);
/*
 * The phone has told who and what it is, nothing of it was changed yet: 0, or, of a job that a rule has
 * started, RuleNotMet if one of its conditions that could not be told before is not met, AlreadyPassed if it
 * is the phone that passed here last and was not away for long enough.
 */
int armed_met(const struct job *job, struct failure *why);
/*
 * armed_unit.c: the phone that passed here last, known by its identity. A phone has come; has left for good;
 * has told who it is: 0, or AlreadyPassed with *why; a job of any kind has ended; was cut off by the end of
 * an earlier run.
 */
void armed_unit_arrived(struct device *device);
void armed_unit_gone(const struct device *device);
int armed_unit_met(const struct job *job, struct failure *why);
void armed_unit_over(const struct job *job);
void armed_unit_interrupted(struct slot *slot, const struct job_record *record);
/* The stop line: takes in the end of a job that a rule has started. */
void armed_count(struct job *job);
/* Disarms and says why,; it stays so until the slot is armed again. */
void armed_stop(struct slot *slot, const char *why);

#endif
