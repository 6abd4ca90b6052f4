/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The log: one line for each event an operator would ask about, with a message id and stable fields.
 * Goes to the journal when stderr is the journal, else to stderr as "warning: text [FIELD=value ...]", unless
 * told otherwise. Any thread. Payload, keys and whole unit identities never belong into it.
 */
#ifndef FDLD_COMMON_JOURNAL_H
#define FDLD_COMMON_JOURNAL_H

#include <stddef.h>
#include <syslog.h>

#include "common/error.h"

enum event_id {
#define EVENT(id, name, message_id, priority, subject, meaning, remedy) EVENT_##id,
#include "common/events.def"
#undef EVENT
	EVENT_COUNT
};

struct event_entry {
	const char *name;			/* "job-failed" */
	const char *message_id;			/* 32 hex digits */
	int priority;				/* LOG_ERR ... */
	const char *subject, *meaning, *remedy; /* as the catalogue has them */
};

/* NULL if there is no such event. */
const struct event_entry *event_entry(enum event_id id);

struct journal_field {
	const char *name;  /* FDL_JOB, FDL_PORT, FDL_SLOT, FDL_STAGE, FDL_IMAGE, FDL_ERROR, FDL_ATTEMPT,
			      FDL_BYTES ... */
	const char *value; /* NULL or empty: left out. Newlines become spaces. Cut at 255 bytes. */
};
#define JOURNAL_FIELDS_MAX 16u /* more are left out */

/* Most verbose priority that is written, LOG_INFO at the start. Events and lines above it cost a comparison.
 */
void journal_set_level(int priority);
int journal_level(void);

/* Where it goes. AUTO, at the start: to the journal if stderr is the journal, else to stderr. NATIVE: to the
 * journal. CONSOLE: to stderr. NULL: nowhere. */
enum journal_target { JOURNAL_AUTO, JOURNAL_NATIVE, JOURNAL_CONSOLE, JOURNAL_NULL };
void journal_set_target(enum journal_target target);
/* Never JOURNAL_AUTO: what it comes to now. */
enum journal_target journal_target(void);

/* One event; text is the line a person reads, without a newline. */
#define journal_event(id, fields, count, ...) \
	journal_event_at(__FILE__, __LINE__, __func__, id, fields, count, __VA_ARGS__)
/* A line that is no event: mostly LOG_DEBUG. */
#define journal_line(priority, ...) journal_line_at(__FILE__, __LINE__, __func__, priority, __VA_ARGS__)

/*
 * Fields of a failure: FDL_ERROR, FDL_CAUSE, FDL_REMEDY, FDL_STAGE, FDL_STEP, FDL_ENTRY. They point into *why
 * and the error table. Returns how many were put into out, at most JOURNAL_FAILURE_FIELDS.
 */
#define JOURNAL_FAILURE_FIELDS 6u
size_t journal_failure_fields(const struct failure *why, struct journal_field *out);

void journal_event_at(const char *file, int line, const char *func, enum event_id id,
		      const struct journal_field *fields, size_t count, const char *fmt, ...)
	__attribute__((format(printf, 7, 8)));
void journal_line_at(const char *file, int line, const char *func, int priority, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));

#endif
