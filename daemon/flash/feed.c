/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "flash/feed.h"

#include "common/util.h"

static bool holds(const struct feed_chunk *c, uint64_t offset)
{
	return c->data && offset >= c->offset && offset < c->offset + c->len;
}

void feed_open(struct feed *f, struct source_ref source, uint64_t size, size_t piece)
{
	*f = (struct feed){ .source = source, .size = size, .chunk = SESSION_CHUNK };
	/* large ones come one by one: most then lie in one span of the package, which is lent as it is */
	if (piece && piece < SESSION_CHUNK)
		f->chunk = piece > SESSION_CHUNK / 4 ? piece : SESSION_CHUNK / piece * piece;
}

void feed_open_memory(struct feed *f, const uint8_t *memory, uint64_t size)
{
	*f = (struct feed){ .memory = memory, .size = size };
}

size_t feed_ready(const struct feed *f, uint64_t offset)
{
	if (f->memory)
		return offset < f->size ? (size_t)MIN(f->size - offset, (uint64_t)SIZE_MAX) : 0;
	if (holds(&f->now, offset))
		return (size_t)(f->now.offset + f->now.len - offset);
	if (holds(&f->ahead, offset))
		return (size_t)(f->ahead.offset + f->ahead.len - offset);
	return 0;
}

const uint8_t *feed_at(struct feed *f, uint64_t offset, size_t len)
{
	if (feed_ready(f, offset) < len)
		return NULL;
	if (f->memory)
		return f->memory + offset;
	if (!holds(&f->now, offset)) {
		f->now = f->ahead;
		f->ahead = (struct feed_chunk){ 0 };
	}
	return f->now.data + (offset - f->now.offset);
}

void feed_want(const struct feed *f, uint64_t offset, uint64_t *from, size_t *len)
{
	*from = offset;
	*len = offset < f->size ? (size_t)MIN(f->size - offset, (uint64_t)f->chunk) : 0;
}

bool feed_want_ahead(const struct feed *f, uint64_t *from, size_t *len)
{
	if (f->memory || !f->now.data || f->ahead.data)
		return false;
	feed_want(f, f->now.offset + f->now.len, from, len);
	return *len > 0;
}

bool feed_put(struct feed *f, uint64_t offset, size_t asked, const uint8_t *data, size_t len)
{
	struct feed_chunk c = { .data = data, .offset = offset, .len = len };

	if (len != asked || !len)
		return false;
	if (f->now.data && offset == f->now.offset + f->now.len) {
		/* a third chunk cannot be lent: the one in use has to be done with */
		if (f->ahead.data)
			f->now = f->ahead;
		f->ahead = c;
	} else {
		f->now = c;
		f->ahead = (struct feed_chunk){ 0 };
	}
	return true;
}
