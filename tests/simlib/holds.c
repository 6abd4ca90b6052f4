/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Looks into the phone's storage: is it what the package says, is the phone's own still there? */
#include "tests/simlib/scenario.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool bytes_hold(const struct scenario_image *im, const struct phone *phone, char *text, size_t size)
{
	size_t len = im->len, first = 0;
	uint8_t *got, *want = NULL, *known = NULL;
	bool good = true;

	if (im->sparse)
		len = (size_t)(im->data[16] | im->data[17] << 8 | im->data[18] << 16) * 4096;
	got = malloc(len);
	if (im->sparse) {
		want = calloc(1, len);
		known = calloc(1, len);
	}
	if (!got || (im->sparse && (!want || !known))) {
		good = false;
	} else if (!phone_storage_read(phone, im->place, 0, got, len)) {
		snprintf(text, size, "%s can not be looked into", im->place);
		good = false;
	} else if (im->sparse) {
		sim_sparse_expand(im->data, im->len, want, known, len);
		for (; first < len && (!known[first] || got[first] == want[first]); first++)
			;
	} else {
		for (; first < len; first++)
			if (got[first] != im->data[first] &&
			    !(im->patched &&
			      ((first >= 0x20 && first < 0x30) || (first >= 0x7FFC && first < 0x8000))))
				break;
	}
	if (good && first < len) {
		snprintf(text, size, "%s (%s) differs at %zu of %zu", im->id, im->place, first, len);
		good = false;
	}
	free(got);
	free(want);
	free(known);
	return good;
}

static bool is_erased(const struct scenario *s, const struct phone *phone, const char *place, char *text,
		      size_t size)
{
	uint8_t got[512];

	if (!phone_storage_read(phone, place, 0, got, sizeof(got)))
		return true;
	for (size_t i = 0; i < sizeof(got); i++) {
		if (got[i] == s->profile->erased)
			continue;
		snprintf(text, size, "%s is not erased at %zu", place, i);
		return false;
	}
	return true;
}

static bool named(const char (*list)[40], uint32_t count, const char *id, const char *place)
{
	for (uint32_t i = 0; i < count; i++)
		if (!strcasecmp(list[i], id) || !strcasecmp(list[i], place))
			return true;
	return false;
}

static bool taken(const struct plan_options *o, const char *id, const char *place)
{
	if (!o)
		return true;
	if (named(o->without, o->without_count, id, place))
		return false;
	return !o->only_count || named(o->only, o->only_count, id, place);
}

bool scenario_holds(const struct scenario *s, const struct plan_options *o, const struct phone *phone,
		    char *text, size_t size)
{
	for (size_t i = 0; i < s->images; i++) {
		const struct scenario_image *im = &s->image[i];

		if (!im->resized && taken(o, im->id, im->place) && !bytes_hold(im, phone, text, size))
			return false;
	}
	return true;
}

bool scenario_erased(const struct scenario *s, const struct plan_options *o, const struct phone *phone,
		     char *text, size_t size)
{
	for (size_t i = 0; i < s->erases; i++)
		if (taken(o, s->erased_id[i], s->erased[i]) && !is_erased(s, phone, s->erased[i], text, size))
			return false;
	return true;
}

/* Where an item's data is; 0: not there. This reader is not the daemon's. */
static size_t nv_item(const uint8_t *nv, size_t len, unsigned id, size_t *size)
{
	for (size_t at = 4; at + 4 <= len;) {
		unsigned have = nv[at] | (unsigned)nv[at + 1] << 8;
		size_t n = nv[at + 2] | (size_t)nv[at + 3] << 8;

		if (have == 0xFFFF || at + 4 + n > len)
			return 0;
		if (have == id) {
			*size = n;
			return at + 4;
		}
		at += 4 + ((n + 3) & ~(size_t)3);
	}
	return 0;
}

static bool nv_kept(const struct scenario *s, const struct phone *phone, bool merged, char *text, size_t size)
{
	static const struct {
		unsigned id;
		bool own;
	} items[] = { { 2, true },     { 5, true },	{ 0x179, true },  { 0x191, true }, { 0x0D, true },
		      { 0x19A, true }, { 0x1F1, true }, { 0x300, false }, { 0x301, false } };
	size_t room = 2 << 20;
	uint8_t *got = malloc(room);
	bool good = got != NULL;

	if (good && !phone_nv_read(phone, s->nv_place, got, &room)) {
		snprintf(text, size, "%s holds no valid NV", s->nv_place);
		good = false;
	}
	for (size_t i = 0; good && i < sizeof(items) / sizeof(items[0]); i++) {
		const uint8_t *from = items[i].own || !merged ? s->nv_phone : s->nv_package;
		size_t want_len = 0, got_len = 0;
		size_t want = nv_item(from, s->nv_len, items[i].id, &want_len);
		size_t at = nv_item(got, room, items[i].id, &got_len);

		/* an attempt that was killed may have written NV already: then the rest is the package's */
		if (!items[i].own && !merged)
			continue;
		if (!at || got_len != want_len || memcmp(got + at, from + want, want_len)) {
			snprintf(text, size, "NV item 0x%x is not the %s's", items[i].id,
				 items[i].own ? "phone" : "package");
			good = false;
		}
	}
	free(got);
	return good;
}

static bool own_area(const struct phone *phone, const char *place, const uint8_t *was, size_t len, char *text,
		     size_t size)
{
	uint8_t *got = malloc(len);
	bool good = got && phone_storage_read(phone, place, 0, got, len);

	for (size_t i = 0; good && i < len; i++) {
		if (got[i] == was[i])
			continue;
		snprintf(text, size, "%s differs at %zu from what it was", place, i);
		good = false;
	}
	if (!got)
		snprintf(text, size, "no memory");
	free(got);
	return good;
}

void scenario_snapshot(struct scenario *s, const struct phone *phone)
{
	size_t room = 2 << 20;
	uint8_t *nv = s->nv_place[0] ? malloc(room) : NULL;

	if (nv && !phone_nv_read(phone, s->nv_place, nv, &room))
		s->want.nv_blank = true;
	free(nv);
	if (s->prodnv && (!phone_storage_read(phone, "prodnv", 0, s->prodnv, s->prodnv_len) ||
			  s->prodnv[1024 + 56] != 0x53 || s->prodnv[1024 + 57] != 0xEF)) {
		/* no file system in it: FDL2 will not even read it */
		free(s->prodnv);
		s->prodnv = NULL;
	}
	if (s->misc && !phone_storage_read(phone, "miscdata", 0, s->misc, s->misc_len))
		s->want.blank = true;
}

bool scenario_kept(const struct scenario *s, const struct phone *phone, bool merged, char *text, size_t size)
{
	text[0] = 0;
	if (s->want.blank)
		return true;
	if (s->nv_place[0] && !s->want.nv_blank && !nv_kept(s, phone, merged && !s->want.no_nv, text, size))
		return false;
	if (s->prodnv && !own_area(phone, "prodnv", s->prodnv, s->prodnv_len, text, size))
		return false;
	/* what END clears lies behind the bytes that are looked at; 0x2400 is beyond them */
	return !s->misc || own_area(phone, "miscdata", s->misc, s->misc_len, text, size);
}
