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
	if (slot->save_again)
		slot_save(slot);
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
