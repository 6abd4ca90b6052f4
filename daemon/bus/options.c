/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The options dictionary of a call. One table says which key is of which type and belongs to which calls;
 * whatever is not in it is refused by name, because an option that is dropped silently costs phones.
 */
#include "bus/internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"

#define AT(member) offsetof(struct options, member)

static const struct option {
	const char *key, *type;
	unsigned int group;
	size_t offset;
	size_t given; /* of a bool that says it was there; 0: none */
} table[] = {
	{ "entries", "as", OPTION_FLASH, AT(entries), 0 },
	{ "without", "as", OPTION_FLASH, AT(without), 0 },
	{ "repartition", "s", OPTION_FLASH, AT(job.repartition), 0 },
	{ "erase_all", "b", OPTION_FLASH, AT(job.erase_all), 0 },
	{ "level", "s", OPTION_FLASH | OPTION_SINGLE, AT(job.level), 0 },
	{ "end", "s", OPTION_FLASH | OPTION_READ | OPTION_SINGLE, AT(job.end), 0 },
	{ "nv", "s", OPTION_FLASH | OPTION_WRITE, AT(job.nv), 0 },
	{ "as_is", "b", OPTION_WRITE, AT(job.as_is), 0 },
	{ "nv_from", "s", OPTION_FLASH, AT(job.nv_from), 0 },
	{ "nv_not_this_phone", "b", OPTION_FLASH, AT(job.nv_not_this_phone), 0 },
	{ "without_backup", "b", OPTION_FLASH | OPTION_SINGLE, AT(job.without_backup), 0 },
	{ "force_loaders", "b", OPTION_FLASH | OPTION_READ | OPTION_SINGLE, AT(job.force_loaders), 0 },
	{ "raw", "b", OPTION_FLASH | OPTION_SINGLE, AT(job.raw), 0 },
	{ "dry_run", "b", OPTION_FLASH | OPTION_SINGLE, AT(dry_run), 0 },
	{ "wait_usec", "t", OPTION_FLASH | OPTION_READ | OPTION_RELEASE | OPTION_SINGLE, AT(wait_usec),
	  AT(wait_given) },
	{ "power_off", "b", OPTION_RELEASE, AT(power_off), 0 },
	{ "expect_device", "o", OPTION_EXPECT | OPTION_KICK, AT(expect_device), AT(expect_given) },
	{ "name", "s", OPTION_IMAGE | OPTION_LOADER, AT(image.name), 0 },
	{ "accept_bad_crc", "b", OPTION_IMAGE, AT(image.accept_bad_crc), 0 },
	{ "loader", "s", OPTION_IMPORT, AT(image.loader), 0 },
	{ "force_loaders", "b", OPTION_IMPORT, AT(image.force_loaders), 0 },
	{ "origin", "s", OPTION_LOADER, AT(origin), 0 },
	{ "force_loaders", "b", OPTION_LOADER, AT(force_pair), 0 },
	{ "force", "b", OPTION_FORCE, AT(force), 0 },
	{ "slot", "s", OPTION_PLACE, AT(history.slot), 0 },
	{ "unit", "s", OPTION_PLACE, AT(history.unit), 0 },
	{ "limit", "t", OPTION_PLACE, AT(history.limit), 0 },
	{ "full", "b", OPTION_PLACE, AT(history.full), 0 },
	{ "result", "s", OPTION_HISTORY, AT(history.result), 0 },
	{ "error", "s", OPTION_HISTORY, AT(history.error), 0 },
	{ "image", "s", OPTION_HISTORY, AT(history.image), 0 },
	{ "rule", "s", OPTION_HISTORY, AT(history.rule), 0 },
	{ "serial", "s", OPTION_HISTORY, AT(history.serial), 0 },
	{ "work_order", "s", OPTION_HISTORY, AT(history.work_order), 0 },
	{ "since", "t", OPTION_HISTORY, AT(history.since), 0 },
	{ "until", "t", OPTION_HISTORY, AT(history.until), 0 },
	{ "before", "t", OPTION_HISTORY, AT(history.before), 0 },
	{ "steps", "b", OPTION_HISTORY, AT(history.steps), 0 },
	{ "stage", "s", OPTION_FACTS, AT(facts.fact[RULE_STAGE]), 0 },
	{ "family", "s", OPTION_FACTS, AT(facts.fact[RULE_FAMILY]), 0 },
	{ "storage", "s", OPTION_FACTS, AT(facts.fact[RULE_STORAGE]), 0 },
	{ "unit", "s", OPTION_FACTS, AT(facts.fact[RULE_UNIT]), 0 },
	{ "work_order", "s", OPTION_BIND, AT(bind.work_order), 0 },
	{ "operator", "s", OPTION_BIND, AT(bind.operator), 0 },
	{ "serial", "s", OPTION_BIND, AT(bind.serial), 0 },
	{ "run", "b", OPTION_RUN, AT(bind.run), 0 },
	{ "image", "s", OPTION_TAKE, AT(take), 0 },
	{ "sample", "u", OPTION_FLASH, AT(job.sample), 0 },
	{ "rule", "s", OPTION_ARM, AT(arm.rule), 0 },
	{ "present", "b", OPTION_ARM, AT(arm.present), 0 },
	{ "way", "s", OPTION_KICK, AT(kicks.way), 0 },
	{ "interface", "u", OPTION_KICK, AT(kicks.interface), AT(kicks.interface_given) },
	{ "off_usec", "t", OPTION_PORT, AT(off_usec), 0 },
	{ "kick", "s", OPTION_LABEL, AT(kick), 0 },
	{ "label", "s", OPTION_LABEL, AT(label), 0 },
	{ "note", "s", OPTION_LABEL, AT(note), 0 },
	{ "product", "s", OPTION_TABLE, AT(product), 0 },
	{ "start", "s", OPTION_MARKS, AT(marks.start), 0 },
	{ "active", "s", OPTION_MARKS, AT(marks.active), 0 },
	{ "verity", "b", OPTION_MARKS, AT(marks.verity), AT(marks.verity_given) },
	{ "first_mode", "u", OPTION_MARKS, AT(marks.mode), AT(marks.mode_given) },
	{ "i_know", "b", OPTION_SINGLE, AT(job.i_know), 0 },
	{ "user_data", "b", OPTION_ERASE, AT(user_data), 0 },
	{ "everything", "b", OPTION_ERASE, AT(job.erase_all), 0 },
	{ "loader", "s", OPTION_LABEL | OPTION_READ | OPTION_SINGLE | OPTION_FLASH, AT(loader), 0 },
};

static int read_value(sd_bus_message *m, const struct option *option, struct options *options,
		      struct failure *why)
{
	char *at = (char *)options + option->offset;
	const char *text;
	int flag, r;

	switch (option->type[0]) {
	case 'b':
		r = sd_bus_message_read_basic(m, 'b', &flag);
		*(bool *)at = r > 0 && flag;
		break;
	case 'a':
		/* the array is ours, its strings are the message's */
		r = sd_bus_message_enter_container(m, 'a', "s");
		for (size_t n = 0; r >= 0 && (r = sd_bus_message_read_basic(m, 's', &text)) > 0; n++) {
			const char **list = realloc(*(const char ***)at, (n + 2) * sizeof(*list));

			if (!list)
				return failure_set(why, ERR_INTERNAL, "no memory");
			list[n] = text;
			list[n + 1] = NULL;
			*(const char ***)at = list;
		}
		if (r >= 0)
			r = sd_bus_message_exit_container(m);
		break;
	case 'o': {
		unsigned long long number;
		char end;

		r = sd_bus_message_read_basic(m, 'o', &text);
		if (r < 0)
			break;
		if (sscanf(text, FDLD_PATH_DEVICES "/%llu%c", &number, &end) != 1)
			return failure_set(why, ERR_INVALID_ARGS, "option '%s': %s is no device", option->key,
					   text);
		*(uint64_t *)at = number;
		break;
	}
	default: r = sd_bus_message_read_basic(m, option->type[0], at); break;
	}
	if (r < 0)
		return failure_set(why, ERR_INVALID_ARGS, "option '%s' cannot be read", option->key);
	if (option->given)
		*((bool *)((char *)options + option->given)) = true;
	return 0;
}

static int read_option(sd_bus_message *m, unsigned int allowed, bool *seen, struct options *options,
		       struct failure *why)
{
	const char *key, *type;
	unsigned int i;
	int r;

	if (sd_bus_message_read_basic(m, 's', &key) < 0 || sd_bus_message_peek_type(m, NULL, &type) < 0)
		return failure_set(why, ERR_INVALID_ARGS, "malformed options");
	for (i = 0; i < ARRAY_SIZE(table); i++)
		if ((table[i].group & allowed) && !strcmp(table[i].key, key))
			break;
	if (i == ARRAY_SIZE(table))
		return failure_set(why, ERR_INVALID_ARGS, "unknown option '%.64s'", key);
	if (seen[i])
		return failure_set(why, ERR_INVALID_ARGS, "option '%s' is given twice", key);
	seen[i] = true;
	if (strcmp(type, table[i].type))
		return failure_set(why, ERR_INVALID_ARGS, "option '%s' is of type %s, not %.32s", key,
				   table[i].type, type);
	if (sd_bus_message_enter_container(m, 'v', type) < 0)
		return failure_set(why, ERR_INVALID_ARGS, "malformed options");
	r = read_value(m, &table[i], options, why);
	if (r < 0)
		return r;
	if (sd_bus_message_exit_container(m) < 0)
		return failure_set(why, ERR_INVALID_ARGS, "malformed options");
	return 0;
}

int options_read(struct bus *bus, sd_bus_message *m, unsigned int allowed, struct options *options,
		 struct failure *why)
{
	bool seen[ARRAY_SIZE(table)] = { false };
	int r;

	memset(options, 0, sizeof(*options));
	if (sd_bus_message_enter_container(m, 'a', "{sv}") < 0)
		return failure_set(why, ERR_INVALID_ARGS, "malformed options");
	while ((r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
		r = read_option(m, allowed, seen, options, why);
		if (r < 0)
			return r;
		if (sd_bus_message_exit_container(m) < 0)
			return failure_set(why, ERR_INVALID_ARGS, "malformed options");
	}
	if (r < 0 || sd_bus_message_exit_container(m) < 0)
		return failure_set(why, ERR_INVALID_ARGS, "malformed options");
	options->job.entries = options->entries;
	options->job.without = options->without;
	return 0;
}

bool options_unprotected(const struct options *options, char *text, size_t room)
{
	const struct job_options *job = &options->job;
	bool nv = job->nv && *job->nv && strcmp(job->nv, "keep") != 0;

	/* what may lose NV or other data of this one phone, and what overrides a check */
	snprintf(text, room, "%s%.24s%s%s%s%s%s", nv ? " nv=" : "", nv ? job->nv : "",
		 job->erase_all ? " erase_all" : "", job->without_backup ? " without_backup" : "",
		 job->nv_not_this_phone ? " nv_not_this_phone" : "",
		 job->force_loaders ? " force_loaders" : "", job->i_know ? " i_know" : "");
	return text[0];
}

void options_free(struct options *options)
{
	free(options->entries);
	free(options->without);
	memset(options, 0, sizeof(*options));
}
