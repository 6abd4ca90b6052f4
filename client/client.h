/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fdlctl: the thin client. What its files share: options, the connection, the mirror of the daemon's
 * objects, output. One file a verb family; each verb returns an exit code (0, 2 usage, or a row of the error
 * table).
 */
#ifndef FDLD_CLIENT_CLIENT_H
#define FDLD_CLIENT_CLIENT_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <systemd/sd-bus.h>

#include "client/i18n.h"
#include "common/error.h"

#define EXIT_USAGE 2

struct client {
	const char *address; /* bus address, NULL: the system bus */
	const char *host;    /* of that machine, through ssh (remote.c); NULL: of this one */
	bool json;
	bool color;  /* stdout is a terminal that shows colours and the user wants them */
	bool tty;    /* stdout is a terminal */
	bool no_ask; /* never ask for a password */
	pid_t agent; /* that asks for it, 0: none */
	sd_bus *bus;
	json_object *mirror; /* {path: {interface: {property: value}}}, see mirror.c */
	uint64_t changes;    /* counts changes of the mirror */
	bool bus_lost;
	/* whoever follows a job and wants to know of what it has done so far; called as often as anything new
	 * was heard (follow.c) */
	void (*on_news)(void *user);
	void *on_news_user;
	/* remote.c */
	bool in_a_hurry; /* ssh is to ask nothing, and to give up soon */
	bool ssh_missing;
	pid_t ssh;    /* 0: does not run */
	int ssh_said; /* what it wrote to standard error, -1: it was not started */
	int ssh_status;
};

/* ---- connection (bus.c) ---- */

/* Opens the bus once; prints the failure. 0 or an exit code. */
int client_connect(struct client *c);
/* The same without a word; negative errno. */
int client_open(struct client *c);
/*
 * A call that may have to wait for somebody's password: no timeout, and an agent for it on a terminal. reply
 * may be NULL. Negative errno with *error.
 */
int client_ask(struct client *c, sd_bus_message *m, sd_bus_error *error, sd_bus_message **reply);
/*
 * The same for work of the stores (wait.c): kind and name as the bus shows it in StoreWork; says meanwhile
 * how far it has come.
 */
int client_ask_long(struct client *c, sd_bus_message *m, const char *kind, const char *name,
		    sd_bus_error *error, sd_bus_message **reply);
/* Prints a failed call as words (or JSON) and gives its exit code: the row of the error table if the name is
 * ours. */
/* The connection, or whoever was at its end, is gone in the middle of it. */
int client_lost(const struct client *c);
int client_complain_bus(const struct client *c, const sd_bus_error *error, int r);
int client_complain(const struct client *c, const struct failure *why);
/* Says what is wrong with the command line; returns EXIT_USAGE. As JSON once a --json was seen: it is called
 * where there may be no client yet. */
extern bool client_usage_json;
int client_usage(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Waits for the next bus message or until `usec` have passed and applies signals to the mirror. <0: the bus
 * is gone. */
int client_turn(struct client *c, uint64_t usec);
uint64_t client_now(void); /* monotonic, microseconds */

/* ---- passwords (agent.c) ---- */

/* Starts polkit's text agent if one is of use, and waits until it is known; without one: nothing. */
void agent_open(struct client *c);
void agent_close(struct client *c);

/* ---- values (value.c) ---- */

/* Reads the next complete value of a message as JSON: arrays, dictionaries, structs, variants. 64-bit numbers
 * stay exact. */
int value_read(sd_bus_message *m, json_object **out);
/* Reads the a{sv} that comes next into object. */
int value_read_dict(sd_bus_message *m, json_object *object);

/* ---- mirror (mirror.c) ---- */

/* Subscribes, then loads all objects of the daemon. 0 or an exit code. */
int mirror_load(struct client *c);
/* The same picture without a word and without starting the daemon for it; false: there is none to be had. */
bool mirror_peek(struct client *c);
/* And the station's own properties, which no list of objects has; signals then keep them true. */
bool mirror_manager(struct client *c);
/*
 * Subscribes and loads anew after the daemon or the bus was gone, on a connection of its own, the station's
 * properties too, without a word; it waits for a second or two at most. False: not yet; the old picture
 * stays.
 */
bool mirror_again(struct client *c);
json_object *mirror_object(const struct client *c, const char *path); /* borrowed or NULL */
json_object *mirror_props(const struct client *c, const char *path,
			  const char *interface);	    /* borrowed or NULL */
const char *prop_str(json_object *props, const char *name); /* "" if absent */
uint64_t prop_u64(json_object *props, const char *name);
double prop_num(json_object *props, const char *name);
bool prop_bool(json_object *props, const char *name);
/* Paths that have interface, sorted naturally; free() the array (the strings are borrowed). */
const char **mirror_paths(const struct client *c, const char *interface, size_t *count);

/* ---- output (print.c) ---- */

/* Prints one JSON value as a line on stdout; what would steer a terminal stands in it as an escape. */
void print_json(json_object *value);
enum tone { TONE_PLAIN, TONE_GOOD, TONE_BAD, TONE_WARN, TONE_DIM, TONE_BOLD };
/* Text in a tone where the terminal shows colours; a static ring of four buffers. */
const char *tone(const struct client *c, enum tone t, const char *text);
/*
 * What others wrote (names from a package, from the bus, from the command line), fit for a terminal: control
 * characters and bytes that are none of the locale's become "\xNN". The last CLEAN_RING results stay valid.
 */
#define CLEAN_RING 16
const char *clean(const char *text);
/* A property's text for a person: clean(prop_str()). */
const char *prop_text(json_object *props, const char *name);
/* Columns a text takes. */
int text_width(const char *text);
/* The text and blanks up to this width; a static ring of four buffers of 256 bytes. */
const char *padded(const char *text, int width);
/* Wraps a text, cleaned, to the terminal's width (80 elsewhere) behind a prefix, which is ours. */
void print_wrapped(FILE *to, const char *prefix, const char *text);
/* "####------": so many cells and a NUL. */
void print_bar(char *buf, size_t cells, double fraction);
/* As much of the line, in place, as these columns hold: one that wraps would spoil a view. */
const char *print_cut(char *line, int width);
/* format_duration() for what is an estimate. */
const char *duration_words(uint64_t usec, char *buf, size_t size);
/* A text of several lines, each of them cleaned. */
void print_lines(FILE *to, const char *text);

/* ---- errors in the user's language (words.c) ---- */

/* failure_text() in the user's language; returns buf. */
const char *words_failure(const struct failure *why, char *buf, size_t size);
/*
 * What the daemon said of an error, in the user's language: cause by the error's name, place and detail as
 * they came. Of an error that this client does not know: the daemon's own words.
 */
const char *words_remote(enum error_id id, const char *message, char *buf, size_t size);
/* The same from a job's ErrorName and ErrorDetails. */
const char *words_job(const char *error, json_object *details, char *buf, size_t size);
/* What to do, in the user's language; fallback: the daemon's words, for an error not known here. */
const char *words_remedy(enum error_id id, const char *fallback);

/* ---- following jobs (follow.c) ---- */

/*
 * Shows jobs until all have ended: a live view on a terminal, plain lines elsewhere, JSON lines with --json.
 * Ctrl-C asks to cancel and waits if `owner`, the next one detaches. Returns the exit code of the worst
 * result.
 */
int follow_jobs(struct client *c, const char *const *paths, size_t count, bool owner);
/* By its State: succeeded, failed, cancelled, interrupted. */
bool job_ended(json_object *job);
/* What it is about, as a key for prop_str() and prop_text(): its package, else what it does. */
const char *job_about(json_object *job);
/* The end of a job as a person reads it: PASS with its level, or FAIL with cause and remedy. */
void follow_result(const struct client *c, const char *path);

/*
 * What a person is to know of a slot that is armed, or has stopped by itself: "armed", "armed: it has passed
 * here", "stopped: ...". "" for others.
 */
const char *armed_words(json_object *slot, char *buf, size_t size);

/* ---- verbs ---- */

/* One option: for getopt, for the verb's help and for completion. */
struct verb_opt {
	const char *name; /* without the dashes */
	int key;	  /* what verb_next() returns, > 0 */
	const char *arg;  /* name of its value in the help; NULL: takes none */
	const char *help; /* one line of at most VERB_HELP_WIDTH columns */
	bool many;	  /* may be given several times */
};

/* What stands on a verb's command line beside options; for completion. */
enum operand {
	OPERAND_NONE,
	OPERAND_FILE,
	OPERAND_ANY_FILE, /* one, of any kind */
	OPERAND_WRITE,	  /* PARTITION FILE and again */
	OPERAND_JOB,
	OPERAND_RUNNING,
	OPERAND_ERROR,
	OPERAND_HISTORY,
	OPERAND_BACKUP,
	OPERAND_SLOT,
	OPERAND_PLACES, /* one slot or several */
	OPERAND_PORT,
	OPERAND_IMAGE,
	OPERAND_RULES,
	OPERAND_LOADER,
	OPERAND_FOLDER
};

struct verb {
	const char *name, *args;	/* args: as in the usage line; "" for none */
	const char *summary;		/* one line for fdlctl --help */
	const char *about;		/* for fdlctl VERB --help, wrapped where it is printed */
	const char *more;		/* another usage line's arguments, or NULL */
	const struct verb_opt *options; /* ends with {0}; NULL: none of its own */
	enum operand operand;
	const char *const *words; /* that can be the first operand; for completion, NULL: none */
	const char *beside;	  /* the verb on whose line fdlctl --help names it; NULL: a line of its own */
	int (*run)(struct client *c, int argc, char **argv);
};

extern const struct verb verb_list, verb_info, verb_flash, verb_jobs, verb_attach, verb_cancel, verb_monitor,
	verb_slots, verb_slot, verb_top, verb_history, verb_nv, verb_config, verb_errors, verb_image,
	verb_rules, verb_arm, verb_disarm, verb_bind, verb_release, verb_refuse, verb_loader, verb_read,
	verb_partitions, verb_reset, verb_kick, verb_port, verb_read_flash, verb_backup, verb_erase,
	verb_erase_flash, verb_mode, verb_active, verb_verity, verb_repartition, verb_write, verb_write_flash,
	verb_restore;
/* All of them, in the order of the help; NULL ends the list. */
extern const struct verb *const verbs[];
const struct verb *verb_find(const char *name); /* NULL: none */

/*
 * The next option of a verb's command line: besides its own options every verb knows --json and --help.
 * Returns the option's key; -1 at the end; 0 after --json (go on); -2 when the verb is to return *rc at once
 * (help was printed, or the option is unknown).
 */
int verb_next(struct client *c, const struct verb *verb, int argc, char **argv, int *rc);
/* From now on the output is JSON, and English. */
void client_json(struct client *c);

/* ---- help and completion (help.c, complete.c) ---- */

/* Options of fdlctl itself, before the verb. */
extern const struct verb_opt global_options[];
void help_main(void);
void help_verb(const struct verb *verb);
/*
 * "__complete INDEX WORD...": what can stand at word INDEX of this command line (the words behind "fdlctl",
 * counted from 0), for the shells' completion functions in client/completions. One candidate a line: value,
 * tab, what it is;
 * ":pac" asks for names of package files, ":file" for those of any, ":dir" for those of folders. Always
 * silent otherwise, always 0, and quick: it starts no daemon and waits for none.
 */
int complete(struct client *c, int argc, char **argv);

#endif
