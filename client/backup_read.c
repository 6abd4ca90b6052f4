/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reading a phone into the folder of a backup, some partitions a job; each file has its name as soon as the
 * service says that it is whole, while the job goes on. What is the phone's own comes first and
 * in jobs of its own: it is what nobody can bring back, and others may have to be asked for the right to it.
 */
#include "client/backup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/names.h"
#include "common/util.h"

#define BATCH_BYTES (64u << 20) /* of one job: whoever else wants this phone has a turn in between */

struct batch {
	const struct plan_read *want; /* the first of them */
	struct read_area area[READ_JOB_MAX];
	bool kept[READ_JOB_MAX]; /* it has its name */
	size_t count;
};

static int complain(const struct backup *b, const char *what, int err)
{
	struct failure why = { .error = ERR_TARGET_FAILED, .code = -1 };

	snprintf(why.detail, sizeof(why.detail), "%s/%s: %s", b->path, what, strerror(err));
	return client_complain(b->c, &why);
}

static uint64_t size_of(const struct backup *b, const struct plan_read *want)
{
	for (size_t i = 0; i < json_object_array_length(b->m.table); i++) {
		json_object *row = json_object_array_get_idx(b->m.table, i);

		if (!strcmp(prop_str(row, "name"), want->target))
			return prop_u64(row, "size");
	}
	return want->size;
}

/* The next ones that go together. */
static void gather(const struct backup *b, size_t from, struct batch *batch)
{
	bool own = plan_area_own(b->want[from].target);
	uint64_t bytes = 0;

	batch->want = &b->want[from];
	batch->count = 0;
	for (size_t i = from; i < b->wants && batch->count < READ_JOB_MAX; i++) {
		uint64_t size = size_of(b, &b->want[i]);

		if (plan_area_own(b->want[i].target) != own ||
		    (batch->count && (size > BATCH_BYTES || bytes + size > BATCH_BYTES)))
			break;
		bytes += size > BATCH_BYTES ? BATCH_BYTES : size;
		batch->count++;
	}
}

static void part_name(const struct plan_read *want, char *buf, size_t size)
{
	manifest_name(want->target, buf, size - 8);
	strncat(buf, ".part", size - strlen(buf) - 1);
}

static int open_files(const struct backup *b, struct batch *batch)
{
	char part[160];

	for (size_t i = 0; i < batch->count; i++) {
		batch->area[i] = (struct read_area){ .fd = -1 };
		batch->kept[i] = false;
	}
	for (size_t i = 0; i < batch->count; i++) {
		const struct plan_read *want = &batch->want[i];
		struct read_area *a = &batch->area[i];

		a->text = want->target;
		snprintf(a->target, sizeof(a->target), "%s", want->target);
		a->size = want->size;
		manifest_name(want->target, part, sizeof(part));
		if (asprintf(&a->path, "%s/%s", b->path, part) < 0)
			return error_entry(ERR_INTERNAL)->exit_code;
		part_name(want, part, sizeof(part));
		/* never one that is there: a job whose client has died may still be writing to it */
		(void)unlinkat(b->dir, part, 0);
		a->fd = openat(b->dir, part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (a->fd < 0)
			return complain(b, part, errno);
	}
	return 0;
}

/* It is whole: it gets its name. */
static int keep_file(struct backup *b, struct batch *batch, size_t i)
{
	const struct plan_read *want = &batch->want[i];
	struct manifest_file *f = manifest_find(&b->m, want->target, true);
	const struct read_area *a = &batch->area[i];
	char name[144], part[160];

	manifest_name(want->target, name, sizeof(name));
	part_name(want, part, sizeof(part));
	if (!f || renameat(b->dir, part, b->dir, name) < 0)
		return f ? -errno : -ENOMEM;
	snprintf(f->file, sizeof(f->file), "%s", name);
	snprintf(f->sha256, sizeof(f->sha256), "%s", a->sha256);
	*f->error = 0;
	f->size = a->bytes;
	batch->kept[i] = true;
	b->read++;
	b->bytes += a->bytes;
	return 0;
}

struct running {
	struct backup *b;
	struct batch *batch;
	const char *job;
};

/* As soon as it is whole, whatever becomes of the job, or of us. What cannot be kept now is said at the end.
 */
static void keep_whole(void *user)
{
	struct running *r = user;
	struct failure why = { 0 };
	bool any = false;

	read_sums(r->b->c, r->job, r->batch->area, r->batch->count);
	for (size_t i = 0; i < r->batch->count; i++)
		if (*r->batch->area[i].sha256 && !r->batch->kept[i])
			any |= !keep_file(r->b, r->batch, i);
	if (any)
		(void)manifest_save(r->b->dir, &r->b->m, &why);
}

/* Those that are whole have their names, or get them; the others go. */
static int keep_files(struct backup *b, struct batch *batch)
{
	struct failure why = { 0 };
	int rc = 0, r;

	for (size_t i = 0; i < batch->count; i++) {
		char part[160];

		part_name(&batch->want[i], part, sizeof(part));
		if (!*batch->area[i].sha256)
			(void)unlinkat(b->dir, part, 0);
		else if (!batch->kept[i] && (r = keep_file(b, batch, i)) < 0)
			rc = complain(b, part, -r);
	}
	if (manifest_save(b->dir, &b->m, &why))
		rc = client_complain(b->c, &why);
	return rc;
}

/*
 * The phone was asked for one partition and would not give it: that is noted, and the others can be had.
 * Index of that one in the batch, or -1: the phone is gone, the disk is full, somebody has cancelled.
 */
static int refused(const struct backup *b, const char *job, const struct batch *batch)
{
	static const enum error_id errors[] = { ERR_READ_FAILED,       ERR_READ_SHORT,
						ERR_NV_UNREADABLE,     ERR_NV_INVALID,
						ERR_PARTITION_MISSING, ERR_TABLE_UNREADABLE,
						ERR_ADDRESS_REFUSED,   ERR_SIZE_REFUSED,
						ERR_NOT_PERMITTED };
	json_object *props = mirror_props(b->c, job, FDLD_IFACE_JOB), *details = NULL;
	enum error_id id = error_by_name(prop_str(props, "ErrorName"));
	const char *entry;
	bool known = false;

	for (size_t i = 0; i < ARRAY_SIZE(errors); i++)
		known |= errors[i] == id;
	json_object_object_get_ex(props, "ErrorDetails", &details);
	entry = prop_str(details, "entry");
	for (size_t i = 0; known && i < batch->count; i++)
		if (!strcmp(batch->area[i].target, entry))
			return (int)i;
	return -1;
}

static int note_refusal(struct backup *b, const struct plan_read *want, const char *job, int rc)
{
	struct manifest_file *f = manifest_find(&b->m, want->target, true);
	enum error_id id = error_by_name(prop_str(mirror_props(b->c, job, FDLD_IFACE_JOB), "ErrorName"));
	struct failure why = { 0 };

	if (!f)
		return rc;
	*f->file = 0;
	snprintf(f->error, sizeof(f->error), "%s", error_entry(id)->name);
	/* where the boot area cannot be read there is nothing to be done about it */
	if (strcmp(want->target, "splloader") != 0)
		b->worst = MAX(b->worst, rc);
	return manifest_save(b->dir, &b->m, &why) ? client_complain(b->c, &why) : 0;
}

static int run_batch(struct backup *b, struct batch *batch, int *missed)
{
	_cleanup_free_ char *job = NULL;
	int rc = open_files(b, batch), kept = 0;

	*missed = -1;
	if (!rc)
		rc = read_begin(b->c, &b->wish, batch->area, batch->count, &job);
	if (!rc) {
		struct running now = { b, batch, job };

		b->c->on_news = keep_whole;
		b->c->on_news_user = &now;
		rc = follow_jobs(b->c, (const char *const[]){ job }, 1, true);
		b->c->on_news = NULL;
	}
	if (job)
		read_sums(b->c, job, batch->area, batch->count);
	for (size_t i = 0; i < batch->count; i++)
		if (batch->area[i].fd >= 0)
			close(batch->area[i].fd);
	if (!rc)
		read_say_files(b->c, batch->area, batch->count);
	for (size_t i = 0; i < batch->count; i++)
		free(TAKE_PTR(batch->area[i].path));
	kept = keep_files(b, batch);
	if (rc && job && !kept) {
		*missed = refused(b, job, batch);
		if (*missed >= 0)
			rc = note_refusal(b, &batch->want[*missed], job, rc);
	}
	return rc ? rc : kept;
}

static bool is_there(struct backup *b, const struct plan_read *want)
{
	const struct manifest_file *f = manifest_find(&b->m, want->target, false);

	return f && *f->file;
}

int backup_read(struct backup *b)
{
	struct batch batch;
	int rc = 0;

	for (size_t at = 0; at < b->wants && !rc;) {
		size_t gone = 0, left = at;
		int missed;

		gather(b, at, &batch);
		rc = run_batch(b, &batch, &missed);
		if (rc)
			break;
		if (missed < 0) {
			at += batch.count;
			continue;
		}
		/* of these only what was not reached is asked for again */
		for (size_t i = 0, to = at; i < batch.count; i++) {
			const struct plan_read want = b->want[at + i];

			if ((int)i != missed && !is_there(b, &want))
				b->want[to++] = want;
			else
				gone++;
			left = to;
		}
		memmove(&b->want[left], &b->want[at + batch.count],
			(b->wants - at - batch.count) * sizeof(b->want[0]));
		b->wants -= gone;
	}
	return rc;
}

int backup_peek(struct backup *b, const char *partition, void *bytes, size_t len)
{
	_cleanup_close_ int fd = memfd_create("fdlctl-peek", MFD_CLOEXEC);
	struct read_area area = { .text = partition, .size = len, .fd = -1 };
	_cleanup_free_ char *job = NULL;
	int rc;

	snprintf(area.target, sizeof(area.target), "%s", partition);
	area.fd = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (area.fd < 0)
		return complain(b, partition, errno);
	rc = read_begin(b->c, &b->wish, &area, 1, &job);
	if (!rc)
		rc = follow_jobs(b->c, (const char *const[]){ job }, 1, true);
	if (!rc && pread(fd, bytes, len, 0) != (ssize_t)len)
		rc = complain(b, partition, EIO);
	return rc;
}

/* ---- the phone ---- */

/* In full: the job is ours. */
static int take_unit(struct client *c, const char *job, char *unit, size_t size)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	const char *text;
	int r = sd_bus_call_method(c->bus, FDLD_BUS_NAME, job, FDLD_IFACE_JOB, "GetUnitId", &error, &reply,
				   "a{sv}", 0);

	if (r >= 0)
		r = sd_bus_message_read(reply, "s", &text);
	if (r < 0)
		return client_complain_bus(c, &error, r);
	snprintf(unit, size, "%s", text);
	return 0;
}

int backup_learn(struct client *c, const struct read_wish *wish, struct backup_phone *phone)
{
	_cleanup_free_ char *job = NULL;
	json_object *props;
	int rc = table_begin(c, wish, &job);

	memset(phone, 0, sizeof(*phone));
	if (!rc)
		rc = follow_jobs(c, (const char *const[]){ job }, 1, true);
	if (!rc)
		rc = take_unit(c, job, phone->unit, sizeof(phone->unit));
	if (rc)
		return rc;
	props = mirror_props(c, job, FDLD_IFACE_JOB);
	json_object_object_get_ex(props, "Result", &phone->result);
	json_object_object_get_ex(phone->result, "table", &phone->table);
	phone->image = mirror_props(c, prop_str(props, "Image"), FDLD_IFACE_IMAGE);
	snprintf(phone->device, sizeof(phone->device), "%s",
		 prop_str(mirror_props(c, wish->slot, FDLD_IFACE_SLOT), "Device"));
	if (!phone->table || !json_object_array_length(phone->table)) {
		struct failure why = { .error = ERR_TABLE_UNREADABLE, .code = -1 };

		snprintf(why.detail, sizeof(why.detail),
			 "this phone tells of no partitions: read it by addresses");
		return client_complain(c, &why);
	}
	return 0;
}
