/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of this room share. Everything here belongs to the loop's thread unless it says otherwise.
 */
#ifndef FDLD_STATION_INTERNAL_H
#define FDLD_STATION_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "flash/plan.h"
#include "flash/session.h"
#include "loop/loop.h"
#include "loop/worker.h"
#include "station/owed.h"
#include "station/pace.h"
#include "station/package.h"
#include "station/port.h"
#include "station/records.h"
#include "station/sink.h"
#include "station/slotbook.h"
#include "station/station.h"
#include "station/store.h"
#include "usb/budget.h"
#include "usb/pipe.h"
#include "usb/watcher.h"

#define STATION_LISTENERS 12
#define STATION_FOREVER	  UINT64_MAX

struct errand;
struct rule;
struct rules;
struct runner;
struct single;

struct listener {
	const struct station_events *events;
	void *user;
};

struct station {
	struct loop *loop;
	struct settings set; /* in force */
	struct config *config;
	struct usb_context *usb;
	struct usb_watcher *watcher;
	struct usb_budget *budget;
	struct records *records;
	struct worker *files; /* a small pool: records of jobs, whole-file things */
	struct history *history;
	char host[65]; /* name of this machine */
	struct owed_index owed;
	struct listener listener[STATION_LISTENERS];

	struct slot *slots;	/* by order of sight */
	struct device *devices; /* by number */
	struct image *images;
	struct store *store, *loaders;
	struct chore *chores; /* of the store, under way */
	struct job *jobs;
	uint64_t device_number, image_number;
	uint32_t asking;   /* jobs on their way into being */
	uint32_t opening;  /* packages */
	uint32_t writing;  /* files on their way */
	uint32_t runners;  /* sessions that are going on */
	uint64_t bound_at; /* loop_now() when the last job was given its phone */
	bool probing, draining, idle_told, queue_deferred;
	struct loop_timer *timer;     /* expiry of waits and of kept results */
	const char *held;	      /* station_hold(); NULL: jobs may begin */
	struct station_counts counts; /* the ...ed members only */
};

/* Tells every listener: EMIT(st, job_changed, job) or EMIT(st, idle). */
#define EMIT(st, event, ...)                                                          \
	do {                                                                          \
		for (int listener_ = 0; listener_ < STATION_LISTENERS; listener_++) { \
			const struct listener *l_ = &(st)->listener[listener_];       \
			if (l_->events && l_->events->event)                          \
				l_->events->event(l_->user, ##__VA_ARGS__);           \
		}                                                                     \
	} while (0)

uint64_t station_wall(void); /* usec since 1970 */
/* Something changed that the queue, the timer or the end of a drain depend on: looked at in the next turn. */
void station_poke(struct station *st);
void station_told(struct station *st); /* counts or state of the whole changed */

/* ---- places ---------------------------------------------------------------------------------------- */

struct slot {
	struct slot *next;
	struct station *st;
	char id[USB_SLOT_MAX];
	char port[64];
	struct device *device;	/* in download mode */
	struct device *runs;	/* a phone that runs, beside it; kick.c */
	struct errand *errand;	/* a job without a session; errand.h */
	struct kick *kick;	/* it is being asked into download mode */
	uint64_t kicked_serial; /* mark of the phone that was asked last; 0: the one since was not */
	struct job *job;	/* that has it: from the moment it is bound until its pipe is closed */
	struct port_note note;
	bool note_known; /* note is of the device that is here */
	struct slot_book book;
	bool saving, save_again, save_failed;  /* its file */
	int save_error;			       /* of the last try to write it; 0: none */
	struct slot_wait *waits, *waits_again; /* slotkeep.c */
	bool forgotten;			       /* nothing of it is on disk, or is to be */
	/* armed.c */
	bool arming;		     /* a job for the phone in it is on its way */
	bool left_passed;	     /* the phone that was here last had passed */
	struct slot_bound left_next; /* what was bound to it, until its job ends */
	uint64_t left_at;	     /* monotonic: when it left; 0: none did */
	uint64_t passed_left; /* monotonic: when book.arm.passed_unit left; 0: is here, or left an earlier run
			       */
	uint64_t arm_at;      /* monotonic: look again */
	enum armed_reason arm_why;
	char arm_text[200];
};

struct device {
	struct device *next;
	struct station *st;
	struct slot *slot;
	uint64_t number;
	struct usb_arrival arrival; /* the latest */
	uint64_t arrived_at;
	bool present;
	bool running; /* not in download mode: it is slot->runs */
	bool kicked;  /* and was asked by itself already */
	bool seen;    /* its arrival was seen */
	bool used;    /* a session has talked to it */
	bool spent;   /* told to leave: no other job may take it before it has */
	char stage[8];
	char unit[9];
	struct {	       /* by the phone itself, since it came; "" not yet */
		char stage[8]; /* in which it was met */
		char unit[65], storage[8], family[64];
		bool all; /* what it has not told by now it will not */
	} told;
	uint64_t first_transfer_usec;
	struct {	       /* armed.c */
		uint64_t came; /* monotonic */
		uint64_t away; /* usec since the phone that passed here last left, or longer */
		bool late;     /* something kept it from beginning at once */
		bool fresh, asked, passed, crashed, refused, unmet, replug;
		uint32_t tries;	 /* jobs of its slot with it that have ended */
		bool again;	 /* the last of them failed, and another try can help */
		uint64_t failed; /* monotonic: when */
		char error[40];	 /* how */
		bool changed;	 /* one of them has */
		bool bound_taken;
		struct slot_bound bound, next; /* what it has; what of that was meant for it alone */
	} arm;
	struct device_facts *before; /* what its last session has learned; NULL: not known */
	/* a job has left it in a loader: keep.c */
	bool kept;
	struct image
		*kept_image;	/* whose loaders run there; NULL: not known since a restart of the service */
	uint64_t kept_until;	/* monotonic; STATION_FOREVER: for good */
	uint64_t kept_until_at; /* the same by the wall clock */
};

struct slot *slot_get(struct station *st, const char *id); /* made and announced if new; NULL: no memory */
void slot_told(struct slot *slot);
void slot_free_all(struct station *st);
/* slotkeep.c */
int slot_load_all(struct station *st); /* start-up: the places that are known. 0 or negative errno. */
bool slot_text_plain(const char *text, size_t room);		    /* fits, with the NUL, on one line */
void slot_save(struct slot *slot);				    /* its file, behind the loop's back */
void slot_counted(struct slot *slot, const struct job_record *job); /* a job of this place has ended */
void slot_unwait(struct slot *slot);				    /* nobody is told any more */
bool slot_suspect(const struct slot *slot);

/* kick.c */
void running_arrived(struct slot *slot, const struct usb_arrival *arrival);
void running_left(struct slot *slot);
void kick_arrived(struct slot *slot); /* a phone in download mode has come there, and is announced */
void kick_look(struct station *st);   /* begins where that is wanted; idempotent */
void kick_expire(struct station *st, uint64_t now, uint64_t *next);
void kick_free(struct slot *slot);
void errand_free(struct slot *slot); /* errand.c */
/* The watcher's events. */
void device_arrived(void *user, const struct usb_arrival *arrival);
void device_left(void *user, const struct usb_arrival *arrival);
/* keep.c: what is kept running on a phone between two jobs. */
/* image: whose loaders run there (of one that was made: its pair), NULL: as it was; before: what was learned,
 * taken over, may be NULL */
void device_keep(struct device *device, struct image *image, struct device_facts *before);
void device_busy(struct device *device); /* a job has it: how long it is kept is told when that ends */
void device_expire(struct station *st, uint64_t now, uint64_t *next);
/* A new arrival there, of which nothing is told yet; NULL: no memory. */
struct device *device_new(struct slot *slot, const struct usb_arrival *arrival);
/* The phone is gone for good: announced, forgotten. */
void device_remove(struct device *device);
void device_told(struct device *device);

/* ---- packages --------------------------------------------------------------------------------------- */

enum image_state { IMAGE_CHECKING, IMAGE_GOOD, IMAGE_BAD };

struct image {
	struct image *next;
	struct station *st;
	uint64_t number;
	uint32_t refs; /* clients, jobs */
	bool accept_bad_crc;
	struct package *package;
	struct bsl_shelf *shelf; /* its jobs' frames; NULL: none has begun */
	enum image_state state;
	char name[256];
	uint64_t opened_at;
	struct failure failure;
	char digest[65];
	struct worker *worker;
	/*
	 * Of a package that was made for one job (single.h), which nobody is told of: where its loaders were
	 * taken from, held, and what of them has still to be proved; NULL: nothing.
	 */
	struct image *pair;
	struct package_reader *unproved;
	struct loop_timer *watch; /* does the check move? */
	uint64_t watched, moved_at;
	/* of the store only; image_store.c */
	bool stored;  /* the store holds one of refs */
	bool leaving; /* is being removed: for nobody any more */
	uint64_t imported_at, size;
	char product[64], firmware[128];
	bool loader; /* of the loader store, and then: */
	struct store_origin origin;
	struct chore *checkup; /* it is being verified */
	bool told_gone;	       /* image_removed() was told */
};
void image_free_all(struct station *st);
/* An image of a package that is made for one job; takes single, holds pair. As station_open_image(). */
int image_make(struct station *st, struct single *single, struct image *pair, station_image_fn done,
	       void *user, struct failure *why);
/* Threads that hang in a file system for good are the price of packages on such; there is an end to it. */
#define LEFT_BEHIND_MAX 32u
/* image_store.c */
int image_load_all(struct station *st, struct failure *why); /* start-up; StateDirectory, Internal */
uint64_t image_verified(const struct image *image);	     /* bytes, of a stored one */
void image_store_drain(struct station *st); /* what is being done ends soon, with Cancelled */
void image_store_free(struct station *st);  /* leaves behind what is going on */
/* loader.c: one of the loader store is called so, or has such a digest. 0, NoLoader or LoaderAmbiguous. */
int loader_check_name(const struct station *st, const char *name, struct failure *why);

/*
 * loader.c: whose loaders start a phone in this slot (NULL: in any) that is given this package: *lender NULL,
 * its own. named: a pair, or a stored package; not said, and it has none of its own: the slot's, or the only
 * one that can be meant. NoLoader, LoaderAmbiguous, LoaderMismatch, or what is wrong with the one.
 */
int loader_lend(struct station *st, const struct slot *slot, struct image *image, const char *named,
		bool force, struct image **lender, struct failure *why);
/* loader.c: a slot that names it; NULL: none. */
const struct slot *loader_slot(const struct image *image);
/* A rule in force that names it; lent by the rules. NULL: none. */
const struct rule *loader_rule(const struct image *image);
/* How the phones of these loaders are told places: as their package has it, or that which they came from. */
enum addressing loader_addressing(const struct image *pair);

/* ---- jobs --------------------------------------------------------------------------------------------- */

/* The first three: it has no phone yet. */
enum job_state { JOB_WAITING, JOB_GATED, JOB_QUEUED, JOB_RUNNING, JOB_ENDING, JOB_ENDED };

struct job {
	struct job *next; /* by rising number */
	struct station *st;
	uint64_t number;
	enum job_state state;
	struct image *image;	   /* NULL: it needs none */
	struct image *lender;	   /* whose loaders start the phone; NULL: those of image */
	bool lender_named;	   /* it was, rather than chosen for want of others */
	struct sinks *sinks;	   /* of a read */
	struct flash_table *table; /* that it has read; NULL: none */
	struct changes *changes;   /* to the table, told once they are decided; NULL: none */
	struct peek *peek;	   /* it shows marks; NULL: it does not */
	struct plan *plan;	   /* NULL after the end */
	struct slot **places;	   /* where it may run; count 0: anywhere */
	uint32_t place_count;
	bool pinned; /* asked for on a slot, rather than for the next phone */
	bool dry_run;
	bool old;			 /* see job_view */
	struct slot *slot;		 /* NULL until bound (pinned: from the start) */
	struct device *device;		 /* NULL until bound, and once it is gone */
	uint64_t born_usec;		 /* monotonic: when the job came into being */
	uint64_t wait_usec;		 /* how long it may wait for a phone */
	uint64_t wait_since, wait_until; /* monotonic; while JOB_WAITING */
	const char *queued_for;
	bool expect_given;
	uint64_t expect;		/* device number */
	uint64_t gate_usec, gate_until; /* monotonic; JOB_GATED */
	bool releasing;			/* a plan is being made for another image */
	uint32_t sample;		/* one of so many is verified; 0: level is not sampled */
	struct rules *rules;		/* a rule has asked for it: a reference to its set, */
	const struct rule *rule;	/* and the rule */
	struct usb_claim *claim;
	struct runner *runner;
	struct errand *errand; /* instead of one: errand.h; NULL once it is over */
	const char *stage;     /* of an errand; NULL: the session's */
	struct port_view port; /* as its hub says it is; hub NULL: not asked */
	char port_hub[48];
	char sender[64];
	bool cancelling;
	bool announced;	     /* job_added() was told: nothing of it is told before */
	const char *held_by; /* its phone is there, but this keeps it from beginning; NULL: nothing */
	bool granted;	     /* the same of its memory */
	uint64_t lively;     /* monotonic: last sign of life */

	char **lines; /* of the plan */
	uint32_t line_count;
	char **doubts;
	uint32_t doubt_count;
	bool resolved;

	struct session_progress at; /* the latest the session has told */
	uint32_t at_serial;
	struct pace pace;
	uint64_t silent_since, silent_until; /* monotonic, 0: the phone is not overdue */
	char why[160];
	uint64_t *step_usec; /* by step of the resolved plan: how long it had the phone; job_time_step() */
	uint32_t step_count;
	uint64_t step_since, run_since; /* monotonic; run_since 0: no phone yet */
	uint64_t entry_began;		/* bytes done when the current entry began */
	uint64_t entry_bytes;		/* of the current entry, 0 unknown */
	uint64_t bound_bytes;		/* to the end of its group */
	uint64_t changed, moved;	/* serials */

	struct job_record record;
	char *trace; /* until it is stored */
	size_t trace_len;
	bool stored;
	char unstored[160]; /* see job_view */
	uint64_t forget_at; /* monotonic */
};

/* Published as ended, from an earlier run; unstored: see job_view. 0 or -ENOMEM; takes what record owns. */
int job_from_record(struct station *st, struct job_record *record, bool old, const char *unstored);
/* Its result is not on the disk: said on the job, and in the log when it has ended. */
void job_unstored(struct job *job, const char *why);
/* What a job is to be made of. */
struct job_wish {
	const struct job_request *request;
	const char *kind;
	struct plan_options options;
	struct plan_read *reads; /* request->read_count of them; taken over */
	const struct mark *marks;
	uint32_t mark_count;   /* then it only sets these */
	struct sinks *sinks;   /* a reference, taken over */
	bool table;	       /* it only reads the table */
	struct peek *peek;     /* it only shows marks; taken over */
	bool lender_named;     /* see struct job */
	bool release;	       /* it only ends what runs on the phone */
	struct errand *errand; /* there is no plan; stays the caller's */
};
/* May be asked for now? Draining, LimitsExceeded, DeviceChanged, SlotBusy, SlotEmpty, NoSuchImage, ... */
int job_may_ask(struct station *st, const struct job_request *request, struct failure *why);
/* Fills in request->image where only loaders are wanted and no image is given: those that run on the phone,
 * else as the caller, the slot and the store say. NoLoader, LoaderAmbiguous, ... */
int job_loader(struct station *st, struct job_request *request, struct failure *why);
/* A place as callers name it: *name is empty for an address. InvalidArgs. */
int area_parse(const char *target, char name[40], uint64_t *address, struct failure *why);
struct image *job_lender(const struct job *job); /* whose loaders start the phone; NULL: nobody's */
/* Into its record: what it is about, and whose loaders (lender NULL: image's) start the phone. */
void job_name_image(struct job_record *r, const struct image *image, const struct image *lender);
/* Nothing was sent: whose loaders ran on the phone already (NULL: not known), into its record. */
void job_name_loaders(struct job *job, const struct image *kept);
/* Compiles, numbers and admits it, as station_flash() says. Takes what the wish holds, also when it fails. */
int job_ask(struct station *st, const struct job_wish *wish, station_job_fn done, void *user,
	    struct failure *why);
bool job_may_use(const struct job *job, const struct slot *slot);
void job_state(struct job *job, enum job_state state, const char *queued_for);
void job_told(struct job *job);	    /* job_view() shows something new */
void job_moved(struct job *job);    /* job_progress() does */
void job_announce(struct job *job); /* tells listeners of it, once */
/* What runs has told: takes over the session's progress, and its resolved plan once it is there. */
void job_take_progress(struct job *job, const struct session *session);
void job_take_plan(struct job *job, const struct plan *plan, bool resolved);
/*
 * The end, once: without a session, or with its verdict. The slot and the memory are given back at once; the
 * result is stored on a worker, and told when it is durable.
 */
void job_end_failed(struct job *job, const struct failure *why);
/* Of an errand: why NULL, it succeeded. */
void job_end_errand(struct job *job, const struct failure *why);
void job_end_session(struct job *job, const struct session *session, const struct record_backup *backups,
		     uint32_t backup_count);
/* SlotBusy: who does not want to wait is told who has the slot, or its next phone. */
int slot_busy(const struct slot *slot, struct failure *why);
void job_free_all(struct station *st);
void job_expire(struct station *st, uint64_t now, uint64_t *next);
/* Time goes to the step that runs (job->at) until now. */
void job_time_step(struct job *job);
/* The session knows of the phone all that it will know before it changes anything. */
void job_learned(struct job *job, const struct session *session);
const char *storage_word(enum storage_kind kind); /* "emmc"; "" unknown */
/* The time to keep results has changed from the one to the other. */
void job_keep(struct station *st, uint64_t was_usec, uint64_t is_usec);

/* job_table.c */
struct changes;
void job_take_changes(struct job *job, const struct plan *resolved, const struct device_facts *facts);
/* It gives the phone a table of its own (and was not a package); it has a plan yet. */
bool job_tables(const struct job *job);
/* job_marks.c */
struct peek;
void peek_free(struct peek *peek);
void job_take_marks(struct job *job); /* it has read them */

/* gate.c */
void gate_close(struct job *job); /* it waits to be released from now on */
void gate_expire(struct job *job, uint64_t now, uint64_t *next);
bool bound_any(const struct slot_bound *bound);
/* Options in station's words into those of the plan; what is not said is as the settings say. 0 or
 * InvalidArgs. */
int options_translate(const struct job_options *in, const struct settings *set, struct plan_options *out,
		      struct failure *why);

/* queue.c: gives phones to jobs; idempotent. */
void queue_run(struct station *st);
void queue_leave(struct job *job);
/* When to look again although nothing happens; UINT64_MAX: not at all. */
uint64_t queue_again(const struct station *st); /* the job no longer waits, holds no slot and no memory */

/* ---- runner ------------------------------------------------------------------------------------------- */

/*
 * Runs job->plan on job->device: opens the phone, carries wants, closes it, then job_end_...() and
 * runner_free() by itself. 0, or negative errno with *why: nothing has begun.
 */
int runner_start(struct job *job, struct failure *why);
void runner_cancel(struct runner *r, bool force);
/* The phone of the job left the bus (udev). True: it is expected back, keep the device. */
bool runner_left(struct runner *r);
/* Something came to the place of a phone that is expected back. */
void runner_back(struct runner *r);
void runner_image_told(struct runner *r);    /* the package check has come to its end */
bool runner_expects(const struct runner *r); /* a departure or a return */
/* The station ends: nothing is told any more. True: freed; false: its pipe is still closing, ask again. */
bool runner_drop(struct runner *r);

#endif
