/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>

#include "bsl/reply.h"
#include "common/util.h"
#include "tests/unit/bsl_oracle.h"

static void test_version(void **state)
{
	struct bsl_version v;

	assert_int_equal(bsl_parse_version((const uint8_t *)"SPRD3", 6, &v), 0);
	assert_true(v.sprd3 && !v.autodownloader && !v.boot_block);
	assert_string_equal(v.text, "SPRD3");
	assert_int_equal(bsl_parse_version((const uint8_t *)"SPRD4:AutoD", 12, &v), 0);
	assert_true(v.autodownloader && !v.sprd3);
	assert_int_equal(bsl_parse_version((const uint8_t *)"Spreadtrum Boot Block version 1.1", 34, &v), 0);
	assert_true(v.boot_block);
	assert_int_equal(bsl_parse_version((const uint8_t *)"a\xff\x01z", 4, &v), 0);
	assert_string_equal(v.text, "a??z");
	assert_int_equal(bsl_parse_version((const uint8_t *)"", 1, &v), -EBADMSG);
	assert_int_equal(bsl_parse_version((const uint8_t *)"", 0, &v), -EBADMSG);
	{
		uint8_t text[500];

		memset(text, 'x', sizeof(text));
		assert_int_equal(bsl_parse_version(text, sizeof(text), &v), 0);
		assert_int_equal(strlen(v.text), sizeof(v.text) - 1);
	}
}

static void test_capability_flat(void **state)
{
	uint8_t p[256] = { 2, 0, 0, 0, 1, 0, 0, 0 };
	struct bsl_capability c;

	assert_int_equal(bsl_parse_capability(p, 256, &c), 0);
	assert_int_equal(c.form, BSL_CAP_FLAT);
	assert_int_equal(c.version, 2);
	assert_true(c.disable_transcode);
	assert_int_equal(c.raw_level, 0);
	assert_int_equal(c.warnings, 0);
	/* version 2 never offers raw, whatever the byte says */
	p[9] = 2;
	p[8] = 6;
	put_le32(p + 12, 2048);
	assert_int_equal(bsl_parse_capability(p, 256, &c), 0);
	assert_int_equal(c.raw_level, 0);
	assert_int_equal(c.old_memory, 6);
	assert_int_equal(c.flush_bytes, 2048 * 1024);
	p[0] = 4;
	assert_int_equal(bsl_parse_capability(p, 256, &c), 0);
	assert_int_equal(c.raw_level, 2);
	p[9] = 7;
	assert_int_equal(bsl_parse_capability(p, 256, &c), 0);
	assert_int_equal(c.raw_level, 0);
	put_le32(p + 16, 0x103);
	assert_int_equal(bsl_parse_capability(p, 256, &c), 0);
	assert_int_equal(c.storage, BSL_STORAGE_UFS);
	assert_false(c.handshake);
	put_le32(p + 16, 2);
	assert_int_equal(bsl_parse_capability(p, 256, &c), 0);
	assert_true(c.handshake);
	assert_int_equal(c.handshake_kind, 2);
	assert_int_equal(c.storage, BSL_STORAGE_UNKNOWN);
	/* version 1 is eight bytes */
	p[0] = 1;
	assert_int_equal(bsl_parse_capability(p, 8, &c), 0);
	assert_true(c.disable_transcode && !c.flush_bytes && !c.warnings);
	p[0] = 3;
	assert_int_equal(bsl_parse_capability(p, 10, &c), 0);
	assert_int_equal(c.warnings, BSL_CAP_WARN_TRUNCATED);
	assert_int_equal(bsl_parse_capability(p, 4, &c), 0);
	assert_int_equal(c.warnings, BSL_CAP_WARN_TRUNCATED);
	assert_false(c.disable_transcode);
}

static void test_capability_tlv(void **state)
{
	uint8_t p[600];
	size_t n = oracle_hex(
		"6e 65 77 74 00 00 04 00 01 00 00 00 01 00 01 00 00 02 00 01 00 02 03 00 04 00 00 08 00 00 05 "
		"00 08 00 ff ff ff ff ff ff ff ff 06 00 04 00 02 01 00 00",
		p);
	struct bsl_capability c;

	assert_int_equal(n, 0x32);
	assert_int_equal(bsl_parse_capability(p, n, &c), 0);
	assert_int_equal(c.form, BSL_CAP_TLV);
	assert_true(c.disable_transcode && c.has_time_stamp && c.lk && !c.handshake && !c.log_dump);
	assert_int_equal(c.raw_level, 2);
	assert_int_equal(c.flush_bytes, 2u << 20);
	assert_int_equal(c.storage, BSL_STORAGE_EMMC);
	assert_int_equal(c.time_stamp[7], 0xff);
	assert_int_equal(c.warnings, 0);
	assert_int_equal(c.unknown_items, 0);
	/* unknown in front of known */
	n = oracle_hex("6e 65 77 74 99 00 03 00 01 02 03 07 00 04 00 01 00 00 00 00", p);
	assert_int_equal(bsl_parse_capability(p, n, &c), 0);
	assert_int_equal(c.unknown_items, 1);
	assert_true(c.log_dump && c.lk);
	assert_int_equal(c.warnings, 0);
	/* known, but of another length */
	n = oracle_hex("6e 65 77 74 00 00 02 00 01 00 02 00 01 00 01", p);
	assert_int_equal(bsl_parse_capability(p, n, &c), 0);
	assert_int_equal(c.warnings, BSL_CAP_WARN_LENGTH);
	assert_false(c.disable_transcode);
	assert_int_equal(c.raw_level, 1);
	/* cut inside a value, and inside a header */
	n = oracle_hex("6e 65 77 74 02 00 01 00 01 03 00 04 00 00", p);
	assert_int_equal(bsl_parse_capability(p, n, &c), 0);
	assert_int_equal(c.warnings, BSL_CAP_WARN_TRUNCATED);
	assert_int_equal(c.raw_level, 1);
	n = oracle_hex("6e 65 77 74 03 00 04", p);
	assert_int_equal(bsl_parse_capability(p, n, &c), 0);
	assert_int_equal(c.warnings, BSL_CAP_WARN_TRUNCATED);
	/* a demand for a handshake is one, whole or cut */
	memset(p, 0, sizeof(p));
	oracle_hex("6e 65 77 74 04 00 04 01 02", p);
	assert_int_equal(bsl_parse_capability(p, 8 + 260, &c), 0);
	assert_true(c.handshake);
	assert_int_equal(c.handshake_kind, 2);
	assert_int_equal(bsl_parse_capability(p, 100, &c), 0);
	assert_true(c.handshake);
}

static void test_capability_odd(void **state)
{
	struct bsl_capability c;
	uint8_t p[64] = { 9 };

	assert_int_equal(bsl_parse_capability(p, 0, &c), 0);
	assert_int_equal(c.form, BSL_CAP_NONE);
	assert_int_equal(c.warnings, 0);
	for (size_t n = 1; n < 4; n++)
		assert_int_equal(bsl_parse_capability(p, n, &c), -EBADMSG);
	assert_int_equal(bsl_parse_capability(p, 64, &c), 0);
	assert_int_equal(c.form, BSL_CAP_NONE);
	assert_int_equal(c.warnings, BSL_CAP_WARN_FORM);
	p[0] = 0;
	assert_int_equal(bsl_parse_capability(p, 4, &c), 0);
	assert_int_equal(c.warnings, BSL_CAP_WARN_FORM);
}

static void test_uid(void **state)
{
	static const char sha[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
	uint8_t p[80] = { 0 };
	struct bsl_uid u;

	assert_int_equal(bsl_parse_uid((const uint8_t *)sha, 64, &u), 0);
	assert_int_equal(u.kind, BSL_UID_SHA256);
	assert_string_equal(u.text, sha);
	assert_int_equal(bsl_parse_uid((const uint8_t *)"0123456789ABCDEF", 16, &u), 0);
	assert_int_equal(u.kind, BSL_UID_HEX);
	assert_string_equal(u.text, "0123456789abcdef");
	assert_int_equal(bsl_parse_uid((const uint8_t *)"0123456789abcdef01", 18, &u), 0);
	assert_int_equal(u.kind, BSL_UID_HEX);
	assert_int_equal(bsl_parse_uid((const uint8_t *)"AB12cd_7_12_3\0", 14, &u), 0);
	assert_int_equal(u.kind, BSL_UID_LOT);
	assert_string_equal(u.text, "AB12cd_7_12_3");
	put_le32(p, 0x12345678);
	put_le32(p + 4, 0x0000abcd);
	assert_int_equal(bsl_parse_uid(p, 8, &u), 0);
	assert_int_equal(u.kind, BSL_UID_BINARY);
	assert_string_equal(u.text, "123456780000abcd");
	/* no identity */
	memset(p, 0, sizeof(p));
	assert_int_equal(bsl_parse_uid(p, 64, &u), 0);
	assert_int_equal(u.kind, BSL_UID_NONE);
	assert_int_equal(bsl_parse_uid(p, 0, &u), 0);
	assert_int_equal(u.kind, BSL_UID_NONE);
	memset(p, 0xff, sizeof(p));
	assert_int_equal(bsl_parse_uid(p, 8, &u), 0);
	assert_int_equal(u.kind, BSL_UID_NONE);
	/* no UID at all */
	assert_int_equal(bsl_parse_uid((const uint8_t *)"hello world", 11, &u), -EBADMSG);
	assert_int_equal(u.kind, BSL_UID_NONE);
	assert_int_equal(bsl_parse_uid((const uint8_t *)"AB__1_2", 7, &u), -EBADMSG);
	assert_int_equal(bsl_parse_uid((const uint8_t *)"AB_1_2_", 7, &u), -EBADMSG);
	assert_int_equal(bsl_parse_uid((const uint8_t *)"0123456789abcdefg1", 18, &u), -EBADMSG);
	memset(p, 'a', sizeof(p));
	assert_int_equal(bsl_parse_uid(p, 66, &u), -EBADMSG);
}

static void put_name(uint8_t *p, const char *name)
{
	for (size_t i = 0; name[i]; i++)
		put_le16(p + 2 * i, (uint8_t)name[i]);
}

static void test_partitions(void **state)
{
	uint8_t p[5 * 76] = { 0 };
	struct bsl_partition row;

	put_name(p, "misc");
	put_le32(p + 72, 1024);
	put_name(p + 76, "12345678901234567890123456789012345");
	put_le16(p + 3 * 76, 0x4e2d);
	memset(p + 4 * 76, 'a', 72);
	for (int i = 0; i < 36; i++)
		p[4 * 76 + 2 * i + 1] = 0;
	assert_int_equal(bsl_partition_count(sizeof(p)), 5);
	assert_int_equal(bsl_partition_count(0), 0);
	assert_int_equal(bsl_partition_count(77), -EBADMSG);
	assert_int_equal(bsl_parse_partition(p, sizeof(p), 0, &row), 0);
	assert_string_equal(row.name, "misc");
	assert_int_equal(row.size, 1024);
	assert_int_equal(bsl_parse_partition(p, sizeof(p), 1, &row), 0);
	assert_int_equal(strlen(row.name), 35);
	assert_int_equal(bsl_parse_partition(p, sizeof(p), 2, &row), -EBADMSG);
	assert_int_equal(bsl_parse_partition(p, sizeof(p), 3, &row), -EBADMSG);
	assert_int_equal(bsl_parse_partition(p, sizeof(p), 4, &row), -EBADMSG);
	assert_string_equal(row.name, "");
	assert_int_equal(bsl_parse_partition(p, sizeof(p), 5, &row), -ERANGE);
}

static void test_small(void **state)
{
	uint8_t p[600] = { 0 };
	struct bsl_log log;
	struct bsl_flash_info info;
	struct bsl_flash_type type;
	struct bsl_auth auth;
	uint64_t size;
	uint32_t v;
	char text[16];

	put_le32(p, 1);
	memcpy(p + 4, "ab\x01\n", 5);
	assert_int_equal(bsl_parse_log(p, 10, &log), 0);
	assert_int_equal(log.word, 1);
	assert_int_equal(log.len, 4);
	assert_string_equal(log.text, "ab?\n");
	assert_int_equal(bsl_parse_log(p, 3, &log), -EBADMSG);
	memset(p + 4, 'x', 500);
	assert_int_equal(bsl_parse_log(p, 504, &log), 0);
	assert_int_equal(log.len, 500);
	assert_int_equal(strlen(log.text), sizeof(log.text) - 1);

	oracle_hex("00 00 00 00 00 02 00 00 00 00 08 00 00 00 00 07", p);
	assert_int_equal(bsl_parse_flash_info(p, 12, &info), 0);
	assert_int_equal(info.block_size, 0x20000);
	assert_int_equal(info.page_size, 0x800);
	assert_int_equal(bsl_parse_flash_info(p, 11, &info), -EBADMSG);
	assert_int_equal(bsl_parse_flash_type(p, 16, &type), 0);
	assert_int_equal(type.ext_support, 7);
	assert_int_equal(bsl_parse_flash_type(p, 15, &type), -EBADMSG);
	oracle_hex("00 00 02 01", p);
	assert_int_equal(bsl_parse_sector_size(p, 4, &v), 0);
	assert_int_equal(v, 0x201);
	assert_int_equal(bsl_parse_chip_type(p, 4, &v), 0);
	assert_int_equal(bsl_parse_rf_type(p, 4, &v), 0);
	assert_int_equal(v, 0x01020000);
	assert_int_equal(bsl_parse_rf_type(p, 3, &v), -EBADMSG);
	put_le64(p, 0x123456789a);
	assert_int_equal(bsl_parse_actual_size(p, 8, &size), 0);
	assert_int_equal(size, 0x123456789a);
	assert_int_equal(bsl_parse_actual_size(p, 0, &size), -ENODATA);
	assert_int_equal(bsl_parse_actual_size(p, 7, &size), -EBADMSG);
	memset(p, 0, sizeof(p));
	memcpy(p + 256, "ums9230", 7);
	assert_int_equal(bsl_parse_auth(p, 290, &auth), 0);
	assert_true(auth.needed);
	assert_string_equal(auth.project, "ums9230");
	p[288] = 1;
	assert_int_equal(bsl_parse_auth(p, 290, &auth), 0);
	assert_false(auth.needed);
	/* what cannot be read does not open the gate */
	assert_int_equal(bsl_parse_auth(p, 289, &auth), -EBADMSG);
	assert_true(auth.needed);
	memset(p, 0, sizeof(p));
	put_name(p, "V1.2");
	put_le16(p + 8, 0x4e2d);
	assert_int_equal(bsl_parse_pac_version(p, 20, text, sizeof(text)), 0);
	assert_string_equal(text, "V1.2?");
	assert_int_equal(bsl_parse_pac_version(p, 20, text, 3), 0);
	assert_string_equal(text, "V1");
	assert_int_equal(bsl_parse_pac_version(p, 3, text, sizeof(text)), -EBADMSG);
}

/* nothing reads behind the payload: each length in a block of exactly that size, for the sanitizer to see */
static void test_bounds(void **state)
{
	uint64_t seed = 9;

	for (size_t n = 0; n < 400; n++)
		for (int kind = 0; kind < 4; kind++) {
			uint8_t *p = malloc(n ? n : 1);
			struct bsl_version version;
			struct bsl_capability cap;
			struct bsl_uid uid;
			struct bsl_partition row;
			struct bsl_log log;
			struct bsl_auth auth;
			char text[16];

			assert_non_null(p);
			oracle_fill(&seed, p, n, false);
			if (kind == 1 && n >= 4)
				memcpy(p, "newt", 4);
			if (kind == 2 && n >= 4)
				put_le32(p, 4);
			if (kind == 3)
				for (size_t i = 0; i < n; i++)
					p[i] = (uint8_t)(i < 4 ? "newt"[i] : p[i] % 5);
			bsl_parse_version(p, n, &version);
			bsl_parse_capability(p, n, &cap);
			bsl_parse_uid(p, n, &uid);
			for (size_t i = 0; i < 6; i++)
				bsl_parse_partition(p, n, i, &row);
			bsl_parse_log(p, n, &log);
			bsl_parse_auth(p, n, &auth);
			bsl_parse_pac_version(p, n, text, sizeof(text));
			assert_true(cap.raw_level <= 2);
			free(p);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_version),
		cmocka_unit_test(test_capability_flat),
		cmocka_unit_test(test_capability_tlv),
		cmocka_unit_test(test_capability_odd),
		cmocka_unit_test(test_uid),
		cmocka_unit_test(test_partitions),
		cmocka_unit_test(test_small),
		cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests_name("reply", tests, NULL, NULL);
}
