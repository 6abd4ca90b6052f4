/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What can stand at a word of a command line. The shells only ask and show: bash, zsh and fish offer the
 * same, and what they offer is what the verbs' own tables and the daemon say. Somebody who presses TAB wants
 * an answer at once or none, and not a service started behind his back.
 */
#include <ctype.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "client/client.h"
#include "client/package_file.h"
#include "client/remote.h"
#include "common/format.h"
#include "common/names.h"
#include "common/rules.h"
#include "common/util.h"
#include "flash/partition.h"

#define PATIENCE_USEC 1500000

struct line {
	struct client *c;
	char **word;
	int count, at; /* words; the one to be completed */
	const struct verb *verb;
	const struct verb_opt *pending; /* the option whose value is the next word */
	const char *operand[2];		/* the first two words that are no options, before or behind `at` */
	int operands, before;		/* how many in all; how many of them before `at` */
	bool no_more_options;		/* "--" was seen */
};

static void on_alarm(int sig)
{
	(void)sig;
	_exit(0);
}

/* ---- candidates ---- */

/*
 * Only what a shell takes as one plain word is offered: names come from packages and phones, and a shell
 * would run what stands in `...` or $(...).
 */
static bool plain(const char *value)
{
	for (const char *p = value; *p; p++)
		if (!isalnum((unsigned char)*p) && !strchr("_-.,:/@%+=", *p))
			return false;
	return *value != '\0';
}

/* prefix: "--slot=" where option and value are one word, else "". */
static void offer(const char *prefix, const char *value, const char *what)
{
	if (plain(value))
		printf("%s%s\t%s\n", prefix, value, clean(what));
}

static bool used(const struct line *l, const char *word)
{
	for (int i = 0; i < l->count; i++)
		if (i != l->at && !strcmp(l->word[i], word))
			return true;
	return false;
}

static void offer_options(const struct line *l, const struct verb_opt *options)
{
	char text[64];

	for (const struct verb_opt *o = options; o && o->name; o++) {
		snprintf(text, sizeof(text), "--%s", o->name);
		if (o->many || !used(l, text))
			offer("", text, _(o->help));
	}
}

static void offer_verbs(void)
{
	for (size_t i = 0; verbs[i]; i++)
		offer("", verbs[i]->name, _(verbs[i]->summary));
}

static void offer_errors(const char *prefix)
{
	for (int id = ERR_NONE + 1; id < ERR_COUNT; id++)
		offer(prefix, error_entry((enum error_id)id)->name, _(error_entry((enum error_id)id)->cause));
}

static bool begins(const char *text, const char *typed)
{
	return *typed && !strncmp(text, typed, strlen(typed));
}

/* The kernel's short name of a place where there is one; its label or its Id when that is what is being
 * typed. */
static const char *slot_name(json_object *slot, const char *typed)
{
	const char *id = prop_str(slot, "Id"), *port = prop_str(slot, "Port"),
		   *label = prop_str(slot, "Label");

	if (begins(label, typed) && plain(label))
		return label;
	return !*port || begins(id, typed) ? id : port;
}

static void offer_slots(struct line *l, const char *prefix, const char *typed)
{
	static const char *const names[] = { "Id", "Port", "Label" };
	_cleanup_free_ const char **slots = NULL;
	char what[256];
	size_t count;

	if (!mirror_peek(l->c) || !(slots = mirror_paths(l->c, FDLD_IFACE_SLOT, &count)))
		return;
	for (size_t i = 0; i < count; i++) {
		json_object *slot = mirror_props(l->c, slots[i], FDLD_IFACE_SLOT);
		json_object *dev = mirror_props(l->c, prop_str(slot, "Device"), FDLD_IFACE_DEVICE);
		const char *name = slot_name(slot, typed);
		bool given = false;

		for (size_t k = 0; k < ARRAY_SIZE(names); k++)
			given |= *prop_str(slot, names[k]) && used(l, prop_str(slot, names[k]));
		if (given)
			continue;
		snprintf(what, sizeof(what), "%s%s%s", prop_str(slot, "State"), dev ? ", " : "",
			 dev ? prop_str(dev, "Stage") : "");
		for (size_t k = 0; k < ARRAY_SIZE(names); k++) { /* what else it is called */
			const char *other = prop_str(slot, names[k]);
			size_t len = strlen(what);

			if (*other && strcmp(other, name))
				snprintf(what + len, sizeof(what) - len, "  %s", other);
		}
		offer(prefix, name, what);
	}
}

static bool goes_on(json_object *job)
{
	return !job_ended(job);
}

static bool has_failed(json_object *job)
{
	return !strcmp(prop_str(job, "State"), "failed");
}

static void offer_jobs(struct line *l, bool (*wanted)(json_object *job))
{
	_cleanup_free_ const char **jobs = NULL;
	char what[256];
	size_t count;

	if (!mirror_peek(l->c) || !(jobs = mirror_paths(l->c, FDLD_IFACE_JOB, &count)))
		return;
	for (size_t i = 0; i < count; i++) {
		json_object *job = mirror_props(l->c, jobs[i], FDLD_IFACE_JOB);
		json_object *slot = mirror_props(l->c, prop_str(job, "Slot"), FDLD_IFACE_SLOT);

		if ((wanted && !wanted(job)) || used(l, prop_str(job, "Id")))
			continue;
		snprintf(what, sizeof(what), "%s  %s  %s", prop_str(job, "State"),
			 slot ? prop_str(slot, "Port") : "-", prop_str(job, job_about(job)));
		offer("", prop_str(job, "Id"), what);
	}
}

/* Jobs whose NV backup a port still owes to a phone. */
static void offer_owed(struct line *l, const char *prefix)
{
	_cleanup_free_ const char **slots = NULL;
	size_t count;

	if (!mirror_peek(l->c) || !(slots = mirror_paths(l->c, FDLD_IFACE_SLOT, &count)))
		return;
	for (size_t i = 0; i < count; i++) {
		json_object *slot = mirror_props(l->c, slots[i], FDLD_IFACE_SLOT);

		offer(prefix, prop_str(slot, "OwedBackup"), prop_str(slot, "Id"));
	}
}

static void offer_devices(struct line *l, const char *prefix)
{
	_cleanup_free_ const char **devices = NULL;
	size_t count;

	if (!mirror_peek(l->c) || !(devices = mirror_paths(l->c, FDLD_IFACE_DEVICE, &count)))
		return;
	for (size_t i = 0; i < count; i++) {
		json_object *dev = mirror_props(l->c, devices[i], FDLD_IFACE_DEVICE);
		json_object *slot = mirror_props(l->c, prop_str(dev, "Slot"), FDLD_IFACE_SLOT);

		offer(prefix, devices[i], prop_str(slot, "Port"));
	}
}

/* Those of the store by name, others (unless kept) by number. */
static void offer_images(struct line *l, const char *prefix, bool kept)
{
	_cleanup_free_ const char **images = NULL;
	char what[256];
	size_t count;

	if (!mirror_peek(l->c) || !(images = mirror_paths(l->c, FDLD_IFACE_IMAGE, &count)))
		return;
	for (size_t i = 0; i < count; i++) {
		json_object *image = mirror_props(l->c, images[i], FDLD_IFACE_IMAGE);

		if (prop_bool(image, "Stored")) {
			char digest[13];

			snprintf(digest, sizeof(digest), "%.12s", prop_str(image, "Digest"));
			snprintf(what, sizeof(what), "%s  %s", prop_str(image, "State"),
				 prop_str(image, "Firmware"));
			offer(prefix, plain(prop_str(image, "Name")) ? prop_str(image, "Name") : digest,
			      what);
		} else if (!kept) {
			snprintf(what, sizeof(what), "%s  %s", prop_str(image, "State"),
				 prop_str(image, "Name"));
			offer(prefix, strrchr(images[i], '/') + 1, what);
		}
	}
}

static void offer_loaders(struct line *l, const char *prefix)
{
	_cleanup_free_ const char **loaders = NULL;
	size_t count;

	if (!mirror_peek(l->c) || !(loaders = mirror_paths(l->c, FDLD_IFACE_LOADER, &count)))
		return;
	for (size_t i = 0; i < count; i++) {
		json_object *loader = mirror_props(l->c, loaders[i], FDLD_IFACE_LOADER);
		char digest[13];

		snprintf(digest, sizeof(digest), "%.12s", prop_str(loader, "Digest"));
		offer(prefix, plain(prop_str(loader, "Name")) ? prop_str(loader, "Name") : digest,
		      prop_str(loader, "Family"));
	}
}

/* File IDs of the package that stands on this very command line. */
static void offer_entries(struct line *l, const char *prefix)
{
	struct pac_options lenient = { .accept_bad_crc = true, .accept_mismatch = true };
	struct failure why = { .code = -1 };
	struct package_file f;
	char what[128], size[32];

	if (!l->operands)
		return;
	if (package_open(l->operand[0], &lenient, &f, &why) == 0) {
		size_t count;
		const struct pac_item *it = pac_items(f.pac, &count);

		for (size_t i = 0; i < count; i++) {
			if (it[i].file->flag == 2 || used(l, it[i].file->id))
				continue;
			format_size(it[i].size, size, sizeof(size));
			snprintf(what, sizeof(what), "%s  %s",
				 *it[i].partition ? it[i].partition : it[i].label,
				 it[i].has_file ? size : "-");
			offer(prefix, it[i].file->id, what);
		}
	}
	package_close(&f);
}

static void offer_rules(struct line *l, const char *prefix)
{
	sd_bus_message *reply = NULL;
	json_object *rules = NULL;

	if (mirror_peek(l->c) &&
	    sd_bus_call_method(l->c->bus, FDLD_BUS_NAME, FDLD_PATH_ROOT, FDLD_IFACE_MANAGER, "GetRules", NULL,
			       &reply, "") >= 0 &&
	    value_read(reply, &rules) >= 0)
		for (size_t i = 0; i < json_object_array_length(rules); i++) {
			json_object *rule = json_object_array_get_idx(rules, i), *keys = NULL;

			json_object_object_get_ex(rule, "keys", &keys);
			offer(prefix, prop_str(rule, "name"), prop_str(keys, "image"));
		}
	json_object_put(rules);
	sd_bus_message_unref(reply);
}

/* The words that a condition knows. */
static void offer_condition(const char *key, const char *prefix)
{
	enum rule_key_id id = rule_key_find(key);
	const char *words = id == RULE_KEY_NONE ? NULL : rule_key(id)->words;
	char word[RULE_WORD_MAX];

	while (words) {
		size_t n = strcspn(words, ",");

		snprintf(word, sizeof(word), "%.*s", (int)n, words);
		offer(prefix, word, "");
		words = words[n] ? words + n + 2 : NULL;
	}
}

static void offer_values(struct line *l, const struct verb_opt *o, const char *prefix, const char *typed)
{
	static const char *const ends[] = { "normal", "recovery", "fastboot", "power-off", NULL };
	static const char *const results[] = { "pass", "fail", "skipped", "cancelled", "interrupted", NULL };
	const char *word;

	if (!strcmp(o->name, "slot"))
		offer_slots(l, prefix, typed);
	else if (!strcmp(o->name, "entry") || !strcmp(o->name, "without"))
		offer_entries(l, prefix);
	else if (!strcmp(o->name, "image"))
		offer_images(l, prefix, false);
	else if (!strcmp(o->name, "loader"))
		offer_loaders(l, prefix);
	else if (!strcmp(o->name, "nv-from"))
		offer_owed(l, prefix);
	else if (!strcmp(o->name, "expect-device"))
		offer_devices(l, prefix);
	else if (!strcmp(o->name, "error"))
		offer_errors(prefix);
	else if (!strcmp(o->name, "rule"))
		offer_rules(l, prefix);
	else if (l->verb == &verb_rules)
		offer_condition(o->name, prefix);
	else if (!strcmp(o->name, "to") && l->verb == &verb_reset)
		for (size_t i = 0; ends[i]; i++)
			offer(prefix, ends[i], "");
	else if (!strcmp(o->name, "result"))
		for (size_t i = 0; results[i]; i++)
			offer(prefix, results[i], "");
	else
		for (size_t i = 0; (word = package_word(o->name, i)); i++)
			offer(prefix, word, "");
}

static const char *const image_words[] = { "import", "list", "show", "verify", "remove", NULL };
static const char *const loader_words[] = { "import", "list", "show", "remove", "check", NULL };
static const char *const slot_words[] = { "set", "rename", "reset-counters", "forget", "learn", NULL };
static const char *const port_words[] = { "status", "reset", "on", "off", "power-cycle", NULL };

static const char *const rules_words[] = { "list", "check", NULL };

static void offer_words(const char *const *words)
{
	for (; *words; words++)
		offer("", *words, "");
}

/* Of no phone in particular: none is asked for this. */
static void offer_partitions(void)
{
	const char *name;

	for (size_t i = 0; (name = partition_known(i)); i++)
		offer("", name, "");
}

static void offer_operands(struct line *l)
{
	if (l->verb->words && !l->before)
		offer_words(l->verb->words);
	switch (l->verb->operand) {
	case OPERAND_FILE:
		if (!l->operands)
			puts(":pac");
		break;
	case OPERAND_ANY_FILE:
		if (!l->operands)
			puts(":file");
		break;
	case OPERAND_WRITE:
		if (l->before % 2)
			puts(":file");
		else if (l->verb == &verb_write)
			offer_partitions();
		break;
	case OPERAND_JOB:
		if (l->before == 1 && !strcmp(l->operand[0], "trace"))
			offer_jobs(l, has_failed);
		if (l->before)
			break;
		offer_jobs(l, NULL);
		offer("", "trace", _("the last frames of a job that failed"));
		break;
	case OPERAND_RUNNING: offer_jobs(l, goes_on); break;
	case OPERAND_ERROR:
		if (!l->before)
			offer_errors("");
		break;
	case OPERAND_HISTORY:
		if (l->before)
			break;
		offer("", "verify", _("compare the database with the files"));
		offer("", "rebuild", _("make the database anew from the files"));
		break;
	case OPERAND_BACKUP:
		if (l->before == 1 && !strcmp(l->operand[0], "export"))
			offer_owed(l, "");
		if (l->before)
			break;
		offer("", "list", _("what is kept, what is owed first"));
		offer("", "export", _("copy the backup of a job"));
		break;
	case OPERAND_PLACES: offer_slots(l, "", l->word[l->at]); break;
	case OPERAND_SLOT:
		if (!l->before)
			offer_words(slot_words);
		else if (strcmp(l->operand[0], "learn"))
			offer_slots(l, "", l->word[l->at]);
		break;
	case OPERAND_PORT:
		if (!l->before)
			offer_words(port_words);
		else if (l->before == 1)
			offer_slots(l, "", l->word[l->at]);
		break;
	case OPERAND_IMAGE:
		if (!l->before)
			offer_words(image_words);
		else if (l->before == 1 && !strcmp(l->operand[0], "import"))
			puts(":pac");
		else if (l->before == 1 && strcmp(l->operand[0], "list"))
			offer_images(l, "", true);
		break;
	case OPERAND_LOADER:
		if (!l->before)
			offer_words(loader_words);
		else if (!strcmp(l->operand[0], "import") || !strcmp(l->operand[0], "check"))
			puts(":pac");
		else if (l->before == 1 && strcmp(l->operand[0], "list"))
			offer_loaders(l, "");
		break;
	case OPERAND_RULES:
		if (!l->before)
			offer_words(rules_words);
		else if (!strcmp(l->operand[0], "check"))
			offer_slots(l, "", l->word[l->at]);
		break;
	case OPERAND_FOLDER:
		if (!l->before)
			puts(":dir");
		break;
	case OPERAND_NONE: break;
	}
}

/* ---- the command line ---- */

static const struct verb_opt *find(const struct verb_opt *options, const char *name, size_t len)
{
	for (; options && options->name; options++)
		if (strlen(options->name) == len && !strncmp(options->name, name, len))
			return options;
	return NULL;
}

static const struct verb_opt *option_of(const struct line *l, const char *word)
{
	const struct verb_opt *known = l->verb ? l->verb->options : global_options;

	return find(known, word + 2, strcspn(word + 2, "="));
}

/* Where the daemon is that is asked for names. */
static void take_place(struct line *l, const struct verb_opt *o, const char *value)
{
	if (!strcmp(o->name, "bus"))
		l->c->address = value;
	else if (o->key == 'H' && remote_valid(value))
		l->c->host = value;
}

static void take_option(struct line *l, const char *word)
{
	const struct verb_opt *o = option_of(l, word);
	const char *value = strchr(word, '=');

	if (o && o->arg && !value)
		l->pending = o;
	else if (o && value)
		take_place(l, o, value + 1);
}

/* The one short option that takes a value: "-H HOST", "-HHOST". */
static void take_short(struct line *l, const char *word)
{
	const struct verb_opt *o = find(global_options, "host", 4);

	if (l->verb || word[1] != 'H')
		return;
	if (word[2])
		take_place(l, o, word + 2);
	else
		l->pending = o;
}

/* One word that is not the one to be completed. False: no verb of ours, nothing to be said. */
static bool take(struct line *l, int i)
{
	const char *word = l->word[i];

	if (l->pending) {
		take_place(l, l->pending, word);
		l->pending = NULL;
	} else if (!l->no_more_options && !strcmp(word, "--")) {
		l->no_more_options = true;
	} else if (!l->no_more_options && word[0] == '-' && word[1]) {
		if (word[1] == '-')
			take_option(l, word);
		else
			take_short(l, word);
	} else if (!l->verb) {
		l->verb = verb_find(word);
		return l->verb != NULL;
	} else {
		if (l->operands < (int)ARRAY_SIZE(l->operand))
			l->operand[l->operands] = word;
		l->operands++;
		l->before += i < l->at;
	}
	return true;
}

static void answer(struct line *l)
{
	const char *typed = l->word[l->at], *value = strchr(typed, '=');
	const struct verb_opt *pending = l->pending, *o;
	struct line rest = *l;

	/* the package may stand behind the cursor */
	rest.pending = NULL;
	for (int i = l->at + 1; i < l->count && rest.verb; i++)
		take(&rest, i);
	rest.pending = NULL;
	if (pending) {
		offer_values(&rest, pending, "", typed);
	} else if (!l->no_more_options && typed[0] == '-') {
		if (value && !strncmp(typed, "--", 2) && (o = option_of(l, typed)) && o->arg) {
			_cleanup_free_ char *prefix = strndup(typed, (size_t)(value + 1 - typed));

			if (prefix)
				offer_values(&rest, o, prefix, value + 1);
			return;
		}
		offer_options(l, l->verb ? l->verb->options : global_options);
		if (l->verb) /* every verb knows them */
			offer_options(l, (const struct verb_opt[]){ global_options[0], { 0 } });
		if (l->verb)
			offer("", "--help", _("what this verb does, and its options"));
	} else if (!l->verb) {
		offer_verbs();
	} else {
		offer_operands(&rest);
	}
}

int complete(struct client *c, int argc, char **argv)
{
	struct itimerval patience = { .it_value = { PATIENCE_USEC / 1000000, PATIENCE_USEC % 1000000 } };
	struct line l = { .c = c, .word = argv + 1, .count = argc - 1, .at = argc > 1 ? atoi(argv[0]) : -1 };

	if (l.at < 0 || l.at >= l.count || !freopen("/dev/null", "w", stderr))
		return 0;
	sigaction(SIGALRM, &(struct sigaction){ .sa_handler = on_alarm }, NULL);
	setitimer(ITIMER_REAL, &patience, NULL);
	c->in_a_hurry = true;
	for (int i = 0; i < l.at; i++)
		if (!take(&l, i))
			return 0;
	answer(&l);
	fflush(stdout);
	json_object_put(c->mirror);
	sd_bus_flush_close_unref(c->bus);
	remote_close(c);
	return 0;
}
