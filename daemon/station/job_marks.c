/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Jobs about how a phone starts: the marks in misc, vbmeta and miscdata, shown or set. To show them a job
 * reads their places into memory of its own, as if into a caller's files.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/util.h"
#include "station/internal.h"

#define AREA_MAX 4096u /* bytes of the largest of them */

/* What was read, and what it says. */
struct peek {
	int fd[MARK_AREAS];
	bool told;
	struct mark_boot boot;
	struct job_marks view;
};

void peek_free(struct peek *p)
{
	if (!p)
		return;
	for (int i = 0; i < MARK_AREAS; i++)
		if (p->fd[i] >= 0)
			close(p->fd[i]);
	free(p);
}

/* Two descriptors of each piece of memory: one for the sinks, one to look at it afterwards. */
static int peek_new(struct peek **out, struct sinks **sinks, struct failure *why)
{
	struct peek *p = calloc(1, sizeof(*p));
	int to[MARK_AREAS], r = p ? 0 : -ENOMEM;

	for (int i = 0; i < MARK_AREAS; i++)
		to[i] = -1;
	for (int i = 0; p && i < MARK_AREAS; i++) {
		p->fd[i] = memfd_create("fdld-marks", MFD_CLOEXEC);
		to[i] = p->fd[i] < 0 ? -1 : fcntl(p->fd[i], F_DUPFD_CLOEXEC, 3);
		if (to[i] < 0 && !r)
			r = -errno;
	}
	if (!r) {
		r = sinks_new(to, MARK_AREAS, sinks, why);
	} else {
		for (int i = 0; i < MARK_AREAS; i++)
			if (to[i] >= 0)
				close(to[i]);
		r = failure_set(why, r == -EMFILE ? ERR_LIMITS_EXCEEDED : ERR_INTERNAL,
				"no memory for what is read: %s", strerror(-r));
	}
	if (r < 0) {
		peek_free(p);
		return r;
	}
	*out = p;
	return 0;
}

/* ---- what it says ---- */

static void look_at_misc(struct peek *p, const uint8_t *bytes, size_t len)
{
	struct job_marks *v = &p->view;
	struct mark_slots slots;
	int r;

	if (!mark_show_boot(bytes, len, &p->boot)) {
		v->start = mark_boot_name(mark_boot_of(&p->boot));
		v->command = p->boot.command;
		v->arguments = p->boot.arguments;
	}
	r = mark_show_slots(bytes, len, &slots);
	v->slots = !r ? "valid" : r == -EBADMSG ? "damaged" : "none";
	if (r)
		return;
	v->active = slots.active == 'a' ? "a" : slots.active == 'b' ? "b" : "";
	v->started = slots.suffix == 'a' ? "a" : slots.suffix == 'b' ? "b" : "";
	for (int i = 0; i < 2; i++)
		v->slot[i] = (struct job_mark_slot){ .priority = slots.slot[i].priority,
						     .tries = slots.slot[i].tries,
						     .successful = slots.slot[i].successful,
						     .corrupted = slots.slot[i].corrupted };
}

static void look_at_vbmeta(struct peek *p, const char *name, const uint8_t *bytes, size_t len)
{
	struct job_marks *v = &p->view;
	bool on;

	if (mark_show_verity(bytes, len, &on))
		return;
	v->verity[v->verity_count].partition = name;
	v->verity[v->verity_count++].on = on;
}

void job_take_marks(struct job *job)
{
	struct peek *p = job->peek;
	uint8_t bytes[AREA_MAX];

	if (!p)
		return;
	p->told = true;
	p->view = (struct job_marks){ .told = true,
				      .start = "",
				      .command = "",
				      .arguments = "",
				      .slots = "none",
				      .active = "",
				      .started = "",
				      .mode = -1 };
	for (int i = 0; i < MARK_AREAS; i++) {
		ssize_t n = pread(p->fd[i], bytes, MIN(sizeof(bytes), mark_areas[i].size), 0);

		if (n <= 0)
			continue; /* this phone has no such place */
		if (i == MARK_AREA_MISC)
			look_at_misc(p, bytes, (size_t)n);
		else if (i == MARK_AREA_FIRST)
			p->view.mode = mark_show_first(bytes, (size_t)n) < 0 ? -1 : bytes[0];
		else
			look_at_vbmeta(p, mark_areas[i].name, bytes, (size_t)n);
	}
}

void job_marks(const struct job *job, struct job_marks *marks)
{
	*marks = job->peek && job->peek->told ? job->peek->view : (struct job_marks){ .told = false };
}

/* ---- asking ---- */

static int take_start(const char *word, struct mark *to, struct failure *why)
{
	for (int i = BOOT_NORMAL; i <= BOOT_FASTBOOT; i++)
		if (!strcmp(word, mark_boot_name(i))) {
			*to = (struct mark){ .kind = MARK_BOOT, .value = i };
			return 0;
		}
	return failure_set(why, ERR_INVALID_ARGS, "start=%.40s: one of normal, recovery, fastboot", word);
}

static int take_marks(const struct job_set_marks *set, struct mark marks[PLAN_MARKS_MAX], uint32_t *n,
		      struct failure *why)
{
	int r = 0;

	if (set->start && *set->start)
		r = take_start(set->start, &marks[(*n)++], why);
	if (!r && set->active && *set->active) {
		if (strcmp(set->active, "a") != 0 && strcmp(set->active, "b") != 0)
			return failure_set(why, ERR_INVALID_ARGS, "active=%.40s: one of a, b", set->active);
		marks[(*n)++] = (struct mark){ .kind = MARK_SLOT, .value = *set->active };
	}
	if (!r && set->verity_given)
		marks[(*n)++] = (struct mark){ .kind = MARK_VERITY, .value = set->verity };
	if (!r && set->mode_given) {
		if (set->mode > 255)
			return failure_set(why, ERR_INVALID_ARGS, "first_mode=%u: 0 to 255", set->mode);
		marks[(*n)++] = (struct mark){ .kind = MARK_FIRST_MODE, .value = (int)set->mode };
	}
	return r < 0 || *n ? r
			   : failure_set(why, ERR_INVALID_ARGS,
					 "nothing is to be set: start, active, verity or first_mode");
}

static int begin(struct station *st, struct job_request *q, struct job_wish *wish, struct failure *why)
{
	int r;

	if (!q->options.end || !*q->options.end)
		q->options.end = "stay";
	q->dry_run = false;
	r = options_translate(&q->options, &st->set, &wish->options, why);
	return r < 0 ? r : job_loader(st, q, why);
}

int station_set_marks(struct station *st, const struct job_request *request, const struct job_set_marks *set,
		      station_job_fn done, void *user, struct failure *why)
{
	struct job_request q = *request;
	struct mark marks[PLAN_MARKS_MAX];
	struct job_wish wish = { .request = &q, .kind = "mark", .marks = marks };
	int r = take_marks(set, marks, &wish.mark_count, why);

	if (!r)
		r = begin(st, &q, &wish, why);
	return r < 0 ? r : job_ask(st, &wish, done, user, why);
}

int station_read_marks(struct station *st, const struct job_request *request, station_job_fn done, void *user,
		       struct failure *why)
{
	struct job_request q = *request;
	struct job_wish wish = { .request = &q, .kind = "marks" };
	int r = begin(st, &q, &wish, why);

	if (!r)
		r = peek_new(&wish.peek, &wish.sinks, why);
	return r < 0 ? r : job_ask(st, &wish, done, user, why);
}
