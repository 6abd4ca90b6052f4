/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the service manager is told while the daemon ends: time is asked for as long as a job that runs shows
 * life or waits for an answer that may still come, and never for one that does neither.
 */
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "tests/unit/station_rig.h"

#include "host/ending.h"
#include "host/notify.h"
#include "station/runner.h"

#define EACH_MSEC 10u

static int manager = -1; /* NOTIFY_SOCKET */
static struct runner runner;

static void listen_as_manager(struct rig *r)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	snprintf(a.sun_path, sizeof(a.sun_path), "%s/notify", r->runtime);
	manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_true(manager >= 0);
	assert_int_equal(bind(manager, (struct sockaddr *)&a, sizeof(a)), 0);
	setenv("NOTIFY_SOCKET", a.sun_path, 1);
}

/* How often time is asked for in so many periods; *usec: the last of it. Read at once, the queue is short. */
static unsigned int extends(struct rig *r, unsigned int periods, uint64_t *usec)
{
	unsigned long long value;
	char text[512];
	unsigned int n = 0;
	ssize_t len;

	for (unsigned int i = 0; i < periods; i++) {
		turn(r, EACH_MSEC);
		while ((len = recv(manager, text, sizeof(text) - 1, 0)) > 0) {
			text[len] = '\0';
			if (sscanf(text, "EXTEND_TIMEOUT_USEC=%llu", &value) != 1)
				continue;
			n++;
			if (usec)
				*usec = value;
		}
	}
	return n;
}

/* A job that is as if it ran; what it does is said by hand. */
static struct job *running(struct rig *r)
{
	struct job *job = flash(r, (struct job_request){ .slot = slot_get(r->st, "pci-1") });

	job->state = JOB_RUNNING;
	memset(&runner, 0, sizeof(runner));
	return job;
}

static void end(struct rig *r, struct job *job, struct host_ending *ending)
{
	job->runner = NULL;
	job->state = JOB_WAITING;
	host_ending_free(ending);
	close(manager);
	unsetenv("NOTIFY_SOCKET");
}

static void test_life(void **state)
{
	struct rig *r = *state;
	struct host_ending *ending = host_ending_new(r->loop, r->st);
	struct job *job = running(r);
	uint64_t usec = 0;

	listen_as_manager(r);
	host_ending_hurry(ending, EACH_MSEC * 1000);
	job->lively = loop_now();
	assert_int_equal(extends(r, 5, NULL), 0); /* nobody has asked us to end */
	assert_int_equal(host_ending_state(ending), ENDING_NOT);
	raise(SIGTERM);
	assert_true(extends(r, 10, &usec) >= 3);
	assert_int_equal(usec, 30000000);
	assert_int_equal(host_ending_state(ending), ENDING_GENTLY);
	/* no sign of life for longer than anything may take */
	job->lively = loop_now() - 61000000;
	(void)extends(r, 3, NULL);
	assert_int_equal(extends(r, 10, NULL), 0);
	assert_int_equal(host_ending_state(ending), ENDING_STUCK);
	/* it moves after all */
	job_moved(job);
	assert_true(extends(r, 10, NULL) >= 3);
	assert_int_equal(host_ending_state(ending), ENDING_GENTLY);
	assert_false(r->idle);
	end(r, job, ending);
}

static void test_silent_phone(void **state)
{
	struct rig *r = *state;
	struct host_ending *ending = host_ending_new(r->loop, r->st);
	struct job *job = running(r);
	uint64_t usec = 0;

	listen_as_manager(r);
	host_ending_hurry(ending, EACH_MSEC * 1000);
	job->lively = loop_now() - 100000000; /* silent for longer than that */
	job->runner = &runner;
	runner.w.kind = WANT_SEND;
	runner.w.deadline_usec = 100300000; /* but its answer is due until then */
	runner.taken_at = loop_now() - 100000000;
	raise(SIGTERM);
	assert_true(extends(r, 10, &usec) >= 3);
	assert_true(usec > 0 && usec <= 300000); /* not longer than the phone may be silent */
	(void)extends(r, 25, NULL);
	assert_int_equal(extends(r, 10, NULL), 0); /* beyond its deadline */
	assert_int_equal(host_ending_state(ending), ENDING_STUCK);
	end(r, job, ending);
}

static void test_again(void **state)
{
	struct rig *r = *state;
	struct host_ending *ending = host_ending_new(r->loop, r->st);
	struct job *job = running(r);

	listen_as_manager(r);
	job->lively = loop_now();
	raise(SIGINT);
	(void)extends(r, 1, NULL);
	assert_int_equal(host_ending_state(ending), ENDING_GENTLY);
	raise(SIGTERM);
	(void)extends(r, 1, NULL);
	assert_int_equal(host_ending_state(ending), ENDING_SOON);
	end(r, job, ending);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = { TEST(test_life), TEST(test_silent_phone), TEST(test_again) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
