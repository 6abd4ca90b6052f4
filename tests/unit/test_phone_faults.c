/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Faults: each line makes the phone misbehave so on the wire or in its storage, and is counted. */
#include <stdio.h>

#include "test_phone_host.h"

static struct host h;
static uint8_t data[5 << 20], back[5 << 20];

/* A short session that touches everything; true if every reply was as a healthy phone gives it and the data
 * arrived. */
static bool session(struct phone *phone)
{
	bool lk = phone_profile(phone)->second == PHONE_LK;
	const char *fixnv = lk ? "nr_fixnv1" : "l_fixnv1";
	uint8_t cell[80];
	bool good, same = true;
	uint8_t offer;

	memset(&h, 0, sizeof(h));
	h.phone = phone;
	h.now = 1000;
	phone_plug(phone, h.now);
	good = phone_control(phone, h.now, 0x21, 0x22, 0x601, 0) == 0;
	good = good && host_boot(&h) == 0x96;
	offer = h.payload[0];
	good = good && h.length > 8 && (lk ? offer == 'n' : offer == 4);
	good = good && host_do(&h, 0x2d, NULL, 0, 1000000) == 0xba && (lk || h.payload[73] == 5 << 2);
	good = good && host_do(&h, 0x1a, NULL, 0, 1000000) == 0xab && h.length == 64 &&
	       !memcmp(h.payload, phone_uid_text(phone), 64);
	good = good && host_read(&h, fixnv, 0, back, 4096) == 0x80;
	good = good && host_read(&h, "prodnv", 0, back, 4096) == 0x80;
	good = good && host_do(&h, 0x0a, cell, host_named(cell, "uboot", 0), 60000000) == 0x80;
	good = good && host_do(&h, 0x0a, cell, host_named(cell, "misc", 0), 60000000) == 0x80;
	good = good && host_write(&h, fixnv, data, 8192, true) == 0x80;
	good = good && host_write(&h, "boot", data, 300000, false) == 0x80;
	good = good && host_write(&h, "system", data, sizeof(data) - 100, false) == 0x80;
	good = good && host_read(&h, "boot", 0, back, 300000) == 0x80;
	same = good && !memcmp(back, data, 300000);
	same = same && phone_storage_read(phone, "boot", 0, back, 300000) && !memcmp(back, data, 300000);
	same = same && phone_storage_read(phone, "system", 0, back, sizeof(back)) &&
	       !memcmp(back, data, sizeof(data) - 100);
	same = same && phone_storage_read(phone, fixnv, 512, back, 8192) && !memcmp(back, data, 8192);
	same = same && phone_storage_read(phone, "misc", 0, back, 64) &&
	       back[0] == phone_profile(phone)->erased;
	memset(cell, 0, sizeof(cell));
	host_named(cell, "userdata", 0xffffffff);
	good = good && host_do(&h, 0x0b, cell, 76, 3000000) == 0x80;
	{
		struct phone_slice slices[128];

		same = same && phone_partitions(phone, slices, 128) == 1;
	}
	good = good && host_do(&h, 5, NULL, 0, 1000000) == 0x80;
	good = good && host_reply(&h, 1000000) == LEFT;
	return good && same && h.in_length == 0;
}

struct row {
	const char *script, *id;
	bool passes; /* a naive session still passes */
};

static void run(const struct row *rows, size_t count, const char *profile)
{
	for (size_t i = 0; i < count; i++) {
		struct phone *phone = host_phone(profile, rows[i].script);
		bool good = session(phone);

		if (good != rows[i].passes || phone_fault_count(phone, rows[i].id).fired == 0)
			fail_msg("%s: %s, fired %u, %s", rows[i].script, good ? "passed" : "failed",
				 phone_fault_count(phone, rows[i].id).fired, phone_death(phone));
		assert_true(phone_fault_count(phone, rows[i].id).armed > 0);
		if (phone_fault_by_name(rows[i].id)->flags & PHONE_FAULT_LYING)
			assert_true(phone_has_lied(phone));
		phone_free(phone);
	}
}

static void u_boot(void **state)
{
	static const struct row rows[] = {
		{ "F01 for 2s", "F01", true },
		{ "F02", "F02", true },
		{ "F04 at midst 3 of fdl2", "F04", false },
		{ "F05 at reply 9", "F05", false },
		{ "F08", "F08", false },
		{ "F09 at midst 2 of fdl2", "F09", false },
		{ "F11", "F11", false },
		{ "F12", "F12", false },
		{ "F14 with 1", "F14", false },
		{ "F15 for 800ms", "F15", true },
		{ "F16 with bare", "F16", false },
		{ "F17", "F17", false },
		{ "F20 at uid", "F20", false },
		{ "F28 at read 2", "F28", false },
		{ "F34", "F34", false },
		{ "F35", "F35", false },
		{ "F36 on boot", "F36", false },
		{ "F37 on boot", "F37", false },
		{ "F38 on boot", "F38", false },
		{ "F39 on system", "F39", false },
		{ "F40 on boot", "F40", false },
		{ "F44", "F44", false },
		{ "F45", "F45", false },
		{ "F46", "F46", false },
		{ "F47", "F47", false },
		{ "F48", "F48", true },
		{ "F49", "F49", true },
		{ "F50", "F50", false },
		{ "F51", "F51", false },
		{ "F52", "F52", false },
		{ "F53", "F53", false },
		{ "F54", "F54", false },
		{ "F60", "F60", false },
		{ "F62 at midst 40", "F62", false },
		{ "F67", "F67", false },
		{ "F70 on system for 30s", "F70", true },
		{ "unplug at midst 4 of boot", "U01", false },
		{ "stall at end of boot", "U02", false },
		{ "late 30s at end of system", "U03", true },
		{ "duplicate reply 9", "U04", false },
		{ "damage reply 9", "U05", false },
		{ "short at reply 9", "U06", false },
		{ "lose at reply 9", "U07", false },
		{ "refuse at erase with 0x8a", "U08", false },
		{ "fail-write on boot from 0x1000", "U09", false },
		{ "fail-read on boot", "U10", false },
		{ "fail-erase on misc", "U11", false },
		{ "lie-write of boot from offset 0x1000", "U12", false },
		{ "lie-midst on system at midst 20", "U13", false },
		{ "flip on system", "U14", false },
		{ "read-buffer on boot", "U15", false },
		{ "restart at midst 50", "U16", false },
		{ "boot at erase", "U17", false },
		{ "extra at reply 9 with 0x80", "U18", false },
		{ "pieces with 7", "U19", true },
		{ "deaf", "U23", false },
		{ "swap-uid", "U24", false },
		{ "wrong-type at midst 60", "U25", false },
		{ "slow-storage", "U26", true },
		{ "lie-erase on misc", "U27", false },
		{ "nak at midst 50 for 9s", "U28", false },
		{ "read-short", "U29", false },
		{ "garbage at reply 9", "U30", false },
		{ "lie-repartition", "U31", false },
		{ "lie-nv on l_fixnv1", "U32", false },
		{ "malformed-offer", "U33", false },
		{ "start-error with 0xa3", "U34", false },
		{ "permit", "U35", false },
		{ "no-uid", "U36", false },
	};

	(void)state;
	host_random(data, sizeof(data), 1);
	run(rows, sizeof(rows) / sizeof(rows[0]), "sc9863a");
}

static void lk(void **state)
{
	static const struct row rows[] = {
		{ "F55", "F55", false }, { "F56", "F56", false },	  { "F57", "F57", false },
		{ "F58", "F58", false }, { "F59 on boot", "F59", false }, { "F60", "F60", false },
	};
	struct phone *phone = host_phone("ums9620", NULL);

	(void)state;
	host_random(data, sizeof(data), 1);
	assert_true(session(phone));
	phone_free(phone);
	run(rows, sizeof(rows) / sizeof(rows[0]), "ums9620");
}

static void dwc3_and_musb_quirks(void **state)
{
	struct phone *phone = host_phone("ud710", NULL);
	static const uint8_t frame[] = { 0x7e, 0, 0x12, 0, 0, 0xff, 0xed, 0x7e };
	uint8_t two[16];

	(void)state;
	host_plug(&h, phone);
	assert_int_equal(host_boot(&h), 0x96);
	assert_int_equal(host_do(&h, 0x0d, NULL, 0, 500000), SILENT);
	assert_int_equal(host_do(&h, 0x12, NULL, 0, 500000), SILENT); /* OUT never armed again */
	assert_int_equal(phone_fault_count(phone, "F18").fired, 1);
	host_plug(&h, phone);
	assert_int_equal(host_boot(&h), 0x96);
	assert_true(host_out(&h, "", 0, true));
	assert_int_equal(phone_stage(phone), PHONE_DEAD);
	assert_int_equal(phone_fault_count(phone, "F25").fired, 1);
	phone_free(phone);
	phone = host_phone("sc9863a", NULL);
	host_plug(&h, phone);
	assert_int_equal(host_boot(&h), 0x96);
	assert_int_equal(host_do(&h, 0x0d, NULL, 0, 500000), SILENT);
	assert_int_equal(host_do(&h, 0x12, NULL, 0, 500000), 0x80);
	memcpy(two, frame, 8);
	memcpy(two + 8, frame, 8);
	assert_true(host_out(&h, two, 16, true));
	assert_int_equal(host_reply(&h, 500000), 0x80);
	assert_int_equal(host_reply(&h, 500000), SILENT);
	assert_int_equal(phone_fault_count(phone, "F23").fired, 1);
	/* three unknown commands: the pool is gone */
	assert_int_equal(host_do(&h, 0x60, NULL, 0, 500000), 0xfe);
	assert_int_equal(host_do(&h, 0x60, NULL, 0, 500000), 0xfe);
	assert_int_equal(host_do(&h, 0x1a, NULL, 0, 500000), SILENT);
	assert_int_equal(phone_fault_count(phone, "F21").fired, 1);
	phone_free(phone);
}

static void zlp_rule(void **state)
{
	static uint8_t wire[2048];
	struct phone *phone = host_phone("sc9863a", NULL);
	uint8_t head[76];
	size_t size;

	(void)state;
	host_random(data, sizeof(data), 1);
	host_plug(&h, phone);
	assert_int_equal(host_boot(&h), 0x96);
	assert_int_equal(host_do(&h, 0x21, NULL, 0, 500000), 0x80);
	h.plain = true;
	host_named(head, "boot", 504);
	assert_int_equal(host_do(&h, 1, head, 76, 500000), 0x80);
	size = host_frame(&h, 2, data, 504, wire);
	assert_int_equal(size % 512, 0);
	assert_true(host_out(&h, wire, size, false));
	assert_int_equal(host_reply(&h, 500000), SILENT);
	assert_int_equal(phone_fault_count(phone, "F24").fired, 1);
	assert_true(host_out(&h, "", 0, true));
	assert_int_equal(host_reply(&h, 500000), 0x80);
	/* a probe without escapes crashes it */
	assert_true(host_out(&h, "\x7e", 1, true));
	assert_int_equal(phone_stage(phone), PHONE_DEAD);
	phone_free(phone);
}

static void raw_faults(void **state)
{
	static const char *const scripts[] = { "F42 on system", "F43 on system" };

	(void)state;
	host_random(data, sizeof(data), 1);
	for (int i = 0; i < 2; i++) {
		struct phone *phone = host_phone("sc9863a", scripts[i]);
		uint8_t head[76];

		host_plug(&h, phone);
		assert_int_equal(host_boot(&h), 0x96);
		assert_int_equal(host_do(&h, 0x28, NULL, 0, 500000), 0x80);
		host_named(head, "system", 2 << 20);
		assert_int_equal(host_do(&h, 1, head, 76, 500000), 0x80);
		assert_int_equal(host_do(&h, 0x33, NULL, 0, 500000), 0x80);
		assert_true(host_out(&h, data, 2 << 20, true));
		assert_int_equal(host_reply(&h, 5000000), 0x80);
		assert_int_equal(host_reply(&h, 5000000),
				 i == 0 ? 0xa2 : SILENT); /* unasked, after the last ACK */
		assert_int_equal(host_do(&h, 3, NULL, 0, 5000000), 0x80);
		assert_true(phone_storage_read(phone, "system", 0, back, 2 << 20));
		assert_memory_not_equal(back, data, 2 << 20);
		phone_free(phone);
	}
}

static void found_running(void **state)
{
	static const char *const scripts[] = { "F68", "F69" };

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct phone *phone = host_phone("sc9863a", scripts[i]);

		host_plug(&h, phone);
		h.sum = true;
		h.plain = i;
		assert_int_equal(phone_stage(phone), PHONE_FDL2);
		assert_int_equal(host_do(&h, 0, NULL, 0, 500000), 0xfe);
		assert_int_equal(host_do(&h, 0x7f, NULL, 0, 500000), 0x80);
		assert_true(host_out(&h, "\x7e", 1, true));
		assert_int_equal(phone_stage(phone), i ? PHONE_DEAD : PHONE_FDL2);
		assert_int_equal(phone_fault_count(phone, scripts[i]).fired, 1);
		phone_free(phone);
	}
}

static void other_engines(void **state)
{
	struct phone *phone = host_phone("uic8850", "F63 at midst 2 of ap");
	uint8_t head[8] = { 0 };

	(void)state;
	host_random(data, sizeof(data), 1);
	host_plug(&h, phone);
	assert_int_equal(host_boot(&h), 0x81);
	assert_int_equal(host_do(&h, 2, data, 100, 500000), 0x86); /* MIDST without START */
	assert_int_equal(host_load(&h, 0x12345678, data, 100), 0x89);
	assert_int_equal(host_load(&h, 0x60030000, data, 3000), LEFT);
	assert_int_equal(phone_fault_count(phone, "F63").armed, 1);
	phone_free(phone);
	phone = host_phone("uic8850", "check-refused at midst 200");
	host_plug(&h, phone);
	assert_int_equal(host_boot(&h), 0x81);
	assert_int_equal(host_load(&h, 0x60030000, data, 200000), LEFT); /* a check error resets it */
	phone_free(phone);
	phone = host_phone("sc8830", NULL);
	host_plug(&h, phone);
	assert_int_equal(host_boot(&h), 0x96);
	assert_int_equal(h.length, 0);
	assert_int_equal(host_do(&h, 0x0a, head, 8, 60000000), 0x80); /* id 0: everything */
	assert_int_equal(phone_fault_count(phone, "F65").fired, 1);
	assert_int_equal(host_load(&h, 0x81234567, data, 100), 0x96);
	assert_int_equal(phone_stage(phone), PHONE_DEAD);
	phone_free(phone);
	phone = host_phone("nand-9820e", NULL);
	host_plug(&h, phone);
	assert_int_equal(host_boot(&h), 0x96);
	assert_int_equal(host_write(&h, "nowhere", data, 100, false), 0x96);
	assert_int_equal(host_do(&h, 0x0d, NULL, 0, 500000), 0x9b);
	phone_free(phone);
}

/* Secure products: an image must carry its header; backups are written by the phone; a missing one shows
 * late. */
static void secure_and_mirror(void **state)
{
	static uint8_t image[9000];
	size_t size;
	struct phone *phone = host_phone("ums512", NULL);

	(void)state;
	host_random(data, sizeof(data), 1);
	size = phone_make_dhtb(data, 8192, image, sizeof(image));
	host_plug(&h, phone);
	assert_int_equal(host_boot(&h), 0x96);
	assert_int_equal(host_write(&h, "sml", image, size, false), 0x80);
	assert_true(phone_storage_read(phone, "sml_bak", 0, back, size));
	assert_memory_equal(back, image, size);
	assert_int_equal(host_write(&h, "splloader", image, size, false), 0x80);
	assert_true(phone_storage_read(phone, "splloader_bak", 0, back, size));
	assert_memory_equal(back, image, size);
	image[1000] ^= 1;
	assert_int_equal(host_write(&h, "boot", image, size, false), SILENT);
	assert_int_equal(phone_fault_count(phone, "F36").fired, 1);
	phone_free(phone);
	phone = host_phone("ums9230", "F41 on sml_a");
	image[1000] ^= 1;
	host_plug(&h, phone);
	assert_int_equal(host_boot(&h), 0x96);
	assert_int_equal(host_write(&h, "boot_a", image, size, false), 0x80);
	assert_true(phone_storage_read(phone, "boot_b", 0, back, size));
	assert_memory_equal(back, image, size);
	image[1000] ^= 1;
	assert_int_equal(host_write(&h, "dtbo_a", image, size, false), 0x84);
	phone_free(phone);
	phone = host_phone("sc9863a", "F41 on sml");
	image[1000] ^= 1;
	host_plug(&h, phone);
	assert_int_equal(host_boot(&h), 0x96);
	assert_int_equal(host_write(&h, "sml", image, size, false), 0xa2);
	assert_int_equal(host_do(&h, 3, NULL, 0, 500000), 0x84);
	assert_int_equal(host_write(&h, "splloader", data, 20000, false),
			 0x80); /* plain: the check block is put in */
	assert_true(phone_storage_read(phone, "splloader", 0, back, 32768));
	assert_memory_equal(back + 0x24, "\xa5\xa5\x55\xaa", 4);
	assert_memory_equal(back + 0x30, data + 0x30, 20000 - 0x30);
	phone_free(phone);
}

static void seeds(void **state)
{
	char script[512], again[512];
	const char *why = "";

	(void)state;
	host_random(data, sizeof(data), 1);
	for (uint64_t seed = 1; seed < 400; seed++) {
		size_t count;
		const struct phone_profile *row = phone_profiles(&count) + seed % 12;
		struct phone_setup setup = { .seed = seed, .faults = script };
		struct phone *phone;

		phone_fault_random(seed, row, NULL, 0, script, sizeof(script));
		phone_fault_random(seed, row, NULL, 0, again, sizeof(again));
		assert_string_equal(script, again);
		phone = phone_new(row, &setup, &why);
		if (!phone)
			fail_msg("%s: %s", script, why);
		if (seed % 12 == 0)
			session(phone);
		phone_free(phone);
	}
	assert_null(phone_new(phone_profile_by_name("sc9863a"), &(struct phone_setup){ .faults = "nonsense" },
			      &why));
}

/* A host that says anything: the phone may hang or leave, it must not fall over itself. */
static void hostile(void **state)
{
	static const uint16_t types[] = { 0,	1,    2,    3,	  5,	6,    0x0a, 0x0b, 0x0d,
					  0x10, 0x11, 0x12, 0x1a, 0x20, 0x21, 0x22, 0x25, 0x28,
					  0x2a, 0x2b, 0x2d, 0x31, 0x33, 0x41, 0x7f };
	static const char *const names[] = { "boot",	  "userdata",
					     "",	  "l_fixnv1",
					     "splloader", "system_size",
					     "vbmeta",	  "abcdefghijklmnopqrstuvwxyzabcdefghi" };
	size_t count;
	const struct phone_profile *rows = phone_profiles(&count);
	uint64_t r = 99;

	(void)state;
	for (unsigned round = 0; round < 600; round++) {
		char script[512];
		struct phone *phone;

		phone_fault_random(round, &rows[round % count], NULL, 0, script, sizeof(script));
		phone = host_phone(rows[round % count].name, round % 3 ? NULL : script);
		memset(&h, 0, sizeof(h));
		h.phone = phone;
		h.now = 1000;
		phone_plug(phone, h.now);
		phone_control(phone, h.now, 0x21, 0x22, 0x601, 0);
		if (round % 5)
			host_boot(&h);
		for (int i = 0; i < 40 && phone_present(phone) && phone_stage(phone) != PHONE_DEAD; i++) {
			static uint8_t payload[70000];
			size_t length;

			host_random(payload, 4096, r += 77);
			length = payload[0] & 1 ? payload[1] : (size_t)(payload[1] << 8 | payload[2]);
			if (payload[3] & 1) {
				host_named(payload, names[payload[4] % 8],
					   payload[3] & 2 ? 28 : (uint32_t)payload[5] << 20);
				length = payload[3] & 4 ? 76 : payload[3] & 8 ? 80 : 92;
			} else if (payload[3] & 2) {
				memcpy(payload, "\x3a\xff\x26\xed", 4);
			} else if (payload[3] & 4) {
				memcpy(payload, "par:\1", 5);
			}
			if (host_do(&h, types[payload[6] % 25], payload, length, 3000000) != SILENT &&
			    payload[6] % 25 == 14)
				h.plain = phone_plain(phone);
		}
		phone_free(phone);
	}
}

static void clones(void **state)
{
	struct phone *phone = host_phone("sc9863a", NULL), *twin;

	(void)state;
	assert_true(phone_storage_write(phone, "boot", 100, "hello", 5));
	twin = phone_clone(phone, NULL, NULL);
	assert_true(phone_storage_write(twin, "boot", 100, "world", 5));
	assert_true(phone_storage_read(phone, "boot", 100, back, 5));
	assert_memory_equal(back, "hello", 5);
	assert_string_equal(phone_uid_text(phone), phone_uid_text(twin));
	phone_free(phone);
	assert_true(phone_storage_read(twin, "boot", 100, back, 5));
	assert_memory_equal(back, "world", 5);
	phone_free(twin);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(u_boot),
		cmocka_unit_test(lk),
		cmocka_unit_test(dwc3_and_musb_quirks),
		cmocka_unit_test(zlp_rule),
		cmocka_unit_test(seeds),
		cmocka_unit_test(raw_faults),
		cmocka_unit_test(found_running),
		cmocka_unit_test(other_engines),
		cmocka_unit_test(secure_and_mirror),
		cmocka_unit_test(clones),
		cmocka_unit_test(hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
