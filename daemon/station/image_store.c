/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Images that stay: imports, removals and verifications, each on a worker of its own as files may lie on
 * disks that never answer; and what is there at the start. The store holds one reference to each of its
 * images.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "common/util.h"
#include "station/armed.h"
#include "station/internal.h"
#include "station/kv.h"
#include "station/rules.h"
#include "station/store.h"

#define AT_ONCE_MAX 8u /* imports and verifications */

enum chore_kind { CHORE_IMPORT, CHORE_VERIFY, CHORE_REMOVE };

/* The worker's: what it works on, and what came of it. */
struct task {
	enum chore_kind kind;
	bool loaders; /* of the loader store */
	struct store_work work;
	struct failure why;
	int result;
};

/* The loop's. */
struct chore {
	struct chore *next;
	struct station *st;
	struct task *task; /* the worker's; until done */
	struct worker *worker;
	struct loop_timer *timer;
	uint64_t watched, moved_at;
	struct image *image; /* verify, remove: held */
	station_image_fn imported;
	station_done_fn done;
	void *user;
};

/* ---- on the worker ---- */

static void task_run(void *arg)
{
	struct task *t = arg;

	t->result = t->kind == CHORE_IMPORT   ? store_import(&t->work, &t->why)
		    : t->kind == CHORE_VERIFY ? store_verify(&t->work, &t->why)
					      : store_remove(&t->work, &t->why);
}

static void task_release(void *arg)
{
	struct task *t = arg;

	if (t->work.fd >= 0)
		close(t->work.fd);
	if (t->work.second >= 0)
		close(t->work.second);
	package_unref(t->work.package);
	package_unref(t->work.swap);
	store_record_clear(&t->work.rec);
	store_unref(t->work.store);
	free(t);
}

/* ---- on the loop ---- */

static void chore_free(struct chore *c)
{
	struct chore **at = &c->st->chores;

	while (*at && *at != c)
		at = &(*at)->next;
	if (*at)
		*at = c->next;
	loop_timer_free(c->timer);
	if (c->image) {
		if (c->image->checkup == c)
			c->image->checkup = NULL;
		image_release(c->image);
	}
	free(c);
}

static void hex(struct image *image, const struct package *package)
{
	const uint8_t *sum = package_body(package)->sha256;

	for (unsigned int i = 0; i < DIGEST_SIZE; i++)
		snprintf(image->digest + 2 * i, 3, "%02x", sum[i]);
}

static struct image *stored_by_digest(const struct station *st, const char *digest, bool loader)
{
	struct image *i = st->images;

	while (i && !(i->stored && i->loader == loader && !i->leaving && !strcmp(i->digest, digest)))
		i = i->next;
	return i;
}

static void plain(char *text)
{
	for (char *p = text; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
}

static struct image *image_of(struct station *st, const struct store_record *rec, struct package *package,
			      bool loader)
{
	struct image *image = calloc(1, sizeof(*image)), **at = &st->images;

	if (!image)
		return NULL;
	image->st = st;
	image->number = ++st->image_number;
	image->refs = 1; /* the store's */
	image->stored = true;
	image->accept_bad_crc = rec->accept_bad_crc;
	image->package = package ? package_ref(package) : NULL;
	image->opened_at = station_wall();
	image->imported_at = rec->imported_at;
	image->size = rec->size;
	kv_copy(image->name, sizeof(image->name), rec->name);
	kv_copy(image->product, sizeof(image->product), rec->product);
	kv_copy(image->firmware, sizeof(image->firmware), rec->firmware);
	kv_copy(image->digest, sizeof(image->digest), rec->digest);
	image->loader = loader;
	image->origin = rec->loader;
	plain(image->origin.name);
	plain(image->origin.digest);
	plain(image->origin.family);
	plain(image->name);
	plain(image->product);
	plain(image->firmware);
	image->state = package ? IMAGE_GOOD : IMAGE_BAD;
	while (*at)
		at = &(*at)->next;
	*at = image;
	return image;
}

/* A good copy of what it is: in place of one that nobody uses and nobody can. */
static void renew(struct image *image, struct package *package)
{
	if (image->state != IMAGE_BAD || (!image->package && !package))
		return;
	if (package && (!image->package || image->refs <= 2)) {
		package_unref(image->package);
		image->package = package_ref(package);
	}
	image->state = IMAGE_GOOD;
	memset(&image->failure, 0, sizeof(image->failure));
	hex(image, image->package);
}

static void import_over(struct chore *c, struct task *t)
{
	struct station *st = c->st;
	const struct store_record *rec = &t->work.rec;
	bool loader = t->work.store == st->loaders;
	struct image *image = stored_by_digest(st, rec->digest, loader);
	struct failure why = { 0 };

	if (image) {
		renew(image, t->work.package);
		kv_copy(image->name, sizeof(image->name), rec->name);
		plain(image->name);
		image->origin = rec->loader;
		plain(image->origin.name);
		EMIT(st, image_changed, image);
		armed_changed(st);
	} else if ((image = image_of(st, rec, t->work.package, loader))) {
		EMIT(st, image_added, image);
		armed_changed(st);
		station_told(st);
	} else {
		failure_set(&why, ERR_INTERNAL, "out of memory");
	}
	c->imported(c->user, image, image ? NULL : &why);
}

static void remove_over(struct chore *c, struct task *t)
{
	struct image *image = c->image;

	image->leaving = false;
	if (t->result < 0) {
		c->done(c->user, &t->why);
		return;
	}
	image->stored = false;
	EMIT(image->st, image_removed, image);
	image->told_gone = true;
	image_release(image); /* the store's */
	c->done(c->user, NULL);
}

static void verify_over(struct chore *c, struct task *t)
{
	struct image *image = c->image;

	if (!t->result) {
		renew(image, t->work.package);
	} else if (t->why.error != ERR_CANCELLED) {
		image->state = IMAGE_BAD;
		image->failure = t->why;
	}
	image->checkup = NULL;
	EMIT(image->st, image_changed, image);
	c->done(c->user, t->result ? &t->why : NULL);
}

static void fail(struct chore *c, const struct failure *why)
{
	if (c->image) {
		c->image->leaving = false;
		c->image->checkup = NULL;
		EMIT(c->st, image_changed, c->image);
	}
	if (c->imported)
		c->imported(c->user, NULL, why);
	else
		c->done(c->user, why);
}

static void over(struct chore *c)
{
	struct station *st = c->st;

	chore_free(c);
	st->asking--;
	station_poke(st);
}

static void on_done(void *arg, int status)
{
	struct task *t = arg;
	struct chore *c = t->work.user;
	struct failure why = { 0 };

	worker_close(TAKE_PTR(c->worker));
	if (status < 0)
		failure_set(&why, ERR_INTERNAL, "%s", strerror(-status));
	if (status < 0)
		fail(c, &why);
	else if (t->kind == CHORE_VERIFY)
		verify_over(c, t);
	else if (t->kind == CHORE_REMOVE)
		remove_over(c, t);
	else if (t->result < 0)
		fail(c, &t->why);
	else
		import_over(c, t);
	over(c);
}

static void on_watch(void *arg)
{
	struct chore *c = arg;
	uint64_t now = loop_now(), at = atomic_load(&c->task->work.moved), limit = c->st->set.stall_usec;
	struct failure why = { 0 };

	if (at != c->watched) {
		c->watched = at;
		c->moved_at = now;
	}
	if (now - c->moved_at < limit) {
		loop_timer_after(c->timer, limit / 4);
		return;
	}
	failure_set(&why, ERR_PACKAGE_READ_STALLED, "no byte for %d s at %" PRIu64, (int)(limit / 1000000),
		    at);
	atomic_store(&c->task->work.stop, true); /* should it come back, it leaves nothing */
	worker_abandon(TAKE_PTR(c->worker));
	fail(c, &why);
	over(c);
}

/* Takes t; c is filled but for the machinery. 0 or negative errno with *why. */
static int begin(struct chore *c, struct task *t, struct failure *why)
{
	struct station *st = c->st;
	struct worker_call call = { .run = task_run, .done = on_done, .release = task_release, .arg = t };
	int r;

	c->task = t;
	t->work.user = c;
	t->work.store = store_ref(t->loaders ? st->loaders : st->store);
	c->worker = worker_new(st->loop, "fdld-store", 1);
	c->timer = loop_timer_new(st->loop, on_watch, c);
	c->moved_at = loop_now();
	c->next = st->chores;
	st->chores = c;
	r = c->worker && c->timer ? worker_submit(c->worker, &call, NULL) : -ENOMEM;
	if (r < 0) {
		worker_close(c->worker);
		task_release(t);
		chore_free(c);
		return failure_set(why, ERR_INTERNAL, "%s", strerror(-r));
	}
	loop_timer_after(c->timer, st->set.stall_usec / 4);
	st->asking++;
	return 0;
}

/* Both, or neither with *why. */
static int make(struct station *st, struct chore **c, struct task **t, struct failure *why)
{
	unsigned int n = 0;

	for (struct chore *o = st->chores; o; o = o->next)
		n++;
	if (st->draining)
		return failure_set(why, ERR_DRAINING, "%s", "");
	if (n >= AT_ONCE_MAX)
		return failure_set(why, ERR_LIMITS_EXCEEDED, "%u packages are being imported or verified", n);
	*c = calloc(1, sizeof(**c));
	*t = calloc(1, sizeof(**t));
	if (!*c || !*t) {
		free(*c);
		free(*t);
		return failure_set(why, ERR_INTERNAL, "out of memory");
	}
	(*c)->st = st;
	(*t)->work.fd = (*t)->work.second = -1;
	return 0;
}

bool station_chore(const struct station *st, uint32_t index, struct chore_view *view)
{
	static const char *const kinds[] = { "import", "verify", "remove" };
	const struct chore *c = st->chores;

	for (; c && index; index--)
		c = c->next;
	if (!c)
		return false;
	*view = (struct chore_view){
		.kind = kinds[c->task->kind],
		.name = c->image ? c->image->name : c->task->work.name,
		.done = atomic_load(&c->task->work.moved),
		.total = c->image ? c->image->size : atomic_load(&c->task->work.total),
	};
	return true;
}

/* ---- what is asked for ---- */

/* What every import has; takes fd. */
static int import_of(struct station *st, int fd, const struct image_options *options,
		     const struct station_caller *caller, struct chore **c, struct task **t,
		     struct failure *why)
{
	_cleanup_close_ int own = fd;
	int flags = fcntl(own, F_GETFL), r;

	if (flags < 0 || (flags & O_ACCMODE) != O_RDONLY || (flags & O_PATH))
		return failure_set(why, ERR_INVALID_IMAGE, "the descriptor must be opened for reading only");
	if (options && options->name && strlen(options->name) >= STORE_NAME_MAX)
		return failure_set(why, ERR_INVALID_ARGS, "option 'name': at most %d bytes",
				   STORE_NAME_MAX - 1);
	if (worker_left_behind() >= LEFT_BEHIND_MAX)
		return failure_set(why, ERR_LIMITS_EXCEEDED,
				   "%u readers never came back from their file systems",
				   worker_left_behind());
	r = make(st, c, t, why);
	if (r < 0)
		return r;
	(*t)->kind = CHORE_IMPORT;
	(*t)->work.fd = TAKE_FD(own);
	(*t)->work.uid = caller ? caller->uid : 0;
	(*t)->work.quota = st->set.store_quota;
	(*t)->work.now = station_wall();
	(*t)->work.accept_bad_crc = options && options->accept_bad_crc;
	if (options && options->name)
		kv_copy((*t)->work.name, sizeof((*t)->work.name), options->name);
	return 0;
}

int station_import_image(struct station *st, int fd, const struct image_options *options,
			 const struct station_caller *caller, station_image_fn done, void *user,
			 struct failure *why)
{
	struct image *pair = NULL;
	struct loader_view view;
	struct chore *c;
	struct task *t;
	int r = options && options->loader && *options->loader
			? station_loader(st, NULL, options->loader, &pair, why)
			: 0;

	if (r < 0)
		close(fd);
	if (!r)
		r = import_of(st, fd, options, caller, &c, &t, why);
	if (r < 0)
		return r;
	if (pair) {
		loader_view(pair, &view);
		t->work.swap = package_ref(pair->package);
		t->work.force = options->force_loaders;
		kv_copy(t->work.origin, sizeof(t->work.origin), pair->name);
		kv_copy(t->work.swap_family, sizeof(t->work.swap_family), view.family);
	}
	c->imported = done;
	c->user = user;
	return begin(c, t, why);
}

int station_import_loader(struct station *st, const struct loader_source *source,
			  const struct image_options *options, const struct station_caller *caller,
			  station_image_fn done, void *user, struct failure *why)
{
	_cleanup_close_ int second = source->parts == 2 ? source->part[1].fd : -1;
	int flags = second < 0 ? O_RDONLY : fcntl(second, F_GETFL), r;
	struct chore *c;
	struct task *t;

	if (flags < 0 || (flags & O_ACCMODE) != O_RDONLY || (flags & O_PATH)) {
		close(source->part[0].fd);
		return failure_set(why, ERR_INVALID_IMAGE, "the descriptor must be opened for reading only");
	}
	r = import_of(st, source->part[0].fd, options, caller, &c, &t, why);
	if (r < 0)
		return r;
	t->loaders = true;
	t->work.parts = source->parts;
	t->work.second = TAKE_FD(second);
	t->work.force = source->force;
	for (uint32_t i = 0; i < source->parts; i++)
		t->work.address[i] = source->part[i].address;
	kv_copy(t->work.origin, sizeof(t->work.origin), source->origin ? source->origin : "");
	c->imported = done;
	c->user = user;
	return begin(c, t, why);
}

static int ask(struct image *image, enum chore_kind kind, station_done_fn done, void *user,
	       struct failure *why)
{
	struct chore *c;
	struct task *t;
	int r;

	if (!image->stored)
		return failure_set(why, ERR_NO_SUCH_IMAGE, "image %" PRIu64 " is open, but not stored",
				   image->number);
	if (image->leaving || image->checkup)
		return failure_set(why, ERR_IMAGE_IN_USE, "it is being %s",
				   image->leaving ? "removed" : "verified");
	r = make(image->st, &c, &t, why);
	if (r < 0)
		return r;
	t->kind = kind;
	t->loaders = image->loader;
	kv_copy(t->work.digest, sizeof(t->work.digest), image->digest);
	c->image = image;
	image_hold(image);
	c->done = done;
	c->user = user;
	r = begin(c, t, why);
	if (!r && kind == CHORE_VERIFY)
		image->checkup = c;
	if (!r && kind == CHORE_REMOVE)
		image->leaving = true;
	return r;
}

int station_remove_image(struct image *image, station_done_fn done, void *user, struct failure *why)
{
	if (image->stored && image->refs > 1 && !image->leaving && !image->checkup) {
		for (struct job *j = image->st->jobs; j; j = j->next)
			if (j->image == image || j->lender == image)
				return failure_set(why, ERR_IMAGE_IN_USE, "job %" PRIu64, j->number);
		return failure_set(why, ERR_IMAGE_IN_USE, "a job is being made of it");
	}
	if (image->loader) {
		const struct slot *slot = loader_slot(image);
		const struct rule *rule = loader_rule(image);

		if (slot)
			return failure_set(why, ERR_IMAGE_IN_USE, "slot %s is to be given it", slot->id);
		if (rule)
			return failure_set(why, ERR_IMAGE_IN_USE, "rule [%s] names it (%s:%u)", rule->name,
					   rule->file, rule->said[RULE_LOADER]);
	}
	return ask(image, CHORE_REMOVE, done, user, why);
}

int station_verify_image(struct image *image, station_done_fn done, void *user, struct failure *why)
{
	return ask(image, CHORE_VERIFY, done, user, why);
}

uint64_t image_verified(const struct image *image)
{
	return image->checkup ? atomic_load(&image->checkup->task->work.moved) : image->size;
}

/* ---- start and end ---- */

struct finding {
	struct station *st;
	bool loader;
};

static int on_found(void *user, const struct store_record *rec, struct package *package,
		    const struct failure *why)
{
	const struct finding *f = user;
	struct image *image = image_of(f->st, rec, package, f->loader);

	if (image && why)
		image->failure = *why;
	return image ? 0 : -ENOMEM;
}

static int load_store(struct station *st, struct store *store, bool loader, struct failure *why)
{
	int r = store_scan(store, on_found, &(struct finding){ st, loader });

	return r < 0 ? failure_set(why, ERR_STATE_DIRECTORY, "its folder %s cannot be read: %s",
				   loader ? "loader" : "image", strerror(-r))
		     : 0;
}

int image_load_all(struct station *st, struct failure *why)
{
	int r = store_open(st->records, STORE_IMAGES, &st->store, why);

	if (!r)
		r = store_open(st->records, STORE_LOADERS, &st->loaders, why);
	if (r < 0)
		return r;
	store_join(st->store, st->loaders);
	r = load_store(st, st->store, false, why);
	return r < 0 ? r : load_store(st, st->loaders, true, why);
}

void image_store_drain(struct station *st)
{
	for (struct chore *c = st->chores; c; c = c->next)
		atomic_store(&c->task->work.stop, true);
}

void image_store_free(struct station *st)
{
	image_store_drain(st);
	while (st->chores) {
		struct chore *c = st->chores;

		worker_abandon(TAKE_PTR(c->worker));
		loop_timer_free(TAKE_PTR(c->timer));
		st->chores = c->next;
		free(c);
	}
	store_unref(TAKE_PTR(st->store));
	store_unref(TAKE_PTR(st->loaders));
}
