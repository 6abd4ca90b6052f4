/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the store remembers of a package, as text. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "station/kv.h"
#include "station/store.h"

#define WHAT	  "image"
#define VERSION	  1
#define TAGS_LINE 64u /* tags of one line */

void store_record_clear(struct store_record *rec)
{
	pac_body_free(rec->body);
	rec->body = NULL;
}

static void put_hex(struct kv *kv, const char *key, const uint8_t *bytes, size_t len)
{
	char text[2 * TAGS_LINE * TAG_SIZE + 1];

	for (size_t i = 0; i < len; i++)
		snprintf(text + 2 * i, 3, "%02x", bytes[i]);
	kv_str(kv, key, text);
}

static int digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* All of text; false: not hex of at most size bytes. */
static bool take_hex(const char *text, uint8_t *to, size_t size, size_t *len)
{
	size_t n = strlen(text);

	if (n % 2 || n / 2 > size)
		return false;
	for (size_t i = 0; i < n / 2; i++) {
		int high = digit(text[2 * i]), low = digit(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		to[i] = (uint8_t)(high << 4 | low);
	}
	*len = n / 2;
	return true;
}

int store_record_text(const struct store_record *rec, const struct pac_body *body, char **text, size_t *len)
{
	const struct digest_table *table = &body->digest;
	struct kv kv;
	int r;

	kv_begin(&kv, WHAT, VERSION);
	kv_str(&kv, "name", rec->name);
	kv_num(&kv, "size", table->size);
	kv_str(&kv, "product", rec->product);
	kv_str(&kv, "firmware", rec->firmware);
	kv_num(&kv, "imported-at", rec->imported_at);
	kv_num(&kv, "uid", rec->uid);
	kv_num(&kv, "accept-bad-crc", rec->accept_bad_crc);
	if (*rec->loader.family)
		kv_str(&kv, "family", rec->loader.family);
	if (*rec->loader.name)
		kv_str(&kv, "origin", rec->loader.name);
	if (*rec->loader.digest)
		kv_str(&kv, "origin-digest", rec->loader.digest);
	if (rec->loader.forced)
		kv_num(&kv, "forced", 1);
	if (rec->loader.by_number)
		kv_num(&kv, "by-number", 1);
	kv_num(&kv, "crc-ok", body->crc_ok);
	kv_num(&kv, "crc2", body->crc2);
	kv_num(&kv, "signed-images", body->dhtb_checked);
	for (size_t i = 0; i < body->doubts; i++) {
		kv_str(&kv, "doubt", body->doubt[i].text);
		kv_str(&kv, "doubt-entry", body->doubt[i].entry);
	}
	put_hex(&kv, "key", table->key.bytes, sizeof(table->key.bytes));
	for (size_t i = 0; i < table->count; i += TAGS_LINE)
		put_hex(&kv, "tags", table->tag[i], MIN(table->count - i, (size_t)TAGS_LINE) * TAG_SIZE);
	r = kv_end(&kv);
	if (r < 0) {
		kv_free(&kv);
		return r;
	}
	*text = kv.text;
	*len = kv.len;
	return 0;
}

struct reading {
	struct store_record *rec;
	struct tag_key key;
	bool keyed;
	size_t tags;
	int err;
};

static void take_doubt(struct reading *in, const char *text)
{
	struct pac_body *body = in->rec->body;
	struct pac_doubt *grown = realloc(body->doubt, (body->doubts + 1) * sizeof(*grown));

	if (!grown) {
		in->err = -ENOMEM;
		return;
	}
	body->doubt = grown;
	grown[body->doubts] = (struct pac_doubt){ 0 };
	kv_copy(grown[body->doubts++].text, sizeof(grown->text), text);
}

static void take_tags(struct reading *in, const char *text)
{
	struct digest_table *table = &in->rec->body->digest;
	uint8_t bytes[TAGS_LINE * TAG_SIZE];
	size_t len;

	if (!table->tag) /* size and key stand before them */
		in->err = in->keyed && in->rec->size && in->rec->size <= PACKAGE_SIZE_MAX
				  ? digest_table_init(table, &in->key, in->rec->size)
				  : -EBADMSG;
	if (in->err)
		return;
	if (!take_hex(text, bytes, sizeof(bytes), &len) || len % TAG_SIZE ||
	    len / TAG_SIZE > table->count - in->tags) {
		in->err = -EBADMSG;
		return;
	}
	memcpy(table->tag[in->tags], bytes, len);
	in->tags += len / TAG_SIZE;
}

static void on_line(void *user, const char *key, char *value)
{
	struct reading *in = user;
	struct store_record *rec = in->rec;
	struct pac_body *body = rec->body;
	size_t len;

	if (in->err)
		return;
	if (!strcmp(key, "name"))
		kv_copy(rec->name, sizeof(rec->name), value);
	else if (!strcmp(key, "size"))
		rec->size = kv_u64(value, 0);
	else if (!strcmp(key, "product"))
		kv_copy(rec->product, sizeof(rec->product), value);
	else if (!strcmp(key, "firmware"))
		kv_copy(rec->firmware, sizeof(rec->firmware), value);
	else if (!strcmp(key, "imported-at"))
		rec->imported_at = kv_u64(value, 0);
	else if (!strcmp(key, "uid"))
		rec->uid = (uint32_t)kv_u64(value, 0);
	else if (!strcmp(key, "accept-bad-crc"))
		rec->accept_bad_crc = kv_u64(value, 0);
	else if (!strcmp(key, "family"))
		kv_copy(rec->loader.family, sizeof(rec->loader.family), value);
	else if (!strcmp(key, "origin"))
		kv_copy(rec->loader.name, sizeof(rec->loader.name), value);
	else if (!strcmp(key, "origin-digest"))
		kv_copy(rec->loader.digest, sizeof(rec->loader.digest), value);
	else if (!strcmp(key, "forced"))
		rec->loader.forced = kv_u64(value, 0);
	else if (!strcmp(key, "by-number"))
		rec->loader.by_number = kv_u64(value, 0);
	else if (!strcmp(key, "crc-ok"))
		body->crc_ok = kv_u64(value, 0);
	else if (!strcmp(key, "crc2"))
		body->crc2 = (uint16_t)kv_u64(value, 0);
	else if (!strcmp(key, "signed-images"))
		body->dhtb_checked = (size_t)kv_u64(value, 0);
	else if (!strcmp(key, "doubt"))
		take_doubt(in, value);
	else if (!strcmp(key, "doubt-entry") && body->doubts)
		kv_copy(body->doubt[body->doubts - 1].entry, sizeof(body->doubt->entry), value);
	else if (!strcmp(key, "key"))
		in->keyed = take_hex(value, in->key.bytes, sizeof(in->key.bytes), &len) &&
			    len == sizeof(in->key.bytes);
	else if (!strcmp(key, "tags"))
		take_tags(in, value);
}

int store_record_parse(char *text, size_t len, struct store_record *rec)
{
	struct reading in = { .rec = rec };
	int r;

	rec->body = calloc(1, sizeof(*rec->body));
	if (!rec->body)
		return -ENOMEM;
	r = kv_parse(text, len, WHAT, VERSION, on_line, &in);
	if (!r)
		r = in.err;
	if (!r && (!rec->body->digest.tag || in.tags != rec->body->digest.count))
		r = -EBADMSG;
	if (r < 0)
		store_record_clear(rec);
	return r;
}
