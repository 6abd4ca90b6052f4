/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Schemes and saved tables from hostile text; a table that is accepted comes back from its own text. */
#include <stdint.h>
#include <stddef.h>

#include <stdlib.h>

#include "pac/made.h"
#include "pac/scheme.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void saved_table(const uint8_t *data, size_t size)
{
	struct scheme_table t, again;
	struct failure why;
	char *text;
	size_t len;

	if (made_table_parse(data, size, NULL, &t, &why) < 0)
		return;
	if (made_table_xml(&t, &text, &len) == 0) {
		if (made_table_parse(text, len, NULL, &again, &why) < 0 || again.parts != t.parts)
			abort();
		made_table_free(&again);
		free(text);
	}
	made_table_free(&t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct failure why;
	struct scheme_doc *doc;
	uint64_t bytes;
	bool exact;
	size_t i;

	saved_table(data, size);
	if (scheme_parse(data, size, &doc, &why) < 0)
		return 0;
	for (i = 0; i < doc->products; i++) {
		scheme_of(doc, &doc->product[i]);
		scheme_table_size(&doc->product[i].table, "system", &bytes);
	}
	scheme_find_product(doc, "PAC_x", &exact);
	scheme_doc_free(doc);
	return 0;
}
