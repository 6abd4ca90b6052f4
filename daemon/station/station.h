/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The floor that owns things: slots, phones, packages, jobs and what is kept of them on disk. This header is
 * all that the floors above need: handles, plain views and events, in words of its own.
 *
 * Everything belongs to the loop's thread. No function blocks, except station_new() (before the loop runs)
 * and station_free(). Handles (struct slot, device, image, job) are valid until the event that removes them
 * has been delivered. A view is filled at the moment of the call; its strings are lent until the loop's next
 * turn. Strings are never NULL, "" means none. Numbers: 0 means none. ...At: microseconds of the wall clock
 * since 1970, 0 = never;
 * ..._usec: durations in microseconds, UINT64_MAX = unknown or none. Enumerations are the lower-case strings
 * of the bus contract (dbus/).
 */
#ifndef FDLD_STATION_STATION_H
#define FDLD_STATION_STATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/settings.h"
#include "station/slotbook.h"

struct loop;
struct config;
struct rule;
struct rules;
struct station;
struct slot;
struct device;
struct image;
struct job;

#define STATION_NONE UINT64_MAX /* of a duration: unknown or none */

struct station_config {
	const char *state_dir;	 /* must exist, ours, writable: job/<id>/ and the job counter live there */
	const char *runtime_dir; /* survives a restart of the service, not of the machine; NULL: no port
				    records */
	const struct settings *settings; /* as of the start; NULL: the presets */
	struct config *config; /* station_config() gives it back; may be NULL. Outlives the station */
};

/*
 * Opens the state directory, takes it for this process, finds what an earlier run left (such jobs are there
 * as interrupted ones, what is owed is indexed). Blocks on files: before the loop runs. 0 and *out, or
 * negative errno with *why (StateDirectory names path, owner, mode and remedy; Internal). config is copied.
 */
int station_new(struct loop *loop, const struct station_config *config, struct station **out,
		struct failure *why);
/*
 * Other settings from now on: waits, limits and deadlines that begin later take the new ones, results that
 * are kept are kept as long as they now say. Those that need a restart (setting_entry()) are left as they
 * are.
 */
void station_configure(struct station *st, const struct settings *settings);
const struct settings *station_settings(const struct station *st); /* in force, never NULL */
struct config *station_config(const struct station *st);	   /* NULL: none was given */
/*
 * Begins to watch the ports; after subscribing, so that nothing is missed. slot_added() and device_added()
 * for what is there come before it returns; then station_probing() is false. 0 or negative errno with *why.
 */
int station_start(struct station *st, struct failure *why);
/*
 * Ends the station: jobs that still run are dropped as by a crash (the next start reports them as
 * Interrupted). Normal is station_drain() and then idle(). Waits for files that are being written, at most
 * two seconds. NULL is fine.
 */
void station_free(struct station *st);

/* ---- events -------------------------------------------------------------------------------------- */

/* Any member may be NULL. Never called from within a call that asks for work; handlers may call the station.
 */
struct station_events {
	void (*station_changed)(void *user); /* draining, counts, configuration */
	void (*history_changed)(void *user); /* what station_history() shows, but for the number of jobs */
	void (*config_reading)(void *user);  /* the files are being read anew: config_read() follows */
	void (*config_read)(void *user,
			    const struct failure *why); /* NULL: in force; else all is as before */
	void (*idle)(void *user); /* draining and nothing runs any more, every file is written; once */
	void (*slot_added)(void *user, struct slot *slot);
	void (*slot_changed)(void *user, struct slot *slot);
	void (*device_added)(void *user, struct device *device);
	void (*device_changed)(void *user, struct device *device);
	void (*device_removed)(void *user, struct device *device); /* still readable in this call */
	void (*image_added)(void *user, struct image *image);
	void (*image_changed)(void *user, struct image *image);
	void (*image_removed)(void *user, struct image *image); /* still readable in this call */
	void (*job_added)(void *user, struct job *job);
	void (*job_changed)(void *user, struct job *job); /* what job_view() shows */
	void (*job_progress)(void *user,
			     struct job *job); /* what job_progress() shows; up to thousands a second */
	void (*job_finished)(void *user,
			     struct job *job); /* after the job_changed() with its end; result is durable */
	void (*job_removed)(void *user, struct job *job); /* still readable in this call */
};
/* events must outlive the station. 0 or -ENOMEM. In the order of subscribing. */
int station_subscribe(struct station *st, const struct station_events *events, void *user);
/* No event reaches user any more. */
void station_unsubscribe(struct station *st, const struct station_events *events, void *user);

/* ---- the whole ------------------------------------------------------------------------------------ */

bool station_probing(const struct station *st); /* true until station_start() has looked at every port */
bool station_draining(const struct station *st);
/* A job has not ended, a package is open or being opened, or a file is being written: an end now would be
 * noticed. */
bool station_busy(const struct station *st);

struct station_counts {
	uint64_t jobs_accepted, jobs_succeeded, jobs_failed, jobs_skipped, jobs_cancelled,
		jobs_interrupted; /* since start */
	uint64_t devices_arrived;
	uint32_t slots, devices, images;
	uint32_t waiting, queued, running;	    /* jobs */
	uint32_t gated;				    /* jobs that wait to be released */
	uint32_t owed;				    /* jobs whose NV backup is owed */
	uint32_t armed, stopped;		    /* slots; disarmed by the stop line */
	uint64_t usb_memory_used, usb_memory_limit; /* bytes; limit UINT64_MAX: none */
	uint32_t threads_left_behind;
};
void station_counts(const struct station *st, struct station_counts *counts);

/*
 * No new jobs; waiting and queued ones are cancelled, running ones go on to their end. idle() follows when
 * nothing is left. now: running ones are cancelled at their next boundary (the second SIGTERM). Repeatable.
 */
void station_drain(struct station *st, bool now);
/*
 * As long as word is given no further job leaves the queue: "sleep", "shutdown" (static;
 * job_view.queued_for). What runs goes on, waits for phones go on. NULL: jobs begin again.
 */
void station_hold(struct station *st, const char *word);
/*
 * How long it is worth waiting for the jobs that run, usec from now: while the answer that a phone owes is
 * not overdue beyond its deadline, and a while after each sign of life. 0: none runs, or none of them moves
 * any more.
 */
uint64_t station_patience(const struct station *st);

/* ---- slots and devices ------------------------------------------------------------------------------ */

struct slot_view {
	const char *id;		      /* ID_PATH */
	const char *port;	      /* the kernel's name now, "1-4.3"; to show */
	const char *state;	      /* "empty", "ready", "busy", "waiting", "running" */
	struct device *device;	      /* NULL: none */
	struct device *runs;	      /* a phone that runs, not in download mode; NULL: none */
	struct job *job;	      /* that has the slot; NULL: none */
	const char *owed;	      /* number of the job whose backup is owed to a phone of this place */
	uint32_t queued;	      /* jobs behind it */
	const struct slot_book *book; /* label, note, loader, counters */
	const char *armed_why;	      /* armed, a phone is there, and it is not begun with: a word, ... */
	const char *armed_text;	      /* ... and more for people; "" */
	bool suspect;		      /* far more fails here than on the others: cable, port, hub */
};
void slot_view(const struct slot *slot, struct slot_view *view);
/* By ID_PATH, by its label, or by the kernel's name of the place: where a phone is or was. NULL: none. */
struct slot *station_slot(const struct station *st, const char *name);
/*
 * The same, and by either name a port of this machine that never had a phone: it is a slot from then on.
 * There are no more of those than hubs have ports. NULL: no such port. Reads a few files of sysfs.
 */
struct slot *station_slot_named(struct station *st, const char *name);
/*
 * A new label ("": none), note, or pair of the loader store for phones there; NULL: as it is. InvalidArgs:
 * too long, or another place is called so; NoLoader, LoaderAmbiguous: not one of the store.
 */
int slot_set(struct slot *slot, const char *label, const char *note, const char *loader, struct failure *why);
/*
 * From now on these slots begin by rule with each phone that comes; count 0: all slots for which there may be
 * a rule. Stays over restarts. All of them or none: NoRule, NoSuchImage (the rule's), InvalidArgs (rule),
 * Draining.
 */
struct arm_request {
	const char *rule; /* no other one; NULL or "": any */
	bool present;	  /* and with the phones that are there already */
};
int station_arm(struct station *st, struct slot *const *slots, uint32_t count,
		const struct arm_request *request, struct failure *why);
/* No more; jobs that run go on. count 0: all. */
void station_disarm(struct station *st, struct slot *const *slots, uint32_t count);
/* What people bind to phones. NULL: as it is, "": none; at most 63 bytes on one line. */
struct bind_request {
	const char *work_order, *operator, * serial;
	bool run; /* to all phones from now on, rather than to the next one; a serial number cannot be */
};
/* To the phones of a slot. The next one is the next that a job gets; what it was is given back if that comes
 * to nothing. InvalidArgs. */
int slot_bind(struct slot *slot, const struct bind_request *request, struct failure *why);
void slot_reset(struct slot *slot); /* counters begin again */
/* Label, note and counters go; without a phone the place is gone too when the service starts next. */
void slot_forget(struct slot *slot);
typedef void (*station_done_fn)(void *user, const struct failure *why); /* NULL: it is done */
/*
 * Whether all that was said of these slots until now (armed, bound, named) is on the disk; count 0: of all.
 * 0: it is; 1: done() is called once, never from within, when it is (NULL), or with StoreFailed: it is in
 * force, and gone when the service ends. Negative errno with *why: the same, known at once.
 */
int slots_stored(struct station *st, struct slot *const *slots, uint32_t count, station_done_fn done,
		 void *user, struct failure *why);
/* Walks all: NULL for the first, NULL at the end. The same for the others below, by rising number. */
struct slot *station_next_slot(const struct station *st, const struct slot *after);

struct device_view {
	uint64_t number;
	struct slot *slot;
	uint16_t vendor, product, bcd_device;
	uint64_t arrived_at;
	bool present;		      /* false while a job waits for its announced return */
	bool arrival_seen;	      /* false: it was there before the daemon */
	uint8_t bus, address;	      /* the kernel's numbers now; to show */
	const char *stage;	      /* "unknown", "rom", "fdl1", "fdl2", "running" */
	bool running;		      /* it is not in download mode */
	const char *unit;	      /* first 8 hex digits of its identity, once a job has read it */
	uint64_t first_transfer_usec; /* udev event to first transfer of the latest job */
	uint64_t
		kept_until_at; /* a loader is kept running there for the next command; 0: no, or a job runs */
};
void device_view(const struct device *device, struct device_view *view);
struct device *station_device(const struct station *st, uint64_t number);
struct device *station_next_device(const struct station *st, const struct device *after);

/* ---- images ------------------------------------------------------------------------------------------ */

struct station_caller {
	uint32_t uid;
	char name[64]; /* of the client, for texts: unique bus name, "" = the daemon itself */
};

struct image_options {
	const char *name; /* file name to show; NULL or "": none */
	bool accept_bad_crc;
	/* station_import_image() only: */
	const char *loader; /* a pair of the loader store, in place of the package's own; NULL or "": none */
	bool force_loaders; /* also of another family than the package */
};

typedef void (*station_image_fn)(void *user, struct image *image, const struct failure *why);
/*
 * Takes fd (on success and on failure): a regular file, read-only, not O_PATH, else InvalidImage. 0: done()
 * is called once, never from within, with an image (one reference, image_release()) or NULL and why
 * (Package..., PackageReadStalled after 20 s). Negative errno with *why (InvalidImage, Draining,
 * LimitsExceeded, Internal): done() is not called. image_added() comes before done(). The whole-file check
 * goes on behind it.
 */
int station_open_image(struct station *st, int fd, const struct image_options *options,
		       const struct station_caller *caller, station_image_fn done, void *user,
		       struct failure *why);
/* One reference for each client. The image is removed with its last client and its last job, in a later turn.
 */
void image_hold(struct image *image);
void image_release(struct image *image);

struct image_view {
	uint64_t number;
	const char *state; /* "checking", "good", "bad" */
	const char *name;
	uint64_t size, bytes_checked; /* bytes */
	const char *product, *firmware;
	const char *digest; /* hex of the SHA-256 of the file; "" until good */
	uint64_t opened_at;
	struct failure failure; /* state bad */
	uint32_t entries, doubts;
	bool stored;	      /* in the store: stays without clients, and over a restart */
	const char *given;    /* name of the pair that took the place of its own loaders; "" its own */
	bool loader;	      /* of the loader store: a pair of loaders and nothing else; see loader_view() */
	uint64_t imported_at; /* 0: not stored */
};
void image_view(const struct image *image, struct image_view *view);
struct image *station_image(const struct station *st, uint64_t number);
struct image *station_next_image(const struct station *st, const struct image *after);

/*
 * Keeps a package: takes fd (on success and on failure) as station_open_image() does, copies it into the
 * state directory and checks all of it; a package out of a zip, xz, zst, gz, bz2 or tar archive likewise.
 * What is there already is not kept twice. caller and options are copied. done() is called once, never from
 * within, with the image (good; of the store, the caller has no reference) or NULL and why (InvalidImage,
 * Package..., QuotaExceeded, StoreFailed, PackageReadStalled, Cancelled by the end of the service).
 * image_added() comes before done(). Negative errno with *why (InvalidImage, InvalidArgs, Draining,
 * LimitsExceeded, Internal): done() is not called.
 */
int station_import_image(struct station *st, int fd, const struct image_options *options,
			 const struct station_caller *caller, station_image_fn done, void *user,
			 struct failure *why);
/*
 * One of the store, by its name, its digest, or the first digits of that (at least 8). The caller has no
 * reference. NULL with *why: NoSuchImage (none, or several), or what is wrong with the only one.
 */
struct image *station_stored_image(struct station *st, const char *name_or_digest, struct failure *why);

/* ---- loaders ----------------------------------------------------------------------------------------- */

/*
 * A pair of loaders in the loader store is an image like those of the image store, a package made here that
 * holds the loaders and nothing else. It is announced, removed and held as any image.
 */
struct loader_view {
	const char *family, *chips; /* "sharkl3", "SC9863A, SC8581A"; "" cannot be told */
	const char *sure;	    /* of the family: "unknown", "fair", "good", "very good" */
	uint32_t parts;		    /* 2; 1 for chips with one loader; 0: it is bad */
	struct {
		uint64_t address, size; /* bytes */
		const char *digest;	/* SHA-256, hex */
		const char *version;	/* as the loader says it; "" it does not */
	} part[2];
	const char *origin, *origin_digest; /* the package it was taken from; "" it came as files */
	bool forced;			    /* though its parts are of two families, or linked elsewhere */
};
void loader_view(const struct image *image, struct loader_view *view); /* of an image with view.loader */

/* Loaders to be kept. Descriptors as with station_open_image(). */
struct loader_source {
	uint32_t parts; /* 0: part[0].fd is a package, or an archive with one in it; 1, 2: so many loaders */
	struct {
		int fd;
		uint64_t address; /* where the loader goes */
	} part[2];
	const char *origin; /* name of the package, to be remembered; NULL none */
	bool force;	    /* take parts of two families, or linked elsewhere */
};
/*
 * Keeps the loaders of a package, which is checked whole, or those in files. Takes the descriptors, also on
 * failure. Answers and fails as station_import_image(); besides PackageNoLoader, LoaderMismatch.
 */
int station_import_loader(struct station *st, const struct loader_source *source,
			  const struct image_options *options, const struct station_caller *caller,
			  station_image_fn done, void *user, struct failure *why);

/*
 * The pair for a job: the one that is named, else the one the slot has, else the only one of the store.
 * named: as with station_stored_image(), "" or NULL: none. slot NULL: none is known yet. The caller has no
 * reference. 0 with *image; or NoLoader, LoaderAmbiguous, what is wrong with the one that was named.
 */
int station_loader(struct station *st, const struct slot *slot, const char *named, struct image **image,
		   struct failure *why);

/*
 * Takes an image out of the store. 0: done() is called once, never from within; image_removed() comes before
 * it. Negative errno with *why (NoSuchImage: not stored; ImageInUse), done() is not called.
 */
int station_remove_image(struct image *image, station_done_fn done, void *user, struct failure *why);
/*
 * Reads all of a stored image again and compares it with what was checked; the view's bytes_checked moves. 0:
 * done() is called once, never from within; with why (PackageChanged, PackageReadFailed,
 * PackageReadStalled, Cancelled) the image is bad from then on, but for Cancelled. Negative errno with *why
 * (NoSuchImage: not stored; ImageInUse: it is being verified or removed; Internal): done() is not called.
 */
int station_verify_image(struct image *image, station_done_fn done, void *user, struct failure *why);

/* What the stores are doing now, the latest first; false past the end. */
struct chore_view {
	const char *kind;     /* "import", "verify", "remove" */
	const char *name;     /* of the package; of an import as it was asked for */
	uint64_t done, total; /* bytes copied, read and checked; total 0: not known yet */
};
bool station_chore(const struct station *st, uint32_t index, struct chore_view *view);

/* One entry of the package in flash order; index < view.entries. */
struct image_entry {
	const char *id, *type, *partition, *file; /* partition: name or address */
	uint64_t size;				  /* bytes of the payload */
	bool ticked;				  /* to be flashed, as the package says */
};
bool image_entry(const struct image *image, uint32_t index, struct image_entry *entry);
/* Doubt number index, or "" . */
const char *image_doubt(const struct image *image, uint32_t index, const char **entry);

/* ---- jobs ------------------------------------------------------------------------------------------- */

/* As the options of Slot.Flash. Zeroed: all defaults. Strings NULL or "": default; unknown words are
 * InvalidArgs. */
struct job_options {
	const char *const *entries, *const *without; /* NULL-terminated; NULL: none */
	const char *repartition;		     /* "on-mismatch", "package", "always", "never" */
	const char *level;			     /* "acknowledged", "verified", "sampled" */
	uint32_t sample;     /* level sampled: one of so many phones of the slot is verified; 0: ten */
	const char *end;     /* "reset", "power-off", "stay" */
	const char *nv;	     /* "keep", "keep-if-any", "package" */
	const char *nv_from; /* job number of an owed backup */
	bool erase_all, nv_not_this_phone, without_backup, force_loaders, raw;
	bool i_know; /* of single work: also what is this phone's own */
	bool as_is;  /* of writes: bytes and nothing else, neither sparse nor signed; NV stays NV */
};

/* One area to be read into a descriptor. */
struct job_read {
	const char *target; /* name of a partition; or "0x80000003": a flash address, or a number that stands
			       for one */
	uint64_t offset;    /* first byte of it */
	uint64_t size;	    /* bytes; 0: to its end; JOB_READ_AUTO: as its signed header (DHTB) tells */
	int fd;		    /* a file, a pipe or a socket, open for writing */
};
#define JOB_READS_MAX 64
#define JOB_READ_AUTO UINT64_MAX

/* One area to be erased. */
struct job_erase {
	const char *target; /* as in job_read */
	uint64_t size;	    /* bytes from an address on; of a partition 0, the whole */
};
#define JOB_ERASES_MAX 64

/* One file to be written. */
struct job_write {
	const char *target; /* as in job_read */
	int fd;		    /* all of this file, open for reading only; -1 once it was taken */
	const char *name;   /* of the file, to show; "" or NULL: none */
};
#define JOB_WRITES_MAX 64

struct job_request {
	struct image *image; /* NULL, of a read: */
	/*
	 * A pair of the store or else a stored package, by name or digest: whose loaders start the phone.
	 * NULL or
	 * "": of a flash, the package's own, and if it has none as station_loader() chooses; of a read, what
	 * runs on the phone already, else as station_loader() chooses.
	 */
	const char *loader;
	struct image *lender; /* of a flash, instead of a name: the image itself; NULL */
	struct job_options options;
	struct station_caller caller;
	struct slot *slot;	   /* the place; or NULL and: */
	struct slot *const *slots; /* the next phone on one of these; slot_count 0: on any */
	uint32_t slot_count;
	bool expect_device_given;
	uint64_t expect_device;	 /* DeviceChanged unless this is in the slot */
	const struct rule *rule; /* that asks for it, and its set; NULL: caller does */
	struct rules *rules;
	const char *note;   /* for its result; NULL: none */
	uint64_t gate_usec; /* it waits to be released, so long at most, before the phone hears a byte; 0: not
			     */
	bool dry_run;	    /* load, learn, resolve, reset; nothing is written */
	/* station_read() only: */
	const struct job_read *reads;
	uint32_t read_count;
	/* station_erase() only: one of these, or options.erase_all */
	const struct job_erase *erases;
	uint32_t erase_count;
	bool user_data;
	/* station_write() only: */
	struct job_write *writes;
	uint32_t write_count;
	bool wait_given;
	uint64_t wait_usec; /* for a phone to come: 0 = not at all; without wait_given 600 s */
};

typedef void (*station_job_fn)(void *user, struct job *job, const struct failure *why);
/*
 * Asks for a job. Copies all of request; holds the image. 0: done() is called once, never from within, with
 * the job (already announced) or NULL and why (a plan that cannot be made: InvalidArgs, Package...,
 * ImageTooLarge, ...; StoreFailed). Negative errno with *why, done() not called: InvalidArgs, SlotEmpty,
 * DeviceChanged, Draining, LimitsExceeded, Internal. A slot that has a job already takes more: first come,
 * first served; who does not want to wait at all (wait_usec 0) gets SlotBusy instead, here or as the job's
 * end.
 */
int station_flash(struct station *st, const struct job_request *request, station_job_fn done, void *user,
		  struct failure *why);
/*
 * Asks for areas of the phone in request->slot, which is not NULL: of the image only the loaders are used,
 * and none of them where a loader of an earlier job still runs. Takes the descriptors, on success and on
 * failure. Of the options `end` (default: stay) and `force_loaders` count. The phone is not changed. As
 * station_flash(); besides InvalidArgs (a descriptor, an area), NoLoader, LoaderAmbiguous, LoaderMismatch.
 */
int station_read(struct station *st, const struct job_request *request, station_job_fn done, void *user,
		 struct failure *why);
/*
 * Asks for the partition table of the phone in request->slot, as station_read() does without areas: the job
 * (kind "table") has it in job_table() when it has succeeded.
 */
int station_read_table(struct station *st, const struct job_request *request, station_job_fn done, void *user,
		       struct failure *why);
/*
 * Erases areas of the phone in request->slot, which is not NULL; or everything on it; or has it delete its
 * user data by itself at its next start, as a factory reset does (a mark in misc). What is this phone's own
 * is refused with PartitionUnique unless options.i_know was said, and then kept durably first. As
 * station_read(), but that what is erased is looked at afterwards unless another level was asked for; besides
 * what a plan may say.
 */
int station_erase(struct station *st, const struct job_request *request, station_job_fn done, void *user,
		  struct failure *why);
/*
 * Gives the phone in request->slot another partition table: that of the file fd, XML as made_table_parse()
 * takes it; product: of several in a package's XML, NULL: the only one. Takes fd, on success and on failure.
 * What the phone has of its own is read before and put back; a table without room for it is refused with
 * PartitionUnique unless options.i_know was said. A table that is there already is not written. With
 * request->dry_run the job only tells job_change(). As station_erase(); besides InvalidImage,
 * PackageReadFailed, PackageXml, PackagePartitions, PackageProduct.
 */
int station_repartition(struct station *st, const struct job_request *request, int fd, const char *product,
			station_job_fn done, void *user, struct failure *why);
/* What is to be set of how a phone starts. */
struct job_set_marks {
	const char *start;  /* what is started next: "normal", "recovery", "fastboot"; NULL or "": as it is */
	const char *active; /* the slot that is tried first: "a", "b"; likewise */
	bool verity_given, verity;
	bool mode_given; /* the mode of the first start, by the loader's own command; alone */
	uint32_t mode;	 /* 0 to 255 */
};
/*
 * Sets them: what stands there is read, kept, changed, written back and compared. Of the options `end`
 * (default: stay) and `force_loaders` count. As station_read(); besides InvalidArgs (nothing, or no such
 * value). As the job's error MarkUnusable: what would be changed is not there, or its checksum is wrong.
 */
int station_set_marks(struct station *st, const struct job_request *request, const struct job_set_marks *set,
		      station_job_fn done, void *user, struct failure *why);
/* Reads them: the job (kind "marks") has them in job_marks() when it has succeeded. Nothing is changed. */
int station_read_marks(struct station *st, const struct job_request *request, station_job_fn done, void *user,
		       struct failure *why);
/*
 * Writes files into places of the phone in request->slot, which is not NULL, in their order. Takes the
 * descriptors, on success and on failure. An NV image is merged: what is the phone's own stays. What else is
 * this phone's own is refused with PartitionUnique unless options.i_know was said, and then kept durably
 * first. As station_read(), but that what is written is compared afterwards unless another level was asked
 * for; besides InvalidImage and what the checks of a package and a plan may say.
 */
int station_write(struct station *st, const struct job_request *request, station_job_fn done, void *user,
		  struct failure *why);
/* Restarts the phone of request->slot (power_off: switches it off) out of the loader in which a job has left
 * it. As station_flash(); of the request slot, caller, expect_device and wait count. */
int station_release(struct station *st, const struct job_request *request, bool power_off,
		    station_job_fn done, void *user, struct failure *why);
/* An area of this name holds data that only this one phone has (NV, identity, calibration), or may hold it.
 */
bool station_area_own(const char *target);
/* A flash of it with these options would replace data, other than NV, that only this one phone has. */
bool image_loses_own(const struct image *image, const struct job_options *options);

struct job_view {
	uint64_t number;
	const char *kind;  /* "flash", "dry-run", "read", "table", "marks", "erase", "write", "repartition",
			      "mark", "reset",
			      "power-off"; without a session: "kick", "port-reset", "port-power" */
	const char *state; /* "waiting-for-device", "queued", "running", "succeeded", "failed", "skipped",
			      "cancelled", "interrupted" */
	bool ended;
	const char *stage; /* "waiting-for-device", "queued", "connect" ... "end", "finished" */
	const char *step, *entry;
	const char *queued_for; /* why it is queued: "slot", "usb-memory", "phone" (has to leave first),
				   "sleep", "shutdown" (the machine is about to), "limit" (max-running), "hub"
				   (max-per-hub), "stagger" */
	struct slot *slot;
	struct device *device; /* NULL once it is gone */
	struct image *image;   /* NULL once it is gone */
	const char *image_name;
	const char *loader;	 /* whose loaders start the phone, by name; "" the package's own */
	const char *fdl1, *fdl2; /* their SHA-256 */
	const char *rule;	 /* that has started it; "" somebody has */
	const char *work_order, *operator, * serial_number;
	uint32_t uid;
	uint64_t created_at, started_at, finished_at;
	const char *boundary;	   /* "now", "entry", "bound"; "" after the end */
	uint64_t cancel_wait_usec; /* estimate */
	const char *leaves;	   /* "unchanged", "needs-flash", "complete" */
	bool cancelling;
	uint32_t whole;		/* areas of a read that job_whole() has; 0 after the end */
	struct failure failure; /* error ERR_NONE while it runs and after a success */
	bool old; /* of an earlier run, and reported by it: kept so that its result can still be read */
	const char *unstored; /* why its result is not on the disk, so that the next start finds it without
				 one; "" it is, or the job has not ended */
	uint64_t serial;      /* grows with each job_changed() */
};
void job_view(const struct job *job, struct job_view *view);
struct job *station_job(const struct station *st, uint64_t number);
struct job *station_next_job(const struct station *st, const struct job *after);

struct job_progress {
	uint64_t bytes_done, bytes_total;
	double fraction;   /* 0..1, never falls, 1 only with a success */
	uint64_t rate;	   /* bytes/s over a sliding window; 0 unknown */
	uint64_t eta_usec; /* unknown until five samples */
	uint32_t stage_index, stage_count;
	uint32_t entry_index, entry_count;
	uint64_t silent_usec;	/* the phone is overdue (or a job waits for a phone) since; 0: no */
	uint64_t deadline_usec; /* left of that */
	const char *why;
	bool waiting_for_phone; /* running, and the phone is silent beyond what is usual */
	double check_fraction;	/* of the package's whole-file check, 0..1 */
	uint64_t serial;	/* grows with each job_progress() */
};
void job_progress(const struct job *job, struct job_progress *progress);

struct job_result {
	const char *result; /* as job_view.state; "" until the end */
	const char *level;  /* "acknowledged", "verified", "" */
	const char
		*sample; /* of level sampled: "taken" (this phone), "left" (not this one); "" another level */
	const char *leaves;
	const char *nv; /* "kept", "returned" (out of a backup that was owed), "blank", "package", "none",
			   "owed" (not back in the phone), "" */
	bool nv_owed;	/* the backup of this job is owed now; a later job may settle it */
	const char *last_confirmed;	   /* of an interrupted job: text of the last confirmed entry */
	const char *unit;		   /* canonical identity, "" unknown: not for logs */
	const char *storage, *rom_version; /* as far as told */
	uint64_t bytes_sent, bytes_compared, bytes_read, duration_usec;
	uint32_t notes, entries;
};
void job_result(const struct job *job, struct job_result *result);
/* The table that a job has read; kept as long as the job is. */
struct job_table {
	const char *source; /* "gpt", "list", "probed"; "none": the phone tells of none; "": not read */
	uint32_t sector;    /* bytes, 0 unknown */
	uint64_t user_size; /* bytes of the user area, 0 unknown */
	uint32_t count;
};
struct job_partition {
	const char *name;
	uint64_t start, size; /* bytes; start 0 where the source does not tell; size UINT64_MAX: not known */
};
void job_table(const struct job *job, struct job_table *table);
bool job_partition(const struct job *job, uint32_t index, struct job_partition *partition);

/* What a job does to the phone's table, one row of both after the other; false past the end. */
struct job_change {
	const char *name;
	const char *change;  /* "same", "resized", "moved", "new", "gone" */
	const char *content; /* "stays", "cut", "kept" (read before, put back), "saved" (read before), "lost",
				"empty", "unsure" */
	uint64_t was, will;  /* bytes; 0: not there; UINT64_MAX: the rest */
	bool own;	     /* it holds what is this phone's own */
};
bool job_change(const struct job *job, uint32_t index, struct job_change *change);

/* Of a job that has shown them: how the phone starts. */
struct job_mark_slot {
	uint32_t priority, tries; /* 0 to 15; 0 to 7 */
	bool successful, corrupted;
};
struct job_marks {
	bool told; /* false: this job has read none */
	const char
		*start; /* "normal", "recovery", "fastboot", "factory-reset", "other"; "": no place for it */
	const char *command, *arguments; /* as they stand there */
	const char *slots;		 /* "none", "valid", "damaged": its checksum is wrong */
	const char *active, *started;	 /* "a", "b": tried first, started last; "": none, not told */
	struct job_mark_slot slot[2];	 /* of valid ones */
	struct {
		const char *partition;
		bool on;
	} verity[3];
	uint32_t verity_count;
	int mode; /* of the first start, 0 to 255; -1: none is set */
};
void job_marks(const struct job *job, struct job_marks *marks);

const char *job_note(const struct job *job, uint32_t index); /* "" past the end */
struct job_entry {
	const char *entry, *op, *verdict; /* "not-run", "acknowledged", "verified", "failed" */
	uint64_t bytes_sent, bytes_compared, bytes_read;
	const char *sha256; /* of what was read; "" none */
	const char *note;
};
bool job_entry(const struct job *job, uint32_t index, struct job_entry *entry);
/* While a read runs: its areas that are with the caller already, synced, in their order. */
bool job_whole(const struct job *job, uint32_t index, struct job_entry *entry);

/* The plan: as compiled, or once resolved true as decided with the phone. Lines are lent as in a view; ""
 * past the end. */
bool job_plan_resolved(const struct job *job);
const char *job_plan_step(const struct job *job, uint32_t index);
const char *job_plan_doubt(const struct job *job, uint32_t index);

/*
 * Recorded and answered at once; asked again without force it changes nothing. force: drop the link now,
 * whatever it costs the phone. NotCancelable: it has ended. 0 or negative errno.
 */
int job_cancel(struct job *job, bool force, const struct station_caller *caller, struct failure *why);

/*
 * Lets a job begin that waits to be released; binds to its phone, and takes another image of the store if one
 * is given. 0: done at once; 1: done() is called once, never from within, with why (what Flash says of a
 * plan) or NULL. Negative errno with *why (InvalidArgs: it does not wait so; Internal).
 */
int job_release(struct job *job, const struct bind_request *request, struct image *image,
		station_done_fn done, void *user, struct failure *why);
/* Ends it with ReleaseRefused. InvalidArgs: it does not wait so. */
int job_refuse(struct job *job, const char *reason, struct failure *why);

/* The flight recorder's text of a job, read from its files on a worker. text is lent for the call; "" if none
 * was kept. */
typedef void (*station_text_fn)(void *user, const char *text, const struct failure *why);
int job_trace(struct job *job, station_text_fn done, void *user, struct failure *why);

/* ---- history ------------------------------------------------------------------------------------------ */

struct history_view {
	const char *state;	       /* "starting", "ready", "failed" */
	const struct failure *failure; /* state failed: HistoryUnusable; lent */
	uint64_t jobs;		       /* in it */
	uint32_t rebuilt;	       /* how often a damaged database was replaced since the start */
	const char *damage;	       /* what was wrong with the last one; "" none */
};
void station_history(const struct station *st, struct history_view *view);
/* False: what ends now is not in the history until it can be written again. For whoever starts jobs unasked.
 */
bool station_history_ok(const struct station *st);

#define HISTORY_LINES_MAX 10000u     /* of one answer */
#define HISTORY_BYTES_MAX (16 << 20) /* about; of one answer */

/* "" or NULL: any. Copied. */
struct history_filter {
	const char *slot;
	const char *unit;   /* the first hexadecimal digits; without full at most 8 of them count */
	const char *result; /* "succeeded", ... */
	const char *error;  /* as the error table names it */
	const char *image;  /* its name, or the first 8 and more digits of its digest */
	const char *rule, *serial, *work_order; /* as in its record */
	uint64_t since, until; /* when it ended, usec since 1970; since counts, until does not. 0: any */
	uint64_t before;       /* only jobs of a lower number: to go on. 0: all */
	uint64_t limit;	       /* lines; 0: as many as go into one answer */
	bool full;	       /* identities in full */
	bool steps;	       /* each job with its entries */
};

/* An answer. fd: a sealed anonymous file of JSON lines, lent for the call; -1: the answer has none. */
struct station_sheet {
	int fd;
	uint64_t more;	      /* ask again with before = this; 0: that was all */
	uint64_t jobs;	      /* compared, or in the history now */
	uint64_t differences; /* lines of a comparison */
	uint64_t bytes;	      /* exported */
};
typedef void (*station_sheet_fn)(void *user, const struct station_sheet *sheet, const struct failure *why);

/*
 * The following answer once through done(), never from within: a sheet, or NULL and why. Negative errno with
 * *why: done() is not called (LimitsExceeded, Internal).
 *
 * The jobs that ended, latest first. HistoryUnusable.
 */
int station_history_select(struct station *st, const struct history_filter *filter, station_sheet_fn done,
			   void *user, struct failure *why);
/* Database against job folders, a line for each difference. HistoryUnusable. One at a time. */
int station_history_verify(struct station *st, station_sheet_fn done, void *user, struct failure *why);
/* The database made anew from the job folders; until that is done the old one stays. HistoryUnusable. */
int station_history_rebuild(struct station *st, station_sheet_fn done, void *user, struct failure *why);

/* NV backups: those owed first, oldest first, then the others, latest first. Of the filter slot, unit, limit
 * and full count. */
int station_backups(struct station *st, const struct history_filter *filter, station_sheet_fn done,
		    void *user, struct failure *why);
/*
 * Copies a backup's file into fd, which is taken (on success and failure): a regular file, empty, open for
 * writing, else InvalidArgs. NoSuchBackup, StoreFailed (which of the two disks: in the detail).
 */
int station_backup_export(struct station *st, uint64_t job, const char *name, int fd, station_sheet_fn done,
			  void *user, struct failure *why);
/* Where the phone of that job was or is, as far as it is known without looking into files; "" unknown. */
const char *station_backup_slot(const struct station *st, uint64_t job);

#endif
