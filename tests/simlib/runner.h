/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The inside of the simulation's runner, shared by its three files only. */
#ifndef TESTS_SIMLIB_RUNNER_H
#define TESTS_SIMLIB_RUNNER_H

#include "tests/simlib/internal.h"

#define CLASS_REQUEST 0x21, 0x22, 0x0601
#define OPEN_USEC     2000   /* what opening the pipe takes */
#define SPIN_MAX      200000 /* inputs without any time passing */

struct fetch {
	bool pending, prepared; /* prepared: asked by session_prepare, under the serial below */
	struct source_ref source;
	uint64_t offset, due;
	size_t len;
	uint32_t serial;
};

struct runner {
	const struct sim_config *config;
	struct sim_outcome *out;
	struct session *s;
	struct sim_records *records;
	struct phone *phone;
	struct sim_random random;
	uint64_t now, started, limit_usec, limit_inputs;

	const struct want *w;
	uint32_t serial;   /* of the want being carried out */
	bool fresh;	   /* w has not been taken up */
	uint64_t deadline; /* absolute; UINT64_MAX none */
	uint8_t *frame;	   /* copy of what is being sent */
	size_t frame_len, frame_room;
	bool out_pending, out_sent, stream_told;
	uint8_t *held; /* bytes that came while the OUT transfer had not ended */
	size_t held_len;
	uint64_t stream_at;
	struct fetch fetch;
	uint8_t *chunk[2];
	unsigned chunk_next;
	uint64_t busy_until; /* STORE, SYNC, GATE, OWED */
	size_t stored;	     /* bytes of the STORE that its sink has taken */
	bool busy;

	bool gone, left, back,
		back_failed; /* the phone: told as gone; left while awaited; came back unasked */
	bool swapped, first_departure;
	uint64_t swap_due;
	uint32_t fetches, stores, syncs;
	uint64_t spin_at;
	uint32_t spins;
	size_t deeds_seen;
	char unit[65];
	struct owed_backup owed[SIM_BACKUPS];
	struct sim_backup *owed_from[SIM_BACKUPS];
	uint32_t owed_count;
};

/* talk.c: inputs to the session, the phone's comings and goings; files.c: chunks, sinks, records */
void runner_trace(struct runner *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void runner_broken(struct runner *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
uint64_t runner_delay(struct runner *r, uint64_t longest);
void runner_deeds(struct runner *r);
void runner_give(struct runner *r, struct session_input *in);
void runner_fail(struct runner *r, enum error_id error, const char *detail);
void runner_tell(struct runner *r, enum input_kind kind);
void runner_gone(struct runner *r);
void runner_bytes(struct runner *r, const uint8_t *bytes, size_t len);
int runner_open(struct runner *r);
void runner_return(struct runner *r);
bool runner_awaiting(const struct runner *r, enum await what);
void runner_detach(struct runner *r);
void runner_attach(struct runner *r);
void runner_fetched(struct runner *r);
void runner_prepare(struct runner *r);
void runner_fetch(struct runner *r);
void runner_busy_done(struct runner *r);

#endif
