/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A disk that never answers, and one that answers with an error: the package is refused by name, the loop
 * goes on, and the thread that hangs keeps what it needs until it comes back. The reads of packages are ours
 * here.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <cmocka.h>

#include "common/util.h"
#include "station/internal.h"
#include "tests/compose/compose.h"

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t opened = PTHREAD_COND_INITIALIZER;
static bool stalls;    /* reads from here on hang */
static int64_t bad_at; /* a read that covers this byte fails with EIO; -1: none */
static uint64_t stall_at;

ssize_t pread64(int fd, void *buf, size_t len, off64_t offset);
ssize_t pread64(int fd, void *buf, size_t len, off64_t offset)
{
	pthread_mutex_lock(&gate);
	while (stalls && (uint64_t)offset + len > stall_at)
		pthread_cond_wait(&opened, &gate);
	pthread_mutex_unlock(&gate);
	if (bad_at >= 0 && offset <= bad_at && bad_at < offset + (int64_t)len) {
		errno = EIO;
		return -1;
	}
	return syscall(SYS_pread64, fd, buf, len, offset);
}

static void stall(bool on, uint64_t from)
{
	pthread_mutex_lock(&gate);
	stalls = on;
	stall_at = from;
	pthread_cond_broadcast(&opened);
	pthread_mutex_unlock(&gate);
}

struct rig {
	char state[64], pac[64];
	uint64_t size;
	struct loop *loop;
	struct station *st;
	struct image *image;
	struct failure why;
	bool answered;
};

static int rm(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st, (void)flag, (void)ftw;
	return remove(path);
}

static int setup(void **state)
{
	struct compose_spec spec = { .family = "sc9863a", .seed = 5, .image_bytes = 300000 };
	struct station_config config = { 0 };
	struct rig *r = calloc(1, sizeof(*r));
	struct failure why = { 0 };
	int fd;

	strcpy(r->state, "/tmp/fdld-test-stall-XXXXXX");
	strcpy(r->pac, "/tmp/fdld-test-pac-XXXXXX");
	assert_non_null(mkdtemp(r->state));
	fd = mkstemp(r->pac);
	assert_true(fd >= 0);
	assert_int_equal(compose_write(&spec, fd, &r->size), 0);
	close(fd);
	config.state_dir = r->state;
	r->loop = loop_new();
	assert_non_null(r->loop);
	assert_int_equal(station_new(r->loop, &config, &r->st, &why), 0);
	r->st->set.open_usec = 200000;
	r->st->set.stall_usec = 400000;
	bad_at = -1;
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	struct rig *r = *state;

	stall(false, 0);
	station_free(r->st);
	loop_free(r->loop);
	/* threads that were left behind come back and clean up after themselves */
	for (int i = 0; worker_left_behind() && i < 500; i++)
		usleep(10000);
	assert_int_equal(worker_left_behind(), 0);
	nftw(r->state, rm, 8, FTW_DEPTH | FTW_PHYS);
	unlink(r->pac);
	free(r);
	return 0;
}

static void on_image(void *user, struct image *image, const struct failure *why)
{
	struct rig *r = user;

	r->answered = true;
	r->image = image;
	if (why)
		r->why = *why;
}

static void open_image(struct rig *r)
{
	struct station_caller caller = { .uid = 0 };

	assert_int_equal(station_open_image(r->st, open(r->pac, O_RDONLY | O_CLOEXEC), NULL, &caller,
					    on_image, r, &r->why),
			 0);
	for (int i = 0; !r->answered; i++) {
		assert_true(i < 1000);
		loop_turn(r->loop, 10000);
	}
}

static struct image_view until_checked(struct rig *r)
{
	struct image_view v;

	for (int i = 0;; i++) {
		assert_true(i < 1000);
		image_view(r->image, &v);
		if (strcmp(v.state, "checking"))
			return v;
		loop_turn(r->loop, 10000);
	}
}

static void test_structure_stalls(void **state)
{
	struct rig *r = *state;
	struct loop_stats stats;

	stall(true, 0);
	open_image(r);
	assert_null(r->image);
	assert_int_equal(r->why.error, ERR_PACKAGE_READ_STALLED);
	assert_int_equal(worker_left_behind(), 1);
	loop_stats(r->loop, &stats);
	assert_true(stats.max_turn_usec < 150000);
	/* another package, from a disk that answers, is not held up by it */
	stall(false, 0);
	r->answered = false;
	open_image(r);
	assert_non_null(r->image);
	assert_string_equal(until_checked(r).state, "good");
}

static void test_check_stalls(void **state)
{
	struct station_caller caller = { .uid = 0 };
	struct rig *r = *state;
	struct image_view v;

	/* the structure is at the beginning and at the end: let that through, then hang */
	assert_int_equal(station_open_image(r->st, open(r->pac, O_RDONLY | O_CLOEXEC), NULL, &caller,
					    on_image, r, &r->why),
			 0);
	for (int i = 0; !r->answered; i++) {
		assert_true(i < 1000);
		loop_turn(r->loop, 1000);
		if (r->answered)
			stall(true, DIGEST_CHUNK);
	}
	assert_non_null(r->image);
	v = until_checked(r);
	if (!strcmp(v.state, "good")) /* it was quicker than we were */
		skip();
	assert_int_equal(v.failure.error, ERR_PACKAGE_READ_STALLED);
	assert_int_equal(worker_left_behind(), 1);
}

static void test_disk_error(void **state)
{
	struct rig *r = *state;
	struct image_view v;

	bad_at = 10;
	open_image(r);
	assert_null(r->image);
	assert_int_equal(r->why.error, ERR_PACKAGE_READ_FAILED);
	/* in the middle of the largest image: only the whole pass, or a job, comes by there */
	bad_at = (int64_t)r->size / 2;
	r->answered = false;
	open_image(r);
	assert_non_null(r->image);
	v = until_checked(r);
	assert_string_equal(v.state, "bad");
	assert_int_equal(v.failure.error, ERR_PACKAGE_READ_FAILED);
}

static void test_reader_error(void **state)
{
	struct rig *r = *state;
	struct failure why = { 0 };
	struct package *p = package_new(open(r->pac, O_RDONLY | O_CLOEXEC), false, &why);
	struct package_reader reader = { .package = p };
	uint8_t buf[16];

	assert_non_null(p);
	assert_int_equal(package_parse(p, &why), 0);
	bad_at = 500;
	assert_true(package_reader_read(&reader, 100, buf, sizeof(buf), &why) < 0);
	assert_int_equal(why.error, ERR_PACKAGE_READ_FAILED);
	bad_at = -1; /* a passing error is not remembered */
	assert_int_equal(package_reader_read(&reader, 100, buf, sizeof(buf), &why), 0);
	package_unref(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_structure_stalls, setup, teardown),
		cmocka_unit_test_setup_teardown(test_check_stalls, setup, teardown),
		cmocka_unit_test_setup_teardown(test_disk_error, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reader_error, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
