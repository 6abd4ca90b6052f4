/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What runner.c (phone, wants, time) and carry.c (files) share.
 */
#ifndef FDLD_STATION_RUNNER_H
#define FDLD_STATION_RUNNER_H

#include <stdatomic.h>

#include "station/internal.h"

#define CARRY_BACKUPS 16
#define CARRY_LENT    2 /* chunks the session may still look at (flash/want.h, INPUT_FETCHED) */

/*
 * What threads of a job touch: counted, so that one that is left behind in a read or write that never returns
 * keeps it and nothing else.
 */
struct carried {
	atomic_uint refs;
	struct records *records;
	struct package_reader reader; /* reader thread; the loop when no read is going on */
	struct package_reader
		lent; /* likewise, of the loaders' package if that is another; else package NULL */
	_Atomic(uint64_t) warm_at, warm_end; /* of the package, to be read ahead: from, to */
	atomic_bool warming;		     /* the reader thread is told to */
	atomic_bool hurry;		     /* a read waits behind them */
	struct record_sink intent;	     /* writer thread */
	struct sinks *sinks;		     /* writer thread; NULL: not a read */
	struct record_sink backup[CARRY_BACKUPS];
};

/* Bytes of a source: lent as they lie in memory, or read by the reader thread; then lent to session or pipe.
 */
struct fetch {
	struct fetch *next;
	struct runner *runner;	     /* the loop's side; NULL: nobody wants it any more, release() frees it */
	struct carried *carried;     /* a reference while the task exists */
	struct package_reader *from; /* of carried; NULL: a backup */
	uint64_t at;		     /* in the package, or in the backup */
	uint64_t job;		     /* BACKUP, OWED */
	char name[40];
	struct source_ref source; /* as asked, to find it again */
	uint64_t offset;
	size_t len;
	uint32_t serial; /* of the want it was asked under */
	bool ahead;	 /* by session_prepare() */
	bool unwanted;	 /* its bytes are to be dropped */
	int result;
	struct failure why;
	const uint8_t *data; /* bytes, or */
	struct span *loan;   /* in this one of the package, which is in use by that */
	uint8_t bytes[];
};

struct carry {
	struct carried *shared;
	struct worker *reader, *writer;
	bool reader_lost, writer_lost; /* left behind by a deadline */
	struct fetch *going;	       /* the read under way, the latest of them */
	struct fetch *lent[CARRY_LENT], *idle;
	struct worker_task *reading, *writing, *noting;
	struct record_backup backups[CARRY_BACKUPS]; /* durable ones */
	uint32_t backup_count;
	char sink_name[CARRY_BACKUPS][40]; /* by sink number */
	struct {
		uint64_t job;
		char name[40];
	} * owed; /* as told to the session, by its numbers */
	uint32_t owed_count;
};

enum pipe_state { PIPE_NONE, PIPE_OPENING, PIPE_OPEN, PIPE_BROKEN, PIPE_CLOSING };

struct runner {
	struct station *st;
	struct job *job;
	struct slot *slot;
	struct session *session;
	struct carry carry;
	struct device_facts *before; /* of the device: lent to the session, which may outlive that */

	struct usb_pipe *pipe;
	enum pipe_state pipe_state;
	struct usb_arrival arrival; /* the pipe's */
	bool started;		    /* INPUT_START was given */
	bool gone;		    /* the phone has left; told once */
	bool back;		    /* something came to its place */
	bool out_busy, sent;
	uint64_t sent_turn, turn_at; /* of the loop; when this phone's part of it began */
	uint8_t *held;		     /* bytes that came while the OUT transfer had not ended */
	size_t held_len;

	struct want w; /* copy of the one being done */
	bool fresh;    /* not taken up yet */
	uint64_t taken_at;
	enum { EXPIRE_NO, EXPIRE_OUT, EXPIRE_IN } expiring;
	unsigned int looks; /* at a half-full IN transfer, under this want */
	struct loop_timer *deadline, *late, *look, *grace;
	struct failure
		broken; /* why the pipe failed, while it is not sure that the phone has not simply left */

	uint64_t stream_read, stream_sent;
	struct fetch *streaming, **streaming_tail;
	uint32_t streaming_count;

	bool note_dirty, note_busy;
	bool gate_shown, over, dropped, pumping;
	struct failure end; /* of a job that never came to a session */
};

void runner_feed(struct runner *r, struct session_input *in);
void runner_fail(struct runner *r, const struct failure *why); /* INPUT_FAILED */
void runner_pump(struct runner *r); /* something may have become possible: looked at in the next turn */

/* runner.c, for runner_phone.c */
void runner_feed_plain(struct runner *r, enum input_kind kind);
void runner_feed_bytes(struct runner *r, const uint8_t *bytes, size_t len);
bool runner_awaiting(const struct runner *r, enum await what);
void runner_take(struct runner *r);	 /* the new want, unless something before it is still going on */
void runner_expire_in(struct runner *r); /* the deadline has passed and nothing is going out */
void runner_expired(struct runner *r);
/* runner_stream.c */
void runner_stream_next(struct runner *r);
void runner_stream_out(struct runner *r, struct fetch *f); /* a chunk was read */
void runner_stream_drop(struct runner *r);
void runner_stream_sent(struct runner *r, size_t len);
/* runner_phone.c */
void phone_open(struct runner *r);
void phone_close(struct runner *r); /* without effect when it is closed or closing */
void phone_on_grace(void *arg);

int carry_init(struct runner *r);
void carry_free(struct runner *r);
/* Begins a read. ahead: asked by session_prepare(). Failure is given to the session. */
void carry_fetch(struct runner *r, const struct source_ref *source, uint64_t offset, size_t len, bool ahead);
bool carry_fetching(const struct runner *r, const struct source_ref *source, uint64_t offset, size_t len);
/* A new want was taken up: what was read ahead for another may be void. */
void carry_turn(struct runner *r);
void carry_recycle(struct runner *r, struct fetch *f);
void carry_store(struct runner *r); /* STORE or SYNC of r->w */
void carry_identity(
	struct runner *r);	  /* AWAIT_OWED: keep whose storage it is, then answer with what is owed */
int carry_note(struct runner *r); /* writes slot->note; runner_noted() follows */
/* Called by carry.c */
void runner_fetched(struct runner *r, struct fetch *f);
void runner_noted(struct runner *r);

#endif
