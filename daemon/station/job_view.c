/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How jobs look: what the session tells, in the words of the bus contract.
 */
#include <stdio.h>

#include "common/util.h"
#include "station/internal.h"
#include "station/kv.h"

/* ---- what the session tells ---- */

/* How much of the running entry, and of the group a cancel must not tear, is still to come. */
static void measure(struct job *job, const struct plan *resolved)
{
	const struct session_progress *p = &job->at;
	uint32_t at = p->entry_index ? p->entry_index - 1 : 0;

	job->entry_began = p->bytes_done;
	job->entry_bytes = job->bound_bytes = 0;
	if (!resolved || !p->entry_index || at >= resolved->step_count)
		return;
	job->entry_bytes = resolved->step[at].size;
	for (uint32_t i = at; i < resolved->step_count && resolved->step[i].boundary == BOUNDARY_BOUND; i++)
		job->bound_bytes += resolved->step[i].size;
}

void job_time_step(struct job *job)
{
	uint32_t step = job->at.entry_index;
	uint64_t now = loop_now();

	if (step && step <= PLAN_STEPS_MAX) {
		if (step > job->step_count) {
			uint64_t *grown = realloc(job->step_usec, step * sizeof(*grown));

			if (!grown)
				return;
			memset(grown + job->step_count, 0, (step - job->step_count) * sizeof(*grown));
			job->step_usec = grown;
			job->step_count = step;
		}
		job->step_usec[step - 1] += now - job->step_since;
	}
	job->step_since = now;
}

/* What rules may ask of this phone from now on. */
static void note_told(struct device *d, const struct job *job, const struct device_facts *facts)
{
	if (*facts->unit)
		kv_copy(d->told.unit, sizeof(d->told.unit), facts->unit);
	kv_copy(d->told.storage, sizeof(d->told.storage), storage_word(facts->storage));
	/* it runs them */
	if (job->plan && !strcmp(d->stage, "fdl2"))
		kv_copy(d->told.family, sizeof(d->told.family),
			*job->plan->fdl2.text ? job->plan->fdl2.text : job->plan->fdl1.text);
}

void job_learned(struct job *job, const struct session *session)
{
	const struct session_result *res = session_result(session);

	if (!job->device)
		return;
	if (res->facts)
		note_told(job->device, job, res->facts);
	job->device->told.all = true;
}

void job_take_progress(struct job *job, const struct session *session)
{
	const struct session_progress *p = session_progress(session);
	const struct session_result *res = session_result(session);
	struct device *d = job->device;
	bool told = p->serial != job->at_serial || p->cancelling != job->at.cancelling;
	bool moved = p->bytes_done != job->at.bytes_done || p->bytes_total != job->at.bytes_total;
	bool entry = p->entry_index != job->at.entry_index;

	if (!told && !moved)
		return;
	if (entry)
		job_time_step(job);
	job->at = *p;
	job->at_serial = p->serial;
	/* how much there is to read, only the phone's table tells: until then loaders are not most of the way
	 */
	pace_update(&job->pace, loop_now(), job->sinks && !res->resolved ? 0 : p->bytes_done, p->bytes_total);
	if (res->resolved && !job->resolved) {
		job_take_plan(job, res->resolved, true);
		if (job_tables(job) && res->facts)
			job_take_changes(job, res->resolved, res->facts);
	}
	if (entry || (told && !job->entry_bytes))
		measure(job, res->resolved);
	if (d && *p->phone_stage && strcmp(d->stage, p->phone_stage)) {
		kv_copy(d->stage, sizeof(d->stage), p->phone_stage);
		if (!*d->told.stage && strcmp(d->stage, "unknown") != 0)
			kv_copy(d->told.stage, sizeof(d->told.stage), d->stage);
		device_told(d);
	}
	if (d && res->facts && *res->facts->unit && !*d->unit) {
		kv_copy(d->unit, sizeof(d->unit), res->facts->unit);
		device_told(d);
	}
	if (d && res->facts)
		note_told(d, job, res->facts);
	if (told)
		job_told(job);
	job_moved(job);
}

/* ---- views ---- */

/* Its result is being stored, and it never had a phone. */
static bool never_begun(const struct job *job)
{
	return job->state == JOB_ENDING && !job->record.started_at;
}

static const char *stage_of(const struct job *job)
{
	switch (job->state) {
	case JOB_WAITING: return "waiting-for-device";
	case JOB_GATED: return "waiting-for-release";
	case JOB_QUEUED: return "queued";
	case JOB_RUNNING:
	case JOB_ENDING:
		return never_begun(job) ? "queued"
		       : job->stage	? job->stage
					: session_stage_name(job->at.stage);
	case JOB_ENDED: break;
	}
	return "finished";
}

static const char *state_of(const struct job *job)
{
	switch (job->state) {
	case JOB_WAITING: return "waiting-for-device";
	case JOB_GATED: return "waiting-for-release";
	case JOB_QUEUED: return "queued";
	case JOB_RUNNING:
	case JOB_ENDING: return never_begun(job) ? "queued" : "running";
	case JOB_ENDED: break;
	}
	return job->record.result;
}

static uint64_t cancel_wait(const struct job *job)
{
	uint64_t gone = job->pace.done - MIN(job->entry_began, job->pace.done);
	uint64_t bytes = job->at.boundary == BOUNDARY_BOUND ? job->bound_bytes : job->entry_bytes;
	uint64_t rate = pace_rate(&job->pace, loop_now());

	if (job->state != JOB_RUNNING || job->at.boundary == BOUNDARY_NOW)
		return 0;
	if (!rate || !bytes)
		return STATION_NONE;
	return (uint64_t)((double)(bytes - MIN(gone, bytes)) * 1e6 / (double)rate);
}

void job_view(const struct job *job, struct job_view *view)
{
	bool ended = job->state == JOB_ENDED, begun = job->state == JOB_RUNNING || job->state == JOB_ENDING;
	const struct job_record *r = &job->record;

	*view = (struct job_view){
		.number = job->number,
		.kind = r->kind,
		.state = state_of(job),
		.ended = ended,
		.stage = stage_of(job),
		.step = begun ? job->at.step : "",
		.entry = begun ? job->at.entry : "",
		.queued_for = job->state == JOB_QUEUED || job->state == JOB_WAITING ? job->queued_for : "",
		.slot = job->slot,
		.device = job->device,
		.image = job->image && !job->image->pair ? job->image : NULL,
		.image_name = r->image_name,
		.loader = r->loader,
		.fdl1 = r->fdl1,
		.fdl2 = r->fdl2,
		.rule = r->rule,
		.work_order = r->work_order,
		.operator= r->operator,
		.serial_number = r->serial,
		.uid = r->uid,
		.created_at = r->created_at,
		.started_at = r->started_at,
		.finished_at = r->finished_at,
		.boundary = ended   ? ""
			    : begun ? boundary_name(job->at.boundary)
				    : "now",
		.cancel_wait_usec = ended ? STATION_NONE : cancel_wait(job),
		.leaves = ended || !begun   ? r->leaves
			  : job->at.changed ? "needs-flash"
					    : "unchanged",
		.cancelling = job->cancelling && !ended,
		.whole = begun && !ended ? sinks_whole(job->sinks) : 0,
		.old = job->old,
		.unstored = job->unstored,
		.serial = job->changed,
	};
	if (ended)
		view->failure = r->failure;
}

static void waiting_view(const struct job *job, uint64_t now, struct job_progress *p)
{
	const struct slot *slot = job->slot;

	p->silent_usec = now - job->wait_since;
	p->deadline_usec = job->wait_until == STATION_FOREVER ? STATION_NONE
			   : job->wait_until > now	      ? job->wait_until - now
							      : 0;
	if (slot && slot->device && slot->device->spent)
		p->why = "the phone in this port has been flashed and told to go: unplug it";
	else if (slot && slot->errand && !slot->kick)
		p->why = "something else is being done to this port";
	else if (slot && slot->kick)
		p->why = "the phone in this port was asked to start in download mode";
	else if (slot && slot->runs)
		p->why =
			"the phone in this port runs: ask it into download mode (fdlctl kick), or switch it off and "
			"plug it in with its download key held";
	else
		p->why =
			"waiting for a phone: switch it off, hold its download key (usually volume down) and plug it in";
}

/* In words what queued_for names. */
static const char *queued_why(const char *queued_for)
{
	static const struct {
		const char *word, *text;
	} words[] = {
		{ "slot", "an earlier job has this port" },
		{ "usb-memory",
		  "other phones have the memory for USB transfers (usb.memory-share, usbfs_memory_mb)" },
		{ "limit", "as many jobs run as jobs.max-running allows" },
		{ "hub", "as many jobs run on this hub as jobs.max-per-hub allows" },
		{ "stagger", "another phone has just begun (jobs.stagger)" },
		{ "sleep", "the machine is about to sleep" },
		{ "shutdown", "the machine is about to shut down" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (!strcmp(words[i].word, queued_for))
			return words[i].text;
	return "";
}

void job_progress(const struct job *job, struct job_progress *progress)
{
	uint64_t now = loop_now();
	const struct package *package = job->image ? job->image->package : NULL;
	bool running = job->state == JOB_RUNNING;

	*progress = (struct job_progress){
		.bytes_done = job->pace.done,
		.bytes_total = job->pace.total,
		.fraction = job->pace.fraction,
		.rate = running ? pace_rate(&job->pace, now) : 0,
		.eta_usec = running ? pace_eta(&job->pace, now) : STATION_NONE,
		.stage_index = (uint32_t)job->at.stage,
		.stage_count = job->stage ? 1 : STAGE_COUNT,
		.entry_index = job->at.entry_index,
		.entry_count = job->at.entry_count,
		.deadline_usec = STATION_NONE,
		.why = "",
		.check_fraction = package ? (double)package_checked(package) / (double)package_size(package)
					  : 0,
		.serial = job->moved,
	};
	if (job->state == JOB_WAITING) {
		waiting_view(job, now, progress);
	} else if (job->state == JOB_GATED) {
		progress->silent_usec = now - job->wait_since;
		progress->deadline_usec = job->gate_until > now ? job->gate_until - now : 0;
		progress->why = "waiting to be released; nothing was sent to the phone";
	} else if (job->state == JOB_QUEUED) {
		progress->why = queued_why(job->queued_for);
	} else if (running && job->silent_since) {
		progress->waiting_for_phone = true;
		progress->silent_usec = now - job->silent_since;
		if (job->silent_until)
			progress->deadline_usec = job->silent_until > now ? job->silent_until - now : 0;
		progress->why = job->why;
	} else if (running && *job->why) {
		progress->why = job->why;
	}
}

void job_result(const struct job *job, struct job_result *result)
{
	const struct job_record *r = &job->record;
	bool ended = job->state == JOB_ENDED;

	*result = (struct job_result){
		.result = ended ? r->result : "",
		.level = r->level,
		.sample = r->sample,
		.leaves = r->leaves,
		.nv = r->nv,
		.nv_owed = owed_find(&job->st->owed, r->number) != NULL,
		.last_confirmed = r->last_confirmed,
		.unit = r->unit,
		.storage = r->storage,
		.rom_version = r->rom_version,
		.bytes_sent = r->bytes_sent,
		.bytes_compared = r->bytes_compared,
		.bytes_read = r->bytes_read,
		.duration_usec = r->started_at && r->finished_at > r->started_at
					 ? r->finished_at - r->started_at
					 : 0,
		.notes = r->note_count,
		.entries = r->entry_count,
	};
}

const struct port_view *job_port(const struct job *job)
{
	return job->port.hub ? &job->port : NULL;
}

void job_table(const struct job *job, struct job_table *table)
{
	const struct flash_table *t = job->table;

	*table = (struct job_table){ .source = "" };
	if (t)
		*table = (struct job_table){ .source = table_origin_name(t->origin),
					     .sector = t->sector,
					     .user_size = t->user_size,
					     .count = t->count };
}

bool job_partition(const struct job *job, uint32_t index, struct job_partition *partition)
{
	const struct flash_table *t = job->table;

	if (!t || index >= t->count)
		return false;
	*partition = (struct job_partition){ .name = t->entry[index].name,
					     .start = t->entry[index].start,
					     .size = t->unit_sure ? t->entry[index].size : UINT64_MAX };
	return true;
}

const char *job_note(const struct job *job, uint32_t index)
{
	return index < job->record.note_count ? job->record.notes[index] : "";
}

bool job_entry(const struct job *job, uint32_t index, struct job_entry *entry)
{
	const struct record_entry *e = &job->record.entries[index];

	if (index >= job->record.entry_count)
		return false;
	*entry = (struct job_entry){
		.entry = e->entry,
		.op = e->op,
		.verdict = e->verdict,
		.bytes_sent = e->bytes_sent,
		.bytes_compared = e->bytes_compared,
		.bytes_read = e->bytes_read,
		.sha256 = e->sha256,
		.note = e->note,
	};
	return true;
}

bool job_whole(const struct job *job, uint32_t index, struct job_entry *entry)
{
	for (uint32_t i = 0; job->sinks && job->plan && i < job->plan->step_count; i++) {
		const struct plan_step *s = &job->plan->step[i];
		const char *sum;
		uint64_t bytes;

		if (s->op != OP_READ || !*(sum = sinks_sum(job->sinks, s->sink, &bytes)) || index--)
			continue;
		*entry = (struct job_entry){ .entry = s->target,
					     .op = plan_op_name(s->op),
					     .verdict = "acknowledged",
					     .bytes_read = bytes,
					     .sha256 = sum,
					     .note = "" };
		return true;
	}
	return false;
}

bool job_plan_resolved(const struct job *job)
{
	return job->resolved;
}

const char *job_plan_step(const struct job *job, uint32_t index)
{
	return index < job->line_count ? job->lines[index] : "";
}

const char *job_plan_doubt(const struct job *job, uint32_t index)
{
	return index < job->doubt_count ? job->doubts[index] : "";
}

struct job *station_job(const struct station *st, uint64_t number)
{
	struct job *j = st->jobs;

	while (j && j->number != number)
		j = j->next;
	return j;
}

struct job *station_next_job(const struct station *st, const struct job *after)
{
	return after ? after->next : st->jobs;
}
