/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/bus/walk.h"

#include <expat.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OURS "org.fdld1."

void walk_objects(struct rig *rig, struct walk *walk)
{
	sd_bus_message *m = NULL;
	const char *path;

	memset(walk, 0, sizeof(*walk));
	snprintf(walk->path[walk->paths++], sizeof(walk->path[0]), "%s", ROOT);
	if (!rig_call(rig, 30000, &m, ROOT, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects",
		      NULL) ||
	    sd_bus_message_enter_container(m, 'a', "{oa{sa{sv}}}") < 0)
		return;
	while (sd_bus_message_enter_container(m, 'e', "oa{sa{sv}}") > 0) {
		if (sd_bus_message_read(m, "o", &path) < 0 || sd_bus_message_skip(m, "a{sa{sv}}") < 0 ||
		    sd_bus_message_exit_container(m) < 0)
			break;
		if (walk->paths < WALK_PATHS)
			snprintf(walk->path[walk->paths++], sizeof(walk->path[0]), "%s", path);
	}
	sd_bus_message_unref(m);
}

/* ---- methods ------------------------------------------------------------------------ */

struct reading {
	struct walk *walk;
	struct walk_method method;
	bool ours;
	unsigned int arguments;
	void (*fn)(const struct walk_method *method, void *arg);
	void *arg;
	struct walk_method list[64]; /* called later: the parser is busy now */
	unsigned int count;
};

static const char *attribute(const char **a, const char *name)
{
	for (; a[0]; a += 2)
		if (!strcmp(a[0], name))
			return a[1];
	return "";
}

static void on_start(void *user, const char *tag, const char **a)
{
	struct reading *r = user;
	struct walk_method *m = &r->method;

	if (!strcmp(tag, "interface")) {
		snprintf(m->iface, sizeof(m->iface), "%s", attribute(a, "name"));
		r->ours = !strncmp(m->iface, OURS, strlen(OURS));
	} else if (!strcmp(tag, "method")) {
		snprintf(m->name, sizeof(m->name), "%s", attribute(a, "name"));
		m->types[0] = '\0';
		r->arguments = 0;
	} else if (!strcmp(tag, "arg") && !strcmp(attribute(a, "direction"), "in") && r->arguments < 8) {
		strncat(m->types, attribute(a, "type"), sizeof(m->types) - strlen(m->types) - 1);
		snprintf(m->argument[r->arguments++], sizeof(m->argument[0]), "%s", attribute(a, "name"));
	}
}

static void on_end(void *user, const char *tag)
{
	struct reading *r = user;

	if (r->ours && !strcmp(tag, "method") && r->count < 64)
		r->list[r->count++] = r->method;
}

void walk_methods(struct rig *rig, struct walk *walk, void (*fn)(const struct walk_method *method, void *arg),
		  void *arg)
{
	for (unsigned int i = 0; i < walk->paths; i++) {
		struct reading *r = calloc(1, sizeof(*r));
		XML_Parser parser = XML_ParserCreate(NULL);
		sd_bus_message *m = NULL;
		const char *text = "";

		snprintf(r->method.path, sizeof(r->method.path), "%s", walk->path[i]);
		if (rig_call(rig, 30000, &m, walk->path[i], "org.freedesktop.DBus.Introspectable",
			     "Introspect", NULL))
			(void)sd_bus_message_read(m, "s", &text);
		XML_SetUserData(parser, r);
		XML_SetElementHandler(parser, on_start, on_end);
		(void)XML_Parse(parser, text, (int)strlen(text), 1);
		XML_ParserFree(parser);
		sd_bus_message_unref(m);
		for (unsigned int k = 0; k < r->count; k++)
			fn(&r->list[k], arg);
		walk->methods += r->count;
		free(r);
	}
}

/* ---- properties --------------------------------------------------------------------- */

static void put(char *out, size_t room, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static void put(char *out, size_t room, const char *fmt, ...)
{
	size_t used = strlen(out);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(out + used, room - used, fmt, ap);
	va_end(ap);
}

/* What comes next, whatever it is, as text. */
static void value_text(sd_bus_message *m, char *out, size_t room)
{
	union {
		const char *s;
		uint64_t t;
		uint32_t u;
		uint16_t q;
		uint8_t y;
		int b;
		double d;
	} v;
	const char *inside;
	char type;

	if (sd_bus_message_peek_type(m, &type, &inside) <= 0)
		return;
	if (strchr("aver", type)) {
		if (sd_bus_message_enter_container(m, type, inside) <= 0)
			return;
		while (sd_bus_message_at_end(m, false) == 0)
			value_text(m, out, room);
		(void)sd_bus_message_exit_container(m);
		return;
	}
	if (sd_bus_message_read_basic(m, type, &v) < 0)
		return;
	switch (type) {
	case 's':
	case 'o':
	case 'g': put(out, room, "%s ", v.s); break;
	case 't':
	case 'x': put(out, room, "%" PRIu64 " ", v.t); break;
	case 'u':
	case 'i': put(out, room, "%" PRIu32 " ", v.u); break;
	case 'q': put(out, room, "%u ", v.q); break;
	case 'y': put(out, room, "%02x", v.y); break;
	case 'd': put(out, room, "%g ", v.d); break;
	default: put(out, room, "%d ", v.b); break;
	}
}

void walk_text(sd_bus_message *m, char *out, size_t room)
{
	while (sd_bus_message_at_end(m, true) == 0)
		value_text(m, out, room);
}

void walk_properties(struct rig *rig, struct walk *walk,
		     void (*fn)(const char *path, const char *iface, const char *name, const char *value,
				void *arg),
		     void *arg)
{
	static const char *const ifaces[] = { MANAGER, SLOT, DEVICE, JOB, PROG, IMAGE };
	static char value[65536];
	const char *name;

	for (unsigned int i = 0; i < walk->paths; i++)
		for (size_t k = 0; k < sizeof(ifaces) / sizeof(ifaces[0]); k++) {
			sd_bus_message *m = NULL;

			if (!rig_call(rig, 30000, &m, walk->path[i], "org.freedesktop.DBus.Properties",
				      "GetAll", "s", ifaces[k]))
				continue;
			(void)sd_bus_message_enter_container(m, 'a', "{sv}");
			while (sd_bus_message_enter_container(m, 'e', "sv") > 0) {
				value[0] = '\0';
				(void)sd_bus_message_read(m, "s", &name);
				value_text(m, value, sizeof(value));
				(void)sd_bus_message_exit_container(m);
				walk->properties++;
				fn(walk->path[i], ifaces[k], name, value, arg);
			}
			sd_bus_message_unref(m);
		}
}

/* ---- as a stranger ------------------------------------------------------------------ */

struct wanderer {
	struct rig *rig;
	struct scene *s;
	char image[64];
	unsigned int asked, denied, open, own;
	bool allowed; /* they are to be let in */
	char wrong[256];
};

/* What anybody may call: reading. Whatever is not here must be refused to a stranger. */
static bool is_reading(const struct walk_method *method)
{
	static const char *const list[] = { MANAGER ".GetSlot",
					    MANAGER ".GetJob",
					    MANAGER ".GetSettings",
					    MANAGER ".GetStoredImage",
					    MANAGER ".GetRules",
					    MANAGER ".ExplainRules",
					    JOB ".Plan",
					    JOB ".Wait" };
	char name[128];

	snprintf(name, sizeof(name), "%s.%s", method->iface, method->name);
	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++)
		if (!strcmp(name, list[i]))
			return true;
	return false;
}

/* Arguments that are all right, made from their types. */
static bool call_it(struct wanderer *w, const struct walk_method *method)
{
	struct user *user = w->s->user;
	const char *p = method->path, *i = method->iface, *n = method->name, *t = method->types;
	struct rig *rig = w->rig;
	int fd = w->s->pack.fd;

	if (!t[0])
		return user_call(rig, user, 30000, NULL, p, i, n, NULL);
	/* identities in full; the rest of these is reading */
	if (!strcmp(n, "History") || !strcmp(n, "HistoryText") || !strncmp(n, "Backups", 7))
		return user_call(rig, user, 30000, NULL, p, i, n, t, 1, "full", "b", 1);
	if (!strcmp(t, "tsha{sv}"))
		return user_call(rig, user, 30000, NULL, p, i, n, t, UINT64_C(1), "nv", fd, 0);
	if (!strcmp(t, "a{sv}"))
		return user_call(rig, user, 30000, NULL, p, i, n, t, 0);
	if (!strcmp(t, "ha{sv}"))
		return user_call(rig, user, 30000, NULL, p, i, n, t, fd, 0);
	if (!strcmp(t, "a(ht)a{sv}"))
		return user_call(rig, user, 30000, NULL, p, i, n, t, 1, fd, UINT64_C(0x30000), 0);
	if (!strcmp(t, "a(stth)a{sv}"))
		return user_call(rig, user, 30000, NULL, p, i, n, t, 1, "boot", UINT64_C(0), UINT64_C(4096),
				 fd, 0);
	if (!strcmp(t, "a(st)a{sv}"))
		return user_call(rig, user, 30000, NULL, p, i, n, t, 1, "boot", UINT64_C(0), 0);
	if (!strcmp(t, "a(shs)a{sv}"))
		return user_call(rig, user, 30000, NULL, p, i, n, t, 1, "boot", fd, "boot.img", 0);
	if (!strcmp(t, "haoa{sv}"))
		return user_call(rig, user, 30000, NULL, p, i, n, t, fd, 0, 0);
	if (!strcmp(t, "oa{sv}"))
		return user_call(rig, user, 30000, NULL, p, i, n, t, w->image, 0);
	if (!strcmp(t, "sa{sv}"))
		return user_call(rig, user, 30000, NULL, p, i, n, t, "off", 0);
	if (!strcmp(t, "s"))
		return user_call(rig, user, 30000, NULL, p, i, n, t, "no");
	if (!strcmp(t, "aoa{sv}"))
		return user_call(rig, user, 30000, NULL, p, i, n, t, 0, 0);
	if (!strcmp(t, "oaoa{sv}"))
		return user_call(rig, user, 30000, NULL, p, i, n, t, w->image, 0, 0);
	snprintf(user->error, sizeof(user->error), "no arguments for %s: teach this test", t);
	return false;
}

static void try_one(const struct walk_method *method, void *arg)
{
	struct wanderer *w = arg;
	struct user *user = w->s->user;
	bool ok, refused;

	if (is_reading(method)) {
		w->open++;
		return;
	}
	w->asked++;
	ok = call_it(w, method);
	refused = !ok && (!strcmp(user->error, NOT_AUTHORIZED) || !strcmp(user->error, NEEDS_PASSWORD));
	w->denied += refused;
	/* Release gives back what the caller holds, and a stranger holds nothing */
	if (!strcmp(method->iface, IMAGE) && !strcmp(method->name, "Release") && !ok &&
	    !strcmp(user->error, "org.fdld1.Error.NoSuchImage")) {
		w->own++;
		return;
	}
	if (refused == w->allowed && !w->wrong[0])
		snprintf(w->wrong, sizeof(w->wrong), "%s.%s on %s: %s", method->iface, method->name,
			 method->path, ok ? "done" : user->error);
}

bool walk_as_stranger(struct rig *rig, struct scene *s, bool allowed)
{
	struct wanderer w = { .rig = rig, .s = s, .allowed = allowed };
	sd_bus_message *m = NULL;
	const char *path = "";
	struct walk walk;

	/* one of each: a slot with a phone, an image, a job that waits elsewhere */
	if (!rig_call(rig, 30000, &m, ROOT, MANAGER, "OpenImage", "ha{sv}", s->pack.fd, 0) ||
	    sd_bus_message_read(m, "o", &path) < 0)
		return false;
	snprintf(w.image, sizeof(w.image), "%s", path);
	sd_bus_message_unref(m);
	walk_objects(rig, &walk);
	walk_methods(rig, &walk, try_one, &w);
	tap_note("%u objects, %u methods: %u open, %u tried, %u denied, %u not the caller's", walk.paths,
		 walk.methods, w.open, w.asked, w.denied, w.own);
	if (w.wrong[0])
		tap_note("%s", w.wrong);
	return !w.wrong[0] && walk.paths >= 5 && w.asked >= 10 && w.own >= 1 && w.open >= 4;
}
