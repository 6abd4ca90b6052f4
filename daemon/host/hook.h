/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Lamp, buzzer, label printer, MES: when a job ends and when a phone comes, fdld-hook@<number>.service is
 * started with the facts as its environment (<runtime directory>/hook/<number>.env). By the service manager,
 * never by a fork of ours: a script has its own sandbox, limits and log. Only while hooks = on (fdld.conf).
 */
#ifndef FDLD_HOST_HOOK_H
#define FDLD_HOST_HOOK_H

#include <systemd/sd-bus.h>

struct station;
struct host_files;
struct host_hook;

/* files must outlive it. NULL when memory is short. */
struct host_hook *host_hook_new(struct station *station, struct host_files *files);
void host_hook_free(struct host_hook *hook); /* NULL is fine */
/* The bus can be used, until host_hook_down(). */
void host_hook_up(struct host_hook *hook, sd_bus *bus);
void host_hook_down(struct host_hook *hook);

#endif
