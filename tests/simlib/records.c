/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/simlib/internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

uint64_t sim_random(struct sim_random *r)
{
	uint64_t z = r->state += 0x9E3779B97F4A7C15u;

	z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
	z = (z ^ z >> 27) * 0x94D049BB133111EBu;
	return z ^ z >> 31;
}

uint64_t sim_below(struct sim_random *r, uint64_t n)
{
	return n ? sim_random(r) % n : 0;
}

bool sim_one_in(struct sim_random *r, uint64_t n)
{
	return sim_below(r, n) == 0;
}

struct sim_records *sim_records_new(void)
{
	return calloc(1, sizeof(struct sim_records));
}

static void backup_free(struct sim_backup *b)
{
	free(b->bytes);
	free(b->kept);
	free(b);
}

void sim_records_free(struct sim_records *r)
{
	if (!r)
		return;
	for (uint32_t i = 0; i < r->count; i++)
		backup_free(r->backup[i]);
	free(r->intent_text);
	free(r);
}

uint32_t sim_records_owed(const struct sim_records *r)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < r->count; i++)
		n += r->backup[i]->owed;
	return n;
}

int records_append(uint8_t **bytes, size_t *size, size_t *room, const uint8_t *data, size_t len)
{
	if (*size + len > *room) {
		size_t want = *room ? *room : 4096;
		uint8_t *more;

		while (want < *size + len)
			want *= 2;
		more = realloc(*bytes, want);
		if (!more)
			return -ENOMEM;
		*bytes = more;
		*room = want;
	}
	if (len)
		memcpy(*bytes + *size, data, len);
	*size += len;
	return 0;
}

struct sim_backup *records_backup(struct sim_records *r, uint64_t job, const struct sink_ref *sink, bool make)
{
	struct sim_backup *b;

	for (uint32_t i = 0; i < r->count; i++)
		if (r->backup[i]->job == job && r->backup[i]->sink == sink->index)
			return r->backup[i];
	if (!make || r->count == SIM_BACKUPS)
		return NULL;
	b = calloc(1, sizeof(*b));
	if (!b)
		return NULL;
	b->job = job;
	b->sink = sink->index;
	memcpy(b->name, sink->name, sizeof(b->name));
	b->name[sizeof(b->name) - 1] = 0;
	r->backup[r->count++] = b;
	return b;
}

int records_sync(struct sim_backup *b)
{
	uint8_t *copy = malloc(b->size ? b->size : 1);

	if (!copy)
		return -ENOMEM;
	if (b->size)
		memcpy(copy, b->bytes, b->size);
	free(b->kept);
	b->kept = copy;
	b->kept_size = b->size;
	return 0;
}

static void drop(struct sim_records *r, uint32_t i)
{
	backup_free(r->backup[i]);
	r->backup[i] = r->backup[--r->count];
}

/* Bytes that are no valid NV, and what was given up, are kept but owed to nobody. */
static bool nobodys(const struct sim_backup *b)
{
	size_t n = strlen(b->name);

	return n > 4 && (!strcmp(b->name + n - 4, ".raw") || !strcmp(b->name + n - 4, ".was"));
}

static const struct sim_backup *older_owed(const struct sim_records *r, const struct sim_backup *b)
{
	for (uint32_t i = 0; i < r->count; i++)
		if (r->backup[i] != b && r->backup[i]->owed && r->backup[i]->job < b->job &&
		    !strcmp(r->backup[i]->name, b->name) && !strcmp(r->backup[i]->unit, b->unit))
			return r->backup[i];
	return NULL;
}

/* The house comes up again after it died: what was not synced is gone; a job with an intent and no result
 * owes. */
void records_crash(struct sim_records *r)
{
	for (uint32_t i = r->count; i-- > 0;)
		if (!r->backup[i]->kept)
			drop(r, i);
	for (uint32_t i = 0; i < r->count; i++) {
		struct sim_backup *b = r->backup[i];

		if (b->job == r->job && r->intent && !nobodys(b) && !older_owed(r, b))
			b->owed = true;
	}
}

/* A job has ended with a result. */
void records_settle(struct sim_records *r, const struct session_result *result, const char *unit)
{
	for (uint32_t i = 0; i < r->count; i++) {
		struct sim_backup *b = r->backup[i];

		if (result->nv_written_back && (!strcmp(b->unit, unit) || b->job == r->job))
			b->owed = false;
		else if (result->nv_owed && b->job == r->job && b->kept && !nobodys(b) && !older_owed(r, b))
			b->owed = true;
	}
	for (uint32_t i = r->count; i-- > 0;)
		if (!r->backup[i]->owed)
			drop(r, i);
}
