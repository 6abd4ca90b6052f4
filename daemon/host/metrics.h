/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Figures for a scraper: <runtime directory>/fdld.prom, OpenMetrics text, readable by everybody, written
 * again at most once a second and only when something has changed. Counters begin with the service.
 */
#ifndef FDLD_HOST_METRICS_H
#define FDLD_HOST_METRICS_H

struct loop;
struct station;
struct host_files;
struct host_metrics;

/* files must outlive it. NULL when memory is short. */
struct host_metrics *host_metrics_new(struct loop *loop, struct station *station, struct host_files *files);
void host_metrics_free(struct host_metrics *metrics); /* NULL is fine */

#endif
