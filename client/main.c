/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fdlctl: global options and the table of verbs.
 */
#include <errno.h>
#include <getopt.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/client.h"
#include "common/util.h"

static const struct verb {
	const char *name, *args, *help;
	int (*run)(struct client *c, int argc, char **argv);
} verbs[] = {
	{ "list", "", "ports and phones", verb_list },
	{ "info", "FILE", "what a package holds, what it would destroy, and every doubt", verb_info },
	{ "flash", "FILE", "flash a package; without a phone, wait for one", verb_flash },
	{ "jobs", "[ID | trace ID]", "jobs, one job, or the last frames of a failed one", verb_jobs },
	{ "attach", "[ID...]", "follow running jobs", verb_attach },
	{ "cancel", "ID...", "stop jobs at their next safe point", verb_cancel },
	{ "monitor", "", "print events as they happen", verb_monitor },
	{ "errors", "[NAME]", "every error with exit code, cause and remedy", verb_errors },
};

#define OPT_VERB_JSON 0x7001
#define OPTIONS_MAX   32

int verb_option(struct client *c, int argc, char **argv, const struct option *own, const char *help, int *rc)
{
	struct option all[OPTIONS_MAX + 3] = { { "json", no_argument, NULL, OPT_VERB_JSON },
					       { "help", no_argument, NULL, 'h' } };
	int opt;

	for (size_t i = 0; own && own[i].name && i < OPTIONS_MAX; i++)
		all[i + 2] = own[i];
	opt = getopt_long(argc, argv, "h", all, NULL);
	*rc = 0;
	switch (opt) {
	case OPT_VERB_JSON: client_usage_json = c->json = true; return 0;
	case 'h': puts(help); return -2;
	case '?': *rc = client_usage("%s: unknown option or missing value", argv[0]); return -2;
	default: return opt;
	}
}

static void help(void)
{
	puts("fdlctl - flash Unisoc phones through fdld\n\n"
	     "usage: fdlctl [--json] [--bus ADDRESS] [--no-color] VERB [ARGUMENTS]\n");
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		printf("  %-8s %-16s %s\n", verbs[i].name, verbs[i].args, verbs[i].help);
	puts("\n  --json          print JSON and nothing else on standard output\n"
	     "  --bus ADDRESS   talk to the daemon on this bus instead of the system bus\n"
	     "  --no-color      no colours, even on a terminal\n"
	     "  -h, --help      this, or 'fdlctl VERB --help'\n"
	     "  --version\n\n"
	     "Exit status: 0 done, 2 usage, else the number of the error ('fdlctl errors'); see fdlctl(1).");
}

int main(int argc, char **argv)
{
	enum { OPT_BUS = 256, OPT_JSON, OPT_NO_COLOR, OPT_VERSION };
	static const struct option options[] = {
		{ "bus", required_argument, NULL, OPT_BUS },	 { "json", no_argument, NULL, OPT_JSON },
		{ "no-color", no_argument, NULL, OPT_NO_COLOR }, { "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, OPT_VERSION },	 { 0 }
	};
	struct client c = { .address = getenv("FDLD_BUS") };
	const char *term = getenv("TERM");
	int opt, rc;

	setlocale(LC_ALL, "");
	if (c.address && !*c.address)
		c.address = NULL;
	c.tty = isatty(STDOUT_FILENO);
	c.color = c.tty && !getenv("NO_COLOR") && term && strcmp(term, "dumb");
	while ((opt = getopt_long(argc, argv, "+h", options, NULL)) != -1) {
		switch (opt) {
		case OPT_BUS: c.address = optarg; break;
		case OPT_JSON: client_usage_json = c.json = true; break;
		case OPT_NO_COLOR: c.color = false; break;
		case OPT_VERSION: puts("fdlctl " FDLD_VERSION); return 0;
		case 'h': help(); return 0;
		default: return client_usage("unknown option");
		}
	}
	if (optind == argc)
		return client_usage("which verb?");
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		if (strcmp(argv[optind], verbs[i].name))
			continue;
		argc -= optind;
		argv += optind;
		optind = 0; /* the verb parses its own options from the start */
		rc = verbs[i].run(&c, argc, argv);
		json_object_put(c.mirror);
		sd_bus_flush_close_unref(c.bus);
		return rc;
	}
	return client_usage("unknown verb '%s'", argv[optind]);
}
