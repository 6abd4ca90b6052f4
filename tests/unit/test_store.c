/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The image store on a real directory: records, room, names, what is left behind. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/util.h"
#include "station/kv.h"
#include "station/records_inner.h"
#include "station/store_inner.h"
#include "tests/compose/compose.h"

#define SIZE (5 * DIGEST_CHUNK + 77)

static void filled(struct pac_body *body)
{
	struct tag_key key;

	for (size_t i = 0; i < sizeof(key.bytes); i++)
		key.bytes[i] = (uint8_t)(i * 37 + 1);
	assert_int_equal(digest_table_init(&body->digest, &key, SIZE), 0);
	for (size_t i = 0; i < body->digest.count; i++)
		memset(body->digest.tag[i], (int)(i * 51 + 3), TAG_SIZE);
	body->crc_ok = true;
	body->crc2 = 0xbeef;
	body->dhtb_checked = 3;
	body->doubts = 2;
	body->doubt = calloc(2, sizeof(*body->doubt));
	snprintf(body->doubt[0].text, sizeof(body->doubt->text), "odd\nin two lines");
	snprintf(body->doubt[0].entry, sizeof(body->doubt->entry), "FDL");
	snprintf(body->doubt[1].text, sizeof(body->doubt->text), "as a whole");
}

static void test_record(void **state)
{
	struct store_record out = {
		.name = "a = b\\c\nd",
		.product = "p",
		.firmware = "f 1",
		.imported_at = 1700000000000000,
		.uid = 1000,
		.accept_bad_crc = true,
		.loader = { .family = "sharkl3", .name = "whole = 1.pac", .digest = "abc", .forced = true }
	};
	struct pac_body *body = calloc(1, sizeof(*body));
	struct store_record in = { 0 };
	char *text, *copy;
	size_t len;

	(void)state;
	filled(body);
	assert_int_equal(store_record_text(&out, body, &text, &len), 0);
	copy = malloc(len + 1);
	memcpy(copy, text, len + 1);
	assert_int_equal(store_record_parse(copy, len, &in), 0);
	assert_string_equal(in.name, out.name);
	assert_string_equal(in.firmware, "f 1");
	assert_int_equal(in.size, SIZE);
	assert_int_equal(in.uid, 1000);
	assert_string_equal(in.loader.family, "sharkl3");
	assert_string_equal(in.loader.name, "whole = 1.pac");
	assert_string_equal(in.loader.digest, "abc");
	assert_true(in.loader.forced);
	assert_true(in.accept_bad_crc && in.body->crc_ok);
	assert_int_equal(in.body->crc2, 0xbeef);
	assert_int_equal(in.body->dhtb_checked, 3);
	assert_int_equal(in.body->doubts, 2);
	assert_string_equal(in.body->doubt[0].text, "odd\nin two lines");
	assert_string_equal(in.body->doubt[0].entry, "FDL");
	assert_string_equal(in.body->doubt[1].entry, "");
	assert_int_equal(in.body->digest.count, 6);
	assert_memory_equal(in.body->digest.key.bytes, body->digest.key.bytes, 16);
	assert_memory_equal(in.body->digest.tag, body->digest.tag, 6 * TAG_SIZE);
	store_record_clear(&in);
	/* cut anywhere it is no record, and never more than one */
	for (size_t cut = 0; cut < len - 1; cut++) {
		memcpy(copy, text, len + 1);
		memset(&in, 0, sizeof(in));
		assert_int_not_equal(store_record_parse(copy, cut, &in), 0);
		assert_null(in.body);
	}
	free(copy);
	free(text);
	pac_body_free(body);
}

/* One that says of itself what is not so: too many tags, too few, none, a size that would take all memory. */
static void test_lies(void **state)
{
	static const char *const lies[] = {
		"image 1\nsize=200000\nkey=00112233445566778899aabbccddeeff\nend=1\n",
		"image 1\nsize=200000\nkey=00112233445566778899aabbccddeeff\n"
		"tags=00112233445566778899aabbccddeeff\nend=1\n",
		"image 1\nsize=1\nkey=00112233445566778899aabbccddeeff\n"
		"tags=00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\nend=1\n",
		"image 1\nsize=1\nkey=0011\ntags=00112233445566778899aabbccddeeff\nend=1\n",
		"image 1\nsize=1\ntags=00112233445566778899aabbccddeeff\nend=1\n",
		"image 1\nsize=18446744073709551615\nkey=00112233445566778899aabbccddeeff\n"
		"tags=00112233445566778899aabbccddeeff\nend=1\n",
		"image 1\nsize=1\nkey=00112233445566778899aabbccddeeff\n"
		"tags=00112233445566778899aabbccddeefg\nend=1\n",
		"job 1\nend=1\n",
		"image 2\nend=1\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
		struct store_record rec = { 0 };
		char *text = strdup(lies[i]);

		if (store_record_parse(text, strlen(lies[i]), &rec) >= 0)
			fail_msg("taken: %s", lies[i]);
		assert_null(rec.body);
		free(text);
	}
}

struct place {
	char state[64];
	struct records *records;
	struct store *store;
};

static int setup(void **state)
{
	struct place *p = calloc(1, sizeof(*p));
	struct failure why = { 0 };

	snprintf(p->state, sizeof(p->state), "/tmp/fdld-store-XXXXXX");
	assert_non_null(mkdtemp(p->state));
	assert_int_equal(records_open(p->state, NULL, &p->records, &why), 0);
	assert_int_equal(store_open(p->records, STORE_IMAGES, &p->store, &why), 0);
	*state = p;
	return 0;
}

static int teardown(void **state)
{
	struct place *p = *state;
	char line[128];

	store_unref(p->store);
	records_unref(p->records);
	snprintf(line, sizeof(line), "rm -rf '%s'", p->state);
	assert_int_equal(system(line), 0);
	free(p);
	return 0;
}

static void make(struct place *p, const char *name)
{
	int fd = openat(p->store->dir, name, O_WRONLY | O_CREAT | O_EXCL, 0600);

	assert_true(fd >= 0);
	close(fd);
}

static bool there(struct place *p, const char *name)
{
	return faccessat(p->store->dir, name, F_OK, 0) == 0;
}

#define D "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define E "10112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

/* Half an import goes; what is whole stays, and what is not ours. */
static void test_sweep(void **state)
{
	struct place *p = *state;
	struct failure why = { 0 };

	make(p, "import-7.tmp");
	make(p, D ".img.tmp");
	make(p, D ".pac");
	make(p, E ".pac");
	make(p, E ".img");
	make(p, "readme");
	store_unref(p->store);
	assert_int_equal(store_open(p->records, STORE_IMAGES, &p->store, &why), 0);
	assert_false(there(p, "import-7.tmp"));
	assert_false(there(p, D ".img.tmp"));
	assert_false(there(p, D ".pac"));
	assert_true(there(p, E ".pac"));
	assert_true(there(p, E ".img"));
	assert_true(there(p, "readme"));
}

static int source(size_t size, bool zeros)
{
	char path[] = "/tmp/fdld-store-source-XXXXXX";
	int fd = mkstemp(path), rd = open(path, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0 && rd >= 0);
	if (zeros)
		assert_int_equal(ftruncate(fd, (off_t)size), 0);
	close(fd);
	unlink(path);
	return rd;
}

static int try(struct place *p, int fd, uint64_t quota, bool stop, struct failure *why)
{
	struct store_work work = { .store = p->store, .fd = fd, .second = -1, .quota = quota, .name = "x" };
	uint64_t used = atomic_load(&p->store->budget->used);
	int r;

	memset(why, 0, sizeof(*why));
	atomic_init(&work.stop, stop);
	r = store_import(&work, why);
	close(fd);
	assert_true(r < 0);
	assert_null(work.package);
	assert_int_equal(p->store->budget->used, used);
	assert_false(there(p, "import-1.tmp") || there(p, "import-2.tmp") || there(p, "import-3.tmp") ||
		     there(p, "import-4.tmp") || there(p, "import-5.tmp"));
	return r;
}

static void test_refused(void **state)
{
	struct place *p = *state;
	struct failure why;

	try(p, source(0, false), UINT64_MAX, false, &why);
	assert_int_equal(why.error, ERR_INVALID_IMAGE);
	try(p, source(1 << 20, true), (1 << 20) - 1, false, &why);
	assert_int_equal(why.error, ERR_QUOTA_EXCEEDED);
	assert_non_null(strstr(why.detail, "1.00 MiB"));
	try(p, source(1 << 20, true), 1 << 20, false, &why); /* it fits, and is no package */
	assert_true(why.error >= ERR_PACKAGE_SIZE && why.error != ERR_QUOTA_EXCEEDED);
	try(p, source(1 << 20, true), UINT64_MAX, true, &why);
	assert_int_equal(why.error, ERR_CANCELLED);
	/* a disk of nobody is so large: refused before a byte is copied */
	try(p, source((size_t)100 << 30, true), UINT64_MAX, false, &why);
	assert_true(why.error == ERR_QUOTA_EXCEEDED);
}

static void test_names_and_room(void **state)
{
	struct place *p = *state;
	struct failure why;

	assert_int_equal(
		store_keep(p->store, &(struct store_record){ .digest = D, .name = "x", .size = 3 << 20 }), 0);
	try(p, source(1 << 20, true), UINT64_MAX, false, &why); /* called as one of another size */
	assert_int_equal(why.error, ERR_INVALID_ARGS);
	assert_int_equal(
		store_keep(p->store, &(struct store_record){ .digest = D, .name = "y", .size = 3 << 20 }), 0);
	assert_int_equal(p->store->count, 1);
	assert_string_equal(p->store->kept[0].name, "y");
	try(p, source(1 << 20, true), (4 << 20) - 1, false, &why); /* what is there counts */
	assert_int_equal(why.error, ERR_QUOTA_EXCEEDED);
}

/* One package, brought by somebody under a name. */
static int bring(struct place *p, const uint8_t *bytes, size_t len, uint32_t uid, const char *name,
		 struct failure *why)
{
	struct store_work work = { .store = p->store, .quota = UINT64_MAX, .uid = uid };
	char path[] = "/tmp/fdld-bring-XXXXXX";
	int fd = mkstemp(path), r;

	assert_true(fd >= 0 && write(fd, bytes, len) == (ssize_t)len);
	close(fd);
	work.fd = open(path, O_RDONLY | O_CLOEXEC);
	unlink(path);
	kv_copy(work.name, sizeof(work.name), name);
	memset(why, 0, sizeof(*why));
	r = store_import(&work, why);
	close(work.fd);
	package_unref(work.package);
	return r;
}

/* Who brought it names it, and root; who else has the same file may only say the same. */
static void test_whose_name(void **state)
{
	struct compose_spec spec = { .family = "sc9863a", .seed = 12, .image_bytes = 4096 };
	struct place *p = *state;
	struct failure why;
	uint8_t *bytes;
	size_t len;

	assert_int_equal(compose_package(&spec, &bytes, &len), 0);
	assert_int_equal(bring(p, bytes, len, 1000, "line", &why), 0);
	assert_true(bring(p, bytes, len, 1001, "mine", &why) < 0);
	assert_int_equal(why.error, ERR_NOT_AUTHORIZED);
	assert_string_equal(p->store->kept[0].name, "line");
	/* to have brought it too makes nobody its owner */
	assert_int_equal(bring(p, bytes, len, 1001, "line", &why), 0);
	assert_true(bring(p, bytes, len, 1001, "mine", &why) < 0);
	assert_int_equal(bring(p, bytes, len, 1000, "bench", &why), 0);
	assert_int_equal(bring(p, bytes, len, 0, "line 3", &why), 0);
	assert_string_equal(p->store->kept[0].name, "line 3");
	assert_int_equal(p->store->kept[0].uid, 1000);
	assert_int_equal(p->store->count, 1);
	free(bytes);
}

/* ---- loaders ---- */

struct bytes {
	uint8_t *data;
	size_t len;
};

static int file_of(const void *data, size_t len)
{
	char path[] = "/tmp/fdld-store-source-XXXXXX";
	int fd = mkstemp(path), rd = open(path, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0 && rd >= 0);
	assert_int_equal(write(fd, data, len), (ssize_t)len);
	close(fd);
	unlink(path);
	return rd;
}

static int import_loaders(struct store *store, struct store_work *work, struct failure *why)
{
	int r;

	work->store = store;
	work->second = work->parts == 2 ? work->second : -1;
	memset(why, 0, sizeof(*why));
	r = store_import(work, why);
	close(work->fd);
	if (work->second >= 0)
		close(work->second);
	store_record_clear(&work->rec);
	return r;
}

static struct bytes package_of(const char *family)
{
	struct compose_spec spec = { .family = family, .seed = 3 };
	struct bytes pac;

	compose_package(&spec, &pac.data, &pac.len);
	return pac;
}

/* What is kept is the pair: of two packages that have the same one, and of files. */
static void test_one_pair(void **state)
{
	struct place *p = *state;
	struct store *loaders;
	struct failure why;
	struct bytes pac = package_of("sc9863a");
	struct store_work work = {
		.fd = file_of(pac.data, pac.len), .quota = UINT64_MAX, .name = "one", .origin = "whole.pac"
	};
	const struct pac_item *item[2];
	struct package *first;
	char digest[65];

	assert_int_equal(store_open(p->records, STORE_LOADERS, &loaders, &why), 0);
	store_join(p->store, loaders);
	assert_int_equal(import_loaders(loaders, &work, &why), 0);
	assert_string_equal(work.rec.loader.name, "whole.pac");
	assert_int_equal(strlen(work.rec.loader.digest), 64);
	assert_string_equal(work.rec.loader.family, "sharkl3");
	assert_false(work.rec.loader.forced);
	memcpy(digest, work.rec.digest, sizeof(digest));
	first = work.package;
	item[0] = pac_fdl1(package_pac(first));
	item[1] = pac_fdl2(package_pac(first));
	assert_int_equal(item[0]->address, 0x5000);
	assert_int_equal(item[1]->address, 0x9EFFFE00);
	assert_true(package_size(first) < pac.len / 2);
	assert_true(package_size(first) < item[0]->size + item[1]->size + 16384);
	/* its quota is that of both */
	assert_int_equal(p->store->budget->used, package_size(first));

	for (int forced = 0; forced < 3;
	     forced++) { /* as files: right, then at a wrong place, then so by force */
		uint8_t *bytes[2];
		struct store_work again = { .parts = 2,
					    .quota = UINT64_MAX,
					    .name = "files",
					    .address = { forced ? 0x5500 : 0x5000, 0x9EFFFE00 },
					    .force = forced == 2 };

		for (int i = 0; i < 2; i++) {
			struct package_reader reader = { .package = first };

			bytes[i] = malloc(item[i]->size);
			assert_int_equal(
				package_reader_read(&reader, item[i]->offset, bytes[i], item[i]->size, &why),
				0);
		}
		again.fd = file_of(bytes[0], item[0]->size);
		again.second = file_of(bytes[1], item[1]->size);
		if (forced == 1) {
			assert_true(import_loaders(loaders, &again, &why) < 0);
			assert_int_equal(why.error, ERR_LOADER_MISMATCH);
			assert_non_null(strstr(why.detail, "0x5000"));
			assert_int_equal(loaders->count, 1);
			assert_int_equal(p->store->budget->used, package_size(first));
		} else {
			if (forced)
				snprintf(again.name, sizeof(again.name), "elsewhere");
			assert_int_equal(import_loaders(loaders, &again, &why), 0);
			assert_int_equal(again.rec.loader.forced, forced == 2);
			assert_int_equal(!strcmp(again.rec.digest, digest), !forced);
			package_unref(again.package);
		}
		free(bytes[0]);
		free(bytes[1]);
	}
	assert_int_equal(loaders->count, 2);
	package_unref(first);
	store_unref(loaders);
	free(pac.data);
}

static void test_no_loaders(void **state)
{
	struct place *p = *state;
	struct store *loaders;
	struct failure why;
	struct bytes pac = package_of("sc9863a");
	struct store_work work = { .quota = UINT64_MAX, .name = "one" };
	char line[160];

	assert_int_equal(store_open(p->records, STORE_LOADERS, &loaders, &why), 0);
	/* one that is broken far behind its loaders is not taken either: it is checked whole */
	pac.data[pac.len - pac.len / 8] ^= 1;
	work.fd = file_of(pac.data, pac.len);
	assert_true(import_loaders(loaders, &work, &why) < 0);
	assert_true(why.error == ERR_PACKAGE_BODY_CRC || why.error == ERR_PACKAGE_XML ||
		    why.error == ERR_PACKAGE_IMAGE_DAMAGED);
	pac.data[pac.len - pac.len / 8] ^= 1;
	work.fd = file_of(pac.data, pac.len);
	atomic_store(&work.stop, true);
	assert_true(import_loaders(loaders, &work, &why) < 0);
	assert_int_equal(why.error, ERR_CANCELLED);
	atomic_store(&work.stop, false);
	work.quota = 1000;
	work.fd = file_of(pac.data, pac.len);
	assert_true(import_loaders(loaders, &work, &why) < 0);
	assert_int_equal(why.error, ERR_QUOTA_EXCEEDED);
	assert_int_equal(loaders->budget->used, 0);
	snprintf(line, sizeof(line), "test -z \"$(ls -A '%s/loader')\"", p->state);
	assert_int_equal(system(line), 0);
	work.quota = UINT64_MAX;
	work.fd = file_of(pac.data, pac.len);
	assert_int_equal(import_loaders(loaders, &work, &why), 0);
	package_unref(work.package);
	store_unref(loaders);
	free(pac.data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_record),
		cmocka_unit_test(test_lies),
		cmocka_unit_test_setup_teardown(test_sweep, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_names_and_room, setup, teardown),
		cmocka_unit_test_setup_teardown(test_whose_name, setup, teardown),
		cmocka_unit_test_setup_teardown(test_one_pair, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_loaders, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
