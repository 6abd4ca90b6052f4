/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The files of a running job: its reader thread for what goes to the phone, its writer thread for what must
 * be kept.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "common/util.h"
#include "station/kv.h"
#include "station/runner.h"

static struct carried *carried_ref(struct carried *c)
{
	atomic_fetch_add(&c->refs, 1);
	return c;
}

static void carried_unref(struct carried *c)
{
	if (!c || atomic_fetch_sub(&c->refs, 1) != 1)
		return;
	record_sink_close(&c->intent);
	for (int i = 0; i < CARRY_BACKUPS; i++)
		record_sink_close(&c->backup[i]);
	sinks_unref(c->sinks);
	package_unref(c->reader.package);
	package_unref(c->lent.package);
	records_unref(c->records);
	free(c);
}

int carry_init(struct runner *r)
{
	struct carry *c = &r->carry;
	struct carried *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	atomic_init(&s->refs, 1);
	s->records = records_ref(r->st->records);
	if (r->job->image)
		s->reader.package = package_ref(r->job->image->package);
	if (r->job->lender)
		s->lent.package = package_ref(r->job->lender->package);
	if (r->job->sinks)
		s->sinks = sinks_ref(r->job->sinks);
	record_sink_init(&s->intent, r->job->number, "intent");
	for (int i = 0; i < CARRY_BACKUPS; i++)
		record_sink_init(&s->backup[i], r->job->number, "");
	c->shared = s;
	c->reader = worker_new(r->st->loop, "fdld-read", 1);
	c->writer = worker_new(r->st->loop, "fdld-store", 1);
	return c->reader && c->writer ? 0 : -ENOMEM;
}

static void give_back(struct fetch *f)
{
	if (f && f->loan)
		package_return(f->from->package, TAKE_PTR(f->loan));
}

static void free_list(struct fetch *f)
{
	while (f) {
		struct fetch *next = f->next;

		free(f);
		f = next;
	}
}

static void leave(struct worker *worker, bool lost)
{
	if (lost)
		worker_abandon(worker);
	else
		worker_close(worker);
}

void carry_free(struct runner *r)
{
	struct carry *c = &r->carry;

	if (c->going && !c->going->carried) { /* no thread has it */
		loop_forget(r->st->loop, c->going);
		give_back(c->going);
		free(c->going);
	} else if (c->going) {
		c->going->runner = NULL; /* its task frees it */
	}
	worker_forget(c->reading);
	worker_forget(c->writing);
	worker_forget(c->noting);
	if (c->shared)
		sinks_stop(c->shared->sinks);
	leave(c->reader, c->reader_lost);
	leave(c->writer, c->writer_lost);
	for (int i = 0; i < CARRY_LENT; i++) {
		give_back(c->lent[i]);
		free(c->lent[i]);
	}
	free_list(c->idle);
	free(c->owed);
	carried_unref(c->shared);
	memset(c, 0, sizeof(*c));
}

/* ---- reading ---- */

static void fetch_run(void *arg)
{
	struct fetch *f = arg;

	atomic_store(&f->carried->hurry, false);
	if (f->from)
		f->result = package_reader_read(f->from, f->at, f->bytes, f->len, &f->why);
	else
		f->result = records_backup_read(f->carried->records, f->job, f->name, f->at, f->bytes, f->len,
						&f->why);
}

static void fetch_release(void *arg)
{
	struct fetch *f = arg;

	carried_unref(f->carried);
	f->carried = NULL;
	if (!f->runner)
		free(f);
}

/*
 * Spans of the package are read and proved while the phone takes those before them: up to WARM_SPANS ahead,
 * begun again when half of that lead is used up, so that the thread is not woken for each. What is in memory
 * is then fetched without it.
 */
#define WARM_SPANS 2u

static void warm_run(void *arg)
{
	struct carried *s = arg;
	uint64_t at;

	/* a read elsewhere goes first */
	while (!atomic_load(&s->hurry) && (at = atomic_load(&s->warm_at)) < atomic_load(&s->warm_end)) {
		package_warm(s->reader.package, at);
		atomic_compare_exchange_strong(&s->warm_at, &at, at + PACKAGE_SPAN);
	}
	atomic_store(&s->warming, false);
}

static void warm_release(void *arg)
{
	carried_unref(arg);
}

/* A read has ended at `end` in the package. */
static void warm(struct runner *r, uint64_t end)
{
	struct carried *s = r->carry.shared;
	struct worker_call call = { .run = warm_run, .release = warm_release, .arg = s };
	uint64_t from = (end + PACKAGE_SPAN - 1) / PACKAGE_SPAN * PACKAGE_SPAN;
	uint64_t at = atomic_load(&s->warm_at), stop = from + WARM_SPANS * PACKAGE_SPAN;

	if (from > at || at > stop)
		atomic_store(&s->warm_at, at = from); /* elsewhere, or it was overtaken */
	atomic_store(&s->warm_end, stop);
	if (at - from > WARM_SPANS / 2 * PACKAGE_SPAN || package_is_warm(s->reader.package, at, stop) ||
	    atomic_exchange(&s->warming, true))
		return;
	if (worker_submit(r->carry.reader, &call, NULL) == 0)
		carried_ref(s);
	else
		atomic_store(&s->warming, false);
}

/* To the session, which may at once ask for what comes next. */
static void give(struct runner *r, struct fetch *f)
{
	bool next = f->source.kind == SOURCE_ITEM && f->len > SESSION_CHUNK / 4;
	uint64_t end = next ? f->at + f->len : 0;

	runner_fetched(r, f);
	/* behind what the session may have asked for */
	if (end)
		warm(r, end);
}

static void fetch_done(void *arg, int status)
{
	struct fetch *f = arg;
	struct runner *r = f->runner;
	struct failure why = { 0 };

	if (!r)
		return;
	if (r->carry.going == f) {
		r->carry.going = NULL;
		r->carry.reading = NULL;
	}
	if (status < 0) { /* the thread may still be writing to it: nothing of it is ours any more */
		f->runner = NULL;
		r->carry.reader_lost = true;
		if (f->from)
			failure_set(&why, ERR_PACKAGE_READ_STALLED, "%zu bytes at %" PRIu64, f->len, f->at);
		else
			failure_set(&why, ERR_STORE_FAILED, "reading nv/%s did not end", f->name);
		runner_fail(r, &why);
		return;
	}
	if (f->unwanted) {
		carry_recycle(r, f);
		runner_pump(r);
	} else if (f->result < 0) {
		why = f->why;
		carry_recycle(r, f);
		runner_fail(r, &why);
	} else {
		give(r, f);
	}
}

/* The bytes were in memory. */
static void fetch_now(void *arg)
{
	fetch_done(arg, 0);
}

void carry_recycle(struct runner *r, struct fetch *f)
{
	if (!f)
		return;
	give_back(f);
	f->next = r->carry.idle;
	r->carry.idle = f;
}

/* Where the bytes are. False: the session asked for what is not there. */
static bool locate(struct runner *r, struct fetch *f)
{
	const struct source_ref *s = &f->source;
	struct carried *c = r->carry.shared;
	const struct pac_item *items;
	size_t count;

	f->at = f->offset;
	switch (s->kind) {
	case SOURCE_ITEM:
	case SOURCE_LOADER:
		f->from = s->kind == SOURCE_LOADER && c->lent.package ? &c->lent : &c->reader;
		if (!f->from->package)
			return false;
		items = pac_items(package_pac(f->from->package), &count);
		if (s->index >= count || f->offset > items[s->index].size ||
		    f->len > items[s->index].size - f->offset)
			return false;
		f->at = items[s->index].offset + f->offset;
		return true;
	case SOURCE_BACKUP:
		if (s->index >= CARRY_BACKUPS || !*r->carry.sink_name[s->index])
			return false;
		f->job = r->job->number;
		kv_copy(f->name, sizeof(f->name), r->carry.sink_name[s->index]);
		return true;
	case SOURCE_OWED:
		if (s->index >= r->carry.owed_count)
			return false;
		f->job = r->carry.owed[s->index].job;
		kv_copy(f->name, sizeof(f->name), r->carry.owed[s->index].name);
		return true;
	}
	return false;
}

/* Of the package, without a thread: lent where it lies in one span, which is most of what is read. */
static bool in_memory(struct fetch *f)
{
	const uint8_t *lent = package_lend(f->from->package, f->at, f->len, &f->loan);

	if (!lent)
		return package_try(f->from->package, f->at, f->bytes, f->len);
	f->data = lent;
	return true;
}

void carry_fetch(struct runner *r, const struct source_ref *source, uint64_t offset, size_t len, bool ahead)
{
	struct carry *c = &r->carry;
	struct worker_call call = { .run = fetch_run, .done = fetch_done, .release = fetch_release };
	struct fetch *f = c->idle;
	struct failure why = { 0 };
	int err;

	if (f)
		c->idle = f->next;
	else
		f = malloc(sizeof(*f) + SESSION_CHUNK);
	if (!f) {
		failure_set(&why, ERR_INTERNAL, "out of memory");
		runner_fail(r, &why);
		return;
	}
	memset(f, 0, sizeof(*f));
	f->runner = r;
	f->source = *source;
	f->offset = offset;
	f->len = len;
	f->serial = r->w.serial;
	f->ahead = ahead;
	f->data = f->bytes;
	if (len > SESSION_CHUNK || !locate(r, f)) {
		failure_set(&why, ERR_INTERNAL, "fetch of %zu bytes at %" PRIu64 " of source %d/%u", len,
			    offset, (int)source->kind, source->index);
		carry_recycle(r, f);
		runner_fail(r, &why);
		return;
	}
	/* only with nothing under way: reads are answered in their order */
	if (f->from && !c->going && in_memory(f)) {
		/* ahead of an exchange is one read or two; those that are waited for could follow each other
		 * without end, and others want their turn */
		if (ahead) {
			give(r, f);
			return;
		}
		if (loop_defer(r->st->loop, fetch_now, f) == 0) {
			c->going = f;
			return;
		}
		give_back(f);
		f->data = f->bytes;
	}
	f->carried = carried_ref(c->shared);
	/* one that lies ahead waits with the rest: then the thread gains a lead, and the next ones need not
	 */
	atomic_store(&c->shared->hurry, f->source.kind != SOURCE_ITEM ||
						f->at < atomic_load(&c->shared->warm_at) ||
						f->at + f->len > atomic_load(&c->shared->warm_end));
	call.arg = f;
	call.deadline = loop_now() + r->st->set.fetch_usec;
	c->going = f;
	err = worker_submit(c->reader, &call, &c->reading);
	if (err < 0) {
		c->going = NULL;
		carried_unref(f->carried);
		carry_recycle(r, f);
		failure_set(&why, err == -ESHUTDOWN ? ERR_PACKAGE_READ_STALLED : ERR_INTERNAL, "%s",
			    strerror(-err));
		runner_fail(r, &why);
	}
}

bool carry_fetching(const struct runner *r, const struct source_ref *source, uint64_t offset, size_t len)
{
	const struct fetch *f = r->carry.going;

	return f && !f->unwanted && f->source.kind == source->kind && f->source.index == source->index &&
	       f->offset == offset && f->len == len;
}

void carry_turn(struct runner *r)
{
	struct fetch *f = r->carry.going;

	if (f && f->ahead && f->serial != r->w.serial && r->w.kind != WANT_SEND && r->w.kind != WANT_STREAM &&
	    r->w.kind != WANT_FETCH)
		f->unwanted = true;
}

/* ---- keeping ---- */

enum keeping_kind { KEEP_STORE, KEEP_SYNC, KEEP_OUT, KEEP_OUT_END, KEEP_IDENTITY, KEEP_NOTE };

struct keeping {
	struct runner *runner;
	struct carried *carried;
	enum keeping_kind kind;
	struct record_sink *sink;
	uint64_t job;
	char unit[65], slot[RECORD_SLOT_MAX];
	struct port_note note;
	uint32_t index;
	bool backup;
	uint64_t stall_usec;
	size_t len;
	int result;
	struct failure why;
	uint8_t bytes[];
};

static void keep_run(void *arg)
{
	struct keeping *k = arg;
	struct records *rec = k->carried->records;

	switch (k->kind) {
	case KEEP_STORE: k->result = record_sink_append(rec, k->sink, k->bytes, k->len, &k->why); break;
	case KEEP_SYNC: k->result = record_sink_sync(rec, k->sink, &k->why); break;
	case KEEP_OUT:
		k->result = sinks_write(k->carried->sinks, k->index, k->bytes, k->len, k->stall_usec,
					&k->why);
		break;
	case KEEP_OUT_END: k->result = sinks_finish(k->carried->sinks, k->index, &k->why); break;
	case KEEP_IDENTITY: k->result = records_write_identity(rec, k->job, k->unit, k->slot, &k->why); break;
	case KEEP_NOTE: k->result = records_port_write(rec, &k->note); break;
	}
}

static void keep_release(void *arg)
{
	struct keeping *k = arg;

	carried_unref(k->carried);
	free(k);
}

/* All of them, however many jobs have failed on this phone: what is not told would be settled unseen. */
static void tell_owed(struct runner *r, const char *unit)
{
	struct carry *c = &r->carry;
	const struct owed_index *ix = &r->st->owed;
	uint64_t named = kv_u64(r->job->plan->options.nv_from, 0);
	struct session_input in = { .kind = INPUT_AWAITED };
	uint32_t count = owed_query(ix, unit, r->slot->id, named, NULL, 0);
	struct owed_match *match = calloc(count + 1, sizeof(*match));
	struct owed_backup *list = calloc(count + 1, sizeof(*list));
	struct failure why = { 0 };

	free(c->owed);
	c->owed_count = 0;
	c->owed = calloc(count + 1, sizeof(*c->owed));
	if (!match || !list || !c->owed) {
		free(match);
		free(list);
		failure_set(&why, ERR_INTERNAL, "no memory for what is owed");
		runner_fail(r, &why);
		return;
	}
	c->owed_count = owed_query(ix, unit, r->slot->id, named, match, count);
	for (uint32_t i = 0; i < c->owed_count; i++) {
		c->owed[i].job = match[i].owed->job;
		kv_copy(c->owed[i].name, sizeof(c->owed[i].name), match[i].backup->name);
		kv_copy(list[i].name, sizeof(list[i].name), match[i].backup->name);
		snprintf(list[i].job, sizeof(list[i].job), "%" PRIu64, match[i].owed->job);
		list[i].size = match[i].backup->size;
		list[i].same_unit = match[i].same_unit;
	}
	free(match);
	in.awaited.list = list;
	in.awaited.count = c->owed_count;
	runner_feed(r, &in);
	free(list);
}

static void keep_done(void *arg, int status)
{
	struct keeping *k = arg;
	struct runner *r = k->runner;
	struct session_input in = { .kind = INPUT_STORED };
	struct failure why = { 0 };

	if (k->kind == KEEP_NOTE) { /* without it the next run of the daemon knows less, this one goes on */
		r->carry.noting = NULL;
		runner_noted(r);
		return;
	}
	r->carry.writing = NULL;
	if (status < 0 && (k->kind == KEEP_OUT || k->kind == KEEP_OUT_END)) {
		r->carry.writer_lost = true;
		failure_set(&why, ERR_TARGET_FAILED, "it has not answered for %d s",
			    (int)(r->st->set.store_usec / 1000000));
	} else if (status < 0) {
		r->carry.writer_lost = true;
		failure_set(&why, ERR_STORE_FAILED, "job/%" PRIu64 ": the disk has not answered for %d s",
			    k->job, (int)(r->st->set.store_usec / 1000000));
	} else if (k->result < 0) {
		why = k->why;
	}
	if (why.error != ERR_NONE) {
		runner_fail(r, &why);
	} else if (k->kind == KEEP_IDENTITY) {
		tell_owed(r, k->unit);
	} else {
		if (k->kind == KEEP_SYNC && k->backup && r->carry.backup_count < CARRY_BACKUPS) {
			struct record_backup *b = &r->carry.backups[r->carry.backup_count++];

			kv_copy(b->name, sizeof(b->name), r->carry.sink_name[k->index]);
			b->size = k->sink->size;
		}
		runner_feed(r, &in);
	}
}

static void keep(struct runner *r, struct keeping *k)
{
	struct worker_call call = { .run = keep_run, .done = keep_done, .release = keep_release, .arg = k };
	struct failure why = { 0 };
	int err = -ENOMEM;

	if (k) {
		k->runner = r;
		k->job = r->job->number;
		k->carried = carried_ref(r->carry.shared);
		/* a pipe's own patience ends first */
		call.deadline = loop_now() + r->st->set.store_usec * (k->kind == KEEP_OUT ? 2 : 1);
		err = worker_submit(r->carry.writer, &call, &r->carry.writing);
		if (!err)
			return;
		keep_release(k);
	}
	failure_set(&why, ERR_STORE_FAILED, "%s", strerror(-err));
	runner_fail(r, &why);
}

void carry_store(struct runner *r)
{
	const struct sink_ref *sink = &r->w.store.sink;
	bool store = r->w.kind == WANT_STORE, backup = sink->kind == SINK_BACKUP;
	struct carried *s = r->carry.shared;
	struct failure why = { 0 };
	struct keeping *k;

	if ((sink->kind == SINK_READ && !s->sinks) ||
	    (backup && (sink->index >= CARRY_BACKUPS || !*sink->name)) ||
	    (store && r->w.store.len > SESSION_CHUNK)) {
		failure_set(&why, ERR_INTERNAL, "nothing to store to: sink %d/%u", (int)sink->kind,
			    sink->index);
		runner_fail(r, &why);
		return;
	}
	k = calloc(1, sizeof(*k) + (store ? r->w.store.len : 0));
	if (k) {
		k->kind = store ? KEEP_STORE : KEEP_SYNC;
		if (sink->kind == SINK_READ)
			k->kind = store ? KEEP_OUT : KEEP_OUT_END;
		k->stall_usec = r->st->set.store_usec;
		k->sink = backup ? &s->backup[sink->index] : &s->intent;
		k->index = sink->index;
		k->backup = backup;
		if (backup && !*r->carry.sink_name[sink->index]) {
			kv_copy(r->carry.sink_name[sink->index], sizeof(r->carry.sink_name[0]), sink->name);
			snprintf(k->sink->name, sizeof(k->sink->name), "nv/%s", sink->name);
		}
		if (store) {
			k->len = r->w.store.len;
			memcpy(k->bytes, r->w.store.bytes, k->len);
		}
	}
	keep(r, k);
}

void carry_identity(struct runner *r)
{
	struct keeping *k = calloc(1, sizeof(*k));

	if (k) {
		k->kind = KEEP_IDENTITY;
		kv_copy(k->unit, sizeof(k->unit), r->w.await.unit);
		kv_copy(k->slot, sizeof(k->slot), r->slot->id);
		kv_copy(r->job->record.unit, sizeof(r->job->record.unit), r->w.await.unit);
	}
	keep(r, k);
}

int carry_note(struct runner *r)
{
	struct keeping *k = calloc(1, sizeof(*k));
	struct worker_call call = { .run = keep_run, .done = keep_done, .release = keep_release, .arg = k };
	int err;

	if (!k)
		return -ENOMEM;
	k->kind = KEEP_NOTE;
	k->runner = r;
	k->note = r->slot->note;
	k->carried = carried_ref(r->carry.shared);
	/* no deadline: it goes to memory, and a disk that hangs must not be found out by it */
	err = worker_submit(r->carry.writer, &call, &r->carry.noting);
	if (err < 0)
		keep_release(k);
	return err;
}
