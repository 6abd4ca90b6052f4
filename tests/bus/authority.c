/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/bus/authority.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define USERS_MAX 80
#define HELD_MAX  80

static struct user *users[USERS_MAX];
static struct {
	struct authority state;
	sd_bus *bus;
	sd_bus_message *held[HELD_MAX];
	unsigned int held_count;
} authority;

static _Noreturn void die(const char *what, int r)
{
	fprintf(stderr, "%s: %s\n", what, strerror(-r));
	exit(99);
}

int users_run(const struct rig_test *tests, size_t count)
{
	if (geteuid() || seteuid(STRANGER) < 0) {
		tap_skip("other users", "there is only one in a user namespace: run as root");
		return tap_end();
	}
	if (seteuid(0) < 0)
		die("seteuid", -errno);
	return rig_run(tests, count);
}

/* ---- running all connections -------------------------------------------------------- */

static void pump(sd_bus *bus)
{
	while (bus && sd_bus_process(bus, NULL) > 0)
		;
	if (bus)
		(void)sd_bus_flush(bus);
}

struct until {
	bool (*pred)(void *arg);
	void *arg;
};

static bool until(void *arg)
{
	const struct until *u = arg;

	pump(authority.bus);
	for (unsigned int i = 0; i < USERS_MAX; i++)
		if (users[i])
			pump(users[i]->bus);
	return u->pred && u->pred(u->arg);
}

bool users_until(struct rig *rig, int timeout_ms, bool (*pred)(void *arg), void *arg)
{
	struct until u = { pred, arg };

	return rig_until(rig, timeout_ms, until, &u);
}

struct counting {
	const unsigned int *count;
	unsigned int value;
};

static bool is_reached(void *arg)
{
	const struct counting *c = arg;

	return *c->count >= c->value;
}

bool users_count(struct rig *rig, const unsigned int *count, unsigned int value)
{
	struct counting c = { count, value };

	if (users_until(rig, 10000, is_reached, &c))
		users_sleep(rig, 100);
	if (*count != value)
		tap_note("%u expected, %u came", value, *count);
	return *count == value;
}

void users_sleep(struct rig *rig, int ms)
{
	(void)users_until(rig, ms / rig_patience(1), NULL, NULL);
}

/* ---- callers ------------------------------------------------------------------------ */

static bool is_up(void *arg)
{
	return sd_bus_is_ready(arg) > 0;
}

struct user *user_new(struct rig *rig, uid_t uid)
{
	struct user *user = calloc(1, sizeof(*user));
	unsigned int i = 0;
	int r;

	while (i < USERS_MAX && users[i])
		i++;
	if (!user || i == USERS_MAX)
		die("too many users", -ENOMEM);
	/* the bus takes the uid from the socket, as it was when it was connected */
	if (seteuid(uid) < 0)
		die("seteuid", -errno);
	r = sd_bus_open_system(&user->bus);
	if (seteuid(0) < 0)
		die("seteuid", -errno);
	if (r < 0)
		die("sd_bus_open_system", r);
	users[i] = user;
	if (!users_until(rig, 5000, is_up, user->bus))
		die("a user's connection", -ETIMEDOUT);
	return user;
}

void user_free(struct user *user)
{
	for (unsigned int i = 0; i < USERS_MAX; i++)
		if (users[i] == user)
			users[i] = NULL;
	for (unsigned int i = 0; i < user->sent; i++)
		sd_bus_slot_unref(user->open[i]);
	sd_bus_close_unref(user->bus);
	free(user);
}

static void take_error(struct user *user, sd_bus_message *m)
{
	const sd_bus_error *e = sd_bus_message_get_error(m);

	snprintf(user->error, sizeof(user->error), "%s", e ? e->name : "");
	snprintf(user->text, sizeof(user->text), "%s", e && e->message ? e->message : "");
}

static sd_bus_message *make(struct user *user, const char *path, const char *iface, const char *member,
			    const char *types, va_list ap)
{
	sd_bus_message *call = NULL;
	int r = sd_bus_message_new_method_call(user->bus, &call, "org.fdld1", path, iface, member);

	if (r >= 0)
		r = sd_bus_message_set_allow_interactive_authorization(call, user->interactive);
	if (r >= 0 && types && *types)
		r = sd_bus_message_appendv(call, types, ap);
	if (r < 0)
		die(member, r);
	return call;
}

static int on_reply(sd_bus_message *m, void *arg, sd_bus_error *error)
{
	sd_bus_message **reply = arg;

	*reply = sd_bus_message_ref(m);
	return 0;
}

static bool has_reply(void *arg)
{
	return *(sd_bus_message **)arg != NULL;
}

bool user_call(struct rig *rig, struct user *user, int timeout_ms, sd_bus_message **reply, const char *path,
	       const char *iface, const char *member, const char *types, ...)
{
	sd_bus_message *m = NULL, *call;
	sd_bus_slot *slot = NULL;
	bool ok = false;
	va_list ap;
	int r;

	va_start(ap, types);
	call = make(user, path, iface, member, types, ap);
	va_end(ap);
	user->error[0] = user->text[0] = '\0';
	r = sd_bus_call_async(user->bus, &slot, call, on_reply, &m, UINT64_MAX);
	if (r < 0)
		die(member, r);
	(void)users_until(rig, timeout_ms, has_reply, &m);
	sd_bus_slot_unref(slot);
	sd_bus_message_unref(call);
	if (m)
		take_error(user, m);
	ok = m && !sd_bus_message_is_method_error(m, NULL);
	if (ok && reply)
		*reply = sd_bus_message_ref(m);
	sd_bus_message_unref(m);
	return ok;
}

static int on_counted(sd_bus_message *m, void *arg, sd_bus_error *error)
{
	struct user *user = arg;

	user->answered++;
	if (!sd_bus_message_is_method_error(m, NULL))
		return 0;
	user->refused++;
	take_error(user, m);
	return 0;
}

void user_send(struct user *user, const char *path, const char *iface, const char *member, const char *types,
	       ...)
{
	sd_bus_message *call;
	va_list ap;
	int r;

	va_start(ap, types);
	call = make(user, path, iface, member, types, ap);
	va_end(ap);
	if (user->sent == USER_CALLS)
		die("too many calls", -EAGAIN);
	r = sd_bus_call_async(user->bus, &user->open[user->sent++], call, on_counted, user, UINT64_MAX);
	if (r < 0)
		die(member, r);
	sd_bus_message_unref(call);
}

void users_forget(void)
{
	for (unsigned int i = 0; i < USERS_MAX; i++)
		if (users[i])
			user_free(users[i]);
	authority_free();
}

/* ---- the authority ------------------------------------------------------------------ */

static void answer(sd_bus_message *m, enum authority_mood mood)
{
	int r;

	switch (mood) {
	case AUTHORITY_ERROR:
		r = sd_bus_reply_method_errorf(m, "org.freedesktop.PolicyKit1.Error.Failed",
					       "the authority is ill");
		break;
	case AUTHORITY_NONSENSE: r = sd_bus_reply_method_return(m, "s", "yes"); break;
	default:
		r = sd_bus_reply_method_return(m, "(bba{ss})", mood == AUTHORITY_YES,
					       mood == AUTHORITY_CHALLENGE, 0);
		break;
	}
	if (r < 0)
		die("answer of the authority", r);
}

static void keep(char *to, size_t room, const char *from)
{
	snprintf(to, room, "%s", from);
}

static void note_action(struct authority *a, const char *action)
{
	unsigned int i = 0;

	while (i < a->actions && strcmp(a->action[i], action) != 0)
		i++;
	if (i == a->actions && i < sizeof(a->action) / sizeof(a->action[0]))
		keep(a->action[a->actions++], sizeof(a->action[0]), action);
}

static int on_check(sd_bus_message *m)
{
	struct authority *a = &authority.state;
	struct authority_asked *q = &a->last;
	const char *kind, *key, *value, *action, *id;
	enum authority_mood mood = a->mood;
	int r;

	memset(q, 0, sizeof(*q));
	r = sd_bus_message_enter_container(m, 'r', "sa{sv}");
	if (r >= 0)
		r = sd_bus_message_read(m, "s", &kind);
	if (r >= 0)
		r = sd_bus_message_read(m, "a{sv}", 1, &key, "s", &value);
	if (r < 0 || strcmp(key, "name") != 0)
		return -EINVAL;
	keep(q->kind, sizeof(q->kind), kind);
	keep(q->name, sizeof(q->name), value);
	r = sd_bus_message_exit_container(m);
	if (r >= 0)
		r = sd_bus_message_read(m, "s", &action);
	if (r >= 0)
		r = sd_bus_message_enter_container(m, 'a', "{ss}");
	while (r >= 0 && (r = sd_bus_message_read(m, "{ss}", &key, &value)) > 0) {
		if (!strcmp(key, "slot"))
			keep(q->slot, sizeof(q->slot), value);
		else if (!strcmp(key, "image"))
			keep(q->image, sizeof(q->image), value);
		else if (!strcmp(key, "operation"))
			keep(q->operation, sizeof(q->operation), value);
		else
			return -EINVAL;
	}
	if (r >= 0)
		r = sd_bus_message_exit_container(m);
	if (r >= 0)
		r = sd_bus_message_read(m, "us", &q->flags, &id);
	if (r < 0)
		return r;
	keep(q->action, sizeof(q->action), action);
	keep(q->id, sizeof(q->id), id);
	a->asked++;
	note_action(a, action);
	if (mood == AUTHORITY_SILENT) {
		if (authority.held_count == HELD_MAX)
			die("too many questions", -EAGAIN);
		authority.held[authority.held_count++] = sd_bus_message_ref(m);
		return 1;
	}
	if (a->only)
		mood = strcmp(a->only, action) ? AUTHORITY_NO : AUTHORITY_YES;
	answer(m, mood);
	return 1;
}

static int on_cancel(sd_bus_message *m)
{
	struct authority *a = &authority.state;
	const char *id;
	int r = sd_bus_message_read(m, "s", &id);

	if (r < 0)
		return r;
	a->cancelled++;
	keep(a->cancelled_id, sizeof(a->cancelled_id), id);
	return sd_bus_reply_method_return(m, "");
}

/* Not a vtable: sd-bus would not let an answer of the wrong signature go. */
static int on_call(sd_bus_message *m, void *arg, sd_bus_error *error)
{
	static const char iface[] = "org.freedesktop.PolicyKit1.Authority";

	if (sd_bus_message_is_method_call(m, iface, "CheckAuthorization") > 0)
		return on_check(m);
	if (sd_bus_message_is_method_call(m, iface, "CancelCheckAuthorization") > 0)
		return on_cancel(m);
	return 0;
}

struct authority *authority_new(struct rig *rig, enum authority_mood mood)
{
	int r;

	authority_free();
	authority.state = (struct authority){ .mood = mood };
	r = sd_bus_open_system(&authority.bus);
	if (r >= 0)
		r = sd_bus_add_object(authority.bus, NULL, "/org/freedesktop/PolicyKit1/Authority", on_call,
				      NULL);
	if (r >= 0)
		r = sd_bus_request_name(authority.bus, "org.freedesktop.PolicyKit1", 0);
	if (r < 0)
		die("the authority", r);
	return &authority.state;
}

void authority_answer(enum authority_mood mood)
{
	for (unsigned int i = 0; i < authority.held_count; i++) {
		answer(authority.held[i], mood);
		sd_bus_message_unref(authority.held[i]);
	}
	authority.held_count = 0;
}

void authority_free(void)
{
	for (unsigned int i = 0; i < authority.held_count; i++)
		sd_bus_message_unref(authority.held[i]);
	authority.held_count = 0;
	authority.bus = sd_bus_close_unref(authority.bus);
}

/* ---- a scene ------------------------------------------------------------------------ */

bool scene_set(struct rig *rig, struct scene *s, char *const more[])
{
	users_forget(); /* of a test that broke off */
	memset(s, 0, sizeof(*s));
	s->phone = rig_phone(rig, "sc9863a", "1", NULL);
	rig_package(rig, &s->pack, "sc9863a", 40, 4096);
	if (!rig_up(rig, more) || !rig_plug(rig, s->phone))
		return false;
	s->user = user_new(rig, STRANGER);
	return true;
}

void scene_strike(struct scene *s)
{
	users_forget();
	rig_package_free(&s->pack);
}

bool scene_untouched(const struct scene *s)
{
	const struct bed_count *c = bed_count(bed_phone_dev(s->phone->bp));

	return !c->opens && !c->submits;
}

uint64_t rig_counter(struct rig *rig, const char *key)
{
	sd_bus_message *m = NULL;
	uint64_t value = UINT64_MAX, v;
	const char *k;

	if (!rig_call(rig, 5000, &m, ROOT, "org.freedesktop.DBus.Properties", "Get", "ss", MANAGER,
		      "Counters") ||
	    sd_bus_message_enter_container(m, 'v', "a{st}") < 0 ||
	    sd_bus_message_enter_container(m, 'a', "{st}") < 0)
		return value;
	while (sd_bus_message_read(m, "{st}", &k, &v) > 0)
		if (!strcmp(k, key))
			value = v;
	sd_bus_message_unref(m);
	return value;
}

bool scene_flash(struct rig *rig, struct scene *s, int timeout_ms, char *job, size_t room)
{
	sd_bus_message *m = NULL;
	const char *path = "";
	bool ok = user_call(rig, s->user, timeout_ms, &m, s->phone->slot, SLOT, "Flash", "ha{sv}", s->pack.fd,
			    1, "name", "s", "stock.pac");

	if (ok)
		(void)sd_bus_message_read(m, "o", &path);
	if (job)
		snprintf(job, room, "%s", path);
	sd_bus_message_unref(m);
	return ok;
}
