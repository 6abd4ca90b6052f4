/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Walks what the running daemon says of itself: every object, every method, every property. */
#ifndef TESTS_BUS_WALK_H
#define TESTS_BUS_WALK_H

#include <stddef.h>

#include "tests/bus/authority.h"

#define WALK_PATHS 64

struct walk {
	char path[WALK_PATHS][400];
	unsigned int paths, methods, properties;
};

/* The paths of all objects there are, the manager's first. */
void walk_objects(struct rig *rig, struct walk *walk);

struct walk_method {
	char path[400], iface[64], name[64], types[32]; /* types: of what goes in */
	char argument[8][32];				/* their names */
};
/* Calls fn for every method of our interfaces on every object; counts them. */
void walk_methods(struct rig *rig, struct walk *walk, void (*fn)(const struct walk_method *method, void *arg),
		  void *arg);
/* The same for every property: its value as text, strings and dictionaries whole. */
void walk_properties(struct rig *rig, struct walk *walk,
		     void (*fn)(const char *path, const char *iface, const char *name, const char *value,
				void *arg),
		     void *arg);

/* All that is left of a message, appended to out as text. */
void walk_text(sd_bus_message *m, char *out, size_t room);

/*
 * The stranger of the scene calls, with arguments that are all right, every method that is not known as
 * reading, on one object of each kind and on all that are there. allowed: none may be denied; else each must
 * be. Notes the sums and the first that was not as it should be. Beside the phone's own job there must be one
 * that waits.
 */
bool walk_as_stranger(struct rig *rig, struct scene *s, bool allowed);

#endif
