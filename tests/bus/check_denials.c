/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Somebody who is refused again and again must not push what matters out of the journal. */
#include <stdio.h>
#include <string.h>

#include "tests/bus/authority.h"

static unsigned int lines_with(struct rig *rig, const char *words)
{
	FILE *f = fopen(rig->log, "r");
	char line[2048];
	unsigned int n = 0;

	while (f && fgets(line, sizeof(line), f))
		n += strstr(line, words) != NULL;
	if (f)
		fclose(f);
	return n;
}

static void flood(struct rig *rig)
{
	struct scene s;

	CHECK(scene_set(rig, &s, NULL));
	CHECK(authority_new(rig, AUTHORITY_NO));
	for (int i = 0; i < 60; i++)
		CHECK(!user_call(rig, s.user, 5000, NULL, ROOT, MANAGER, "Drain", "a{sv}", 0) &&
		      !strcmp(s.user->error, NOT_AUTHORIZED));
	/* each is refused, a minute's first twenty are told */
	CHECK(lines_with(rig, "Drain was denied to uid 65534") == 20);
	CHECK(scene_untouched(&s));
	scene_strike(&s);
}

static const struct rig_test tests[] = {
	{ "a flood of refusals is told in twenty lines a minute", flood },
};

int main(void)
{
	return users_run(tests, sizeof(tests) / sizeof(tests[0]));
}
