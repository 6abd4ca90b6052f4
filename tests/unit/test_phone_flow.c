/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The phone from its ROM to a written and read partition, on every profile. */
#include "test_phone_host.h"

static struct host h;

static void boots(void **state)
{
	size_t count;
	const struct phone_profile *rows = phone_profiles(&count);

	(void)state;
	for (size_t i = 0; i < count; i++) {
		struct phone *phone = host_phone(rows[i].name, NULL);
		unsigned code, want = rows[i].fdl2_base == 0		? 0x81
				      : rows[i].offer == PHONE_BARE_ACK ? 0x80
									: 0x96;

		host_plug(&h, phone);
		code = host_boot(&h);
		if (code != want)
			fail_msg("%s: %x %s", rows[i].name, code, phone_death(phone));
		if (rows[i].offer == PHONE_FLAT && want == 0x96)
			assert_int_equal(h.length, 256);
		if (rows[i].offer == PHONE_TLV)
			assert_memory_equal(h.payload, "newt", 4);
		if (strcmp(rows[i].name, "ud710") == 0)
			assert_int_equal(h.length, 38);
		assert_int_equal(phone_stage(phone), rows[i].fdl2_base ? PHONE_FDL2 : PHONE_FDL1);
		phone_free(phone);
	}
}

static void writes_by_name(void **state)
{
	static const char *const names[] = { "sc9863a", "ud710", "ums9620", "sprd4-autod", "nand-9820e" };
	static uint8_t data[5 << 20], back[5 << 20], sparse[28 + 12 + 8192 + 16 + 12];

	(void)state;
	host_random(data, sizeof(data), 3);
	for (size_t i = 0; i < 5; i++) {
		struct phone *phone = host_phone(names[i], NULL);
		const char *slot = i == 4 ? "system" : i == 1 ? "super" : "system";

		host_plug(&h, phone);
		assert_int_equal(host_boot(&h), 0x96);
		assert_int_equal(host_do(&h, 0x21, NULL, 0, 1000000), 0x80);
		h.plain = true;
		assert_int_equal(host_write(&h, "boot", data, 100001, false), 0x80);
		assert_int_equal(host_write(&h, slot, data, sizeof(data) - 3, false), 0x80);
		assert_true(phone_storage_read(phone, slot, 0, back, sizeof(back)));
		assert_memory_equal(back, data, sizeof(data) - 3);
		assert_int_equal(host_read(&h, "boot", 0, back, 100002), 0x80);
		assert_memory_equal(back, data, 100001);
		/* sparse: 2 blocks raw, 3 filled, 1 hole */
		memset(sparse, 0, sizeof(sparse));
		host_le32(sparse, 0xed26ff3a);
		host_le32(sparse + 4, 1);
		host_le32(sparse + 8, 28 | 12 << 16);
		host_le32(sparse + 12, 4096);
		host_le32(sparse + 16, 6);
		host_le32(sparse + 20, 3);
		host_le32(sparse + 28, 0xcac1);
		host_le32(sparse + 32, 2);
		host_le32(sparse + 36, 12 + 8192);
		memcpy(sparse + 40, data, 8192);
		host_le32(sparse + 8232, 0xcac2);
		host_le32(sparse + 8236, 3);
		host_le32(sparse + 8240, 16);
		host_le32(sparse + 8244, 0x11223344);
		host_le32(sparse + 8248, 0xcac3);
		host_le32(sparse + 8252, 1);
		host_le32(sparse + 8256, 12);
		assert_int_equal(host_write(&h, "userdata", sparse, sizeof(sparse), false), 0x80);
		assert_true(phone_storage_read(phone, "userdata", 0, back, 5 * 4096));
		assert_memory_equal(back, data, 8192);
		assert_memory_equal(back + 8192, "\x44\x33\x22\x11", 4);
		assert_memory_equal(back + 5 * 4096 - 4, "\x44\x33\x22\x11", 4);
		assert_int_equal(host_do(&h, 5, NULL, 0, 1000000), 0x80);
		assert_int_equal(host_reply(&h, 1000000), LEFT);
		assert_int_equal(phone_stage(phone), PHONE_BOOTED);
		phone_free(phone);
	}
}

static void nv_and_table(void **state)
{
	static uint8_t body[8192], back[1 << 20], table[3 * 76], list[76];
	struct phone *phone = host_phone("sc9863a", NULL);
	struct phone_slice slices[128];
	size_t length = sizeof(back), count = phone_partitions(phone, slices, 128);

	(void)state;
	host_plug(&h, phone);
	assert_int_equal(host_boot(&h), 0x96);
	assert_true(count > 30);
	assert_true(phone_nv_read(phone, "l_fixnv1", back, &length));
	assert_int_equal(host_read(&h, "l_fixnv1", 0, body, 4096), 0x80);
	assert_memory_equal(body, back, 4096);
	host_random(body, sizeof(body), 5);
	assert_int_equal(host_write(&h, "l_fixnv1", body, sizeof(body), false), 0xa1);
	assert_int_equal(host_write(&h, "l_fixnv1", body, sizeof(body), true), 0x80);
	assert_true(phone_storage_read(phone, "l_fixnv2", 0, back, 512 + 4096));
	assert_memory_equal(back, "\x56\x4e\0\0", 4);
	assert_memory_equal(back + 512, body, 4096);
	/* one copy destroyed: repaired by the read */
	assert_true(phone_storage_write(phone, "l_fixnv1", 600, "xxxx", 4));
	assert_int_equal(host_read(&h, "l_fixnv1", 0, back, 4096), 0x80);
	assert_memory_equal(back, body, 4096);
	assert_int_equal(phone_fault_count(phone, "F49").fired, 1);
	/* repartition */
	host_named(table, "alpha", 5);
	host_named(table + 76, "beta", 7);
	host_named(table + 152, "userdata", 0xffffffff);
	assert_int_equal(host_do(&h, 0x0b, table, 100, 1000000), 0x96);
	assert_int_equal(host_do(&h, 0x0b, table, sizeof(table), 3000000), 0x80);
	assert_int_equal(phone_partitions(phone, slices, 128), 3);
	assert_string_equal(slices[1].name, "beta");
	assert_int_equal(slices[1].start, 6 << 20);
	assert_int_equal(host_do(&h, 0x2d, NULL, 0, 1000000), 0xba);
	assert_int_equal(h.length, 3 * 76);
	assert_int_equal(h.payload[72] | h.payload[73] << 8, 5 << 10);
	host_named(list, "erase_all", 0);
	assert_int_equal(host_do(&h, 0x0a, list, 76, 60000000), 0x80);
	assert_int_equal(phone_partitions(phone, slices, 128), 0);
	assert_int_equal(phone_deed(phone, phone_deeds(phone) - 1)->kind, PHONE_DEED_ERASE_ALL);
	phone_free(phone);
}

static void golden(void **state)
{
	struct phone *phone = host_phone("sc9863a", NULL);
	static const uint8_t rom[] = { 0x7e, 0, 0x81, 0, 6, 'S', 'P', 'R', 'D', '3', 0, 0x57, 0x0a, 0x7e };
	static const uint8_t ack[] = { 0x7e, 0, 0x80, 0, 0, 0x3b, 0x5a, 0x7e };
	static const uint8_t refused[] = { 0x7e, 0, 0x89, 0, 0, 0xa5, 0xcb, 0x7e };
	bool left;

	(void)state;
	memset(&h, 0, sizeof(h));
	h.phone = phone;
	phone_plug(phone, 0);
	assert_int_equal(phone_out(phone, 0, "\x7e", 1, false), PHONE_NAK); /* before the class request */
	phone_control(phone, 0, 0x21, 0x22, 0x601, 0);
	assert_true(host_out(&h, "\x7e", 1, false));
	assert_true(host_wait(&h, 1000000, &left));
	assert_int_equal(h.in_length, sizeof(rom));
	assert_memory_equal(h.in, rom, sizeof(rom));
	h.in_length = 0;
	assert_true(host_out(&h, "\x7e\0\0\0\0\0\0\x7e", 8, false));
	assert_true(host_wait(&h, 2000000, &left));
	assert_memory_equal(h.in, ack, sizeof(ack));
	h.in_length = 0;
	assert_int_equal(host_load(&h, 0x9000000, (const uint8_t *)"xx", 2), 0x89);
	assert_memory_equal(refused, "\x7e\0\x89\0\0\xa5\xcb\x7e", 8);
	phone_free(phone);
}

static void by_id_and_address(void **state)
{
	static uint8_t data[70000], back[70000];
	static const struct {
		const char *name, *part;
		uint32_t id;
	} rows[] = { { "sc8830", "boot", 0x80000007 }, { "sc7731g", "logo", 0x80000005 },
		     { "sc6531e", "ps", 0x80000003 },  { "ums9117", "kernel", 0x80000003 },
		     { "uic8850", "ap", 0x60030000 },  { "uic8850", "nv", 0xfe000003 } };

	(void)state;
	host_random(data, sizeof(data), 9);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct phone *phone = host_phone(rows[i].name, NULL);
		uint8_t head[12];

		host_plug(&h, phone);
		host_boot(&h);
		assert_int_equal(host_load(&h, rows[i].id, data, sizeof(data)), 0x80);
		assert_true(phone_storage_read(phone, rows[i].part, 0, back, sizeof(back)));
		assert_memory_equal(back, data, sizeof(data));
		host_be32(head, rows[i].id);
		host_be32(head + 4, 1000);
		host_be32(head + 8, 500);
		assert_int_equal(host_do(&h, 6, head, 12, 1000000), 0x93);
		assert_int_equal(h.length, 1000);
		assert_memory_equal(h.payload, data + 500, 1000);
		if (strcmp(rows[i].name, "sc7731g") == 0)
			assert_int_equal(phone_fault_count(phone, "F15").fired, 1);
		if (strcmp(rows[i].name, "uic8850") == 0)
			assert_int_equal(host_do(&h, 0x77, NULL, 0, 1000000), 0x82);
		phone_free(phone);
	}
}

static void raw_mode(void **state)
{
	static uint8_t data[5 << 20], back[5 << 20];
	static const char *const names[] = { "sc9863a", "ums9620" };

	(void)state;
	host_random(data, sizeof(data), 11);
	for (int i = 0; i < 2; i++) {
		struct phone *phone = host_phone(names[i], NULL);
		uint8_t head[76];

		host_plug(&h, phone);
		assert_int_equal(host_boot(&h), 0x96);
		assert_int_equal(host_do(&h, 0x21, NULL, 0, 1000000), 0x80);
		h.plain = true;
		assert_int_equal(host_do(&h, 0x28, NULL, 0, 1000000), 0x80);
		host_named(head, "system", sizeof(data));
		assert_int_equal(host_do(&h, 1, head, 76, 1000000), 0x80);
		assert_int_equal(host_do(&h, 0x33, NULL, 0, 1000000), 0x80);
		for (size_t at = 0; at < sizeof(data); at += 2 << 20) {
			size_t part = sizeof(data) - at < 2 << 20 ? sizeof(data) - at : 2 << 20;

			assert_true(host_out(&h, data + at, part, true));
			assert_int_equal(host_reply(&h, 10000000), 0x80);
		}
		assert_int_equal(host_do(&h, 3, NULL, 0, 10000000), 0x80);
		assert_true(phone_storage_read(phone, "system", 0, back, sizeof(back)));
		assert_memory_equal(back, data, sizeof(data));
		phone_free(phone);
	}
}

static void wrong_loaders(void **state)
{
	static uint8_t image[70000];
	struct phone *phone = host_phone("sc9863a", NULL);
	size_t size = phone_make_loader(phone_profile_by_name("ums512"), 1, image, sizeof(image));

	(void)state;
	host_plug(&h, phone);
	assert_int_equal(host_probe(&h, 1), 0x81);
	assert_int_equal(host_load(&h, 0x5000, image, size), 0x80);
	assert_int_equal(host_do(&h, 4, NULL, 0, 1000000), 0x80);
	h.sum = true;
	assert_int_equal(host_probe(&h, 5), SILENT);
	assert_int_equal(phone_stage(phone), PHONE_DEAD);
	phone_free(phone);
	phone = host_phone("ums9230", NULL);
	size = phone_make_loader(phone_profile(phone), 1, image, sizeof(image));
	image[700] ^= 1;
	host_plug(&h, phone);
	host_probe(&h, 1);
	assert_int_equal(host_load(&h, 0x65000800, image, size), 0xa6);
	phone_free(phone);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(golden),
		cmocka_unit_test(boots),
		cmocka_unit_test(writes_by_name),
		cmocka_unit_test(nv_and_table),
		cmocka_unit_test(by_id_and_address),
		cmocka_unit_test(raw_mode),
		cmocka_unit_test(wrong_loaders),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
