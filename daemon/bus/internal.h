/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of this room share. One file for each interface (manager, slot, device, job, progress,
 * image) with its vtable, its property table and its methods; object.c keeps the records of what is shown,
 * client.c who asks, action.c who may, demand.c what a call asks for, polkit.c asks it, work.c the calls that
 * answer later.
 */
#ifndef FDLD_BUS_INTERNAL_H
#define FDLD_BUS_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-bus.h>

#include "bus/bus.h"
#include "bus/link.h"
#include "common/error.h"
#include "common/names.h"
#include "common/rules.h"
#include "loop/loop.h"
#include "station/port.h"
#include "station/station.h"

#define BUS_PROPS_MAX	       40
#define BUS_PROGRESS_USEC      250000u /* between two signals of one job's progress */

#define BUS_CLIENTS_MAX	       256u /* known callers; each costs a match rule */
#define BUS_CLIENT_ASKED_MAX   16u  /* calls of a caller that wait until we know who it is */
#define BUS_CLIENT_IMAGES_MAX  32u
#define BUS_CLIENT_WAITS_MAX   64u
#define BUS_CLIENT_WORK_MAX    32u /* calls of a caller that are being worked on */
#define BUS_CLIENT_ASKS_MAX    8u  /* calls of a caller that polkit is being asked about */
#define BUS_ASKS_MAX	       64u
#define BUS_CLIENT_ERRANDS_MAX 4u /* questions of a caller that the disk is being asked */
#define BUS_USER_ERRANDS_MAX   12u
#define BUS_JOB_WAITS_MAX      128u
/*
 * And over all connections of one user, so that one user's connections cannot take what there is from the
 * others: settings.user_... Not for root and our own user.
 */

/* ---- properties: one table gives the getter and finds what has changed ------------ */

struct bus_prop {
	const char *name;
	char type;	 /* s o: const char *; t, u, q, b, d. a: append(), and the uint64_t tells a change */
	uint16_t offset; /* in the values of the class */
	bool quiet;	 /* no change signal */
	int (*append)(struct bus *bus, void *handle, sd_bus_message *m);
};

#define BUS_VALUES_SIZE 512

struct bus_class {
	const char *interface;
	const struct bus_prop *props;
	unsigned int prop_count;
	/* Fills the values (at most BUS_VALUES_SIZE bytes) of one object. Never blocks, never fails. */
	void (*fill)(struct bus *bus, void *handle, void *values);
	const sd_bus_vtable *vtable;
};

extern const struct bus_class bus_class_manager, bus_class_slot, bus_class_device, bus_class_job,
	bus_class_progress, bus_class_image, bus_class_loader;

/* The getter of every property; the user data is the struct object. */
int bus_get(sd_bus *conn, const char *path, const char *interface, const char *property, sd_bus_message *m,
	    void *object, sd_bus_error *error);

/* ---- what is shown (object.c) ----------------------------------------------------- */

enum bus_kind { KIND_MANAGER, KIND_SLOT, KIND_DEVICE, KIND_JOB, KIND_IMAGE, KIND_LOADER, KIND_COUNT };

struct wait {
	struct wait *next;
	sd_bus_message *call;
	struct client *client;
};

struct object {
	struct object *next, *hash_next;
	struct bus *bus;
	enum bus_kind kind;
	void *handle; /* of the station; the bus itself for the manager */
	char *path;
	bool dirty;			  /* is in bus->dirty_count */
	bool progress_dirty;		  /* jobs */
	bool progress_now;		  /* jobs: not to be held back */
	uint64_t progress_usec;		  /* jobs: when the last one was sent */
	uint64_t stage_hash;		  /* jobs: stage and state at the last progress sent */
	uint64_t shown[2][BUS_PROPS_MAX]; /* hash of each property as last shown: [1] is progress */
	uint32_t uid;			  /* images: who opened it */
	struct wait *waits;		  /* jobs */
	unsigned int wait_count;
};

/* Records it, then announces it. The path is the number's (or the slot's Id, encoded). 0 or -ENOMEM. */
int object_add(struct bus *bus, enum bus_kind kind, void *handle, const char *path);
/* Announces that it goes, then forgets it. */
void object_remove(struct bus *bus, const void *handle);
struct object *object_of(const struct bus *bus, const void *handle); /* NULL: not shown */
const char *object_path(const struct bus *bus, const void *handle);  /* "/": none */
struct object *object_find(const struct bus *bus, const char *path); /* NULL: there is none */
void *object_handle(const struct bus *bus, enum bus_kind kind, const char *path);
void object_touch(struct bus *bus, const void *handle);
void object_touch_progress(struct bus *bus, const void *handle);
/* Emits what has changed since it was last shown: once a turn. */
void object_flush(struct bus *bus);
int object_attach(struct bus *bus, sd_bus *conn); /* vtables, enumerators, ObjectManager */
void object_free_all(struct bus *bus);

/* ---- callers (client.c) ----------------------------------------------------------- */

struct client {
	struct client *next;
	struct bus *bus;
	char *name; /* unique */
	bool known; /* uid is */
	uint32_t uid;
	sd_bus_slot *match, *query;
	sd_bus_message *asked[BUS_CLIENT_ASKED_MAX]; /* calls that wait for known */
	unsigned int asked_count;
	struct image *images[BUS_CLIENT_IMAGES_MAX];
	unsigned int image_count, wait_count, work_count, ask_count, errand_count;
	uint64_t used; /* bus->client_clock at its last call */
};

/*
 * The caller of m. 1: *client is known; 0: the bus was asked who it is, and the call comes again by itself;
 * negative errno with *why (LimitsExceeded, Internal).
 */
int client_find(struct bus *bus, sd_bus_message *m, struct client **client, struct failure *why);
void client_caller(const struct client *client, struct station_caller *caller);
/* The image now belongs to this client too (takes the reference on success). -EDQUOT: it has too many. */
int client_take_image(struct client *client, struct image *image);
bool client_drop_image(struct client *client, struct image *image); /* releases; false: it had none */
void client_forget_all(struct bus *bus);
/* Root and our own user: nothing is asked about them, and no user's limit holds. */
bool client_trusted(uint32_t uid);
/* The sum of a member of struct client (an unsigned int, by offsetof) over all connections of its user. */
unsigned int client_sum(const struct client *client, size_t member);
/*
 * A question that the disk has to answer, and its end, whether the caller is still there or not: what is
 * written for the jobs of others stands in the same line. Negative errno with *why (LimitsExceeded).
 */
int client_errand_begin(struct client *client, struct failure *why);
void client_errand_end(struct bus *bus, const char *sender);
/* -EDQUOT with *why: the user has as many jobs (flash), or has opened as many images (!flash), as it may. */
int client_may_begin(const struct client *client, bool flash, struct failure *why);

/* ---- who may (action.c, demand.c, polkit.c) --------------------------------------- */

enum action {
	ACTION_READ,  /* anyone; nothing is kept for the caller */
	ACTION_WATCH, /* anyone; something is kept until it is answered or the caller leaves */
	ACTION_OWN,   /* whose it is; the demand refuses others */
	/* the rest: root, our own user, and whom polkit allows; the ids stand in dbus/org.fdld1.policy */
	ACTION_FLASH,
	ACTION_FLASH_UNPROTECTED,
	ACTION_EXPORT_NV,
	ACTION_IMPORT_IMAGE,
	ACTION_READ_TRACE,
	ACTION_CANCEL,
	ACTION_RELOAD,
	ACTION_DRAIN,
	ACTION_MANAGE_HISTORY,
	ACTION_MANAGE_SLOTS,
	ACTION_REMOVE_IMAGE,
	ACTION_ARM,
	ACTION_READ_PHONE,
	ACTION_CONTROL_PORT,
};

/*
 * What a call asks for. The texts are what polkit's prompt shows and its rules see; "" is left out. Control
 * and direction characters are taken out of what callers say.
 */
struct demand {
	enum action action;
	char slot[256], image[128], operation[160];
};

struct call {
	struct bus *bus;
	sd_bus_message *m;
	struct object *object; /* what the path names */
	struct client *client; /* NULL for plain reads */
	enum action granted;   /* the most that the caller may do with this call */
	sd_bus_error *error;
};

/*
 * Reads the arguments as far as the question needs them; demand->action comes as the method's row says and
 * may be raised, or lowered to ACTION_OWN where the caller needs nobody's leave. 0, or what a handler returns
 * when the arguments are refused.
 */
typedef int (*demand_fn)(struct call *call, struct demand *demand);
int demand_open_image(struct call *call, struct demand *demand);
int demand_flash(struct call *call, struct demand *demand);
int demand_flash_image(struct call *call, struct demand *demand);
int demand_flash_next(struct call *call, struct demand *demand);
int demand_flash_next_image(struct call *call, struct demand *demand);
int demand_cancel(struct call *call, struct demand *demand);
int demand_trace(struct call *call, struct demand *demand);
int demand_unit(struct call *call, struct demand *demand);
int demand_release(struct call *call, struct demand *demand);
int demand_history(struct call *call, struct demand *demand);
int demand_backups(struct call *call, struct demand *demand);
int demand_export(struct call *call, struct demand *demand);
int demand_image(struct call *call, struct demand *demand);
int demand_import_loader(struct call *call, struct demand *demand);
int demand_import_pair(struct call *call, struct demand *demand);
int demand_bind(struct call *call, struct demand *demand);
int demand_go(struct call *call, struct demand *demand);
int demand_arm(struct call *call, struct demand *demand);
int demand_read(struct call *call, struct demand *demand);
int demand_erase(struct call *call, struct demand *demand);
int demand_write(struct call *call, struct demand *demand);
int demand_read_table(struct call *call, struct demand *demand);
int demand_repartition(struct call *call, struct demand *demand);
int demand_marks(struct call *call, struct demand *demand);
int demand_release_phone(struct call *call, struct demand *demand);
int demand_port(struct call *call, struct demand *demand);
int demand_kick(struct call *call, struct demand *demand);
int demand_slot(struct call *call, struct demand *demand);
int demand_whole(struct call *call, struct demand *demand); /* of the service: only options */
void demand_text(char *to, size_t room, const char *from);
/* What a person is shown: the place (NULL: any), and what is done, both cleaned and cut. */
void demand_name_slot(struct demand *demand, const struct slot *slot);
void demand_name_operation(struct demand *demand, const char *word, const char *more);

enum polkit_answer {
	POLKIT_YES,
	POLKIT_NO,
	POLKIT_CHALLENGE, /* a password would do, and nobody could be asked for it */
	POLKIT_FAILED,	  /* polkit is not there or will not answer */
	POLKIT_GONE,	  /* the caller has left, or the connection is over: there is nobody to tell */
};

struct question {
	struct question *next;
	struct bus *bus;
	struct client *client;
	sd_bus_message *call;
	struct demand demand;
	sd_bus_slot *slot; /* of the call to polkit */
	uint32_t number;
	void (*answered)(const struct question *question, enum polkit_answer answer, const char *said);
	void *user;
};
/*
 * Asks whether the caller of that message may. answered() is called once, never from within; said is polkit's
 * error, or "". Negative errno with *why: it was not asked (LimitsExceeded, Internal).
 */
int polkit_ask(struct client *client, sd_bus_message *call, const struct demand *demand,
	       void (*answered)(const struct question *question, enum polkit_answer answer, const char *said),
	       void *user, struct failure *why);
/* Sets error to what the caller is told, and tells the journal. Not for POLKIT_YES and POLKIT_GONE. */
void polkit_refusal(const struct question *question, enum polkit_answer answer, const char *said,
		    sd_bus_error *error);
/* Takes back what is being asked for this client; NULL: all of them. */
void polkit_take_back(struct bus *bus, const struct client *client);

/* The handler of every method of every vtable: finds the method's action, asks who calls, decides, passes on.
 */
int bus_method(sd_bus_message *m, void *object, sd_bus_error *error);

typedef int (*bus_method_fn)(struct call *call);
/* The methods; each replies exactly once, now or later. */
int manager_open_image(struct call *call);
int manager_import_image(struct call *call);
int manager_stored_image(struct call *call);
int manager_import_loader(struct call *call);
int manager_import_loader_pair(struct call *call);
int manager_flash_next(struct call *call);
int manager_flash_next_image(struct call *call);
int manager_arm(struct call *call);
int manager_disarm(struct call *call);
int manager_get_slot(struct call *call);
int manager_get_job(struct call *call);
int manager_drain(struct call *call);
int manager_get_settings(struct call *call);
int manager_reload(struct call *call);
int manager_get_rules(struct call *call);
int manager_explain_rules(struct call *call);
int manager_history(struct call *call);
int manager_history_text(struct call *call);
int manager_history_verify(struct call *call);
int manager_history_rebuild(struct call *call);
int manager_backups(struct call *call);
int manager_backups_text(struct call *call);
int manager_export_backup(struct call *call);
int slot_flash(struct call *call);
int slot_flash_image(struct call *call);
int slot_read(struct call *call);
int slot_erase(struct call *call);
int slot_write(struct call *call);
int slot_read_table(struct call *call);
int slot_repartition(struct call *call);
int slot_set_marks(struct call *call);
int slot_read_marks(struct call *call);
int slot_reset_phone(struct call *call);
int slot_call_bind(struct call *call);
int slot_call_kick(struct call *call);
int slot_reset_port(struct call *call);
int slot_port_power(struct call *call);
int slot_configure(struct call *call);
int slot_reset_counters(struct call *call);
int slot_call_forget(struct call *call);
int job_call_cancel(struct call *call);
int job_call_release(struct call *call);
int job_call_refuse(struct call *call);
int job_call_wait(struct call *call);
int job_call_trace(struct call *call);
int job_call_unit(struct call *call);
int job_call_plan(struct call *call);
int image_call_release(struct call *call);
int image_call_remove(struct call *call);
int image_call_verify(struct call *call);
int loader_call_remove(struct call *call);

/* ---- options (options.c) ---------------------------------------------------------- */

#define OPTION_FLASH   1u    /* of every flash */
#define OPTION_IMAGE   2u    /* of a file */
#define OPTION_EXPECT  4u    /* of one slot */
#define OPTION_FORCE   8u    /* of Cancel */
#define OPTION_IMPORT  256u  /* of a package to be kept */
#define OPTION_LOADER  16u   /* of loaders to be kept */
#define OPTION_READ    32u   /* of a read */
#define OPTION_RELEASE 64u   /* of Slot.Reset */
#define OPTION_PLACE   1024u /* which jobs: of a slot, of a phone */
#define OPTION_HISTORY 2048u /* which jobs otherwise */
#define OPTION_LABEL   4096u /* of Slot.Configure */

#define OPTION_PORT    536870912u /* of Slot.PortPower */
#define OPTION_KICK    268435456u /* of Slot.Kick */
#define OPTION_FACTS   8192u	  /* of ExplainRules: a phone as if */
#define OPTION_BIND    32768u	  /* of Slot.Bind and Job.Release */
#define OPTION_RUN     65536u	  /* of Slot.Bind */
#define OPTION_TAKE    131072u	  /* of Job.Release */
#define OPTION_ARM     16384u	  /* of Manager.Arm */
#define OPTION_SINGLE  262144u	  /* of what changes single things */
#define OPTION_ERASE   524288u	  /* of Slot.Erase */
#define OPTION_MARKS   1048576u	  /* of Slot.SetMarks */
#define OPTION_WRITE   2097152u	  /* of Slot.Write */
#define OPTION_TABLE   4194304u	  /* of Slot.Repartition */

struct options {
	struct job_options job;
	struct image_options image;
	struct history_filter history;
	struct rule_facts facts;	 /* the message's; NULL: not given */
	const char **entries, **without; /* owned; the strings are the message's */
	bool expect_given, dry_run, wait_given, force;
	uint64_t expect_device, wait_usec;
	bool force_pair;    /* of loaders to be kept */
	const char *origin; /* likewise; the message's */
	struct arm_request arm;
	struct bind_request bind;
	const char *take;		   /* image of the store; NULL: not given; the message's */
	const char *label, *note, *loader; /* NULL: not given; the message's */
	bool power_off, user_data;
	const char *kick; /* NULL: not given; the message's */
	struct kick_request kicks;
	struct job_set_marks marks; /* texts are the message's */
	uint64_t off_usec;
	const char *product; /* NULL: not given; the message's */
};
/*
 * Reads the a{sv} that comes next. Unknown, repeated, wrongly typed, or not among the allowed groups:
 * InvalidArgs naming the key. The strings belong to m. options_free() in every case.
 */
int options_read(struct bus *bus, sd_bus_message *m, unsigned int allowed, struct options *options,
		 struct failure *why);
void options_free(struct options *options);
/* They ask for more than the action flash allows; text: those that do, each with a space in front. */
bool options_unprotected(const struct options *options, char *text, size_t room);

/* ---- answers (reply.c) ------------------------------------------------------------ */

int reply_map_errors(void);
/* For a handler: sets *error from why; returns what the handler returns. */
int reply_failure(sd_bus_error *error, const struct failure *why);
/* For an answer that comes later. m stays the caller's. */
void reply_failure_to(sd_bus_message *m, const struct failure *why);
/* Appends the a{sv} of a failure as Job.ErrorDetails describes it; empty for ERR_NONE. */
int reply_details(sd_bus_message *m, const struct failure *why);
const char *reply_error_name(const struct failure *why); /* "" for none */
/*
 * Appends a string of anybody's: names and texts of callers, packages and phones may hold, or be cut to, what
 * no message takes; such bytes become '?'. One string that is refused would take every reply with it in which
 * it stands.
 */
int reply_text(sd_bus_message *m, const char *text);
void reply_text_to(sd_bus_message *call, const char *text); /* the whole answer */
int reply_entry(sd_bus_message *m, const char *key, char type,
		const void *value); /* {sv}; s: const char *,
				       else pointer to the value */
int reply_strings(sd_bus_message *m, const char *key, const char *(*next)(const void *arg, uint32_t index),
		  const void *arg); /* {sv} with as; "" ends */

/* ---- calls that answer later (work.c) --------------------------------------------- */

/* h, then the options, as the allowed groups say: opens the image; with `flash` asks for the job then. */
struct work_place {
	bool flash;
	bool import; /* it is about the store, and nobody will hold an image */
	bool loader; /* with import: of loaders; source then has the descriptors, taken over */
	struct loader_source source;
	bool read;    /* without a package: areas, which are taken over with their descriptors */
	bool table;   /* with read: the table, no areas */
	bool release; /* the same: only ends what runs on the phone */
	struct job_read *reads;
	uint32_t read_count;
	/*
	 * With read: instead of a read, whatever this asks the station for; what it needs besides is taken
	 * over and freed by release().
	 */
	int (*start)(struct station *st, struct job_request *request, const struct options *options,
		     void *extra, station_job_fn done, void *user, struct failure *why);
	void *extra;
	void (*drop)(void *extra);
	struct slot *slot;   /* NULL: */
	struct slot **slots; /* taken over; may be NULL with slot_count 0: any */
	uint32_t slot_count;
	bool opens;	     /* work.c: an image is being opened for it */
	struct image *image; /* NULL: the file's; else a reference that is taken over */
	int fd;		     /* taken over; -1 with image */
};
int work_begin(struct call *call, struct work_place *place, unsigned int allowed);
/* Removes the object's image from the store, or reads all of it again, and answers when that is done. */
/* Job.Release: answers when the job may begin. */
int work_release(struct call *call);
/* There is room for one more: of those below, before anything is changed. 0, or LimitsExceeded. */
int work_room(const struct call *call, struct failure *why);
/* Slots (0: all) were changed: answers when that is on the disk, or with StoreFailed. */
int work_slots_stored(struct call *call, struct slot *const *slots, uint32_t count);
int work_on_stored(struct call *call, bool verify);
/* Of this user: jobs asked for and not there yet, or packages being opened. */
unsigned int work_pending(const struct bus *bus, uint32_t uid, bool flash);
/* A duplicate of the descriptor that comes next. */
int work_take_fd(sd_bus_message *m, int *fd, struct failure *why);
/* Nobody is there to be answered any more: this client, or with NULL everybody. */
void work_orphan(struct bus *bus, const struct client *client);
/* The station ends: gives back its images; it may still answer, to nobody. */
void work_let_go(struct bus *bus);
void work_free_all(struct bus *bus); /* after the station */

/* ---- waits (job.c) ---------------------------------------------------------------- */
void job_answer_waits(struct bus *bus, struct object *o);
void job_drop_waits(struct bus *bus, struct object *o, const struct client *client); /* NULL: all */
int job_append_result(struct bus *bus, void *handle, sd_bus_message *m);

/* Of a Result. */
int marks_append(struct job *job, sd_bus_message *m); /* marks.c */
int table_append(struct job *job, sd_bus_message *m); /* table.c */
int port_append(struct job *job, sd_bus_message *m);  /* port.c */

/* ---- questions that a disk answers (history.c) ------------------------------------ */
void history_free_all(struct bus *bus); /* after the station */

struct work;
struct inquiry;

#define OBJECT_BUCKETS 256

struct bus {
	struct loop *loop;
	struct station *station;
	struct link *link;
	const struct bus_events *events;
	void *user;
	bool announced; /* ready() was called */
	sd_bus *conn;	/* from attach to down */
	struct object *objects, **objects_tail, *bucket[OBJECT_BUCKETS];
	unsigned int dirty_count, progress_count;
	struct loop_timer *progress_timer;
	struct client *clients;
	unsigned int client_count;
	uint64_t client_clock;
	struct work *works;
	struct inquiry *inquiries;
	struct question *questions;
	unsigned int question_count;
	uint32_t question_number;
	unsigned int denials,
		denials_untold; /* lines in the journal since denials_usec, and those left out */
	uint64_t denials_usec;
	bool stopped; /* the station is on its way out */
};

#endif
