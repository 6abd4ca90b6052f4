/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * org.fdld1(5) and the running daemon: every interface, method, argument, signal and property of the one is
 * in the other, and the options that the page gives a method are those that the method takes.
 */
#include <expat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bus/rig.h"

#define MEMBERS 512
#define KEYS	32

struct member {
	char interface[48], name[64];
	char text[256]; /* "Flash (file h, options a{sv}) -> job o" */
	char takes[64]; /* types of the arguments, of a method */
	char key[KEYS][40];
	unsigned int keys;
	char like[256]; /* "those of ...", or empty */
	bool options;	/* the page has something to say of them */
	bool method;
};

struct list {
	struct member m[MEMBERS];
	unsigned int count;
};

static struct member *add(struct list *list, const char *interface)
{
	struct member *m = &list->m[list->count++];

	if (list->count >= MEMBERS)
		abort();
	memset(m, 0, sizeof(*m));
	snprintf(m->interface, sizeof(m->interface), "%s", interface);
	return m;
}

static struct member *find(struct list *list, const char *interface, const char *name)
{
	for (unsigned int i = 0; i < list->count; i++)
		if (!strcmp(list->m[i].interface, interface) && !strcmp(list->m[i].name, name))
			return &list->m[i];
	return NULL;
}

/* ---- what the daemon says ------------------------------------------------------------- */

struct live {
	struct list *list;
	struct member *at;
	char interface[64], in[160], out[96], emits[16], kind[16], type[16];
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
	struct live *l = user;

	if (!strcmp(tag, "interface"))
		snprintf(l->interface, sizeof(l->interface), "%s", attribute(a, "name"));
	if (strncmp(l->interface, "org.fdld1.", 10))
		return;
	if (!strcmp(tag, "method") || !strcmp(tag, "signal") || !strcmp(tag, "property")) {
		if (find(l->list, l->interface, attribute(a, "name"))) /* of another object of this kind */
			return;
		l->at = add(l->list, l->interface);
		l->at->method = tag[0] == 'm';
		snprintf(l->at->name, sizeof(l->at->name), "%s", attribute(a, "name"));
		snprintf(l->kind, sizeof(l->kind), "%s", tag);
		snprintf(l->type, sizeof(l->type), "%s", attribute(a, "type"));
		l->in[0] = l->out[0] = l->emits[0] = '\0';
	} else if (l->at && !strcmp(tag, "arg")) {
		bool out = !strcmp(attribute(a, "direction"), "out") && l->at->method;
		char *to = out ? l->out : l->in;
		size_t room = out ? sizeof(l->out) : sizeof(l->in), len = strlen(to);

		snprintf(to + len, room - len, "%s%s %s", len ? ", " : "", attribute(a, "name"),
			 attribute(a, "type"));
		len = strlen(l->at->takes);
		if (!out)
			snprintf(l->at->takes + len, sizeof(l->at->takes) - len, "%s", attribute(a, "type"));
	} else if (l->at && !strcmp(tag, "annotation") &&
		   strstr(attribute(a, "name"), "EmitsChangedSignal")) {
		snprintf(l->emits, sizeof(l->emits), "%s", attribute(a, "value"));
	}
}

static void on_end(void *user, const char *tag)
{
	struct live *l = user;
	struct member *m = l->at;

	if (!m || strcmp(tag, l->kind))
		return;
	if (!strcmp(tag, "method"))
		snprintf(m->text, sizeof(m->text), "%s (%s)%s%s", m->name, l->in, l->out[0] ? " -> " : "",
			 l->out);
	else if (!strcmp(tag, "signal"))
		snprintf(m->text, sizeof(m->text), "%s (%s) - signal", m->name, l->in);
	else
		snprintf(m->text, sizeof(m->text), "%s - property, %s%s", m->name, l->type,
			 !strcmp(l->emits, "const")   ? ", constant"
			 : !strcmp(l->emits, "false") ? ", not signalled"
						      : "");
	l->at = NULL;
}

static bool ask(struct rig *rig, struct list *list, const char *path)
{
	struct live l = { .list = list };
	XML_Parser parser = XML_ParserCreate(NULL);
	sd_bus_message *reply = NULL;
	const char *text = "";
	bool ok = rig_call(rig, 3000, &reply, path, "org.freedesktop.DBus.Introspectable", "Introspect",
			   NULL) &&
		  sd_bus_message_read(reply, "s", &text) >= 0;

	XML_SetUserData(parser, &l);
	XML_SetElementHandler(parser, on_start, on_end);
	ok = ok && XML_Parse(parser, text, (int)strlen(text), 1) == XML_STATUS_OK;
	XML_ParserFree(parser);
	sd_bus_message_unref(reply);
	return ok;
}

/* ---- what the page says --------------------------------------------------------------- */

static void plain(char *text)
{
	char *to = text;

	text[strcspn(text, "\n")] = '\0';
	for (const char *p = text; *p; p++) {
		if (p[0] == '\\' && p[1] == '-')
			p++;
		*to++ = *p;
	}
	*to = '\0';
}

/* "those of Slot.Flash, without accept_bad_crc and name, ...": the keys of another method */
static void inherit(struct list *list, struct member *m)
{
	char interface[48], method[48], of[80], word[44];
	const char *less = strstr(m->like, " without ");
	const struct member *from;

	if (sscanf(m->like, "those of %40[A-Za-z].%40[A-Za-z]", interface, method) != 2)
		return;
	snprintf(of, sizeof(of), "org.fdld1.%s", interface);
	from = find(list, of, method);
	m->keys = 0;
	for (unsigned int i = 0; from && i < from->keys; i++) {
		snprintf(word, sizeof(word), " %s", from->key[i]);
		if (!less || !strstr(less + strlen(" without"), word))
			memcpy(m->key[m->keys++], from->key[i], sizeof(from->key[i]));
	}
}

static void options_line(struct member *m, const char *line)
{
	char key[40];

	if (sscanf(line, ".B %39[a-z_] (", key) == 1 && m->keys < KEYS)
		memcpy(m->key[m->keys++], key, sizeof(key));
	else if (!strncmp(line, "those of ", 9))
		snprintf(m->like, sizeof(m->like), "%s", line);
}

static void read_page(struct list *list, FILE *f)
{
	char line[4096], interface[48] = "";
	bool within = false, inner = false, options = false;
	struct member *m = NULL;

	while (fgets(line, sizeof(line), f)) {
		plain(line);
		within |= !strcmp(line, ".\\\" BEGIN reference");
		if (!strcmp(line, ".\\\" END reference"))
			break;
		if (!strncmp(line, ".SH ORG.FDLD1.", 14)) {
			snprintf(interface, sizeof(interface), "org.fdld1.%c", line[14]);
			for (size_t i = 15, n = strlen(interface); line[i] && n < sizeof(interface) - 1; i++)
				interface[n++] = (char)(line[i] | 0x20), interface[n] = '\0';
		}
		if (!within || !interface[0])
			continue;
		if (!strcmp(line, ".RS") || !strcmp(line, ".RE")) {
			inner = line[2] == 'S';
		} else if (!strncmp(line, ".B ", 3) && !inner) {
			m = add(list, interface);
			snprintf(m->text, sizeof(m->text), "%s", line + 3);
			snprintf(m->name, sizeof(m->name), "%.*s", (int)strcspn(line + 3, " "), line + 3);
			options = false;
		} else if (m && (!strncmp(line, ".I Options", 10) || !strncmp(line, ".IR Options", 11))) {
			m->options = options = true;
		} else if (m && options) {
			options = inner || !strcmp(line, ".IP");
			options_line(m, line);
		}
	}
}

static bool page(struct list *list)
{
	FILE *f = fopen("man/org.fdld1.5", "re");

	if (!f)
		return false;
	read_page(list, f);
	fclose(f);
	for (int pass = 0; pass < 2; pass++) /* of one that has them of another */
		for (unsigned int i = 0; i < list->count; i++)
			inherit(list, &list->m[i]);
	return list->count > 0;
}

/* ---- the same ------------------------------------------------------------------------- */

static bool contains(struct list *a, struct list *b, const char *what)
{
	bool all = true;

	for (unsigned int i = 0; i < b->count; i++) {
		const struct member *m = find(a, b->m[i].interface, b->m[i].name);

		if (m && !strcmp(m->text, b->m[i].text))
			continue;
		tap_note("%s: %s: '%s'%s%s", what, b->m[i].interface, b->m[i].text,
			 m ? " but there it is " : "", m ? m->text : "");
		all = false;
	}
	return all;
}

static struct list told, is;
static char loader[64];

static bool gather(struct rig *rig, struct rig_package *pack, char *image, size_t room)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	sd_bus_message *reply = NULL;
	const char *text, *job;
	bool ok;

	memset(&told, 0, sizeof(told));
	memset(&is, 0, sizeof(is));
	rig_package(rig, pack, "sc9863a", 1, 4096);
	if (!rig_up(rig, NULL) || !rig_plug(rig, p))
		return false;
	ok = rig_call(rig, 5000, &reply, ROOT, MANAGER, "OpenImage", "ha{sv}", pack->fd, 0) &&
	     sd_bus_message_read(reply, "o", &text) >= 0;
	snprintf(image, room, "%s", ok ? text : "");
	sd_bus_message_unref(reply);
	reply = NULL;
	ok = ok && rig_call(rig, 20000, &reply, ROOT, MANAGER, "ImportLoader", "ha{sv}", pack->fd, 0) &&
	     sd_bus_message_read(reply, "o", &text) >= 0;
	snprintf(loader, sizeof(loader), "%s", ok ? text : "");
	sd_bus_message_unref(reply);
	job = rig_flash(rig, p->slot, pack->fd, NULL, 0);
	return ok && job && ask(rig, &is, ROOT) && ask(rig, &is, p->slot) && ask(rig, &is, image) &&
	       ask(rig, &is, loader) && ask(rig, &is, job) &&
	       ask(rig, &is, rig_get(rig, p->slot, SLOT, "Device")) && page(&told) &&
	       !strcmp(rig_wait(rig, job, 30000), "");
}

static void members(struct rig *rig)
{
	struct rig_package pack;
	char image[64];

	CHECK(gather(rig, &pack, image, sizeof(image)));
	CHECK(is.count > 60); /* so many there are: nothing was overlooked */
	CHECK(contains(&told, &is, "the page does not say"));
	CHECK(contains(&is, &told, "the daemon does not have"));
	rig_package_free(&pack);
}

/* ---- options -------------------------------------------------------------------------- */

struct answer {
	bool came;
	char name[96], text[256];
};

static int on_answer(sd_bus_message *m, void *user, sd_bus_error *error)
{
	const sd_bus_error *e = sd_bus_message_get_error(m);
	struct answer *a = user;

	(void)error;
	a->came = true;
	snprintf(a->name, sizeof(a->name), "%s", e ? e->name : "");
	snprintf(a->text, sizeof(a->text), "%s", e && e->message ? e->message : "");
	return 0;
}

static bool came(void *arg)
{
	return ((struct answer *)arg)->came;
}

/* An array of structs without one in it; t: from its "a(" on. */
static int empty_array(sd_bus_message *m, const char *t)
{
	char type[32];

	snprintf(type, sizeof(type), "%.*s", (int)strcspn(t, ")") + 1, t);
	return sd_bus_message_append(m, type, 0);
}

/* Calls a method with one option, of a type that no option has; it is refused in any case. */
static bool refused(struct rig *rig, const struct member *m, const char *path, const char *image, int fd,
		    const char *key, const char *word)
{
	struct answer a = { 0 };
	sd_bus_message *call = NULL;
	int r = sd_bus_message_new_method_call(rig_bus(rig), &call, "org.fdld1", path, m->interface, m->name);

	for (const char *t = m->takes; r >= 0 && *t;) {
		if (*t == 'h')
			r = sd_bus_message_append(call, "h", fd);
		else if (*t == 'o')
			r = sd_bus_message_append(call, "o", image);
		else if (*t == 't')
			r = sd_bus_message_append(call, "t", UINT64_C(1));
		else if (*t == 's')
			r = sd_bus_message_append(call, "s", "name");
		else if (!strncmp(t, "a(ht)", 5))
			r = sd_bus_message_append(call, "a(ht)", 1, fd, UINT64_C(0x5000));
		else if (!strncmp(t, "a(", 2))
			r = empty_array(call, t);
		else if (!strncmp(t, "ao", 2))
			r = sd_bus_message_append(call, "ao", 0);
		else if (!strncmp(t, "a{sv}", 5))
			r = sd_bus_message_append(call, "a{sv}", 1, key, "d", 0.5);
		t += !strncmp(t, "a(", 2)      ? strcspn(t, ")") + 1
		     : !strncmp(t, "ao", 2)    ? 2
		     : !strncmp(t, "a{sv}", 5) ? 5
					       : 1;
	}
	if (r >= 0)
		r = sd_bus_call_async(rig_bus(rig), NULL, call, on_answer, &a, 5000000);
	sd_bus_message_unref(call);
	if (r < 0 || !rig_until(rig, 6000, came, &a))
		return false;
	if (!strcmp(a.name, "org.fdld1.Error.InvalidArgs") && strstr(a.text, word))
		return true;
	tap_note("%s.%s with %s: %s %s", m->interface, m->name, key, a.name, a.text);
	return false;
}

static bool has(const struct member *m, const char *key)
{
	for (unsigned int i = 0; i < m->keys; i++)
		if (!strcmp(m->key[i], key))
			return true;
	return false;
}

static void options(struct rig *rig)
{
	struct rig_package pack;
	unsigned int methods = 0, known = 0;
	char image[64];

	CHECK(gather(rig, &pack, image, sizeof(image)));
	for (unsigned int i = 0; i < is.count; i++) {
		struct member *m = &is.m[i], *page = find(&told, m->interface, m->name);
		const char *path = !strcmp(m->interface, MANAGER)	       ? ROOT
				   : !strcmp(m->interface, SLOT)	       ? rig->phone[0].slot
				   : !strcmp(m->interface, JOB)		       ? ROOT "/job/1"
				   : !strcmp(m->interface, "org.fdld1.Loader") ? loader
									       : image;

		if (!m->method || !strstr(m->takes, "a{sv}"))
			continue;
		methods++;
		CHECK(page && page->options);
		CHECK(refused(rig, m, path, image, pack.fd, "no_such_option", "unknown option"));
		for (unsigned int k = 0; k < told.count; k++)
			for (unsigned int n = 0; n < told.m[k].keys; n++) {
				const char *key = told.m[k].key[n];

				known += has(page, key);
				CHECK(refused(rig, m, path, image, pack.fd, key,
					      has(page, key) ? "is of type" : "unknown option"));
			}
	}
	CHECK(methods >= 8 && known >= 50);
	CHECK(!strcmp(rig_get(rig, ROOT, MANAGER, "Draining"), "false"));
	rig_package_free(&pack);
}

static const struct rig_test tests[] = {
	{ "org.fdld1(5) has what the daemon has, and nothing else", members },
	{ "options are those that org.fdld1(5) gives each method", options },
};

int main(void)
{
	return rig_run(tests, sizeof(tests) / sizeof(tests[0]));
}
