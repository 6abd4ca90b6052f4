/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Jobs that read a phone, and those that only end what runs there. */
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "station/internal.h"
#include "station/kv.h"

static bool by_address(const char *target)
{
	return target[0] == '0' && target[1] == 'x';
}

static int take_areas(const struct job_request *q, struct plan_read *to, struct failure *why)
{
	for (uint32_t i = 0; i < q->read_count; i++, to++) {
		const struct job_read *from = &q->reads[i];
		int r = area_parse(from->target, to->target, &to->address, why);

		if (r < 0)
			return r;
		to->offset = from->offset;
		to->measure = from->size == JOB_READ_AUTO;
		to->size = to->measure ? 0 : from->size;
	}
	return 0;
}

/* Takes the descriptors. */
static int take_sinks(const struct job_request *q, struct sinks **out, struct failure *why)
{
	int fd[JOB_READS_MAX];

	if (q->read_count && q->read_count <= JOB_READS_MAX) {
		for (uint32_t i = 0; i < q->read_count; i++)
			fd[i] = q->reads[i].fd;
		return sinks_new(fd, q->read_count, out, why);
	}
	for (uint32_t i = 0; i < q->read_count; i++)
		close(q->reads[i].fd);
	return failure_set(why, ERR_INVALID_ARGS, "%u areas to read, 1 to %d are possible", q->read_count,
			   JOB_READS_MAX);
}

int job_loader(struct station *st, struct job_request *q, struct failure *why)
{
	const struct device *d = q->slot->device;
	int r;

	if (q->image)
		return 0;
	if (!q->loader || !*q->loader)
		q->image = d ? d->kept_image : NULL;
	if (q->image)
		return 0;
	r = station_loader(st, q->slot, q->loader, &q->image, why);
	if (r < 0 && q->loader && *q->loader) {
		struct image *package = station_stored_image(st, q->loader, NULL);

		if (package) {
			q->image = package;
			return 0;
		}
	}
	return r;
}

int station_read(struct station *st, const struct job_request *request, station_job_fn done, void *user,
		 struct failure *why)
{
	struct job_request q = *request;
	struct job_wish wish = { .request = &q, .kind = "read" };
	int r = take_sinks(&q, &wish.sinks, why);

	if (r < 0)
		return r;
	if (!q.options.end || !*q.options.end)
		q.options.end = "stay";
	q.dry_run = false;
	r = options_translate(&q.options, &st->set, &wish.options, why);
	if (!r)
		r = job_loader(st, &q, why);
	if (!r) {
		wish.reads = calloc(q.read_count, sizeof(*wish.reads));
		r = wish.reads ? take_areas(&q, wish.reads, why)
			       : failure_set(why, ERR_INTERNAL, "out of memory");
	}
	if (!r)
		return job_ask(st, &wish, done, user, why);
	free(wish.reads);
	sinks_unref(wish.sinks);
	return r;
}

int station_read_table(struct station *st, const struct job_request *request, station_job_fn done, void *user,
		       struct failure *why)
{
	struct job_request q = *request;
	struct job_wish wish = { .request = &q, .kind = "table", .table = true };
	int r;

	if (!q.options.end || !*q.options.end)
		q.options.end = "stay";
	q.dry_run = false;
	r = options_translate(&q.options, &st->set, &wish.options, why);
	if (!r)
		r = job_loader(st, &q, why);
	return r < 0 ? r : job_ask(st, &wish, done, user, why);
}

int station_release(struct station *st, const struct job_request *request, bool power_off,
		    station_job_fn done, void *user, struct failure *why)
{
	struct job_request q = *request;
	struct job_wish wish = { .request = &q, .kind = power_off ? "power-off" : "reset", .release = true };
	const struct device *d = q.slot->device;

	q.image = NULL;
	q.dry_run = false;
	wish.options.end = power_off ? END_POWER_OFF : END_RESET;
	if (d && d->seen && !d->used)
		return failure_set(why, ERR_NOTHING_KEPT, "%s: no job has had the phone there", q.slot->id);
	return job_ask(st, &wish, done, user, why);
}

bool station_area_own(const char *target)
{
	return plan_area_own(by_address(target) ? "" : target);
}
