/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What survives: files written whole or not at all, what a crash leaves at each point, what is owed to whom.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <cmocka.h>

#include "common/util.h"
#include "station/kv.h"
#include "station/owed.h"
#include "station/records.h"

/* In place of libc's: what was made durable, and whether it had its final name by then. */
static struct {
	unsigned int files, folders;
	bool named;
	const char *name;
} fsynced;

int fsync(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	if (S_ISDIR(st.st_mode))
		fsynced.folders++;
	else
		fsynced.files++;
	if (S_ISREG(st.st_mode) && fsynced.name)
		fsynced.named = access(fsynced.name, F_OK) == 0;
	return (int)syscall(SYS_fsync, fd);
}

struct place {
	char state[64], runtime[64];
	struct records *rec;
};

static int rm(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st, (void)flag, (void)ftw;
	return remove(path);
}

static void open_again(struct place *p)
{
	struct failure why = { 0 };

	records_unref(p->rec);
	p->rec = NULL;
	if (records_open(p->state, p->runtime, &p->rec, &why) < 0)
		fail_msg("%s", why.detail);
}

static int setup(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	strcpy(p->state, "/tmp/fdld-test-state-XXXXXX");
	strcpy(p->runtime, "/tmp/fdld-test-run-XXXXXX");
	assert_non_null(mkdtemp(p->state));
	assert_non_null(mkdtemp(p->runtime));
	open_again(p);
	*state = p;
	return 0;
}

static int teardown(void **state)
{
	struct place *p = *state;

	records_unref(p->rec);
	nftw(p->state, rm, 8, FTW_DEPTH | FTW_PHYS);
	nftw(p->runtime, rm, 8, FTW_DEPTH | FTW_PHYS);
	free(p);
	return 0;
}

static void put(const struct place *p, const char *name, const char *text)
{
	char path[160];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", p->state, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static bool there(const struct place *p, const char *name)
{
	char path[160];

	snprintf(path, sizeof(path), "%s/%s", p->state, name);
	return access(path, F_OK) == 0;
}

static uint64_t new_job(struct place *p)
{
	struct failure why = { 0 };
	uint64_t n = 0;

	assert_int_equal(records_new_job(p->rec, &n, &why), 0);
	return n;
}

/* ---- text ---- */

struct seen {
	char key[4][16], value[4][64];
	int count;
};

static void on_line(void *user, const char *key, char *value)
{
	struct seen *s = user;

	assert_true(s->count < 4);
	kv_copy(s->key[s->count], sizeof(s->key[0]), key);
	kv_copy(s->value[s->count++], sizeof(s->value[0]), value);
}

static void test_kv(void **state)
{
	struct seen s = { .count = 0 };
	struct kv kv;

	(void)state;
	kv_begin(&kv, "thing", 3);
	kv_str(&kv, "text", "two\nlines\\ and = more\r");
	kv_str(&kv, "none", "");
	kv_num(&kv, "n", 18446744073709551615u);
	assert_int_equal(kv_end(&kv), 0);
	char *copy = strdup(kv.text);

	assert_int_equal(kv_parse(copy, kv.len, "thing", 3, on_line, &s), 0);
	assert_int_equal(s.count, 2);
	assert_string_equal(s.value[0], "two\nlines\\ and = more\r");
	assert_int_equal(kv_u64(s.value[1], 0), UINT64_MAX);
	free(copy);
	/* every shorter text is told from the whole one */
	for (size_t n = 0; n < kv.len; n++) {
		int r;

		copy = strndup(kv.text, n);
		s.count = 0;
		r = kv_parse(copy, n, "thing", 3, on_line, &s);
		assert_true(r == -EBADMSG || r == -ENODATA);
		free(copy);
	}
	s.count = 0;
	assert_int_equal(kv_parse(kv.text, kv.len, "thing", 2, on_line, &s), -EPROTONOSUPPORT);
	kv_free(&kv);

	char other[] = "thong 1\nend=1\n", zero[] = "thing 1\na\0=1\nend=1\n";

	assert_int_equal(kv_parse(other, sizeof(other) - 1, "thing", 1, on_line, &s), -EBADMSG);
	assert_int_equal(kv_parse(zero, sizeof(zero) - 1, "thing", 1, on_line, &s), -EBADMSG);
	assert_int_equal(kv_u64("12x", 7), 7);
	assert_int_equal(kv_u64("-1", 7), 7);
	assert_int_equal(kv_u64("18446744073709551616", 7), 7);
}

/* ---- the directory ---- */

static void refused(const char *state, const char *word)
{
	struct failure why = { 0 };
	struct records *rec = NULL;

	assert_true(records_open(state, NULL, &rec, &why) < 0);
	assert_int_equal(why.error, ERR_STATE_DIRECTORY);
	assert_non_null(strstr(why.detail, state));
	if (!strstr(why.detail, word))
		fail_msg("\"%s\" lacks \"%s\"", why.detail, word);
}

static void test_directory(void **state)
{
	struct place *p = *state;
	char path[160];

	refused(p->state, "another fdld");
	records_unref(p->rec);
	p->rec = NULL;
	refused("/tmp/fdld-test-there-is-none", "install -d");
	chmod(p->state, 0777);
	refused(p->state, "mode 0777");
	chmod(p->state, 0700);
	put(p, "counter", "many\n");
	refused(p->state, "counter");
	put(p, "counter", "12\n");
	open_again(p);
	assert_int_equal(new_job(p), 12);
	records_unref(p->rec);
	p->rec = NULL;
	snprintf(path, sizeof(path), "%s/file", p->state);
	put(p, "file", "");
	refused(path, "opened");
	if (geteuid() == 0) {
		assert_int_equal(chown(p->state, 1, 1), 0);
		refused(p->state, "owner");
		assert_int_equal(chown(p->state, 0, 0), 0);
	}
}

static void test_numbers(void **state)
{
	struct place *p = *state;
	char path[160];

	assert_int_equal(new_job(p), 1);
	assert_int_equal(new_job(p), 2);
	open_again(p);
	assert_int_equal(new_job(p), 3);
	/* a counter that was lost: never a number whose folder is there */
	snprintf(path, sizeof(path), "%s/counter", p->state);
	unlink(path);
	snprintf(path, sizeof(path), "%s/job/41", p->state);
	mkdir(path, 0700);
	open_again(p);
	assert_int_equal(new_job(p), 42);
	/* a folder that was lost: the counter remembers */
	snprintf(path, sizeof(path), "%s/job/42", p->state);
	rmdir(path);
	open_again(p);
	assert_int_equal(new_job(p), 43);
}

/* ---- files ---- */

static void test_write(void **state)
{
	struct place *p = *state;
	uint64_t job = new_job(p);
	struct failure why = { 0 };
	char *text = NULL;
	size_t len;

	assert_int_equal(records_write(p->rec, job, "trace", "one", 3, &why), 0);
	assert_int_equal(records_write(p->rec, job, "trace", "second", 6, &why), 0);
	assert_int_equal(records_read(p->rec, job, "trace", &text, &len), 0);
	assert_int_equal(len, 6);
	assert_string_equal(text, "second");
	free(text);
	assert_false(there(p, "job/1/trace.tmp"));
	assert_int_equal(records_read(p->rec, job, "result", &text, &len), -ENOENT);
	assert_true(records_write(p->rec, job, "../x", "", 0, &why) < 0);
	assert_true(records_write(p->rec, job, "A", "", 0, &why) < 0);
	assert_true(records_write(p->rec, 99, "trace", "", 0, &why) < 0);
	assert_int_equal(why.error, ERR_STORE_FAILED);
}

static void test_backup(void **state)
{
	struct place *p = *state;
	uint64_t job = new_job(p);
	struct record_sink sink, again;
	struct failure why = { 0 };
	char buf[8];

	record_sink_init(&sink, job, "nv/l_fixnv1");
	assert_int_equal(record_sink_append(p->rec, &sink, "abc", 3, &why), 0);
	assert_int_equal(record_sink_append(p->rec, &sink, "defg", 4, &why), 0);
	assert_false(there(p, "job/1/nv/l_fixnv1"));
	assert_true(records_backup_read(p->rec, job, "l_fixnv1", 0, buf, 1, &why) < 0);
	assert_int_equal(record_sink_sync(p->rec, &sink, &why), 0);
	assert_true(there(p, "job/1/nv/l_fixnv1"));
	assert_false(there(p, "job/1/nv/l_fixnv1.tmp"));
	assert_int_equal(records_backup_read(p->rec, job, "l_fixnv1", 2, buf, 4, &why), 0);
	assert_memory_equal(buf, "cdef", 4);
	assert_true(records_backup_read(p->rec, job, "l_fixnv1", 4, buf, 4, &why) < 0); /* past the end */
	/* never longer, never replaced */
	assert_true(record_sink_append(p->rec, &sink, "x", 1, &why) < 0);
	record_sink_init(&again, job, "nv/l_fixnv1");
	assert_true(record_sink_append(p->rec, &again, "zzz", 3, &why) < 0);
	assert_int_equal(why.error, ERR_STORE_FAILED);
	record_sink_close(&again);
	assert_int_equal(records_backup_read(p->rec, job, "l_fixnv1", 0, buf, 3, &why), 0);
	assert_memory_equal(buf, "abc", 3);
	record_sink_close(&sink);
}

/* The bytes first, then the name, then the folder that has the name. */
static void test_durable(void **state)
{
	struct place *p = *state;
	uint64_t job = new_job(p);
	struct record_sink sink;
	struct failure why = { 0 };
	char path[160];

	snprintf(path, sizeof(path), "%s/job/1/result", p->state);
	memset(&fsynced, 0, sizeof(fsynced));
	fsynced.name = path;
	assert_int_equal(records_write(p->rec, job, "result", "one", 3, &why), 0);
	assert_int_equal(fsynced.files, 1);
	assert_int_equal(fsynced.folders, 1);
	assert_false(fsynced.named);

	snprintf(path, sizeof(path), "%s/job/1/nv/l_fixnv1", p->state);
	record_sink_init(&sink, job, "nv/l_fixnv1");
	assert_int_equal(record_sink_append(p->rec, &sink, "nv", 2, &why), 0);
	memset(&fsynced, 0, sizeof(fsynced));
	fsynced.name = path;
	assert_int_equal(record_sink_sync(p->rec, &sink, &why), 0);
	assert_int_equal(fsynced.files, 1);
	assert_int_equal(fsynced.folders, 1);
	assert_false(fsynced.named);
	assert_true(there(p, "job/1/nv/l_fixnv1"));
	record_sink_close(&sink);

	/* what grows has its name from the start: each sync is one of its bytes */
	record_sink_init(&sink, job, "intent");
	memset(&fsynced, 0, sizeof(fsynced));
	for (unsigned int i = 1; i <= 3; i++) {
		assert_int_equal(record_sink_append(p->rec, &sink, "x", 1, &why), 0);
		assert_int_equal(record_sink_sync(p->rec, &sink, &why), 0);
		assert_int_equal(fsynced.files, i);
	}
	assert_true(fsynced.folders >= 1);
	record_sink_close(&sink);
	fsynced.name = NULL;
}

static void test_intent(void **state)
{
	static const char whole[] =
		"fdld-intent 1\njob 7\nstep 0 erase boot\nstep 1 write boot (2 MiB)\nstep 10 reset\n"
		"begin\ndone 0\ndone 1\ndone 10";
	struct place *p = *state;
	uint64_t job = new_job(p);
	struct record_sink sink;
	struct failure why = { 0 };
	char last[64], *text = NULL;
	size_t len;

	record_sink_init(&sink, job, "intent");
	assert_int_equal(record_sink_append(p->rec, &sink, whole, 60, &why), 0);
	assert_int_equal(record_sink_sync(p->rec, &sink, &why), 0);
	assert_int_equal(record_sink_append(p->rec, &sink, whole + 60, sizeof(whole) - 61, &why), 0);
	assert_int_equal(record_sink_sync(p->rec, &sink, &why), 0);
	record_sink_close(&sink);
	assert_int_equal(records_read(p->rec, job, "intent", &text, &len), 0);
	assert_string_equal(text, whole);
	free(text);

	assert_true(records_intent(whole, last, sizeof(last)));
	assert_string_equal(last, "write boot (2 MiB)"); /* the line that was cut does not count */
	assert_true(records_intent("fdld-intent 1\nstep 0 x\nbegin\n", last, sizeof(last)));
	assert_string_equal(last, "");
	assert_false(records_intent("fdld-intent 1\nstep 0 x\nbeg", last, sizeof(last)));
	assert_false(records_intent("fdld-intent 1\nstep 0 x\nbegin", last, sizeof(last)));
	assert_true(records_intent("who knows", last, sizeof(last)));
	assert_true(records_intent("fdld-intent 1\nbegin\ndone 99\n", last, sizeof(last)));
	assert_string_equal(last, "");
}

static void test_ports(void **state)
{
	struct place *p = *state;
	struct port_note note = { .slot = "pci-0000:00:14.0-usb-0:4.3",
				  .bus = 1,
				  .address = 9,
				  .stage = "fdl2",
				  .plain_framing = true };
	struct port_note back;

	assert_true(records_port_untouched(p->rec, note.slot, 1, 9));
	assert_int_equal(records_port_write(p->rec, &note), 0);
	open_again(p);
	assert_false(records_port_untouched(p->rec, note.slot, 1, 9));
	assert_true(records_port_untouched(p->rec, note.slot, 1, 10));
	assert_true(records_port_read(p->rec, note.slot, 1, 9, &back));
	assert_true(back.plain_framing);
	assert_false(back.dirty);
	assert_string_equal(back.stage, "fdl2");
	assert_false(records_port_read(p->rec, note.slot, 1, 10, &back)); /* another arrival */
	assert_false(records_port_read(p->rec, note.slot, 2, 9, &back));
	assert_false(records_port_read(p->rec, "pci-0000:00:14.0-usb-0:4-3", 1, 9, &back));
	assert_int_equal(records_port_remove(p->rec, note.slot), 0);
	assert_int_equal(records_port_remove(p->rec, note.slot), 0);
	assert_false(records_port_read(p->rec, note.slot, 1, 9, &back));
}

/* ---- a job's account ---- */

static void fill(struct job_record *r, uint64_t number)
{
	memset(r, 0, sizeof(*r));
	r->number = number;
	strcpy(r->kind, "flash");
	strcpy(r->slot, "pci-1");
	strcpy(r->image_name, "a \n strange\\name.pac");
	r->uid = 1000;
	r->created_at = 1700000000000000;
}

static void test_account(void **state)
{
	struct place *p = *state;
	struct job_record r, back;
	struct failure why = { 0 };

	fill(&r, new_job(p));
	assert_int_equal(records_write_request(p->rec, &r, &why), 0);
	assert_int_equal(records_load(p->rec, r.number, &back), 0);
	assert_string_equal(back.result, "");
	assert_string_equal(back.image_name, r.image_name);
	job_record_clear(&back);

	strcpy(r.result, "failed");
	r.finished_at = r.created_at + 5;
	r.failure.error = ERR_SIGNATURE_REFUSED;
	strcpy(r.failure.stage, "fdl2");
	strcpy(r.failure.entry, "boot");
	strcpy(r.failure.detail, "one\ntwo");
	r.failure.has_offset = true;
	r.failure.code = 0x84;
	r.nv_owed = true;
	r.settled[r.settled_count++] = 17;
	assert_int_equal(job_record_note(&r, "a note"), 0);
	r.entries = calloc(1, sizeof(*r.entries));
	r.entry_count = 1;
	strcpy(r.entries[0].entry, "boot");
	strcpy(r.entries[0].op, "write");
	strcpy(r.entries[0].verdict, "failed");
	strcpy(r.entries[0].note, "with | in it");
	r.entries[0].bytes_sent = 12345;
	assert_int_equal(records_write_result(p->rec, &r, &why), 0);
	assert_int_equal(records_load(p->rec, r.number, &back), 0);
	assert_false(back.damaged);
	assert_string_equal(back.result, "failed");
	assert_int_equal(back.uid, 1000);
	assert_int_equal(back.failure.error, ERR_SIGNATURE_REFUSED);
	assert_string_equal(back.failure.detail, "one\ntwo");
	assert_true(back.failure.has_offset);
	assert_int_equal(back.failure.offset, 0);
	assert_int_equal(back.failure.code, 0x84);
	assert_true(back.nv_owed);
	assert_int_equal(back.settled_count, 1);
	assert_int_equal(back.settled[0], 17);
	assert_int_equal(back.note_count, 1);
	assert_string_equal(back.notes[0], "a note");
	assert_int_equal(back.entry_count, 1);
	assert_string_equal(back.entries[0].note, "with | in it");
	assert_int_equal(back.entries[0].bytes_sent, 12345);
	job_record_clear(&back);
	job_record_clear(&r);
}

static void test_damaged_result(void **state)
{
	static const char *const bad[] = { "", "fdld-result 1\nresult=succeeded\n", "fdld-result 9\nend=1\n",
					   "\xff\xfe" };
	struct place *p = *state;
	struct job_record r, back;
	struct failure why = { 0 };

	fill(&r, new_job(p));
	assert_int_equal(records_write_request(p->rec, &r, &why), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		put(p, "job/1/result", bad[i]);
		assert_int_equal(records_load(p->rec, 1, &back), 0);
		assert_true(back.damaged);
		assert_string_equal(back.result, "");
		assert_string_equal(back.slot, "pci-1");
		job_record_clear(&back);
	}
	records_set_aside(p->rec, 1, "result");
	assert_true(there(p, "job/1/result.damaged"));
	assert_false(there(p, "job/1/result"));
}

/* ---- what is owed ---- */

#define UNIT_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define UNIT_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static int learn(void *user, struct job_record *r)
{
	int ret = owed_learn(user, r);

	job_record_clear(r);
	return ret;
}

static uint64_t crashed(struct place *p, const char *unit, const char *slot, const char *intent, bool synced)
{
	uint64_t job = new_job(p);
	struct record_sink sink;
	struct failure why = { 0 };
	struct job_record r;

	fill(&r, job);
	assert_int_equal(records_write_request(p->rec, &r, &why), 0);
	assert_int_equal(records_write_identity(p->rec, job, unit, slot, &why), 0);
	record_sink_init(&sink, job, "nv/l_fixnv1");
	assert_int_equal(record_sink_append(p->rec, &sink, "nv", 2, &why), 0);
	if (synced)
		assert_int_equal(record_sink_sync(p->rec, &sink, &why), 0);
	record_sink_close(&sink);
	if (intent)
		assert_int_equal(records_write(p->rec, job, "intent", intent, strlen(intent), &why), 0);
	return job;
}

/* Killed at each point: before the backup was durable, before the intent, before "begin", after. */
static void test_crash_points(void **state)
{
	static const char begun[] = "fdld-intent 1\nstep 0 repartition\nbegin\n";
	struct place *p = *state;
	struct owed_index ix = { 0 };
	uint64_t owing;

	crashed(p, UNIT_A, "pci-1", NULL, false);
	crashed(p, UNIT_A, "pci-1", NULL, true);
	crashed(p, UNIT_A, "pci-1", "fdld-intent 1\nstep 0 repart", true);
	crashed(p, UNIT_A, "pci-1", begun, false); /* no backup was ever synced: nothing that could be owed */
	owing = crashed(p, UNIT_A, "pci-1", begun, true);
	open_again(p);
	assert_int_equal(records_scan(p->rec, learn, &ix), 0);
	assert_non_null(ix.first);
	assert_int_equal(ix.first->job, owing);
	assert_null(ix.first->next);
	assert_string_equal(ix.first->unit, UNIT_A);
	assert_int_equal(ix.first->backup_count, 1);
	assert_string_equal(ix.first->backups[0].name, "l_fixnv1");
	assert_int_equal(ix.first->backups[0].size, 2);
	owed_clear(&ix);
}

static void test_settled(void **state)
{
	static const char begun[] = "fdld-intent 1\nbegin\n";
	struct place *p = *state;
	struct owed_index ix = { 0 };
	struct failure why = { 0 };
	struct job_record r;
	uint64_t first, second;

	first = crashed(p, UNIT_A, "pci-1", begun, true);
	second = crashed(p, UNIT_B, "pci-1", begun, true);
	fill(&r, new_job(p));
	strcpy(r.result, "succeeded");
	strcpy(r.unit, UNIT_A);
	r.nv_written_back = true;
	r.settled[r.settled_count++] = first;
	assert_int_equal(records_write_result(p->rec, &r, &why), 0);
	assert_int_equal(records_scan(p->rec, learn, &ix), 0);
	assert_null(owed_find(&ix, first));
	assert_non_null(owed_find(&ix, second));
	owed_clear(&ix);
	/* a damaged result settles nothing, and owes what its job had stored */
	put(p, "job/3/result", "fdld-result 1\nsettled=1\n");
	assert_int_equal(records_scan(p->rec, learn, &ix), 0);
	assert_int_equal(ix.first->job, first);
	assert_int_equal(ix.first->next->job, second);
	owed_clear(&ix);
}

static void test_owed(void **state)
{
	static const struct record_backup nv = { .name = "l_fixnv1", .size = 100 };
	static const struct record_backup mixed[] = { { "l_fixnv1.raw", 9 }, { "prodnv", 7 } };
	static const struct record_backup nobodys[] = { { "misc.was", 9 }, { "l_fixnv1.raw", 9 } };
	struct owed_index ix = { 0 };
	struct owed_match m[8];
	uint64_t jobs[8];

	(void)state;
	assert_int_equal(owed_add(&ix, 9, UNIT_B, "pci-2", &nv, 1), 0);
	assert_int_equal(owed_add(&ix, 5, UNIT_A, "pci-1", &nv, 1), 0);
	assert_int_equal(owed_add(&ix, 7, "", "pci-1", &nv, 1), 0);
	assert_int_equal(owed_add(&ix, 3, "", "pci-3", &nv, 1), 0);
	assert_int_equal(ix.first->job, 3);
	assert_int_equal(owed_of_slot(&ix, "pci-1")->job, 5);
	assert_null(owed_of_slot(&ix, "pci-4"));

	/* a known unit: its own wherever it is, and what nobody claims on this slot */
	assert_int_equal(owed_query(&ix, UNIT_A, "pci-9", 0, m, 8), 1);
	assert_int_equal(m[0].owed->job, 5);
	assert_true(m[0].same_unit);
	assert_int_equal(owed_query(&ix, UNIT_A, "pci-1", 0, m, 8), 2);
	assert_true(m[0].same_unit);
	assert_int_equal(m[1].owed->job, 7);
	assert_false(m[1].same_unit);
	/* another unit in that slot: never what is known to be somebody else's */
	assert_int_equal(owed_query(&ix, UNIT_B, "pci-1", 0, m, 8), 2);
	assert_int_equal(m[0].owed->job, 9);
	assert_int_equal(m[1].owed->job, 7);
	/* no identity: all of the slot, none for sure */
	assert_int_equal(owed_query(&ix, "", "pci-1", 0, m, 8), 2);
	assert_int_equal(m[0].owed->job, 5);
	assert_false(m[0].same_unit || m[1].same_unit);
	/* named by a person: from any slot, but never against an identity */
	assert_int_equal(owed_query(&ix, "", "pci-4", 9, m, 8), 1);
	assert_int_equal(owed_query(&ix, UNIT_A, "pci-4", 9, m, 8), 1);
	assert_int_equal(m[0].owed->job, 5);
	assert_int_equal(owed_query(&ix, UNIT_A, "pci-4", 3, m, 8), 2);
	assert_int_equal(owed_query(&ix, UNIT_A, "pci-1", 0, m, 1), 2); /* one told, two there */

	assert_int_equal(owed_settled_by(&ix, UNIT_A, 0, 0, jobs, 8), 1);
	assert_int_equal(jobs[0], 5);
	assert_int_equal(owed_settled_by(&ix, UNIT_A, 9, 0, jobs, 8), 1); /* 9 is B's */
	assert_int_equal(owed_settled_by(&ix, UNIT_A, 7, 0, jobs, 8), 2);
	assert_int_equal(owed_settled_by(&ix, "", 0, 0, jobs, 8), 0);
	assert_int_equal(owed_settled_by(&ix, "", 0, 7, jobs, 8), 1);
	owed_settle(&ix, 5);
	assert_int_equal(owed_of_slot(&ix, "pci-1")->job, 7);
	/* what was no valid NV when it was read is owed to nobody, in this run as after the next start */
	/* what was given up, or changed by a mark, comes back to nobody */
	assert_int_equal(owed_add(&ix, 10, UNIT_A, "pci-6", nobodys, 2), 0);
	assert_null(owed_of_slot(&ix, "pci-6"));
	assert_null(owed_find(&ix, 10));
	assert_int_equal(owed_add(&ix, 11, UNIT_A, "pci-5", mixed, 2), 0);
	assert_int_equal(owed_find(&ix, 11)->backup_count, 1);
	assert_string_equal(owed_find(&ix, 11)->backups[0].name, "prodnv");
	owed_clear(&ix);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kv),
		cmocka_unit_test_setup_teardown(test_directory, setup, teardown),
		cmocka_unit_test_setup_teardown(test_numbers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_write, setup, teardown),
		cmocka_unit_test_setup_teardown(test_backup, setup, teardown),
		cmocka_unit_test_setup_teardown(test_durable, setup, teardown),
		cmocka_unit_test_setup_teardown(test_intent, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ports, setup, teardown),
		cmocka_unit_test_setup_teardown(test_account, setup, teardown),
		cmocka_unit_test_setup_teardown(test_damaged_result, setup, teardown),
		cmocka_unit_test_setup_teardown(test_crash_points, setup, teardown),
		cmocka_unit_test_setup_teardown(test_settled, setup, teardown),
		cmocka_unit_test(test_owed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
