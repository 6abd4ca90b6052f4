/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Images: a package handed in as a descriptor, opened on its own worker, checked behind the scenes, shared by
 * its clients and jobs. A file system that never answers costs this image and nothing else.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <strings.h>

#include "common/util.h"
#include "station/internal.h"
#include "station/kv.h"

#define DIGITS_MIN 8u

/* One opening. Counted by hand: the task owns it, the loop's side reads it in done(). */
struct opening {
	struct station *st;
	struct worker *worker;
	struct package *package;
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

	o->result = package_parse(o->package, &o->why);
}

static void open_release(void *arg)
{
	struct opening *o = arg;

	package_unref(o->package);
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
	if (image) {
		EMIT(st, image_added, image);
		check_begin(image);
	}
	o->done(o->user, image, image ? NULL : &why);
	station_poke(st);
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
		count += !i->stored;
	count += st->opening;
	if (count >= st->set.images_max)
		return failure_set(why, ERR_LIMITS_EXCEEDED, "%u packages are open", count);
	if (worker_left_behind() >= LEFT_BEHIND_MAX)
		return failure_set(why, ERR_LIMITS_EXCEEDED,
				   "%u readers never came back from their file systems",
				   worker_left_behind());
	o = calloc(1, sizeof(*o));
	if (!o)
		return failure_set(why, ERR_INTERNAL, "out of memory");
	o->st = st;
	o->done = done;
	o->user = user;
	if (options && options->name)
		kv_copy(o->name, sizeof(o->name), options->name);
	o->accept_bad_crc = options && options->accept_bad_crc;
	o->package = package_new(TAKE_FD(own), o->accept_bad_crc, why);
	if (!o->package) {
		r = why ? -error_entry(why->error)->err : -EINVAL;
		free(o);
		return r;
	}
	o->worker = worker_new(st->loop, "fdld-image", 1);

	struct worker_call call = { .run = open_run,
				    .done = open_done,
				    .release = open_release,
				    .arg = o,
				    .deadline = loop_now() + st->set.open_usec };

	r = o->worker ? worker_submit(o->worker, &call, NULL) : -ENOMEM;
	if (r < 0) {
		worker_close(o->worker);
		open_release(o);
		return failure_set(why, ERR_INTERNAL, "%s", strerror(-r));
	}
	st->asking++;
	st->opening++;
	return 0;
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
	EMIT(st, image_changed, image);
	for (struct job *j = st->jobs; j; j = j->next)
		if (j->image == image && j->runner)
			runner_image_told(j->runner);
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
	check_over(image, status < 0 || c->result < 0 ? IMAGE_BAD : IMAGE_GOOD,
		   status < 0 || c->result < 0 ? &why : NULL);
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
	package_unref(image->package);
	free(image);
}

static void image_last(void *arg)
{
	struct image *image = arg;

	if (image->refs)
		return; /* held again in the meantime */
	if (!image->told_gone)
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
	while (st->images) {
		loop_forget(st->loop, st->images);
		image_end(st->images);
	}
}

/* ---- views ---- */

void image_view(const struct image *image, struct image_view *view)
{
	static const char *const states[] = { "checking", "good", "bad" };
	const struct pac *pac = image->package ? package_pac(image->package) : NULL;
	const struct pac_body *body = pac && image->state == IMAGE_GOOD ? package_body(image->package) : NULL;
	size_t items = 0, doubts = 0;

	if (pac) {
		pac_items(pac, &items);
		pac_doubts(pac, &doubts);
	}
	*view = (struct image_view){
		.number = image->number,
		.state = states[image->state],
		.name = image->name,
		.size = image->stored ? image->size : package_size(image->package),
		.bytes_checked = image->stored ? image_verified(image) : package_checked(image->package),
		.product = image->stored ? image->product : pac_header(pac)->product,
		.firmware = image->stored ? image->firmware : pac_header(pac)->product_version,
		.digest = image->digest,
		.opened_at = image->opened_at,
		.failure = image->failure,
		.entries = (uint32_t)items,
		.doubts = (uint32_t)(doubts + (body ? body->doubts : 0)),
		.stored = image->stored,
		.given = image->loader ? "" : image->origin.name,
		.loader = image->loader,
		.imported_at = image->imported_at,
	};
}

bool image_entry(const struct image *image, uint32_t index, struct image_entry *entry)
{
	size_t count = 0;
	const struct pac_item *items = image->package ? pac_items(package_pac(image->package), &count) : NULL;

	if (index >= count)
		return false;
	*entry = (struct image_entry){
		.id = items[index].file->id,
		.type = items[index].file->type_text,
		.partition = items[index].label,
		.file = items[index].name,
		.size = items[index].size,
		.ticked = items[index].ticked,
	};
	return true;
}

const char *image_doubt(const struct image *image, uint32_t index, const char **entry)
{
	const struct pac_body *body = image->state == IMAGE_GOOD ? package_body(image->package) : NULL;
	size_t count = 0;
	const struct pac_doubt *doubt = image->package ? pac_doubts(package_pac(image->package), &count)
						       : NULL;

	if (index >= count) {
		index -= (uint32_t)count;
		count = body ? body->doubts : 0;
		doubt = body ? body->doubt : NULL;
	}
	if (entry)
		*entry = index < count ? doubt[index].entry : "";
	return index < count ? doubt[index].text : "";
}

struct image *station_image(const struct station *st, uint64_t number)
{
	struct image *i = st->images;

	while (i && i->number != number)
		i = i->next;
	return i;
}

struct image *station_next_image(const struct station *st, const struct image *after)
{
	return after ? after->next : st->images;
}

/* ---- those of the store ---- */

struct image *station_stored_image(struct station *st, const char *name, struct failure *why)
{
	size_t len = strlen(name);
	bool digits = len >= DIGITS_MIN && len <= 2 * DIGEST_SIZE &&
		      strspn(name, "0123456789abcdefABCDEF") == len;
	struct image *found = NULL;

	for (struct image *i = st->images; i; i = i->next) /* names are unique */
		if (i->stored && !i->loader && !i->leaving && *name && !strcmp(i->name, name))
			found = i;
	for (struct image *i = st->images; !found && digits && i; i = i->next) {
		if (!i->stored || i->loader || i->leaving || strncasecmp(i->digest, name, len) != 0)
			continue;
		for (struct image *j = i->next; j; j = j->next)
			if (j->stored && !j->loader && !j->leaving && !strncasecmp(j->digest, name, len)) {
				failure_set(why, ERR_NO_SUCH_IMAGE, "more than one digest begins with %s",
					    name);
				return NULL;
			}
		found = i;
	}
	if (!found) {
		failure_set(why, ERR_NO_SUCH_IMAGE, "%.100s", name);
		return NULL;
	}
	if (found->state == IMAGE_BAD) {
		if (why)
			*why = found->failure;
		return NULL;
	}
	return found;
}
