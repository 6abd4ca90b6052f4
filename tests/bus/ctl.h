/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fdlctl as a child of the bed: run to its end, left running, or on a terminal of its own. */
#ifndef TESTS_BUS_CTL_H
#define TESTS_BUS_CTL_H

#include <json-c/json.h>

#include "tests/bus/rig.h"

/* What the last one that ran to its end said. */
extern char ctl_out[1024 * 1024], ctl_err[16 * 1024];

/*
 * "fdlctl ARGUMENTS" through a shell, to its end: the exit code, -1: killed after timeout_ms or by a signal.
 * Neither of its outputs is a terminal.
 */
int ctl(struct rig *rig, int timeout_ms, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Exit code of an error by its name; 0: no such name. */
int ctl_code(const char *error);
/* ctl_out is JSON, one value a line, at least one. */
bool ctl_json(void);
/* ctl() with --json in front; true: this exit code, and JSON alone on its output. */
bool ctl_both(struct rig *rig, int code, const char *args);
/* Value of the nth line of ctl_out (-1: the last); the caller's. NULL: none. */
json_object *ctl_line(int n);
/* The string at a dotted path in it, "" if there is none; static. */
const char *ctl_str(int n, const char *path);

struct ctl_run {
	pid_t pid;
	int master; /* its terminal; -1: a file */
	char file[128];
	char text[256 * 1024]; /* what it has said so far, both outputs */
	size_t len;
};

/* Starts one with these arguments (space-separated, no quoting); its output goes to a file. */
void ctl_start(struct rig *rig, struct ctl_run *run, const char *args);
/* The same on a terminal of 100 columns; env: "NAME=value" or NULL. */
void ctl_start_tty(struct rig *rig, struct ctl_run *run, const char *env, const char *args);
/* bash itself, reading a terminal. */
void ctl_start_bash(struct ctl_run *run);
bool ctl_type(struct ctl_run *run, const char *keys);
/* Serves the bed until it has said the word. */
bool ctl_says(struct rig *rig, struct ctl_run *run, const char *word, int timeout_ms);
/* Whether it has said the word by now. */
bool ctl_said(struct ctl_run *run, const char *word);
/* Serves the bed until it has ended: exit code, -1: it goes on (and is killed), 256 + signal. */
int ctl_wait(struct rig *rig, struct ctl_run *run, int timeout_ms);

#endif
