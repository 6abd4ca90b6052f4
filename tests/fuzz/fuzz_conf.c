/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Configuration files and values of every kind from hostile text. */
#include <stdint.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/conffile.h"
#include "common/settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
	size_t size;
	unsigned int line;
};

static void must(int ok)
{
	if (!ok)
		abort();
}

/* What every caller of the parser relies on. */
static int entry(void *user, const struct conf_entry *e, struct failure *why)
{
	struct seen *seen = user;
	uint32_t percent;
	uint64_t n, again;
	char text[128];
	bool b;

	must(e->line > seen->line && e->line <= seen->size + 1);
	seen->line = e->line;
	must(strlen(e->section) < CONF_NAME_MAX && (!e->key || (*e->key && strlen(e->key) < CONF_NAME_MAX)));
	must(strlen(e->value) <= CONF_LINE_MAX && !strpbrk(e->value, "\n\r\x1b\x7f"));
	if (!e->key)
		return 0;
	conf_u64(e->value, &n);
	conf_size(e->value, &n);
	conf_percent(e->value, &percent);
	conf_bool(e->value, &b);
	/* what is shown is read back as the same */
	if (!conf_duration(e->value, &n)) {
		conf_duration_text(n, text, sizeof(text));
		must(!conf_duration(text, &again) && again == n);
	}
	return 0;
}

static void settings(const char *text, size_t size)
{
	struct settings_book *book = settings_book_new();
	struct failure why = { 0 };
	char value[SETTING_TEXT_MAX], reason[160], origin[64];
	struct settings set;

	if (!book)
		return;
	if (settings_parse(book, "f", text, size, &why) < 0) {
		must(why.error == ERR_CONFIG_INVALID && !strncmp(why.detail, "f:", 2) &&
		     conf_clean(why.detail));
		settings_book_free(book);
		return;
	}
	settings_preset(&set);
	for (int i = 0; i < SETTING_COUNT; i++) {
		setting_text(&book->set, (enum setting_id)i, value, sizeof(value));
		must(!setting_put(&set, (enum setting_id)i, value, reason, sizeof(reason)));
		must(setting_same(&set, &book->set, (enum setting_id)i));
		setting_origin_text(book, (enum setting_id)i, origin, sizeof(origin));
	}
	settings_book_free(book);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seen seen = { .size = size };
	struct failure why = { 0 };
	char *text = malloc(size ? size : 1); /* its own, so that a byte beyond it is noticed */

	if (!text)
		return 0;
	memcpy(text, data, size);
	if (conf_parse("f", text, size, entry, &seen, &why) < 0)
		must(why.error == ERR_CONFIG_INVALID && !strncmp(why.detail, "f:", 2) &&
		     conf_clean(why.detail));
	settings(text, size);
	free(text);
	return 0;
}
