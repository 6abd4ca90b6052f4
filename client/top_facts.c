/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The mirror as the wall shows it. A silence is told once and counted on here, so a phone that says nothing
 * costs the bus nothing.
 */
#include "client/top_facts.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/format.h"
#include "common/names.h"
#include "common/util.h"

#define UNKNOWN_USEC UINT64_MAX
#define TEXT_MAX     160 /* of each text of a slot */

struct top_silence {
	uint64_t job, silent, deadline, told_at;
	bool seen;
};

struct texts {
	char label[TEXT_MAX], unit[TEXT_MAX], work[TEXT_MAX], text[TEXT_MAX], rate[TEXT_MAX], eta[TEXT_MAX],
		counter[TEXT_MAX], mark[TEXT_MAX];
};

/* Whole characters only. */
__attribute__((format(printf, 3, 4))) static void put(char *to, size_t size, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(to, size, fmt, ap);
	va_end(ap);
	if (n < 0)
		*to = '\0';
	if (n >= (int)size) {
		size_t len = size - 1;

		while (len && ((unsigned char)to[len - 1] & 0xc0) == 0x80)
			len--;
		if (len && (unsigned char)to[len - 1] >= 0xc0)
			len--;
		to[len] = '\0';
	}
}

/* ---- jobs ---- */

const char *top_job(const struct client *c, const char *slot)
{
	const char *job = prop_str(mirror_props(c, slot, FDLD_IFACE_SLOT), "Job");
	json_object *props = mirror_props(c, job, FDLD_IFACE_JOB);
	const char *found = NULL;
	uint64_t lowest = UINT64_MAX;

	if (props && !job_ended(props))
		return job;
	/* one that waits for a phone here, or for its turn, does not have the slot yet */
	json_object_object_foreach(c->mirror, path, object)
	{
		json_object *other = mirror_props(c, path, FDLD_IFACE_JOB);

		if (!other || job_ended(other) || strcmp(prop_str(other, "Slot"), slot) != 0)
			continue;
		if (prop_u64(other, "Id") < lowest) {
			lowest = prop_u64(other, "Id");
			found = path;
		}
		(void)object;
	}
	return found;
}

/* The slot's last job that has ended, as far as the service still knows it. */
static json_object *last_job(const struct client *c, const char *slot)
{
	json_object *found = NULL;
	uint64_t highest = 0;

	json_object_object_foreach(c->mirror, path, object)
	{
		json_object *job = mirror_props(c, path, FDLD_IFACE_JOB);

		(void)object;
		/* a phone that was left alone has neither passed nor failed */
		if (!job || !job_ended(job) || strcmp(prop_str(job, "Slot"), slot) != 0 ||
		    !strcmp(prop_str(job, "State"), "skipped"))
			continue;
		if (prop_u64(job, "FinishedAt") >= highest) {
			highest = prop_u64(job, "FinishedAt");
			found = job;
		}
	}
	return found;
}

static struct top_silence *silence(struct top_facts *f, json_object *job, json_object *progress)
{
	uint64_t silent = prop_u64(progress, "SilentUsec"), deadline = prop_u64(progress, "DeadlineUsec");
	uint64_t id = prop_u64(job, "Id");
	struct top_silence *s = NULL, *more;

	for (size_t i = 0; i < f->silence_count && !s; i++)
		if (f->silences[i].job == id)
			s = &f->silences[i];
	if (!s) {
		more = realloc(f->silences, (f->silence_count + 1) * sizeof(*more));
		if (!more)
			return NULL;
		f->silences = more;
		s = &more[f->silence_count++];
		*s = (struct top_silence){ .job = id };
	}
	if (!s->told_at || s->silent != silent || s->deadline != deadline)
		*s = (struct top_silence){ id, silent, deadline, client_now(), true };
	s->seen = true;
	return s;
}

static void forget_silences(struct top_facts *f)
{
	size_t kept = 0;

	for (size_t i = 0; i < f->silence_count; i++)
		if (f->silences[i].seen)
			f->silences[kept++] = f->silences[i];
	f->silence_count = kept;
	for (size_t i = 0; i < kept; i++)
		f->silences[i].seen = false;
}

/* "silent 0:07, 0:53 left: the phone writes" */
static void say_silence(struct top_facts *f, json_object *job, json_object *progress, struct texts *t)
{
	struct top_silence *s = silence(f, job, progress);
	uint64_t since = s ? client_now() - s->told_at : 0, left = prop_u64(progress, "DeadlineUsec");
	bool nobody = !strcmp(prop_str(job, "State"), "waiting-for-device");
	char quiet[FORMAT_MAX], more[FORMAT_MAX], limit[64] = "";

	f->counts = true;
	format_duration(prop_u64(progress, "SilentUsec") + since, quiet, sizeof(quiet));
	if (left != UNKNOWN_USEC) {
		format_duration(left > since ? left - since : 0, more, sizeof(more));
		put(limit, sizeof(limit), _(", %s left"), more);
	}
	if (nobody)
		put(t->text, sizeof(t->text), _("waiting%s: %s"), limit, prop_text(progress, "Why"));
	else
		put(t->text, sizeof(t->text), _("silent %s%s: %s"), quiet, limit, prop_text(progress, "Why"));
}

static enum wall_state say_job(const struct client *c, struct top_facts *f, const char *path, struct texts *t,
			       double *fraction)
{
	json_object *job = mirror_props(c, path, FDLD_IFACE_JOB);
	json_object *progress = mirror_props(c, path, FDLD_IFACE_PROGRESS);
	const char *step = prop_text(job, "Step"), *entry = prop_text(job, "Entry");
	const char *device = prop_str(job, "Device"), *why = prop_str(progress, "Why");
	char eta[FORMAT_MAX];

	put(t->work, sizeof(t->work), "%s%s%s", *step ? step : prop_text(job, "Stage"), *entry ? " " : "",
	    entry);
	put(t->unit, sizeof(t->unit), "%s", prop_text(mirror_props(c, device, FDLD_IFACE_DEVICE), "UnitId"));
	*fraction = prop_num(progress, "Fraction");
	if (!strcmp(prop_str(job, "State"), "queued")) {
		put(t->text, sizeof(t->text), _("queued: %s"),
		    *why ? prop_text(progress, "Why") : prop_text(job, "QueuedFor"));
		return WALL_WAITS;
	}
	if (*why) {
		say_silence(f, job, progress, t);
		return WALL_WAITS;
	}
	if (!strcmp(prop_str(job, "State"), "waiting-for-device")) {
		put(t->text, sizeof(t->text), "%s", _("waiting for a phone"));
		return WALL_WAITS;
	}
	if (prop_bool(job, "Cancelling")) {
		put(t->text, sizeof(t->text), _("stops at the next safe point: %s"), t->work);
		return WALL_WAITS;
	}
	format_rate(prop_u64(progress, "Rate"), t->rate, sizeof(t->rate));
	if (prop_u64(progress, "EtaUsec") != UNKNOWN_USEC)
		put(t->eta, sizeof(t->eta), _("%s left"),
		    duration_words(prop_u64(progress, "EtaUsec"), eta, sizeof(eta)));
	return WALL_RUNS;
}

/* ---- slots ---- */

static const char *clock_text(uint64_t usec, char *buf, size_t size)
{
	time_t t = (time_t)(usec / 1000000u);
	struct tm tm;

	if (!localtime_r(&t, &tm) || !strftime(buf, size, "%H:%M", &tm))
		*buf = '\0';
	return buf;
}

/* The last result stays until another phone comes: whoever looks later must see it too. */
static enum wall_state say_rest(const struct client *c, const char *path, json_object *slot, struct texts *t)
{
	json_object *device = mirror_props(c, prop_str(slot, "Device"), FDLD_IFACE_DEVICE);
	json_object *job = last_job(c, path);
	const char *result = prop_str(slot, "LastResult"), *name = prop_str(job, "ErrorName");
	uint64_t at = prop_u64(slot, "LastAt");
	char hour[16], armed[TEXT_MAX];

	if (*result && !(device && prop_u64(device, "ArrivedAt") > at)) {
		bool good = !strcmp(result, "succeeded");

		clock_text(at, hour, sizeof(hour));
		put(t->unit, sizeof(t->unit), "%s", prop_text(slot, "LastUnit"));
		if (good || !job || !*name)
			put(t->work, sizeof(t->work), "%s", hour);
		else
			put(t->work, sizeof(t->work), "%s  %s",
			    clean(strrchr(name, '.') ? strrchr(name, '.') + 1 : name), hour);
		return good ? WALL_PASS : WALL_FAIL;
	}
	armed_words(slot, armed, sizeof(armed));
	if (!device) {
		put(t->text, sizeof(t->text), "%s",
		    *armed					  ? armed
		    : strlen(prop_str(slot, "RunningDevice")) > 1 ? _("a phone that runs")
								  : _("no phone"));
		return WALL_EMPTY;
	}
	put(t->unit, sizeof(t->unit), "%s", prop_text(device, "UnitId"));
	put(t->text, sizeof(t->text), "%s", *armed ? armed : _("ready"));
	return WALL_READY;
}

static void say_place(json_object *slot, struct texts *t)
{
	uint64_t tries = prop_u64(slot, "Attempts"), passes = prop_u64(slot, "Passes");
	const char *owed = prop_text(slot, "OwedBackup");

	put(t->label, sizeof(t->label), "%s",
	    *prop_str(slot, "Label")  ? prop_text(slot, "Label")
	    : *prop_str(slot, "Port") ? prop_text(slot, "Port")
				      : prop_text(slot, "Id"));
	if (tries)
		put(t->counter, sizeof(t->counter), "%" PRIu64 "/%" PRIu64 "  %.0f %%", passes, tries,
		    100.0 * (double)passes / (double)tries);
	if (*prop_str(slot, "DisarmedWhy"))
		put(t->mark, sizeof(t->mark), "%s", _("stopped"));
	else if (prop_bool(slot, "Suspect"))
		put(t->mark, sizeof(t->mark), "%s", _("suspect"));

	else if (*owed)
		put(t->mark, sizeof(t->mark), "%s", _("NV owed"));
}

static void say_slot(const struct client *c, struct top_facts *f, const char *path, struct wall_slot *s,
		     struct texts *t)
{
	json_object *slot = mirror_props(c, path, FDLD_IFACE_SLOT);
	const char *job = top_job(c, path);

	*s = (struct wall_slot){ .label = t->label,
				 .unit = t->unit,
				 .work = t->work,
				 .text = t->text,
				 .rate = t->rate,
				 .eta = t->eta,
				 .counter = t->counter };
	say_place(slot, t);
	s->mark = *t->mark ? t->mark : NULL;
	s->state = job ? say_job(c, f, job, t, &s->fraction) : say_rest(c, path, slot, t);
}

/* ---- the station ---- */

__attribute__((format(printf, 2, 3))) static void say(struct top_facts *f, const char *fmt, ...)
{
	size_t len = strlen(f->station);
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	put(f->station + len, sizeof(f->station) - len, "%s%s", len ? "  |  " : "", text);
}

static void say_station(const struct client *c, struct top_facts *f)
{
	json_object *manager = mirror_props(c, FDLD_PATH_ROOT, FDLD_IFACE_MANAGER);
	uint64_t tries = 0, passes = 0;
	size_t owed = 0, running = 0, nowhere = 0;

	for (size_t i = 0; i < f->count; i++) {
		json_object *slot = mirror_props(c, f->paths[i], FDLD_IFACE_SLOT);

		tries += prop_u64(slot, "Attempts");
		passes += prop_u64(slot, "Passes");
		owed += *prop_str(slot, "OwedBackup") != '\0';
	}
	json_object_object_foreach(c->mirror, path, object)
	{
		json_object *job = mirror_props(c, path, FDLD_IFACE_JOB);

		(void)object;
		if (!job || job_ended(job))
			continue;
		running++;
		nowhere += !mirror_props(c, prop_str(job, "Slot"), FDLD_IFACE_SLOT);
	}
	f->station[0] = '\0';
	if (prop_bool(manager, "Draining"))
		say(f, "%s", _("DRAINING: no new jobs"));
	if (!strcmp(prop_str(manager, "HistoryState"), "failed"))
		say(f, _("HISTORY: %s"), prop_text(manager, "HistoryError"));
	if (*prop_str(manager, "ConfigError"))
		say(f, _("SETTINGS: %s"), prop_text(manager, "ConfigError"));
	if (owed)
		say(f, _("NV owed: %zu"), owed);
	f->trouble = f->station[0] != '\0';
	if (nowhere)
		say(f, _("wait for a phone on any port: %zu"), nowhere);
	say(f, _("%zu slots, %zu jobs"), f->count, running);
	if (tries)
		say(f, _("%llu of %llu passed, %.1f %%"), (unsigned long long)passes,
		    (unsigned long long)tries, 100.0 * (double)passes / (double)tries);
}

bool top_facts(const struct client *c, struct top_facts *f)
{
	_cleanup_free_ const char **paths = NULL;
	struct texts *texts;
	size_t count;

	paths = mirror_paths(c, FDLD_IFACE_SLOT, &count);
	if (!paths)
		return false;
	for (size_t i = 0; i < f->count; i++)
		free(f->paths[i]);
	free(f->paths);
	free(f->slots);
	free(f->texts);
	f->count = 0;
	f->counts = false;
	f->paths = calloc(count + 1, sizeof(*f->paths));
	f->slots = calloc(count + 1, sizeof(*f->slots));
	texts = calloc(count + 1, sizeof(*texts));
	f->texts = (char *)texts;
	if (!f->paths || !f->slots || !texts)
		return false;
	for (; f->count < count; f->count++) {
		f->paths[f->count] = strdup(paths[f->count]);
		if (!f->paths[f->count])
			return false;
		say_slot(c, f, paths[f->count], &f->slots[f->count], &texts[f->count]);
	}
	forget_silences(f);
	say_station(c, f);
	return true;
}

void top_facts_free(struct top_facts *f)
{
	for (size_t i = 0; i < f->count; i++)
		free(f->paths[i]);
	free(f->paths);
	free(f->slots);
	free(f->texts);
	free(f->silences);
	*f = (struct top_facts){ 0 };
}

/* ---- all about one ---- */

static void details_job(json_object *job, FILE *out)
{
	const char *name = prop_str(job, "ErrorName");
	json_object *error = NULL;
	char text[1024];

	fprintf(out, _("last job: %s (%s)  %s\n"), prop_text(job, "Id"), prop_text(job, "State"),
		prop_text(job, job_about(job)));
	if (!*name)
		return;
	json_object_object_get_ex(job, "ErrorDetails", &error);
	words_job(name, error, text, sizeof(text));
	fprintf(out, _("what happened: %s\n"), clean(text));
	fprintf(out, _("what to do: %s\n"),
		clean(words_remedy(error_by_name(name), prop_str(error, "remedy"))));
	fprintf(out, _("the phone: %s\n"), prop_text(job, "CancelLeaves"));
}

void top_details(const struct client *c, const char *path, char *buf, size_t size)
{
	json_object *slot = mirror_props(c, path, FDLD_IFACE_SLOT), *by = NULL, *job = last_job(c, path);
	const char *now = top_job(c, path);
	char mean[FORMAT_MAX], rate[FORMAT_MAX], armed[320];
	FILE *out;

	*buf = '\0';
	out = fmemopen(buf, size, "w");
	if (!out)
		return;
	fprintf(out, "%s  %s  %s\n", prop_text(slot, "Label"), prop_text(slot, "Port"),
		prop_text(slot, "Id"));
	if (*prop_str(slot, "Note"))
		fprintf(out, "%s\n", prop_text(slot, "Note"));
	format_duration(prop_u64(slot, "MeanUsec"), mean, sizeof(mean));
	format_rate(prop_u64(slot, "MeanRate"), rate, sizeof(rate));
	fprintf(out, _("attempts %llu, passed %llu, failed %llu; mean %s, %s\n"),
		(unsigned long long)prop_u64(slot, "Attempts"), (unsigned long long)prop_u64(slot, "Passes"),
		(unsigned long long)prop_u64(slot, "Failures"), mean, rate);
	if (*armed_words(slot, armed, sizeof(armed)))
		fprintf(out, "%s\n", armed);
	if (prop_bool(slot, "Suspect"))
		fprintf(out, "%s\n",
			_("suspect: far more phones fail here than elsewhere; change the cable first"));
	if (*prop_str(slot, "OwedBackup"))
		fprintf(out, _("NV owed to a phone of this port by job %s\n"), prop_text(slot, "OwedBackup"));
	if (now) {
		json_object *props = mirror_props(c, now, FDLD_IFACE_JOB);

		fprintf(out, _("job %s: %s  %s %s %s\n"), prop_text(props, "Id"), prop_text(props, "State"),
			prop_text(props, "Stage"), prop_text(props, "Step"), prop_text(props, "Entry"));
	}
	if (job)
		details_job(job, out);
	if (json_object_object_get_ex(slot, "FailuresBy", &by)) {
		json_object_object_foreach(by, what, number)
		{
			fprintf(out, "%8llu  %s\n", (unsigned long long)json_object_get_uint64(number),
				clean(what));
		}
	}
	fclose(out);
	buf[size - 1] = '\0';
}
