/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fdld against the bare loop: the same emulated phones, the same sizes, the same wire without a limit; runs
 * are interleaved A B A B, what counts is the median of the pairwise ratios. Time is taken on the phone's
 * side, from the first to the last block of the large partition, written and read back.
 *
 * usage: bench_flash BUILDDIR [--phones N] [--mib M] [--rounds R]
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "tests/bench/bare.h"
#include "tests/bench/station.h"
#include "tests/phone/loader.h"

#define PARTITION  "system"
#define ROUNDS_MAX 64u
#define SPREAD_MAX 0.15	  /* of the middle half; beyond this nothing is claimed */
#define BLOCK_MIN  60000u /* every other transfer on these phones has smaller frames */

struct meter {
	uint64_t first_ns, last_ns, bytes;
};

enum { WRITE, READ, WAYS };

static struct {
	const char *build;
	size_t phones;
	uint64_t bytes;
	unsigned int rounds;
} opt;

static struct meter meters[BARE_PHONES_MAX][WAYS];
static struct bench_station station;
static uint64_t started_ns; /* all jobs of fdld were asked for at this moment */

static void on_frame(void *arg, const struct phone_trace *frame)
{
	struct meter *m = arg;

	if (frame->size < BLOCK_MIN)
		return;
	m += frame->direction == PHONE_TO_PHONE ? WRITE : READ;
	/* its job has all of its threads by now */
	if (!m->first_ns)
		station_threads_aside(&station);
	m->last_ns = bed_now();
	if (!m->first_ns)
		m->first_ns = m->last_ns;
	m->bytes += frame->size;
}

static bool make_package(void)
{
	struct compose_spec spec = { .seed = 3 };
	uint8_t *data = malloc(opt.bytes);
	struct compose_file file = { .id = "System", .data = data, .len = opt.bytes };
	bool good;

	if (!data)
		return false;
	compose_random(9, data, 1 << 20); /* a megabyte of hard bytes, over and over */
	for (uint64_t at = 1 << 20; at < opt.bytes; at += 1 << 20)
		memcpy(data + at, data, opt.bytes - at < 1 << 20 ? opt.bytes - at : 1 << 20);
	spec.file = &file;
	spec.files = 1;
	good = station_package(&spec);
	free(data);
	return good;
}

static int run_bare(void *arg)
{
	return bare_run(arg);
}

static bool one_bare(struct bench_station *s, bool looks)
{
	const struct phone_profile *profile = phone_profile_by_name(STATION_PROFILE);
	struct bare_job job = { .phones = opt.phones,
				.fdl1_base = profile->fdl1_base,
				.fdl2_base = profile->fdl2_base,
				.read_block = BARE_BLOCK,
				.partition = PARTITION,
				.bytes = opt.bytes,
				.file = looks ? STATION_PACKAGE : NULL };
	size_t n1 = phone_loader_size(profile, 1), n2 = phone_loader_size(profile, 2);
	uint8_t *fdl1 = malloc(n1), *fdl2 = malloc(n2);
	int status = -1;

	if (fdl1 && fdl2 && station_plug(s)) {
		job.fdl1_len = phone_make_loader(profile, 1, fdl1, n1);
		job.fdl2_len = phone_make_loader(profile, 2, fdl2, n2);
		job.fdl1 = fdl1;
		job.fdl2 = fdl2;
		for (size_t i = 0; i < opt.phones; i++)
			job.node[i] = bed_node(bed_phone_dev(s->bp[i]));
		status = bed_wait(s->bed, bed_spawn_fn(s->bed, run_bare, &job), 300000);
	}
	free(fdl1);
	free(fdl2);
	return status == 0;
}

static bool one_fdld(struct bench_station *s)
{
	char out[4096];
	int rc;

	if (!station_daemon(s) || !station_plug(s)) {
		fprintf(stderr, "bench: fdld does not come up\n");
		return false;
	}
	started_ns = bed_now();
	rc = station_sh(s, 300000, out, sizeof(out),
			"fdlctl flash --all --entry System --level verified --end stay " STATION_PACKAGE
			" 2>&1");
	if (rc)
		fprintf(stderr, "bench: %s\n", out);
	return rc == 0;
}

struct outcome {
	double rate[WAYS]; /* bytes/s in all */
	double finish;	   /* slowest to fastest end of a write, both from the common start */
};

enum loop { OURS, BARE, LOOKS, LOOPS };

static bool run(enum loop loop, struct outcome *o)
{
	void *args[BARE_PHONES_MAX];
	bool good;

	memset(meters, 0, sizeof(meters));
	for (size_t i = 0; i < opt.phones; i++)
		args[i] = meters[i];
	station_open(&station, opt.build, opt.phones, on_frame, args);
	good = loop == OURS ? one_fdld(&station) : one_bare(&station, loop == LOOKS);
	station_close(&station);
	for (int way = 0; good && way < WAYS; way++) {
		uint64_t first = UINT64_MAX, last = 0, fastest = UINT64_MAX, bytes = 0;

		for (size_t i = 0; i < opt.phones; i++) {
			const struct meter *m = &meters[i][way];

			if (m->bytes < opt.bytes * 9 / 10) {
				fprintf(stderr, "bench: phone %zu: too little was moved\n", i);
				return false;
			}
			first = m->first_ns < first ? m->first_ns : first;
			last = m->last_ns > last ? m->last_ns : last;
			fastest = m->last_ns < fastest ? m->last_ns : fastest;
			bytes += m->bytes;
		}
		o->rate[way] = (double)bytes * 1e9 / (double)(last - first);
		if (way == WRITE)
			o->finish = (double)(last - started_ns) / (double)(fastest - started_ns);
	}
	return good;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void tell(const char *what, double *ratio, double *looks, unsigned int n, double best)
{
	double low, high, middle;

	qsort(ratio, n, sizeof(ratio[0]), by_value);
	qsort(looks, n, sizeof(looks[0]), by_value);
	low = ratio[n / 4];
	high = ratio[n - 1 - n / 4];
	middle = ratio[n / 2];
	printf("%s, %zu phone%s, %u rounds: ", what, opt.phones, opt.phones > 1 ? "s" : "", n);
	if (high - low > SPREAD_MAX * middle)
		printf("not measurable here");
	else
		printf("%.2f of the bare loop", middle);
	printf(" (goal %.2f; middle half %.2f to %.2f, all %.2f to %.2f; best of fdld %.0f MB/s)\n",
	       opt.phones > 1 ? 0.9 : 0.85, low, high, ratio[0], ratio[n - 1], best / 1e6);
	printf("  the same loop that reads the file, sums and compares: %.2f of the bare loop (all %.2f to %.2f)\n",
	       looks[n / 2], looks[0], looks[n - 1]);
}

int main(int argc, char **argv)
{
	double ratio[WAYS][ROUNDS_MAX], looks[WAYS][ROUNDS_MAX], finish[ROUNDS_MAX], best[WAYS] = { 0, 0 };
	unsigned int n, others;

	opt.phones = 1;
	opt.bytes = 256u << 20;
	opt.rounds = 9;
	if (argc < 2) {
		fprintf(stderr, "usage: %s BUILDDIR [--phones N] [--mib M] [--rounds R]\n", argv[0]);
		return 2;
	}
	opt.build = argv[1];
	for (int i = 2; i + 1 < argc; i += 2) {
		unsigned long v = strtoul(argv[i + 1], NULL, 10);

		if (!strcmp(argv[i], "--phones"))
			opt.phones = v < 1 ? 1 : v > BARE_PHONES_MAX ? BARE_PHONES_MAX : v;
		else if (!strcmp(argv[i], "--mib"))
			opt.bytes = (uint64_t)(v ? v : 1) << 20;
		else if (!strcmp(argv[i], "--rounds"))
			opt.rounds = v < 1 ? 1 : v > ROUNDS_MAX ? ROUNDS_MAX : (unsigned int)v;
	}
	others = station_processors();
	bed_enter();
	if (!make_package())
		return 1;
	for (n = 0; n < opt.rounds; n++) {
		struct outcome o[LOOPS];

		for (enum loop loop = OURS; loop < LOOPS; loop++)
			if (!run(loop, &o[loop]))
				return 1;
		for (int way = 0; way < WAYS; way++) {
			ratio[way][n] = o[OURS].rate[way] / o[BARE].rate[way];
			looks[way][n] = o[LOOKS].rate[way] / o[BARE].rate[way];
			best[way] = o[OURS].rate[way] > best[way] ? o[OURS].rate[way] : best[way];
		}
		finish[n] = o[OURS].finish;
	}
	if (others)
		printf("phones and loop share one processor, fdld's other threads have %u\n", others);
	else
		printf("one processor for everything\n");
	tell("framed write", ratio[WRITE], looks[WRITE], n, best[WRITE]);
	tell("framed read", ratio[READ], looks[READ], n, best[READ]);
	qsort(finish, n, sizeof(finish[0]), by_value);
	if (opt.phones > 1)
		printf("slowest to fastest finish of a write, %zu phones: %.2f in the middle, %.2f at worst (goal 1.10)\n",
		       opt.phones, finish[n / 2], finish[n - 1]);
	return 0;
}
