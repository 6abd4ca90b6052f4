/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "bsl/codec.h"
#include "bsl/message.h"
#include "bsl/payload.h"
#include "bsl/reply.h"
#include "common/util.h"
#include "tests/unit/bsl_oracle.h"

static uint8_t wire[4096], body[BSL_BODY_MAX];

/* Encodes a payload and compares with a vector of bsl-protocol 19. */
static void vector(enum bsl_check check, uint16_t command, const struct bsl_payload *p, const char *hex)
{
	struct bsl_piece piece = { p->bytes, p->len };
	uint8_t want[256];
	size_t w = oracle_hex(hex, want);

	assert_int_equal(bsl_encode(check, BSL_FRAMING_ESCAPED, command, &piece, 1, wire, sizeof(wire)), w);
	assert_memory_equal(wire, want, w);
}

/* The long ones are given by wire length and check. */
static void long_vector(uint16_t command, const void *bytes, size_t len, size_t payload, size_t length,
			uint16_t check)
{
	struct bsl_piece piece = { bytes, len };
	struct bsl_deframer d;
	struct bsl_frame frame;
	enum bsl_fault fault;
	size_t used;

	assert_int_equal(len, payload);
	assert_int_equal(
		bsl_encode(BSL_CHECK_SUM, BSL_FRAMING_ESCAPED, command, &piece, 1, wire, sizeof(wire)),
		length);
	bsl_deframer_init(&d, body, sizeof(body));
	assert_int_equal(bsl_deframer_feed(&d, wire, length, &used, &frame, &fault), BSL_DECODE_FRAME);
	assert_int_equal(frame.check_field, check);
}

static void test_golden_short(void **state)
{
	const enum bsl_check crc = BSL_CHECK_CRC16, sum = BSL_CHECK_SUM;
	struct bsl_payload p;

	assert_int_equal(bsl_payload_start_address(&p, 0x5500, 0xc000, NULL), 0);
	vector(crc, BSL_CMD_START, &p, "7e 00 01 00 08 00 00 55 00 00 00 c0 00 d4 77 7e");
	assert_int_equal(bsl_payload_start_address(&p, 0x65000800, 0xd2e4, NULL), 0);
	vector(crc, BSL_CMD_START, &p, "7e 00 01 00 08 65 00 08 00 00 00 d2 e4 f7 1d 7e");
	assert_int_equal(bsl_payload_start_address(&p, 0x40004000, 0xed4, NULL), 0);
	vector(crc, BSL_CMD_START, &p, "7e 00 01 00 08 40 00 40 00 00 00 0e d4 c5 80 7e");
	assert_int_equal(bsl_payload_start_address(&p, 0x3f88, 8, NULL), 0);
	vector(crc, BSL_CMD_START, &p, "7e 00 01 00 08 00 00 3f 88 00 00 00 08 ba cc 7e");
	assert_int_equal(bsl_payload_start_address(&p, 0x9efffe00, 0x107d7e, NULL), 0);
	vector(sum, BSL_CMD_START, &p, "7e 00 01 00 08 9e ff fe 00 00 10 7d 5d 7d 5e e5 67 7e");
	assert_int_equal(bsl_payload_change_baud(&p, 115200), 0);
	vector(sum, BSL_CMD_CHANGE_BAUD, &p, "7e 00 09 00 04 00 01 c2 00 3d f1 7e");
	assert_int_equal(bsl_payload_change_baud(&p, 921600), 0);
	vector(sum, BSL_CMD_CHANGE_BAUD, &p, "7e 00 09 00 04 00 0e 10 00 ef e4 7e");
	assert_int_equal(bsl_payload_raw_start(&p, 0, 0x200000), 0);
	vector(sum, BSL_CMD_RAW_START, &p, "7e 00 31 00 0c 00 00 00 00 00 00 00 00 00 00 20 00 df c2 7e");
	assert_int_equal(bsl_payload_read_flash(&p, BSL_FRAMING_ESCAPED, 0x80000003, 0x1000, 0), 0);
	vector(sum, BSL_CMD_READ_FLASH, &p, "7e 00 06 00 0c 80 00 00 03 00 00 10 00 00 00 00 00 6f ea 7e");
	assert_int_equal(bsl_payload_read_midst(&p, BSL_FRAMING_ESCAPED, 0x1000, 0x2000), 0);
	vector(sum, BSL_CMD_READ_MIDST, &p, "7e 00 11 00 08 00 10 00 00 00 20 00 00 ff b6 7e");
	assert_int_equal(bsl_payload_read_midst(&p, BSL_FRAMING_ESCAPED, 0x1000, 1ull << 32), 0);
	vector(sum, BSL_CMD_READ_MIDST, &p, "7e 00 11 00 0c 00 10 00 00 00 00 00 00 01 00 00 00 fe d2 7e");
	assert_int_equal(bsl_payload_erase_all_address(&p), 0);
	vector(sum, BSL_CMD_ERASE, &p, "7e 00 0a 00 08 00 00 00 00 ff ff ff ff ff ed 7e");
	assert_int_equal(bsl_payload_time_stamp(&p, 0x65000000), 0);
	vector(sum, BSL_CMD_SET_TIME_STAMP, &p, "7e 00 2c 00 08 00 00 00 65 70 73 74 3a 1a b9 7e");
	assert_int_equal(bsl_payload_enable_raw(&p, false), 0);
	vector(sum, BSL_CMD_ENABLE_RAW, &p, "7e 00 28 00 00 ff d7 7e");
	assert_int_equal(bsl_payload_enable_raw(&p, true), 0);
	assert_int_equal(p.len, 8);
}

static void test_golden_long(void **state)
{
	static const struct bsl_table_row rest = { "userdata", BSL_REST, 0 };
	struct bsl_payload p;
	uint32_t sum = 0x01234567;
	uint8_t out[256];
	char full[3 * 84 + 1] = "7e 00 01 00 4c 62 00 6f 00 6f 00 74 00 ";

	assert_int_equal(bsl_payload_start_name(&p, "boot", 0x02300000, NULL), 0);
	long_vector(BSL_CMD_START, p.bytes, p.len, 0x4c, 84, 0x1baf);
	for (int i = 0; i < 64; i++)
		strcat(full, "00 ");
	strcat(full, "00 00 30 02 1b af 7e");
	vector(BSL_CHECK_SUM, BSL_CMD_START, &p, full);
	assert_int_equal(bsl_payload_start_name(&p, "super", 0x151800000, NULL), 0);
	long_vector(BSL_CMD_START, p.bytes, p.len, 0x58, 96, 0x4f53);
	assert_int_equal(bsl_payload_start_name(&p, "l_fixnv1", 0x80000, &sum), 0);
	long_vector(BSL_CMD_START, p.bytes, p.len, 0x50, 88, 0x4665);
	assert_int_equal(bsl_payload_read_start(&p, "misc", 0x100000), 0);
	long_vector(BSL_CMD_READ_START, p.bytes, p.len, 0x4c, 84, 0x43a2);
	assert_int_equal(bsl_payload_erase_name(&p, "userdata"), 0);
	long_vector(BSL_CMD_ERASE, p.bytes, p.len, 0x4c, 84, 0xa6a6);
	assert_int_equal(bsl_payload_erase_all_name(&p), 0);
	long_vector(BSL_CMD_ERASE, p.bytes, p.len, 0x4c, 84, 0x57a6);
	assert_int_equal(bsl_payload_repartition_v0(&rest, 1, out, sizeof(out)), 0x4c);
	long_vector(BSL_CMD_REPARTITION, out, 0x4c, 0x4c, 84, 0xa6a5);
	/* long form with sum: 0x5c */
	assert_int_equal(bsl_payload_start_name(&p, "super", 0x151800000, &sum), 0);
	assert_int_equal(p.len, 0x5c);
	assert_int_equal(get_le64(p.bytes + 72), 0x151800000);
	assert_int_equal(get_le64(p.bytes + 80), 0);
	assert_int_equal(get_le32(p.bytes + 88), sum);
}

static void test_builders_refuse(void **state)
{
	struct bsl_payload p;
	uint8_t hash[32] = { 1 };

	assert_true(bsl_name_valid("a123456789012345678901234567890"));
	assert_false(bsl_name_valid("a1234567890123456789012345678901"));
	assert_false(bsl_name_valid(""));
	assert_false(bsl_name_valid(NULL));
	assert_false(bsl_name_valid("a b"));
	assert_false(bsl_name_valid("b\xc3\xb6"));
	assert_int_equal(bsl_payload_start_name(&p, "b\xc3\xb6", 1, NULL), -EINVAL);
	assert_int_equal(p.len, 0);
	assert_int_equal(bsl_payload_start_name(&p, "boot", 0, NULL), -EINVAL);
	assert_int_equal(bsl_payload_start_name(&p, "erase_all", 1, NULL), -EINVAL);
	assert_int_equal(bsl_payload_start_name(&p, "user_partition", 1, NULL), -EINVAL);
	assert_int_equal(bsl_payload_start_address(&p, 0x5500, 0, NULL), -EINVAL);
	assert_int_equal(bsl_payload_erase_name(&p, "erase_all"), -EINVAL);
	assert_int_equal(bsl_payload_erase_name(&p, "user_partition"), -EINVAL);
	assert_int_equal(bsl_payload_erase_address(&p, 0, 4096), -EINVAL);
	assert_int_equal(bsl_payload_erase_address(&p, 0x90000001, 4096), 0);
	assert_int_equal(bsl_payload_read_start(&p, "user_partition", 32768), 0);
	assert_int_equal(bsl_payload_read_start(&p, "misc", 0), -EINVAL);
	assert_int_equal(bsl_payload_read_midst(&p, BSL_FRAMING_ESCAPED, 0, 0), -EINVAL);
	assert_int_equal(bsl_payload_read_midst(&p, BSL_FRAMING_ESCAPED, BSL_READ_ESCAPED_MAX, 0), 0);
	assert_int_equal(bsl_payload_read_midst(&p, BSL_FRAMING_ESCAPED, BSL_READ_ESCAPED_MAX + 1, 0),
			 -EINVAL);
	assert_int_equal(bsl_payload_read_midst(&p, BSL_FRAMING_PLAIN, BSL_READ_PLAIN_MAX, 0), 0);
	assert_int_equal(bsl_payload_read_midst(&p, BSL_FRAMING_PLAIN, BSL_READ_PLAIN_MAX + 1, 0), -EINVAL);
	assert_int_equal(bsl_payload_read_midst(&p, BSL_FRAMING_PLAIN, 16, UINT64_MAX - 15), -EINVAL);
	assert_int_equal(bsl_payload_read_flash(&p, BSL_FRAMING_PLAIN, 1, 0, 0), -EINVAL);
	assert_int_equal(bsl_payload_read_flash(&p, BSL_FRAMING_PLAIN, 1, 16, UINT32_MAX - 15), -EINVAL);
	assert_int_equal(bsl_payload_read_flash_address(&p, BSL_FRAMING_PLAIN, 1, 16), 0);
	assert_int_equal(p.len, 8);
	assert_int_equal(bsl_payload_change_baud(&p, 9600), -EINVAL);
	assert_int_equal(bsl_payload_raw_start(&p, 0, 0), -EINVAL);
	assert_int_equal(bsl_payload_self_refresh(&p, 0), -EINVAL);
	assert_int_equal(bsl_payload_self_refresh(&p, 40), 0);
	assert_int_equal(get_le32(p.bytes), 40);
	assert_int_equal(bsl_payload_watchdog(&p, 0), -EINVAL);
	assert_int_equal(bsl_payload_flush_data(&p, hash), 0);
	assert_int_equal(p.len, 32);
	assert_int_equal(bsl_payload_random_data(&p, hash), 0);
	assert_memory_equal(p.bytes, hash, 32);
}

static void test_tables(void **state)
{
	static uint8_t out[70000];
	struct bsl_table_row rows[3] = { { "a", 4, 0 }, { "b", 8, 2 }, { "c", BSL_REST, 0 } };
	static struct bsl_table_row many[1000];

	assert_int_equal(bsl_payload_repartition_v1(rows, 3, BSL_UNIT_KB, out, sizeof(out)), 16 + 3 * 88);
	assert_int_equal(get_le32(out), 0x3a726170);
	assert_int_equal(out[4], 1);
	assert_int_equal(out[5], 2);
	assert_int_equal(out[6], 1);
	assert_int_equal(get_le16(out + 12), 16);
	assert_int_equal(get_le16(out + 14), 3 * 88);
	assert_int_equal(out[16 + 88], 'b');
	assert_int_equal(get_le64(out + 16 + 88 + 72), 8);
	assert_int_equal(get_le64(out + 16 + 88 + 80), 2);
	assert_true(get_le64(out + 16 + 2 * 88 + 72) == UINT64_MAX);
	/* v0 has no gaps */
	assert_int_equal(bsl_payload_repartition_v0(rows, 3, out, sizeof(out)), -EINVAL);
	rows[1].gap = 0;
	assert_int_equal(bsl_payload_repartition_v0(rows, 3, out, sizeof(out)), 3 * 76);
	assert_int_equal(get_le32(out + 76 + 72), 8);
	assert_int_equal(get_le32(out + 2 * 76 + 72), UINT32_MAX);
	assert_int_equal(bsl_payload_repartition_v0(rows, 3, out, 3 * 76 - 1), -ENOBUFS);
	assert_int_equal(bsl_payload_repartition_v1(rows, 3, BSL_UNIT_KB, out, 16 + 3 * 88 - 1), -ENOBUFS);
	assert_int_equal(bsl_payload_repartition_v1(rows, 3, (enum bsl_table_unit)5, out, sizeof(out)),
			 -EINVAL);
	assert_int_equal(bsl_payload_repartition_v0(rows, 0, out, sizeof(out)), -EINVAL);
	rows[1].size = BSL_REST;
	assert_int_equal(bsl_payload_repartition_v0(rows, 3, out, sizeof(out)), -EINVAL);
	rows[1].size = UINT32_MAX;
	assert_int_equal(bsl_payload_repartition_v0(rows, 3, out, sizeof(out)), -EINVAL);
	assert_int_equal(bsl_payload_repartition_v1(rows, 3, BSL_UNIT_BYTE, out, sizeof(out)), -EINVAL);
	rows[1].size = 0;
	assert_int_equal(bsl_payload_repartition_v0(rows, 3, out, sizeof(out)), -EINVAL);
	rows[1] = (struct bsl_table_row){ "a", 8, 0 };
	assert_int_equal(bsl_payload_repartition_v0(rows, 3, out, sizeof(out)), -EINVAL);
	rows[1] = (struct bsl_table_row){ "b", 8, -1 };
	assert_int_equal(bsl_payload_repartition_v1(rows, 3, BSL_UNIT_MB, out, sizeof(out)), -EINVAL);
	assert_int_equal(bsl_payload_repartition_v0(many, ARRAY_SIZE(many), out, sizeof(out)), -EMSGSIZE);
	assert_int_equal(bsl_payload_repartition_v1(many, ARRAY_SIZE(many), BSL_UNIT_MB, out, sizeof(out)),
			 -EMSGSIZE);
}

/* ---- the tables ---- */

static void test_commands(void **state)
{
	static const uint16_t fdl1[] = { 0x7e, 0, 1, 2, 3, 4, 9, 0x13, 0x26, 0x27 };
	unsigned known = 0;

	for (unsigned c = 0; c < 0x100; c++) {
		const struct bsl_command_info *i = bsl_command_info((uint16_t)c);
		bool in_fdl1 = false;

		for (size_t k = 0; k < ARRAY_SIZE(fdl1); k++)
			in_fdl1 |= fdl1[k] == c;
		/* anything else is a NULL call there */
		assert_int_equal(bsl_command_allowed((uint16_t)c, BSL_STAGE_FDL1), in_fdl1);
		assert_int_equal(bsl_command_allowed((uint16_t)c, BSL_STAGE_UNKNOWN), c == BSL_CMD_PROBE);
		if (!i)
			continue;
		known++;
		assert_int_equal(i->code, c);
		assert_string_equal(bsl_command_name((uint16_t)c), i->name);
		assert_int_not_equal(i->accepts[0], 0);
		if (i->writes)
			assert_int_equal(i->repeat, BSL_REPEAT_NEVER);
		for (int s = 0; s < BSL_STAGE_COUNT; s++) {
			struct bsl_timing t = bsl_command_timing((uint16_t)c, (enum bsl_stage)s, 0, 0);

			assert_true(t.usual_usec && t.usual_usec <= t.deadline_usec);
			if (i->writes)
				assert_int_equal(bsl_command_repeats((uint16_t)c, (enum bsl_stage)s), 0);
		}
	}
	assert_true(known > 55);
	assert_null(bsl_command_info(0x0e));
	assert_string_equal(bsl_command_name(0x0e), "?");
	assert_int_equal(bsl_command_repeats(BSL_CMD_CONNECT, BSL_STAGE_ROM), 1);
	assert_int_equal(bsl_command_repeats(BSL_CMD_CONNECT, BSL_STAGE_FDL1), 0);
	assert_int_equal(bsl_command_repeats(BSL_CMD_READ_MIDST, BSL_STAGE_FDL2), 1);
	assert_int_equal(bsl_command_repeats(BSL_CMD_MIDST, BSL_STAGE_ROM), 0);
	assert_int_equal(bsl_command_repeats(BSL_CMD_PROBE, BSL_STAGE_ROM), UINT32_MAX);
	assert_int_equal(bsl_command_repeats(0x0e, BSL_STAGE_ROM), 0);
	/* irreversible: never */
	for (int s = 0; s < BSL_STAGE_COUNT; s++)
		assert_false(bsl_command_allowed(BSL_CMD_WRITE_EFUSE, (enum bsl_stage)s));
	assert_true(bsl_command_accepts(BSL_CMD_EXEC, BSL_STAGE_FDL1, BSL_REP_INCOMPATIBLE));
	assert_true(bsl_command_accepts(BSL_CMD_EXEC, BSL_STAGE_FDL1, BSL_REP_ACK));
	assert_false(bsl_command_accepts(BSL_CMD_EXEC, BSL_STAGE_ROM, BSL_REP_INCOMPATIBLE));
	assert_false(bsl_command_accepts(BSL_CMD_REPARTITION, BSL_STAGE_FDL2, BSL_REP_INCOMPATIBLE));
	assert_false(bsl_command_accepts(BSL_CMD_START, BSL_STAGE_FDL2, 0));
	assert_string_equal(bsl_stage_name(BSL_STAGE_FDL2), "fdl2");
	assert_string_equal(bsl_stage_name((enum bsl_stage)77), "unknown");
}

static void test_timing(void **state)
{
	const uint64_t sec = 1000000;
	struct bsl_timing t = bsl_command_timing(BSL_CMD_PROBE, BSL_STAGE_ROM, 0, 0);

	assert_int_equal(t.deadline_usec, 200000);
	assert_int_equal(t.tries, 25);
	t = bsl_command_timing(BSL_CMD_PROBE, BSL_STAGE_FDL1, 0, 0);
	assert_int_equal(t.deadline_usec, sec);
	assert_int_equal(t.tries, 30);
	assert_int_equal(bsl_command_timing(BSL_CMD_EXEC, BSL_STAGE_ROM, 0, 0).deadline_usec, 3 * sec);
	assert_int_equal(bsl_command_timing(BSL_CMD_EXEC, BSL_STAGE_FDL1, 0, 0).deadline_usec, 60 * sec);
	assert_int_equal(bsl_command_timing(BSL_CMD_MIDST, BSL_STAGE_FDL2, 0, 0).deadline_usec, 60 * sec);
	assert_int_equal(bsl_command_timing(BSL_CMD_MIDST, BSL_STAGE_FDL2, BSL_TIMING_FLUSH, 0).deadline_usec,
			 500 * sec);
	assert_int_equal(bsl_command_timing(BSL_CMD_END, BSL_STAGE_FDL2, 0, 0).deadline_usec, 200 * sec);
	assert_int_equal(bsl_command_timing(BSL_CMD_REPARTITION, BSL_STAGE_FDL2, 0, 0).deadline_usec,
			 100 * sec);
	assert_int_equal(bsl_command_timing(BSL_CMD_ERASE, BSL_STAGE_FDL2, 0, 0).deadline_usec, 3600 * sec);
	assert_int_equal(bsl_command_timing(BSL_CMD_START, BSL_STAGE_FDL1, 0, 0).deadline_usec, 30 * sec);
	assert_int_equal(bsl_command_timing(BSL_CMD_READ_MIDST, BSL_STAGE_FDL2, 0, 0).deadline_usec,
			 20 * sec);
	/* more work, more patience, never beyond the deadline */
	assert_true(
		bsl_command_timing(BSL_CMD_MIDST, BSL_STAGE_FDL2, BSL_TIMING_FLUSH, 256u << 20).usual_usec >
		10 * sec);
	assert_int_equal(
		bsl_command_timing(BSL_CMD_MIDST, BSL_STAGE_FDL2, BSL_TIMING_FLUSH, UINT64_MAX).usual_usec,
		500 * sec);
	assert_int_equal(bsl_command_timing(0x0e, BSL_STAGE_FDL2, 0, 0).deadline_usec, 3 * sec);
}

static void test_replies(void **state)
{
	static const uint8_t refusals[] = { 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8b, 0x8c,
					    0x8d, 0x8e, 0x96, 0x97, 0x98, 0x99, 0x9a, 0xa0, 0xa1, 0xa2, 0xa3,
					    0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xac, 0xad, 0xb3, 0xb4,
					    0xb6, 0xb7, 0xb9, 0xbf, 0xd0, 0xd1, 0xd2, 0xd3, 0xfe };
	static const uint8_t data[] = { 0x81, 0x93, 0x94, 0x95, 0x9b, 0x9c, 0x9d, 0x9e,
					0x9f, 0xab, 0xae, 0xaf, 0xb0, 0xb1, 0xb2, 0xb5,
					0xb8, 0xba, 0xbb, 0xbc, 0xbd, 0xbe, 0xc0 };

	for (size_t i = 0; i < sizeof(refusals); i++) {
		assert_int_equal(bsl_reply_kind(refusals[i]), BSL_KIND_REFUSAL);
		assert_string_not_equal(bsl_reply_name(refusals[i]), "?");
	}
	for (size_t i = 0; i < sizeof(data); i++)
		assert_int_equal(bsl_reply_kind(data[i]), BSL_KIND_DATA);
	assert_int_equal(bsl_reply_kind(0x80), BSL_KIND_ACK);
	assert_int_equal(bsl_reply_kind(0xff), BSL_KIND_LOG);
	assert_int_equal(bsl_reply_kind(0x8f), BSL_KIND_UNKNOWN);
	assert_int_equal(bsl_reply_kind(0x180), BSL_KIND_UNKNOWN);
	assert_string_equal(bsl_reply_name(0x8f), "?");
	assert_string_equal(bsl_reply_name(0xa6), "SIGNATURE");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden_short),	cmocka_unit_test(test_golden_long),
		cmocka_unit_test(test_builders_refuse), cmocka_unit_test(test_tables),
		cmocka_unit_test(test_commands),	cmocka_unit_test(test_timing),
		cmocka_unit_test(test_replies),
	};

	return cmocka_run_group_tests_name("message", tests, NULL, NULL);
}
