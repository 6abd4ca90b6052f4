/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Packages that are put together out of several files of a caller's: each byte comes from the right place,
 * and what holds for the one file of a package holds for each of them.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "common/util.h"
#include "station/package.h"
#include "tests/compose/compose.h"

#define FILES 4

/* One that shares its chunk with its neighbours, one of many chunks, one of a byte, one of exactly two. */
static const size_t sizes[FILES] = { 5000, 5 * DIGEST_CHUNK + 77, 1, 2 * DIGEST_CHUNK };
static const char *const places[FILES] = { "boot_a", "system", "misc", "logo" };

struct rig {
	char path[FILES][64];
	int rw[FILES];
	uint8_t *bytes[FILES];
	struct package *package;
	struct failure why;
};

static int setup(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));

	for (int i = 0; i < FILES; i++) {
		strcpy(r->path[i], "/tmp/fdld-test-part-XXXXXX");
		r->rw[i] = mkstemp(r->path[i]);
		r->bytes[i] = malloc(sizes[i]);
		assert_true(r->rw[i] >= 0 && r->bytes[i]);
		compose_random(40 + (uint64_t)i, r->bytes[i], sizes[i]);
		assert_int_equal(write(r->rw[i], r->bytes[i], sizes[i]), sizes[i]);
	}
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	struct rig *r = *state;

	package_unref(r->package);
	for (int i = 0; i < FILES; i++) {
		unlink(r->path[i]);
		close(r->rw[i]);
		free(r->bytes[i]);
	}
	free(r);
	return 0;
}

/* A piece of the composed package, in memory. */
static void loader(struct package_part *p, const char *id, const char *type, uint64_t address)
{
	static struct compose_spec spec = { .family = "sc9863a", .seed = 11 };
	size_t len;

	*p = (struct package_part){ .made = { .id = id, .type = type, .address = address }, .fd = -1 };
	p->bytes = compose_payload(&spec, id, 0, &len);
	p->size = len;
	assert_non_null(p->bytes);
}

static int make(struct rig *r, const int *fds)
{
	const struct made_scheme scheme = { .product = "sc9863a", .flash_type = 1 };
	struct package_part part[2 + FILES + 1] = { 0 };
	int rc;

	loader(&part[0], "FDL", "FDL", 0x5000);
	loader(&part[1], "FDL2", "NAND_FDL", 0x9EFFFE00);
	for (int i = 0; i < FILES; i++)
		part[2 + i] = (struct package_part){ .made = { .id = places[i],
							       .type = "CODE2",
							       .partition = places[i],
							       .name = i == 3 ? NULL : places[i] },
						     .fd = fds ? fds[i] : open(r->path[i], O_RDONLY) };
	part[2 + FILES] = (struct package_part){
		.made = { .id = "Erase", .type = "EraseFlash2", .partition = "cache" }, .fd = -1
	};
	memset(&r->why, 0, sizeof(r->why));
	rc = package_make(part, ARRAY_SIZE(part), &scheme, &r->package, &r->why);
	for (size_t i = 0; i < ARRAY_SIZE(part); i++)
		assert_true(!part[i].bytes && part[i].fd == -1); /* taken, whatever came of it */
	if (!rc)
		rc = package_parse(r->package, &r->why);
	return rc;
}

static const struct pac_item *item(const struct rig *r, const char *id)
{
	const struct pac_item *found = pac_item_by_id(package_pac(r->package), id);

	assert_non_null(found);
	return found;
}

static void holds(struct rig *r, struct package_reader *reader)
{
	uint8_t *buf = malloc(sizes[1]);

	for (int i = 0; i < FILES; i++) {
		const struct pac_item *at = item(r, places[i]);

		assert_int_equal(at->size, sizes[i]);
		assert_int_equal(package_reader_read(reader, at->offset, buf, sizes[i], &r->why), 0);
		assert_memory_equal(buf, r->bytes[i], sizes[i]);
	}
	free(buf);
}

static void test_reading(void **state)
{
	struct rig *r = *state;
	struct package_reader early = { 0 }, late = { 0 };
	uint8_t buf[3000];

	if (make(r, NULL) < 0)
		fail_msg("%s: %s", error_entry(r->why.error)->name, r->why.detail);
	early.package = late.package = r->package;
	assert_string_not_equal(package_loader(r->package, 1), "");
	holds(r, &early);
	assert_int_equal(package_check(r->package, &r->why), 0);
	assert_int_equal(package_reader_prove(&early, &r->why), 0);
	holds(r, &late);
	/* over the edges of parts, header and all */
	for (uint64_t at = 0; at + sizeof(buf) <= package_size(r->package); at += 2777)
		assert_int_equal(package_reader_read(&late, at, buf, sizeof(buf), &r->why), 0);
	assert_true(package_try(r->package, package_size(r->package) - 10, buf, 10));
	assert_true(package_reader_read(&late, package_size(r->package) - 10, buf, 11, &r->why) < 0);
}

static void flip(struct rig *r, int i, uint64_t at)
{
	uint8_t b;

	assert_int_equal(pread(r->rw[i], &b, 1, (off_t)at), 1);
	b ^= 1;
	assert_int_equal(pwrite(r->rw[i], &b, 1, (off_t)at), 1);
}

/* Each file, after the check and while it goes on: named, and not sent. */
static void test_changed(void **state)
{
	struct rig *r = *state;
	uint8_t buf[64];

	for (int i = 0; i < FILES; i++) {
		struct package_reader late = { 0 }, early = { 0 };
		uint64_t at = sizes[i] - 1;

		assert_int_equal(make(r, NULL), 0);
		early.package = late.package = r->package;
		assert_int_equal(
			package_reader_read(&early, item(r, places[i])->offset + at, buf, 1, &r->why), 0);
		flip(r, i, at);
		assert_int_equal(package_check(r->package, &r->why), 0);
		assert_true(package_reader_prove(&early, &r->why) < 0);
		assert_int_equal(r->why.error, ERR_PACKAGE_CHANGED);
		assert_non_null(strstr(r->why.detail, places[i]));
		flip(r, i, at); /* as it was, but not as it was when it was checked */
		memset(&r->why, 0, sizeof(r->why));
		package_unref(r->package);
		assert_int_equal(make(r, NULL), 0);
		late.package = r->package;
		assert_int_equal(package_check(r->package, &r->why), 0);
		flip(r, i, at);
		assert_true(package_reader_read(&late, item(r, places[i])->offset + at, buf, 1, &r->why) < 0);
		assert_int_equal(r->why.error, ERR_PACKAGE_CHANGED);
		assert_non_null(strstr(r->why.detail, places[i]));
		flip(r, i, at);
		package_unref(TAKE_PTR(r->package));
	}
}

static void test_cut(void **state)
{
	struct rig *r = *state;
	struct package_reader late = { 0 };
	uint8_t buf[64];

	assert_int_equal(make(r, NULL), 0);
	late.package = r->package;
	assert_int_equal(package_check(r->package, &r->why), 0);
	assert_int_equal(ftruncate(r->rw[1], (off_t)(3 * DIGEST_CHUNK)), 0);
	assert_true(package_reader_read(&late, item(r, "system")->offset + 4 * DIGEST_CHUNK, buf, 64,
					&r->why) < 0);
	assert_int_equal(r->why.error, ERR_PACKAGE_CHANGED);
	assert_non_null(strstr(r->why.detail, "system is shorter than"));
	package_unref(TAKE_PTR(r->package));
	/* and between the look and the check */
	assert_int_equal(ftruncate(r->rw[1], (off_t)sizes[1]), 0);
	assert_int_equal(make(r, NULL), 0);
	assert_int_equal(ftruncate(r->rw[3], 1), 0);
	assert_true(package_check(r->package, &r->why) < 0);
	assert_int_equal(r->why.error, ERR_PACKAGE_CHANGED);
	assert_non_null(strstr(r->why.detail, "logo is shorter than"));
}

static bool closed(int fd)
{
	for (int i = 0; i < 2000 && fcntl(fd, F_GETFD) >= 0; i++)
		usleep(1000);
	return fcntl(fd, F_GETFD) < 0;
}

static void refused(struct rig *r, int fd)
{
	int fds[FILES];

	assert_true(fd >= 0);
	for (int i = 0; i < FILES; i++)
		fds[i] = i == 2 ? fd : open(r->path[i], O_RDONLY);
	assert_true(make(r, fds) < 0);
	assert_null(r->package);
	assert_int_equal(r->why.error, ERR_INVALID_IMAGE);
	assert_true(!strncmp(r->why.detail, "misc: ", 6)); /* which of them */
	for (int i = 0; i < FILES; i++)
		assert_true(closed(fds[i]));
}

static void test_kinds(void **state)
{
	struct rig *r = *state;
	int pipes[2], dead;

	refused(r, open(r->path[2], O_RDWR));
	refused(r, open(r->path[2], O_WRONLY));
	refused(r, open(r->path[2], O_PATH));
	refused(r, open("/tmp", O_RDONLY | O_DIRECTORY));
	refused(r, open("/dev/null", O_RDONLY));
	assert_int_equal(pipe(pipes), 0);
	refused(r, pipes[0]);
	close(pipes[1]);
	dead = open(r->path[2], O_RDONLY);
	assert_int_equal(ftruncate(r->rw[2], (off_t)PACKAGE_SIZE_MAX + 1), 0);
	refused(r, dead);
	assert_int_equal(ftruncate(r->rw[2], 0), 0);
	refused(r, open(r->path[2], O_RDONLY));
}

static void test_many(void **state)
{
	const struct made_scheme scheme = { .product = "sc9863a", .flash_type = 1 };
	struct rig *r = *state;
	struct package_part *part = calloc(PAC_ENTRIES_MAX + 5, sizeof(*part));
	int fd = -1;

	for (size_t i = 0; i < PAC_ENTRIES_MAX + 5; i++) {
		part[i].fd = i % 100 ? -1 : open(r->path[0], O_RDONLY);
		part[i].made = (struct made_part){ .id = "x", .type = "CODE2", .partition = "x" };
		fd = MAX(fd, part[i].fd);
	}
	assert_true(package_make(part, PAC_ENTRIES_MAX + 5, &scheme, &r->package, &r->why) < 0);
	assert_int_equal(r->why.error, ERR_INVALID_ARGS);
	assert_true(closed(fd));
	free(part);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_reading, setup, teardown),
		cmocka_unit_test_setup_teardown(test_changed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cut, setup, teardown),
		cmocka_unit_test_setup_teardown(test_kinds, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
