/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sparse walks and image peeks over hostile bytes; what a map claims must hold. */
#include <stdint.h>
#include <stdlib.h>

#include "pac/image.h"
#include "pac/sparse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct source src = source_memory(data, size);
	struct loader_info loader;
	struct image_info image;
	struct sparse_map map;
	struct failure why;
	uint64_t at = 0;
	size_t i;

	if (image_peek(&src, 0, size, size & 1, &image, &why) == 0 && image.dhtb.present)
		dhtb_verify(&src, 0, &image.dhtb, &why);
	loader_inspect(&src, 0, size, 1 + (size & 1), &loader, &why);
	if (sparse_walk(&src, 0, size, NULL, NULL, &map, &why) < 0)
		return 0;
	for (i = 0; i < map.count; i++) {
		const struct sparse_extent *e = &map.extents[i];

		if (e->offset != at || !e->length ||
		    (e->kind == SPARSE_RAW && (e->source > size || e->length > size - e->source)))
			abort();
		at += e->length;
	}
	if (at != map.header.expanded)
		abort();
	sparse_map_free(&map);
	return 0;
}
