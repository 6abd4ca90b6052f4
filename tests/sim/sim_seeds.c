/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sim_seeds [--seeds N] [--seed S] [--trace] [--workers N] [--no-table]: the real session against the phone
 * in memory, many seeds; a seed that breaks an invariant is printed and replays with --seed.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/util.h"
#include "tests/simlib/rows.h"
#include "tests/simlib/trial.h"

#define WORKERS_MAX  16
#define FAILURES_MAX 20
#define EXCUSES	     "tests/sim/unreachable.txt"

/* Far out, but each has found something once: run behind the others. */
static const uint64_t found[] = {
	57794, /* an answer came before its request had wholly left, which then never left */
	29679, /* answers one behind: a loader's word at its start was taken for a no to reading NV */
	51827, /* the same, and an ACK was taken for one */
};

struct shared {
	_Atomic uint64_t next, failures;
	struct {
		uint64_t seed;
		char text[300];
	} failure[FAILURES_MAX];
	struct sim_tally tally[WORKERS_MAX];
};

static void work(struct shared *s, unsigned worker, uint64_t first, uint64_t seeds)
{
	for (;;) {
		uint64_t i = atomic_fetch_add(&s->next, 1), seed;
		char text[300];

		if (i >= seeds + ARRAY_SIZE(found) || atomic_load(&s->failures) >= FAILURES_MAX)
			return;
		seed = i < seeds ? first + i : found[i - seeds];
		if (!sim_trial(seed, &s->tally[worker], NULL, text, sizeof(text))) {
			uint64_t n = atomic_fetch_add(&s->failures, 1);

			if (n < FAILURES_MAX) {
				s->failure[n].seed = seed;
				memcpy(s->failure[n].text, text, sizeof(text));
			}
		}
	}
}

static int one(uint64_t seed, bool trace)
{
	static struct sim_tally tally;
	char text[300];
	bool good = sim_trial(seed, &tally, trace ? stdout : NULL, text, sizeof(text));

	printf("%s 1 - seed %" PRIu64 "%s%s\n1..1\n", good ? "ok" : "not ok", seed, good ? "" : ": ", text);
	return good ? 0 : 1;
}

static int run_workers(struct shared *s, unsigned workers, uint64_t first, uint64_t seeds)
{
	pid_t child[WORKERS_MAX];
	int bad = 0;

	if (workers == 1) {
		work(s, 0, first, seeds);
		return 0;
	}
	for (unsigned i = 0; i < workers; i++) {
		child[i] = fork();
		if (child[i] < 0)
			return -errno;
		if (!child[i]) {
			work(s, i, first, seeds);
			exit(0);
		}
	}
	for (unsigned i = 0; i < workers; i++) {
		int status = 0;

		if (waitpid(child[i], &status, 0) < 0 || status) {
			printf("# worker %u ended with status 0x%x\n", i, (unsigned)status);
			bad = -ECHILD;
		}
	}
	return bad;
}

static int many(uint64_t first, uint64_t seeds, unsigned workers, bool table)
{
	struct shared *s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	static struct sim_tally sum;
	struct timespec a, b;
	unsigned zeros = 0;
	int bad;

	if (s == MAP_FAILED)
		return 1;
	clock_gettime(CLOCK_MONOTONIC, &a);
	bad = run_workers(s, workers, first, seeds);
	clock_gettime(CLOCK_MONOTONIC, &b);
	for (unsigned i = 0; i < workers; i++)
		tally_merge(&sum, &s->tally[i]);
	for (uint64_t i = 0; i < s->failures && i < FAILURES_MAX; i++)
		printf("# seed %" PRIu64 ": %s\n#   replay: sim_seeds --seed %" PRIu64 " --trace\n",
		       s->failure[i].seed, s->failure[i].text, s->failure[i].seed);
	printf("%s 1 - %" PRIu64 " seeds from %" PRIu64 " keep every invariant\n",
	       s->failures || bad ? "not ok" : "ok", sum.runs, first);
	if (table) {
		size_t count;
		const struct sim_row *rows = sim_rows(&count);
		char text[300];

		/* what each row of the failure tables ends with is the business of sim_failures; here it
		 * counts as met */
		for (size_t i = 0; i < count; i++)
			sim_row_run(&rows[i], &sum, NULL, text, sizeof(text));
		zeros = tally_print(&sum, EXCUSES, stdout);
		printf("%s 2 - every fault, error, want and step was met or is excused (%u are not)\n",
		       zeros ? "not ok" : "ok", zeros);
	}
	printf("1..%d\n# %.1f s\n", table ? 2 : 1,
	       (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9);
	return s->failures || bad || zeros;
}

int main(int argc, char **argv)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	uint64_t seeds = 2000, seed = 1;
	unsigned workers = cpus > 0 && cpus < WORKERS_MAX ? (unsigned)cpus : 2;
	bool trace = false, single = false, table = true;

	for (int i = 1; i < argc; i++) {
		const char *next = i + 1 < argc ? argv[i + 1] : "0";

		if (!strcmp(argv[i], "--seeds")) {
			seeds = strtoull(next, NULL, 0);
			i++;
		} else if (!strcmp(argv[i], "--seed")) {
			seed = strtoull(next, NULL, 0);
			single = true;
			i++;
		} else if (!strcmp(argv[i], "--from")) {
			seed = strtoull(next, NULL, 0);
			i++;
		} else if (!strcmp(argv[i], "--workers")) {
			workers = (unsigned)strtoul(next, NULL, 0);
			i++;
		} else if (!strcmp(argv[i], "--trace")) {
			trace = true;
		} else if (!strcmp(argv[i], "--no-table")) {
			table = false;
		} else {
			fprintf(stderr,
				"usage: %s [--seeds N] [--from S] [--seed S [--trace]] [--workers N] [--no-table]\n",
				argv[0]);
			return 2;
		}
	}
	if (!workers || workers > WORKERS_MAX)
		workers = 2;
	return single ? one(seed, trace) : many(seed, seeds, workers, table);
}
