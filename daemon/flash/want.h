/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a session asks of the one who carries things for it, and what it can be told.
 * Given an input, a session answers with exactly one want; a runner does it and comes back with inputs.
 * A runner knows no command, no stage and no partition: it moves bytes, time and files.
 */
#ifndef FDLD_FLASH_WANT_H
#define FDLD_FLASH_WANT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

enum want_kind {
	WANT_SEND,   /* one OUT transfer, then bytes from the phone until the session is content */
	WANT_STREAM, /* unframed OUT from a source (raw mode), then bytes from the phone */
	WANT_FETCH,  /* bytes of a source */
	WANT_STORE,  /* bytes into a sink, appended */
	WANT_SYNC,   /* make a sink durable: fsync, rename into place, fsync of the folder */
	WANT_AWAIT,  /* something of the house or of the port: see enum await */
	WANT_SLEEP,  /* time; bytes that arrive meanwhile are handed over all the same (a drain) */
	WANT_DONE,   /* the session is over: session_result() */
};

/* Where bytes come from. index: pac item number for ITEM and LOADER, backup number for BACKUP and OWED. */
enum source_kind {
	SOURCE_ITEM,   /* payload of a package item, offset 0 = its first byte */
	SOURCE_LOADER, /* the same of the package whose loaders are used: plan_loaders_of() */
	SOURCE_BACKUP, /* what this job stored under the same sink number */
	SOURCE_OWED,   /* an owed backup, by the number INPUT_OWED gave it */
};
struct source_ref {
	enum source_kind kind;
	uint32_t index;
};

/* Where bytes go. Names are made from our own numbers and checked table names, never from what a phone says.
 */
enum sink_kind {
	SINK_INTENT, /* job/<id>/intent: text, appended record by record, each followed by WANT_SYNC */
	SINK_BACKUP, /* job/<id>/nv/<name>: what cannot be replaced */
	/*
	 * The caller's descriptor of a read job, which may be a file, a pipe or a socket: bytes go out in
	 * order and whole, in as many writes as it takes; STORED says that all have left. SYNC: fsync where
	 * the descriptor can, else nothing to do.
	 */
	SINK_READ,
};
struct sink_ref {
	enum sink_kind kind;
	uint32_t index;
	char name[40]; /* [a-z0-9_.-] only; file name for BACKUP, empty else */
};

enum await {
	AWAIT_GATE,	 /* the package's whole-file check has passed */
	AWAIT_OWED,	 /* what is owed to this unit or this slot; the want carries the identity */
	AWAIT_DEPARTURE, /* the phone leaves the bus */
	AWAIT_RETURN,	 /* a phone is back on this port and its pipe is open (control request sent) */
};

/* Why the phone is silent for so long; shown to people while the reply is overdue. */
enum silence {
	SILENCE_NONE,
	SILENCE_STARTING,  /* a loader is starting, memory is being trained */
	SILENCE_CLEARING,  /* the phone clears the memory it will receive into */
	SILENCE_ERASING,   /* erasing */
	SILENCE_WRITING,   /* checking the signature and writing */
	SILENCE_READING,   /* reading its storage */
	SILENCE_FINISHING, /* flushing caches, restarting */
};

struct want {
	enum want_kind kind;
	uint32_t serial;     /* a new number is a new want; the same number: go on with what you are doing */
	uint64_t usual_usec; /* overdue beyond this: show the job as waiting for the phone */
	uint64_t deadline_usec; /* from the moment the want is taken up; then INPUT_TIMEOUT. 0: none */
	enum silence silence;
	union {
		struct {
			const uint8_t *bytes; /* lent until the next input other than BYTES */
			size_t len;
			bool zlp;   /* end with a zero-length packet (only for a frame that cannot be resized)
				     */
			bool leads; /* what others of the same package send too, and none has left encoded */
		} send;
		struct {
			struct source_ref source;
			uint64_t offset, len;
			size_t piece; /* bytes per transfer; the last may be short */
			bool zlp;     /* a zero-length packet after a last transfer that is a multiple of the
					 packet size */
		} stream;
		struct {
			struct source_ref source;
			uint64_t offset;
			size_t len; /* at most SESSION_CHUNK */
		} fetch;
		struct {
			struct sink_ref sink;
			const uint8_t *bytes; /* lent until the next input other than BYTES */
			size_t len;
		} store; /* SYNC uses sink only */
		struct {
			enum await what;
			char unit[65]; /* AWAIT_OWED: canonical UID, 64 hex digits, or empty: no identity */
		} await;
	};
};

#define SESSION_CHUNK (128u * 1024) /* largest FETCH and STORE, bytes */

enum input_kind {
	INPUT_START,   /* once: the pipe is open (or the job starts on a phone already open) */
	INPUT_BYTES,   /* bytes from the phone; any cut, any time */
	INPUT_SENT,    /* STREAM: everything has left; (SEND completes silently, see sent in TIMEOUT) */
	INPUT_TIMEOUT, /* the deadline of SEND, STREAM or AWAIT has passed */
	INPUT_TICK,    /* SLEEP is over */
	INPUT_FETCHED, /* data lent until the next INPUT_FETCHED after the following one (two chunks are lent)
			*/
	INPUT_STORED,  /* STORE or SYNC done */
	INPUT_AWAITED, /* GATE passed, DEPARTURE or RETURN happened, OWED answered */
	INPUT_FAILED,  /* FETCH, STORE, SYNC, AWAIT_GATE or the pipe failed: why */
	INPUT_GONE,    /* the phone left the bus (udev or the pipe; once) */
	INPUT_CANCEL,  /* a person wants the job to end: force false: at the next boundary; true: now */
};

/* One backup that is owed, as the house's records tell. Plain values. */
struct owed_backup {
	char name[40];	/* partition or sink name, as given to SINK_BACKUP */
	char job[24];	/* job that owes it */
	uint64_t size;	/* bytes */
	bool same_unit; /* stored under the asked identity; false: same slot, identity unknown on either side
			 */
};

struct session_input {
	enum input_kind kind;
	uint64_t now_usec; /* monotonic; only for the flight recorder and rates */
	union {
		struct {
			const uint8_t *data;
			size_t len;
		} bytes; /* BYTES, FETCHED */
		struct {
			bool sent; /* the OUT transfer had completed: "no answer" rather than "takes nothing"
				    */
		} timeout;
		struct {
			const struct owed_backup *list; /* lent for this call */
			uint32_t count;
			uint16_t bcd_device; /* RETURN and START: descriptor, for stage rules; 0 unknown */
			uint16_t max_packet; /* RETURN and START: bulk OUT wMaxPacketSize */
			bool other; /* RETURN: what came back is not what left (another kind of device) */
		} awaited;	    /* AWAITED and START */
		struct {
			const struct failure *why;
		} failed;
		struct {
			bool force;
		} cancel;
	};
};

#endif
