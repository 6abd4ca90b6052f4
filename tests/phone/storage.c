/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The bytes of one flash area: a sparse map of pages, shared copy-on-write between clones. */
#include <stdlib.h>

#include "tests/phone/device.h"

static const uint64_t LEAF_BYTES = (uint64_t)PAGE * PAGES_PER_LEAF;

static bool is_fill(const struct page *page)
{
	return (uintptr_t)page & 1;
}

static struct page *as_fill(uint8_t value)
{
	return (struct page *)((uintptr_t)value << 8 | 1);
}

static uint8_t fill_value(const struct page *page)
{
	return (uint8_t)((uintptr_t)page >> 8);
}

static void page_drop(struct page *page)
{
	if (page && !is_fill(page) && __atomic_sub_fetch(&page->refs, 1, __ATOMIC_ACQ_REL) == 0)
		free(page);
}

static void leaf_drop(struct leaf *leaf)
{
	if (!leaf)
		return;
	for (size_t i = 0; i < PAGES_PER_LEAF; i++)
		page_drop(leaf->page[i]);
	free(leaf);
}

bool ph_area_make(struct area *area, uint64_t size, uint8_t erased)
{
	*area = (struct area){ .size = size, .erased = erased };
	area->leaf_count = (size_t)((size + LEAF_BYTES - 1) / LEAF_BYTES);
	if (area->leaf_count == 0)
		return true;
	area->leaf = calloc(area->leaf_count, sizeof(*area->leaf));
	return area->leaf != NULL;
}

void ph_area_drop(struct area *area)
{
	for (size_t i = 0; area->leaf && i < area->leaf_count; i++)
		leaf_drop(area->leaf[i]);
	free(area->leaf);
	area->leaf = NULL;
}

bool ph_area_share(struct area *to, const struct area *from)
{
	if (!ph_area_make(to, from->size, from->erased))
		return false;
	for (size_t i = 0; i < from->leaf_count; i++) {
		if (!from->leaf[i])
			continue;
		to->leaf[i] = malloc(sizeof(struct leaf));
		if (!to->leaf[i])
			return false;
		*to->leaf[i] = *from->leaf[i];
		for (size_t k = 0; k < PAGES_PER_LEAF; k++)
			if (to->leaf[i]->page[k] && !is_fill(to->leaf[i]->page[k]))
				__atomic_add_fetch(&to->leaf[i]->page[k]->refs, 1, __ATOMIC_RELAXED);
	}
	return true;
}

static struct page **slot(struct area *area, uint64_t offset)
{
	struct leaf **leaf = &area->leaf[offset / LEAF_BYTES];

	if (!*leaf) {
		*leaf = calloc(1, sizeof(**leaf));
		if (!*leaf)
			abort(); /* a test tool without memory has nothing to say */
	}
	return &(*leaf)->page[offset % LEAF_BYTES / PAGE];
}

/* A page of our own to write into, holding what was there unless the caller overwrites all of it. */
static uint8_t *own(struct area *area, struct page **at, bool keep)
{
	struct page *old = *at, *page;

	if (old && !is_fill(old) && __atomic_load_n(&old->refs, __ATOMIC_ACQUIRE) == 1)
		return old->data;
	page = malloc(sizeof(*page));
	if (!page)
		abort();
	page->refs = 1;
	if (keep) {
		if (!old || is_fill(old))
			memset(page->data, old ? fill_value(old) : area->erased, PAGE);
		else
			memcpy(page->data, old->data, PAGE);
	}
	page_drop(old);
	*at = page;
	return page->data;
}

static uint64_t clip(const struct area *area, uint64_t offset, uint64_t length)
{
	if (offset >= area->size)
		return 0;
	return length < area->size - offset ? length : area->size - offset;
}

void ph_area_read(const struct area *area, uint64_t offset, void *out, uint64_t length)
{
	uint8_t *to = out;
	uint64_t valid = clip(area, offset, length);

	memset(to + valid, area->erased, length - valid);
	while (valid) {
		uint64_t in_page = offset % PAGE, part = PAGE - in_page < valid ? PAGE - in_page : valid;
		const struct leaf *leaf = area->leaf[offset / LEAF_BYTES];
		const struct page *page = leaf ? leaf->page[offset % LEAF_BYTES / PAGE] : NULL;

		if (!page || is_fill(page))
			memset(to, page ? fill_value(page) : area->erased, part);
		else
			memcpy(to, page->data + in_page, part);
		to += part;
		offset += part;
		valid -= part;
	}
}

void ph_area_write(struct area *area, uint64_t offset, const void *data, uint64_t length)
{
	const uint8_t *from = data;

	for (length = clip(area, offset, length); length;) {
		uint64_t in_page = offset % PAGE, part = PAGE - in_page < length ? PAGE - in_page : length;
		struct page **at = slot(area, offset);

		if (part == PAGE && from[0] == from[PAGE - 1] && memcmp(from, from + 1, PAGE - 1) == 0) {
			page_drop(*at);
			*at = from[0] == area->erased ? NULL : as_fill(from[0]);
		} else {
			memcpy(own(area, at, part != PAGE) + in_page, from, part);
		}
		from += part;
		offset += part;
		length -= part;
	}
}

void ph_area_fill(struct area *area, uint64_t offset, uint64_t length, uint8_t value)
{
	for (length = clip(area, offset, length); length;) {
		uint64_t in_page = offset % PAGE, part = PAGE - in_page < length ? PAGE - in_page : length;
		struct leaf **leaf = &area->leaf[offset / LEAF_BYTES];
		struct page **at;

		if (value == area->erased) {
			uint64_t in_leaf = offset % LEAF_BYTES;
			uint64_t whole = LEAF_BYTES - in_leaf < length ? LEAF_BYTES - in_leaf : length;

			if (!*leaf || in_leaf == 0) {
				if (!*leaf || whole == LEAF_BYTES || offset + whole == area->size) {
					leaf_drop(*leaf);
					*leaf = NULL;
					offset += whole;
					length -= whole;
					continue;
				}
			}
		}
		at = slot(area, offset);
		if (part == PAGE) {
			page_drop(*at);
			*at = value == area->erased ? NULL : as_fill(value);
		} else {
			memset(own(area, at, true) + in_page, value, part);
		}
		offset += part;
		length -= part;
	}
}

void ph_area_erase(struct area *area, uint64_t offset, uint64_t length)
{
	ph_area_fill(area, offset, length, area->erased);
}
