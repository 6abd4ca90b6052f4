/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Callers: who they are, and what is kept for them until they leave the bus. The bus is asked without waiting
 * for it: the call is put aside and comes again when the answer is there. (sd_bus_track and
 * sd_bus_query_sender_creds ask and wait, which the loop must not.)
 */
#include "bus/internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"

#define DBUS_NAME  "org.freedesktop.DBus"
#define DBUS_PATH  "/org/freedesktop/DBus"
#define DBUS_IFACE "org.freedesktop.DBus"

static void drop_asked(struct client *client)
{
	for (unsigned int i = 0; i < client->asked_count; i++)
		sd_bus_message_unref(client->asked[i]);
	client->asked_count = 0;
}

static void forget(struct client *client)
{
	struct bus *bus = client->bus;
	struct client **p;

	for (p = &bus->clients; *p != client; p = &(*p)->next)
		;
	*p = client->next;
	bus->client_count--;
	for (struct object *o = bus->objects; o && client->wait_count; o = o->next)
		job_drop_waits(bus, o, client);
	polkit_take_back(bus, client);
	work_orphan(bus, client);
	for (unsigned int i = 0; i < client->image_count; i++)
		image_release(client->images[i]);
	drop_asked(client);
	sd_bus_slot_unref(client->match);
	sd_bus_slot_unref(client->query);
	free(client->name);
	free(client);
}

void client_forget_all(struct bus *bus)
{
	while (bus->clients)
		forget(bus->clients);
}

static int on_owner_changed(sd_bus_message *m, void *user, sd_bus_error *error)
{
	struct client *client = user;
	const char *name, *old, *new;

	if (sd_bus_message_read(m, "sss", &name, &old, &new) >= 0 && !strcmp(name, client->name) && !new[0])
		forget(client);
	return 0;
}

static bool holds_nothing(const struct client *client)
{
	return !client->asked_count && !client->image_count && !client->wait_count && !client->work_count &&
	       !client->ask_count && !client->errand_count;
}

/* Of one user's connections (or, with NULL, of all) the one that has been silent longest and holds nothing
 * goes.
 */
static bool forget_one(struct bus *bus, const struct client *of)
{
	struct client *oldest = NULL;

	for (struct client *c = bus->clients; c; c = c->next)
		if (holds_nothing(c) && (!of || (c != of && c->known && c->uid == of->uid)) &&
		    (!oldest || c->used < oldest->used))
			oldest = c;
	if (oldest)
		forget(oldest);
	return oldest != NULL;
}

/* Refuses what it has asked so far, and forgets it. */
static void turn_away(struct client *client, const struct failure *why)
{
	for (unsigned int i = 0; i < client->asked_count; i++)
		reply_failure_to(client->asked[i], why);
	drop_asked(client);
	forget(client);
}

static bool one_too_many(const struct client *client)
{
	unsigned int n = 0;

	for (const struct client *c = client->bus->clients; c; c = c->next)
		n += c->known && c->uid == client->uid;
	return n > station_settings(client->bus->station)->user_clients && !client_trusted(client->uid);
}

static int on_uid(sd_bus_message *m, void *user, sd_bus_error *error)
{
	struct client *client = user;
	struct failure why = { 0 };
	uint32_t uid;

	client->query = sd_bus_slot_unref(client->query);
	if (sd_bus_message_is_method_error(m, NULL) || sd_bus_message_read(m, "u", &uid) < 0) {
		/* fail closed */
		failure_set(&why, ERR_NOT_AUTHORIZED, "the bus does not say who %s is", client->name);
		turn_away(client, &why);
		return 0;
	}
	client->uid = uid;
	client->known = true;
	if (one_too_many(client) && !forget_one(client->bus, client)) {
		failure_set(&why, ERR_LIMITS_EXCEEDED, "uid %u has %u connections that hold something", uid,
			    station_settings(client->bus->station)->user_clients);
		turn_away(client, &why);
		return 0;
	}
	for (unsigned int i = 0; i < client->asked_count; i++)
		if (sd_bus_message_rewind(client->asked[i], true) >= 0)
			(void)sd_bus_enqueue_for_read(client->bus->conn, client->asked[i]);
	drop_asked(client);
	return 0;
}

static int ask(struct client *client)
{
	char rule[512];
	int r;

	/* the match first: if it leaves between the two, either the answer or the signal says so */
	snprintf(rule, sizeof(rule),
		 "type='signal',sender='" DBUS_NAME "',path='" DBUS_PATH "',interface='" DBUS_IFACE
		 "',member='NameOwnerChanged',arg0='%s'",
		 client->name);
	r = sd_bus_add_match_async(client->bus->conn, &client->match, rule, on_owner_changed, NULL, client);
	if (r < 0)
		return r;
	return sd_bus_call_method_async(client->bus->conn, &client->query, DBUS_NAME, DBUS_PATH, DBUS_IFACE,
					"GetConnectionUnixUser", on_uid, client, "s", client->name);
}

static struct client *client_new(struct bus *bus, const char *name)
{
	struct client *client = calloc(1, sizeof(*client));

	if (!client)
		return NULL;
	client->bus = bus;
	client->name = strdup(name);
	client->next = bus->clients;
	bus->clients = client;
	bus->client_count++;
	if (!client->name || ask(client) < 0) {
		forget(client);
		return NULL;
	}
	return client;
}

int client_find(struct bus *bus, sd_bus_message *m, struct client **out, struct failure *why)
{
	const char *sender = sd_bus_message_get_sender(m);
	struct client *client;

	if (!sender)
		return failure_set(why, ERR_NOT_AUTHORIZED, "a call without a sender");
	for (client = bus->clients; client; client = client->next)
		if (!strcmp(client->name, sender))
			break;
	if (!client) {
		if (bus->client_count >= BUS_CLIENTS_MAX && !forget_one(bus, NULL))
			return failure_set(why, ERR_LIMITS_EXCEEDED, "%u callers are known already",
					   bus->client_count);
		client = client_new(bus, sender);
		if (!client)
			return failure_set(why, ERR_INTERNAL, "cannot ask the bus who %s is", sender);
	}
	client->used = ++bus->client_clock;
	if (client->known) {
		*out = client;
		return 1;
	}
	if (client->asked_count == ARRAY_SIZE(client->asked))
		return failure_set(why, ERR_LIMITS_EXCEEDED, "%u calls at once before the first is answered",
				   client->asked_count + 1);
	client->asked[client->asked_count++] = sd_bus_message_ref(m);
	return 0;
}

void client_caller(const struct client *client, struct station_caller *caller)
{
	memset(caller, 0, sizeof(*caller));
	caller->uid = client->uid;
	snprintf(caller->name, sizeof(caller->name), "%s", client->name);
}

unsigned int client_sum(const struct client *client, size_t member)
{
	unsigned int sum = 0;

	if (client_trusted(client->uid))
		return 0;
	for (const struct client *c = client->bus->clients; c; c = c->next)
		if (c->known && c->uid == client->uid)
			sum += *(const unsigned int *)((const char *)c + member);
	return sum;
}

int client_errand_begin(struct client *client, struct failure *why)
{
	if (client->errand_count >= BUS_CLIENT_ERRANDS_MAX ||
	    client_sum(client, offsetof(struct client, errand_count)) >= BUS_USER_ERRANDS_MAX)
		return failure_set(why, ERR_LIMITS_EXCEEDED, "%u such questions are being answered",
				   client->errand_count);
	client->errand_count++;
	return 0;
}

void client_errand_end(struct bus *bus, const char *sender)
{
	for (struct client *c = bus->clients; c && sender; c = c->next)
		/* after a restart of the bus the name may be somebody else's, who has asked nothing */
		if (!strcmp(c->name, sender) && c->errand_count) {
			c->errand_count--;
			return;
		}
}

static unsigned int open_jobs(const struct bus *bus, uint32_t uid)
{
	unsigned int n = 0;

	for (struct job *j = NULL; (j = station_next_job(bus->station, j));) {
		struct job_view view;

		job_view(j, &view);
		n += view.uid == uid && !view.ended;
	}
	return n;
}

static unsigned int open_images(const struct bus *bus, uint32_t uid)
{
	unsigned int n = 0;

	for (const struct object *o = bus->objects; o; o = o->next)
		n += o->kind == KIND_IMAGE && o->uid == uid;
	return n;
}

int client_may_begin(const struct client *client, bool flash, struct failure *why)
{
	const struct bus *bus = client->bus;
	const struct settings *set = station_settings(bus->station);
	unsigned int n;

	if (client_trusted(client->uid))
		return 0;
	n = work_pending(bus, client->uid, flash) +
	    (flash ? open_jobs(bus, client->uid) : open_images(bus, client->uid));
	if (n <= (flash ? set->user_jobs : set->user_images))
		return 0;
	return failure_set(why, ERR_LIMITS_EXCEEDED,
			   flash ? "uid %u has %u jobs that have not ended" : "uid %u has opened %u packages",
			   client->uid, n - 1);
}

int client_take_image(struct client *client, struct image *image)
{
	if (client->image_count == ARRAY_SIZE(client->images))
		return -EDQUOT;
	client->images[client->image_count++] = image;
	return 0;
}

bool client_drop_image(struct client *client, struct image *image)
{
	for (unsigned int i = 0; i < client->image_count; i++) {
		if (client->images[i] != image)
			continue;
		client->images[i] = client->images[--client->image_count];
		image_release(image);
		return true;
	}
	return false;
}
