/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The system bus of another machine, through ssh: what ssh runs there is systemd-stdio-bridge. Descriptors do
 * not cross, so nothing that needs one goes this way.
 */
#ifndef FDLD_CLIENT_REMOTE_H
#define FDLD_CLIENT_REMOTE_H

#include "client/client.h"

/* Whether it is [USER@]HOST[:PORT], HOST a name, an IPv4 address or an IPv6 address in brackets. */
bool remote_valid(const char *host);
/*
 * Starts ssh and waits until the bus there answers. c->in_a_hurry: ssh asks for nothing and gives up after
 * two seconds. Negative errno; remote_why() then says more, until the next remote_open().
 */
int remote_open(struct client *c);
/* What was tried and what came of it, in the user's language; r: what remote_open() returned. */
const char *remote_why(const struct client *c, int r, char *buf, size_t size);
/* Ends ssh, after the connection was closed. */
void remote_close(struct client *c);

#endif
