/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/bus/storecheck.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEADER	  2124u
#define ENTRY	  2580u
#define FILES	  160u
#define KEPT	  8u
#define NV_ROOM	  (4u << 20)
#define PIECE	  (1u << 20)
#define SECTOR	  4096u /* what an erase takes along behind the last byte */
#define SPL_BLOCK 512u	/* the phone puts its check sum there */

struct file {
	char id[64], type[32];
	char place[40]; /* as the phone calls it; "" = not on the storage */
	const uint8_t *data;
	uint64_t len;
	bool kept;
};

struct pac_map {
	const uint8_t *p;
	uint64_t len;
	char *xml;
	struct file file[FILES];
	size_t files;
};

struct store_before {
	uint8_t *nv;
	size_t nv_len;
	char nv_place[40];
	struct {
		char place[40];
		uint8_t *data;
		uint64_t len;
	} area[KEPT];
	size_t areas;
};

static _Noreturn void die(const char *what, const char *which)
{
	fprintf(stderr, "%s: %s\n", what, which ? which : strerror(errno));
	exit(99);
}

static void *need(void *p)
{
	if (!p)
		die("out of memory", NULL);
	return p;
}

/* ---- the package ------------------------------------------------------------------------------------- */

static uint32_t u32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint16_t u16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static bool text16_is(const uint8_t *wide, const char *text)
{
	size_t i;

	for (i = 0; i < 255 && text[i]; i++)
		if (u16(wide + 2 * i) != (uint8_t)text[i])
			return false;
	return u16(wide + 2 * i) == 0;
}

/* The nth entry of an ID that is ticked; false: none, or without bytes. */
static bool entry_data(const struct pac_map *m, const char *id, unsigned int nth, const uint8_t **data,
		       uint64_t *len)
{
	uint32_t count = u32(m->p + 1076);

	for (uint32_t i = 0; i < count; i++) {
		const uint8_t *e = m->p + HEADER + (uint64_t)i * ENTRY;
		uint64_t at;

		if (!text16_is(e + 4, id) || nth--)
			continue;
		*len = (uint64_t)u32(e + 1532) << 32 | u32(e + 1540);
		at = (uint64_t)u32(e + 1536) << 32 | u32(e + 1552);
		if (!u32(e + 1548) || !*len || at + *len > m->len)
			return false;
		*data = m->p + at;
		return true;
	}
	return false;
}

static bool ticked(const struct pac_map *m, const char *id)
{
	uint32_t count = u32(m->p + 1076);

	for (uint32_t i = 0; i < count; i++) {
		const uint8_t *e = m->p + HEADER + (uint64_t)i * ENTRY;

		if (text16_is(e + 4, id))
			return u32(e + 1548) != 0;
	}
	return false;
}

/* What stands between two marks before `end`; "" if it is not there. */
static void inner(const char *from, const char *end, const char *open, char close, char *out, size_t room)
{
	const char *a = strstr(from, open), *b;

	out[0] = '\0';
	if (!a || a >= end)
		return;
	a += strlen(open);
	b = strchr(a, close);
	if (!b || b > end || (size_t)(b - a) >= room)
		return;
	memcpy(out, a, (size_t)(b - a));
	out[b - a] = '\0';
}

/* The phone's name of an address or logical id; a file system's four letters come as the size of an erase. */
static void by_number(const struct phone_profile *profile, uint32_t base, uint32_t size, char *out,
		      size_t room)
{
	uint32_t id = base == 0xfe000006 ? size : base;

	for (size_t i = 0; i < profile->part_count; i++)
		if (profile->parts[i].id && profile->parts[i].id == id)
			snprintf(out, room, "%s", profile->parts[i].name);
}

static void read_file(struct pac_map *m, const struct phone_profile *profile, const char *at, const char *end)
{
	struct file *f = &m->file[m->files];
	char number[40], size[40], attrs[128];
	unsigned int nth = 0;

	memset(f, 0, sizeof(*f));
	inner(at, end, "<ID>", '<', f->id, sizeof(f->id));
	inner(at, end, "<Type>", '<', f->type, sizeof(f->type));
	inner(at, end, "<Block id=\"", '"', f->place, sizeof(f->place));
	inner(at, end, "<Base>", '<', number, sizeof(number));
	inner(at, end, "<Size>", '<', size, sizeof(size));
	inner(at, end, "<File", '>', attrs, sizeof(attrs));
	f->kept = strstr(attrs, "backup=\"1\"") != NULL;
	if (!f->place[0])
		by_number(profile, (uint32_t)strtoull(number, NULL, 16), (uint32_t)strtoull(size, NULL, 16),
			  f->place, sizeof(f->place));
	if (strstr(f->type, "FDL"))
		f->place[0] = '\0';
	/* two boot loaders for two kinds of storage: one of them is this phone's */
	if ((strstr(f->id, "EMMC") && profile->store == PHONE_UFS) ||
	    (strstr(f->id, "UFS") && profile->store != PHONE_UFS))
		f->place[0] = '\0';
	for (size_t i = 0; i < m->files; i++)
		nth += !strcmp(m->file[i].id, f->id);
	if (!entry_data(m, f->id, nth, &f->data, &f->len))
		f->data = NULL;
	m->files++;
}

static void map_open(struct pac_map *m, const struct phone_profile *profile, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	void *p;

	memset(m, 0, sizeof(*m));
	if (fd < 0 || fstat(fd, &st) < 0 || st.st_size < (off_t)HEADER)
		die(path, NULL);
	m->len = (uint64_t)st.st_size;
	p = mmap(NULL, m->len, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		die("mmap", NULL);
	close(fd);
	m->p = p;
	if (HEADER + (uint64_t)u32(m->p + 1076) * ENTRY > m->len)
		die(path, "its table does not fit it");
	for (uint32_t i = 0; i < u32(m->p + 1076); i++) {
		const uint8_t *e = m->p + HEADER + (uint64_t)i * ENTRY;
		uint64_t at = u32(e + 1552), len = u32(e + 1540);

		if (u32(e + 1544) == 2 && at + len <= m->len) {
			m->xml = need(calloc(1, len + 1));
			memcpy(m->xml, m->p + at, len);
		}
	}
	if (!m->xml)
		die(path, "no scheme in it");
	for (const char *at = m->xml, *end; (at = strstr(at, "<File")) && m->files < FILES; at = end) {
		end = strstr(at, "</File>");
		if (!end)
			break;
		if (at[5] == '>' || at[5] == ' ')
			read_file(m, profile, at, end);
	}
}

static void map_close(struct pac_map *m)
{
	munmap((void *)(uintptr_t)m->p, m->len);
	free(m->xml);
}

static bool is_nv(const struct file *f)
{
	return !strncmp(f->type, "NV", 2);
}

static bool is_erase(const struct file *f)
{
	return !strncmp(f->type, "Erase", 5);
}

/* ---- before ------------------------------------------------------------------------------------------- */

static void keep_area(struct store_before *b, const struct phone *phone, const char *place)
{
	uint64_t len;

	if (b->areas == KEPT || !phone_storage_size(phone, place, &len) || len > (64u << 20))
		return;
	b->area[b->areas].data = need(malloc(len ? len : 1));
	b->area[b->areas].len = len;
	if (!phone_storage_read(phone, place, 0, b->area[b->areas].data, len))
		die("cannot read", place);
	snprintf(b->area[b->areas++].place, sizeof(b->area[0].place), "%s", place);
}

struct store_before *store_before(const struct phone *phone, const char *path)
{
	struct store_before *b = need(calloc(1, sizeof(*b)));
	struct pac_map m;

	map_open(&m, phone_profile(phone), path);
	for (size_t i = 0; i < m.files; i++) {
		const struct file *f = &m.file[i];
		size_t len = NV_ROOM;

		if (!f->place[0])
			continue;
		if (is_nv(f) && !b->nv) {
			b->nv = need(malloc(NV_ROOM));
			if (phone_nv_read(phone, f->place, b->nv, &len))
				b->nv_len = len;
			snprintf(b->nv_place, sizeof(b->nv_place), "%s", f->place);
		} else if (f->kept && !is_nv(f)) {
			keep_area(b, phone, f->place);
		}
	}
	map_close(&m);
	return b;
}

void store_before_free(struct store_before *b)
{
	if (!b)
		return;
	for (size_t i = 0; i < b->areas; i++)
		free(b->area[i].data);
	free(b->nv);
	free(b);
}

/* ---- comparing ---------------------------------------------------------------------------------------- */

struct look {
	const struct phone *phone;
	struct store_report *r;
	const struct file *f;
	uint64_t skip; /* bytes at the beginning that somebody else has written later */
	uint8_t *buffer;
};

static void differs(struct look *l, uint64_t offset, const char *what)
{
	if (!l->r->wrong[0])
		snprintf(l->r->wrong, sizeof(l->r->wrong), "%s in %s at byte %" PRIu64 ": %s", l->f->id,
			 l->f->place, offset, what);
}

/* want NULL: every byte is `fill`, which repeats. */
static bool span(struct look *l, uint64_t at, const uint8_t *want, uint32_t fill, uint64_t len)
{
	for (uint64_t done = 0; done < len;) {
		size_t n = len - done < PIECE ? (size_t)(len - done) : PIECE;

		if (!phone_storage_read(l->phone, l->f->place, at + done, l->buffer, n)) {
			differs(l, at + done, "no such place on the phone");
			return false;
		}
		for (size_t i = 0; i < n; i++) {
			uint8_t byte = want ? want[done + i] : (uint8_t)(fill >> 8 * ((done + i) % 4));

			if (at + done + i < l->skip || l->buffer[i] == byte)
				continue;
			differs(l, at + done + i, "another byte");
			return false;
		}
		done += n;
	}
	l->r->bytes += len;
	return true;
}

static bool sparse(struct look *l, const uint8_t *p, uint64_t len)
{
	uint32_t block = u32(p + 12), chunks = u32(p + 20);
	uint64_t in = u16(p + 8), out = 0;

	for (uint32_t i = 0; i < chunks && in + 12 <= len; i++) {
		const uint8_t *c = p + in;
		uint64_t bytes = (uint64_t)u32(c + 4) * block;

		if (u16(c) == 0xcac1 && !span(l, out, c + 12, 0, bytes))
			return false;
		if (u16(c) == 0xcac2 && !span(l, out, NULL, u32(c + 12), bytes))
			return false;
		if (u16(c) != 0xcac4)
			out += bytes;
		in += u32(c + 8);
	}
	return true;
}

static void image(struct look *l)
{
	const struct file *f = l->f;

	if (!strcmp(f->place, "splloader") && l->skip < SPL_BLOCK)
		l->skip = SPL_BLOCK;
	if (f->len > 28 && u32(f->data) == 0xed26ff3a ? sparse(l, f->data, f->len)
						      : span(l, 0, f->data, 0, f->len))
		l->r->images++;
}

static void erased(struct look *l)
{
	uint64_t len = 0, bytes = l->r->bytes;
	uint32_t fill = phone_profile(l->phone)->erased * 0x01010101u;

	if (phone_storage_size(l->phone, l->f->place, &len) && span(l, 0, NULL, fill, len))
		l->r->erased++;
	l->r->bytes = bytes; /* only what came from the package counts */
}

/* The phone leaves marks of its own in miscdata; they are taken over into what is expected. */
static void take_marks(struct look *l, const char *place, uint8_t *data, uint64_t len)
{
	for (size_t i = 0; i < phone_deeds(l->phone); i++) {
		const struct phone_deed *deed = phone_deed(l->phone, i);

		if (deed->kind == PHONE_DEED_MISC && !strcmp(deed->name, place) && deed->offset < len &&
		    deed->length <= len - deed->offset)
			phone_storage_read(l->phone, place, deed->offset, data + deed->offset, deed->length);
	}
}

static void kept(struct look *l, const struct store_before *b)
{
	uint64_t bytes = l->r->bytes;

	for (size_t i = 0; i < b->areas; i++) {
		if (strcmp(b->area[i].place, l->f->place))
			continue;
		take_marks(l, b->area[i].place, b->area[i].data, b->area[i].len);
		l->r->kept += span(l, 0, b->area[i].data, 0, b->area[i].len);
	}
	l->r->bytes = bytes;
}

static const uint8_t *nv_find(const uint8_t *nv, size_t len, uint16_t id, size_t *size)
{
	for (size_t at = 4; at + 4 <= len; at += 4u + ((*size + 3u) & ~(size_t)3)) {
		*size = u16(nv + at + 2);
		if (u16(nv + at) == 0xffff || at + 4 + *size > len)
			break;
		if (u16(nv + at) == id)
			return nv + at + 4;
	}
	return NULL;
}

/* Every item of the package must be there, as the package has it or as the phone had it; some must be its
 * own. */
static void nv(struct look *l, const struct store_before *b)
{
	uint8_t *now = need(malloc(NV_ROOM));
	size_t len = NV_ROOM, size, size_now, size_was;

	if (!phone_nv_read(l->phone, l->f->place, now, &len)) {
		differs(l, 0, "no valid NV");
		len = 0;
	}
	for (size_t at = 4; len && at + 4 <= l->f->len; at += 4u + ((size + 3u) & ~(size_t)3)) {
		uint16_t id = u16(l->f->data + at);
		const uint8_t *is, *was;

		size = u16(l->f->data + at + 2);
		if (id == 0xffff || at + 4 + size > l->f->len)
			break;
		is = nv_find(now, len, id, &size_now);
		was = nv_find(b->nv, b->nv_len, id, &size_was);
		if (is && size_now == size && !memcmp(is, l->f->data + at + 4, size))
			l->r->nv_new++;
		else if (is && was && size_now == size_was && !memcmp(is, was, size_was))
			l->r->nv_own++;
		else
			differs(l, at, "an NV item that is neither the package's nor the phone's own");
	}
	if (len && b->nv_len && !l->r->nv_own)
		differs(l, 0, "no NV item is the phone's own");
	free(now);
}

size_t store_used_nv(const char *path, const struct phone_profile *profile, uint64_t seed, uint8_t *out,
		     size_t room)
{
	static const uint16_t own[] = { 5, 2, 0x179, 0x191, 0x19a, 0x1b4, 0x1f0, 0x26e, 0x26f };
	struct pac_map m;
	size_t len = 0;

	map_open(&m, profile, path);
	for (size_t i = 0; i < m.files && !len; i++)
		if (is_nv(&m.file[i]) && m.file[i].data && m.file[i].len <= room) {
			len = m.file[i].len;
			memcpy(out, m.file[i].data, len);
		}
	map_close(&m);
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
		size_t size;
		uint8_t *item = (uint8_t *)(uintptr_t)nv_find(out, len, own[i], &size);

		/* the first word of an item may be its version */
		for (size_t k = 2; item && k < size; k++)
			item[k] = (uint8_t)(item[k] + seed + k);
	}
	return len;
}

void store_check(const struct phone *phone, const char *path, const struct store_before *before,
		 struct store_report *report)
{
	struct look l = { .phone = phone, .r = report, .buffer = need(malloc(PIECE)) };
	struct pac_map m;

	memset(report, 0, sizeof(*report));
	map_open(&m, phone_profile(phone), path);
	for (size_t i = 0; i < m.files; i++) {
		bool written_later = false;

		l.f = &m.file[i];
		l.skip = 0;
		if (!l.f->place[0] || (is_erase(l.f) && !ticked(&m, l.f->id)))
			continue;
		for (size_t k = i + 1; k < m.files; k++) {
			const struct file *later = &m.file[k];

			if (strcmp(later->place, l.f->place) || !later->data || is_erase(later))
				continue;
			written_later = true;
			l.skip = (later->len + SECTOR - 1) / SECTOR * SECTOR;
		}
		if (is_nv(l.f) && l.f->data)
			nv(&l, before);
		else if (l.f->kept)
			kept(&l, before);
		else if (is_erase(l.f) && !written_later)
			erased(&l);
		else if (l.f->data && !is_nv(l.f))
			image(&l);
	}
	map_close(&m);
	free(l.buffer);
}
