/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Every reply parser on anything, in a block of exactly its size; and the link as a phone could drive it.
 * First byte: which.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "bsl/link.h"
#include "bsl/reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void text_is_clean(const char *text, size_t size, int newline)
{
	size_t n = strnlen(text, size);

	assert(n < size);
	for (size_t i = 0; i < n; i++)
		assert((text[i] >= ' ' && text[i] <= '~') || (newline && text[i] == '\n'));
}

static void parse(const uint8_t *p, size_t n)
{
	struct bsl_version version;
	struct bsl_capability cap;
	struct bsl_uid uid;
	struct bsl_partition row;
	struct bsl_log log;
	struct bsl_flash_info info;
	struct bsl_flash_type type;
	struct bsl_auth auth;
	char text[40];
	uint64_t v64;
	uint32_t v;
	int count;

	if (bsl_parse_version(p, n, &version) == 0)
		text_is_clean(version.text, sizeof(version.text), 0);
	if (bsl_parse_capability(p, n, &cap) == 0)
		assert(cap.raw_level <= 2);
	bsl_parse_uid(p, n, &uid);
	text_is_clean(uid.text, sizeof(uid.text), 0);
	assert((uid.kind == BSL_UID_NONE) == (uid.text[0] == '\0'));
	count = bsl_partition_count(n);
	for (int i = 0; i < count; i++)
		if (bsl_parse_partition(p, n, (size_t)i, &row) == 0)
			text_is_clean(row.name, sizeof(row.name), 0);
	if (bsl_parse_log(p, n, &log) == 0) {
		text_is_clean(log.text, sizeof(log.text), 1);
		assert(log.len <= n - 4);
	}
	bsl_parse_flash_info(p, n, &info);
	bsl_parse_flash_type(p, n, &type);
	bsl_parse_sector_size(p, n, &v);
	bsl_parse_chip_type(p, n, &v);
	bsl_parse_rf_type(p, n, &v);
	bsl_parse_actual_size(p, n, &v64);
	if (bsl_parse_auth(p, n, &auth) == 0)
		text_is_clean(auth.project, sizeof(auth.project), 0);
	bsl_parse_pac_version(p, n, text, sizeof(text));
	text_is_clean(text, sizeof(text), 0);
}

/* Each byte is an act of the owner or, behind a length, bytes of the phone. */
static void drive(const uint8_t *p, size_t n)
{
	struct bsl_link *link = bsl_link_new();
	uint64_t answers = 0;

	assert(link);
	bsl_link_arrived(link, BSL_STAGE_UNKNOWN, 64);
	while (n) {
		struct bsl_request request = { .command = p[0] & 0x7f };
		struct bsl_wire wire;
		struct bsl_reply reply;
		uint8_t act = *p++;

		n--;
		if (act & 0x80) {
			size_t len = (act & 0x3f) < n ? (act & 0x3f) : n, used;

			while (len) {
				int was = bsl_link_outstanding(link), drain = bsl_link_draining(link);
				enum bsl_event e = bsl_link_feed(link, p, len, &used, &reply);

				assert(used <= len);
				if (e == BSL_EVENT_REPLY || e == BSL_EVENT_REFUSED ||
				    e == BSL_EVENT_UNEXPECTED) {
					assert(was && !bsl_link_outstanding(link));
					answers++;
				}
				if (drain)
					assert(e == BSL_EVENT_NONE || e == BSL_EVENT_LATE);
				if (e == BSL_EVENT_SURPLUS)
					assert(!was);
				p += used;
				n -= used;
				len -= used;
			}
			continue;
		}
		switch (act % 11) {
		case 0: bsl_link_expire(link); break;
		case 1: bsl_link_drained(link); break;
		case 2: bsl_link_set_stage(link, (enum bsl_stage)(act / 11 % BSL_STAGE_COUNT)); break;
		case 3: bsl_link_probe(link, &wire); break;
		case 4: bsl_link_prepare(link, &request); break;
		case 5: bsl_link_send(link, &wire); break;
		case 6: bsl_link_set_plain(link); break;
		default: bsl_link_request(link, &request, &wire); break;
		}
		assert(!(bsl_link_outstanding(link) && bsl_link_draining(link)));
	}
	/* probes repeated are requests too, so there can be more of those */
	assert(answers <= bsl_link_counters(link)->requests);
	bsl_link_free(link);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	if (*data & 1) {
		drive(data + 1, size - 1);
	} else {
		uint8_t *exact = malloc(size - 1 ? size - 1 : 1);

		assert(exact);
		memcpy(exact, data + 1, size - 1);
		parse(exact, size - 1);
		free(exact);
	}
	return 0;
}
