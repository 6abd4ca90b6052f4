/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is kept on disk. State directory: "counter" (next job number), "lock", and for each job a folder
 * job/<number>/ with request (who asked for what), intent (what is going to be destroyed, and what was
 * confirmed since), identity (unit and place), nv/<name> (what cannot be replaced), result and trace. Whole
 * files are written as a temporary file, fsynced, renamed, and the folder fsynced; an intent is appended to
 * and fsynced. Nothing in nv/ is ever overwritten. Runtime directory: one record for each port.
 *
 * These functions block; they belong on workers, except where "start-up" is said. They share nothing but the
 * directory descriptors and the counter (under a lock). Names are checked: [a-z0-9_.-], never from a phone.
 */
#ifndef FDLD_STATION_RECORDS_H
#define FDLD_STATION_RECORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

#define RECORD_SLOT_MAX	   128
#define RECORD_FILE_MAX	   (4u << 20) /* bytes of a text file of ours; larger is damaged */
#define RECORD_SETTLED_MAX 32
#define RECORD_BACKUPS_MAX 32

struct records;

/*
 * Start-up. Checks that the directories are ours and writable, locks the state directory against a second
 * daemon, makes job/, reads the counter and the machine's boot id. runtime_dir may be NULL. StateDirectory or
 * Internal.
 */
int records_open(const char *state_dir, const char *runtime_dir, struct records **out, struct failure *why);
/* Counted: a task that may be left behind on a worker holds a reference of its own. Any thread. */
struct records *records_ref(struct records *rec);
void records_unref(struct records *rec); /* NULL is fine; the last one closes */

/* Any thread, one after the other: takes the next job number durably and makes its folder. StoreFailed. */
int records_new_job(struct records *rec, uint64_t *number, struct failure *why);

/* The number that the next job will have: what is told from it on has not begun. Any thread. */
uint64_t records_next(struct records *rec);

/* Whole file of a job: temporary, fsync, rename, fsync of the folder. StoreFailed names the file. */
int records_write(struct records *rec, uint64_t job, const char *name, const char *text, size_t len,
		  struct failure *why);
/* Reads a whole text file of a job; *text is NUL-terminated, free() it. -ENOENT, -EFBIG, ... */
int records_read(struct records *rec, uint64_t job, const char *name, char **text, size_t *len);

/*
 * Something that grows: an intent (name "intent") or a backup (name "nv/<name>"). A backup grows as a
 * temporary file and appears with record_sink_sync(); one that is there already is never replaced
 * (StoreFailed).
 */
struct record_sink {
	uint64_t job;
	char name[64];
	int fd, dir; /* -1: not open */
	bool whole;  /* synced once: it has its name */
	uint64_t size;
};
void record_sink_init(struct record_sink *sink, uint64_t job, const char *name);
int record_sink_append(struct records *rec, struct record_sink *sink, const void *bytes, size_t len,
		       struct failure *why);
int record_sink_sync(struct records *rec, struct record_sink *sink, struct failure *why);
void record_sink_close(struct record_sink *sink);

/* There is a folder of backups; it may hold none. */
bool records_has_backups(struct records *rec, uint64_t job);
/* Reads exactly len bytes of a backup of any job. PackageReadFailed is never used here: StoreFailed. */
int records_backup_read(struct records *rec, uint64_t job, const char *name, uint64_t offset, void *buf,
			size_t len, struct failure *why);

/* ---- a job's account ----------------------------------------------------------------------------- */

struct record_entry {
	char entry[48], op[16], verdict[16];
	uint64_t bytes_sent, bytes_compared;
	uint64_t usec; /* that it took, waits of the phone included; 0 not measured */
	char note[96];
	uint64_t bytes_read;
	char sha256[65]; /* of what was read, hex; "" none */
};

struct record_backup {
	char name[40];
	uint64_t size;
};

/* What request, identity and result say together. Owns notes and entries: job_record_clear(). */
struct job_record {
	uint64_t number;
	char kind[12];
	char result[16]; /* "succeeded", "failed", "skipped", "cancelled", "interrupted"; "": none */
	char level[16], leaves[16], nv[16];
	char slot[RECORD_SLOT_MAX];
	char unit[65], storage[12], rom_version[64];
	char image_name[256], product[128], firmware[128], digest[65];
	char fdl1[65], fdl2[65]; /* SHA-256 of the loaders, hex; "" unknown or none */
	char loader[256];	 /* whose they are, by name, if not the package's; "" its own */
	char work_order[64], operator[64], serial[64]; /* as bound to the job; "" none */
	char sample[8];				       /* of level sampled: "taken", "left"; else "" */
	char rule[64];				       /* that has asked for it; "" somebody has */
	char host[65], version[32];		       /* where it ran, and the fdld that ran it */
	uint32_t uid;
	uint64_t created_at, started_at, finished_at; /* usec since 1970 */
	uint64_t run_usec; /* from its first touch of the phone to its end, by a clock that nobody sets */
	struct failure failure;
	uint64_t bytes_sent, bytes_compared, bytes_read;
	char last_confirmed[128];
	bool nv_owed, nv_written_back;
	uint64_t settled[RECORD_SETTLED_MAX]; /* jobs whose owed backup this one has returned to its phone */
	uint32_t settled_count;
	char **notes;
	uint32_t note_count;
	struct record_entry *entries;
	uint32_t entry_count;
	/* only from records_scan(): */
	bool damaged;	 /* the result is there but cannot be read */
	bool had_intent; /* something destructive was about to begin */
	bool has_trace;
	struct record_backup backups[RECORD_BACKUPS_MAX];
	uint32_t backup_count;
};
void job_record_clear(struct job_record *r);
int job_record_note(struct job_record *r, const char *text); /* copies; 0 or -ENOMEM */

/* request: the part known when the job is accepted; result: all of it. */
int records_write_request(struct records *rec, const struct job_record *r, struct failure *why);
int records_write_result(struct records *rec, const struct job_record *r, struct failure *why);
/* The texts alone, for records_write(): 0 and *text (free() it), or -ENOMEM. */
int records_request_text(const struct job_record *r, char **text, size_t *len);
int records_result_text(const struct job_record *r, char **text, size_t *len);
/* A file that cannot be read is kept beside its successor as <name>.damaged. */
void records_set_aside(struct records *rec, uint64_t job, const char *name);
/* Whose storage it is, before anything of it is kept: unit "" = no identity. */
int records_write_identity(struct records *rec, uint64_t job, const char *unit, const char *slot,
			   struct failure *why);
/* One job from its folder. 0 (with whatever could be read), -ENOENT no such folder, -ENOMEM. */
int records_load(struct records *rec, uint64_t job, struct job_record *out);
/* The numbers of all job folders, rising; *numbers is the caller's, NULL if there are none. 0 or negative
 * errno. */
int records_list(struct records *rec, uint64_t **numbers, size_t *count);
/* Start-up: every job folder by rising number; record is the callee's to clear. 0 or negative errno. */
int records_scan(struct records *rec, int (*fn)(void *user, struct job_record *record), void *user);
/*
 * What an intent tells: true if the job may have begun to destroy something; last: text of the last confirmed
 * entry, "" if none. An intent that is not understood counts as begun.
 */
bool records_intent(const char *intent, char *last, size_t size);

/* ---- ports ------------------------------------------------------------------------------------------ */

struct port_note {
	char slot[RECORD_SLOT_MAX];
	uint8_t bus, address; /* of this very arrival */
	char stage[8];
	bool plain_framing, dirty;
};
/* Atomic, not durable over a crash of the machine (nor needs to be: the boot id is in it). */
int records_port_write(struct records *rec, const struct port_note *note);
int records_port_remove(struct records *rec, const char *slot);
/* True: a record of this boot, this place and this arrival. Start-up or worker. */
bool records_port_read(struct records *rec, const char *slot, uint8_t bus, uint8_t address,
		       struct port_note *note);
/* Notes are kept, and there is none about this arrival: in this boot of the machine no run of the daemon has
 * talked to it. */
bool records_port_untouched(struct records *rec, const char *slot, uint8_t bus, uint8_t address);

#endif
