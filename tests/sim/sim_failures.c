/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Every row of the failure tables: sim_failures [--trace N]. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/simlib/rows.h"

int main(int argc, char **argv)
{
	size_t count, bad = 0;
	const struct sim_row *rows = sim_rows(&count);
	size_t only = argc > 2 && !strcmp(argv[1], "--trace") ? strtoul(argv[2], NULL, 0) : 0;

	for (size_t i = 0; i < count; i++) {
		char text[300];
		bool good;

		if (only && only != i + 1)
			continue;
		good = sim_row_run(&rows[i], NULL, only ? stdout : NULL, text, sizeof(text));
		printf("%sok %zu - %s: %s%s%s\n", good ? "" : "not ", i + 1, rows[i].profile, rows[i].cite,
		       good ? "" : ": ", text);
		bad += !good;
	}
	printf("1..%zu\n", count);
	return bad != 0;
}
