/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Asks polkit, without waiting for it: a person may have to type a password. Nothing is remembered here; for
 * how long an answer holds is polkit's to say. Whatever goes wrong is a no (dbus-daemon-practice 10).
 */
#include "bus/internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/journal.h"
#include "common/util.h"

#define POLKIT_NAME  "org.freedesktop.PolicyKit1"
#define POLKIT_PATH  "/org/freedesktop/PolicyKit1/Authority"
#define POLKIT_IFACE "org.freedesktop.PolicyKit1.Authority"

/* of CheckAuthorization: an agent may ask the user */
#define POLKIT_INTERACTIVE 1u

/* A stranger's calls must not push what matters out of the journal. */
#define DENIALS_MAX  20u
#define DENIALS_USEC UINT64_C(60000000)

static const char *const ids[] = {
	[ACTION_FLASH] = "org.fdld1.flash",
	[ACTION_FLASH_UNPROTECTED] = "org.fdld1.flash-unprotected",
	[ACTION_EXPORT_NV] = "org.fdld1.export-nv",
	[ACTION_IMPORT_IMAGE] = "org.fdld1.import-image",
	[ACTION_READ_TRACE] = "org.fdld1.read-trace",
	[ACTION_CANCEL] = "org.fdld1.cancel",
	[ACTION_RELOAD] = "org.fdld1.reload",
	[ACTION_DRAIN] = "org.fdld1.drain",
	[ACTION_MANAGE_HISTORY] = "org.fdld1.manage-history",
	[ACTION_MANAGE_SLOTS] = "org.fdld1.manage-slots",
	[ACTION_REMOVE_IMAGE] = "org.fdld1.remove-image",
	[ACTION_ARM] = "org.fdld1.arm",
	[ACTION_READ_PHONE] = "org.fdld1.read-phone",
	[ACTION_CONTROL_PORT] = "org.fdld1.control-port",
};

/* ---- a question's life ------------------------------------------------------------ */

static void question_end(struct question *q, enum polkit_answer answer, const char *said)
{
	struct bus *bus = q->bus;
	struct question **p;

	for (p = &bus->questions; *p != q; p = &(*p)->next)
		;
	*p = q->next;
	bus->question_count--;
	q->client->ask_count--;
	q->slot = sd_bus_slot_unref(q->slot);
	q->answered(q, answer, said);
	sd_bus_message_unref(q->call);
	free(q);
}

static void cancel_id(const struct question *q, char *out, size_t room)
{
	snprintf(out, room, "fdld-%u", q->number);
}

/* Else the prompt stays on somebody's screen, and whoever answers it answers nobody. */
static void cancel(const struct question *q)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	char id[32];

	cancel_id(q, id, sizeof(id));
	if (sd_bus_message_new_method_call(q->bus->conn, &m, POLKIT_NAME, POLKIT_PATH, POLKIT_IFACE,
					   "CancelCheckAuthorization") >= 0 &&
	    sd_bus_message_set_expect_reply(m, false) >= 0 && sd_bus_message_set_auto_start(m, false) >= 0 &&
	    sd_bus_message_append(m, "s", id) >= 0)
		(void)sd_bus_send(NULL, m, NULL);
}

void polkit_take_back(struct bus *bus, const struct client *client)
{
	for (struct question *q = bus->questions, *next; q; q = next) {
		next = q->next;
		if (client && q->client != client)
			continue;
		if (link_bus(bus->link))
			cancel(q);
		question_end(q, POLKIT_GONE, "");
	}
}

/* ---- asking ----------------------------------------------------------------------- */

static int on_answer(sd_bus_message *m, void *user, sd_bus_error *error)
{
	const sd_bus_error *e = sd_bus_message_get_error(m);
	int authorized = 0, challenge = 0;
	char said[256] = "";
	enum polkit_answer answer = POLKIT_FAILED;

	if (e)
		snprintf(said, sizeof(said), "%s: %s", e->name, e->message ? e->message : "");
	else if (sd_bus_message_enter_container(m, 'r', "bba{ss}") < 0 ||
		 sd_bus_message_read(m, "bb", &authorized, &challenge) < 0)
		snprintf(said, sizeof(said), "its answer cannot be read");
	else
		answer = authorized ? POLKIT_YES : challenge ? POLKIT_CHALLENGE : POLKIT_NO;
	question_end(user, answer, said);
	return 0;
}

static int append_detail(sd_bus_message *m, const char *key, const char *value)
{
	return value[0] ? sd_bus_message_append(m, "{ss}", key, value) : 0;
}

static int send(struct question *q)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	int interactive = sd_bus_message_get_allow_interactive_authorization(q->call);
	char id[32];
	int r;

	cancel_id(q, id, sizeof(id));
	if ((r = sd_bus_message_new_method_call(q->bus->conn, &m, POLKIT_NAME, POLKIT_PATH, POLKIT_IFACE,
						"CheckAuthorization")) < 0 ||
	    (r = sd_bus_message_append(m, "(sa{sv})s", "system-bus-name", 1, "name", "s", q->client->name,
				       ids[q->demand.action])) < 0 ||
	    (r = sd_bus_message_open_container(m, 'a', "{ss}")) < 0 ||
	    (r = append_detail(m, "slot", q->demand.slot)) < 0 ||
	    (r = append_detail(m, "image", q->demand.image)) < 0 ||
	    (r = append_detail(m, "operation", q->demand.operation)) < 0 ||
	    (r = sd_bus_message_close_container(m)) < 0 ||
	    (r = sd_bus_message_append(m, "us", interactive > 0 ? POLKIT_INTERACTIVE : 0u, id)) < 0)
		return r;
	/* a person is not hurried: no time limit, the caller may leave at any time */
	return sd_bus_call_async(q->bus->conn, &q->slot, m, on_answer, q, UINT64_MAX);
}

int polkit_ask(struct client *client, sd_bus_message *call, const struct demand *demand,
	       void (*answered)(const struct question *question, enum polkit_answer answer, const char *said),
	       void *user, struct failure *why)
{
	struct bus *bus = client->bus;
	struct question *q;
	int r;

	if (client->ask_count >= BUS_CLIENT_ASKS_MAX ||
	    client_sum(client, offsetof(struct client, ask_count)) >=
		    station_settings(bus->station)->user_asks ||
	    bus->question_count >= BUS_ASKS_MAX)
		return failure_set(why, ERR_LIMITS_EXCEEDED, "%u calls wait for an authorization",
				   client->ask_count);
	q = calloc(1, sizeof(*q));
	if (!q)
		return failure_set(why, ERR_INTERNAL, "no memory");
	q->bus = bus;
	q->client = client;
	q->demand = *demand;
	q->number = ++bus->question_number;
	q->answered = answered;
	q->user = user;
	q->call = sd_bus_message_ref(call);
	r = send(q);
	if (r < 0) {
		sd_bus_message_unref(q->call);
		free(q);
		return failure_set(why, ERR_INTERNAL, "cannot ask polkit: %s", strerror(-r));
	}
	client->ask_count++;
	bus->question_count++;
	q->next = bus->questions;
	bus->questions = q;
	return 0;
}

/* ---- saying no -------------------------------------------------------------------- */

static void tell_journal(const struct question *q, const char *reason)
{
	struct bus *bus = q->bus;
	struct journal_field fields[] = { { "FDL_SENDER_UID", NULL }, { "FDL_ACTION", NULL } };
	uint64_t now = loop_now();
	char uid[16], more[48] = "";

	if (!bus->denials_usec || now - bus->denials_usec >= DENIALS_USEC) {
		bus->denials_usec = now;
		bus->denials = 0;
	}
	if (++bus->denials > DENIALS_MAX) {
		bus->denials_untold++;
		return;
	}
	if (bus->denials_untold)
		snprintf(more, sizeof(more), " (%u more since)", bus->denials_untold);
	bus->denials_untold = 0;
	snprintf(uid, sizeof(uid), "%u", q->client->uid);
	fields[0].value = uid;
	fields[1].value = ids[q->demand.action];
	journal_event(EVENT_CALL_DENIED, fields, ARRAY_SIZE(fields), "%s.%s was denied to uid %s (%s): %s%s",
		      sd_bus_message_get_interface(q->call), sd_bus_message_get_member(q->call), uid,
		      q->client->name, reason, more);
}

void polkit_refusal(const struct question *question, enum polkit_answer answer, const char *said,
		    sd_bus_error *error)
{
	const char *id = ids[question->demand.action];
	struct failure why = { 0 };
	char text[1024];

	switch (answer) {
	case POLKIT_CHALLENGE:
		/* the name that every D-Bus client knows for "ask me again, and let a person be asked" */
		failure_set(&why, ERR_NOT_AUTHORIZED,
			    "%s needs a password, and nobody could be asked for one", id);
		(void)sd_bus_error_set(error, SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED,
				       failure_text(&why, text, sizeof(text)));
		break;
	case POLKIT_NO:
		failure_set(&why, ERR_NOT_AUTHORIZED, "polkit does not allow %s to uid %u", id,
			    question->client->uid);
		(void)reply_failure(error, &why);
		break;
	default:
		failure_set(&why, ERR_NOT_AUTHORIZED,
			    "polkit cannot be asked about %s, so only root may (%.160s)", id, said);
		(void)reply_failure(error, &why);
		break;
	}
	tell_journal(question, why.detail);
}
