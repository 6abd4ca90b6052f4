/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/metrics.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/journal.h"
#include "common/util.h"
#include "host/files.h"
#include "loop/loop.h"
#include "station/station.h"

#define METRICS_FILE	   "fdld.prom"
#define METRICS_EVERY_USEC 1000000u

struct host_metrics {
	struct loop *loop;
	struct station *station;
	struct host_files *files;
	struct loop_timer *timer;
	uint64_t failures[ERR_COUNT];
	uint64_t sent, compared, usec, flashed; /* of jobs that had a phone */
	bool told;				/* that it cannot be written */
};

static void on_written(void *user, int err)
{
	struct host_metrics *metrics = user;

	if (err && !metrics->told)
		journal_line(LOG_WARNING, "figures cannot be written to " METRICS_FILE ": %s",
			     strerror(-err));
	metrics->told = err != 0;
}

static void head(FILE *f, const char *name, const char *type, const char *help)
{
	fprintf(f, "# TYPE fdld_%s %s\n# HELP fdld_%s %s\n", name, type, name, help);
}

static void say_jobs(FILE *f, const struct host_metrics *metrics, const struct station_counts *c)
{
	head(f, "jobs", "counter", "Jobs that have ended, by result.");
	fprintf(f, "fdld_jobs_total{result=\"succeeded\"} %" PRIu64 "\n", c->jobs_succeeded);
	fprintf(f, "fdld_jobs_total{result=\"failed\"} %" PRIu64 "\n", c->jobs_failed);
	fprintf(f, "fdld_jobs_total{result=\"skipped\"} %" PRIu64 "\n", c->jobs_skipped);
	fprintf(f, "fdld_jobs_total{result=\"cancelled\"} %" PRIu64 "\n", c->jobs_cancelled);
	fprintf(f, "fdld_jobs_total{result=\"interrupted\"} %" PRIu64 "\n", c->jobs_interrupted);
	head(f, "failures", "counter", "Jobs that have failed, by error.");
	for (int e = 0; e < ERR_COUNT; e++)
		if (metrics->failures[e])
			fprintf(f, "fdld_failures_total{error=\"%s\"} %" PRIu64 "\n", error_entry(e)->name,
				metrics->failures[e]);
	head(f, "open_jobs", "gauge", "Jobs that have not ended, by state.");
	fprintf(f, "fdld_open_jobs{state=\"waiting-for-device\"} %u\n", c->waiting);
	fprintf(f, "fdld_open_jobs{state=\"queued\"} %u\n", c->queued);
	fprintf(f, "fdld_open_jobs{state=\"running\"} %u\n", c->running);
	head(f, "job_seconds", "summary", "Duration of jobs that had a phone.");
	fprintf(f, "fdld_job_seconds_count %" PRIu64 "\nfdld_job_seconds_sum %.6f\n", metrics->flashed,
		(double)metrics->usec / 1e6);
	head(f, "sent_bytes", "counter",
	     "Bytes of images that phones have acknowledged, in jobs that ended.");
	fprintf(f, "fdld_sent_bytes_total %" PRIu64 "\n", metrics->sent);
	head(f, "compared_bytes", "counter", "Bytes read back from phones and compared, in jobs that ended.");
	fprintf(f, "fdld_compared_bytes_total %" PRIu64 "\n", metrics->compared);
}

static void say_station(FILE *f, const struct host_metrics *metrics, const struct station_counts *c)
{
	struct loop_stats stats;

	loop_stats(metrics->loop, &stats);
	head(f, "phones", "gauge", "Phones that are plugged in.");
	fprintf(f, "fdld_phones %u\n", c->devices);
	head(f, "arrivals", "counter", "Phones that have come.");
	fprintf(f, "fdld_arrivals_total %" PRIu64 "\n", c->devices_arrived);
	head(f, "nv_owed", "gauge", "Jobs whose NV backup still has to be put back into its phone.");
	fprintf(f, "fdld_nv_owed %u\n", c->owed);
	head(f, "usb_memory_bytes", "gauge", "Memory for USB transfers that running jobs have booked.");
	fprintf(f, "fdld_usb_memory_bytes %" PRIu64 "\n", c->usb_memory_used);
	head(f, "loop_longest_turn_seconds", "gauge", "Longest turn of the event loop since the start.");
	fprintf(f, "fdld_loop_longest_turn_seconds %.6f\n", (double)stats.max_turn_usec / 1e6);
	head(f, "threads_left_behind", "gauge", "Threads in a call that never came back.");
	fprintf(f, "fdld_threads_left_behind %u\n", c->threads_left_behind);
	head(f, "build", "info", "What runs.");
	fprintf(f, "fdld_build_info{version=\"%s\"} 1\n", FDLD_VERSION);
}

static void on_timer(void *arg)
{
	struct host_metrics *metrics = arg;
	struct station_counts counts;
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		return;
	station_counts(metrics->station, &counts);
	say_jobs(f, metrics, &counts);
	say_station(f, metrics, &counts);
	fputs("# EOF\n", f);
	if (fclose(f) == 0)
		(void)host_files_put(metrics->files, METRICS_FILE, 0644, text, on_written, metrics);
	else
		free(text);
}

static void touch(void *user)
{
	struct host_metrics *metrics = user;

	if (!loop_timer_armed(metrics->timer))
		(void)loop_timer_after(metrics->timer, METRICS_EVERY_USEC);
}

static void touch_device(void *user, struct device *device)
{
	touch(user);
}

static void touch_job(void *user, struct job *job)
{
	touch(user);
}

static void on_finished(void *user, struct job *job)
{
	struct host_metrics *metrics = user;
	struct job_view view;
	struct job_result res;

	job_view(job, &view);
	touch(user);
	if (view.old) /* of an earlier run */
		return;
	job_result(job, &res);
	if (!strcmp(view.state, "failed") && view.failure.error < ERR_COUNT)
		metrics->failures[view.failure.error]++;
	metrics->sent += res.bytes_sent;
	metrics->compared += res.bytes_compared;
	if (res.duration_usec) {
		metrics->usec += res.duration_usec;
		metrics->flashed++;
	}
}

static const struct station_events events = {
	.station_changed = touch,
	.device_added = touch_device,
	.device_removed = touch_device,
	.job_added = touch_job,
	.job_changed = touch_job,
	.job_finished = on_finished,
};

struct host_metrics *host_metrics_new(struct loop *loop, struct station *station, struct host_files *files)
{
	struct host_metrics *metrics = calloc(1, sizeof(*metrics));

	if (!metrics)
		return NULL;
	metrics->loop = loop;
	metrics->station = station;
	metrics->files = files;
	metrics->timer = loop_timer_new(loop, on_timer, metrics);
	if (!metrics->timer || station_subscribe(station, &events, metrics) < 0) {
		host_metrics_free(metrics);
		return NULL;
	}
	touch(metrics);
	return metrics;
}

void host_metrics_free(struct host_metrics *metrics)
{
	if (!metrics)
		return;
	station_unsubscribe(metrics->station, &events, metrics);
	loop_timer_free(metrics->timer);
	free(metrics);
}
