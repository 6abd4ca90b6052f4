/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Single work as a job: what is to be done, the options it has, and the way from there to a job. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "station/internal.h"
#include "station/kv.h"
#include "station/package_inner.h"
#include "station/single.h"

/* On its way to a job: the package is being made. */
struct asked {
	struct station *st;
	struct job_request request;
	struct plan_options options;
	char kind[16];
	struct mark mark[PLAN_MARKS_MAX];
	uint32_t marks;
	station_job_fn done;
	void *user;
};

struct single *single_new(const char *kind, const char *name)
{
	struct single *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	kv_copy(s->kind, sizeof(s->kind), kind);
	kv_copy(s->name, sizeof(s->name), name);
	return s;
}

void single_free(struct single *s)
{
	if (!s)
		return;
	for (uint32_t i = 0; i < s->parts; i++) {
		free(s->part[i].bytes);
		package_close(&s->part[i].fd, s->part[i].fd >= 0);
	}
	if (s->release)
		s->release(s->arg);
	made_table_free(&s->table);
	free(s);
}

struct single_part *single_add(struct single *s, const struct made_part *made)
{
	struct single_part *p = s->parts < SINGLE_PARTS_MAX ? &s->part[s->parts] : NULL;

	if (!p || !kv_copy(p->id, sizeof(p->id), made->id) ||
	    !kv_copy(p->type, sizeof(p->type), made->type) ||
	    !kv_copy(p->partition, sizeof(p->partition), made->partition ? made->partition : "")) {
		s->failed = true;
		return NULL;
	}
	kv_copy(p->name, sizeof(p->name), made->name ? made->name : "");
	p->made = *made;
	p->made.id = p->id;
	p->made.type = p->type;
	p->made.partition = made->partition ? p->partition : NULL;
	p->made.name = made->name ? p->name : NULL;
	p->made.source = NULL;
	p->fd = -1;
	s->parts++;
	return p;
}

int single_options(const struct job_options *in, const struct settings *set, struct plan_options *out,
		   struct failure *why)
{
	struct job_options said = *in;
	int r;

	if (!said.end || !*said.end)
		said.end = "stay";
	if (!said.level || !*said.level)
		said.level = "verified";
	r = options_translate(&said, set, out, why);
	if (!r && out->level == LEVEL_SAMPLED)
		r = failure_set(why, ERR_INVALID_ARGS,
				"level sampled is for packages: acknowledged or verified");
	if (r < 0)
		return r;
	out->own = in->i_know ? OWN_I_KNOW : OWN_REFUSE;
	return 0;
}

static void made(void *user, struct image *image, const struct failure *why)
{
	struct asked *a = user;
	struct job_wish wish = { .request = &a->request,
				 .kind = a->request.dry_run ? "dry-run" : a->kind,
				 .options = a->options,
				 .marks = a->mark,
				 .mark_count = a->marks };
	struct failure refused = { 0 };

	a->request.image = image;
	if (!image || job_ask(a->st, &wish, a->done, a->user, &refused) < 0)
		a->done(a->user, NULL, image ? &refused : why);
	if (image)
		image_release(image);
	free(a);
}

int single_ask(struct station *st, const struct job_request *request, struct single *s,
	       const struct plan_options *options, station_job_fn done, void *user, struct failure *why)
{
	struct asked *a = s->failed ? NULL : calloc(1, sizeof(*a));
	int r;

	if (!a) {
		r = s->failed
			    ? failure_set(why, ERR_LIMITS_EXCEEDED,
					  "more than %d things at once, or a name too long", SINGLE_PARTS_MAX)
			    : failure_set(why, ERR_INTERNAL, "out of memory");
		single_free(s);
		return r;
	}
	*a = (struct asked){ .st = st,
			     .request = *request,
			     .options = *options,
			     .marks = s->marks,
			     .done = done,
			     .user = user };
	memcpy(a->kind, s->kind, sizeof(a->kind));
	memcpy(a->mark, s->mark, sizeof(a->mark));
	r = job_loader(st, &a->request, why);
	if (!r && a->request.image->pair) /* the caller named one that was made */
		a->request.image = a->request.image->pair;
	if (!r)
		r = job_may_ask(st, &a->request, why);
	if (!r) {
		struct image *pair = a->request.image;

		/* what is made of its loaders alone cannot tell how its phones are spoken to */
		if (a->options.addressing == ADDRESSING_PACKAGE)
			a->options.addressing = loader_addressing(pair);

		/* what is lent is not there any more when the package is */
		a->request.options = (struct job_options){ 0 };
		a->request.loader = a->request.note = NULL;
		a->request.image = NULL;
		a->request.slots = NULL;
		a->request.slot_count = 0;
		a->request.rule = NULL;
		a->request.rules = NULL;
		r = image_make(st, TAKE_PTR(s), pair, made, a, why);
	}
	single_free(s);
	if (r < 0)
		free(a);
	return r;
}
