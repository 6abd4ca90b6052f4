/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The configuration in force, rules included: read at the start, and anew when asked (SIGHUP,
 * Manager.Reload). A file with an error changes nothing: what was in force stays so, and what was wrong is
 * kept to be told. Files are read on a worker. Belongs to the loop's thread.
 */
#ifndef FDLD_STATION_CONFIG_H
#define FDLD_STATION_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/settings.h"

struct loop;
struct config;
struct rules;
struct station;

/*
 * Reads the files below root (NULL: the machine's) and takes the overrides of the command line, which are
 * copied. Sets the level of the journal. Blocks: before the loop runs. 0, or negative errno with *why
 * (ConfigInvalid with file and line).
 */
int config_new(struct loop *loop, const char *root, const struct setting_override *overrides, size_t count,
	       struct config **out, struct failure *why);
/* After the station. Who still waits is answered with Draining. NULL is fine. */
void config_free(struct config *config);
/* How long the files may take on a reload, usec; 20 s at the start. */
void config_deadline(struct config *config, uint64_t usec);
/* Whom new settings are given to; the station does this by itself. NULL: nobody any more. */
void config_attach(struct config *config, struct station *st);

/* why NULL: read and in force, else all is as it was. */
typedef void (*config_fn)(void *user, const struct failure *why);
/*
 * Reads the files anew. 0: done() is called once, never from within; what is asked while a reading goes on is
 * answered by another one that begins after it, so that an answer always holds for the files as they were
 * when it was asked for. done may be NULL. Negative errno with *why: done() is not called.
 */
int config_reload(struct config *config, config_fn done, void *user, struct failure *why);

const struct settings_book *config_book(const struct config *config); /* in force; until the next turn */
/* In force with it, maybe none; never NULL. Until the next turn, or rules_ref(). */
struct rules *config_rules(const struct config *config);
/* Where the value in force was said: of a setting that needs a restart the start's book. */
const struct settings_book *config_book_of(const struct config *config, enum setting_id id);
/* What was wrong with the files when they were last read; error ERR_NONE: nothing. */
const struct failure *config_failure(const struct config *config);
uint64_t config_read_at(const struct config *config); /* wall clock, of what is in force */
/* The files say something else, which holds from the next start on; text: at least SETTING_TEXT_MAX bytes. */
bool config_pending(const struct config *config, enum setting_id id, char *text, size_t size);
/* What the latest reading changed, rules included, for a line of the log: "jobs.wait=20s (was 10min), ...";
 * "" nothing. */
const char *config_changes(const struct config *config);

#endif
