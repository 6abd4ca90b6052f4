/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Passwords: polkit asks for them through an agent of the user's session. On a plain terminal there is none,
 * so polkit's own text agent is lent one for as long as a call may have to wait for it.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/client.h"
#include "common/util.h"

#define AGENT	      "pkttyagent"
#define PATIENCE_MSEC 3000

/* In the child: `ready` is closed by the agent once polkit knows it. */
static void become_agent(int ready, pid_t parent)
{
	char process[24], notify[16];

	snprintf(process, sizeof(process), "%d", (int)parent);
	snprintf(notify, sizeof(notify), "%d", ready);
	/* it is of no use without us, and must not outlive us on the terminal */
	if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0 || getppid() != parent || fcntl(ready, F_SETFD, 0) < 0)
		_exit(1);
	execlp(AGENT, AGENT, "--process", process, "--notify-fd", notify, "--fallback", (char *)NULL);
	_exit(127);
}

void agent_open(struct client *c)
{
	struct pollfd done = { .events = POLLIN };
	int ready[2];
	pid_t self = getpid();

	/* root is never asked; where nobody can type there is nobody to ask; and polkit of another machine
	 * knows no agent of this one */
	if (c->agent || c->no_ask || c->host || geteuid() == 0 || !isatty(STDIN_FILENO) ||
	    !isatty(STDERR_FILENO) || pipe2(ready, O_CLOEXEC) < 0)
		return;
	fflush(NULL);
	c->agent = fork();
	if (c->agent == 0)
		become_agent(ready[1], self);
	close(ready[1]);
	done.fd = ready[0];
	if (c->agent > 0)
		(void)poll(&done, 1, PATIENCE_MSEC); /* without an agent the call is refused, and says why */
	close(ready[0]);
	c->agent = MAX(c->agent, 0);
}

void agent_close(struct client *c)
{
	if (!c->agent)
		return;
	kill(c->agent, SIGTERM);
	kill(c->agent, SIGCONT);
	(void)waitpid(c->agent, NULL, 0);
	c->agent = 0;
}
