/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Images: a package handed in as a descriptor, opened on its own worker, checked behind the scenes, shared by
 * its clients and jobs. A file system that never answers costs this image and nothing else.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "common/util.h"
#include "station/internal.h"
#include "station/kv.h"
#include "station/single.h"

/* One opening. Counted by hand: the task owns it, the loop's side reads it in done(). */
struct opening {
	struct station *st;
	struct worker *worker;
	struct package *package;
	struct single *single; /* the package is made of it, and of loaders: */
	struct package_reader *loaders;
	struct image *pair; /* whose they are: one reference; looked at on the loop only */
	struct failure why;
	int result;
	char name[256];
	bool accept_bad_crc;
	station_image_fn done;
	void *user;
};

struct checking {
	struct image *image; /* looked at on the loop only */
	struct package *package;
	struct failure why;
	int result;
};

static void check_begin(struct image *image);

/* ---- opening ---- */

static void open_run(void *arg)
{
	struct opening *o = arg;

	if (o->single)
		o->result = single_package(o->single, o->loaders, &o->package, &o->why);
	if (!o->result)
		o->result = package_parse(o->package, &o->why);
}

static void open_release(void *arg)
{
	struct opening *o = arg;

	package_unref(o->package);
	single_free(o->single);
	if (o->loaders)
		package_unref(o->loaders->package);
	free(o->loaders);
	free(o);
}

static void text_of(char *to, size_t size, const char *from)
{
	kv_copy(to, size, from);
	for (char *p = to; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
}

static struct image *image_new(struct opening *o)
{
	struct station *st = o->st;
	struct image *image = calloc(1, sizeof(*image));
	struct image **at = &st->images;

	if (!image)
		return NULL;
	image->st = st;
	image->number = ++st->image_number;
	image->refs = 1;
	image->accept_bad_crc = o->accept_bad_crc;
	image->package = package_ref(o->package);
	image->opened_at = station_wall();
	image->worker = TAKE_PTR(o->worker);
	image->pair = TAKE_PTR(o->pair);
	if (o->loaders && (o->loaders->early_count || o->loaders->early_full))
		image->unproved = TAKE_PTR(o->loaders);
	text_of(image->name, sizeof(image->name), o->name);
	while (*at)
		at = &(*at)->next;
	*at = image;
	return image;
}

static void open_done(void *arg, int status)
{
	struct opening *o = arg;
	struct station *st = o->st;
	struct image *image = NULL;
	struct failure why = { 0 };

	st->asking--;
	st->opening--;
	if (status == -ETIMEDOUT) /* the thread may still be writing to o->why */
		failure_set(&why, ERR_PACKAGE_READ_STALLED, "its structure could not be read within %d s",
			    (int)(st->set.open_usec / 1000000));
	else if (status < 0)
		failure_set(&why, ERR_INTERNAL, "%s", strerror(-status));
	else if (o->result < 0)
		why = o->why;
	else if (!(image = image_new(o)))
		failure_set(&why, ERR_INTERNAL, "out of memory");
	if (o->worker) {
		if (status == -ETIMEDOUT)
			worker_abandon(o->worker);
		else
			worker_close(o->worker);
		o->worker = NULL;
	}
	if (o->pair)
		image_release(TAKE_PTR(o->pair));
	if (image) {
		if (!image->pair)
			EMIT(st, image_added, image);
		check_begin(image);
	}
	o->done(o->user, image, image ? NULL : &why);
	station_poke(st);
}

static struct opening *opening_new(struct station *st, station_image_fn done, void *user, struct failure *why)
{
	struct opening *o = NULL;

	if (worker_left_behind() >= LEFT_BEHIND_MAX) {
		failure_set(why, ERR_LIMITS_EXCEEDED, "%u readers never came back from their file systems",
			    worker_left_behind());
		return NULL;
	}
	o = calloc(1, sizeof(*o));
	if (!o) {
		failure_set(why, ERR_INTERNAL, "out of memory");
		return NULL;
	}
	o->st = st;
	o->done = done;
	o->user = user;
	return o;
}

/* Takes o. */
static int open_begin(struct opening *o, struct failure *why)
{
	struct station *st = o->st;
	struct worker_call call = { .run = open_run,
				    .done = open_done,
				    .release = open_release,
				    .arg = o,
				    .deadline = loop_now() + st->set.open_usec };
	int r;

	o->worker = worker_new(st->loop, "fdld-image", 1);
	r = o->worker ? worker_submit(o->worker, &call, NULL) : -ENOMEM;
	if (r < 0) {
		worker_close(o->worker);
		if (o->pair)
			image_release(o->pair);
		open_release(o);
		return failure_set(why, ERR_INTERNAL, "%s", strerror(-r));
	}
	st->asking++;
	st->opening++;
	return 0;
}

int station_open_image(struct station *st, int fd, const struct image_options *options,
		       const struct station_caller *caller, station_image_fn done, void *user,
		       struct failure *why)
{
	_cleanup_close_ int own = fd;
	struct opening *o;
	uint32_t count = 0;
	int r;

	(void)caller;
	if (st->draining)
		return failure_set(why, ERR_DRAINING, "%s", "");
	for (struct image *i = st->images; i; i = i->next)
		count += !i->stored && !i->pair;
	count += st->opening;
	if (count >= st->set.images_max)
		return failure_set(why, ERR_LIMITS_EXCEEDED, "%u packages are open", count);
	o = opening_new(st, done, user, why);
	if (!o)
		return why ? -error_entry(why->error)->err : -ENOMEM;
	if (options && options->name)
		kv_copy(o->name, sizeof(o->name), options->name);
	o->accept_bad_crc = options && options->accept_bad_crc;
	o->package = package_new(TAKE_FD(own), o->accept_bad_crc, why);
	if (!o->package) {
		r = why ? -error_entry(why->error)->err : -EINVAL;
		free(o);
		return r;
	}
	package_lenient(o->package);
	return open_begin(o, why);
}

int image_make(struct station *st, struct single *single, struct image *pair, station_image_fn done,
	       void *user, struct failure *why)
{
	struct opening *o = opening_new(st, done, user, why);

	if (!o) {
		single_free(single);
		return why ? -error_entry(why->error)->err : -ENOMEM;
	}
	o->single = single;
	o->loaders = calloc(1, sizeof(*o->loaders));
	if (!o->loaders) {
		open_release(o);
		return failure_set(why, ERR_INTERNAL, "out of memory");
	}
	o->loaders->package = package_ref(pair->package);
	o->pair = pair;
	image_hold(pair);
	kv_copy(o->name, sizeof(o->name), single->name);
	return open_begin(o, why);
}

/* ---- the whole-file check ---- */

static void check_run(void *arg)
{
	struct checking *c = arg;

	c->result = package_check(c->package, &c->why);
}

static void check_release(void *arg)
{
	struct checking *c = arg;

	package_unref(c->package);
	free(c);
}

static void check_pair(struct image *image);

static void check_over(struct image *image, enum image_state state, const struct failure *why)
{
	struct station *st = image->st;

	image->state = state;
	loop_timer_free(TAKE_PTR(image->watch));
	if (why)
		image->failure = *why;
	if (state == IMAGE_GOOD) {
		const uint8_t *sum = package_body(image->package)->sha256;

		for (int i = 0; i < 32; i++)
			snprintf(image->digest + 2 * i, 3, "%02x", sum[i]);
	}
	if (!image->pair)
		EMIT(st, image_changed, image);
	for (struct job *j = st->jobs; j; j = j->next)
		if ((j->image == image || j->lender == image) && j->runner)
			runner_image_told(j->runner);
	for (struct image *i = st->images; i; i = i->next) /* those that have its loaders */
		if (i->pair == image && i->state == IMAGE_CHECKING && !i->worker)
			check_pair(i);
}

/*
 * All of it is in order but that its loaders may come from a package whose own check goes on: with that they
 * stand or fall, as they would if that package were flashed.
 */
static void check_pair(struct image *image)
{
	struct failure why = { 0 };
	int r = 0;

	if (image->unproved && image->pair->state == IMAGE_CHECKING)
		return;
	if (image->unproved && image->pair->state == IMAGE_BAD) {
		why = image->pair->failure;
		r = -1;
	} else if (image->unproved) {
		r = package_reader_prove(image->unproved, &why);
	}
	check_over(image, r < 0 ? IMAGE_BAD : IMAGE_GOOD, r < 0 ? &why : NULL);
}

static void check_done(void *arg, int status)
{
	struct checking *c = arg;
	struct image *image = c->image;
	struct failure why = { 0 };

	if (status < 0)
		failure_set(&why, ERR_INTERNAL, "%s", strerror(-status));
	else
		why = c->why;
	worker_close(TAKE_PTR(image->worker));
	loop_timer_free(TAKE_PTR(image->watch));
	if (status >= 0 && c->result >= 0)
		check_pair(image);
	else
		check_over(image, IMAGE_BAD, &why);
}

static void check_watch(void *arg)
{
	struct image *image = arg;
	uint64_t now = loop_now(), at = package_checked(image->package);
	struct failure why = { 0 };

	if (at != image->watched) {
		image->watched = at;
		image->moved_at = now;
	}
	if (now - image->moved_at < image->st->set.stall_usec) {
		loop_timer_after(image->watch, image->st->set.stall_usec / 4);
		return;
	}
	package_stop(image->package);
	worker_abandon(TAKE_PTR(image->worker));
	failure_set(&why, ERR_PACKAGE_READ_STALLED, "no byte for %d s at %" PRIu64 " of %" PRIu64,
		    (int)(image->st->set.stall_usec / 1000000), at, package_size(image->package));
	check_over(image, IMAGE_BAD, &why);
}

static void check_begin(struct image *image)
{
	struct checking *c = calloc(1, sizeof(*c));
	struct worker_call call = {
		.run = check_run, .done = check_done, .release = check_release, .arg = c
	};
	struct failure why = { 0 };

	image->moved_at = loop_now();
	image->watch = loop_timer_new(image->st->loop, check_watch, image);
	if (c && image->watch) {
		c->image = image;
		c->package = package_ref(image->package);
		loop_timer_after(image->watch, image->st->set.stall_usec / 4);
		if (worker_submit(image->worker, &call, NULL) == 0)
			return;
		package_unref(c->package);
	}
	free(c);
	worker_close(TAKE_PTR(image->worker));
	failure_set(&why, ERR_INTERNAL, "the check could not be started");
	check_over(image, IMAGE_BAD, &why);
}

/* ---- life ---- */

static void image_end(struct image *image)
{
	struct station *st = image->st;
	struct image **at = &st->images;

	while (*at && *at != image)
		at = &(*at)->next;
	if (*at)
		*at = image->next;
	if (image->worker) { /* still checking: nobody wants to know any more */
		package_stop(image->package);
		worker_abandon(TAKE_PTR(image->worker));
	}
	loop_timer_free(image->watch);
	if (image->unproved)
		package_unref(image->unproved->package);
	free(image->unproved);
	package_unref(image->package);
	session_shelf_free(image->shelf);
	if (image->pair)
		image_release(image->pair);
	free(image);
}

static void image_last(void *arg)
{
	struct image *image = arg;

	if (image->refs)
		return; /* held again in the meantime */
	if (!image->told_gone && !image->pair)
		EMIT(image->st, image_removed, image);
	station_told(image->st);
	image_end(image);
}

void image_hold(struct image *image)
{
	image->refs++;
}

void image_release(struct image *image)
{
	if (--image->refs)
		return;
	loop_forget(image->st->loop, image); /* once is enough */
	if (loop_defer(image->st->loop, image_last, image) < 0)
		image_last(image);
}

void image_free_all(struct station *st)
{
	for (struct image *i = st->images; i; i = i->next)
		i->pair = NULL; /* all go, in any order */
	while (st->images) {
		loop_forget(st->loop, st->images);
		image_end(st->images);
	}
}
