/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * History and NV backups on org.fdld1.Manager. What can grow without bound comes as lines in a sealed
 * anonymous file, page by page; nothing of it is an object.
 */
#include "bus/internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/util.h"

/* Lines of an answer that is text, and its bytes: what a message may hold is the bus's decision. */
#define TEXT_JOBS_MAX	 100u
#define TEXT_BACKUPS_MAX 1000u
#define TEXT_MAX	 (UINT64_C(16) << 20)

/* Questions that the disk has not answered yet, in all; for those of one caller see client_errand_begin(). */
#define INQUIRIES_MAX 32u

struct inquiry {
	struct inquiry *next;
	struct bus *bus;
	sd_bus_message *m; /* whoever asked may be gone by then, and a reply to it is lost in silence */
	int (*reply)(const struct station_sheet *sheet, sd_bus_message *reply);
};

static void inquiry_free(struct inquiry *q)
{
	struct inquiry **p = &q->bus->inquiries;

	while (*p != q)
		p = &(*p)->next;
	*p = q->next;
	client_errand_end(q->bus, sd_bus_message_get_sender(q->m));
	sd_bus_message_unref(q->m);
	free(q);
}

void history_free_all(struct bus *bus)
{
	while (bus->inquiries)
		inquiry_free(bus->inquiries);
}

static struct inquiry *inquiry_new(struct call *call,
				   int (*reply)(const struct station_sheet *sheet, sd_bus_message *reply),
				   struct failure *why)
{
	unsigned int all = 0;
	struct inquiry *q;

	for (q = call->bus->inquiries; q; q = q->next)
		all++;
	if (all >= INQUIRIES_MAX) {
		failure_set(why, ERR_LIMITS_EXCEEDED, "%u such questions are being answered", all);
		return NULL;
	}
	if (client_errand_begin(call->client, why) < 0)
		return NULL;
	q = calloc(1, sizeof(*q));
	if (!q) {
		client_errand_end(call->bus, call->client->name);
		failure_set(why, ERR_INTERNAL, "no memory");
		return NULL;
	}
	q->bus = call->bus;
	q->m = sd_bus_message_ref(call->m);
	q->reply = reply;
	q->next = call->bus->inquiries;
	call->bus->inquiries = q;
	return q;
}

static void on_sheet(void *user, const struct station_sheet *sheet, const struct failure *why)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	struct inquiry *q = user;
	struct failure too_much = { 0 };

	failure_set(&too_much, ERR_LIMITS_EXCEEDED, "the answer does not fit a message: set a lower limit");
	if (why)
		reply_failure_to(q->m, why);
	else if (sd_bus_message_new_method_return(q->m, &reply) >= 0 && q->reply(sheet, reply) >= 0)
		(void)sd_bus_send(NULL, reply, NULL);
	else
		reply_failure_to(q->m, &too_much);
	inquiry_free(q);
}

/* For a handler: the question was asked, or it was refused and q is of no more use. */
static int asked(struct call *call, struct inquiry *q, int r, const struct failure *why)
{
	if (r >= 0)
		return 1;
	if (q)
		inquiry_free(q);
	return reply_failure(call->error, why);
}

/* ---- filters ---------------------------------------------------------------------- */

static bool one_of(const char *word, const char *const *words)
{
	while (*words && strcmp(*words, word) != 0)
		words++;
	return *words;
}

/* The a{sv} that comes next; strings belong to the message. */
static int read_filter(struct call *call, unsigned int allowed, struct history_filter *filter,
		       struct failure *why)
{
	static const char *const results[] = { "succeeded", "failed",	   "skipped",
					       "cancelled", "interrupted", NULL };
	struct options options;
	int r = options_read(call->bus, call->m, allowed, &options, why);

	*filter = options.history;
	options_free(&options);
	if (r < 0)
		return r;
	if (filter->result && *filter->result && !one_of(filter->result, results))
		return failure_set(why, ERR_INVALID_ARGS, "option 'result': '%.32s' is none", filter->result);
	if (filter->unit && strspn(filter->unit, "0123456789abcdefABCDEF") != strlen(filter->unit))
		return failure_set(why, ERR_INVALID_ARGS, "option 'unit': hexadecimal digits");
	if (filter->error && *filter->error) {
		enum error_id id = error_by_name(filter->error);

		if (id == ERR_NONE)
			return failure_set(why, ERR_INVALID_ARGS, "option 'error': '%.48s' is none",
					   filter->error);
		filter->error = error_entry(id)->name;
	}
	return 0;
}

/* Identities in full are for few; all else is a read. */
static int demand_filter(struct call *call, struct demand *demand, unsigned int allowed, const char *word)
{
	struct history_filter filter;
	struct failure why = { 0 };
	int r = read_filter(call, allowed, &filter, &why);

	if (r < 0)
		return reply_failure(call->error, &why);
	if (!filter.full)
		demand->action = ACTION_OWN;
	demand_text(demand->slot, sizeof(demand->slot), filter.slot && *filter.slot ? filter.slot : "any");
	demand_text(demand->operation, sizeof(demand->operation), word);
	return 0;
}

int demand_history(struct call *call, struct demand *demand)
{
	return demand_filter(call, demand, OPTION_PLACE | OPTION_HISTORY, "history full");
}

int demand_backups(struct call *call, struct demand *demand)
{
	return demand_filter(call, demand, OPTION_PLACE, "backups full");
}

int demand_export(struct call *call, struct demand *demand)
{
	const char *slot, *name;
	char text[128];
	uint64_t job;
	int r = sd_bus_message_read(call->m, "ts", &job, &name);

	if (r < 0)
		return r;
	slot = station_backup_slot(call->bus->station, job);
	snprintf(text, sizeof(text), "export-nv job %" PRIu64 " %s", job, name);
	demand_text(demand->slot, sizeof(demand->slot), *slot ? slot : "any");
	demand_text(demand->operation, sizeof(demand->operation), text);
	return 0;
}

/* ---- methods ---------------------------------------------------------------------- */

static int reply_lines(const struct station_sheet *sheet, sd_bus_message *reply)
{
	return sd_bus_message_append(reply, "ht", sheet->fd, sheet->more);
}

/* The lines themselves, for a caller whom no descriptor reaches. */
static int append_text(const struct station_sheet *sheet, sd_bus_message *reply)
{
	_cleanup_free_ char *text = NULL;
	struct stat st;
	ssize_t n;

	if (fstat(sheet->fd, &st) < 0)
		return -errno;
	if ((uint64_t)st.st_size > TEXT_MAX)
		return -EMSGSIZE;
	text = calloc((size_t)st.st_size + 1, 1);
	if (!text)
		return -ENOMEM;
	n = pread(sheet->fd, text, (size_t)st.st_size, 0); /* it lies in memory */
	if (n != st.st_size)
		return -EIO;
	return sd_bus_message_append(reply, "s", text);
}

static int reply_text_lines(const struct station_sheet *sheet, sd_bus_message *reply)
{
	int r = append_text(sheet, reply);

	return r < 0 ? r : sd_bus_message_append(reply, "t", sheet->more);
}

static int ask_history(struct call *call, bool text)
{
	struct failure why = { 0 };
	struct history_filter filter;
	struct inquiry *q = NULL;
	int r = read_filter(call, OPTION_PLACE | OPTION_HISTORY, &filter, &why);

	if (text)
		filter.limit = filter.limit ? MIN(filter.limit, TEXT_JOBS_MAX) : TEXT_JOBS_MAX;
	if (r >= 0 && !(q = inquiry_new(call, text ? reply_text_lines : reply_lines, &why)))
		r = -EDQUOT;
	if (r >= 0)
		r = station_history_select(call->bus->station, &filter, on_sheet, q, &why);
	return asked(call, q, r, &why);
}

int manager_history(struct call *call)
{
	return ask_history(call, false);
}

int manager_history_text(struct call *call)
{
	return ask_history(call, true);
}

static int reply_verified(const struct station_sheet *sheet, sd_bus_message *reply)
{
	return sd_bus_message_append(reply, "htt", sheet->fd, sheet->jobs, sheet->differences);
}

static int reply_rebuilt(const struct station_sheet *sheet, sd_bus_message *reply)
{
	return sd_bus_message_append(reply, "t", sheet->jobs);
}

static int look(struct call *call, bool verify)
{
	struct failure why = { 0 };
	struct inquiry *q = NULL;
	struct options options;
	int r = options_read(call->bus, call->m, 0, &options, &why);

	options_free(&options);
	if (r >= 0 && !(q = inquiry_new(call, verify ? reply_verified : reply_rebuilt, &why)))
		r = -EDQUOT;
	if (r >= 0)
		r = verify ? station_history_verify(call->bus->station, on_sheet, q, &why)
			   : station_history_rebuild(call->bus->station, on_sheet, q, &why);
	return asked(call, q, r, &why);
}

int manager_history_verify(struct call *call)
{
	return look(call, true);
}

int manager_history_rebuild(struct call *call)
{
	return look(call, false);
}

static int reply_backups(const struct station_sheet *sheet, sd_bus_message *reply)
{
	return sd_bus_message_append(reply, "h", sheet->fd);
}

static int ask_backups(struct call *call, bool text)
{
	struct failure why = { 0 };
	struct history_filter filter;
	struct inquiry *q = NULL;
	int r = read_filter(call, OPTION_PLACE, &filter, &why);

	if (text)
		filter.limit = filter.limit ? MIN(filter.limit, TEXT_BACKUPS_MAX) : TEXT_BACKUPS_MAX;
	if (r >= 0 && !(q = inquiry_new(call, text ? append_text : reply_backups, &why)))
		r = -EDQUOT;
	if (r >= 0)
		r = station_backups(call->bus->station, &filter, on_sheet, q, &why);
	return asked(call, q, r, &why);
}

int manager_backups(struct call *call)
{
	return ask_backups(call, false);
}

int manager_backups_text(struct call *call)
{
	return ask_backups(call, true);
}

static int reply_exported(const struct station_sheet *sheet, sd_bus_message *reply)
{
	return sd_bus_message_append(reply, "t", sheet->bytes);
}

int manager_export_backup(struct call *call)
{
	struct failure why = { 0 };
	struct inquiry *q = NULL;
	struct options options;
	const char *name;
	uint64_t job;
	int fd = -1, r = sd_bus_message_read(call->m, "ts", &job, &name);

	if (r < 0)
		return r;
	r = work_take_fd(call->m, &fd, &why);
	if (r >= 0) {
		r = options_read(call->bus, call->m, 0, &options, &why);
		options_free(&options);
	}
	if (r >= 0 && !(q = inquiry_new(call, reply_exported, &why)))
		r = -EDQUOT;
	if (r >= 0)
		r = station_backup_export(call->bus->station, job, name, TAKE_FD(fd), on_sheet, q, &why);
	if (fd >= 0)
		close(fd);
	return asked(call, q, r, &why);
}
