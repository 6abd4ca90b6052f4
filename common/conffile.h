/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Configuration files: where they lie, which of them count, whom they may belong to, and what a line means.
 * What a section or a key means is the caller's: fdld.conf (common/settings.h), rules.
 *
 *     # a comment, also with ;          only at the beginning of a line
 *     [section]
 *     key = value                       blanks around both are dropped
 *     key = a value that \
 *           goes on                     a backslash at the end: joined by one blank; comments between are
 * skipped
 *
 * UTF-8, no control characters but the tab, no quoting. Every error names file and line. Nothing here keeps
 * state; any thread.
 */
#ifndef FDLD_COMMON_CONFFILE_H
#define FDLD_COMMON_CONFFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

#define CONF_FILE_MAX	 (256u * 1024u) /* bytes of one file */
#define CONF_LINE_MAX	 4096u		/* bytes of one line with all that it goes on to */
#define CONF_NAME_MAX	 64u		/* bytes of a section's or a key's name, with the NUL */
#define CONF_DROPINS_MAX 256u

/* ---- lines ------------------------------------------------------------------------------------------ */

struct conf_entry {
	const char *file;    /* as conf_parse() was given it */
	unsigned int line;   /* where it begins, from 1 */
	const char *section; /* "" before the first one */
	const char *key;     /* NULL: the section begins on this line, be it for the first time or again */
	const char *value;   /* "" is a value too */
};

/*
 * One call for each section header and each key, in order; the strings are lent for the call. Returns 0 to go
 * on, else a negative errno with *why (conf_refuse()), which ends the parsing.
 */
typedef int (*conf_fn)(void *user, const struct conf_entry *entry, struct failure *why);
/*
 * Parses len bytes of text, which need not end in a NUL. 0; ConfigInvalid with file, line and reason; or what
 * fn returned. file is only shown.
 */
int conf_parse(const char *file, const char *text, size_t len, conf_fn fn, void *user, struct failure *why);
/*
 * Fills *why with ConfigInvalid, "file:line: ..." (line 0: without it), and returns its errno negated. The
 * detail is UTF-8 without control characters, whatever the path is and wherever it had to be cut.
 */
int conf_refuse(const char *file, unsigned int line, struct failure *why, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* UTF-8 without control characters, fit for the bus and for people. */
bool conf_clean(const char *text);

/* ---- values: 0, -EINVAL (not such a thing), -ERANGE (larger than the type) -------------------------- */

/* Decimal digits and nothing else. */
int conf_u64(const char *value, uint64_t *out);
/*
 * "1h 30min", "500ms", "90": number and unit in turn, blanks between are optional; a number without a unit is
 * seconds. Units: us ms s sec min m h d w. "infinity" is UINT64_MAX. *usec in microseconds.
 */
int conf_duration(const char *value, uint64_t *usec);
/* "64 MiB", "64M", "4096": B, K M G T, also with iB, all powers of 1024. *bytes. */
int conf_size(const char *value, uint64_t *bytes);
/* "75%": 0 to 100. */
int conf_percent(const char *value, uint32_t *percent);
/* yes true on 1, no false off 0. */
int conf_bool(const char *value, bool *out);
/* "1h 30min": what conf_duration() reads back as the same; always NUL-terminated, returns buf. */
char *conf_duration_text(uint64_t usec, char *buf, size_t size);

/* ---- files ------------------------------------------------------------------------------------------ */

struct conf_list {
	char **path; /* in the order of reading: what comes later wins */
	size_t count;
};

/*
 * Which files count. places: paths of the main file, the first has precedence; each may have drop-ins beside
 * it, in "<path>.d/" and named *.conf. The main file is the first that is there; drop-ins are taken from
 * all places, in the order of their names, and of several with one name only the first place's. A link to
 * /dev/null hides the others of its name and is itself not listed. root (NULL: none) is put in front of every
 * place. *out is the caller's, conf_list_free(). 0; ConfigInvalid (a folder that others can write to, or
 * that cannot be read); Internal. Blocks.
 */
int conf_find(const char *root, const char *const *places, size_t count, struct conf_list *out,
	      struct failure *why);
/* The drop-ins alone: what lies in "<place>.d/", and no file <place>. */
int conf_find_dropins(const char *root, const char *const *places, size_t count, struct conf_list *out,
		      struct failure *why);
/* Adds a path, copied. 0 or -ENOMEM. */
int conf_list_add(struct conf_list *list, const char *path);
void conf_list_free(struct conf_list *list);
/*
 * The content of a file that may tell the station what to do: a regular file of root or of the effective
 * user, that group and others cannot write to, at most CONF_FILE_MAX bytes. Else ConfigInvalid says why. The
 * buffer is the caller's. Blocks.
 */
int conf_read(const char *path, char **text, size_t *len, struct failure *why);

#endif
