/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Words of others that no message takes: names cut within a character, bytes that are no text. One of them
 * must not take the replies with it in which everything else stands.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/bus/rig.h"

#define OBJECT_MANAGER "org.freedesktop.DBus.ObjectManager"

static bool all_can_be_read(struct rig *rig)
{
	return rig_call(rig, 5000, NULL, ROOT, OBJECT_MANAGER, "GetManagedObjects", "");
}

/* However long a name is, and wherever it is cut: the package is there, and so is everything else. */
static void long_names(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct rig_package pack;
	sd_bus_message *m = NULL;
	char name[400], image[64];
	const char *s;

	rig_package(rig, &pack, "sc9863a", 41, 4096);
	CHECK(rig_up(rig, NULL));
	CHECK(rig_plug(rig, p));
	for (unsigned int pad = 0; pad < 4; pad++) {
		memset(name, 'a', pad);
		name[pad] = '\0';
		while (strlen(name) < 390)
			strcat(name, "\xf0\x9f\x98\x80");
		CHECK(rig_call(rig, 5000, &m, ROOT, MANAGER, "OpenImage", "ha{sv}", pack.fd, 1, "name", "s",
			       name));
		CHECK(sd_bus_message_read(m, "o", &s) > 0);
		snprintf(image, sizeof(image), "%s", s);
		sd_bus_message_unref(m);
		CHECK(!strncmp(rig_get(rig, image, IMAGE, "Name"), name, 200));
		CHECK(all_can_be_read(rig));
		/* the job carries the name on: into its properties, its result, its record */
		CHECK(rig_call(rig, 5000, &m, p->slot, SLOT, "FlashImage", "oa{sv}", image, 1, "dry_run", "b",
			       1));
		CHECK(sd_bus_message_read(m, "o", &s) > 0);
		CHECK(!strcmp(rig_wait(rig, s, 30000), ""));
		CHECK(rig_get(rig, s, JOB, "ImageName")[0] != '?');
		sd_bus_message_unref(m);
		CHECK(all_can_be_read(rig));
		CHECK(rig_call(rig, 5000, NULL, image, IMAGE, "Release", "a{sv}", 0));
		bed_phone_unplug(p->bp, true);
		CHECK(rig_plug(rig, p));
	}
	rig_package_free(&pack);
}

/* A refusal quotes what was asked for, cut to fit: it is an answer all the same. */
static void refusals(struct rig *rig)
{
	char name[600];

	CHECK(rig_up(rig, NULL));
	for (unsigned int pad = 0; pad < 4; pad++) {
		memset(name, 'a', pad);
		name[pad] = '\0';
		while (strlen(name) < 560)
			strcat(name, "\xf0\x9f\x98\x80");
		CHECK(!rig_call(rig, 5000, NULL, ROOT, MANAGER, "GetSlot", "s", name));
		CHECK(!strcmp(rig->error, "org.fdld1.Error.NoSuchSlot"));
	}
	CHECK(all_can_be_read(rig));
}

static const struct rig_test tests[] = {
	{ "names cut within a character", long_names },
	{ "refusals that quote them", refusals },
};

int main(void)
{
	return rig_run(tests, sizeof(tests) / sizeof(tests[0]));
}
