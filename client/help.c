/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Help that fits a screen of 80 columns and 24 lines, from the tables of verbs and options.
 */
#include <string.h>

#include "client/client.h"
#include "common/util.h"

static void row(const char *left, int width, const char *right)
{
	printf("  %s  %s\n", padded(left, width), right);
}

/* "--slot SLOT" */
static const char *option_text(const struct verb_opt *o, char *buf, size_t size)
{
	snprintf(buf, size, "--%s%s%s", o->name, o->arg ? " " : "", o->arg ? _(o->arg) : "");
	return buf;
}

static void rows(const struct verb_opt *options)
{
	char left[96];
	int width = 0;

	for (const struct verb_opt *o = options; o->name; o++)
		width = MAX(width, text_width(option_text(o, left, sizeof(left))));
	for (const struct verb_opt *o = options; o->name; o++)
		row(option_text(o, left, sizeof(left)), width, _(o->help));
}

static const char *arguments(const struct verb *v)
{
	return *v->args ? _(v->args) : "";
}

/* "image, loader": the screen has not lines enough for all verbs, nor columns for what each takes. */
static const char *line_of(const struct verb *v, char *buf, size_t size)
{
	size_t at = (size_t)snprintf(buf, size, "%s", v->name), alone = at;

	for (size_t i = 0; verbs[i] && at < size; i++)
		if (verbs[i]->beside && !strcmp(verbs[i]->beside, v->name))
			at += (size_t)snprintf(buf + at, size - at, ", %s", verbs[i]->name);
	if (at == alone && at < size)
		snprintf(buf + at, size - at, " %s", arguments(v));
	return buf;
}

void help_main(void)
{
	char left[96], options[512];
	size_t len;
	int width = 0;

	printf("%s\n\n", _("usage: fdlctl [OPTIONS] VERB [ARGUMENTS]"));
	for (int pass = 0; pass < 2; pass++) {
		for (size_t i = 0; verbs[i]; i++) {
			if (verbs[i]->beside)
				continue;
			line_of(verbs[i], left, sizeof(left));
			if (pass)
				row(left, width, _(verbs[i]->summary));
			width = MAX(width, text_width(left));
		}
	}
	/* many verbs and one screen: what each of these does stands in the page */
	len = (size_t)snprintf(options, sizeof(options), "%s", _("Options, explained in fdlctl(1):"));
	for (const struct verb_opt *o = global_options; o->name && len < sizeof(options); o++)
		len += (size_t)snprintf(options + len, sizeof(options) - len, " %s",
					option_text(o, left, sizeof(left)));
	putchar('\n');
	print_wrapped(stdout, "", options);
	printf("\n%s\n", _("Exit status: 0 done, 2 usage, else the error's number (fdlctl errors)."));
}

void help_verb(const struct verb *v)
{
	const char *args = arguments(v), *options = v->options ? _("[OPTIONS] ") : "";

	printf("%s%s %s%s\n", _("usage: fdlctl "), v->name, options, args);
	if (v->more)
		printf("%*s%s %s\n", text_width(_("usage: fdlctl ")), "fdlctl ", v->name, _(v->more));
	print_wrapped(stdout, "", _(v->about));
	if (!v->options)
		return;
	putchar('\n');
	rows(v->options);
}
