/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Slots over the years: label, note and counters, brought to disk behind the loop's back. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/journal.h"
#include "common/util.h"
#include "station/internal.h"
#include "station/kv.h"

/* What the worker writes; self-contained. */
struct saving {
	struct slot *slot; /* looked at on the loop only; slots live as long as the station */
	struct records *records;
	char id[USB_SLOT_MAX], *text; /* NULL: the file goes */
	size_t len;
	int err;
};

static void save_run(void *arg)
{
	struct saving *s = arg;

	s->err = s->text ? slot_book_store(s->records, s->id, s->text, s->len)
			 : slot_book_remove(s->records, s->id);
}

static void save_release(void *arg)
{
	struct saving *s = arg;

	records_unref(s->records);
	free(s->text);
	free(s);
}

/* ---- who waits for it to be on the disk ---- */

/* One question, about one slot or more. */
struct slot_promise {
	uint32_t open; /* waits */
	struct failure why;
	station_done_fn done;
	void *user;
};

/* Its part of a slot: in waits while what it is about is being written, in waits_again while that is yet to
 * come. */
struct slot_wait {
	struct slot_wait *next;
	struct slot_promise *promise;
};

static void wait_end(struct slot_wait *w, bool told)
{
	struct slot_promise *p = w->promise;

	free(w);
	if (--p->open)
		return;
	if (told)
		p->done(p->user, p->why.error == ERR_NONE ? NULL : &p->why);
	free(p);
}

static int wait_add(struct slot *slot, struct slot_promise *p)
{
	struct slot_wait *w = calloc(1, sizeof(*w)),
			 **list = slot->save_again ? &slot->waits_again : &slot->waits;

	if (!w)
		return -ENOMEM;
	w->promise = p;
	w->next = *list;
	*list = w;
	p->open++;
	return 0;
}

static int unstored(const struct slot *slot, int err, struct failure *why)
{
	return failure_set(why, ERR_STORE_FAILED, "slot/%s: %s; it is in force until the service ends",
			   slot->id, strerror(-err));
}

void slot_unwait(struct slot *slot)
{
	for (struct slot_wait *w; (w = slot->waits);) {
		slot->waits = w->next;
		wait_end(w, false);
	}
	for (struct slot_wait *w; (w = slot->waits_again);) {
		slot->waits_again = w->next;
		wait_end(w, false);
	}
}

/* The last try to write it may have failed: then this is another one. */
static int wait_for(struct slot *slot, struct slot_promise *p, struct failure *why)
{
	if (!slot->saving && slot->save_error)
		slot_save(slot);
	if (!slot->saving)
		return slot->save_error ? unstored(slot, slot->save_error, why) : 0;
	return wait_add(slot, p) < 0 ? failure_set(why, ERR_INTERNAL, "out of memory") : 0;
}

int slots_stored(struct station *st, struct slot *const *slots, uint32_t count, station_done_fn done,
		 void *user, struct failure *why)
{
	struct slot_promise *p = calloc(1, sizeof(*p));
	struct failure own = { 0 };
	int r = 0;

	if (!p)
		return failure_set(why, ERR_INTERNAL, "out of memory");
	p->done = done;
	p->user = user;
	for (uint32_t i = 0; i < count && !r; i++)
		r = wait_for(slots[i], p, &own);
	for (struct slot *s = st->slots; s && !count && !r; s = s->next)
		r = wait_for(s, p, &own);
	if (p->open) { /* the answer comes when the last of them is over */
		if (r < 0)
			p->why = own;
		return 1;
	}
	free(p);
	if (r < 0)
		*why = own;
	return r;
}

/* What was written, and with what end; those behind it wait for what is written now. */
static void tell_waits(struct slot *slot, int err)
{
	struct slot_wait *list = TAKE_PTR(slot->waits), **end = &list;

	slot->waits = TAKE_PTR(slot->waits_again);
	if (err < 0 && slot->saving) { /* that has all of it, too */
		while (*end)
			end = &(*end)->next;
		*end = slot->waits;
		slot->waits = TAKE_PTR(list);
	}
	while (list) {
		struct slot_wait *w = list;

		list = w->next;
		if (err < 0)
			(void)unstored(slot, err, &w->promise->why);
		wait_end(w, true);
	}
}

static void save_done(void *arg, int status)
{
	struct saving *s = arg;
	struct slot *slot = s->slot;
	int err = status < 0 ? status : s->err;

	slot->st->writing--;
	slot->saving = false;
	if (err < 0 && !slot->save_failed)
		journal_line(LOG_WARNING, "counters and label of %s could not be stored: %s", slot->id,
			     strerror(-err));
	slot->save_failed = err < 0;
	slot->save_error = err < 0 ? err : 0;
	if (slot->save_again)
		slot_save(slot);
	/* who comes now waits for what was just begun, not for what is over */
	tell_waits(slot, err);
	if (!slot->saving && slot->waits)
		tell_waits(slot, slot->save_error ? slot->save_error : -EIO);
	station_poke(slot->st);
}

/* One write a slot at a time: they must not overtake each other. */
void slot_save(struct slot *slot)
{
	struct worker_call call = { .run = save_run, .done = save_done, .release = save_release };
	struct saving *s;

	slot->save_again = slot->saving;
	if (slot->saving)
		return;
	slot->save_error = -ENOMEM; /* until it is under way */
	s = calloc(1, sizeof(*s));
	if (!s)
		return;
	s->slot = slot;
	s->records = records_ref(slot->st->records);
	kv_copy(s->id, sizeof(s->id), slot->id);
	call.arg = s;
	if ((!slot->forgotten && slot_book_text(&slot->book, &s->text, &s->len) < 0) ||
	    worker_submit(slot->st->files, &call, NULL) < 0) {
		save_release(s);
		return;
	}
	slot->save_error = 0;
	slot->saving = true;
	slot->st->writing++;
}

void slot_counted(struct slot *slot, const struct job_record *job)
{
	uint64_t before = slot->book.attempts;

	slot_book_count(&slot->book, job);
	if (slot->book.attempts == before)
		return;
	slot->forgotten = false;
	if (!slot->book.since)
		slot->book.since = job->started_at;
	slot_save(slot);
	/* whether a place stands out depends on the others too */
	for (struct slot *s = slot->st->slots; s; s = s->next)
		slot_told(s);
}

bool slot_suspect(const struct slot *slot)
{
	uint32_t jobs = 0, bad = 0;

	for (const struct slot *s = slot->st->slots; s; s = s->next) {
		uint32_t b;

		if (s == slot)
			continue;
		jobs += slot_book_recent(&s->book, &b);
		bad += b;
	}
	return slot_book_suspect(&slot->book, jobs, bad);
}

bool slot_text_plain(const char *text, size_t room)
{
	if (strlen(text) >= room)
		return false;
	for (const char *p = text; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			return false;
	return true;
}

int slot_set(struct slot *slot, const char *label, const char *note, const char *loader, struct failure *why)
{
	const struct slot *other = label && *label ? station_slot(slot->st, label) : NULL;

	if (label && !slot_text_plain(label, sizeof(slot->book.label)))
		return failure_set(why, ERR_INVALID_ARGS, "a label has at most %zu bytes on one line",
				   sizeof(slot->book.label) - 1);
	if (note && !slot_text_plain(note, sizeof(slot->book.note)))
		return failure_set(why, ERR_INVALID_ARGS, "a note has at most %zu bytes on one line",
				   sizeof(slot->book.note) - 1);
	/* a name that means two places would flash the wrong phone some day */
	if (other && other != slot)
		return failure_set(why, ERR_INVALID_ARGS, "%s is what %s is called already", label,
				   other->id);
	if (loader && strlen(loader) >= sizeof(slot->book.loader))
		return failure_set(why, ERR_NO_LOADER, "no name of a pair has so many bytes");
	if (loader && *loader) {
		int r = loader_check_name(slot->st, loader, why);

		if (r < 0)
			return r;
	}
	if (loader)
		kv_copy(slot->book.loader, sizeof(slot->book.loader), loader);
	if (label)
		kv_copy(slot->book.label, sizeof(slot->book.label), label);
	if (note)
		kv_copy(slot->book.note, sizeof(slot->book.note), note);
	slot->forgotten = false;
	slot_save(slot);
	slot_told(slot);
	return 0;
}

void slot_reset(struct slot *slot)
{
	slot_book_reset(&slot->book, station_wall());
	slot_save(slot);
	slot_told(slot);
}

void slot_forget(struct slot *slot)
{
	struct slot_book none = { 0 };

	kv_copy(none.id, sizeof(none.id), slot->id);
	slot->book = none;
	slot->forgotten = true;
	slot_save(slot);
	slot_told(slot);
}

static int on_book(void *user, const struct slot_book *book)
{
	struct slot *slot = slot_get(user, book->id);

	if (!slot)
		return -ENOMEM;
	slot->book = *book;
	slot->forgotten = false;
	return 0;
}

int slot_load_all(struct station *st)
{
	return slot_book_scan(st->records, on_book, st);
}
