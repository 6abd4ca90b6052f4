/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "flash/session.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "flash/inner.h"

/* Phones that were started one after the other are this far apart, and are meant to find their frames. */
#define SHELF_KEEP (6u << 20)

struct bsl_shelf *session_shelf_new(void)
{
	return bsl_shelf_new(SHELF_KEEP);
}

void session_shelf_free(struct bsl_shelf *shelf)
{
	bsl_shelf_unref(shelf);
}

int session_new(const struct session_config *config, struct session **out)
{
	struct session *s;

	if (!config || !out)
		return -EINVAL;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->link = bsl_link_new();
	if (!s->link) {
		free(s);
		return -ENOMEM;
	}
	if (config->shelf)
		bsl_link_share(s->link, config->shelf);
	s->config = *config;
	s->plan = config->plan;
	s->running = -1;
	s->result.last_confirmed = -1;
	s->result.facts = &s->facts;
	s->result.leaves = "unchanged";
	memcpy(s->result.nv, "none", 5);
	s->progress.boundary = BOUNDARY_NOW;
	if (s->plan)
		s->progress.bytes_total = s->plan->bytes_to_send + s->plan->bytes_to_verify +
					  s->plan->bytes_to_read;
	*out = s;
	return 0;
}

static void nv_free_kept(struct nv_kept *nv)
{
	free(nv->image);
	free(nv->merged);
}

void session_free(struct session *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(s->nv); i++)
		nv_free_kept(&s->nv[i]);
	for (size_t i = 0; i < ARRAY_SIZE(s->package_nv); i++)
		nv_free_kept(&s->package_nv[i]);
	if (s->step == &step_merge)
		free(s->st.merge.image);
	if (s->step == &step_check)
		image_check_free(s->st.check.check);
	free(s->table.bytes);
	probe_free(s);
	free(s->intent);
	free(s->owed);
	free(s->entries);
	free(s->written);
	plan_free(s->resolved);
	plan_free(s->grown);
	bsl_link_free(s->link);
	free(s);
}

/* ---- failing --------------------------------------------------------------------------------- */

static const char *stage_text(const struct session *s)
{
	switch (s->where) {
	case BSL_STAGE_UNKNOWN:
	case BSL_STAGE_ROM: return "rom";
	case BSL_STAGE_FDL1: return "fdl1";
	case BSL_STAGE_FDL: return "fdl";
	default: return "fdl2";
	}
}

enum step_says step_fail_why(struct session *s, const struct failure *why)
{
	struct failure *f = &s->result.failure;

	if (f->error != ERR_NONE)
		return STEP_FAILED; /* the first error decides (bsl-protocol 9.2) */
	*f = *why;
	if (!f->stage[0])
		snprintf(f->stage, sizeof(f->stage), "%s", stage_text(s));
	if (!f->step[0])
		snprintf(f->step, sizeof(f->step), "%s", s->step ? s->step->name : "start");
	if (!f->entry[0])
		snprintf(f->entry, sizeof(f->entry), "%s", s->progress.entry);
	return STEP_FAILED;
}

__attribute__((format(printf, 4, 0))) static enum step_says fail_text(struct session *s, enum error_id error,
								      int code, const char *fmt, va_list ap)
{
	struct failure f = { .error = error, .code = code };
	bool data = s->asking && (s->ask.kind == ASK_DATA || s->ask.doing == DOING_VERIFY_READ ||
				  s->ask.kind == ASK_STREAM || s->ask.doing == DOING_BACKUP_NV ||
				  s->ask.doing == DOING_BACKUP_FILE || s->ask.doing == DOING_READ);

	if (fmt)
		vsnprintf(f.detail, sizeof(f.detail), fmt, ap);
	if (data) {
		f.offset = s->ask.offset;
		f.has_offset = true;
	}
	return step_fail_why(s, &f);
}

enum step_says step_fail(struct session *s, enum error_id error, const char *fmt, ...)
{
	enum step_says says;
	va_list ap;

	va_start(ap, fmt);
	says = fail_text(s, error, -1, fmt, ap);
	va_end(ap);
	return says;
}

enum step_says step_diagnose(struct session *s, enum symptom symptom, int code, const char *fmt, ...)
{
	const struct diagnosis_row *row = diagnose(s->ask.doing, symptom, code,
						   s->ask.when | session_when(s));
	enum step_says says;
	va_list ap;

	session_note(s, RECORD_NOTE, symptom_name(symptom));
	va_start(ap, fmt);
	says = fail_text(s, row->error, symptom == SYMPTOM_CODE ? code : -1, fmt, ap);
	va_end(ap);
	return says;
}

enum step_says step_refused(struct session *s, const struct answer *a)
{
	switch (a->kind) {
	case ANSWER_CODE:
	case ANSWER_GOOD:
		return step_diagnose(s, SYMPTOM_CODE, a->code, "%s answered by %s", doing_name(s->ask.doing),
				     bsl_reply_name((uint16_t)a->code));
	case ANSWER_SILENT:
		return step_diagnose(s, SYMPTOM_SILENT, -1, "%s was taken but never answered",
				     doing_name(s->ask.doing));
	case ANSWER_NOT_TAKEN:
		return step_diagnose(s, SYMPTOM_NOT_TAKEN, -1, "the phone did not take %s",
				     doing_name(s->ask.doing));
	case ANSWER_GARBLED:
		return step_diagnose(s, SYMPTOM_GARBLED, -1, "the answer to %s arrived damaged",
				     doing_name(s->ask.doing));
	case ANSWER_GONE:
		return step_diagnose(s, SYMPTOM_GONE, -1, "the phone left the bus during %s",
				     doing_name(s->ask.doing));
	}
	return step_fail(s, ERR_INTERNAL, "an answer of no kind");
}

/* ---- small services -------------------------------------------------------------------------- */

unsigned session_when(const struct session *s)
{
	unsigned when = 0;

	if (s->facts.lk)
		when |= WHEN_LK;
	if (s->plan && s->plan->old_ids)
		when |= WHEN_OLD;
	if (s->where == BSL_STAGE_FDL || (s->plan && s->plan->family == PLAN_SINGLE_FDL))
		when |= WHEN_SINGLE;
	if (s->where == BSL_STAGE_FDL2 && !s->spoken)
		when |= WHEN_UNSPOKEN;
	if (s->facts.table.count && s->facts.table.origin == TABLE_GPT)
		when |= WHEN_OPENED;
	return when;
}

bool session_plain(const struct session *s)
{
	return bsl_link_framing(s->link) == BSL_FRAMING_PLAIN;
}

const struct pac_item *session_item(const struct session *s, int32_t item)
{
	size_t count = 0;
	const struct pac_item *items = s->plan->pac ? pac_items(s->plan->pac, &count) : NULL;

	return item >= 0 && (size_t)item < count ? &items[item] : NULL;
}

void session_where(struct session *s, enum bsl_stage where)
{
	static const char *const names[] = { "", "rom", "fdl1", "fdl2", "fdl1" };

	s->where = where;
	if (bsl_link_stage(s->link) != where)
		bsl_link_set_stage(s->link, where);
	snprintf(s->progress.phone_stage, sizeof(s->progress.phone_stage), "%s", names[where]);
	s->progress.plain_framing = session_plain(s);
	s->progress.serial++;
}

void session_entry(struct session *s, const char *entry)
{
	snprintf(s->progress.entry, sizeof(s->progress.entry), "%s", entry ? entry : "");
	s->progress.serial++;
}

void session_moved(struct session *s, uint64_t bytes)
{
	s->progress.bytes_done += bytes;
	if (s->progress.bytes_done > s->progress.bytes_total)
		s->progress.bytes_total = s->progress.bytes_done;
}

void ask_command(struct session *s, struct ask *ask, enum doing doing, uint16_t code)
{
	memset(ask, 0, sizeof(*ask));
	ask->kind = ASK_COMMAND;
	ask->doing = doing;
	ask->command.code = code;
}

void ask_payload(struct session *s, struct ask *ask, enum doing doing, uint16_t code)
{
	ask_command(s, ask, doing, code);
	ask->command.payload = s->payload.bytes;
	ask->command.len = s->payload.len;
}

void ask_quiet(struct ask *ask, uint64_t usec)
{
	enum doing doing = ask->doing;

	memset(ask, 0, sizeof(*ask));
	ask->kind = ASK_QUIET;
	ask->doing = doing;
	ask->usec = usec;
}

void ask_fetch(struct ask *ask, struct feed *feed, uint64_t offset)
{
	memset(ask, 0, sizeof(*ask));
	ask->kind = ASK_FETCH;
	ask->fetch.feed = feed;
	ask->offset = offset;
}

/* ---- driving --------------------------------------------------------------------------------- */

static const struct want *done(struct session *s)
{
	if (!s->over) {
		s->over = true;
		s->asking = false;
		flow_finish(s);
		memset(&s->want, 0, sizeof(s->want));
		s->want.kind = WANT_DONE;
		s->want.serial = ++s->serial;
	}
	return &s->want;
}

static enum step_says begin_step(struct session *s, const struct step_kind *kind)
{
	s->step = kind;
	s->prepared = false;
	s->fetch_feed = NULL;
	s->fetch_failed = false;
	memset(&s->st, 0, sizeof(s->st));
	memset(&s->feed, 0, sizeof(s->feed));
	if (kind->stage != STAGE_COUNT) /* else it belongs to where the session stands */
		s->progress.stage = kind->stage;
	snprintf(s->progress.step, sizeof(s->progress.step), "%s", kind->name);
	s->progress.serial++;
	session_note(s, RECORD_NOTE, kind->name);
	return kind->begin ? kind->begin(s) : STEP_ASK;
}

/* Runs steps until one of them asks for something, or the session is over. */
static const struct want *drive(struct session *s, enum step_says says)
{
	while (!s->over) {
		struct ask ask = { 0 };
		const struct want *w;

		if (says == STEP_FAILED || s->result.failure.error != ERR_NONE)
			return done(s);
		if (says == STEP_DONE) {
			const struct step_kind *next;

			s->asking = false;
			if (s->step)
				flow_done(s);
			next = s->result.failure.error == ERR_NONE ? flow_next(s) : NULL;
			if (!next)
				return done(s);
			says = begin_step(s, next);
			continue;
		}
		says = s->step->next(s, &ask);
		if (says != STEP_ASK)
			continue;
		w = wire_ask(s, &ask);
		if (w)
			return w;
		says = STEP_FAILED;
	}
	return &s->want;
}

static const struct want *start(struct session *s, const struct session_input *in)
{
	if (s->started)
		return &s->want;
	s->started = true;
	s->max_packet = in->awaited.max_packet ? in->awaited.max_packet : 64;
	s->bcd_device = in->awaited.bcd_device;
	s->fresh = s->config.arrival_seen && !s->config.record.dirty;
	bsl_link_arrived(s->link, BSL_STAGE_UNKNOWN, s->max_packet);
	session_note(s, RECORD_USB, "open");
	return drive(s, STEP_DONE);
}

/* The pipe, the file or the gate failed. A chunk fetched ahead that fails is only missed when its turn comes.
 */
static const struct want *failed(struct session *s, const struct failure *why)
{
	bool usb = why->error == ERR_USB_STALL || why->error == ERR_USB_BABBLE || why->error == ERR_USB_IO ||
		   why->error == ERR_USB_NO_MEMORY || why->error == ERR_DEVICE_VANISHED ||
		   why->error == ERR_USB_OPEN_TIMEOUT;

	if (usb)
		session_note(s, RECORD_USB, error_entry(why->error)->name);
	if (!usb && s->fetch_feed && s->want.kind != WANT_FETCH) {
		s->fetch_failed = true;
		s->fetch_failure = *why;
		return &s->want;
	}
	step_fail_why(s, why);
	return done(s);
}

const struct want *session_input(struct session *s, const struct session_input *in)
{
	struct session_input gone;
	struct answer a;
	enum step_says says;

	s->now = in->now_usec;
	if (s->over)
		return &s->want;
	switch (in->kind) {
	case INPUT_START: return start(s, in);
	case INPUT_CANCEL:
		flow_cancel(s, in->cancel.force);
		return s->result.failure.error != ERR_NONE ? done(s) : &s->want;
	case INPUT_FAILED:
		/* a pipe that noticed first says the same as the bus: the step may expect it */
		if (in->failed.why->error == ERR_DEVICE_VANISHED) {
			gone = *in;
			gone.kind = INPUT_GONE;
			in = &gone;
			session_note(s, RECORD_USB, "gone");
			break;
		}
		return failed(s, in->failed.why);
	case INPUT_GONE: session_note(s, RECORD_USB, "gone"); break;
	default: break;
	}
	if (!s->started || !wire_input(s, in, &a))
		return s->result.failure.error != ERR_NONE ? done(s) : &s->want;
	if (s->ask.kind == ASK_FETCH && a.kind == ANSWER_GOOD)
		return drive(s, STEP_ASK);
	says = s->step->take(s, &a);
	return drive(s, says);
}

bool session_prepare(struct session *s, struct want *w)
{
	return wire_prepare(s, w);
}

const struct session_progress *session_progress(const struct session *s)
{
	return &s->progress;
}

const struct session_result *session_result(const struct session *s)
{
	return &s->result;
}

const struct recorder *session_recorder(const struct session *s)
{
	return &s->recorder;
}
