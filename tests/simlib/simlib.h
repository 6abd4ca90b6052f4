/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The runner of the simulation: one real session, one phone in memory, a virtual clock between them. It
 * serves every want as station/runner does (flash/want.h), cuts what the phone sends at random, delays files,
 * loses what was not synced when it is killed, and stops anything that would hang.
 */
#ifndef TESTS_SIMLIB_SIMLIB_H
#define TESTS_SIMLIB_SIMLIB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/error.h"
#include "flash/session.h"
#include "pac/pac.h"
#include "pac/source.h"
#include "tests/phone/phone.h"

/* ---- random numbers ------------------------------------------------------------------------------ */

struct sim_random {
	uint64_t state;
};
uint64_t sim_random(struct sim_random *r);
/* Uniform in [0, n); 0 for n = 0. */
uint64_t sim_below(struct sim_random *r, uint64_t n);
/* True once in n times. */
bool sim_one_in(struct sim_random *r, uint64_t n);

/* ---- what the house keeps over jobs: intents and backups ------------------------------------------ */

#define SIM_BACKUPS 64
#define SIM_SINKS   5

struct sim_backup {
	uint64_t job;
	uint32_t sink; /* number the session gave it */
	char name[40];
	char unit[65];	/* identity the session told, empty if none */
	uint8_t *bytes; /* as appended */
	size_t size, room;
	uint8_t *kept; /* durable copy; NULL: never synced */
	size_t kept_size;
	bool owed;
};

struct sim_records {
	struct sim_backup *backup[SIM_BACKUPS];
	uint32_t count;
	uint64_t job;	   /* number of the running or last job */
	bool intent;	   /* of that job: durable */
	uint64_t intents;  /* intent records synced, over all jobs */
	char *intent_text; /* of that job, as appended */
	size_t intent_size, intent_room;
};
struct sim_records *sim_records_new(void);
void sim_records_free(struct sim_records *records);
/* Owed backups that this unit (or, without identity, this slot) has. */
uint32_t sim_records_owed(const struct sim_records *records);

/* ---- one run ------------------------------------------------------------------------------------- */

/* Counts of new wants, from 1; 0: never. */
struct sim_breaks {
	uint32_t cancel_at, force_at; /* a person cancels, then by force, before this want is carried out */
	uint32_t kill_at;	      /* the house dies: the session is dropped, unsynced files are lost */
	uint32_t unplug_at;	      /* the cable is pulled */
	uint32_t fetch_fails_at, store_fails_at, sync_fails_at; /* this FETCH, STORE, SYNC fails */
	uint64_t sink_full_at, sink_closed_at; /* bytes after which a SINK_READ takes no more; 0: never */
	bool gate_fails;		       /* the package does not pass its whole-file check */
	bool open_fails;		       /* the pipe cannot be opened again when the phone returns */
};

struct sim_config {
	struct phone *phone;	      /* plugged in by the caller; the runner sends the control request */
	const struct source *package; /* bytes of the package; may be NULL where the plan is NULL */
	const struct source *loaders; /* bytes of what plan->options.loaders is; may be NULL where that is */
	struct session_config session;
	struct sim_records *records; /* NULL: the run has its own, forgotten afterwards */
	struct phone *swap; /* what comes back instead after the first departure; NULL: the phone itself */
	struct sim_breaks breaks;
	uint64_t now;  /* virtual clock at the start, microseconds */
	uint64_t seed; /* of cuts and delays */
	bool cut;      /* cut IN transfers at random */
	uint64_t fetch_usec, store_usec,
		gate_usec;     /* longest delay; the real one is random below it if cut is set */
	size_t sink_write;     /* SINK_READ takes at most this many bytes at once; 0: as many as come */
	uint64_t limit_usec;   /* virtual time a run may take; 0: 6 hours */
	uint64_t limit_inputs; /* real steps; 0: 20 million */
	FILE *trace;	       /* every want and input, one line each; NULL none */
	/* told before each new want is carried out (may be NULL): for counting and for faults by step */
	void (*watch)(void *arg, const struct session *s, const struct want *w, uint32_t number);
	/* told of the session when it has answered DONE, or broke off (may be NULL); of watch_arg */
	void (*ended)(void *arg, const struct session *s);
	void *watch_arg;
};

struct sim_outcome {
	bool done; /* the session answered WANT_DONE */
	bool killed;
	bool pass, cancelled, changed, nv_written_back, nv_owed;
	enum verify_level level;
	struct device_facts facts; /* what it had learned at its end */
	struct failure failure;	   /* of the session, or UsbOpenTimeout if it was never begun */
	char leaves[16], nv[16];
	struct port_record record; /* of the phone as it is left: what the next session is told */
	char broken[200];	   /* an invariant of the runner that was broken; empty: none */
	char progress[80];	   /* stage, step and entry at the end */
	enum session_stage stage;
	enum want_kind last_want; /* what was being carried out when the session ended */
	char step[24];
	uint32_t wants, want_count[WANT_DONE + 1];
	uint32_t entries, last_confirmed;
	uint64_t now; /* clock at the end */
	uint64_t inputs;
	uint32_t prepared;			  /* chunks asked for ahead of their turn */
	uint32_t verified_entries, noted_entries; /* entries compared; entries with a reason why not */
	struct sim_sink {
		uint8_t *bytes; /* sim_outcome_free() */
		size_t size, room;
		bool synced;
	} sink[SIM_SINKS];   /* SINK_READ */
	char *trace;	     /* flight recorder as text; sim_outcome_free() */
	struct phone *phone; /* the phone that is on the port at the end (swap or phone) */
};

/* 0, or -ENOMEM, -EINVAL. What went wrong in the session is in the outcome. */
int sim_run(const struct sim_config *config, struct sim_outcome *outcome);
/*
 * Several side by side on one clock and one loop: each input costs host_usec of a host that does one thing at
 * a time, and whoever is due first comes first. 0, or the error of one that could not begin.
 */
int sim_run_many(const struct sim_config *configs, struct sim_outcome *outcomes, size_t count,
		 uint64_t host_usec);
void sim_outcome_free(struct sim_outcome *outcome);

const char *sim_want_name(enum want_kind kind);

#endif
