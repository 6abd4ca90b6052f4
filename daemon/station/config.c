/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "station/config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "common/journal.h"
#include "common/rules.h"
#include "common/util.h"
#include "loop/worker.h"
#include "station/internal.h"

#define READ_USEC (20 * UINT64_C(1000000)) /* files of a few kilobytes */

struct asker {
	struct asker *next;
	config_fn done;
	void *user;
};

struct config {
	struct loop *loop;
	struct station *st;
	char *root;
	struct setting_override *overrides;
	size_t override_count;
	uint64_t read_usec;

	struct settings_book *book; /* in force; what needs a restart: as the files say now */
	struct settings_book
		*begun;	     /* of the start, where those that need a restart have their values from */
	struct rules *rules; /* in force */
	struct failure failure;
	uint64_t read_at;
	char changes[512];
	struct asker *now, *later; /* of the reading that goes on, of the next one */
	struct reading *reading;
};

/* What the thread has: everything of its own, since it may be left behind. */
struct reading {
	struct config *config;
	char *root;
	struct setting_override *overrides;
	size_t count;
	struct settings_book *book;
	struct rules *rules;
	struct failure why;
	int result;
	struct worker *worker;
};

/* Both or none. */
static int load(const char *root, const struct setting_override *overrides, size_t count,
		struct settings_book **book, struct rules **rules, struct failure *why)
{
	int r = settings_load(root, overrides, count, book, why);

	if (r < 0)
		return r;
	r = rules_load(root, rules, why);
	if (r < 0)
		settings_book_free(TAKE_PTR(*book));
	return r;
}

static void apply_level(const struct settings *set)
{
	static const struct {
		const char *word;
		int level;
	} levels[] = { { "error", LOG_ERR },
		       { "warning", LOG_WARNING },
		       { "notice", LOG_NOTICE },
		       { "info", LOG_INFO },
		       { "debug", LOG_DEBUG } };

	for (size_t i = 0; i < ARRAY_SIZE(levels); i++)
		if (!strcmp(set->log_level, levels[i].word))
			journal_set_level(levels[i].level);
}

int config_new(struct loop *loop, const char *root, const struct setting_override *overrides, size_t count,
	       struct config **out, struct failure *why)
{
	struct config *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return failure_set(why, ERR_INTERNAL, "out of memory");
	c->loop = loop;
	c->read_usec = READ_USEC;
	c->root = root ? strdup(root) : NULL;
	c->overrides = calloc(count + 1, sizeof(*overrides));
	if (!c->overrides || (root && !c->root)) {
		config_free(c);
		return failure_set(why, ERR_INTERNAL, "out of memory");
	}
	if (count)
		memcpy(c->overrides, overrides, count * sizeof(*overrides));
	c->override_count = count;
	r = load(root, overrides, count, &c->book, &c->rules, why);
	if (r < 0) {
		config_free(c);
		return r;
	}
	c->begun = c->book;
	c->read_at = station_wall();
	apply_level(&c->book->set);
	*out = c;
	return 0;
}

static void answer(struct asker *list, const struct failure *why)
{
	while (list) {
		struct asker *a = list;

		list = a->next;
		if (a->done)
			a->done(a->user, why);
		free(a);
	}
}

void config_free(struct config *config)
{
	struct failure why = { 0 };

	if (!config)
		return;
	failure_set(&why, ERR_DRAINING, "the daemon ends");
	if (config->reading) /* its thread frees it */
		worker_abandon(TAKE_PTR(config->reading->worker));
	answer(TAKE_PTR(config->now), &why);
	answer(TAKE_PTR(config->later), &why);
	if (config->begun != config->book)
		settings_book_free(config->begun);
	settings_book_free(config->book);
	rules_unref(config->rules);
	free(config->overrides);
	free(config->root);
	free(config);
}

void config_deadline(struct config *config, uint64_t usec)
{
	config->read_usec = usec;
}

void config_attach(struct config *config, struct station *st)
{
	if (config)
		config->st = st;
}

/* ---- what is in force --------------------------------------------------------------- */

const struct settings_book *config_book(const struct config *config)
{
	return config->book;
}

struct rules *config_rules(const struct config *config)
{
	return config->rules;
}

const struct settings_book *config_book_of(const struct config *config, enum setting_id id)
{
	return setting_entry(id)->restart ? config->begun : config->book;
}

const struct failure *config_failure(const struct config *config)
{
	return &config->failure;
}

uint64_t config_read_at(const struct config *config)
{
	return config->read_at;
}

const char *config_changes(const struct config *config)
{
	return config->changes;
}

bool config_pending(const struct config *config, enum setting_id id, char *text, size_t size)
{
	if (!setting_entry(id)->restart || setting_same(&config->begun->set, &config->book->set, id))
		return false;
	setting_text(&config->book->set, id, text, size);
	return true;
}

/* ---- reading anew ------------------------------------------------------------------- */

/* "rules: 3 (was 2)", also when as many say something else. */
static size_t note_rules(const struct config *c, const struct rules *was, char *text, size_t size)
{
	if (rules_same(was, c->rules))
		return 0;
	return (size_t)snprintf(text, size, "rules: %zu (was %zu)", rules_count(c->rules), rules_count(was));
}

static void note_changes(struct config *c, const struct settings *was, const struct rules *was_rules)
{
	const struct settings *is = &c->book->set;
	size_t at;

	c->changes[0] = '\0';
	at = note_rules(c, was_rules, c->changes, sizeof(c->changes));
	for (int i = 0; i < SETTING_COUNT && at < sizeof(c->changes); i++) {
		char a[SETTING_TEXT_MAX], b[SETTING_TEXT_MAX];
		enum setting_id id = (enum setting_id)i;

		if (setting_same(was, is, id))
			continue;
		at += (size_t)snprintf(c->changes + at, sizeof(c->changes) - at, "%s%s=%s (was %s%s)",
				       at ? ", " : "", setting_entry(id)->name,
				       setting_text(is, id, b, sizeof(b)),
				       setting_text(was, id, a, sizeof(a)),
				       setting_entry(id)->restart ? "; from the next start on" : "");
	}
}

static void take(struct config *c, struct settings_book *book, struct rules *rules)
{
	struct settings_book *old = c->book;
	struct rules *old_rules = c->rules;

	c->book = book;
	c->read_at = station_wall();
	memset(&c->failure, 0, sizeof(c->failure));
	c->rules = rules;
	note_changes(c, &old->set, old_rules);
	rules_unref(old_rules);
	/* what somebody set by LogControl1 meanwhile holds, unless the files have changed their mind */
	if (strcmp(old->set.log_level, book->set.log_level) != 0)
		apply_level(&book->set);
	if (old != c->begun)
		settings_book_free(old);
	if (c->st)
		station_configure(c->st, &book->set);
}

static int begin(struct config *c, struct failure *why);

static void done(void *arg, int status)
{
	struct reading *r = arg;
	struct config *c = r->config;
	struct failure why = { 0 };

	c->reading = NULL;
	if (status == -ETIMEDOUT)
		failure_set(&why, ERR_CONFIG_INVALID, "the files could not be read within %d s",
			    (int)(c->read_usec / 1000000));
	else if (status < 0)
		failure_set(&why, ERR_INTERNAL, "%s", strerror(-status));
	else if (r->result < 0)
		why = r->why;
	if (status < 0)
		worker_abandon(TAKE_PTR(r->worker));
	else
		worker_close(TAKE_PTR(r->worker));
	if (why.error == ERR_NONE)
		take(c, TAKE_PTR(r->book), TAKE_PTR(r->rules));
	else
		c->failure = why;
	if (c->st) {
		EMIT(c->st, config_read, why.error == ERR_NONE ? NULL : &why);
		station_told(c->st);
	}
	answer(TAKE_PTR(c->now), why.error == ERR_NONE ? NULL : &why);
	if (!c->later)
		return;
	c->now = TAKE_PTR(c->later);
	memset(&why, 0, sizeof(why));
	if (begin(c, &why) < 0)
		answer(TAKE_PTR(c->now), &why);
}

static void run(void *arg)
{
	struct reading *r = arg;

	r->result = load(r->root, r->overrides, r->count, &r->book, &r->rules, &r->why);
}

static void release(void *arg)
{
	struct reading *r = arg;

	settings_book_free(r->book);
	rules_unref(r->rules);
	free(r->overrides);
	free(r->root);
	free(r);
}

static int begin(struct config *c, struct failure *why)
{
	struct reading *r = calloc(1, sizeof(*r));
	struct worker_call call = { .run = run, .done = done, .release = release, .arg = r };
	int err = -ENOMEM;

	if (!r)
		return failure_set(why, ERR_INTERNAL, "out of memory");
	r->config = c;
	r->root = c->root ? strdup(c->root) : NULL;
	r->overrides = calloc(c->override_count + 1, sizeof(*r->overrides));
	r->count = c->override_count;
	r->worker = worker_new(c->loop, "fdld-config", 1);
	call.deadline = loop_now() + c->read_usec;
	if (r->overrides && r->worker && (r->root || !c->root)) {
		memcpy(r->overrides, c->overrides, r->count * sizeof(*r->overrides));
		err = worker_submit(r->worker, &call, NULL);
	}
	if (err < 0) {
		worker_close(r->worker);
		release(r);
		return failure_set(why, ERR_INTERNAL, "%s", strerror(-err));
	}
	c->reading = r;
	if (c->st)
		EMIT(c->st, config_reading);
	return 0;
}

int config_reload(struct config *config, config_fn fn, void *user, struct failure *why)
{
	struct asker *a = calloc(1, sizeof(*a)), **at = config->reading ? &config->later : &config->now;
	int r = 0;

	if (!a)
		return failure_set(why, ERR_INTERNAL, "out of memory");
	*a = (struct asker){ .done = fn, .user = user };
	if (!config->reading)
		r = begin(config, why);
	if (r < 0) {
		free(a);
		return r;
	}
	while (*at)
		at = &(*at)->next;
	*at = a;
	return 0;
}
