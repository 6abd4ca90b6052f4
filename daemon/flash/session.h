/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A session runs one plan on one phone: connect, load, learn, resolve, gate, intent, execute, end.
 * Sans I/O: inputs in, exactly one want out (want.h); no clock, no descriptor, no thread, no global.
 * It owns the verdict.
 */
#ifndef FDLD_FLASH_SESSION_H
#define FDLD_FLASH_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "flash/facts.h"
#include "flash/plan.h"
#include "flash/recorder.h"
#include "flash/want.h"

/* What our own record of the port says (runtime directory, survives a restart of the service). */
struct port_record {
	bool known;	    /* a record of this very arrival (boot id, port, devnum) exists */
	char stage[8];	    /* "rom", "fdl1", "fdl2" as last seen; empty unknown */
	bool plain_framing; /* "0x21 was sent" */
	bool dirty;	    /* the last session did not end in order */
};

struct session_config {
	const struct plan *plan;   /* NULL: probe only (stage detection); must outlive the session */
	bool arrival_seen;	   /* fdld saw this phone arrive: it is taken for a fresh one */
	struct port_record record; /* of a phone that was there before */
	/*
	 * What the session before this one learned of this very arrival of the phone, which it left in its
	 * last loader (END_STAY) and which has been nobody else's since: a copy of session_result.facts of
	 * then; NULL none. Lent for the time of the session. With a record of the stage that is known and not
	 * dirty the session goes on there at once: no question, which some loaders answer just once
	 * (device-behaviour 18) and others never, no loader is sent, and capabilities, storage and identity
	 * are those.
	 */
	const struct device_facts *before;
	/* Frames that sessions of the same package share: session_shelf_new(); NULL: none. Taken into use. */
	struct bsl_shelf *shelf;
	uint64_t job;	   /* number, for texts */
	bool resolve_only; /* --dry-run --slot: load, learn, resolve, then reset unless it is to stay; nothing
			      is written */
};

enum session_stage {
	STAGE_CONNECT, /* rom: probe, version */
	STAGE_FDL1,    /* loading and starting FDL1 */
	STAGE_FDL2,    /* loading and starting FDL2 */
	STAGE_LEARN,   /* capabilities, UID, table, backups */
	STAGE_CHECK,   /* waiting for the package gate, intent */
	STAGE_FLASH,   /* erasing and writing */
	STAGE_VERIFY,
	STAGE_READ, /* into the caller's sinks */
	STAGE_END,  /* reset, power off */
	STAGE_COUNT
};

struct session_progress {
	enum session_stage stage;
	char step[24];			   /* "write", "erase", "load-fdl1", ... */
	char entry[40];			   /* partition or file ID */
	uint32_t entry_index, entry_count; /* destructive and verify steps of the resolved plan */
	uint64_t bytes_done, bytes_total;  /* what is really sent and read back; total only ever grows before
					      resolve, then stays */
	enum boundary boundary;		   /* what a cancel now would wait for */
	bool changed; /* something of the phone's storage was changed: a cancel leaves "needs-flash" */
	bool cancelling;
	bool plain_framing;  /* for the port record */
	char phone_stage[8]; /* for the port record: "rom", "fdl1", "fdl2" */
	uint32_t serial;     /* changes with stage, step, entry, boundary or changed */
};

enum entry_verdict { ENTRY_NOT_RUN, ENTRY_ACKNOWLEDGED, ENTRY_VERIFIED, ENTRY_FAILED };

struct entry_result {
	uint32_t step; /* index in the resolved plan */
	enum entry_verdict verdict;
	uint64_t bytes_sent, bytes_compared, bytes_read;
	char note[96]; /* what was not compared and why */
};

struct session_result {
	bool pass;
	enum verify_level level; /* that PASS rests on */
	struct failure failure;	 /* !pass */
	bool changed;		 /* the phone's storage was touched */
	bool cancelled;
	/* loaders that were taken whole by the phone; neither: those that ran there already went on */
	bool fdl1_sent, fdl2_sent;
	const char *leaves; /* "unchanged", "needs-flash", "complete" */
	/* NV were written and read back, the phone's own or, if asked for in so many words, the package's:
	 * nothing is owed to this unit any more */
	bool nv_written_back;
	bool nv_owed; /* NV was erased or overwritten and not confirmed: this job's backup is owed */
	char nv[16];  /* "kept", "returned" (from a backup that was owed), "blank", "package", "none"; "owed":
		       * nv_owed
		       */
	const struct device_facts *facts;
	const struct plan
		*resolved; /* from the moment it is decided, before the end; NULL: not yet, or never */
	const struct entry_result *entries;
	uint32_t entry_count;
	int32_t last_confirmed; /* index in resolved, -1 none */
};

struct session;

/*
 * For a package that several phones may take at the same time: what they send is encoded once. It belongs to
 * these bytes and no others. A reference for the owner; sessions take their own. NULL: no memory.
 */
struct bsl_shelf *session_shelf_new(void);
void session_shelf_free(struct bsl_shelf *shelf); /* NULL is fine */

/* -ENOMEM, -EINVAL. All memory a session will use for frames of its own is taken here. */
int session_new(const struct session_config *config, struct session **out);
void session_free(struct session *s);

/* Tells; answers with the one want. The want is owned by the session and valid until the next call. */
const struct want *session_input(struct session *s, const struct session_input *in);

/*
 * While a reply is outstanding: encodes the next frame ahead if its bytes are here. Returns true with *w a
 * WANT_FETCH if bytes are lacking that can be fetched meanwhile (answer with INPUT_FETCHED as usual). Changes
 * no protocol state. Call after each new SEND and after each INPUT_FETCHED that answered with an unchanged
 * serial.
 */
bool session_prepare(struct session *s, struct want *w);

const struct session_progress *session_progress(const struct session *s);
/* After WANT_DONE; before that, pass is false and failure empty. */
const struct session_result *session_result(const struct session *s);
const struct recorder *session_recorder(const struct session *s);

const char *session_stage_name(enum session_stage stage); /* "connect", "fdl1", ... stable */
const char *silence_text(enum silence why, uint64_t deadline_usec, char *buf, size_t size);

#endif
