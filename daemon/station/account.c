/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What stands in a job's files, and how it is read again after a restart.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#include "common/util.h"
#include "station/kv.h"
#include "station/records_inner.h"

#define ACCOUNT_ENTRIES_MAX 1024
#define ACCOUNT_NOTES_MAX   256

void job_record_clear(struct job_record *r)
{
	for (uint32_t i = 0; i < r->note_count; i++)
		free(r->notes[i]);
	free(r->notes);
	free(r->entries);
	memset(r, 0, sizeof(*r));
}

int job_record_note(struct job_record *r, const char *text)
{
	char **grown;
	char *copy;

	if (r->note_count >= ACCOUNT_NOTES_MAX)
		return 0;
	grown = realloc(r->notes, (r->note_count + 1) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	r->notes = grown;
	copy = strdup(text);
	if (!copy)
		return -ENOMEM;
	r->notes[r->note_count++] = copy;
	return 0;
}

/* ---- one table for both directions ---- */

struct text_field {
	const char *key;
	size_t at, size;
};
#define TEXT(member)                                                                                   \
	{                                                                                              \
#member, offsetof(struct job_record, member), sizeof(((struct job_record *)0)->member) \
	}
static const struct text_field texts[] = {
	TEXT(kind),    TEXT(result),	  TEXT(level),	    TEXT(leaves),	  TEXT(nv),
	TEXT(slot),    TEXT(unit),	  TEXT(storage),    TEXT(product),	  TEXT(firmware),
	TEXT(digest),  TEXT(rom_version), TEXT(image_name), TEXT(last_confirmed), TEXT(fdl1),
	TEXT(fdl2),    TEXT(work_order),  TEXT(operator),   TEXT(serial),	  TEXT(host),
	TEXT(version), TEXT(rule),	  TEXT(sample),	    TEXT(loader),
};

#define NUM(member)                                             \
	{                                                       \
#member, offsetof(struct job_record, member), 0 \
	}
static const struct text_field numbers[] = {
	NUM(created_at),     NUM(started_at), NUM(finished_at), NUM(bytes_sent),
	NUM(bytes_compared), NUM(bytes_read), NUM(run_usec),
};

static char *text_at(struct job_record *r, const struct text_field *f)
{
	return (char *)r + f->at;
}

static void put_fields(struct kv *kv, const struct job_record *r)
{
	char uid[16];

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		kv_str(kv, texts[i].key, (const char *)r + texts[i].at);
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		uint64_t v;

		memcpy(&v, (const char *)r + numbers[i].at, sizeof(v));
		if (v)
			kv_num(kv, numbers[i].key, v);
	}
	snprintf(uid, sizeof(uid), "%" PRIu32, r->uid);
	kv_str(kv, "uid", uid);
}

static void put_failure(struct kv *kv, const struct failure *f)
{
	if (f->error == ERR_NONE)
		return;
	kv_str(kv, "error", error_entry(f->error)->name);
	kv_str(kv, "error_stage", f->stage);
	kv_str(kv, "error_step", f->step);
	kv_str(kv, "error_entry", f->entry);
	if (f->has_offset)
		kv_num(kv, "error_offset", f->offset);
	if (f->code > 0)
		kv_num(kv, "error_code", (uint64_t)f->code);
	kv_str(kv, "error_detail", f->detail);
}

static int finish(struct kv *kv, char **text, size_t *len)
{
	int r = kv_end(kv);

	if (r < 0) {
		kv_free(kv);
		return r;
	}
	*text = kv->text;
	*len = kv->len;
	return 0;
}

int records_request_text(const struct job_record *r, char **text, size_t *len)
{
	struct kv kv;

	kv_begin(&kv, "fdld-request", 1);
	put_fields(&kv, r);
	return finish(&kv, text, len);
}

int records_result_text(const struct job_record *r, char **text, size_t *len)
{
	char line[256];
	struct kv kv;

	kv_begin(&kv, "fdld-result", 1);
	put_fields(&kv, r);
	put_failure(&kv, &r->failure);
	kv_num(&kv, "nv_owed", r->nv_owed);
	kv_num(&kv, "nv_written_back", r->nv_written_back);
	for (uint32_t i = 0; i < r->settled_count; i++)
		kv_num(&kv, "settled", r->settled[i]);
	for (uint32_t i = 0; i < r->note_count; i++)
		kv_str(&kv, "note", r->notes[i]);
	for (uint32_t i = 0; i < r->entry_count; i++) {
		const struct record_entry *e = &r->entries[i];

		snprintf(line, sizeof(line), "%s|%s|%s|%" PRIu64 "|%" PRIu64 "|%s", e->op, e->verdict,
			 e->entry, e->bytes_sent, e->bytes_compared, e->note);
		kv_str(&kv, "entry", line);
		if (e->usec) /* of the entry before */
			kv_num(&kv, "entry_usec", e->usec);
		if (e->bytes_read)
			kv_num(&kv, "entry_read", e->bytes_read);
		if (*e->sha256)
			kv_str(&kv, "entry_sha256", e->sha256);
	}
	return finish(&kv, text, len);
}

static int write_text(struct records *rec, uint64_t job, const char *name, int made, const char *text,
		      size_t len, struct failure *why)
{
	if (made < 0)
		return failure_set(why, ERR_INTERNAL, "out of memory");
	return records_write(rec, job, name, text, len, why);
}

int records_write_request(struct records *rec, const struct job_record *r, struct failure *why)
{
	_cleanup_free_ char *text = NULL;
	size_t len = 0;
	int made = records_request_text(r, &text, &len);

	return write_text(rec, r->number, "request", made, text, len, why);
}

int records_write_result(struct records *rec, const struct job_record *r, struct failure *why)
{
	_cleanup_free_ char *text = NULL;
	size_t len = 0;
	int made = records_result_text(r, &text, &len);

	return write_text(rec, r->number, "result", made, text, len, why);
}

void records_set_aside(struct records *rec, uint64_t job, const char *name)
{
	_cleanup_close_ int dir = records_job_dir(rec, job);
	char to[80];

	if (dir < 0 || snprintf(to, sizeof(to), "%s.damaged", name) >= (int)sizeof(to))
		return;
	(void)renameat(dir, name, dir, to);
}

int records_write_identity(struct records *rec, uint64_t job, const char *unit, const char *slot,
			   struct failure *why)
{
	struct kv kv;
	int ret;

	kv_begin(&kv, "fdld-identity", 1);
	kv_str(&kv, "unit", unit);
	kv_str(&kv, "slot", slot);
	ret = kv_end(&kv) < 0 ? failure_set(why, ERR_INTERNAL, "out of memory")
			      : records_write(rec, job, "identity", kv.text, kv.len, why);
	kv_free(&kv);
	return ret;
}

/* ---- reading ---- */

/* "op|verdict|entry|sent|compared|note" */
static void get_entry(struct job_record *r, char *value)
{
	char *part[6];
	struct record_entry *grown;

	if (r->entry_count >= ACCOUNT_ENTRIES_MAX)
		return;
	for (int i = 0; i < 6; i++) {
		part[i] = value;
		if (i == 5)
			break;
		value = strchr(value, '|');
		if (!value)
			return;
		*value++ = 0;
	}
	grown = realloc(r->entries, (r->entry_count + 1) * sizeof(*grown));
	if (!grown)
		return;
	r->entries = grown;

	struct record_entry *e = &grown[r->entry_count++];

	memset(e, 0, sizeof(*e));
	kv_copy(e->op, sizeof(e->op), part[0]);
	kv_copy(e->verdict, sizeof(e->verdict), part[1]);
	kv_copy(e->entry, sizeof(e->entry), part[2]);
	e->bytes_sent = kv_u64(part[3], 0);
	e->bytes_compared = kv_u64(part[4], 0);
	kv_copy(e->note, sizeof(e->note), part[5]);
}

static void get_failure(struct failure *f, const char *key, const char *value)
{
	if (!strcmp(key, "error")) {
		f->error = error_by_name(value);
		if (f->error == ERR_NONE)
			f->error = ERR_INTERNAL; /* of a newer daemon: it has failed all the same */
	} else if (!strcmp(key, "error_stage")) {
		kv_copy(f->stage, sizeof(f->stage), value);
	} else if (!strcmp(key, "error_step")) {
		kv_copy(f->step, sizeof(f->step), value);
	} else if (!strcmp(key, "error_entry")) {
		kv_copy(f->entry, sizeof(f->entry), value);
	} else if (!strcmp(key, "error_offset")) {
		f->offset = kv_u64(value, 0);
		f->has_offset = true;
	} else if (!strcmp(key, "error_code")) {
		f->code = (int)kv_u64(value, 0);
	} else if (!strcmp(key, "error_detail")) {
		kv_copy(f->detail, sizeof(f->detail), value);
	}
}

static void get_line(void *user, const char *key, char *value)
{
	struct job_record *r = user;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (!strcmp(key, texts[i].key)) {
			kv_copy(text_at(r, &texts[i]), texts[i].size, value);
			return;
		}
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		if (!strcmp(key, numbers[i].key)) {
			uint64_t v = kv_u64(value, 0);

			memcpy(text_at(r, &numbers[i]), &v, sizeof(v));
			return;
		}
	if (!strcmp(key, "uid"))
		r->uid = (uint32_t)kv_u64(value, 0);
	else if (!strncmp(key, "error", 5))
		get_failure(&r->failure, key, value);
	else if (!strcmp(key, "nv_owed"))
		r->nv_owed = kv_u64(value, 1) != 0;
	else if (!strcmp(key, "nv_written_back"))
		r->nv_written_back = kv_u64(value, 0) != 0;
	else if (!strcmp(key, "settled") && r->settled_count < RECORD_SETTLED_MAX && kv_u64(value, 0))
		r->settled[r->settled_count++] = kv_u64(value, 0);
	else if (!strcmp(key, "note"))
		(void)job_record_note(r, value);
	else if (!strcmp(key, "entry"))
		get_entry(r, value);
	else if (!strcmp(key, "entry_usec") && r->entry_count)
		r->entries[r->entry_count - 1].usec = kv_u64(value, 0);
	else if (!strcmp(key, "entry_read") && r->entry_count)
		r->entries[r->entry_count - 1].bytes_read = kv_u64(value, 0);
	else if (!strcmp(key, "entry_sha256") && r->entry_count)
		kv_copy(r->entries[r->entry_count - 1].sha256, sizeof(r->entries[0].sha256), value);
}

static int get_file(int dir, const char *name, const char *what, struct job_record *r)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	int ret = records_read_at(dir, name, RECORD_FILE_MAX, &text, &len);

	return ret < 0 ? ret : kv_parse(text, len, what, 1, get_line, r);
}

static bool ends(const char *name, const char *with)
{
	size_t n = strlen(name), m = strlen(with);

	return n > m && !strcmp(name + n - m, with);
}

static void get_backups(int job, struct job_record *r)
{
	int fd = openat(job, "nv", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return;
	}
	for (struct dirent *e; (e = readdir(dir));) {
		struct record_backup *b = &r->backups[r->backup_count];
		struct stat st;

		/* what never was synced is no backup, and bytes that are no valid NV are owed to nobody */
		if (*e->d_name == '.' || ends(e->d_name, ".tmp") || ends(e->d_name, ".raw"))
			continue;
		if (r->backup_count == RECORD_BACKUPS_MAX)
			break;
		if (fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode) ||
		    !kv_copy(b->name, sizeof(b->name), e->d_name))
			continue;
		b->size = (uint64_t)st.st_size;
		r->backup_count++;
	}
	closedir(dir);
}

/*
 * An intent: "fdld-intent 1", lines "step <n> <text>", "begin" as the last before anything is destroyed, then
 * "done <n>" for each entry that was confirmed. Only whole lines count: the last may have been cut by the
 * crash.
 */
bool records_intent(const char *intent, char *last, size_t size)
{
	bool ours = !strncmp(intent, "fdld-intent 1\n", 14), begun = false;
	const char *done = NULL;
	const char *nl;
	char key[32];
	size_t n;

	*last = 0;
	for (const char *p = intent; (nl = strchr(p, '\n')); p = nl + 1) {
		if (!strncmp(p, "begin\n", 6))
			begun = true;
		else if (!strncmp(p, "done ", 5))
			done = p + 5;
	}
	if (!ours)
		return true; /* not to be read: the worse of the two cases */
	if (!done)
		return begun;
	n = strspn(done, "0123456789");
	snprintf(key, sizeof(key), "\nstep %.*s ", (int)MIN(n, 10u), done);

	const char *step = strstr(intent, key);

	if (step) {
		step += strlen(key);
		snprintf(last, size, "%.*s", (int)strcspn(step, "\n"), step);
	}
	return true;
}

int records_load(struct records *rec, uint64_t job, struct job_record *out)
{
	_cleanup_close_ int dir = records_job_dir(rec, job);
	_cleanup_free_ char *intent = NULL;
	size_t len;
	int r;

	memset(out, 0, sizeof(*out));
	if (dir < 0)
		return dir;
	(void)get_file(dir, "request", "fdld-request", out);
	(void)get_file(dir, "identity", "fdld-identity", out);
	*out->result = 0;
	r = get_file(dir, "result", "fdld-result", out);
	if (r < 0 && r != -ENOENT) {
		out->damaged = true;
		*out->result = 0;
	}
	out->number = job;
	get_backups(dir, out);
	out->has_trace = faccessat(dir, "trace", F_OK, 0) == 0;
	if (!records_read_at(dir, "intent", RECORD_FILE_MAX, &intent, &len)) {
		char last[sizeof(out->last_confirmed)];

		out->had_intent = records_intent(intent, last, sizeof(last));
		if (!*out->last_confirmed)
			memcpy(out->last_confirmed, last, sizeof(last));
	}
	return 0;
}

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

int records_list(struct records *rec, uint64_t **out, size_t *found)
{
	_cleanup_free_ uint64_t *list = NULL;
	size_t count = 0, cap = 0;
	int fd = openat(rec->jobs, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir) {
		int r = -errno;

		if (fd >= 0)
			close(fd);
		return r;
	}
	for (struct dirent *e; (e = readdir(dir));) {
		uint64_t n = kv_u64(e->d_name, 0);

		if (!n)
			continue;
		if (count == cap) {
			uint64_t *grown = realloc(list, (cap = cap ? cap * 2 : 64) * sizeof(*list));

			if (!grown) {
				closedir(dir);
				return -ENOMEM;
			}
			list = grown;
		}
		list[count++] = n;
	}
	closedir(dir);
	if (count)
		qsort(list, count, sizeof(*list), by_number);
	*out = TAKE_PTR(list);
	*found = count;
	return 0;
}

int records_scan(struct records *rec, int (*fn)(void *user, struct job_record *record), void *user)
{
	_cleanup_free_ uint64_t *list = NULL;
	size_t count = 0;
	int r = records_list(rec, &list, &count);

	for (size_t i = 0; i < count && !r; i++) {
		struct job_record record;

		r = records_load(rec, list[i], &record);
		if (!r)
			r = fn(user, &record);
		else if (r == -ENOENT || r == -ENOTDIR || r == -ELOOP)
			r = 0; /* not one of our folders */
	}
	return r;
}
