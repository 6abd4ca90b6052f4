/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/hook.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/journal.h"
#include "common/util.h"
#include "host/files.h"
#include "station/station.h"

#define MANAGER_NAME  "org.freedesktop.systemd1"
#define MANAGER_PATH  "/org/freedesktop/systemd1"
#define MANAGER_IFACE "org.freedesktop.systemd1.Manager"

#define KEPT	      256u /* environments; the manager reads one when the unit starts */

struct host_hook {
	struct station *station;
	struct host_files *files;
	sd_bus *bus;
	uint64_t number; /* of the last one; no two units of a boot share one */
	bool failed;	 /* said once, until one was started again */
};

/* One hook between its file and its start. */
struct start {
	struct host_hook *hook;
	uint64_t number;
};

/* As systemd.exec(5) reads an EnvironmentFile: in double quotes these four need a backslash. */
static void say(FILE *f, const char *name, const char *value)
{
	if (!value || !*value)
		return;
	fprintf(f, "%s=\"", name);
	for (const char *p = value; *p; p++) {
		if ((unsigned char)*p < 0x20 || *p == 0x7f) {
			fputc(' ', f);
			continue;
		}
		if (strchr("\"\\$`", *p))
			fputc('\\', f);
		fputc(*p, f);
	}
	fputs("\"\n", f);
}

static void say_number(FILE *f, const char *name, uint64_t value)
{
	fprintf(f, "%s=%" PRIu64 "\n", name, value);
}

static void complain(struct host_hook *hook, const char *why)
{
	if (!hook->failed)
		journal_event(EVENT_HOOK_FAILED, NULL, 0, "fdld-hook@.service was not started: %s", why);
	hook->failed = true;
}

static int on_started(sd_bus_message *m, void *user, sd_bus_error *ret)
{
	struct host_hook *hook = user;
	const sd_bus_error *error = sd_bus_message_get_error(m);

	if (error)
		complain(hook, error->message ? error->message : error->name);
	else
		hook->failed = false;
	return 0;
}

static void on_written(void *user, int err)
{
	struct start *start = user;
	struct host_hook *hook = start->hook;
	char unit[64];

	if (err) {
		complain(hook, strerror(-err));
	} else if (hook->bus) {
		snprintf(unit, sizeof(unit), "fdld-hook@%" PRIu64 ".service", start->number);
		if (sd_bus_call_method_async(hook->bus, NULL, MANAGER_NAME, MANAGER_PATH, MANAGER_IFACE,
					     "StartUnit", on_started, hook, "ss", unit, "replace") < 0)
			complain(hook, "the bus does not take the call");
	}
	free(start);
}

static bool wanted(const struct host_hook *hook)
{
	return hook->bus && !strcmp(station_settings(hook->station)->hooks, "on");
}

static void begin(struct host_hook *hook, FILE *f, char **text)
{
	struct start *start = calloc(1, sizeof(*start));
	char name[64];

	if (fclose(f) != 0 || !start) {
		free(*text);
		free(start);
		return;
	}
	start->hook = hook;
	start->number = ++hook->number;
	snprintf(name, sizeof(name), "hook/%" PRIu64 ".env", start->number - KEPT);
	host_files_remove(hook->files, name);
	snprintf(name, sizeof(name), "hook/%" PRIu64 ".env", start->number);
	if (host_files_put(hook->files, name, 0600, *text, on_written, start) < 0) {
		complain(hook, "its environment cannot be written");
		free(start);
	}
}

static void say_slot(FILE *f, const struct slot *slot)
{
	struct slot_view view;

	if (!slot)
		return;
	slot_view(slot, &view);
	say(f, "FDLD_SLOT", view.id);
	say(f, "FDLD_PORT", view.port);
}

static void say_image(FILE *f, const struct image *image, const char *name)
{
	struct image_view view;

	say(f, "FDLD_IMAGE", name);
	if (!image)
		return;
	image_view(image, &view);
	say(f, "FDLD_IMAGE_SHA256", view.digest);
	say(f, "FDLD_PRODUCT", view.product);
	say(f, "FDLD_FIRMWARE", view.firmware);
}

static void on_finished(void *user, struct job *job)
{
	struct host_hook *hook = user;
	struct job_view view;
	struct job_result res;
	char unit[9], *text = NULL;
	size_t len;
	FILE *f;

	job_view(job, &view);
	if (!wanted(hook) || view.old || !(f = open_memstream(&text, &len)))
		return;
	job_result(job, &res);
	say(f, "FDLD_EVENT",
	    !strcmp(view.state, "succeeded") ? "pass"
	    : !strcmp(view.state, "skipped") ? "skip"
					     : "fail");
	say_number(f, "FDLD_JOB", view.number);
	say(f, "FDLD_KIND", view.kind);
	say(f, "FDLD_RESULT", view.state);
	say_slot(f, view.slot);
	say_image(f, view.image, view.image_name);
	snprintf(unit, sizeof(unit), "%.8s", res.unit);
	say(f, "FDLD_UNIT", unit);
	say(f, "FDLD_LEVEL", res.level);
	say(f, "FDLD_SAMPLE", res.sample);
	say(f, "FDLD_RULE", view.rule);
	say(f, "FDLD_WORK_ORDER", view.work_order);
	say(f, "FDLD_OPERATOR", view.operator);
	say(f, "FDLD_SERIAL", view.serial_number);
	say(f, "FDLD_NV", res.nv);
	say(f, "FDLD_LEAVES", res.leaves);
	say_number(f, "FDLD_BYTES", res.bytes_sent);
	say_number(f, "FDLD_MSEC", res.duration_usec / 1000);
	if (view.failure.error != ERR_NONE) {
		say(f, "FDLD_ERROR", error_entry(view.failure.error)->name);
		say(f, "FDLD_CAUSE", error_entry(view.failure.error)->cause);
		say(f, "FDLD_REMEDY", error_entry(view.failure.error)->remedy);
		say(f, "FDLD_STAGE", view.failure.stage);
		say(f, "FDLD_ENTRY", view.failure.entry);
	}
	begin(hook, f, &text);
}

static void on_arrival(void *user, struct device *device)
{
	struct host_hook *hook = user;
	struct device_view view;
	char *text = NULL;
	size_t len;
	FILE *f;

	device_view(device, &view);
	if (view.running || !wanted(hook) || !(f = open_memstream(&text, &len)))
		return;
	say(f, "FDLD_EVENT", "arrival");
	say_number(f, "FDLD_DEVICE", view.number);
	say_slot(f, view.slot);
	begin(hook, f, &text);
}

static const struct station_events events = { .job_finished = on_finished, .device_added = on_arrival };

struct host_hook *host_hook_new(struct station *station, struct host_files *files)
{
	struct host_hook *hook = calloc(1, sizeof(*hook));
	struct timespec now;

	if (!hook)
		return NULL;
	hook->station = station;
	hook->files = files;
	/* milliseconds of the day the service began: units of an earlier run may still be there */
	clock_gettime(CLOCK_REALTIME, &now);
	hook->number = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
	if (station_subscribe(station, &events, hook) < 0) {
		free(hook);
		return NULL;
	}
	return hook;
}

void host_hook_free(struct host_hook *hook)
{
	if (!hook)
		return;
	station_unsubscribe(hook->station, &events, hook);
	free(hook);
}

void host_hook_up(struct host_hook *hook, sd_bus *bus)
{
	hook->bus = bus;
}

void host_hook_down(struct host_hook *hook)
{
	hook->bus = NULL;
}
