/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Phones that run: seen where they are, and asked to start in download mode if somebody wants that, by a call
 * or by a slot that was set so. They stand beside slot->device, so that nothing that deals with phones in
 * download mode takes one for such a phone.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/journal.h"
#include "common/util.h"
#include "station/armed.h"
#include "station/errand.h"
#include "station/internal.h"
#include "station/kv.h"
#include "station/port.h"
#include "usb/kick.h"

#define WAYS_MAX 3

struct kick {
	struct slot *slot;
	struct usb_kick *usb; /* a request is under way */
	uint64_t number;      /* of the running phone that it goes to */
	enum usb_kick_way way[WAYS_MAX];
	unsigned int ways, at;	    /* one after the other */
	int interface;		    /* -1: where phones of these numbers have it */
	bool left;		    /* it did leave after a request */
	char answer[64];	    /* the last that it said */
	uint64_t until;		    /* monotonic: its return, while none is under way */
	const char *stopped;	    /* nobody wants it any more, and why; NULL: go on */
	struct kick_errand *errand; /* somebody has asked; NULL: the slot is set so */
};

/* The job of somebody who has asked. */
struct kick_errand {
	struct errand errand;
	char way[16];
	int interface; /* -1: not said */
	bool expect_given;
	uint64_t expect;
};

/* ---- words ---- */

static const struct word {
	const char *name;
	unsigned int ways;
	enum usb_kick_way way[WAYS_MAX];
} words[] = {
	{ "auto", 3, { USB_KICK_DIAG, USB_KICK_DIAG_AT, USB_KICK_AT } },
	{ "diag", 1, { USB_KICK_DIAG } },
	{ "calibration", 2, { USB_KICK_CALIBRATION, USB_KICK_DIAG } },
	{ "diag-at", 1, { USB_KICK_DIAG_AT } },
	{ "at", 1, { USB_KICK_AT } },
};

static const struct word *word_of(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (!strcmp(words[i].name, name))
			return &words[i];
	return NULL;
}

int slot_kick_check(const char *way, struct failure *why)
{
	if (!*way || !strcmp(way, "off") || word_of(way))
		return 0;
	return failure_set(
		why, ERR_INVALID_ARGS,
		"\"%.32s\" is no way into download mode: off, auto, diag, calibration, diag-at, at", way);
}

void slot_kick_by(struct slot *slot, const char *way)
{
	kv_copy(slot->book.kick, sizeof(slot->book.kick), strcmp(way, "off") ? way : "");
	slot->forgotten = false;
	if (slot->runs)
		slot->runs->kicked = false;
	slot_save(slot);
	slot_told(slot);
	station_poke(slot->st);
}

static const char *name_of(const struct slot *slot)
{
	return *slot->port ? slot->port : slot->id;
}

/* Jobs that wait here say what they wait for. */
static void told(struct slot *slot)
{
	for (struct job *j = slot->st->jobs; j; j = j->next)
		if (j->slot == slot && j->state == JOB_WAITING)
			job_moved(j);
	slot_told(slot);
}

/* ---- the end of it ---- */

static void finish(struct kick *k, struct device *device, const struct failure *why)
{
	struct slot *slot = k->slot;

	slot->kick = NULL;
	if (slot->runs)
		slot->runs->kicked = true; /* not again by itself */
	if (why && !k->stopped) {
		struct journal_field fields[JOURNAL_FAILURE_FIELDS + 2];
		char text[512];
		size_t n = journal_failure_fields(why, fields);

		fields[n++] = (struct journal_field){ "FDL_SLOT", slot->id };
		fields[n++] = (struct journal_field){ "FDL_PORT", name_of(slot) };
		journal_event(EVENT_KICK_FAILED, fields, n, "the running phone on %s: %s", name_of(slot),
			      failure_text(why, text, sizeof(text)));
	}
	if (k->errand) {
		if (device)
			k->errand->errand.job->device = device;
		errand_over(&k->errand->errand, why);
	}
	free(k);
	told(slot);
	station_poke(slot->st);
}

static void fail(struct kick *k, enum error_id id, const char *what)
{
	struct failure why = { 0 };

	failure_set(&why, id, "%s: %s%s%s%s", name_of(k->slot), what, *k->answer ? ", it said \"" : "",
		    k->answer, *k->answer ? "\"" : "");
	finish(k, NULL, &why);
}

static void give_up(struct kick *k)
{
	struct failure why = { 0 };

	failure_set(&why, ERR_CANCELLED, "%s%s", k->stopped,
		    k->left ? "; the phone has left, and may come in download mode" : "");
	finish(k, NULL, &why);
}

/* ---- one request after the other ---- */

static void on_report(void *user, const struct usb_kick_report *report, const struct failure *why);

/* The next way that this phone has; false: there is none. */
static bool send_next(struct kick *k, struct failure *why)
{
	const struct slot *slot = k->slot;
	const struct device *d = slot->runs;
	const struct usb_kick_profile *profile = d ? usb_kick_profile(d->arrival.vendor, d->arrival.product)
						   : NULL;
	struct usb_kick_order order = { .leave_usec = slot->st->set.kick_leave_usec };

	for (; profile && k->at < k->ways; k->at++) {
		int interface = k->interface >= 0 ? k->interface : usb_kick_interface(profile, k->way[k->at]);

		if (interface < 0)
			continue;
		order.way = k->way[k->at++];
		order.interface = (uint8_t)interface;
		k->number = d->number;
		k->usb = usb_kick_begin(slot->st->loop, &d->arrival, &order, on_report, k, why);
		return k->usb != NULL;
	}
	return false;
}

static bool is_there(const struct kick *k)
{
	return k->slot->runs && k->slot->runs->number == k->number;
}

/* After everything that happened: a phone in download mode, another request, or the end. */
static void go_on(struct kick *k)
{
	struct slot *slot = k->slot;
	struct failure why = { 0 };

	if (k->usb)
		return;
	if (slot->device && slot->device->present) {
		finish(k, slot->device, NULL);
		return;
	}
	if (k->stopped) {
		give_up(k);
		return;
	}
	/* it has left and come back as one that runs: what it took the request for was not that */
	if (!slot->runs || is_there(k) || send_next(k, &why))
		return;
	if (why.error)
		finish(k, NULL, &why);
	else
		fail(k, ERR_KICK_NO_RETURN, "it left and came back as a running phone");
}

static void stayed(struct kick *k, const struct usb_kick_report *report)
{
	struct failure why = { 0 };

	if (send_next(k, &why))
		return;
	if (why.error)
		finish(k, NULL, &why);
	else if (report->end == USB_KICK_REFUSED || *k->answer)
		fail(k, ERR_KICK_REFUSED, "it stays as it is");
	else
		fail(k, ERR_KICK_UNANSWERED,
		     report->taken ? "it neither answers nor leaves" : "nothing reads there");
}

static void on_report(void *user, const struct usb_kick_report *report, const struct failure *why)
{
	struct kick *k = user;
	struct failure none = { 0 };

	k->usb = NULL;
	if (report && *report->answer)
		kv_copy(k->answer, sizeof(k->answer), report->answer);
	if (k->stopped) {
		k->left = report && report->end == USB_KICK_LEFT;
		go_on(k);
		return;
	}
	/* udev may have told of its leaving, and even of its return, before the thread did */
	if (report && report->end != USB_KICK_LEFT && is_there(k)) {
		stayed(k, report);
		return;
	}
	if (!report) {
		/* an interface that this phone has not: another way may be there */
		if (why->error != ERR_USB_NODE_WRONG || k->interface >= 0 || !send_next(k, &none))
			finish(k, NULL, why);
		return;
	}
	k->left = true;
	k->until = loop_now() + k->slot->st->set.kick_return_usec;
	if (k->errand)
		errand_stage(&k->errand->errand, "return", "the phone has left to start in download mode",
			     k->until);
	station_poke(k->slot->st);
	go_on(k);
}

static int begin(struct slot *slot, const char *way, int interface, struct kick_errand *errand,
		 struct failure *why)
{
	const struct word *word = word_of(way);
	struct kick *k = calloc(1, sizeof(*k));
	struct journal_field fields[] = { { "FDL_SLOT", slot->id }, { "FDL_PORT", name_of(slot) } };

	if (!k || !word) {
		free(k);
		return failure_set(why, word ? ERR_INTERNAL : ERR_INVALID_ARGS, "%s",
				   word ? "out of memory" : way);
	}
	k->slot = slot;
	k->interface = interface;
	memcpy(k->way, word->way, sizeof(k->way));
	k->ways = word->ways;
	k->errand = errand;
	if (!send_next(k, why)) {
		free(k);
		if (!why->error)
			failure_set(why, ERR_NO_RUNNING_PHONE,
				    "%s: phones of these numbers have no port for \"%s\"", name_of(slot),
				    way);
		return -error_entry(why->error)->err;
	}
	slot->kick = k;
	slot->kicked_serial = slot->runs->arrival.serial;
	told(slot);
	journal_event(EVENT_PHONE_KICKED, fields, ARRAY_SIZE(fields),
		      "the running phone on %s is asked to start in download mode (%s)", name_of(slot), way);
	return 0;
}

/* ---- because somebody has asked ---- */

/* What is there is what was meant. */
static int expected(const struct slot *slot, bool given, uint64_t number, struct failure *why)
{
	const struct device *d = slot->device ? slot->device : slot->runs;

	if (!given || (d && d->number == number))
		return 0;
	return failure_set(why, ERR_DEVICE_CHANGED, "%s: %s", slot->id,
			   d ? "another phone is there" : "there is none");
}

static int kick_begin(struct errand *errand, struct failure *why)
{
	struct kick_errand *e = (struct kick_errand *)errand;
	struct slot *slot = errand->slot;
	int r = expected(slot, e->expect_given, e->expect, why);

	if (r < 0)
		return r;
	if (slot->device && slot->device->present) {
		(void)job_record_note(&errand->job->record, "it was in download mode already");
		errand_over(errand, NULL);
		return 0;
	}
	if (!slot->runs)
		return failure_set(why, ERR_NO_RUNNING_PHONE, "%s", slot->id);
	return begin(slot, e->way, e->interface, e, why);
}

static void kick_stop(struct errand *errand, const char *why)
{
	struct kick *k = errand->slot->kick;

	k->stopped = why;
	if (k->usb)
		usb_kick_stop(k->usb); /* it reports soon */
	else
		give_up(k);
}

static void kick_drop(struct errand *errand)
{
	free(errand);
}

static const struct errand_kind kicked = { .name = "kick",
					   .stage = "ask",
					   .begin = kick_begin,
					   .stop = kick_stop,
					   .drop = kick_drop,
					   .hasty = true };

int station_kick(struct slot *slot, const struct kick_request *q, station_job_fn done, void *user,
		 struct failure *why)
{
	const char *way = q->way && *q->way ? q->way : *slot->book.kick ? slot->book.kick : "auto";
	struct kick_errand *e;
	int r;

	if (!word_of(way))
		return failure_set(why, ERR_INVALID_ARGS, "\"%.32s\" is no way into download mode", way);
	if (q->interface_given && q->interface > 31)
		return failure_set(why, ERR_INVALID_ARGS, "no phone has an interface %u", q->interface);
	r = expected(slot, q->expect_device_given, q->expect_device, why);
	if (r < 0)
		return r;
	if (!slot->runs && !(slot->device && slot->device->present) && !slot->kick && !slot->errand)
		return failure_set(why, ERR_NO_RUNNING_PHONE, "%s", slot->id);
	e = calloc(1, sizeof(*e));
	if (!e)
		return failure_set(why, ERR_INTERNAL, "out of memory");
	e->errand.kind = &kicked;
	kv_copy(e->way, sizeof(e->way), way);
	e->interface = q->interface_given ? (int)q->interface : -1;
	e->expect_given = q->expect_device_given;
	e->expect = q->expect_device;
	return errand_ask(&e->errand, slot, &q->caller, done, user, why);
}

/* ---- by itself ---- */

/* Somebody waits for a phone here: a job, or the rules of an armed place. */
static bool wanted(const struct slot *slot)
{
	for (const struct job *j = slot->st->jobs; j; j = j->next)
		if (job_may_use(j, slot) && strcmp(j->record.kind, "reset") != 0 &&
		    strcmp(j->record.kind, "power-off") != 0)
			return true;
	return armed_wants(slot);
}

void kick_look(struct station *st)
{
	if (st->probing || st->draining || st->held)
		return;
	for (struct slot *s = st->slots; s; s = s->next) {
		struct failure why = { 0 };

		if (!*s->book.kick || !s->runs || s->runs->kicked || s->kick || s->job || s->errand ||
		    !wanted(s))
			continue;
		s->runs->kicked = true;
		if (begin(s, s->book.kick, -1, NULL, &why) < 0)
			journal_line(LOG_WARNING, "the running phone on %s cannot be asked: %s", name_of(s),
				     why.detail);
	}
}

void kick_expire(struct station *st, uint64_t now, uint64_t *next)
{
	for (struct slot *s = st->slots; s; s = s->next) {
		if (!s->kick || s->kick->usb || !s->kick->until)
			continue;
		if (now < s->kick->until)
			*next = MIN(*next, s->kick->until);
		else
			fail(s->kick, ERR_KICK_NO_RETURN, "it left and did not come back");
	}
}

/* ---- coming and going ---- */

void running_arrived(struct slot *slot, const struct usb_arrival *arrival)
{
	struct station *st = slot->st;
	struct device *device;

	if (slot->runs) /* its leaving was never reported */
		running_left(slot);
	device = device_new(slot, arrival);
	if (!device)
		return;
	kv_copy(device->stage, sizeof(device->stage), "running");
	device->running = true;
	device->arm.fresh = device->seen && slot->book.arm.armed;
	slot->runs = device;
	EMIT(st, device_added, device);
	told(slot);
	if (slot->kick)
		go_on(slot->kick);
	station_poke(st);
}

void running_left(struct slot *slot)
{
	device_remove(slot->runs);
	told(slot);
}

void kick_arrived(struct slot *slot)
{
	if (slot->kick)
		go_on(slot->kick);
	else
		slot->kicked_serial = 0;
}

void kick_free(struct slot *slot)
{
	if (!slot->kick)
		return;
	if (slot->kick->usb)
		usb_kick_forget(slot->kick->usb);
	free(slot->kick);
	slot->kick = NULL;
}
