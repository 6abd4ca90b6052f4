/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Partition tables as a phone may send them, and lines of a trace file. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "flash/probe.h"
#include "flash/recorder.h"
#include "flash/table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct flash_table gpt, list;
	struct record event;
	char line[200], text[120];
	size_t need, n = size < sizeof(line) - 1 ? size : sizeof(line) - 1;
	int rc = table_from_gpt(data, size, &gpt, &need);

	if (rc == -11 && need <= size)
		abort();
	if (!table_from_list(data, size, rc ? NULL : &gpt, 0, NULL, &list)) {
		for (uint32_t i = 0; i < list.count; i++)
			if (!list.entry[i].name[0] || table_find(&list, list.entry[i].name) != &list.entry[i])
				abort();
		table_agrees(&list, rc ? &list : &gpt, text, sizeof(text));
	}
	uint64_t bytes;
	uint32_t sector;

	if (probe_text(data, size, "boot", &bytes, &sector) && (!bytes || (sector && bytes % sector)))
		abort();
	memcpy(line, data, n);
	line[n] = 0;
	if (!recorder_parse(line, &event)) {
		static struct recorder r;

		recorder_add(&r, &event);
		recorder_text(&r, line, sizeof(line));
	}
	return 0;
}
