/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Packages as jobs read them: what is taken at all, and that no byte reaches a phone that was not checked.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "common/util.h"
#include "station/package.h"
#include "tests/compose/compose.h"

struct file {
	char path[64];
	int rw;
	uint8_t *bytes;
	size_t len;
};

static int setup(void **state)
{
	struct compose_spec spec = { .family = "sc9863a", .seed = 11, .image_bytes = 400000 };
	struct file *f = calloc(1, sizeof(*f));

	strcpy(f->path, "/tmp/fdld-test-image-XXXXXX");
	f->rw = mkstemp(f->path);
	assert_true(f->rw >= 0);
	assert_int_equal(compose_package(&spec, &f->bytes, &f->len), 0);
	assert_true(f->len > 6 * (size_t)PACKAGE_SPAN && f->len < READER_EARLY_MAX * (size_t)DIGEST_CHUNK);
	assert_int_equal(write(f->rw, f->bytes, f->len), f->len);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct file *f = *state;

	unlink(f->path);
	close(f->rw);
	free(f->bytes);
	free(f);
	return 0;
}

static struct package *opened(const struct file *f)
{
	struct failure why = { 0 };
	struct package *p = package_new(open(f->path, O_RDONLY | O_CLOEXEC), false, &why);

	if (!p || package_parse(p, &why) < 0)
		fail_msg("%s: %s", error_entry(why.error)->name, why.detail);
	return p;
}

static void checked(struct package *p)
{
	struct failure why = { 0 };

	if (package_check(p, &why) < 0)
		fail_msg("%s: %s", error_entry(why.error)->name, why.detail);
	assert_non_null(package_body(p));
	assert_int_equal(package_checked(p), package_size(p));
}

static void flip(struct file *f, uint64_t at)
{
	uint8_t b;

	assert_int_equal(pread(f->rw, &b, 1, (off_t)at), 1);
	b ^= 1;
	assert_int_equal(pwrite(f->rw, &b, 1, (off_t)at), 1);
}

static void refused(int fd)
{
	struct failure why = { 0 };
	struct package *p;

	assert_true(fd >= 0);
	p = package_new(fd, false, &why);
	if (p) {
		assert_true(package_parse(p, &why) < 0);
		package_unref(p);
	}
	assert_int_equal(why.error, ERR_INVALID_IMAGE);
	/* it was taken all the same; a thread closes it */
	for (int i = 0; i < 1000 && fcntl(fd, F_GETFD) >= 0; i++)
		usleep(1000);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
}

static void test_kinds(void **state)
{
	struct file *f = *state;
	int pipes[2];

	refused(open(f->path, O_RDWR));
	refused(open(f->path, O_WRONLY));
	refused(open(f->path, O_PATH));
	refused(open("/tmp", O_RDONLY | O_DIRECTORY));
	refused(open("/dev/zero", O_RDONLY));
	assert_int_equal(pipe(pipes), 0);
	refused(pipes[0]);
	close(pipes[1]);
	/* a file of holes */
	assert_int_equal(ftruncate(f->rw, (off_t)PACKAGE_SIZE_MAX + 1), 0);
	refused(open(f->path, O_RDONLY));
	assert_int_equal(ftruncate(f->rw, 0), 0);
	refused(open(f->path, O_RDONLY));
}

static void test_reading(void **state)
{
	struct file *f = *state;
	struct package *p = opened(f);
	struct package_reader r = { .package = p };
	struct failure why = { 0 };
	uint8_t *buf = malloc(f->len);

	/* before the digests: read, remembered, proved later */
	assert_int_equal(package_reader_read(&r, 5000, buf, 3 * DIGEST_CHUNK - 7000, &why), 0);
	assert_memory_equal(buf, f->bytes + 5000, 3 * DIGEST_CHUNK - 7000);
	assert_int_equal(r.early_count, 3);
	assert_true(package_reader_prove(&r, &why) < 0); /* nothing to prove it with */
	checked(p);
	assert_int_equal(package_reader_prove(&r, &why), 0);
	/* with them: any cut, over the edges of chunks, to the last byte */
	for (uint64_t at = 0; at < f->len; at += 100003) {
		size_t n = MIN((size_t)131072, f->len - at);

		assert_int_equal(package_reader_read(&r, at, buf, n, &why), 0);
		assert_memory_equal(buf, f->bytes + at, n);
	}
	assert_int_equal(package_reader_read(&r, f->len - 1, buf, 1, &why), 0);
	assert_int_equal(r.early_count, 0);
	assert_true(package_reader_read(&r, f->len - 1, buf, 2, &why) < 0);
	assert_true(package_reader_read(&r, UINT64_MAX, buf, 2, &why) < 0);
	free(buf);
	package_unref(p);
}

/* What is lent stays as it is while others read on, and is then let go like all else. */
static void test_lending(void **state)
{
	struct file *f = *state;
	struct package *p = opened(f);
	struct package_reader r = { .package = p };
	struct failure why = { 0 };
	struct span *loan, *other;
	const uint8_t *lent;
	uint8_t buf[100];

	assert_false(package_is_warm(p, 0, 1));
	assert_int_equal(package_reader_read(&r, 100, buf, sizeof(buf), &why), 0);
	assert_true(package_is_warm(p, 0, PACKAGE_SPAN));
	assert_false(package_is_warm(p, 0, PACKAGE_SPAN + 1));
	assert_true(package_is_warm(p, f->len, UINT64_MAX));
	assert_null(package_lend(p, 100, sizeof(buf), &loan)); /* not proved yet */
	checked(p);
	lent = package_lend(p, 100, sizeof(buf), &loan);
	assert_non_null(lent);
	assert_memory_equal(lent, f->bytes + 100, sizeof(buf));
	assert_null(package_lend(p, PACKAGE_SPAN - 10, 20, &other));
	assert_null(package_lend(p, PACKAGE_SPAN, 20, &other));
	assert_null(other);
	assert_false(package_try(p, PACKAGE_SPAN - 10, buf, 20));
	package_warm(p, PACKAGE_SPAN + 5);
	assert_null(package_lend(p, PACKAGE_SPAN - 10, 20, &other)); /* there, but in two */
	assert_true(package_try(p, PACKAGE_SPAN - 10, buf, 20));
	assert_memory_equal(buf, f->bytes + PACKAGE_SPAN - 10, 20);
	assert_null(package_lend(p, f->len - 5, 6, &other));
	for (uint64_t at = 0; at < f->len; at += PACKAGE_SPAN)
		package_warm(p, at);
	assert_memory_equal(lent, f->bytes + 100, sizeof(buf));
	package_return(p, loan);
	assert_true(package_try(p, 100, buf, 1)); /* kept for a while, */
	for (uint64_t at = PACKAGE_SPAN; at < f->len; at += PACKAGE_SPAN)
		package_warm(p, at);
	assert_false(package_try(p, 100, buf, 1)); /* but not for ever */
	package_unref(p);
}

static void expect_changed(struct package *p, uint64_t at)
{
	struct package_reader r = { .package = p };
	struct failure why = { 0 };
	uint8_t buf[64];

	assert_true(package_reader_read(&r, at, buf, sizeof(buf), &why) < 0);
	assert_int_equal(why.error, ERR_PACKAGE_CHANGED);
}

static void test_changed(void **state)
{
	struct file *f = *state;
	struct package *p = opened(f);
	struct package_reader r = { .package = p };
	struct failure why = { 0 };
	struct span *loan;
	uint8_t buf[64];

	checked(p);
	flip(f, DIGEST_CHUNK + 77);
	expect_changed(p, DIGEST_CHUNK); /* another byte of the same chunk */
	assert_int_equal(package_reader_read(&r, 0, buf, sizeof(buf), &why), 0);
	assert_non_null(package_lend(p, DIGEST_CHUNK - 10, 10, &loan));
	package_return(p, loan);
	assert_null(package_lend(p, DIGEST_CHUNK - 10, 11, &loan));
	assert_null(package_lend(p, DIGEST_CHUNK, 1, &loan));
	assert_false(package_try(p, DIGEST_CHUNK - 10, buf, 11));
	assert_non_null(package_lend(p, 2 * DIGEST_CHUNK, 10, &loan));
	package_return(p, loan);
	package_unref(p);
}

/* Changed after a loader went out, before the check: the check itself is content with what it sees. */
static void test_changed_early(void **state)
{
	struct file *f = *state;
	struct package *p = opened(f);
	struct package_reader r = { .package = p }, other = { .package = p };
	struct failure why = { 0 };
	uint8_t buf[64];

	assert_int_equal(package_reader_read(&r, DIGEST_CHUNK, buf, sizeof(buf), &why), 0);
	flip(f, DIGEST_CHUNK + 5000);
	/* the body's CRC says so first; a change that it does not see is still found by the digests */
	if (package_check(p, &why) == 0) {
		assert_true(package_reader_prove(&r, &why) < 0);
		assert_int_equal(why.error, ERR_PACKAGE_CHANGED);
	} else {
		assert_int_equal(why.error, ERR_PACKAGE_BODY_CRC);
		package_unref(p);
		/* the other way round: damaged when it was read early, whole when it was checked */
		p = opened(f);
		r = (struct package_reader){ .package = p };
		other.package = p;
		assert_int_equal(package_reader_read(&r, DIGEST_CHUNK, buf, sizeof(buf), &why), 0);
		flip(f, DIGEST_CHUNK + 5000);
		checked(p);
		assert_int_equal(package_reader_prove(&other, &why), 0);
		assert_true(package_reader_prove(&r, &why) < 0);
		assert_int_equal(why.error, ERR_PACKAGE_CHANGED);
		/* and the bad chunk in the cache serves nobody */
		expect_changed(p, DIGEST_CHUNK);
	}
	package_unref(p);
}

static void test_cut(void **state)
{
	struct file *f = *state;
	struct package *p = opened(f), *q = opened(f);
	struct failure why = { 0 };

	checked(p);
	assert_int_equal(ftruncate(f->rw, 2 * DIGEST_CHUNK + 10), 0);
	expect_changed(p, 2 * DIGEST_CHUNK + 100);
	package_unref(p);
	/* while it is being checked */
	assert_true(package_check(q, &why) < 0);
	assert_int_equal(why.error, ERR_PACKAGE_CHANGED);
	package_unref(q);
}

static void test_stop(void **state)
{
	struct package *p = opened(*state);
	struct failure why = { 0 };

	package_stop(p);
	assert_true(package_check(p, &why) < 0);
	assert_int_equal(why.error, ERR_CANCELLED);
	assert_null(package_body(p));
	package_unref(p);
}

struct phone {
	pthread_t thread;
	const struct file *file;
	struct package_reader reader;
	struct failure why;
	unsigned int seed;
	bool wrong;
};

static void *flashes(void *arg)
{
	struct phone *p = arg;
	uint8_t *buf = malloc(131072);

	for (int i = 0; i < 300 && p->why.error == ERR_NONE; i++) {
		uint64_t at = (uint64_t)rand_r(&p->seed) % (p->file->len - 131072);

		if (package_reader_read(&p->reader, at, buf, 131072, &p->why) == 0)
			p->wrong |= memcmp(buf, p->file->bytes + at, 131072) != 0;
	}
	free(buf);
	return NULL;
}

static void *checks(void *arg)
{
	struct phone *p = arg;

	(void)package_check(p->reader.package, &p->why);
	package_unref(p->reader.package);
	return NULL;
}

/* Many readers of one package, all over it, before, while and after it is checked. */
static void test_many(void **state)
{
	struct package *p = opened(*state);
	struct phone phone[9] = { 0 };

	for (int i = 0; i < 9; i++) {
		phone[i].file = *state;
		phone[i].seed = (unsigned int)i;
		phone[i].reader.package = i ? p : package_ref(p);
		assert_int_equal(pthread_create(&phone[i].thread, NULL, i ? flashes : checks, &phone[i]), 0);
	}
	for (int i = 0; i < 9; i++) {
		pthread_join(phone[i].thread, NULL);
		assert_int_equal(phone[i].why.error, ERR_NONE);
		assert_false(phone[i].wrong);
	}
	for (int i = 1; i < 9; i++)
		assert_int_equal(package_reader_prove(&phone[i].reader, &phone[i].why), 0);
	package_unref(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_kinds, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reading, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lending, setup, teardown),
		cmocka_unit_test_setup_teardown(test_changed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_changed_early, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cut, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stop, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
