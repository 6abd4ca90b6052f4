/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Jobs that give a phone another partition table, out of a file that says how it is to be; and what becomes
 * of the partitions, row by row, told as soon as it is decided.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/util.h"
#include "flash/table_text.h"
#include "station/internal.h"
#include "station/kv.h"
#include "station/single.h"

#define XML_MAX (8u << 20) /* bytes; those of packages have a tenth of it */

/* The file, until it is read. */
struct xml {
	int fd;
	char product[128];
};

struct change {
	char name[TABLE_NAME_MAX + 1];
	const char *change, *fate;
	uint64_t was, will;
	bool own;
};
struct changes {
	uint32_t count, differ;
	struct change row[2 * TABLE_MAX];
};

/* ---- the file ---- */

static void xml_free(void *arg)
{
	struct xml *x = arg;

	if (x->fd >= 0)
		close(x->fd);
	free(x);
}

static int read_all(int fd, size_t size, char *to, struct failure *why)
{
	size_t at = 0;

	while (at < size) {
		ssize_t n = pread(fd, to + at, size - at, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return failure_set(why, ERR_PACKAGE_READ_FAILED, "the table: %s",
					   n ? strerror(errno) : "it has become shorter");
		at += (size_t)n;
	}
	return 0;
}

/* On the worker: the file may lie where nothing answers. */
static int prepare(struct single *s, void *arg, struct failure *why)
{
	struct xml *x = arg;
	_cleanup_free_ char *text = NULL;
	struct stat st;
	int r;

	if (fstat(x->fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size <= 0)
		return failure_set(why, ERR_INVALID_IMAGE,
				   "the table: not a regular file with something in it");
	if (st.st_size > XML_MAX)
		return failure_set(why, ERR_PACKAGE_XML, "the table: %lld bytes are no list of partitions",
				   (long long)st.st_size);
	text = malloc((size_t)st.st_size);
	if (!text)
		return failure_set(why, ERR_INTERNAL, "out of memory");
	r = read_all(x->fd, (size_t)st.st_size, text, why);
	if (!r)
		r = made_table_parse(text, (size_t)st.st_size, *x->product ? x->product : NULL, &s->table,
				     why);
	close(x->fd); /* it may be gone now, the job does not need it */
	x->fd = -1;
	return r;
}

int station_repartition(struct station *st, const struct job_request *request, int fd, const char *product,
			station_job_fn done, void *user, struct failure *why)
{
	struct plan_options options;
	struct single *s = NULL;
	struct xml *x = calloc(1, sizeof(*x));
	int r = x ? 0 : failure_set(why, ERR_INTERNAL, "out of memory");

	if (!r && product && !kv_copy(x->product, sizeof(x->product), product))
		r = failure_set(why, ERR_INVALID_ARGS, "\"%.60s...\" is no name of a product", product);
	if (!r)
		r = single_options(&request->options, &st->set, &options, why);
	if (!r) {
		s = single_new("repartition", "partition table");
		r = s ? 0 : failure_set(why, ERR_INTERNAL, "out of memory");
	}
	if (r < 0) {
		close(fd);
		free(x);
		return r;
	}
	x->fd = fd;
	s->prepare = prepare;
	s->release = xml_free;
	s->arg = x;
	return single_ask(st, request, s, &options, done, user, why);
}

/* ---- what becomes of the partitions ---- */

struct taking {
	struct changes *to;
	const struct plan *resolved;
};

static void take_row(void *ctx, const struct table_step *step)
{
	struct taking *t = ctx;
	struct change *row = &t->to->row[t->to->count];

	if (t->to->count == ARRAY_SIZE(t->to->row))
		return;
	*row = (struct change){ .change = table_change_name(step->change),
				.fate = table_fate_name(table_fate(step, t->resolved)),
				.was = step->was,
				.will = step->will,
				.own = step->own };
	memcpy(row->name, step->name, sizeof(row->name));
	t->to->count++;
}

void job_take_changes(struct job *job, const struct plan *resolved, const struct device_facts *facts)
{
	struct taking t = { .to = calloc(1, sizeof(*t.to)), .resolved = resolved };
	struct flash_table *coming = malloc(sizeof(*coming));

	if (t.to && coming && table_of_plan(resolved, facts, coming, NULL) == 0) {
		t.to->differ = table_difference(&facts->table, coming, take_row, &t);
		free(job->changes);
		job->changes = t.to;
		t.to = NULL;
	}
	free(t.to);
	free(coming);
}

bool job_tables(const struct job *job)
{
	return job->plan && job->plan->table.count && job->plan->options.own != OWN_PACKAGE;
}

bool job_change(const struct job *job, uint32_t index, struct job_change *change)
{
	const struct changes *c = job->changes;

	if (!c || index >= c->count)
		return false;
	*change = (struct job_change){ .name = c->row[index].name,
				       .change = c->row[index].change,
				       .content = c->row[index].fate,
				       .was = c->row[index].was,
				       .will = c->row[index].will,
				       .own = c->row[index].own };
	return true;
}
