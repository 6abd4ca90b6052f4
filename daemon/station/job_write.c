/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Jobs that write files of the caller's into single places of a phone. What the files are is looked at on the
 * worker that makes the package of them, whether they fit is the plan's to say.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/util.h"
#include "station/internal.h"
#include "station/kv.h"
#include "station/package_inner.h"
#include "station/single.h"

/* Bytes of the phone's own NV that are read to be merged: what vendors read where nothing is said. */
#define NV_READ (1u << 20)

struct writing {
	struct scheme_nv_item item[MADE_NV_ITEMS];
	size_t items;
};

/* ---- on the worker ---- */

static int in_file(const struct single_part *p, enum error_id error, const char *text, struct failure *why)
{
	int r = failure_set(why, error, "%.80s: %.160s", p->name, text);

	if (why)
		kv_copy(why->entry, sizeof(why->entry), p->id);
	return r;
}

/* UTF-16 at the very beginning: "BP_R1.0.0", "BP_R2.0.1". */
static bool is_package(const uint8_t *head)
{
	static const uint8_t begin[] = { 'B', 0, 'P', 0, '_', 0, 'R', 0 };

	return !memcmp(head, begin, sizeof(begin));
}

static int look(struct single_part *p, struct package_file *file, struct failure *why)
{
	uint8_t head[8] = { 0 };
	struct failure wrong = { 0 };
	int r;

	if (package_fd_check(file->fd, &wrong) < 0 || package_file_look(file, &wrong) < 0)
		return in_file(p, wrong.error, wrong.detail, why);
	r = package_file_read(file, 0, head, (size_t)MIN(file->size, (uint64_t)sizeof(head)));
	if (r < 0)
		return in_file(p, ERR_PACKAGE_READ_FAILED, strerror(-r), why);
	if (is_package(head))
		return in_file(p, ERR_INVALID_IMAGE, "it is a whole package, which is flashed, not written",
			       why);
	return 0;
}

/* What of an NV image stays the phone's. */
static int look_nv(struct writing *w, struct single_part *p, struct package_file *file, struct failure *why)
{
	struct source source = { .size = file->size, .read_at = package_file_read, .ctx = file };
	struct scheme_nv_item item[MADE_NV_ITEMS];
	struct failure wrong = { 0 };
	size_t items;

	if (made_nv_items(&source, item, &items, &wrong) < 0)
		return in_file(p, wrong.error, wrong.detail, why);
	if (w->items && (items != w->items || memcmp(item, w->item, items * sizeof(*item)) != 0))
		return in_file(
			p, ERR_INVALID_ARGS,
			"it has other items than the NV before it: a job keeps one list, write them one by one",
			why);
	memcpy(w->item, item, items * sizeof(*item));
	w->items = items;
	p->made.size = MAX(file->size, (uint64_t)NV_READ);
	return 0;
}

static int prepare(struct single *s, void *arg, struct failure *why)
{
	struct writing *w = arg;
	int r = 0;

	for (uint32_t i = 0; i < s->parts && !r; i++) {
		struct single_part *p = &s->part[i];
		struct package_file file = { .fd = p->fd };
		bool nv = plan_area_nv(p->partition, p->made.address);

		r = look(p, &file, why);
		if (!r && nv)
			r = look_nv(w, p, &file, why);
		/* no table tells how much of it is to be kept before */
		if (!r && !nv && !*p->partition && plan_address_own(p->made.address))
			p->made.size = file.size;
	}
	s->scheme.nv = w->item;
	s->scheme.nvs = w->items;
	s->scheme.nv_backup = w->items > 0;
	return r;
}

/* ---- asking ---- */

/* The ID of an entry says what it is to whoever reads packages: one that begins with NV is NV. */
static void name_part(char *id, size_t size, const char *target, bool nv)
{
	static const char *const taken[] = { "FDL", "FDL2", "PhaseCheck" };
	bool meant = false;

	for (size_t i = 0; i < ARRAY_SIZE(taken); i++)
		meant |= !strcasecmp(target, taken[i]);
	meant |= !strncasecmp(target, "NV", 2);
	snprintf(id, size, "%s%s", nv ? "NV_" : meant ? "_" : "", target);
}

/* It goes into details of errors, which go into records and logs. */
static void show_name(char *to, size_t size, const struct job_write *from)
{
	kv_copy(to, size, from->name && *from->name ? from->name : from->target);
	for (; *to; to++)
		if ((unsigned char)*to < 0x20 || *to == 0x7f)
			*to = '?';
}

static int add(struct single *s, struct job_write *from, struct failure *why)
{
	char name[40], id[56], shown[200];
	struct made_part part = { .name = shown };
	struct single_part *p;
	bool nv;
	int r = area_parse(from->target, name, &part.address, why);

	if (r < 0)
		return r;
	if (*name && !plan_name_usable(name))
		return failure_set(why, ERR_INVALID_ARGS, "'%s' is no name of a partition", name);
	if (!*name && part.address > UINT32_MAX)
		return failure_set(why, ERR_INVALID_ARGS, "'%s' has more than 32 bits", from->target);
	nv = plan_area_nv(name, part.address);
	show_name(shown, sizeof(shown), from);
	name_part(id, sizeof(id), from->target, nv);
	part.id = id;
	part.type = *name ? nv ? "NV_COMM" : "CODE2" : nv ? "NV" : "CODE";
	part.partition = *name ? name : NULL;
	for (uint32_t i = 0; i < s->parts; i++) {
		const struct made_part *other = &s->part[i].made;

		if (!other->partition != !*name)
			return failure_set(
				why, ERR_INVALID_ARGS,
				"names and addresses together: a phone has its areas by the one or by the other");
		if (!strcasecmp(other->id, id) || (!*name && other->address == part.address))
			return failure_set(why, ERR_INVALID_ARGS, "'%s' is named twice", from->target);
	}
	p = single_add(s, &part);
	if (p)
		p->fd = TAKE_FD(from->fd);
	return 0;
}

/* "boot_a, logo", as much of it as fits. */
static void name_areas(const struct job_request *q, char *text, size_t size)
{
	size_t used = 0;

	*text = 0;
	for (uint32_t i = 0; i < q->write_count && used < size; i++)
		used += (size_t)snprintf(text + used, size - used, "%s%.39s", i ? ", " : "",
					 q->writes[i].target);
}

static int begin(struct station *st, const struct job_request *q, struct single **out,
		 struct plan_options *options, struct failure *why)
{
	struct single *s;
	char name[256];
	int r;

	if (!q->write_count || q->write_count > JOB_WRITES_MAX)
		return failure_set(why, ERR_INVALID_ARGS, "%u files to write, 1 to %d are possible",
				   q->write_count, JOB_WRITES_MAX);
	r = single_options(&q->options, &st->set, options, why);
	if (r < 0)
		return r;
	name_areas(q, name, sizeof(name));
	s = single_new("write", name);
	if (s)
		s->arg = calloc(1, sizeof(struct writing));
	if (!s || !s->arg) {
		single_free(s);
		return failure_set(why, ERR_INTERNAL, "out of memory");
	}
	s->release = free;
	s->prepare = prepare;
	s->scheme.as_is = q->options.as_is;
	for (uint32_t i = 0; i < q->write_count && !r; i++)
		r = package_fd_check(q->writes[i].fd, why);
	for (uint32_t i = 0; i < q->write_count && !r; i++)
		r = add(s, &q->writes[i], why);
	if (r < 0)
		single_free(s);
	else
		*out = s;
	return r;
}

int station_write(struct station *st, const struct job_request *request, station_job_fn done, void *user,
		  struct failure *why)
{
	struct plan_options options;
	struct single *s = NULL;
	int r = begin(st, request, &s, &options, why);

	for (uint32_t i = 0; i < request->write_count; i++) {
		package_close(&request->writes[i].fd, request->writes[i].fd >= 0);
		request->writes[i].fd = -1;
	}
	return r < 0 ? r : single_ask(st, request, s, &options, done, user, why);
}
