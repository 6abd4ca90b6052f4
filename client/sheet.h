/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Answers of the daemon that are lines of JSON in a descriptor.
 */
#ifndef FDLD_CLIENT_SHEET_H
#define FDLD_CLIENT_SHEET_H

#include "client/client.h"

/*
 * The text that comes next in an answer, in a descriptor or, from another machine, as it is; NUL-terminated,
 * free() it. NULL with 0: the descriptor cannot be read.
 */
int sheet_take(sd_bus_message *reply, char **text);
/* Calls fn with each line as an object (borrowed) until it returns false. False: a line is no JSON. */
bool sheet_each(char *text, bool (*fn)(void *user, json_object *line), void *user);
/* A call of the manager with an a{sv} to be filled. NULL: no memory, or *rc is the exit code. */
sd_bus_message *sheet_call(struct client *c, const char *method, int *rc);
/* {sv} into the a{sv} that is open. */
int sheet_text(sd_bus_message *m, const char *key, const char *value); /* NULL: nothing is added */
int sheet_number(sd_bus_message *m, const char *key, uint64_t value);  /* 0: nothing is added */
int sheet_flag(sd_bus_message *m, const char *key, bool value);	       /* false: nothing is added */
/* Id of a slot that is named by Id or by the kernel's port; the caller's, NULL: no memory. */
char *sheet_slot(struct client *c, const char *name);
/* "2026-11-21 07:30", local; "-" for 0. */
const char *sheet_time(uint64_t usec, char *buf, size_t size);
/* Says that the daemon's answer makes no sense; exit code. */
int sheet_nonsense(const struct client *c);

#endif
