/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fdlctl: global options, the table of verbs, and the options of a verb.
 */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/client.h"
#include "client/remote.h"
#include "common/util.h"

const struct verb *const verbs[] = { &verb_list,    &verb_info,	       &verb_flash,
				     &verb_read,    &verb_read_flash,  &verb_backup,
				     &verb_restore, &verb_write,       &verb_write_flash,
				     &verb_erase,   &verb_erase_flash, &verb_partitions,
				     &verb_reset,   &verb_kick,	       &verb_repartition,
				     &verb_mode,    &verb_active,      &verb_verity,
				     &verb_jobs,    &verb_attach,      &verb_cancel,
				     &verb_image,   &verb_loader,      &verb_top,
				     &verb_slots,   &verb_slot,	       &verb_port,
				     &verb_monitor, &verb_history,     &verb_nv,
				     &verb_rules,   &verb_arm,	       &verb_disarm,
				     &verb_bind,    &verb_release,     &verb_refuse,
				     &verb_config,  &verb_errors,      NULL };

enum { OPT_BUS = 256, OPT_JSON, OPT_NO_COLOR, OPT_NO_ASK, OPT_VERSION };
#define OPT_VERB_JSON 0x7001
#define OPTIONS_MAX   32

const struct verb_opt global_options[] = {
	{ "json", OPT_JSON, NULL, N_("print JSON and nothing else on standard output"), false },
	{ "host", 'H', N_("HOST"), N_("the daemon of another machine, [USER@]HOST, through ssh"), false },
	{ "bus", OPT_BUS, N_("ADDRESS"), N_("the daemon's bus, if not the system bus"), false },
	{ "no-color", OPT_NO_COLOR, NULL, N_("no colours, even on a terminal"), false },
	{ "no-ask-password", OPT_NO_ASK, NULL, N_("never ask for a password: refuse instead"), false },
	{ "help", 'h', NULL, N_("this, or 'fdlctl VERB --help'; -h for short"), false },
	{ "version", OPT_VERSION, NULL, N_("the version, and nothing else"), false },
	{ 0 },
};

const struct verb *verb_find(const char *name)
{
	for (size_t i = 0; verbs[i]; i++)
		if (!strcmp(verbs[i]->name, name))
			return verbs[i];
	return NULL;
}

void client_json(struct client *c)
{
	client_usage_json = c->json = true;
	i18n_off();
}

/* Appends a verb's options behind the `count` that all has. */
static void add_options(struct option *all, size_t count, const struct verb_opt *own)
{
	for (size_t i = 0; own && own[i].name && count < OPTIONS_MAX; i++)
		all[count++] = (struct option){ own[i].name, own[i].arg ? required_argument : no_argument,
						NULL, own[i].key };
}

int verb_next(struct client *c, const struct verb *verb, int argc, char **argv, int *rc)
{
	struct option all[OPTIONS_MAX + 1] = { { "json", no_argument, NULL, OPT_VERB_JSON },
					       { "help", no_argument, NULL, 'h' } };
	int opt;

	add_options(all, 2, verb->options);
	opterr = 0; /* said by us, in one form for people and programs */
	opt = getopt_long(argc, argv, ":h", all, NULL);
	*rc = 0;
	switch (opt) {
	case OPT_VERB_JSON: client_json(c); return 0;
	case 'h': help_verb(verb); return -2;
	case ':': *rc = client_usage(N_("%s: '%s' needs a value"), argv[0], argv[optind - 1]); return -2;
	case '?': *rc = client_usage(N_("%s: unknown option '%s'"), argv[0], argv[optind - 1]); return -2;
	default: return opt;
	}
}

/* The options before the verb; -1: go on with the verb, else the exit code. */
static int globals(struct client *c, int argc, char **argv)
{
	struct option all[OPTIONS_MAX + 1] = { 0 };
	int opt;

	add_options(all, 0, global_options);
	opterr = 0;
	while ((opt = getopt_long(argc, argv, "+:hH:", all, NULL)) != -1) {
		switch (opt) {
		case OPT_BUS: c->address = optarg; break;
		case 'H':
			if (!remote_valid(optarg))
				return client_usage(N_("'%s' is no machine: [USER@]HOST or [USER@]HOST:PORT"),
						    optarg);
			c->host = optarg;
			break;
		case OPT_JSON: client_json(c); break;
		case OPT_NO_COLOR: c->color = false; break;
		case OPT_NO_ASK: c->no_ask = true; break;
		case OPT_VERSION: puts("fdlctl " FDLD_VERSION); return 0;
		case 'h': help_main(); return 0;
		case ':': return client_usage(N_("'%s' needs a value"), argv[optind - 1]);
		default: return client_usage(N_("unknown option '%s'"), argv[optind - 1]);
		}
	}
	return -1;
}

int main(int argc, char **argv)
{
	struct client c = { .ssh_said = -1 };
	const char *term = getenv("TERM"), *bus = getenv("FDLD_BUS");
	const struct verb *verb;
	int rc;

	i18n_init();
	if (bus && !*bus)
		bus = NULL;
	if (argc > 1 && !strcmp(argv[1], "__complete")) {
		c.address = bus;
		return complete(&c, argc - 2, argv + 2);
	}
	c.tty = isatty(STDOUT_FILENO);
	c.color = c.tty && !getenv("NO_COLOR") && term && strcmp(term, "dumb");
	rc = globals(&c, argc, argv);
	if (rc >= 0)
		return rc;
	if (c.host && c.address)
		return client_usage(N_("either --host or --bus"));
	if (!c.host && !c.address)
		c.address = bus;
	if (optind == argc)
		return client_usage(N_("which verb?"));
	verb = verb_find(argv[optind]);
	if (!verb)
		return client_usage(N_("unknown verb '%s'"), argv[optind]);
	argc -= optind;
	argv += optind;
	optind = 0; /* the verb parses its own options from the start */
	rc = verb->run(&c, argc, argv);
	json_object_put(c.mirror);
	sd_bus_flush_close_unref(c.bus);
	remote_close(&c);
	return rc;
}
