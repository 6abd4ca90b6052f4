/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads a scheme as far as a packer has to, makes the payloads, lays them out. */
#include "tests/compose/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- reading the scheme, as far as a packer has to ---- */

bool layout_between(const char *begin, const char *end, const char *open, char close, char *out, size_t room)
{
	const char *at = strstr(begin, open), *stop;
	size_t n;

	out[0] = '\0';
	if (!at || at >= end)
		return false;
	at += strlen(open);
	stop = strchr(at, close);
	if (!stop || stop > end)
		return false;
	n = (size_t)(stop - at);
	if (n >= room)
		n = room - 1;
	memcpy(out, at, n);
	out[n] = '\0';
	return true;
}

static bool in_list(const char *list, const char *id)
{
	size_t n = strlen(id);

	while (list && *list) {
		size_t len = strcspn(list, ",");

		if (len == n && !strncasecmp(list, id, n))
			return true;
		list += len + (list[len] == ',');
	}
	return false;
}

static void read_file(struct layout *pl, const char *at, const char *end)
{
	struct part *p = &pl->part[pl->parts];
	const char *block;
	char number[40];
	size_t i;

	memset(p, 0, sizeof(*p));
	layout_between(at, end, "<ID>", '<', p->id, sizeof(p->id));
	if (!layout_between(at, end, "<IDAlias>", '<', p->alias, sizeof(p->alias)))
		strcpy(p->alias, p->id);
	layout_between(at, end, "<Type>", '<', p->type, sizeof(p->type));
	layout_between(at, end, "<Block id=\"", '"', p->block, sizeof(p->block));
	layout_between(at, end, "<Flag>", '<', number, sizeof(number));
	p->flag = atoi(number);
	layout_between(at, end, "<CheckFlag>", '<', number, sizeof(number));
	p->check = atoi(number);
	layout_between(at, end, "<Size>", '<', number, sizeof(number));
	p->block_size = strtoull(number, NULL, 16);
	for (block = at; p->addrs < 5 && layout_between(block, end, "<Base>", '<', number, sizeof(number));) {
		p->addr[p->addrs++] = (uint32_t)strtoull(number, NULL, 16);
		block = strstr(block, "<Base>") + 6;
	}
	for (i = 0; i < pl->parts; i++)
		p->nth += !strcasecmp(pl->part[i].id, p->id);
	p->ticked = !in_list(pl->spec->untick, p->id);
	p->left = in_list(pl->spec->leave, p->id);
	pl->parts++;
}

/* ---- payloads ---- */

static uint64_t mix(const struct layout *pl, const struct part *p)
{
	uint64_t h = pl->spec->seed + 0x51ed270b * (p->nth + 1);
	const char *c;

	for (c = p->id; *c; c++)
		h = (h ^ (uint8_t)*c) * 0x100000001b3u;
	return next_random(&h);
}

static void made_loader(const struct layout *pl, struct part *p, int stage)
{
	uint8_t body[3000];

	compose_random(mix(pl, p), body, sizeof(body));
	memset(body, 0, 64);
	w32(body, stage == 1 ? 0x14000008 : 0x1400000a);
	if (stage == 1)
		w32(body + 0x14, p->addr[0] + 0x200);
	else
		w64(body + 8, p->addr[0] + 0x200);
	snprintf((char *)body + 64, 64, "made FDL%d", stage);
	if (stage == 1)
		strcpy((char *)body + 160, "Spreadtrum Boot Block version 1.1");
	p->data = compose_sign(body, sizeof(body), &p->len);
}

static bool starts(const char *text, const char *with)
{
	return !strncasecmp(text, with, strlen(with));
}

static bool boot_chain(const struct part *p)
{
	return starts(p->id, "SPLLoader") || starts(p->id, "UBOOT") || starts(p->id, "Trustos") ||
	       starts(p->id, "SML") || starts(p->id, "Teecfg");
}

static void made_nv(const struct layout *pl, struct part *p)
{
	size_t count;
	uint16_t *ids = compose_nv_ids(pl->xml, &count);
	struct compose_nv nv = { .seed = mix(pl, p),
				 .ids = ids,
				 .id_count = count,
				 .multi = pl->spec->multi_nv,
				 .seal = pl->spec->sealed_nv };

	p->data = compose_nv(&nv, &p->len);
	free(ids);
}

static void made_image(const struct layout *pl, struct part *p)
{
	uint64_t seed = mix(pl, p), r = seed;
	size_t size = pl->spec->image_bytes ? pl->spec->image_bytes : 20000;

	size = size / 2 + next_random(&r) % (size + 1) + 2049;
	size |= next_random(&r) % 3 != 0; /* two of three are odd */
	if (!p->block[0] && p->block_size && size > p->block_size)
		size = (size_t)p->block_size - 3;
	if (strstr(p->type, "_IMG2")) {
		struct compose_sparse s = { .seed = seed, .chunks = 6 + (uint32_t)(size / 4096) };

		p->data = compose_sparse(&s, &p->len);
		return;
	}
	p->len = size;
	p->data = must(malloc(size));
	if (starts(p->id, "BOOT") || starts(p->id, "Recovery"))
		compose_boot(seed, p->data, size);
	else
		compose_random(seed, p->data, size);
	if (starts(p->block, "vbmeta")) {
		uint8_t *plain = p->data;

		memcpy(plain, "AVB0", 4);
		p->data = compose_sign_tail(plain, size < 4096 ? size : 4096, size < 8192 ? 8192 : size,
					    &p->len);
		free(plain);
	} else if (boot_chain(p) && p->block[0] && !pl->spec->plain_boot) {
		uint8_t *plain = p->data;

		p->data = compose_sign(plain, size, &p->len);
		free(plain);
	}
}

static void *copy(const void *data, size_t len)
{
	void *p = must(malloc(len + 1));

	memcpy(p, data, len);
	return p;
}

static void fill_part(struct layout *pl, struct part *p)
{
	const struct compose_spec *s = pl->spec;
	const char *dot = starts(p->id, "NV") ? "_nvitem.bin" : ".bin";
	size_t i;

	if (p->flag != 1 || p->left || !p->ticked)
		return;
	snprintf(p->name, sizeof(p->name), "%s%s", p->id, dot);
	for (i = 0; i < s->files; i++)
		if (!strcasecmp(s->file[i].id, p->id) && s->file[i].nth == p->nth) {
			p->data = copy(s->file[i].data, s->file[i].len);
			p->len = s->file[i].len;
			if (s->file[i].name)
				snprintf(p->name, sizeof(p->name), "%s", s->file[i].name);
			return;
		}
	if (in_list(s->empty, p->id))
		return;
	if (!strcasecmp(p->id, "FDL") && s->fdl1) {
		p->data = copy(s->fdl1, s->fdl1_len);
		p->len = s->fdl1_len;
	} else if (!strcasecmp(p->id, "FDL2") && s->fdl2) {
		p->data = copy(s->fdl2, s->fdl2_len);
		p->len = s->fdl2_len;
	} else if (!strcasecmp(p->id, "FDL") || !strcasecmp(p->id, "FDL2")) {
		made_loader(pl, p, p->id[3] ? 2 : 1);
	} else if (starts(p->id, "NV")) {
		made_nv(pl, p);
	} else {
		made_image(pl, p);
	}
}

static void make_huge(struct layout *pl)
{
	static const char *const big[] = { "Super", "System", "UserData" };
	size_t i, k;

	for (k = 0; pl->spec->huge && k < 3; k++)
		for (i = 0; i < pl->parts; i++)
			if (!strcasecmp(pl->part[i].id, big[k])) {
				free(pl->part[i].data);
				pl->part[i].data = NULL;
				pl->part[i].huge = pl->spec->huge;
				return;
			}
}

/* ---- layout ---- */

void layout_free(struct layout *pl)
{
	size_t i;

	for (i = 0; i < pl->parts; i++)
		free(pl->part[i].data);
	free(pl->xml);
	free(pl);
}

static int load_scheme(struct layout *pl)
{
	const struct compose_spec *s = pl->spec;
	const char *at, *end;

	if (s->xml) {
		pl->xml_len = s->xml_len ? s->xml_len : strlen(s->xml);
		pl->xml = must(calloc(1, pl->xml_len + 1));
		memcpy(pl->xml, s->xml, pl->xml_len);
	} else {
		pl->xml = compose_scheme(s->family ? s->family : "sc9863a");
		if (!pl->xml)
			return -1;
		pl->xml_len = strlen(pl->xml);
	}
	for (at = pl->xml; (at = strstr(at, "<File")); at = end) {
		if (at[5] != '>' && at[5] != ' ') {
			end = at + 5;
			continue;
		}
		end = strstr(at, "</File>");
		if (!end || pl->parts == FILES)
			break;
		read_file(pl, at, end);
	}
	return 0;
}

static void order_parts(struct layout *pl)
{
	uint64_t seed = pl->spec->seed ^ 0xa11;
	size_t i, kept = 0;

	for (i = 0; i < pl->parts; i++)
		if (!pl->part[i].left)
			pl->part[kept++] = pl->part[i];
		else
			free(pl->part[i].data);
	pl->parts = kept;
	for (i = kept; pl->spec->shuffle && i > 1; i--) {
		size_t k = next_random(&seed) % i;
		struct part tmp = pl->part[i - 1];

		pl->part[i - 1] = pl->part[k];
		pl->part[k] = tmp;
	}
}

struct layout *layout_make(const struct compose_spec *spec)
{
	struct layout *pl = must(calloc(1, sizeof(*pl)));
	struct part *x;
	uint64_t at;
	size_t i;

	pl->spec = spec;
	if (load_scheme(pl) < 0) {
		layout_free(pl);
		return NULL;
	}
	for (i = 0; i < pl->parts; i++)
		fill_part(pl, &pl->part[i]);
	make_huge(pl);
	order_parts(pl);
	x = &pl->part[pl->parts++];
	memset(x, 0, sizeof(*x));
	x->flag = 2;
	x->data = copy(pl->xml, pl->xml_len);
	x->len = pl->xml_len;
	strcpy(x->name, "made.xml");
	if (spec->damage == COMPOSE_XML_FIRST) {
		struct part tmp = pl->part[0];

		pl->part[0] = *x;
		*x = tmp;
	}
	at = HEADER + pl->parts * ENTRY;
	for (i = 0; i < pl->parts; i++) {
		if (spec->damage == COMPOSE_GAP && i == 2)
			at += 512;
		pl->part[i].offset = at;
		at += layout_length(&pl->part[i]);
	}
	pl->size = at;
	return pl;
}
