/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A call that takes as long as a package is large: while it is not answered the service is asked how far it
 * has come. A line that is drawn again on a terminal, a new one every few seconds elsewhere, nothing with
 * --json. It goes to standard error: what the verb prints is its result.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "client/client.h"
#include "common/format.h"
#include "common/names.h"
#include "common/util.h"

#define LOOK_USEC  500000u  /* between two questions */
#define PLAIN_USEC 5000000u /* between two lines where lines stay */
#define CELLS	   10u

struct wait {
	const char *kind, *name;
	sd_bus_message *reply; /* of the call itself */
	sd_bus_slot *asking;   /* how far it is; NULL: not now */
	bool drawn;
	uint64_t done, total;
	uint64_t began_at, began; /* where the rate counts from: time and bytes */
	uint64_t told_at;
};

static int on_reply(sd_bus_message *m, void *user, sd_bus_error *error)
{
	struct wait *w = user;

	(void)error;
	w->reply = sd_bus_message_ref(m);
	return 0;
}

/* Of several, ours is known by its name. */
static int on_look(sd_bus_message *m, void *user, sd_bus_error *error)
{
	struct wait *w = user;
	const char *kind, *name;
	uint64_t done, total;
	int r = sd_bus_message_is_method_error(m, NULL) ? -EIO
							: sd_bus_message_enter_container(m, 'v', "a(sstt)");

	(void)error;
	w->asking = sd_bus_slot_unref(w->asking);
	if (r >= 0)
		r = sd_bus_message_enter_container(m, 'a', "(sstt)");
	while (r >= 0 && (r = sd_bus_message_read(m, "(sstt)", &kind, &name, &done, &total)) > 0) {
		if (strcmp(kind, w->kind) != 0 || strcmp(name, w->name) != 0)
			continue;
		w->done = done;
		w->total = total;
		if (!w->began_at) {
			w->began_at = client_now();
			w->began = done;
		}
		break;
	}
	return 0;
}

static void look(struct client *c, struct wait *w)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;

	if (w->asking ||
	    sd_bus_message_new_method_call(c->bus, &m, FDLD_BUS_NAME, FDLD_PATH_ROOT,
					   "org.freedesktop.DBus.Properties", "Get") < 0 ||
	    sd_bus_message_append(m, "ss", FDLD_IFACE_MANAGER, "StoreWork") < 0)
		return;
	(void)sd_bus_call_async(c->bus, &w->asking, m, on_look, w, 0);
}

static void tell(const struct wait *w, uint64_t now, char *buf, size_t size)
{
	char cells[CELLS + 1], rate_text[32], eta[32], done[32];
	uint64_t rate = (uint64_t)((double)(w->done - w->began) * 1e6 / (double)(now - w->began_at + 1));

	format_rate(rate, rate_text, sizeof(rate_text));
	if (!w->total || w->done > w->total) {
		snprintf(buf, size, _("%s so far, %s  %s"), format_size(w->done, done, sizeof(done)),
			 rate_text, clean(w->name));
		return;
	}
	print_bar(cells, CELLS, (double)w->done / (double)w->total);
	duration_words(rate ? (w->total - w->done) * 1000000 / rate : 0, eta, sizeof(eta));
	snprintf(buf, size, _("[%s] %3.0f %%  %10s  %7s left  %s"), cells,
		 100.0 * (double)w->done / (double)w->total, rate_text, rate ? eta : "?", clean(w->name));
}

static void show(struct wait *w)
{
	bool live = isatty(STDERR_FILENO);
	uint64_t now = client_now();
	struct winsize size = { .ws_col = 80 };
	char text[512];

	/* what is done within a second needs no words */
	if (!w->began_at || now - w->began_at < 1000000 || (!live && now - w->told_at < PLAIN_USEC))
		return;
	w->told_at = now;
	tell(w, now, text, sizeof(text));
	if (!live) {
		fprintf(stderr, "%s\n", text);
		return;
	}
	(void)ioctl(STDERR_FILENO, TIOCGWINSZ, &size);
	fprintf(stderr, "\r\033[2K%s", print_cut(text, size.ws_col > 1 ? size.ws_col - 1 : 79));
	w->drawn = true;
}

int client_ask_long(struct client *c, sd_bus_message *m, const char *kind, const char *name,
		    sd_bus_error *error, sd_bus_message **reply)
{
	struct wait w = { .kind = kind, .name = name };
	_cleanup_(sd_bus_slot_unrefp) sd_bus_slot *slot = NULL;
	int r;

	if (c->json)
		return client_ask(c, m, error, reply);
	agent_open(c);
	r = sd_bus_call_async(c->bus, &slot, m, on_reply, &w, UINT64_MAX);
	while (r >= 0 && !w.reply) {
		r = client_turn(c, LOOK_USEC);
		if (r >= 0 && !w.reply) {
			look(c, &w);
			show(&w);
		}
	}
	if (w.drawn)
		fprintf(stderr, "\r\033[2K");
	agent_close(c);
	sd_bus_slot_unref(w.asking);
	if (w.reply && sd_bus_message_is_method_error(w.reply, NULL)) {
		(void)sd_bus_error_copy(error, sd_bus_message_get_error(w.reply));
		r = -sd_bus_message_get_errno(w.reply);
	}
	if (w.reply && r >= 0 && reply)
		*reply = sd_bus_message_ref(w.reply);
	sd_bus_message_unref(w.reply);
	return MIN(r, 0);
}
