/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fdld.conf: what can be set, what is set, and where that was said. settings.def holds the rows; daemon and
 * fdlctl read the files with the same code. No state; any thread.
 */
#ifndef FDLD_COMMON_SETTINGS_H
#define FDLD_COMMON_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/conffile.h"
#include "common/error.h"

enum setting_id {
#define SETTING(id, ...) SETTING_##id,
#include "common/settings.def"
#undef SETTING
	SETTING_COUNT
};

#define SETTING_NONE	 SETTING_COUNT
#define SETTING_TEXT_MAX 64u /* bytes of any value as text, with the NUL */

enum setting_type {
	SETTING_IS_DURATION,
	SETTING_IS_COUNT,
	SETTING_IS_PERCENT,
	SETTING_IS_SIZE,
	SETTING_IS_WORD,
	SETTING_IS_TEXT
};

struct setting_entry {
	const char *section, *key;
	const char *name; /* "section.key" */
	enum setting_type type;
	const char *preset; /* as it would be written */
	uint64_t least, most;
	const char *words; /* with commas between; NULL */
	bool restart;	   /* in force from the next start on */
	const char *help;  /* one paragraph */
};

/* The values. Durations in microseconds (UINT64_MAX: for ever), counts (UINT32_MAX: unlimited), sizes in
 * bytes (UINT64_MAX: unlimited), words of the row's list, never NULL. Copy freely. */
struct settings {
#define SETTING_MEMBER_DURATION(member)		     uint64_t member
#define SETTING_MEMBER_COUNT(member)		     uint32_t member
#define SETTING_MEMBER_PERCENT(member)		     uint32_t member
#define SETTING_MEMBER_SIZE(member)		     uint64_t member
#define SETTING_MEMBER_WORD(member)		     char member[SETTING_TEXT_MAX]
#define SETTING_MEMBER_TEXT(member)		     char member[SETTING_TEXT_MAX]
#define SETTING(id, section, key, type, member, ...) SETTING_MEMBER_##type(member);
#include "common/settings.def"
#undef SETTING
};

/* The row; id below SETTING_COUNT. */
const struct setting_entry *setting_entry(enum setting_id id);
/* By "section.key" or "key" alone; SETTING_NONE. */
enum setting_id setting_find(const char *name);
/* The one whose name is most like it, for a message; SETTING_NONE if none is. */
enum setting_id setting_like(const char *name);
/* As if no file said anything. */
void settings_preset(struct settings *set);
/* Takes a value as it would stand in a file; "" is the preset. 0, or -EINVAL with reason (at most size
 * bytes): what would have been right. */
int setting_put(struct settings *set, enum setting_id id, const char *value, char *reason, size_t size);
/* The value as it would be written; SETTING_TEXT_MAX bytes are enough. Returns buf. */
char *setting_text(const struct settings *set, enum setting_id id, char *buf, size_t size);
/* Durations in microseconds, counts, percent, sizes in bytes; false: not a number. */
bool setting_number(const struct settings *set, enum setting_id id, uint64_t *out);
bool setting_same(const struct settings *a, const struct settings *b, enum setting_id id);

/* ---- for tables of other things (common/rules.h) that have values of the same kinds ------------------- */

/*
 * A number within the entry's bounds: of its key, type, least and most. 0, or -EINVAL with reason (at most
 * size bytes): what would have been right.
 */
int setting_take_number(const struct setting_entry *e, const char *value, uint64_t *out, char *reason,
			size_t size);
/* The number as it would be written. Returns buf. */
char *setting_number_text(const struct setting_entry *e, uint64_t n, char *buf, size_t size);
bool setting_one_of(const char *value, const char *words); /* words: with ", " between */
/* Letters to change, add or leave out to make one of the other; UINT32_MAX: too long to tell. */
unsigned int setting_distance(const char *a, const char *b);

/* ---- what is set, and where --------------------------------------------------------------------------- */

enum setting_from { SETTING_FROM_PRESET, SETTING_FROM_FILE, SETTING_FROM_COMMAND_LINE };

struct setting_origin {
	enum setting_from from;
	uint32_t file; /* index in the book's files */
	unsigned int line;
};

struct settings_book {
	struct settings set;
	struct setting_origin origin[SETTING_COUNT];
	struct conf_list files; /* that were read, in order; may be none */
};

/* Said on the command line: stronger than any file. */
struct setting_override {
	enum setting_id id;
	char value[SETTING_TEXT_MAX];
};

/* Where the main file may lie, the strongest first; drop-ins lie beside each in "<file>.d". */
#define SETTINGS_PLACES 4u
extern const char *const settings_places[SETTINGS_PLACES];

/*
 * Reads all files that count, below root (NULL: the machine's), then the overrides. 0 with *out, which is the
 * caller's (settings_book_free()); or ConfigInvalid with file and line, Internal. Blocks on files.
 */
int settings_load(const char *root, const struct setting_override *overrides, size_t count,
		  struct settings_book **out, struct failure *why);
/* The same from exactly these files, in this order. */
int settings_load_files(const char *const *paths, size_t count, struct settings_book **out,
			struct failure *why);
/* One file's text: for tests of the parser. The book may hold other files' values already. */
int settings_parse(struct settings_book *book, const char *file, const char *text, size_t len,
		   struct failure *why);
/* Presets, no files. NULL: no memory. */
struct settings_book *settings_book_new(void);
void settings_book_free(struct settings_book *book); /* NULL is fine */
/* "/etc/fdld/fdld.conf:12", "command line", "default". Returns buf. */
char *setting_origin_text(const struct settings_book *book, enum setting_id id, char *buf, size_t size);

#endif
