/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The service ends while much is under way: calls that nobody has answered yet, packages that are being read,
 * phones that come and go, a client that leaves, a bus that is gone for a while or for good. It ends well
 * each time, and a sanitized one sees to it that nothing that has gone is touched by what comes too late.
 *
 * ENDS=n tries more of them, SEED=n others.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/bus/ctl.h"

#define PHONES 3
#define KEPT   32
#define LIMIT  60000 /* msec */

static const struct call {
	enum whose { SERVICES, SLOTS, JOBS, IMAGES } whose;
	const char *member;
} calls[] = {
	{ SERVICES, "History" },
	{ SERVICES, "HistoryVerify" },
	{ SERVICES, "HistoryRebuild" },
	{ SERVICES, "Backups" },
	{ SERVICES, "Reload" },
	{ SLOTS, "Kick" },
	{ SLOTS, "ResetPort" },
	{ SLOTS, "Reset" },
	{ SLOTS, "ReadTable" },
	{ SLOTS, "Forget" },
	{ JOBS, "Trace" },
	{ JOBS, "Cancel" },
	{ IMAGES, "Verify" },
	{ IMAGES, "Remove" },
	{ IMAGES, "Release" },
};

struct storm {
	struct rig *rig;
	struct rig_package pack;
	struct rig_phone *phone[PHONES];
	bool in[PHONES];
	char job[KEPT][96], image[KEPT][96];
	unsigned int jobs, images, answers;
	uint32_t dice;
};

static unsigned int throw(struct storm * s, unsigned int sides)
{
	s->dice = s->dice * 1103515245u + 12345u;
	return (s->dice >> 8) % sides;
}

static int on_answer(sd_bus_message *m, void *user, sd_bus_error *error)
{
	struct storm *s = user;
	const char *path;

	s->answers++;
	if (sd_bus_message_is_method_error(m, NULL) || sd_bus_message_read(m, "o", &path) <= 0)
		return 0;
	if (!strncmp(path, ROOT "/jobs/", strlen(ROOT "/jobs/")) ||
	    !strncmp(path, ROOT "/job/", strlen(ROOT "/job/")))
		snprintf(s->job[s->jobs++ % KEPT], sizeof(s->job[0]), "%s", path);
	else
		snprintf(s->image[s->images++ % KEPT], sizeof(s->image[0]), "%s", path);
	return 0;
}

/* Its answer is not waited for. fd -1: none goes with it. */
static void call(struct storm *s, const char *path, const char *iface, const char *member, int fd)
{
	sd_bus_message *m = NULL;
	int r = sd_bus_message_new_method_call(rig_bus(s->rig), &m, "org.fdld1", path, iface, member);

	if (r >= 0 && fd >= 0)
		r = sd_bus_message_append(m, "h", fd);
	if (r >= 0)
		r = sd_bus_message_append(m, "a{sv}", 0);
	if (r >= 0)
		(void)sd_bus_call_async(rig_bus(s->rig), NULL, m, on_answer, s, UINT64_MAX);
	sd_bus_message_unref(m);
}

static void plug(struct storm *s, unsigned int i)
{
	if (s->in[i])
		bed_phone_unplug(s->phone[i]->bp, true);
	else
		bed_phone_plug(s->phone[i]->bp, true);
	s->in[i] = !s->in[i];
}

static void with_package(struct storm *s, const char *slot)
{
	static const char *const members[] = { "OpenImage", "ImportImage" };
	int fd = open(s->pack.path, O_RDONLY | O_CLOEXEC);

	if (throw(s, 3))
		call(s, slot, SLOT, "Flash", fd);
	else
		call(s, ROOT, MANAGER, members[throw(s, 2)], fd);
	close(fd);
}

static void one(struct storm *s)
{
	unsigned int i = throw(s, PHONES), what = throw(s, 24);
	const struct call *c;

	if (what < 6) {
		with_package(s, s->phone[i]->slot);
		return;
	}
	if (what < 9) {
		plug(s, i);
		return;
	}
	c = &calls[throw(s, sizeof(calls) / sizeof(calls[0]))];
	if (c->whose == SERVICES)
		call(s, ROOT, MANAGER, c->member, -1);
	else if (c->whose == SLOTS)
		call(s, s->phone[i]->slot, SLOT, c->member, -1);
	else if (c->whose == JOBS && s->jobs)
		call(s, s->job[throw(s, s->jobs < KEPT ? s->jobs : KEPT)], JOB, c->member, -1);
	else if (c->whose == IMAGES && s->images)
		call(s, s->image[throw(s, s->images < KEPT ? s->images : KEPT)], IMAGE, c->member, -1);
}

static void some(struct storm *s, unsigned int count)
{
	while (count--) {
		one(s);
		if (!throw(s, 4))
			rig_sleep(s->rig, (int) throw(s, 30));
	}
}

enum way { PLAIN, CLIENT_LEAVES, BUS_AWAY, BUS_GONE, TWICE };

static void end(struct storm *s, enum way way)
{
	struct rig *rig = s->rig;
	unsigned int steps = 10 + throw(s, 40);
	char option[] = "--set=hooks=on", *hooks[] = { option, NULL };

	CHECK(rig_up(rig, hooks));
	some(s, steps);
	if (way == CLIENT_LEAVES || way == BUS_AWAY || way == BUS_GONE)
		rig_disconnect(rig);
	if (way == BUS_AWAY || way == BUS_GONE)
		bed_bus_stop(rig->bed);
	if (way == BUS_AWAY) {
		rig_sleep(rig, (int) throw(s, 200));
		bed_bus(rig->bed, NULL, NULL);
	}
	if (way != BUS_GONE)
		some(s, steps / 2);
	kill(rig->daemon, SIGTERM);
	if (way != BUS_GONE)
		some(s, 5);
	CHECK(rig_down(rig, way == TWICE ? SIGTERM : 0, LIMIT) == 0);
	rig_disconnect(rig);
	if (way == BUS_GONE)
		bed_bus(rig->bed, NULL, NULL);
}

static unsigned int number(const char *name, unsigned int preset)
{
	const char *text = getenv(name);

	return text ? (unsigned int)strtoul(text, NULL, 10) : preset;
}

static void ends(struct rig *rig, enum way way)
{
	static struct storm storm;
	struct storm *s = &storm;
	unsigned int seed = number("SEED", 1), count = number("ENDS", 2);

	*s = (struct storm){ .rig = rig };
	rig_package(rig, &s->pack, "sc9863a", 41, 65536);
	for (unsigned int i = 0; i < PHONES; i++) {
		char ports[8];

		snprintf(ports, sizeof(ports), "%u", i + 1);
		s->phone[i] = rig_phone(rig, "sc9863a", ports, NULL);
		plug(s, i);
	}
	for (unsigned int n = 0; n < count; n++) {
		s->dice = (seed + n) * 7919u + (unsigned int)way;
		s->jobs = s->images = s->answers = 0;
		end(s, way);
		if (rig->daemon)
			tap_note("end %u of SEED=%u, after %u answers", n, seed, s->answers);
		CHECK(!rig->daemon);
	}
	rig_package_free(&s->pack);
}

static void under_way(struct rig *rig)
{
	ends(rig, PLAIN);
}

static void client_leaves(struct rig *rig)
{
	ends(rig, CLIENT_LEAVES);
}

static void bus_away(struct rig *rig)
{
	ends(rig, BUS_AWAY);
}

static void bus_gone(struct rig *rig)
{
	ends(rig, BUS_GONE);
}

static void asked_twice(struct rig *rig)
{
	ends(rig, TWICE);
}

static const struct rig_test tests[] = {
	{ "ends while much is under way", under_way },
	{ "its client leaves before", client_leaves },
	{ "the bus was away for a while", bus_away },
	{ "the bus is gone", bus_gone },
	{ "asked for twice", asked_twice },
};

int main(void)
{
	return rig_run(tests, sizeof(tests) / sizeof(tests[0]));
}
