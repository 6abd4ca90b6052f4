/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Two files that say they are loaders: whatever is in them, what is told about the pair is in bounds and
 * agrees with itself. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "pac/pair.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int ok)
{
	if (!ok)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct loader_info first[2] = { 0 }, second[2] = { 0 };
	struct failure why = { 0 };
	struct pair_verdict verdict;
	enum sureness sure;
	char names[64];
	size_t cut;

	if (size < 4)
		return 0;
	cut = 4 + (size - 4) * data[0] / 256;
	for (int i = 0; i < 2; i++) {
		const uint8_t *at = data + (i ? cut : 4);
		struct source src = source_memory(at, i ? size - cut : cut - 4);
		int looks;

		if (loader_inspect(&src, 0, src.size, 1, &first[i], &why) < 0 ||
		    loader_inspect(&src, 0, src.size, 2, &second[i], &why) < 0)
			return 0;
		looks = pair_stage(&first[i], &second[i], &sure);
		must(looks >= 0 && looks <= 2 && (looks || sure == SURE_NOT));
		(void)pair_address(&first[i], 1, &sure);
		must(memchr(first[i].family_text, 0, sizeof(first[i].family_text)) != NULL);
	}
	pair_judge(&(struct pair_part){ &first[0], data[1] ? (uint64_t)data[1] << 8 : 0 },
		   &(struct pair_part){ &second[1], data[2] ? (uint64_t)data[2] << 24 : 0 }, &verdict);
	must(verdict.doubts <= PAIR_DOUBTS_MAX);
	must(verdict.mismatch == !verdict.families);
	must(!(verdict.mismatch || verdict.misplaced) == !*verdict.wrong);
	must(!verdict.family || !verdict.mismatch);
	must(strlen(pair_families(verdict.families, names, sizeof(names))) < sizeof(names));
	return 0;
}
