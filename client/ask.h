/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Calls that verbs have in common. */
#ifndef FDLD_CLIENT_ASK_H
#define FDLD_CLIENT_ASK_H

#include "client/client.h"

/*
 * Sends a call that was built with result r, waits as long as the answer takes (the daemon may be asking a
 * person for a password), and takes the object path that is the answer; the caller frees it. 0 or an exit
 * code.
 */
int ask_path(struct client *c, sd_bus_message *m, int r, char **path);
/* A number of seconds on the command line; 0 or EXIT_USAGE, told. */
int ask_seconds(const char *text, uint64_t *usec);
/* A call of the manager; negative errno. */
int ask_manager(struct client *c, const char *method, sd_bus_message **m);
/* The slot of this name, or the only one that has a phone (mirror loaded); an exit code, told. */
int ask_slot(struct client *c, const char *name, char **slot);
int ask_only_slot(struct client *c, const char *verb, char **slot);
/* {sv} into the a{sv} that is open; NULL or false: nothing. */
int ask_text(sd_bus_message *m, const char *key, const char *value);
int ask_flag(sd_bus_message *m, const char *key, bool value);
/*
 * Whose loaders: a package file, which is opened in the daemon and then named by its path, or else the name
 * of a pair or package that is stored there. The caller frees it; an exit code, told.
 */
int ask_package(struct client *c, const char *file, char **name);

#endif
