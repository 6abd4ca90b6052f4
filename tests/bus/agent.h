/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A desktop user in a process of its own: calls Slot.Flash interactively and has an authentication agent
 * registered with the real polkitd. What the agent is told comes as lines; what it does is told by single
 * letters.
 */
#ifndef TESTS_BUS_AGENT_H
#define TESTS_BUS_AGENT_H

#include <stdbool.h>
#include <sys/types.h>

#include "tests/bus/rig.h"

struct agent {
	pid_t pid;
	int to, from;
	char text[4096]; /* all lines so far */
			 /*
			  * registered
			  * begin ACTION COOKIE | MESSAGE
			  * cancel COOKIE
			  * reply JOB, or reply ERROR
			  */
};

/* uid: of the user; slot, fd: what is flashed. Waits until the agent is registered; false: it is not. */
bool agent_start(struct rig *rig, struct agent *agent, uid_t uid, const char *slot, int fd);
/* 'c': calls Slot.Flash. 'd': the dialogue ends (answered or dismissed). 'l': the calling connection leaves.
 */
void agent_tell(struct agent *agent, char what);
/* Runs the rig until a line begins so; the rest of the first such line in out. */
bool agent_says(struct rig *rig, struct agent *agent, int timeout_ms, const char *line, char *out,
		size_t room);
/* Types the administrator's password, as the set-uid helper of polkit would report it. */
bool agent_password(struct rig *rig, uid_t uid, const char *cookie);
void agent_stop(struct rig *rig, struct agent *agent);

#endif
