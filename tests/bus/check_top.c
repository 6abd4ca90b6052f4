/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fdlctl top on a terminal: what stands on the screen while phones come, are flashed, pass and fail; keys, a
 * screen of another size, a service that goes and comes, and a terminal that is given back as it was.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "tests/bus/ctl.h"
#include "tests/bus/screen.h"

static struct ctl_run run;
static struct screen screen;
static size_t size_from; /* where in the output the screen has its present size */
static int rows = 25, cols = 100;

static void look(void)
{
	ctl_said(&run, "");
	screen_show(&screen, rows, cols, run.text + size_from, run.len - size_from);
}

static bool shown(void *word)
{
	look();
	return screen_find(&screen, 0, word) >= 0;
}

static bool not_shown(void *word)
{
	return !shown(word);
}

static bool sees(struct rig *rig, const char *word, int timeout_ms)
{
	if (rig_until(rig, timeout_ms, shown, (void *)(uintptr_t)word))
		return true;
	tap_note("waited for '%s' on the screen:", word);
	for (int y = 0; y < screen.rows; y++)
		tap_note("|%s", screen.text[y]);
	return false;
}

static bool loses(struct rig *rig, const char *word, int timeout_ms)
{
	return rig_until(rig, timeout_ms, not_shown, (void *)(uintptr_t)word);
}

static void begin(struct rig *rig, const char *env, const char *args)
{
	size_from = 0;
	rows = 25;
	cols = 100;
	ctl_start_tty(rig, &run, env, args);
}

static void resize(int to_rows, int to_cols)
{
	struct winsize size = { .ws_row = (unsigned short)to_rows, .ws_col = (unsigned short)to_cols };

	look();
	size_from = run.len; /* it draws all of it anew */
	rows = to_rows;
	cols = to_cols;
	ioctl(run.master, TIOCSWINSZ, &size);
}

/* Ends it with a key or a signal: exit code, and whether the terminal is as it was. */
static int finish(struct rig *rig, int key, int signo, bool *restored)
{
	struct termios t;
	int terminal = dup(run.master), rc;

	if (signo)
		kill(run.pid, signo);
	else
		ctl_type(&run, (char[]){ (char)key, 0 });
	rc = ctl_wait(rig, &run, 5000);
	screen_show(&screen, rows, cols, run.text, run.len);
	*restored = !tcgetattr(terminal, &t) && (t.c_lflag & ECHO) && (t.c_lflag & ICANON) &&
		    (t.c_oflag & OPOST) && strstr(run.text, "\033[?1049h") && !screen.alternate &&
		    !screen.hidden;
	close(terminal);
	if (screen.unknown[0])
		tap_note("not understood: %s", screen.unknown);
	return screen.unknown[0] ? -2 : rc;
}

static void start(struct rig *rig, const struct rig_phone *p, const struct rig_package *pack, char *job)
{
	const char *path = rig_flash(rig, p->slot, pack->fd, NULL, 0);

	snprintf(job, 64, "%s", path ? path : "none");
}

/* ---- the wall ---------------------------------------------------------------------------------------- */

static void wall(struct rig *rig)
{
	struct phone_setup slow = { .time_percent = 60, .faults = "late 4s at end of boot" };
	struct phone_setup bad = { .faults = "F37 on boot" };
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", &slow),
			 *q = rig_phone(rig, "sc9863a", "2", &bad);
	struct rig_package pack;
	char job[64], other[64];
	bool restored;

	rig_package(rig, &pack, "sc9863a", 60, 4096);
	CHECK(rig_up(rig, NULL));
	begin(rig, NULL, "top");
	CHECK(sees(rig, "No phone was seen", 5000));
	CHECK(rig_plug(rig, p) && rig_plug(rig, q));
	CHECK(rig_call(rig, 5000, NULL, p->slot, SLOT, "Configure", "a{sv}", 1, "label", "s", "Bank A3"));
	CHECK(sees(rig, ">Bank A3", 5000) && sees(rig, " 1-2", 5000) && sees(rig, "ready", 5000));
	CHECK(sees(rig, "2 slots, 0 jobs", 5000) && screen_find(&screen, 24, "q quit") == 24);
	/* at work: what, how far; then silent, and the seconds go */
	start(rig, p, &pack, job);
	CHECK(sees(rig, "#-", 20000) && screen_find(&screen, 0, " %") > screen_find(&screen, 0, "Bank A3"));
	CHECK(sees(rig, "silent 0:0", 30000) && sees(rig, "0:03", 10000));
	CHECK(!strcmp(rig_wait(rig, job, 60000), ""));
	/* in letters of five lines, and once in small */
	CHECK(sees(rig, "PASS", 5000) && screen.colours > 0);
	CHECK(sees(rig, "1/1  100 %", 5000) && sees(rig, "###", 2000));
	CHECK(screen_find(&screen, 0, "PASS") - screen_find(&screen, 0, "Bank A3") >= 6);
	start(rig, q, &pack, other);
	CHECK(*rig_wait(rig, other, 60000));
	CHECK(sees(rig, "FAIL SignatureRefused", 5000) && sees(rig, "0/1  0 %", 5000));
	CHECK(sees(rig, "1 of 2 passed, 50.0 %", 5000) && sees(rig, "PASS", 5000));
	/* all about one of them; back with Esc */
	CHECK(ctl_type(&run, "l") && sees(rig, ">1-2", 5000) && ctl_type(&run, "\r"));
	CHECK(sees(rig, "what happened: SignatureRefused", 5000) && sees(rig, "what to do: ", 5000));
	CHECK(ctl_type(&run, "\033") && sees(rig, ">1-2", 5000));
	CHECK(ctl_type(&run, "?") && sees(rig, "any key: back", 5000) && ctl_type(&run, "x"));
	CHECK(sees(rig, ">1-2", 5000) && ctl_type(&run, "\033OD") && sees(rig, ">Bank A3", 5000));
	/* another phone has another result */
	bed_phone_unplug(q->bp, true);
	CHECK(sees(rig, "FAIL", 5000));
	CHECK(rig_plug(rig, q) && sees(rig, "ready", 5000) && loses(rig, "FAIL", 5000));
	CHECK(rig_call(rig, 5000, NULL, ROOT, MANAGER, "Drain", "a{sv}", 0) && sees(rig, "DRAINING", 5000));
	CHECK(finish(rig, 'q', 0, &restored) == 0 && restored);
	rig_package_free(&pack);
}

/* ---- the terminal ------------------------------------------------------------------------------------ */

static void sizes(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	bool restored;

	CHECK(rig_up(rig, NULL) && rig_plug(rig, p));
	begin(rig, NULL, "top");
	CHECK(sees(rig, ">1-1", 5000));
	resize(24, 80);
	CHECK(sees(rig, "q quit", 5000) && screen_find(&screen, 23, "q quit") == 23 &&
	      sees(rig, ">1-1", 5000));
	resize(50, 160);
	CHECK(sees(rig, "q quit", 5000) && screen_find(&screen, 49, "q quit") == 49 &&
	      sees(rig, ">1-1", 5000));
	resize(1, 5);
	CHECK(sees(rig, ">1-1", 5000));
	size_from = 0;
	CHECK(finish(rig, 'q', 0, &restored) == 0 && restored);
	/* without colours: by wish, and on a terminal that has none */
	for (int i = 0; i < 4; i++) {
		static const char *const env[] = { "NO_COLOR=1", "TERM=vt100", "TERM=xterm-mono", NULL };

		begin(rig, env[i], i == 3 ? "--no-color top" : "top");
		CHECK(sees(rig, "1-1", 5000) && sees(rig, "ready", 5000) && !screen.colours);
		CHECK(finish(rig, 3, 0, &restored) == 0 && (restored || i == 1 || i == 2)); /* Ctrl-C */
	}
	begin(rig, NULL, "top");
	CHECK(sees(rig, ">1-1", 5000));
	CHECK(finish(rig, 0, SIGTERM, &restored) == 256 + SIGTERM && restored);
	/* none at all, or one that cannot be drawn on */
	CHECK(ctl(rig, 5000, "top") == 2 && strstr(ctl_err, "terminal") && !ctl_out[0]);
	CHECK(ctl(rig, 5000, "--json top") == 2 && ctl_json() && strstr(ctl_out, "monitor"));
	CHECK(ctl(rig, 5000, "top --json") == 2 && ctl_json() && strstr(ctl_out, "monitor"));
	CHECK(ctl(rig, 5000, "top 1-1") == 2);
	begin(rig, "TERM=dumb", "top");
	CHECK(ctl_wait(rig, &run, 5000) == 2 && strstr(run.text, "'dumb'") && !strchr(run.text, '\033'));
	begin(rig, "TERM=no-such-terminal", "top");
	CHECK(ctl_wait(rig, &run, 5000) == 2 && strstr(run.text, "'no-such-terminal'"));
}

/* ---- keys that do something ------------------------------------------------------------------------------
 */

static void cancel(struct rig *rig)
{
	struct phone_setup slow = { .time_percent = 200, .faults = "late 3s at end of fdl2" };
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", &slow);
	struct rig_package pack;
	char job[64];
	bool restored;

	rig_package(rig, &pack, "sc9863a", 61, 4096);
	CHECK(rig_up(rig, NULL) && rig_plug(rig, p));
	begin(rig, NULL, "top");
	CHECK(sees(rig, "ready", 5000) && ctl_type(&run, "c") && sees(rig, "No job to cancel", 5000));
	start(rig, p, &pack, job);
	CHECK(rig_expect(rig, 10000, job, JOB, "State", "running") && sees(rig, "1 jobs", 5000));
	/* no is no */
	CHECK(ctl_type(&run, "c") && sees(rig, "Stop job 1 on 1-1", 5000) && ctl_type(&run, "n"));
	CHECK(loses(rig, "Stop job", 5000));
	CHECK(!strcmp(rig_get(rig, job, JOB, "Cancelling"), "false"));
	CHECK(ctl_type(&run, "c") && sees(rig, "Stop job 1 on 1-1", 5000) && ctl_type(&run, "y"));
	CHECK(sees(rig, "was asked to stop", 5000));
	CHECK(!strcmp(rig_wait(rig, job, 30000), "org.fdld1.Error.Cancelled"));
	CHECK(sees(rig, "0 jobs", 5000));
	CHECK(finish(rig, 'q', 0, &restored) == 0 && restored);
	rig_package_free(&pack);
}

/* ---- a service that goes and comes; nothing to tell costs nothing -----------------------------------------
 */

static void restart(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL), *q = rig_phone(rig, "sc9863a", "2", NULL);
	size_t len;
	bool restored;

	CHECK(rig_up(rig, NULL) && rig_plug(rig, p) && rig_plug(rig, q));
	CHECK(rig_call(rig, 5000, NULL, p->slot, SLOT, "Configure", "a{sv}", 1, "label", "s", "Bank A3"));
	begin(rig, NULL, "top");
	CHECK(sees(rig, "Bank A3", 5000) && ctl_type(&run, "l") && sees(rig, ">1-2", 5000));
	rig_sleep(rig, 600);
	look();
	len = run.len;
	rig_sleep(rig, 1500);
	look();
	CHECK(run.len == len);
	CHECK(rig_down(rig, SIGTERM, 5000) == 0);
	CHECK(sees(rig, "NO CONNECTION", 5000) && sees(rig, "Bank A3", 1000));
	CHECK(ctl_type(&run, "c") && sees(rig, "No job to cancel", 5000)); /* keys go on */
	CHECK(rig_up(rig, NULL));
	CHECK(loses(rig, "NO CONNECTION", 10000) && sees(rig, ">1-2", 5000));
	/* and it hears news again */
	CHECK(rig_call(rig, 5000, NULL, p->slot, SLOT, "Configure", "a{sv}", 1, "label", "s", "Bank B1"));
	CHECK(sees(rig, "Bank B1", 5000));
	CHECK(finish(rig, 'q', 0, &restored) == 0 && restored);
}

int main(void)
{
	static const struct rig_test tests[] = {
		{ "a wall from ready to PASS and FAIL", wall },
		{ "every size, no colours, no terminal", sizes },
		{ "a job is cancelled after a question", cancel },
		{ "the service goes and comes", restart },
	};

	return rig_run(tests, sizeof(tests) / sizeof(tests[0]));
}
