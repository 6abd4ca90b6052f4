/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The configuration in force: who is answered by which reading, what a disk that stands still does, what
 * waits for the next start. The reads of files are ours here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <syslog.h>
#include <unistd.h>

#include "common/journal.h"
#include "loop/loop.h"
#include "loop/worker.h"
#include "station/config.h"

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t opened = PTHREAD_COND_INITIALIZER;
static bool stalls;
static unsigned int at_the_gate;

ssize_t read(int fd, void *buf, size_t len)
{
	struct stat st;

	if (!fstat(fd, &st) && S_ISREG(st.st_mode)) {
		pthread_mutex_lock(&gate);
		at_the_gate++;
		while (stalls)
			pthread_cond_wait(&opened, &gate);
		at_the_gate--;
		pthread_mutex_unlock(&gate);
	}
	return syscall(SYS_read, fd, buf, len);
}

static void stall(bool on)
{
	pthread_mutex_lock(&gate);
	stalls = on;
	pthread_cond_broadcast(&opened);
	pthread_mutex_unlock(&gate);
}

static char root[64];
static struct loop *loop;
static struct config *config;

static void put(const char *text)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/run/fdld.conf", root);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static int setup(void **state)
{
	struct failure why = { 0 };
	char path[128];

	umask(022);
	strcpy(root, "/tmp/fdld-test-config-XXXXXX");
	if (!mkdtemp(root))
		return -1;
	snprintf(path, sizeof(path), "%s/run", root);
	if (mkdir(path, 0755) < 0)
		return -1;
	put("[service]\nudev-tag=first\n[jobs]\nwait=1s\n");
	loop = loop_new();
	return config_new(loop, root, NULL, 0, &config, &why);
}

static int teardown(void **state)
{
	char command[128];

	stall(false);
	config_free(config);
	config = NULL;
	loop_free(loop);
	for (int i = 0; worker_left_behind() && i < 500; i++)
		usleep(10000);
	assert_int_equal(worker_left_behind(), 0);
	journal_set_level(LOG_INFO);
	snprintf(command, sizeof(command), "rm -rf %s", root);
	return system(command) ? -1 : 0;
}

struct answer {
	unsigned int count;
	struct failure why;
	uint64_t wait_usec; /* in force by then */
};

static void on_answer(void *user, const struct failure *why)
{
	struct answer *a = user;

	a->count++;
	memset(&a->why, 0, sizeof(a->why));
	if (why)
		a->why = *why;
	if (!why || why->error != ERR_DRAINING)
		a->wait_usec = config_book(config)->set.wait_usec;
}

static void turn(unsigned int msec)
{
	uint64_t until = loop_now() + msec * 1000u;

	do
		loop_turn(loop, 2000);
	while (loop_now() < until);
}

#define UNTIL(condition)                                                     \
	do {                                                                 \
		uint64_t limit_ = loop_now() + 15000000;                     \
		while (!(condition)) {                                       \
			if (loop_now() > limit_)                             \
				fail_msg("never came true: %s", #condition); \
			loop_turn(loop, 5000);                               \
		}                                                            \
	} while (0)

static void ask(struct answer *a)
{
	struct failure why = { 0 };

	assert_int_equal(config_reload(config, on_answer, a, &why), 0);
	assert_int_equal(a->count, 0); /* never from within */
}

/* An answer holds for the files as they were when it was asked for, not as an earlier reading has found them.
 */
static void test_order(void **state)
{
	struct answer first = { 0 }, second = { 0 }, third = { 0 };

	put("[jobs]\nwait=2s\n");
	stall(true);
	ask(&first);
	UNTIL(at_the_gate == 1);
	/* read only partly by the first: the file is replaced, as editors and packages do */
	char path[128];

	snprintf(path, sizeof(path), "%s/run/fdld.conf", root);
	assert_int_equal(unlink(path), 0);
	put("[jobs]\nwait=3s\n");
	ask(&second);
	ask(&third);
	turn(20);
	assert_int_equal(first.count + second.count + third.count, 0);
	stall(false);
	UNTIL(third.count);
	assert_int_equal(first.count, 1);
	assert_int_equal(second.count, 1);
	assert_int_equal(first.wait_usec, 2000000);
	assert_int_equal(second.wait_usec, 3000000);
	assert_int_equal(third.wait_usec, 3000000);
	turn(20);
	assert_int_equal(first.count + second.count + third.count, 3);
}

static void test_standstill(void **state)
{
	struct answer first = { 0 }, second = { 0 }, third = { 0 };

	config_deadline(config, 100000);
	put("[jobs]\nwait=2s\n");
	stall(true);
	ask(&first);
	UNTIL(at_the_gate == 1);
	ask(&second);
	UNTIL(first.count);
	assert_int_equal(first.why.error, ERR_CONFIG_INVALID);
	assert_non_null(strstr(first.why.detail, "could not be read within"));
	assert_int_equal(config_failure(config)->error, ERR_CONFIG_INVALID);
	assert_int_equal(config_book(config)->set.wait_usec, 1000000);
	/* the other one is no better off, and is told so too */
	UNTIL(second.count);
	assert_int_equal(second.why.error, ERR_CONFIG_INVALID);
	assert_int_equal(worker_left_behind(), 2);
	/* once the disk is back the next one is good; what comes late changes nothing */
	stall(false);
	config_deadline(config, 5000000);
	ask(&third);
	UNTIL(third.count);
	assert_int_equal(third.why.error, ERR_NONE);
	assert_int_equal(config_failure(config)->error, ERR_NONE);
	assert_int_equal(third.wait_usec, 2000000);
	put("[jobs]\nwait=9s\n");
	turn(50);
	assert_int_equal(config_book(config)->set.wait_usec, 2000000);
}

/* The daemon ends while files are read: all who wait are answered, the thread is left to itself. */
static void test_end(void **state)
{
	struct answer first = { 0 }, second = { 0 };

	stall(true);
	ask(&first);
	UNTIL(at_the_gate == 1);
	ask(&second);
	config_free(config);
	config = NULL;
	assert_int_equal(first.count, 1);
	assert_int_equal(second.count, 1);
	assert_int_equal(first.why.error, ERR_DRAINING);
	assert_int_equal(second.why.error, ERR_DRAINING);
}

static void reload_with(const char *text, enum error_id error)
{
	struct answer a = { 0 };

	put(text);
	ask(&a);
	UNTIL(a.count);
	assert_int_equal(a.why.error, error);
}

/* What needs a restart keeps value and origin until then, and the change is told. */
static void test_restart(void **state)
{
	char text[SETTING_TEXT_MAX];

	assert_false(config_pending(config, SETTING_UDEV_TAG, text, sizeof(text)));
	reload_with("[jobs]\nwait=5s\n\n[service]\nudev-tag=second\n", ERR_NONE);
	assert_true(config_pending(config, SETTING_UDEV_TAG, text, sizeof(text)));
	assert_string_equal(text, "second");
	assert_string_equal(config_book_of(config, SETTING_UDEV_TAG)->set.udev_tag, "first");
	assert_int_equal(config_book_of(config, SETTING_UDEV_TAG)->origin[SETTING_UDEV_TAG].line, 2);
	assert_int_equal(config_book_of(config, SETTING_WAIT)->origin[SETTING_WAIT].line, 2);
	assert_int_equal(config_book_of(config, SETTING_WAIT)->set.wait_usec, 5000000);
	assert_non_null(
		strstr(config_changes(config), "udev-tag=second (was first; from the next start on)"));
	assert_false(config_pending(config, SETTING_WAIT, text, sizeof(text)));
	reload_with("[jobs]\nwait=5s\n\n[service]\nudev-tag=first\n", ERR_NONE);
	assert_false(config_pending(config, SETTING_UDEV_TAG, text, sizeof(text)));
	reload_with("[jobs]\nwait=5s\nudev-tag=first\n", ERR_CONFIG_INVALID);
	assert_false(config_pending(config, SETTING_UDEV_TAG, text, sizeof(text)));
	assert_int_equal(config_book(config)->set.wait_usec, 5000000);
}

/* A level that somebody has set at run time holds until the files change their mind. */
static void test_level(void **state)
{
	assert_int_equal(journal_level(), LOG_INFO);
	journal_set_level(LOG_DEBUG);
	reload_with("[jobs]\nwait=2s\n", ERR_NONE);
	assert_int_equal(journal_level(), LOG_DEBUG);
	reload_with("[service]\nlog-level=error\n", ERR_NONE);
	assert_int_equal(journal_level(), LOG_ERR);
	reload_with("[service]\nlog-level=loud\n", ERR_CONFIG_INVALID);
	assert_int_equal(journal_level(), LOG_ERR);
	reload_with("", ERR_NONE);
	assert_int_equal(journal_level(), LOG_INFO);
}

static void test_overrides(void **state)
{
	const struct setting_override over = { SETTING_WAIT, "7s" };
	struct failure why = { 0 };

	config_free(config);
	assert_int_equal(config_new(loop, root, &over, 1, &config, &why), 0);
	assert_int_equal(config_book(config)->set.wait_usec, 7000000);
	reload_with("[jobs]\nwait=2s\nkeep=5s\n", ERR_NONE);
	assert_int_equal(config_book(config)->set.wait_usec, 7000000);
	assert_int_equal(config_book(config)->set.keep_usec, 5000000);
	assert_int_equal(config_book(config)->origin[SETTING_WAIT].from, SETTING_FROM_COMMAND_LINE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_order),   TEST(test_standstill), TEST(test_end),
		TEST(test_restart), TEST(test_level),	   TEST(test_overrides),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
