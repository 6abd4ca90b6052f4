/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A child that plays the daemon, and the ears of the test on it. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "loop/worker.h"
#include "tests/bed/usb_child.h"
#include "usb/watcher.h"

/* ---- the child ---------------------------------------------------------------------------------------- */

static int report_fd;

struct unit {
	struct unit *next;
	struct usb_arrival arrival;
	struct usb_pipe *pipe;
	struct loop_timer *timer;
	unsigned int left;
	bool gone;
};

static struct loop *loop;
static struct usb_context *usb;
static struct usb_watcher *watcher;
static struct unit *units;
static bool ending;
static uint8_t *payload;

static void __attribute__((format(printf, 1, 2))) report(const char *fmt, ...)
{
	char line[512];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line) - 1, fmt, ap);
	va_end(ap);
	line[n++] = '\n';
	if (write(report_fd, line, (size_t)n) != n)
		_exit(3);
}

static const char *name_of(const struct failure *why)
{
	return why ? error_entry(why->error)->name : "ok";
}

static void unit_send(struct unit *unit)
{
	if (!unit->left)
		return;
	unit->left--;
	if (usb_pipe_send(unit->pipe, payload, orders.send, orders.zlp) < 0)
		report("%s refused", unit->arrival.slot);
	if (orders.wait_ms)
		loop_timer_after(unit->timer, orders.wait_ms * 1000u);
}

static void on_opened(void *user, const struct failure *why)
{
	struct unit *unit = user;
	struct usb_pipe_facts facts;

	usb_pipe_facts(unit->pipe, &facts);
	report("%s opened %s (%s)", unit->arrival.slot, name_of(why), why ? why->detail : "");
	if (why) {
		usb_pipe_close(unit->pipe);
		return;
	}
	report("%s latency %llu", unit->arrival.slot,
	       (unsigned long long)(facts.first_transfer_usec - unit->arrival.received_usec));
	report("%s packets %u/%u bcd %04x", unit->arrival.slot, facts.packet_in, facts.packet_out,
	       facts.bcd_device);
	if (orders.stream) {
		/* two chunks, the first of whole packets */
		size_t first = orders.stream / 2 / 512 * 512;

		if (usb_pipe_stream(unit->pipe, payload, first, false) < 0 ||
		    usb_pipe_stream(unit->pipe, payload + first, orders.stream - first, true) < 0 ||
		    usb_pipe_stream(unit->pipe, payload, 512, true) != -EBUSY)
			report("%s refused", unit->arrival.slot);
		return;
	}
	unit_send(unit);
}

static void on_sent(void *user, const struct failure *why, size_t len)
{
	struct unit *unit = user;

	report("%s sent %zu %s depth %u", unit->arrival.slot, len, name_of(why), usb_pipe_depth(unit->pipe));
}

static void on_received(void *user, const uint8_t *bytes, size_t len, bool more)
{
	struct unit *unit = user;
	unsigned int sum = 0;
	size_t i;

	for (i = 0; i < len; i++)
		sum += bytes[i];
	report("%s received %zu%s sum %u", unit->arrival.slot, len, more ? "+" : "", sum);
	loop_timer_stop(unit->timer);
	unit_send(unit);
}

static void on_failed(void *user, const struct failure *why)
{
	struct unit *unit = user;

	report("%s failed %s (%s)", unit->arrival.slot, name_of(why), why->detail);
	usb_pipe_close(unit->pipe);
}

static void on_closed(void *user)
{
	struct unit *unit = user, **at = &units;

	report("%s closed", unit->arrival.slot);
	while (*at != unit)
		at = &(*at)->next;
	*at = unit->next;
	loop_timer_free(unit->timer);
	free(unit);
	if (ending && !units)
		loop_quit(loop, 0);
}

static void on_silence(void *arg)
{
	struct unit *unit = arg;

	report("%s silent", unit->arrival.slot);
	usb_pipe_cancel_out(unit->pipe);
	usb_pipe_take_partial(unit->pipe);
}

static const struct usb_pipe_events pipe_events = { on_opened, on_sent, on_received, on_failed, on_closed };

static void on_arrived(void *user, const struct usb_arrival *arrival)
{
	static const char *const seen[] = { "cold", "event", "rescan" };
	struct failure why;
	struct unit *unit;

	if (arrival->running) {
		report("%s runs %u/%u", arrival->slot, arrival->busnum, arrival->devnum);
		return;
	}
	report("%s arrived %u/%u %s%s", arrival->slot, arrival->busnum, arrival->devnum, seen[arrival->seen],
	       arrival->later ? " later" : "");
	unit = calloc(1, sizeof(*unit));
	if (!unit)
		abort();
	unit->arrival = *arrival;
	unit->left = orders.rounds;
	unit->timer = loop_timer_new(loop, on_silence, unit);
	unit->next = units;
	units = unit;
	unit->pipe = usb_pipe_open(usb, arrival, &orders.options, &pipe_events, unit, &why);
	if (!unit->pipe)
		abort();
}

static void on_left(void *user, const struct usb_arrival *arrival)
{
	struct unit *unit;

	report("%s left %u/%u", arrival->slot, arrival->busnum, arrival->devnum);
	for (unit = units; unit; unit = unit->next) {
		if (unit->gone || strcmp(unit->arrival.syspath, arrival->syspath) ||
		    unit->arrival.devnum != arrival->devnum)
			continue;
		unit->gone = true;
		usb_pipe_close(unit->pipe);
		return;
	}
}

static void on_term(void *arg)
{
	struct loop_stats stats;
	struct unit *unit;

	loop_stats(loop, &stats);
	report("turn %llu", (unsigned long long)stats.max_turn_usec);
	ending = true;
	for (unit = units; unit; unit = unit->next)
		usb_pipe_close(unit->pipe);
	if (!units)
		loop_quit(loop, 0);
}

static const struct usb_watcher_events watcher_events = { on_arrived, on_left };

static int child(void *arg)
{
	struct usb_watcher_stats stats;
	struct loop_signal *term;
	struct failure why;
	size_t i;
	int r;

	if (orders.unprivileged) {
		for (i = 0; i < 64; i++)
			prctl(PR_CAPBSET_DROP, i);
		if (setgid(65534) < 0 || setuid(65534) < 0)
			report("unprivileged impossible");
	}
	payload = malloc(USB_PAYLOAD_SIZE);
	if (!payload)
		abort();
	for (i = 0; i < USB_PAYLOAD_SIZE; i++)
		payload[i] = usb_payload(i);
	loop = loop_new();
	term = loop_signal_new(loop, SIGTERM, on_term, NULL);
	usb = usb_context_new(loop, &why);
	watcher = usb_watcher_new(loop, orders.tag, &watcher_events, NULL, &why);
	report("ready");
	r = loop_run(loop);
	usb_watcher_stats(watcher, &stats);
	report("watched %llu stale %llu rescans %llu present %u", (unsigned long long)stats.events,
	       (unsigned long long)stats.stale, (unsigned long long)stats.rescans, stats.present);
	report("left behind %u", worker_left_behind());
	usb_watcher_free(watcher);
	usb_context_free(usb);
	loop_signal_free(term);
	loop_free(loop);
	free(payload);
	report("end");
	/* a thread that hangs in the kernel cannot be stopped, which a leak check would try to do */
	if (worker_left_behind())
		_exit(r);
	return r;
}

/* ---- the test's side ------------------------------------------------------------------------------------
 */

#define TEXT_MAX (8u << 20)

struct usb_orders orders;
struct bed *bed;
static char *text; /* everything the child said */
static size_t text_len;
static int text_fd = -1;
pid_t child_pid;
const char *usb_failed;

static void pull(void)
{
	ssize_t n;

	while (text_len < TEXT_MAX - 1 && (n = read(text_fd, text + text_len, TEXT_MAX - 1 - text_len)) > 0)
		text_len += (size_t)n;
	text[text_len] = '\0';
}

unsigned int said(const char *what)
{
	unsigned int count = 0;
	const char *at;

	pull();
	for (at = text; (at = strstr(at, what)); at += strlen(what))
		count++;
	return count;
}

struct want {
	const char *what;
	unsigned int count;
};

static bool is_said(void *arg)
{
	const struct want *want = arg;

	return said(want->what) >= want->count;
}

bool until_n(const char *what, unsigned int count, int ms)
{
	struct want want = { what, count };

	return bed_run(bed, ms, is_said, &want);
}

bool until(const char *what)
{
	return until_n(what, 1, 5000);
}

long said_number(const char *word)
{
	const char *at, *last = NULL;

	pull();
	for (at = text; (at = strstr(at, word)); at += strlen(word))
		last = at;
	return last ? atol(last + strlen(word)) : -1;
}

bool child_start(void)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		abort();
	fcntl(fds[1], F_SETPIPE_SZ, 1 << 20);
	fcntl(fds[0], F_SETFL, O_NONBLOCK);
	report_fd = fds[1];
	text_fd = fds[0];
	text_len = 0;
	child_pid = bed_spawn_fn(bed, child, NULL);
	close(fds[1]);
	bed_watch(bed, text_fd);
	return until("ready\n");
}

void child_forget(void)
{
	bed_watch(bed, -1);
	close(text_fd);
}

bool child_stop(void)
{
	int status;

	kill(child_pid, SIGTERM);
	status = bed_wait(bed, child_pid, 15000);
	pull();
	child_forget();
	return status == 0 && strstr(text, "\nend\n");
}

static int ack_out(struct bed_dev *dev, const uint8_t *data, size_t len, bool zlp)
{
	static const uint8_t ack[8] = { 0x7e, 0, 0x80, 0, 0, 0xff, 0x7f, 0x7e };

	bed_in(dev, ack, sizeof(ack), true);
	return 0;
}

const struct bed_model usb_ack_model = { .out = ack_out };

struct bed_dev *child_plug(const char *ports, const struct bed_model *model, bool uevent)
{
	struct bed_spec spec = { .bus = 1, .ports = ports, .model = model };

	return bed_plug(bed, &spec, uevent);
}

uint8_t usb_payload(size_t i)
{
	return (uint8_t)(0x7e + i * 7 + i / 4099);
}

int usb_tests_run(const char *title, const struct usb_test *tests, size_t count)
{
	const char *only = getenv("ONLY");
	unsigned int number = 0, failures = 0;
	size_t i;

	text = malloc(TEXT_MAX);
	if (!text)
		return 1;
	bed_enter();
	for (i = 0; i < count; i++) {
		if (only && strcmp(only, tests[i].name))
			continue;
		memset(&orders, 0, sizeof(orders));
		usb_failed = NULL;
		text_len = 0;
		alarm(60);
		bed = bed_new();
		tests[i].run();
		bed_free(bed);
		printf("%s %u - %s: %s\n", usb_failed ? "not ok" : "ok", ++number, title, tests[i].name);
		if (usb_failed) {
			printf("# %s\n# the child said, at the end:\n", usb_failed);
			printf("%s\n", text_len > 3000 ? text + text_len - 3000 : text);
			failures++;
		}
		fflush(stdout);
	}
	printf("1..%u\n", number);
	free(text);
	return failures ? 1 : 0;
}
