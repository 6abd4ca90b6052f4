/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Threads that hash when the process ends: a worker of the service may always be one. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "pac/digest.h"

#define ROUNDS	100
#define THREADS 8

static void *hash(void *arg)
{
	uint8_t sum[DIGEST_SIZE];

	(void)arg;
	while (digest_bytes("abc", 3, sum) == 0)
		;
	return NULL;
}

static _Noreturn void run_and_end(void)
{
	pthread_attr_t attr;
	pthread_t thread;

	if (digest_begin() < 0 || pthread_attr_init(&attr) != 0 ||
	    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED) != 0)
		exit(1);
	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&thread, &attr, hash, NULL) != 0)
			exit(1);
	usleep(1000);
	exit(0);
}

static void ends_under_threads(void **state)
{
	(void)state;
	(void)fflush(NULL);
	for (int i = 0; i < ROUNDS; i++) {
		pid_t pid = fork();
		int status = 0;

		if (!pid)
			run_and_end();
		assert_true(pid > 0 && waitpid(pid, &status, 0) == pid);
		assert_int_equal(status, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(ends_under_threads) };

	return cmocka_run_group_tests_name("digest", tests, NULL, NULL);
}
