/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reading a phone's areas into files: what `read` and `backup` have in common. */
#ifndef FDLD_CLIENT_READ_H
#define FDLD_CLIENT_READ_H

#include "client/client.h"

#define READ_AREAS_MAX 64
#define READ_JOB_MAX   16 /* descriptors that a message may carry on the system bus */

struct read_area {
	const char *text; /* as on the command line; lent */
	char target[40];  /* name of a partition, or an address: "0x80000003" */
	uint64_t offset, size;
	char *path, *part; /* the file, and its name until all of it is there; NULL: no file */
	int fd;		   /* -1: none */
	uint64_t bytes;	   /* after the job: that were read, and their sum in hex */
	char sha256[65];
};

/* "boot_a", "boot_a:64K+1M", "boot_a+4K", "0x80000003+1M", "uboot+auto". False: it is none of these. */
bool read_area_parse(const char *text, struct read_area *area);
/* Opens path.part; what is at path stays where it is. An exit code, told. */
int read_area_open(const struct client *c, struct read_area *area, const char *path, bool replace);
void read_area_name(const struct read_area *area, char *buf, size_t size); /* "boot_a.img" */
int read_area_keep(const struct client *c, struct read_area *area);	   /* all of it is there */
void read_area_drop(struct read_area *area); /* frees; what has no name of its own yet goes */

struct read_wish {
	const char *slot;   /* object path */
	const char *loader; /* a file or a name; NULL: the daemon chooses */
	const char *end;    /* NULL: stay */
	const char *expect; /* object path of the phone that is meant; NULL: whichever is there */
	bool force_loaders, has_wait;
	uint64_t wait_usec;
};
/* Asks for the job; the descriptors are closed here. An exit code, told. */
int read_begin(struct client *c, const struct read_wish *wish, struct read_area *areas, size_t count,
	       char **job);
/*
 * As many jobs as the bus makes of it (READ_JOB_MAX), all on the same phone; follows them, and gives the
 * files of each their names once it has ended. What the first jobs have brought stays when a later one fails.
 */
int read_run(struct client *c, const struct read_wish *wish, struct read_area *areas, size_t count);
/* What the job says of each area, in their order; without a sum: not all of it came. */
void read_sums(const struct client *c, const char *job, struct read_area *areas, size_t count);
/* One line a file, or one of JSON. */
void read_say_files(const struct client *c, const struct read_area *areas, size_t count);
/* Ends what is kept running there, and follows that. */
int read_release(struct client *c, const char *slot, bool off);
/* Until when the phone stays as it is, if it does. */
void read_say_kept(const struct client *c, const char *slot);

/* ---- the table (verb_partitions.c) ---- */

int table_begin(struct client *c, const struct read_wish *wish, char **job);
/* Follows a job; what is told goes to standard error. */
int table_follow(struct client *c, const char *job);
/*
 * Rows of a job's Result as the <Partitions> that a repartition takes; the caller frees it. user_size: bytes
 * of the user area, 0: not known. -ERANGE: not all sizes are known, or they are no whole KiB.
 */
int table_xml(json_object *rows, uint64_t user_size, char **text);

#endif
