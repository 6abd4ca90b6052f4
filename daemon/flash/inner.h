/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The inside of a session, shared by session*.c and step_*.c only.
 *
 * A step is an iterator over asks: next() gives the next one or says that the step is done; take() is told
 * the answer. The session turns an ask into a want and an input into an answer; no step knows wants, inputs,
 * frames or time. ahead() may give the ask that will follow if all goes well, so that it can be encoded while
 * the phone works.
 */
#ifndef FDLD_FLASH_INNER_H
#define FDLD_FLASH_INNER_H

#include "bsl/link.h"
#include "bsl/message.h"
#include "bsl/payload.h"
#include "bsl/reply.h"
#include "common/error.h"
#include "common/util.h"
#include "flash/diagnosis.h"
#include "flash/feed.h"
#include "flash/probe.h"
#include "flash/session.h"
#include "pac/image_check.h"
#include "pac/nv.h"
#include "pac/sparse_scan.h"

#define MSEC 1000ull
#define SEC  1000000ull

/* Bytes of one read: even, and inside what every driver returns whole (bsl-protocol 3.4, 11.1). */
#define READ_PLAIN   0xF800u
#define READ_ESCAPED 0x3000u

struct session;

enum ask_kind {
	ASK_COMMAND, /* one framed exchange */
	ASK_DATA,    /* a MIDST: may be cut, see taken */
	ASK_PROBE,   /* the single byte 7E */
	ASK_FETCH,   /* bytes of a feed; answered by asking next() again */
	ASK_STORE,
	ASK_SYNC,
	ASK_AWAIT,
	ASK_QUIET, /* let the line fall silent, drop what comes */
	ASK_STREAM,
};

struct ask {
	enum ask_kind kind;
	enum doing doing;
	unsigned when;	 /* circumstances for the diagnosis */
	bool secret;	 /* payload is NV or image content */
	uint64_t offset; /* of data or reads, in the entry: says which ask it is, and where it failed */
	uint64_t usec;	 /* PROBE, AWAIT: deadline; QUIET: how long */
	union {
		struct {
			uint16_t code;
			const void *payload;
			size_t len;
			unsigned flags; /* BSL_TIMING_ */
			uint64_t work;	/* bytes the phone has to go through */
			uint8_t also;	/* a further good reply */
		} command;
		struct {
			const uint8_t *bytes;
			size_t len;
			bool flush;
			bool shared; /* other sessions send it too: place says what it is */
			struct bsl_place place;
			uint64_t work;
		} data;
		struct {
			struct feed *feed;
		} fetch;
		struct {
			struct sink_ref sink;
			const uint8_t *bytes;
			size_t len;
		} store;
		struct {
			enum await what;
		} await;
		struct {
			struct source_ref source;
			uint64_t len;
			size_t piece;
			bool zlp;
		} stream;
	};
};

enum answer_kind {
	ANSWER_GOOD, /* a reply the ask accepts; stored; awaited; quiet */
	ANSWER_CODE, /* another reply: code */
	ANSWER_SILENT,
	ANSWER_NOT_TAKEN,
	ANSWER_GARBLED,
	ANSWER_GONE,
};

struct answer {
	enum answer_kind kind;
	int code; /* GOOD, CODE of an exchange: reply type; QUIET: first frame that came, -1 none */
	enum bsl_check check;
	const uint8_t *payload;
	size_t len;
	size_t taken;			/* DATA: payload bytes the frame had */
	const struct session_input *in; /* AWAIT */
};

enum step_says { STEP_ASK, STEP_DONE, STEP_FAILED };

struct step_kind {
	const char *name; /* at most 23 bytes */
	enum session_stage stage;
	enum step_says (*begin)(struct session *s); /* may be NULL */
	enum step_says (*next)(struct session *s, struct ask *ask);
	enum step_says (*take)(struct session *s, const struct answer *a); /* ASK: go on */
	bool (*ahead)(struct session *s, struct ask *ask);		   /* may be NULL */
};

/* ---- state of the steps: one at a time ------------------------------------------------------- */

struct connect_state {
	uint32_t probes, connects;
	bool sent, garbled, drained, spoke, restarted;
	bool stayed; /* the session before left it in its last loader, in order */
	bool detect; /* the sum-framed CONNECT of section 18 is next */
	bool quiet;  /* let later answers pass before the next command */
};

struct load_state {
	enum { LOAD_START, LOAD_DATA, LOAD_END, LOAD_OVER } at;
	uint64_t pos;
};

struct exec_state {
	enum { EXEC_SEND, EXEC_DEPARTURE, EXEC_RETURN, EXEC_PROBE, EXEC_QUIET, EXEC_OVER } at;
	uint32_t probes;
	bool returned, sent;
};

/* Reading a partition or address range in pieces. */
struct reader {
	enum { READER_START, READER_DATA, READER_DRAIN, READER_END, READER_OVER } at;
	bool by_name;
	char name[BSL_NAME_MAX + 1];
	uint64_t address;
	uint64_t size, pos; /* end offset announced; bytes read so far */
	size_t asked;
	bool again;	     /* the one repetition is used up */
	bool sequential;     /* the phone counts by itself: a piece asked for again would be the next one */
	bool end_after_fail; /* READER_END follows a refusal */
	enum doing doing_open, doing_read;
	unsigned when;
	bool secret;
};

/* Sizes asked for name by name (step_probe.c). */
struct probe_row {
	char name[TABLE_NAME_MAX + 1];
	uint64_t expected; /* bytes, asked first; 0: no idea */
};

struct probe_state {
	/* in words; is there a byte; NAND: may it be opened for so many */
	enum { PROBE_WORDS, PROBE_BYTES, PROBE_OPENINGS, PROBE_OVER } how;
	struct probe_row *row; /* PROBE_ROWS of them */
	uint32_t count, i;
	struct reader r;
	struct size_search search;
	uint64_t question; /* bytes: are there so many? */
	uint64_t size;	   /* of the current row; PROBE_UNKNOWN: it is there */
	bool there, absent;
	bool again;	 /* refused once: asked a second time before that is believed */
	bool area_asked; /* the user area itself, first of all */
	bool seen;	 /* at least one place was really shown */
	bool unit;	 /* only to measure the unit of a list */
	uint32_t requests;
	uint64_t user_size; /* bytes, 0 unknown */
	uint32_t sector;
};

struct table_state {
	struct reader r;
	enum { TABLE_GPT_READ, TABLE_LIST_READ, TABLE_PROBE, TABLE_OVER } at;
	uint8_t *bytes;
	size_t len, room;
	bool prove, refused;
	struct probe_state probe;
};

struct backup_state_inner {
	struct reader r;
	enum { BACKUP_READ, BACKUP_DOUBT, BACKUP_OWED, BACKUP_STORE, BACKUP_SYNC } at;
	int no; /* DOUBT: the phone's answer to the read */
	struct feed feed;
	int32_t owed; /* index in the session's list, -1: from the phone */
	uint64_t stored;
	const uint8_t *piece; /* a file's piece to store, in the reply */
	size_t piece_len;
	bool zeros, ones; /* all bytes so far were 00 / FF */
	bool cut;	  /* the phone broke off before the declared end */
	bool closing;	  /* everything is read: READ_END comes after the last STORE */
};

struct check_state {
	struct image_check *check;
	uint64_t size, pos;
};

struct merge_state {
	struct feed feed;
	uint8_t *image;
	uint64_t len, pos;
};

struct journal_state {
	char *text;
	size_t len, pos;
	bool synced;
};

struct erase_state {
	enum { ERASE_SEND, ERASE_ENABLE, ERASE_PROVE, ERASE_OVER } at;
	bool enabled;
};

struct write_state {
	enum {
		WRITE_START,
		WRITE_ENABLE,
		WRITE_DATA,
		WRITE_RAW_ASK,
		WRITE_RAW_SEND,
		WRITE_RAW_QUIET,
		WRITE_END,
		WRITE_OVER
	} at;
	bool enabled, raw;
	uint64_t size;	/* bytes of the source */
	uint64_t total; /* bytes announced: size, or one more (padding) */
	uint64_t pos;
	uint64_t raw_len;
	uint32_t sum;
	bool with_sum;
	uint8_t pad[2];
};

struct verify_state {
	struct reader r;
	bool tail_done;	   /* the last piece was compared first */
	uint64_t size;	   /* bytes to compare, holes included */
	uint64_t pos;	   /* plain: next byte; sparse: next byte of the current extent */
	uint64_t chunk_at; /* sparse: file offset of the next chunk header */
	uint64_t out;	   /* sparse: expanded offset of the next chunk */
	uint32_t chunks;   /* sparse: left */
	struct sparse_piece extent;
	size_t asked;
	uint64_t asked_at;  /* offset on the phone */
	uint64_t source_at; /* of the bytes to compare with */
	bool fill;
	bool over;
};

#define ERASE_PLACES 64u

struct blank_state {
	struct reader r;
	uint32_t at, places; /* pieces that are read */
};

struct readout_state {
	struct reader r;
	/* measured first: the signed header, what stands behind its payload; then the area */
	enum { READOUT_AREA, READOUT_HEADER, READOUT_TRAILER } at;
	uint8_t header[DHTB_HEADER], trailer[DHTB_TRAILER];
	size_t got;	      /* bytes of the one that is being read */
	const uint8_t *piece; /* to be stored, in the reply */
	size_t piece_len;
	uint64_t left; /* bytes not stored yet */
	bool synced;
};

struct first_state {
	struct reader r;
	bool set;
	uint8_t sent[4], got[4];
	size_t have;
};

struct end_state {
	enum { END_SEND, END_DEPARTURE, END_OVER } at;
	bool acked;
};

struct nv_kept {
	uint8_t *image; /* as read from the phone or owed; NULL none */
	size_t len;
	uint8_t *merged; /* as it will be sent, sealed */
	size_t merged_len;
	uint32_t sum;
};

/* What an entry's write leaves for its comparison. */
struct written {
	struct sparse_scan scan;
	bool scanned;
};

enum phase {
	PHASE_CONNECT,
	PHASE_LOAD_FDL1,
	PHASE_EXEC_FDL1,
	PHASE_CONNECT_FDL1,
	PHASE_CHARGE,
	PHASE_LOAD_FDL2,
	PHASE_EXEC_FDL2,
	PHASE_SETUP,
	PHASE_TABLE, /* before the UID: only one of list and UID may be asked for */
	PHASE_UID,
	PHASE_OWED,
	PHASE_BACKUP,
	PHASE_TABLE_AGAIN,
	PHASE_RESOLVE,
	PHASE_GATE,
	PHASE_CHECK,
	PHASE_MERGE,
	PHASE_INTENT,
	PHASE_RUN,
	PHASE_JOURNAL,
	PHASE_STOP,
	PHASE_OVER
};

struct session {
	struct session_config config;
	const struct plan *plan;
	struct plan *grown; /* own_by_table: the plan with its backups; then `plan` is this one */
	struct plan *resolved;
	struct device_facts facts;
	struct session_progress progress;
	struct session_result result;
	struct entry_result *entries;
	struct written *written; /* one for each resolved step */
	struct recorder recorder;
	struct bsl_link *link;
	struct want want;
	uint32_t serial;
	uint64_t now;
	bool over, started;

	/* the ask that is being served */
	struct ask ask;
	bool asking;
	size_t taken;
	struct bsl_payload payload; /* scratch of the steps; valid until the next ask */
	int surplus;		    /* first frame that came while quiet, -1 none */

	/* encoded ahead */
	bool prepared;
	struct ask prepared_ask;
	size_t prepared_taken;

	/* fetched ahead */
	struct feed *fetch_feed; /* NULL: nothing is on its way */
	uint64_t fetch_from;
	size_t fetch_len;
	bool fetch_failed;
	struct failure fetch_failure;
	uint64_t want_from; /* of a WANT_FETCH */
	size_t want_len;

	/* the phone */
	enum bsl_stage where;
	uint16_t bcd_device;
	unsigned max_packet;
	bool fresh;	    /* it was seen to arrive */
	bool resumed;	    /* a loader was found running */
	bool spoken;	    /* FDL2 has answered a command */
	bool table_damaged; /* there is a table, but its first copy is broken */
	bool unknown_spent; /* the one command it may not know has been sent (plan.h, enum plan_unknown) */
	bool raw;	    /* 0x28 was accepted */

	/* flow */
	enum phase phase;
	const struct step_kind *step;
	uint32_t backup_at, check_at, merge_at, run_at;
	int32_t running; /* resolved step that runs or ran last, -1 none */
	bool cancelling;
	bool intended; /* something is going to be destroyed: intent and journal are kept */
	char *intent;
	size_t intent_len;

	struct owed_backup *owed;
	uint32_t owed_count;
	bool owed_used;

	struct nv_kept
		nv[FACTS_BACKUPS_MAX + 1]; /* by backup; the last row: package NV of the current entry */
	struct nv_kept package_nv[8];	   /* NV entries written as the package has them */
	int32_t package_nv_step[8];
	uint32_t package_nv_count;
	size_t nv_bytes;    /* held in memory, at most NV_SIZE_MAX */
	uint64_t nv_threat; /* bit i: backup i is endangered and not yet back */
	struct {
		bool changed;
		uint64_t nv_threat;
	} was; /* before the step that runs */

	union {
		struct connect_state connect;
		struct load_state load;
		struct exec_state exec;
		struct table_state table;
		struct backup_state_inner backup;
		struct check_state check;
		struct merge_state merge;
		struct journal_state journal;
		struct erase_state erase;
		struct write_state write;
		struct verify_state verify;
		struct blank_state blank;
		struct readout_state readout;
		struct end_state end;
		struct first_state first;
	} st;
	struct table_state table; /* also used within repartition */
	struct feed feed;
};

/* ---- what steps may call --------------------------------------------------------------------- */

/* The session fails; STEP_FAILED. The text, if any, becomes the detail. */
enum step_says step_fail(struct session *s, enum error_id error, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* The same for a failure that is already named (*why): stage, step and entry are added. */
enum step_says step_fail_why(struct session *s, const struct failure *why);
/* Looks the symptom up for the ask being served. */
enum step_says step_diagnose(struct session *s, enum symptom symptom, int code, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* The usual end of an exchange that was not answered as wanted. */
enum step_says step_refused(struct session *s, const struct answer *a);

void ask_command(struct session *s, struct ask *ask, enum doing doing, uint16_t code);
/* As above with s->payload as payload. */
void ask_payload(struct session *s, struct ask *ask, enum doing doing, uint16_t code);
void ask_quiet(struct ask *ask, uint64_t usec);
void ask_fetch(struct ask *ask, struct feed *feed, uint64_t offset);

void session_where(struct session *s, enum bsl_stage where); /* another stage listens */
void session_not_begun(
	struct session *s); /* the phone has refused this step before it did anything: as before it */
void session_entry(struct session *s, const char *entry); /* name shown in progress and failures */
void session_moved(struct session *s, uint64_t bytes);	  /* progress */
unsigned session_when(const struct session *s);		  /* circumstances that always hold */
bool session_plain(const struct session *s);
const struct pac_item *session_item(const struct session *s, int32_t item);
void session_note(struct session *s, enum record_kind kind, const char *text);

/* ---- pieces shared by steps ------------------------------------------------------------------ */

void reader_open(struct reader *r, bool by_name, const char *name, uint64_t address, uint64_t size);
/* The next ask of a read; STEP_DONE when READ_END was answered. limit: bytes to ask for at most, 0 as many as
 * fit. */
enum step_says reader_next(struct session *s, struct reader *r, struct ask *ask, size_t limit);
/* GOOD with data: *data, *len are what was read (len 0: an answer without data). Handles the one repetition.
 */
enum step_says reader_take(struct session *s, struct reader *r, const struct answer *a, const uint8_t **data,
			   size_t *len);
size_t reader_piece(const struct session *s);

enum step_says table_begin(struct session *s, bool prove);
enum step_says table_next(struct session *s, struct ask *ask);
enum step_says table_take(struct session *s, const struct answer *a);

/*
 * Probing, as a part of reading the table. unit: only measures the unit of the list in s->facts.table; else
 * fills that with what the plan needs to know (proving: with the rows of the resolved plan's table). False:
 * nothing to ask for.
 */
bool probe_begin(struct session *s, bool unit);
enum step_says probe_next(struct session *s, struct ask *ask);
enum step_says probe_take(struct session *s, const struct answer *a);
void probe_free(struct session *s);

/* Whether the package's own check has left out what this step writes. */
bool check_needed(const struct session *s, const struct plan_step *p);

/* A sink name for NV bytes that are no valid NV: kept, but nothing that could be owed. */
bool session_is_raw(const char *name);

/* NV that a resolved WRITE_NV step sends; NULL if it was not prepared. */
const struct nv_kept *session_nv(const struct session *s, int32_t step);

/* Bytes held in memory that a resolved step sends: NV, or changed content; NULL if there are none. */
bool session_sends_held(const struct plan_step *p);

extern const struct step_kind step_connect, step_load_fdl1, step_exec_fdl1, step_connect_fdl1, step_charge,
	step_load_fdl2, step_exec_fdl2, step_setup, step_uid, step_owed, step_table, step_backup,
	step_resolve, step_gate, step_check, step_merge, step_intent, step_journal, step_erase_all,
	step_erase, step_repartition, step_enable, step_write, step_write_nv, step_restore, step_change,
	step_first_mode, step_verify, step_blank, step_read, step_reset, step_power_off;

/* session_flow.c */
const struct step_kind *flow_next(struct session *s);
void flow_done(struct session *s); /* the running step is done */
void flow_cancel(struct session *s, bool force);
void flow_finish(struct session *s); /* fills the result */

/* session_wire.c */
const struct want *wire_ask(struct session *s, struct ask *ask);
bool wire_prepare(struct session *s, struct want *w);
/* Turns an input into an answer to the ask being served; false: nothing to answer yet. */
bool wire_input(struct session *s, const struct session_input *in, struct answer *a);

#endif
