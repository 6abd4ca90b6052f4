/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pac/image_check.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "pac/fail.h"
#include "pac/sparse_scan.h"

struct image_check {
	struct image_info info;
	uint64_t size;
	EVP_MD_CTX *md; /* NULL: no hash to compare with */
	struct sparse_scan scan;
};

static bool has_hash(const struct dhtb_info *d)
{
	static const uint8_t none[32];

	return d->present && memcmp(d->hash, none, sizeof(none)) != 0;
}

bool image_check_wanted(const struct image_info *info)
{
	return has_hash(&info->dhtb) || info->kind == IMAGE_SPARSE;
}

int image_check_new(const struct image_info *info, uint64_t size, struct image_check **out)
{
	struct image_check *c = calloc(1, sizeof(*c));

	*out = NULL;
	if (!c)
		return -ENOMEM;
	c->info = *info;
	c->size = size;
	if (has_hash(&info->dhtb)) {
		c->md = EVP_MD_CTX_new();
		if (!c->md || EVP_DigestInit_ex(c->md, EVP_sha256(), NULL) != 1) {
			image_check_free(c);
			return -ENOMEM;
		}
	}
	sparse_scan_begin(&c->scan, info->body_at);
	*out = c;
	return 0;
}

void image_check_free(struct image_check *c)
{
	if (!c)
		return;
	EVP_MD_CTX_free(c->md);
	free(c);
}

int image_check_feed(struct image_check *c, uint64_t offset, const uint8_t *bytes, size_t len)
{
	uint64_t at = c->info.dhtb.payload_at, from = MAX(at, offset),
		 to = MIN(at + c->info.dhtb.payload_size, offset + len);

	if (c->info.kind == IMAGE_SPARSE)
		sparse_scan_take(&c->scan, offset, bytes, len);
	if (c->md && from < to && EVP_DigestUpdate(c->md, bytes + (from - offset), (size_t)(to - from)) != 1)
		return -EIO;
	return 0;
}

static void begins(const uint8_t *sum, char out[17])
{
	for (size_t i = 0; i < 8; i++)
		snprintf(out + 2 * i, 3, "%02x", sum[i]);
}

int image_check_end(struct image_check *c, bool hash_accepted, struct failure *why)
{
	uint8_t sum[EVP_MAX_MD_SIZE];
	char want[17], got[17];

	if (c->info.kind == IMAGE_SPARSE && (!sparse_scan_whole(&c->scan) || c->scan.next > c->size))
		return pac_fail(why, ERR_PACKAGE_SPARSE, NULL, c->scan.next,
				c->scan.bad ? "a chunk of the sparse image is damaged"
					    : "the chunks make %llu bytes, the header says %llu",
				(unsigned long long)c->scan.out, (unsigned long long)c->info.expanded);
	if (!c->md || hash_accepted)
		return 0;
	if (EVP_DigestFinal_ex(c->md, sum, NULL) != 1)
		return pac_fail_memory(why);
	if (!memcmp(sum, c->info.dhtb.hash, sizeof(c->info.dhtb.hash)))
		return 0;
	begins(c->info.dhtb.hash, want);
	begins(sum, got);
	return pac_fail(why, ERR_PACKAGE_IMAGE_DAMAGED, NULL, c->info.dhtb.payload_at,
			"SHA-256 of %llu signed bytes begins %s, its header says %s",
			(unsigned long long)c->info.dhtb.payload_size, got, want);
}
