/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What `fdlctl top` shows, taken from the mirror: the slots in the words of the user, the line about the
 * station, and all about one slot.
 */
#ifndef FDLD_CLIENT_TOP_FACTS_H
#define FDLD_CLIENT_TOP_FACTS_H

#include "client/client.h"
#include "client/wall.h"

struct top_silence; /* what a job last said of its silence, and when */

struct top_facts {
	size_t count;
	struct wall_slot *slots; /* their texts live until the next top_facts() */
	char **paths;		 /* of the slots */
	struct top_silence *silences;
	size_t silence_count;
	char *texts; /* where the slots' texts are */
	bool counts; /* a text counts seconds: ask again in one */
	bool trouble;
	char station[512]; /* what concerns all of it */
};

/* Reads the mirror anew. False: no memory. */
bool top_facts(const struct client *c, struct top_facts *f);
void top_facts_free(struct top_facts *f);
/* The slot's job that runs or waits; NULL: none. Borrowed from the mirror. */
const char *top_job(const struct client *c, const char *slot);
/* Everything about a slot, lines with \n, into buf: counters, the job, the last error with cause and remedy.
 */
void top_details(const struct client *c, const char *slot, char *buf, size_t size);

#endif
