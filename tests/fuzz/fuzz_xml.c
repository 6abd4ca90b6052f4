/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Schemes from hostile text. */
#include <stdint.h>
#include <stddef.h>

#include "pac/scheme.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct failure why;
	struct scheme_doc *doc;
	uint64_t bytes;
	bool exact;
	size_t i;

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
