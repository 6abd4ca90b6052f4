/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * top: the wall of slots on the whole screen. It sleeps until the bus, a key or the end of a second that is
 * counted wakes it, draws at most a few times a second, and gives the terminal back whatever ends it.
 */
#include <ncurses.h>
#include <errno.h>
#include <langinfo.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "client/top_facts.h"
#include "client/top_term.h"
#include "client/wall.h"
#include "common/names.h"
#include "common/util.h"

#define DRAW_USEC   250000u /* between two pictures */
#define SECOND_USEC 1000000u
#define CALL_USEC   5000000u
#define KEY_ESC	    27

enum view { VIEW_WALL, VIEW_SLOT, VIEW_HELP, VIEW_ASK };

struct top {
	struct client *c;
	struct top_facts facts;
	enum view view;
	size_t chosen;
	char *path;    /* of the chosen slot: it stays chosen when others come and go */
	char job[128]; /* to be cancelled if the answer is yes */
	int first;     /* row of cells */
	struct wall_grid grid;
	char said[256]; /* in the last line, until the next key */
	bool dirty, quit;
	uint64_t changes, drawn_at, tried_at;
	wchar_t block;
	attr_t attr[LOOK_COUNT];
	short pair[LOOK_COUNT];
	sigset_t before; /* signals as they were: they come only while we wait */
};

static volatile sig_atomic_t ended, resized;

static void on_end(int sig)
{
	ended = sig;
}

static void on_resize(int sig)
{
	(void)sig;
	resized = 1;
}

/* ---- the picture onto the screen --------------------------------------------------------------------- */

static void looks(struct top *t)
{
	static const attr_t mono[LOOK_COUNT] = {
		[LOOK_DIM] = A_DIM,
		[LOOK_HEAD] = A_BOLD,
		[LOOK_CHOSEN] = A_REVERSE | A_BOLD,
		[LOOK_BAR] = A_BOLD,
		[LOOK_WARN] = A_BOLD,
		[LOOK_GOOD] = A_REVERSE,
		[LOOK_BAD] = A_REVERSE | A_BOLD,
	};
	static const struct {
		enum wall_look look;
		short ink, paper;
		attr_t attr;
	} colours[] = {
		{ LOOK_BAR, COLOR_CYAN, -1, A_BOLD },		{ LOOK_WARN, COLOR_YELLOW, -1, A_BOLD },
		{ LOOK_GOOD, COLOR_BLACK, COLOR_GREEN, 0 },	{ LOOK_BAD, COLOR_WHITE, COLOR_RED, A_BOLD },
		{ LOOK_HEAD, COLOR_WHITE, COLOR_BLUE, A_BOLD }, { LOOK_CHOSEN, COLOR_BLACK, COLOR_CYAN, 0 },
	};

	memcpy(t->attr, mono, sizeof(mono));
	if (!t->c->color || !has_colors() || start_color() == ERR)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(colours); i++) {
		short paper = colours[i].paper;

		if (use_default_colors() == ERR && paper < 0)
			paper = COLOR_BLACK;
		if ((int)i + 1 >= COLOR_PAIRS || init_pair((short)(i + 1), colours[i].ink, paper) == ERR)
			continue;
		t->pair[colours[i].look] = (short)(i + 1);
		t->attr[colours[i].look] = colours[i].attr;
	}
}

static void show(struct top *t, const struct wall_picture *p)
{
	wchar_t run[1024];

	erase();
	for (int y = 0; y < p->height; y++) {
		const struct wall_char *line = &p->at[(size_t)y * (size_t)p->width];

		for (int x = 0; x < p->width;) {
			enum wall_look look = line[x].look;
			int from = x, n = 0;

			for (; x < p->width && line[x].look == look && n < (int)ARRAY_SIZE(run); x++)
				if (line[x].ch)
					run[n++] = line[x].ch;
			(void)attr_set(t->attr[look], t->pair[look], NULL);
			(void)mvaddnwstr(y, from, run, n);
		}
	}
	refresh();
}

static const char *keys_line(const struct top *t)
{
	switch (t->view) {
	case VIEW_SLOT: return _("Esc back   c cancel the job   q quit");
	case VIEW_HELP: return _("any key: back");
	case VIEW_ASK: return "";
	default: return _("q quit   arrows choose   Enter details   c cancel   ? help");
	}
}

static void draw_help(struct wall_picture *p, int lines)
{
	wall_text(p, 1, 0, p->width - 2, lines, LOOK_PLAIN,
		  _("fdlctl top: one cell for each slot\n"
		    "\n"
		    "arrows, h j k l   choose a slot\n"
		    "Home, End   the first, the last\n"
		    "Enter   everything about it: the last error, its cause, what to do\n"
		    "c   stop its job at the next safe point, after a question\n"
		    "q, Ctrl-C   quit; the jobs go on\n"
		    "\n"
		    "PASS and FAIL stay until another phone comes. Below: passed/tried and the yield.\n"
		    "'suspect' or '!': far more phones fail here than elsewhere; change its cable.\n"
		    "The line at the bottom says what is wrong with the station."));
}

static void draw_details(struct top *t, struct wall_picture *p, int lines)
{
	char text[6000];

	if (t->chosen >= t->facts.count)
		return;
	top_details(t->c, t->path, text, sizeof(text));
	wall_text(p, 1, 0, p->width - 2, lines, LOOK_PLAIN, text);
}

static void draw(struct top *t)
{
	int width = getmaxx(stdscr), height = getmaxy(stdscr);
	int lines = height > 3 ? height - 2 : height;
	struct wall_picture *p = wall_new(width, height, t->block);

	t->drawn_at = client_now();
	t->dirty = false;
	if (!p)
		return;
	if (t->view == VIEW_HELP) {
		draw_help(p, lines);
	} else if (t->view == VIEW_SLOT) {
		draw_details(t, p, lines);
	} else if (!t->facts.count) {
		wall_text(p, 1, 0, width - 2, lines, LOOK_DIM, _("No phone was seen on any port yet."));
	} else {
		wall_layout(t->facts.count, width, lines, &t->grid);
		t->first = wall_scroll(&t->grid, t->chosen, t->first);
		wall_paint(p, 0, &t->grid, t->facts.slots, t->facts.count, t->chosen, t->first);
	}
	if (lines < height) {
		bool bad = t->c->bus_lost || t->facts.trouble;

		wall_put(p, 0, height - 2, width, bad ? LOOK_BAD : LOOK_PLAIN,
			 t->c->bus_lost
				 ? _("NO CONNECTION: the service is not there; this is what it said last")
				 : t->facts.station);
		wall_put(p, 0, height - 1, width, *t->said ? LOOK_WARN : LOOK_DIM,
			 *t->said ? t->said : keys_line(t));
	}
	show(t, p);
	free(p);
}

/* ---- what is shown --------------------------------------------------------------------------------- */

static void choose(struct top *t, size_t which)
{
	if (!t->facts.count)
		return;
	t->chosen = MIN(which, t->facts.count - 1);
	free(t->path);
	t->path = strdup(t->facts.paths[t->chosen]);
	t->dirty = true;
}

static bool look(struct top *t)
{
	t->changes = t->c->changes;
	t->dirty = true;
	if (!top_facts(t->c, &t->facts))
		return false;
	for (size_t i = 0; t->path && i < t->facts.count; i++)
		if (!strcmp(t->facts.paths[i], t->path))
			t->chosen = i;
	choose(t, t->chosen);
	return true;
}

/* ---- keys -------------------------------------------------------------------------------------------- */

static void ask(struct top *t)
{
	const char *job = t->path && !t->c->bus_lost ? top_job(t->c, t->path) : NULL;

	if (!job) {
		snprintf(t->said, sizeof(t->said), "%s", _("No job to cancel here."));
		return;
	}
	snprintf(t->job, sizeof(t->job), "%s", job);
	snprintf(t->said, sizeof(t->said), _("Stop job %s on %s at its next safe point? (y/n)"),
		 clean(strrchr(job, '/') + 1), t->facts.slots[t->chosen].label);
	t->view = VIEW_ASK;
}

static int call_cancel(struct top *t, bool password, sd_bus_error *error)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	int r = sd_bus_message_new_method_call(t->c->bus, &m, FDLD_BUS_NAME, t->job, FDLD_IFACE_JOB,
					       "Cancel");

	if (r >= 0)
		r = sd_bus_message_append(m, "a{sv}", 0);
	if (r >= 0 && password)
		return client_ask(t->c, m, error, NULL);
	if (r >= 0)
		r = sd_bus_message_set_allow_interactive_authorization(m, 0);
	return r < 0 ? r : sd_bus_call(t->c->bus, m, CALL_USEC, error, NULL);
}

/* A password is asked for on the plain terminal, by polkit's own agent. */
static void cancel(struct top *t)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	int r = call_cancel(t, false, &error);

	if (r < 0 && !t->c->no_ask &&
	    sd_bus_error_has_name(&error, SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED)) {
		sigset_t ours;

		sd_bus_error_free(&error);
		endwin();
		sigprocmask(SIG_SETMASK, &t->before, &ours); /* the agent must be able to end */
		r = call_cancel(t, true, &error);
		sigprocmask(SIG_SETMASK, &ours, NULL);
		clear();
	}
	if (r >= 0) {
		snprintf(t->said, sizeof(t->said), _("Job %s was asked to stop at its next safe point."),
			 clean(strrchr(t->job, '/') + 1));
	} else {
		char text[1024];
		const char *said = error.message ? error.message : strerror(-r);

		words_remote(error.name ? error_by_name(error.name) : ERR_NONE, said, text, sizeof(text));
		snprintf(t->said, sizeof(t->said), "%s", clean(text));
	}
}

static void key_wall(struct top *t, int key)
{
	size_t columns = (size_t)MAX(t->grid.columns, 1);

	switch (key) {
	case KEY_RIGHT:
	case 'l': choose(t, t->chosen + 1); break;
	case KEY_LEFT:
	case 'h': choose(t, t->chosen ? t->chosen - 1 : 0); break;
	case KEY_DOWN:
	case 'j': choose(t, t->chosen + columns < t->facts.count ? t->chosen + columns : t->chosen); break;
	case KEY_UP:
	case 'k': choose(t, t->chosen >= columns ? t->chosen - columns : t->chosen); break;
	case KEY_HOME: choose(t, 0); break;
	case KEY_END: choose(t, SIZE_MAX); break;
	case '\r':
	case '\n':
	case KEY_ENTER: t->view = t->facts.count ? VIEW_SLOT : VIEW_WALL; break;
	default: break;
	}
}

static void key_pressed(struct top *t, int key)
{
	t->dirty = true;
	t->said[0] = '\0';
	if (t->view == VIEW_ASK) {
		t->view = VIEW_WALL;
		if (key == 'y' || key == 'Y' || key == *_("y"))
			cancel(t);
	} else if (key == 'q') {
		t->quit = true;
	} else if (t->view == VIEW_HELP) {
		t->view = VIEW_WALL;
	} else if (key == '?') {
		t->view = VIEW_HELP;
	} else if (key == 'c') {
		ask(t);
	} else if (t->view == VIEW_SLOT) {
		if (key == KEY_ESC || key == KEY_BACKSPACE || key == '\r' || key == '\n' || key == KEY_ENTER)
			t->view = VIEW_WALL;
	} else {
		key_wall(t, key);
	}
}

/* ---- waiting ------------------------------------------------------------------------------------------- */

/* When there is something to do without anybody's help; UINT64_MAX: never. */
static uint64_t due(const struct top *t)
{
	uint64_t at = UINT64_MAX, bus;

	if (t->dirty || (!t->c->bus_lost && t->changes != t->c->changes))
		at = t->drawn_at + DRAW_USEC;
	if (t->c->bus_lost)
		return MIN(at, t->tried_at + SECOND_USEC);
	if (t->facts.counts)
		at = MIN(at, t->drawn_at + SECOND_USEC);
	if (sd_bus_get_timeout(t->c->bus, &bus) >= 0)
		at = MIN(at, bus);
	return at;
}

static void wait_for_something(struct top *t)
{
	struct pollfd fds[2] = { { .fd = STDIN_FILENO, .events = POLLIN }, { .fd = -1 } };
	uint64_t at = due(t), now = client_now(), left = at > now ? at - now : 0;
	struct timespec ts = { .tv_sec = (time_t)(left / SECOND_USEC),
			       .tv_nsec = (long)(left % SECOND_USEC) * 1000 };

	if (!t->c->bus_lost) {
		fds[1].fd = sd_bus_get_fd(t->c->bus);
		fds[1].events = (short)MAX(sd_bus_get_events(t->c->bus), 0);
	}
	if (ppoll(fds, 2, at == UINT64_MAX ? NULL : &ts, &t->before) < 0)
		return;
	if (fds[0].revents & (POLLHUP | POLLERR | POLLNVAL))
		t->quit = true; /* the terminal is gone */
	if (fds[0].revents & POLLIN)
		for (int key; !t->quit && (key = getch()) != ERR;)
			key_pressed(t, key);
}

static void serve_bus(struct top *t)
{
	uint64_t now = client_now();

	if (!t->c->bus_lost) {
		(void)client_turn(t->c, 0);
		if (!t->c->bus_lost)
			return;
		t->dirty = true;
		t->tried_at = now; /* not at once: it goes before it comes */
	} else if (now - t->tried_at >= SECOND_USEC) {
		t->tried_at = now;
		t->dirty |= mirror_again(t->c);
		t->tried_at = client_now();
	}
}

static void fit(struct top *t)
{
	struct winsize size = { 0 };

	resized = 0;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row && size.ws_col)
		(void)resizeterm(size.ws_row, size.ws_col);
	clear();
	t->dirty = true;
}

static bool run(struct top *t)
{
	while (!t->quit && !ended) {
		serve_bus(t);
		if (resized)
			fit(t);
		if ((t->dirty || t->changes != t->c->changes || t->facts.counts) &&
		    client_now() - t->drawn_at >= DRAW_USEC) {
			bool second = client_now() - t->drawn_at >= SECOND_USEC;

			if (!t->c->bus_lost && (t->changes != t->c->changes || (t->facts.counts && second)) &&
			    !look(t))
				return false;
			if (t->dirty)
				draw(t);
		}
		wait_for_something(t);
	}
	return true;
}

/* ---- the terminal ----------------------------------------------------------------------------------------
 */

static int open_screen(struct top *t)
{
	static const int ends[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	sigset_t ours;

	sigemptyset(&ours);
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		sigaddset(&ours, ends[i]);
		sigaction(ends[i], &(struct sigaction){ .sa_handler = on_end }, NULL);
	}
	sigaddset(&ours, SIGWINCH);
	sigaction(SIGWINCH, &(struct sigaction){ .sa_handler = on_resize }, NULL);
	if (!newterm(NULL, stdout, stdin))
		return -ENODEV;
	sigprocmask(SIG_BLOCK, &ours, &t->before);
	cbreak();
	noecho();
	nonl();
	keypad(stdscr, TRUE);
	nodelay(stdscr, TRUE);
	set_escdelay(50);
	(void)curs_set(0);
	looks(t);
	t->block = !strcmp(nl_langinfo(CODESET), "UTF-8") ? 0x2588 : L'#';
	return 0;
}

static int check_terminal(const struct client *c)
{
	const char *term = getenv("TERM");

	if (!c->tty || !isatty(STDIN_FILENO))
		return client_usage(
			N_("top: needs a terminal for input and output; 'fdlctl slots' prints a list"));
	if (!top_terminal())
		return client_usage(
			N_("top: a terminal of type '%s' cannot be drawn on; set TERM, or use 'fdlctl slots'"),
			term ? term : "");
	return 0;
}

static int top(struct client *c, int argc, char **argv)
{
	struct top t = { .c = c };
	bool memory;
	int opt, rc;

	while ((opt = verb_next(c, &verb_top, argc, argv, &rc)) != -1)
		if (opt == -2)
			return rc;
	if (optind < argc)
		return client_usage(N_("top: what is '%s' for?"), argv[optind]);
	if (c->json)
		return client_usage(
			N_("top: draws for people; 'fdlctl --json monitor' tells programs the same"));
	rc = check_terminal(c);
	if (!rc)
		rc = mirror_load(c);
	if (rc)
		return rc;
	if (!mirror_manager(c))
		c->bus_lost = true; /* gone in the meantime: it is waited for */
	if (!look(&t) || open_screen(&t) < 0) {
		top_facts_free(&t.facts);
		free(t.path);
		return error_entry(ERR_INTERNAL)->exit_code;
	}
	memory = run(&t);
	endwin();
	sigprocmask(SIG_SETMASK, &t.before, NULL);
	top_facts_free(&t.facts);
	free(t.path);
	if (ended && ended != SIGINT) { /* as it would have ended without a screen */
		signal(ended, SIG_DFL);
		raise(ended);
	}
	return memory ? 0 : error_entry(ERR_INTERNAL)->exit_code;
}

const struct verb verb_top = {
	.name = "top",
	.args = "",
	.summary = N_("the slots on the whole screen; what happens"),
	.about = N_(
		"A wall of all slots for whoever stands before them: what runs on each and how far it is, why it waits, PASS "
		"and FAIL in large letters, counters and yield. Cells get smaller as slots get more. Keys: arrows or h j k l "
		"choose a slot, Enter says everything about it, c stops its job after a question, ? help, q quits."),
	.run = top,
};
