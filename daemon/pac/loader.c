/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a loader gives away: where it is linked, and whose texts it carries (pac-and-flow 6.6). */
#include "common/util.h"
#include "pac/fail.h"
#include "pac/image.h"
#include "pac/text.h"

#include <ctype.h>
#include <errno.h>
#include <strings.h>

#define LOADER_READ_MAX (4u << 20)
#define FAMILIES_MAX	32u
#define MARK_MIN	6u /* shorter marks turn up in any binary by chance */
#define A64_FDL1	0x14000008u
#define A64_UBOOT	0x1400000Au

const char *sureness_name(enum sureness s)
{
	switch (s) {
	case SURE_NOT: return "unknown";
	case SURE_FAIR: return "fair";
	case SURE_GOOD: return "good";
	case SURE_VERY: return "very good";
	}
	return "unknown";
}

static bool has(const uint8_t *p, size_t len, const char *text)
{
	return memmem(p, len, text, strlen(text)) != NULL;
}

static bool printable(uint8_t c)
{
	return c >= 0x20 && c < 0x7f;
}

/* Length of the longest mark of a family at p, 0 if none. */
static size_t mark_at(const struct chip_family *f, const char *p, size_t len)
{
	const char *mark = f->marks;
	size_t best = 0;

	while (*mark) {
		size_t n = strcspn(mark, "|");

		if (n >= MARK_MIN && n <= len && n > best && !strncasecmp(p, mark, n))
			best = n;
		mark += n + (mark[n] == '|');
	}
	return best;
}

struct votes {
	unsigned count[FAMILIES_MAX];
	const uint8_t *where[FAMILIES_MAX]; /* first text that told */
	size_t run[FAMILIES_MAX];	    /* length of the printable run from there */
	bool starts[256];		    /* bytes a mark can begin with, either case */
};

static void votes_init(struct votes *v)
{
	const struct chip_family *f;
	size_t i;

	memset(v, 0, sizeof(*v));
	for (i = 0; (f = chip_family_at(i)); i++) {
		const char *mark = f->marks;

		while (*mark) {
			v->starts[tolower((unsigned char)*mark)] = true;
			v->starts[toupper((unsigned char)*mark)] = true;
			mark += strcspn(mark, "|");
			mark += *mark == '|';
		}
	}
}

/* One vote at each place, for the family with the longest mark there: "sharkl5pro" is no vote for sharkl5. */
static void vote_run(struct votes *v, const uint8_t *p, size_t len)
{
	const struct chip_family *f;
	size_t at, i;

	for (at = 0; at + MARK_MIN <= len; at++) {
		size_t best = 0, winner = 0;

		if (!v->starts[p[at]])
			continue;
		for (i = 0; i < FAMILIES_MAX && (f = chip_family_at(i)); i++) {
			size_t n = mark_at(f, (const char *)p + at, len - at);

			if (n > best) {
				best = n;
				winner = i;
			}
		}
		if (!best)
			continue;
		if (!v->count[winner]++) {
			v->where[winner] = p + at;
			v->run[winner] = len - at;
		}
		at += best - 1;
	}
}

static void tell_family(const uint8_t *p, size_t len, struct loader_info *out)
{
	size_t at = 0, i, best = 0, second = FAMILIES_MAX;
	char text[sizeof(out->family_text)];
	struct votes v;

	votes_init(&v);
	while (at < len) {
		size_t n = 0;

		while (at + n < len && printable(p[at + n]))
			n++;
		if (n >= MARK_MIN)
			vote_run(&v, p + at, n);
		at += n + 1;
	}
	for (i = 1; i < FAMILIES_MAX; i++)
		if (v.count[i] > v.count[best])
			best = i;
	for (i = 0; i < FAMILIES_MAX; i++)
		if (i != best && v.count[i] && (second == FAMILIES_MAX || v.count[i] > v.count[second]))
			second = i;
	if (!v.count[best] || (second < FAMILIES_MAX && v.count[second] == v.count[best]))
		return;
	out->family = chip_family_at(best);
	out->family_sure = second == FAMILIES_MAX		      ? SURE_VERY
			   : v.count[best] >= 2 * v.count[second] + 1 ? SURE_GOOD
								      : SURE_FAIR;
	i = MIN(v.run[best], sizeof(text) - 1);
	memcpy(text, v.where[best], i);
	text[i] = '\0';
	text_clean(out->family_text, sizeof(out->family_text), text);
}

static void tell_version(const uint8_t *p, size_t len, struct loader_info *out)
{
	static const char mark[] = "Boot Block version ";
	const uint8_t *at = memmem(p, len, mark, sizeof(mark) - 1), *begin, *end;
	char text[sizeof(out->version)];
	size_t n;

	if (!at)
		return;
	for (begin = at; begin > p && printable(begin[-1]) && at - begin < 24; begin--)
		;
	for (end = at; end < p + len && printable(*end); end++)
		;
	n = MIN((size_t)(end - begin), sizeof(text) - 1);
	memcpy(text, begin, n);
	text[n] = '\0';
	text_clean(out->version, sizeof(out->version), text);
}

/* The MiB that most aligned pointers of a position-bound image lead into is the one it is linked to. */
static uint64_t pointer_home(const uint8_t *p, size_t len)
{
	unsigned count[1024] = { 0 }, best = 0, all = 0, i;
	size_t at;

	for (at = 0; at + 8 <= len; at += 8) {
		uint64_t v = get_le64(p + at);

		if (v >= 0x80000000u && v < 0xC0000000u) {
			count[(v >> 20) - 0x800]++;
			all++;
		}
	}
	for (i = 1; i < ARRAY_SIZE(count); i++)
		if (count[i] > count[best])
			best = i;
	return all >= 64 && count[best] * 2 > all ? (uint64_t)(best + 0x800) << 20 : 0;
}

static void tell_base(const uint8_t *p, size_t len, uint64_t header, int stage, struct loader_info *out)
{
	uint32_t word = len >= 32 ? get_le32(p) : 0;
	uint64_t link = 0;

	out->a64 = (word & 0xfc000000u) == 0x14000000u;
	if (len < 64)
		return;
	if (stage == 1 && word == A64_FDL1) {
		link = get_le32(p + 0x14);
		out->base_sure = SURE_VERY;
	} else if (word == A64_UBOOT) {
		link = get_le64(p + 8);
		out->base_sure = SURE_VERY;
	} else if (stage == 2) {
		link = pointer_home(p, len);
		out->base_sure = link ? SURE_FAIR : SURE_NOT;
	}
	if (!link || link > UINT32_MAX || link < header) {
		out->base_sure = SURE_NOT;
		return;
	}
	out->base = link - header;
}

int loader_inspect(const struct source *src, uint64_t offset, uint64_t size, int stage,
		   struct loader_info *out, struct failure *why)
{
	_cleanup_free_ uint8_t *buf = NULL;
	size_t len = (size_t)MIN(size, LOADER_READ_MAX), body;
	struct image_info image;
	int r;

	*out = (struct loader_info){ .size = size };
	if (!size)
		return 0;
	r = image_peek(src, offset, size, false, &image, why);
	if (r < 0)
		return r;
	buf = malloc(len);
	if (!buf)
		return pac_fail_memory(why);
	r = source_read(src, offset, buf, len);
	if (r < 0)
		return pac_fail_read(why, NULL, offset, len, r);
	out->present = true;
	out->dhtb = image.dhtb;
	body = (size_t)MIN(image.body_at, len);
	if (image.kind == IMAGE_SIHR && len - body >= 0xc0) {
		uint32_t header = get_le32(buf + body + 0xa4);

		if (image.load > header && image.load <= UINT32_MAX) {
			out->base = image.load - header;
			out->base_sure = SURE_VERY;
		}
	} else if (image.kind == IMAGE_UIMAGE && image.load > 0x40) {
		out->base = image.load - 0x40;
		out->base_sure = SURE_VERY;
	} else {
		tell_base(buf + body, len - body, body, stage, out);
	}
	tell_family(buf, len, out);
	tell_version(buf, len, out);
	out->second_enum = has(buf, len, "##PORT-SECOND-ENUM##");
	out->device_manager = has(buf, len, "#$DEVICE_MANAGER$#");
	out->lk = stage == 2 && has(buf, len, "welcome to lk");
	return 0;
}
