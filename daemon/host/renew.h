/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A newer version has been installed beside this process (SIGUSR1, sent by the package): jobs are accepted
 * and go on as ever, and when nothing is left to do for a moment the loop is quit with HOST_RENEW_EXIT, upon
 * which the service manager starts the program anew.
 */
#ifndef FDLD_HOST_RENEW_H
#define FDLD_HOST_RENEW_H

#include <stdbool.h>

struct loop;
struct station;
struct host_renew;

/* exit code of such an end; beside those of the error table; the unit restarts on it */
#define HOST_RENEW_EXIT 125

/* Takes the signal. NULL when memory is short. */
struct host_renew *host_renew_new(struct loop *loop, struct station *station);
/* It was asked for, and there is still something to do. */
bool host_renew_pending(const struct host_renew *renew);
/* Before station_free(). NULL is fine. */
void host_renew_free(struct host_renew *renew);

#endif
