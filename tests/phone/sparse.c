/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Android sparse images, expanded on the phone, with the sticky state of u-boot15 (device-behaviour 5.6,
 * F33). */
#include <stdlib.h>

#include "tests/phone/device.h"

enum { MAGIC = 0xed26ff3a, RAW = 0xcac1, FILL = 0xcac2, HOLE = 0xcac3, CRC = 0xcac4 };

bool ph_is_sparse_image(const uint8_t *data, size_t length)
{
	return length >= 28 && ph_le32(data) == (uint32_t)MAGIC;
}

void ph_sparse_clear(struct sparse *s)
{
	free(s->kept);
	*s = (struct sparse){ 0 };
}

static bool begin(struct phone *p, const struct place *place, const uint8_t *head)
{
	struct sparse *s = &p->sparse;

	s->active = true;
	s->header = head[8] | (uint32_t)head[9] << 8;
	s->chunk_header = head[10] | (uint32_t)head[11] << 8;
	s->block = ph_le32(head + 12);
	s->chunks = ph_le32(head + 20);
	s->chunk = s->block_at = 0;
	s->erased = false;
	if (s->header < 28 || s->chunk_header < 12 || s->block == 0 || s->block % 4)
		return false;
	return (uint64_t)ph_le32(head + 16) * s->block <= place->size;
}

static bool chunk_write(struct phone *p, const struct place *place, const uint8_t *at, uint16_t kind,
			uint64_t bytes)
{
	struct sparse *s = &p->sparse;
	uint64_t offset = (uint64_t)s->block_at * s->block;
	const char *name = p->current;

	if (kind != HOLE && !s->erased) {
		s->erased = true;
		ph_area_erase(&p->area[place->area], place->start, place->size);
		ph_deed(p, PHONE_DEED_ERASE, name, 0, place->size, 0, false);
	}
	if (offset + bytes > place->size)
		return false;
	if (kind == RAW)
		return ph_put_bytes(p, name, place, offset, at, bytes, PHONE_DEED_WRITE);
	if (kind == FILL) {
		uint8_t block[4096];

		for (size_t i = 0; i < sizeof(block); i++)
			block[i] = at[i % 4];
		for (uint64_t done = 0; done < bytes;) {
			uint64_t part = bytes - done < sizeof(block) ? bytes - done : sizeof(block);

			if (memcmp(block, block + 1, sizeof(block) - 1) == 0)
				part = bytes - done; /* one byte value: no need to walk it */
			if (part > sizeof(block)) {
				ph_area_fill(&p->area[place->area], place->start + offset + done, part,
					     block[0]);
				ph_deed(p, PHONE_DEED_WRITE, name, offset + done, part, block[0], false);
			} else if (!ph_put_bytes(p, name, place, offset + done, block, part,
						 PHONE_DEED_WRITE)) {
				return false;
			}
			done += part;
		}
	}
	return true;
}

/* Feeds what one flush has; a chunk cut by the buffer's end is kept. False: write error (0xA2), state sticks
 * on u-boot15. */
bool ph_sparse_feed(struct phone *p, const struct place *place, const uint8_t *data, size_t length)
{
	struct sparse *s = &p->sparse;
	uint8_t *joined = NULL;
	bool good = true;
	size_t at = 0;

	if (s->kept_length) {
		joined = malloc(s->kept_length + length);
		if (!joined)
			abort();
		memcpy(joined, s->kept, s->kept_length);
		memcpy(joined + s->kept_length, data, length);
		data = joined;
		length += s->kept_length;
	}
	if (!s->active) {
		good = begin(p, place, data);
		at = s->header;
		good = good && at <= length;
	} else if (!s->kept_length && ph_is_sparse_image(data, length)) {
		ph_fault_fired(p, "F33"); /* parsed as a continuation of the failed one */
	}
	while (good && s->chunk < s->chunks && length - at >= s->chunk_header) {
		uint16_t kind = (uint16_t)(data[at] | data[at + 1] << 8);
		uint64_t blocks = ph_le32(data + at + 4), total = ph_le32(data + at + 8);

		if (total < s->chunk_header) {
			good = false;
			break;
		}
		if (length - at < total)
			break;
		if (kind == FILL && total - s->chunk_header < 4)
			good = false;
		else if (kind == RAW && total - s->chunk_header != blocks * s->block)
			good = false;
		else if (kind == RAW || kind == FILL || kind == HOLE)
			good = chunk_write(p, place, data + at + s->chunk_header, kind, blocks * s->block);
		s->block_at += (uint32_t)blocks;
		s->chunk++;
		at += total;
	}
	free(s->kept);
	s->kept = NULL;
	s->kept_length = 0;
	if (good && s->chunk < s->chunks && length > at) {
		s->kept_length = length - at;
		s->kept = malloc(s->kept_length);
		if (!s->kept)
			abort();
		memcpy(s->kept, data + at, s->kept_length);
	}
	if (good && s->chunk >= s->chunks)
		s->active = false;
	if (!good) {
		ph_fault_fired(p, "F32");
		if (p->profile->second == PHONE_LK)
			s->active = false; /* fixed there */
	}
	free(joined);
	return good;
}
