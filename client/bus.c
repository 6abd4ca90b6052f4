/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The connection to the daemon, and failed calls as words and exit codes.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

#include "client/client.h"
#include "client/remote.h"
#include "common/names.h"
#include "common/util.h"

uint64_t client_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

bool client_usage_json;

int client_usage(const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), gettext(fmt), ap);
	va_end(ap);
	if (client_usage_json) {
		json_object *o = json_object_new_object();

		json_object_object_add(o, "error", json_object_new_string("Usage"));
		json_object_object_add(o, "fault", json_object_new_string(error_fault_name(FAULT_CALLER)));
		json_object_object_add(o, "message", json_object_new_string(text));
		print_json(o);
		json_object_put(o);
	} else {
		fprintf(stderr, "fdlctl: %s\n%s\n", clean(text), _("Try 'fdlctl --help'."));
	}
	return EXIT_USAGE;
}

/* text: the whole message; name: as on the bus, without the prefix. */
static int complain(const struct client *c, const char *name, const struct error_entry *e, const char *text)
{
	if (c->json) {
		json_object *o = json_object_new_object();

		json_object_object_add(o, "error", json_object_new_string(name));
		json_object_object_add(o, "fault", json_object_new_string(error_fault_name(e->fault)));
		json_object_object_add(o, "message", json_object_new_string(text));
		json_object_object_add(o, "remedy", json_object_new_string(e->remedy));
		print_json(o);
		json_object_put(o);
		return e->exit_code;
	}
	print_wrapped(stderr, "fdlctl: ", text);
	print_wrapped(stderr, _("  what to do: "), words_remedy(e->id, ""));
	return e->exit_code;
}

int client_complain(const struct client *c, const struct failure *why)
{
	const struct error_entry *e = error_entry(why->error);
	char text[1024];

	return complain(c, e->name, e, words_failure(why, text, sizeof(text)));
}

/* The bus was asked for the service, and nobody came: it is not there, it went, or it would not start. */
static bool nobody_came(const sd_bus_error *error)
{
	static const char *const names[] = {
		SD_BUS_ERROR_SERVICE_UNKNOWN, SD_BUS_ERROR_NAME_HAS_NO_OWNER,
		SD_BUS_ERROR_NO_REPLY,	      SD_BUS_ERROR_DISCONNECTED,
		SD_BUS_ERROR_TIMEOUT,	      "org.freedesktop.DBus.Error.TimedOut",
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (sd_bus_error_has_name(error, names[i]))
			return true;
	return !strncmp(error->name, "org.freedesktop.DBus.Error.Spawn.", 33) ||
	       !strncmp(error->name, "org.freedesktop.systemd1.", 25);
}

static enum error_id id_of(const sd_bus_error *error, int r)
{
	enum error_id id = ERR_NONE;

	if (error && error->name)
		id = error_by_name(error->name);
	if (id != ERR_NONE)
		return id;
	if (error && (sd_bus_error_has_name(error, SD_BUS_ERROR_ACCESS_DENIED) ||
		      sd_bus_error_has_name(error, SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED)))
		return ERR_NOT_AUTHORIZED;
	if (error && error->name && nobody_came(error))
		return ERR_DAEMON_UNREACHABLE;
	if (r == -ECONNRESET || r == -ENOTCONN || r == -EPIPE || r == -ESHUTDOWN) /* in the middle of it */
		return ERR_DAEMON_UNREACHABLE;
	if (error && sd_bus_error_has_name(error, SD_BUS_ERROR_UNKNOWN_OBJECT))
		return ERR_NO_SUCH_JOB;
	if (r == -EACCES || r == -EPERM)
		return ERR_NOT_AUTHORIZED;
	return error && error->name ? ERR_INTERNAL : ERR_DAEMON_UNREACHABLE;
}

/* Nobody has answered: is it the service, or the way to its machine? */
static enum error_id unreachable(const struct client *c, enum error_id id, const sd_bus_error *error)
{
	return id == ERR_DAEMON_UNREACHABLE && c->host && !(error && error->name && nobody_came(error))
		       ? ERR_MACHINE_UNREACHABLE
		       : id;
}

int client_lost(const struct client *c)
{
	bool wire = c->host && sd_bus_is_open(c->bus) <= 0;
	struct failure why = { .error = wire ? ERR_MACHINE_UNREACHABLE : ERR_DAEMON_UNREACHABLE, .code = -1 };

	if (wire)
		snprintf(why.detail, sizeof(why.detail), _("the connection to %.60s has ended"), c->host);
	return client_complain(c, &why);
}

int client_complain_bus(const struct client *c, const sd_bus_error *error, int r)
{
	struct failure why = { .error = unreachable(c, id_of(error, r), error), .code = -1 };
	const char *name = error && error->name ? error->name : "";
	char text[1024];

	/* the daemon's own errors come with name, cause and detail; one that is newer than we are, too */
	if (!strncmp(name, FDLD_ERROR_PREFIX, strlen(FDLD_ERROR_PREFIX)) && error->message) {
		words_remote(error_by_name(name), error->message, text, sizeof(text));
		return complain(c, name + strlen(FDLD_ERROR_PREFIX), error_entry(why.error), text);
	}
	snprintf(why.detail, sizeof(why.detail), "%s",
		 error && error->message ? error->message : strerror(-r));
	return client_complain(c, &why);
}

int client_ask(struct client *c, sd_bus_message *m, sd_bus_error *error, sd_bus_message **reply)
{
	int r;

	agent_open(c);
	r = sd_bus_call(c->bus, m, UINT64_MAX, error, reply);
	agent_close(c); /* the terminal is ours again */
	return r;
}

int client_open(struct client *c)
{
	int r;

	if (c->bus)
		return 0;
	if (c->host) {
		r = remote_open(c);
	} else if (!c->address) {
		r = sd_bus_open_system(&c->bus);
	} else {
		r = sd_bus_new(&c->bus);
		if (r >= 0)
			r = sd_bus_set_address(c->bus, c->address);
		if (r >= 0)
			r = sd_bus_set_bus_client(c->bus, true);
		if (r >= 0)
			r = sd_bus_start(c->bus);
	}
	if (r >= 0)
		(void)sd_bus_set_allow_interactive_authorization(c->bus, !c->no_ask);
	return MIN(r, 0);
}

int client_connect(struct client *c)
{
	int r = client_open(c);

	if (r < 0) {
		struct failure why = { .error = unreachable(c, id_of(NULL, r), NULL), .code = -1 };

		if (c->host)
			remote_why(c, r, why.detail, sizeof(why.detail));
		else
			snprintf(why.detail, sizeof(why.detail), "%s: %s",
				 c->address ? c->address : _("the system bus"), strerror(-r));
		return client_complain(c, &why);
	}
	return 0;
}

int client_turn(struct client *c, uint64_t usec)
{
	int r;

	while ((r = sd_bus_process(c->bus, NULL)) > 0)
		;
	if (r < 0) {
		c->bus_lost = true;
		return r;
	}
	if (!usec)
		return 0;
	r = sd_bus_wait(c->bus, usec);
	if (r < 0 && r != -EINTR)
		return r;
	while ((r = sd_bus_process(c->bus, NULL)) > 0)
		;
	if (r < 0)
		c->bus_lost = true;
	return r;
}
