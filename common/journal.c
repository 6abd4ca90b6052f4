/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/journal.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

/* where a line was written is told by hand: the macro would name this file */
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

#include "common/util.h"

static const struct event_entry table[EVENT_COUNT] = {
#define EVENT(id, name, message_id, priority, subject, meaning, remedy) \
	[EVENT_##id] = { name, message_id, priority, subject, meaning, remedy },
#include "common/events.def"
#undef EVENT
};

static atomic_int level = LOG_INFO;
static atomic_int where = JOURNAL_AUTO;

const struct event_entry *event_entry(enum event_id id)
{
	return (unsigned)id < EVENT_COUNT ? &table[id] : NULL;
}

void journal_set_level(int priority)
{
	atomic_store(&level, MIN(MAX(priority, LOG_EMERG), LOG_DEBUG));
}

int journal_level(void)
{
	return atomic_load(&level);
}

/* The service manager names the stream it connected stderr to; it is ours only while it still is that stream.
 */
static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;

	if (!stream || sscanf(stream, "%llu:%llu", &dev, &ino) != 2 || fstat(STDERR_FILENO, &st) < 0)
		return false;
	return st.st_dev == dev && st.st_ino == ino;
}

void journal_set_target(enum journal_target target)
{
	atomic_store(&where, target);
}

enum journal_target journal_target(void)
{
	int target = atomic_load(&where);

	if (target == JOURNAL_AUTO)
		return stderr_is_journal() ? JOURNAL_NATIVE : JOURNAL_CONSOLE;
	return (enum journal_target)target;
}

static const char *priority_name(int priority)
{
	static const char *const names[] = { "emergency", "alert",  "critical", "error",
					     "warning",	  "notice", "info",	"debug" };

	return names[priority & 7];
}

/* What is sent: NAME=value strings in one buffer, and where they are. */
struct entry {
	char text[4096];
	size_t len;
	struct iovec iov[JOURNAL_FIELDS_MAX + 8];
	int count;
};

__attribute__((format(printf, 2, 3))) static void entry_add(struct entry *e, const char *fmt, ...)
{
	char *at = e->text + e->len;
	size_t room = sizeof(e->text) - e->len;
	va_list ap;
	int n;

	if (room < 2 || e->count == (int)ARRAY_SIZE(e->iov))
		return;
	va_start(ap, fmt);
	n = vsnprintf(at, room, fmt, ap);
	va_end(ap);
	if (n <= 0)
		return;
	if ((size_t)n >= room)
		n = (int)room - 1;
	for (int i = 0; i < n; i++)
		if (at[i] == '\n')
			at[i] = ' ';
	e->iov[e->count++] = (struct iovec){ at, (size_t)n };
	e->len += (size_t)n + 1;
}

struct place {
	const char *file, *func;
	int line;
};

static bool field_given(const struct journal_field *f)
{
	return f->name && f->name[0] && f->value && f->value[0];
}

static void to_stderr(int priority, const char *text, const struct journal_field *fields, size_t count)
{
	struct entry e = { .len = 0 };
	char line[4096 + 64];
	size_t n = 0;
	bool open = false;

	entry_add(&e, "%s: %s", priority_name(priority), text);
	for (size_t i = 0; i < count; i++) {
		if (!field_given(&fields[i]))
			continue;
		entry_add(&e, "%s%s=%.255s", open ? " " : " [", fields[i].name, fields[i].value);
		open = true;
	}
	for (int i = 0; i < e.count; i++) {
		memcpy(line + n, e.iov[i].iov_base, e.iov[i].iov_len);
		n += e.iov[i].iov_len;
	}
	if (open)
		line[n++] = ']';
	line[n++] = '\n';
	/* one write, so that lines of threads do not mix; a closed stderr is nobody's fault here */
	if (write(STDERR_FILENO, line, n) < 0)
		return;
}

static void emit(const struct place *place, int priority, const char *message_id,
		 const struct journal_field *fields, size_t count, const char *text)
{
	enum journal_target target = journal_target();
	struct entry e = { .len = 0 };

	count = MIN(count, (size_t)JOURNAL_FIELDS_MAX);
	if (target == JOURNAL_NULL)
		return;
	if (target == JOURNAL_CONSOLE) {
		to_stderr(priority, text, fields, count);
		return;
	}
	entry_add(&e, "MESSAGE=%s", text);
	entry_add(&e, "PRIORITY=%d", priority);
	if (message_id)
		entry_add(&e, "MESSAGE_ID=%s", message_id);
	entry_add(&e, "CODE_FILE=%s", place->file);
	entry_add(&e, "CODE_LINE=%d", place->line);
	entry_add(&e, "CODE_FUNC=%s", place->func);
	for (size_t i = 0; i < count; i++)
		if (field_given(&fields[i]))
			entry_add(&e, "%s=%.255s", fields[i].name, fields[i].value);
	if (sd_journal_sendv(e.iov, e.count) < 0)
		to_stderr(priority, text, fields, count);
}

void journal_event_at(const char *file, int line, const char *func, enum event_id id,
		      const struct journal_field *fields, size_t count, const char *fmt, ...)
{
	const struct event_entry *e = event_entry(id);
	struct place place = { file, func, line };
	char text[1024];
	va_list ap;

	if (!e || e->priority > journal_level())
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	emit(&place, e->priority, e->message_id, fields, count, text);
}

void journal_line_at(const char *file, int line, const char *func, int priority, const char *fmt, ...)
{
	struct place place = { file, func, line };
	char text[1024];
	va_list ap;

	if (priority > journal_level())
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	emit(&place, priority, NULL, NULL, 0, text);
}

size_t journal_failure_fields(const struct failure *why, struct journal_field *out)
{
	const struct error_entry *e;

	if (!why || why->error == ERR_NONE)
		return 0;
	e = error_entry(why->error);
	out[0] = (struct journal_field){ "FDL_ERROR", e->name };
	out[1] = (struct journal_field){ "FDL_CAUSE", e->cause };
	out[2] = (struct journal_field){ "FDL_REMEDY", e->remedy };
	out[3] = (struct journal_field){ "FDL_STAGE", why->stage };
	out[4] = (struct journal_field){ "FDL_STEP", why->step };
	out[5] = (struct journal_field){ "FDL_ENTRY", why->entry };
	return JOURNAL_FAILURE_FIELDS;
}
