/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "station/slotbook.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/util.h"
#include "station/kv.h"
#include "station/records_inner.h"

#define FOLDER	"slot"
#define KIND	"fdld-slot"
#define VERSION 1

/* Fewer jobs than this say nothing of a place, nor of its neighbours. */
#define ENOUGH 8u
/* So much of a place's jobs has to fail, and so many times as much as its neighbours'. */
#define BAD_PERCENT 25u
#define BAD_TIMES   3u

/* ---- counting ---- */

/* The place, its cable or the phone in it, and not what was asked of it. */
static bool of_the_place(const struct job_record *job)
{
	enum error_fault fault = error_entry(job->failure.error)->fault;

	return fault == FAULT_PHONE || fault == FAULT_STATION;
}

static void count_reason(struct slot_book *book, const struct failure *why)
{
	char what[sizeof(book->reason[0].what)];
	uint32_t i = 0;

	snprintf(what, sizeof(what), "%s/%s", *why->stage ? why->stage : "station",
		 error_entry(why->error)->name);
	while (i < book->reasons && strcmp(book->reason[i].what, what))
		i++;
	if (i == book->reasons && i == SLOT_REASON_MAX - 1)
		kv_copy(what, sizeof(what), "other");
	if (i == SLOT_REASON_MAX)
		i--;
	if (i == book->reasons) {
		kv_copy(book->reason[i].what, sizeof(what), what);
		book->reasons++;
	}
	book->reason[i].count++;
}

void slot_book_count(struct slot_book *book, const struct job_record *job)
{
	bool pass = !strcmp(job->result, "succeeded"), fail = !strcmp(job->result, "failed");

	if (strcmp(job->kind, "flash") || !job->run_usec || (!pass && !fail))
		return;
	/* another rule's phone, or one that needs no more: no attempt */
	if (armed_skips(job->failure.error))
		return;
	book->attempts++;
	book->passes += pass;
	book->failures += fail;
	book->last_usec = job->run_usec;
	book->last_at = job->finished_at;
	book->last_job = job->number;
	kv_copy(book->last_result, sizeof(book->last_result), job->result);
	snprintf(book->last_unit, sizeof(book->last_unit), "%.8s", job->unit);
	if (pass) {
		book->pass_usec += job->run_usec;
		book->pass_bytes += job->bytes_sent;
	} else {
		count_reason(book, &job->failure);
		if (!of_the_place(job))
			return;
	}
	book->recent = book->recent << 1 | 1;
	book->recent_bad = book->recent_bad << 1 | !pass;
}

void slot_book_reset(struct slot_book *book, uint64_t now)
{
	struct slot_book fresh = { .since = now };

	memcpy(fresh.id, book->id, sizeof(fresh.id));
	memcpy(fresh.label, book->label, sizeof(fresh.label));
	memcpy(fresh.note, book->note, sizeof(fresh.note));
	memcpy(fresh.loader, book->loader, sizeof(fresh.loader));
	memcpy(fresh.kick, book->kick, sizeof(fresh.kick));
	fresh.arm = book->arm;
	*book = fresh;
}

uint32_t slot_book_recent(const struct slot_book *book, uint32_t *bad)
{
	*bad = (uint32_t)__builtin_popcount(book->recent_bad);
	return (uint32_t)__builtin_popcount(book->recent);
}

bool slot_book_suspect(const struct slot_book *book, uint32_t neighbours, uint32_t neighbours_bad)
{
	uint32_t bad, jobs = slot_book_recent(book, &bad);

	if (jobs < ENOUGH || neighbours < ENOUGH || bad * 100 < jobs * BAD_PERCENT)
		return false;
	/* bad/jobs >= times * neighbours_bad/neighbours */
	return (uint64_t)bad * neighbours >= (uint64_t)BAD_TIMES * neighbours_bad * jobs;
}

/* ---- text ---- */

static const struct {
	const char *key;
	size_t at, size; /* size 0: a number */
} fields[] = {
#define TEXT(key, member)                                                                        \
	{                                                                                        \
		key, offsetof(struct slot_book, member), sizeof(((struct slot_book *)0)->member) \
	}
#define NUMBER(key, member)                                \
	{                                                  \
		key, offsetof(struct slot_book, member), 0 \
	}
	TEXT("id", id),
	TEXT("label", label),
	TEXT("note", note),
	TEXT("loader", loader),
	TEXT("kick", kick),
	NUMBER("since", since),
	NUMBER("attempts", attempts),
	NUMBER("passes", passes),
	NUMBER("failures", failures),
	NUMBER("pass_usec", pass_usec),
	NUMBER("pass_bytes", pass_bytes),
	NUMBER("last_usec", last_usec),
	NUMBER("last_at", last_at),
	NUMBER("last_job", last_job),
	TEXT("last_result", last_result),
	TEXT("last_unit", last_unit),
	NUMBER("armed", arm.armed),
	TEXT("armed_rule", arm.rule),
	TEXT("stopped", arm.stopped),
	NUMBER("stopped_at", arm.stopped_at),
	TEXT("streak_error", arm.streak.error),
	TEXT("streak_digest", arm.streak.digest),
	NUMBER("streak", arm.streak.count),
	NUMBER("samples", arm.samples),
	TEXT("run_work_order", arm.run.work_order),
	TEXT("run_operator", arm.run.operator),
	TEXT("next_work_order", arm.next.work_order),
	TEXT("next_operator", arm.next.operator),
	TEXT("next_serial", arm.next.serial),
	TEXT("passed_unit", arm.passed_unit),
	NUMBER("passed_at", arm.passed_at),
	NUMBER("passed_job", arm.passed_job),
};

int slot_book_text(const struct slot_book *book, char **text, size_t *len)
{
	struct kv kv;
	int r;

	kv_begin(&kv, KIND, VERSION);
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		const char *at = (const char *)book + fields[i].at;

		if (fields[i].size)
			kv_str(&kv, fields[i].key, at);
		else
			kv_num(&kv, fields[i].key, *(const uint64_t *)(const void *)at);
	}
	kv_num(&kv, "recent", book->recent);
	kv_num(&kv, "recent_bad", book->recent_bad);
	for (uint32_t i = 0; i < book->reasons; i++) {
		kv_str(&kv, "reason", book->reason[i].what);
		kv_num(&kv, "count", book->reason[i].count);
	}
	r = kv_end(&kv);
	if (r < 0) {
		kv_free(&kv);
		return r;
	}
	*text = kv.text;
	*len = kv.len;
	return 0;
}

static void on_line(void *user, const char *key, char *value)
{
	struct slot_book *book = user;

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		char *at = (char *)book + fields[i].at;

		if (strcmp(fields[i].key, key))
			continue;
		if (fields[i].size)
			kv_copy(at, fields[i].size, value);
		else
			*(uint64_t *)(void *)at = kv_u64(value, 0);
		return;
	}
	if (!strcmp(key, "recent"))
		book->recent = (uint32_t)kv_u64(value, 0);
	else if (!strcmp(key, "recent_bad"))
		book->recent_bad = (uint32_t)kv_u64(value, 0);
	else if (!strcmp(key, "reason") && book->reasons < SLOT_REASON_MAX)
		kv_copy(book->reason[book->reasons++].what, sizeof(book->reason[0].what), value);
	else if (!strcmp(key, "count") && book->reasons)
		book->reason[book->reasons - 1].count = kv_u64(value, 0);
}

/* ---- files ---- */

static int open_folder(struct records *rec)
{
	int fd;

	if (mkdirat(rec->state, FOLDER, 0700) < 0 && errno != EEXIST)
		return -errno;
	fd = openat(rec->state, FOLDER, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return fd < 0 ? -errno : fd;
}

int slot_book_store(struct records *rec, const char *id, const char *text, size_t len)
{
	_cleanup_close_ int dir = open_folder(rec);
	char name[72];

	if (dir < 0)
		return dir;
	records_place_name(id, name, sizeof(name));
	return records_write_at(dir, name, text, len, true);
}

int slot_book_remove(struct records *rec, const char *id)
{
	_cleanup_close_ int dir = open_folder(rec);
	char name[72];

	if (dir < 0)
		return dir;
	records_place_name(id, name, sizeof(name));
	return unlinkat(dir, name, 0) < 0 && errno != ENOENT ? -errno : 0;
}

/* 0 with *book; -EBADMSG: nothing that can be read. */
static int read_one(int dir, const char *name, struct slot_book *book)
{
	_cleanup_free_ char *text = NULL;
	char own[72];
	size_t len;
	int r = records_read_at(dir, name, RECORD_FILE_MAX, &text, &len);

	memset(book, 0, sizeof(*book));
	if (r < 0)
		return r == -ENOMEM ? r : -EBADMSG;
	if (kv_parse(text, len, KIND, VERSION, on_line, book) < 0 || !*book->id)
		return -EBADMSG;
	records_place_name(book->id, own, sizeof(own));
	return strcmp(own, name) ? -EBADMSG : 0;
}

static void set_aside(int dir, const char *name)
{
	char other[300];

	snprintf(other, sizeof(other), "%s.damaged", name);
	(void)renameat(dir, name, dir, other);
}

int slot_book_scan(struct records *rec, int (*fn)(void *user, const struct slot_book *book), void *user)
{
	_cleanup_close_ int dir = open_folder(rec);
	struct dirent *entry;
	int fd, r = 0;
	DIR *d;

	if (dir < 0)
		return dir;
	fd = fcntl(dir, F_DUPFD_CLOEXEC, 0);
	d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		r = -errno;
		if (fd >= 0)
			close(fd);
		return r;
	}
	while (!r && (entry = readdir(d))) {
		struct slot_book book;

		/* what stands there else is temporary or damaged */
		if (entry->d_name[0] == '.' || strchr(entry->d_name, '.'))
			continue;
		r = read_one(dir, entry->d_name, &book);
		if (!r)
			r = fn(user, &book);
		else if (r == -EBADMSG) {
			set_aside(dir, entry->d_name);
			r = 0;
		}
	}
	closedir(d);
	return r;
}
