/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* org.fdld1.Job: methods, and the calls of Wait that are open for minutes */
#include "bus/internal.h"

#include <errno.h>
#include <stdlib.h>

#include "common/util.h"

/* ---- Wait ------------------------------------------------------------------------- */

static void answer_wait(struct bus *bus, struct job *job, sd_bus_message *m)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	struct job_view view;

	job_view(job, &view);
	if (view.failure.error != ERR_NONE) {
		reply_failure_to(m, &view.failure);
		return;
	}
	if (sd_bus_message_new_method_return(m, &reply) >= 0 && job_append_result(bus, job, reply) >= 0)
		(void)sd_bus_send(NULL, reply, NULL);
}

static void free_wait(struct object *o, struct wait *wait)
{
	o->wait_count--;
	if (wait->client)
		wait->client->wait_count--;
	sd_bus_message_unref(wait->call);
	free(wait);
}

void job_drop_waits(struct bus *bus, struct object *o, const struct client *client)
{
	for (struct wait **p = &o->waits; *p;) {
		struct wait *wait = *p;

		if (client && wait->client != client) {
			p = &wait->next;
			continue;
		}
		*p = wait->next;
		free_wait(o, wait);
	}
}

void job_answer_waits(struct bus *bus, struct object *o)
{
	for (struct wait *wait = o->waits; wait; wait = wait->next)
		answer_wait(bus, o->handle, wait->call);
	job_drop_waits(bus, o, NULL);
}

int job_call_wait(struct call *call)
{
	struct object *o = call->object;
	struct failure why = { 0 };
	struct job_view view;
	struct wait *wait;

	job_view(o->handle, &view);
	if (view.ended) {
		answer_wait(call->bus, o->handle, call->m);
		return 1;
	}
	/* who started it is not shut out by those who look on */
	if ((o->wait_count >= BUS_JOB_WAITS_MAX && view.uid != call->client->uid) ||
	    call->client->wait_count >= BUS_CLIENT_WAITS_MAX ||
	    client_sum(call->client, offsetof(struct client, wait_count)) >=
		    station_settings(call->bus->station)->user_waits) {
		failure_set(&why, ERR_LIMITS_EXCEEDED, "%u calls of Wait are open", call->client->wait_count);
		return reply_failure(call->error, &why);
	}
	wait = calloc(1, sizeof(*wait));
	if (!wait)
		return -ENOMEM;
	wait->call = sd_bus_message_ref(call->m);
	wait->client = call->client;
	call->client->wait_count++;
	o->wait_count++;
	wait->next = o->waits;
	o->waits = wait;
	return 1;
}

/* ---- the others ------------------------------------------------------------------- */

static int no_options(struct call *call)
{
	struct failure why = { 0 };
	struct options options;
	int r = options_read(call->bus, call->m, 0, &options, &why);

	options_free(&options);
	return r < 0 ? reply_failure(call->error, &why) : 0;
}

int job_call_cancel(struct call *call)
{
	struct failure why = { 0 };
	struct station_caller caller;
	struct options options;
	bool force;
	int r = options_read(call->bus, call->m, OPTION_FORCE, &options, &why);

	force = options.force;
	options_free(&options);
	if (r < 0)
		return reply_failure(call->error, &why);
	client_caller(call->client, &caller);
	if (job_cancel(call->object->handle, force, &caller, &why) < 0)
		return reply_failure(call->error, &why);
	return sd_bus_reply_method_return(call->m, "");
}

int job_call_release(struct call *call)
{
	return work_release(call);
}

int job_call_refuse(struct call *call)
{
	struct failure why = { 0 };
	const char *reason;
	int r = sd_bus_message_read_basic(call->m, 's', &reason);

	if (r < 0)
		return r;
	if (job_refuse(call->object->handle, reason, &why) < 0)
		return reply_failure(call->error, &why);
	return sd_bus_reply_method_return(call->m, "");
}

/* The trace is read from disk; whoever asked may be gone by then, and a reply to it is lost in silence. */
struct tracing {
	struct bus *bus;
	sd_bus_message *m;
};

static void tracing_free(struct tracing *t)
{
	client_errand_end(t->bus, sd_bus_message_get_sender(t->m));
	sd_bus_message_unref(t->m);
	free(t);
}

static void on_trace(void *user, const char *text, const struct failure *why)
{
	struct tracing *t = user;

	if (why)
		reply_failure_to(t->m, why);
	else
		reply_text_to(t->m, text);
	tracing_free(t);
}

int job_call_trace(struct call *call)
{
	struct failure why = { 0 };
	struct tracing *t;
	int r = no_options(call);

	if (r < 0)
		return r;
	if (client_errand_begin(call->client, &why) < 0)
		return reply_failure(call->error, &why);
	t = calloc(1, sizeof(*t));
	if (!t) {
		client_errand_end(call->bus, call->client->name);
		return -ENOMEM;
	}
	t->bus = call->bus;
	t->m = sd_bus_message_ref(call->m);
	if (job_trace(call->object->handle, on_trace, t, &why) < 0) {
		tracing_free(t);
		return reply_failure(call->error, &why);
	}
	return 1;
}

int job_call_unit(struct call *call)
{
	struct job_result result;
	int r = no_options(call);

	if (r < 0)
		return r;
	job_result(call->object->handle, &result);
	return sd_bus_reply_method_return(call->m, "s", result.unit);
}

static const char *next_step(const void *job, uint32_t index)
{
	return job_plan_step(job, index);
}

static const char *next_doubt(const void *job, uint32_t index)
{
	return job_plan_doubt(job, index);
}

int job_call_plan(struct call *call)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	struct job *job = call->object->handle;
	int resolved = job_plan_resolved(job), r = no_options(call);
	struct job_view view;

	if (r < 0)
		return r;
	job_view(job, &view);
	if ((r = sd_bus_message_new_method_return(call->m, &reply)) < 0 ||
	    (r = sd_bus_message_open_container(reply, 'a', "{sv}")) < 0 ||
	    (r = reply_entry(reply, "resolved", 'b', &resolved)) < 0 ||
	    (*view.loader && (r = reply_entry(reply, "loader", 's', view.loader)) < 0) ||
	    (r = reply_entry(reply, "fdl1", 's', view.fdl1)) < 0 ||
	    (r = reply_entry(reply, "fdl2", 's', view.fdl2)) < 0 ||
	    (r = reply_strings(reply, "steps", next_step, job)) < 0 ||
	    (r = reply_strings(reply, "doubts", next_doubt, job)) < 0 ||
	    (r = sd_bus_message_close_container(reply)) < 0)
		return r;
	return sd_bus_send(NULL, reply, NULL);
}
