/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is asked of a terminal before a screen is opened on it. Apart from the rest, as term.h makes macros of
 * many common words.
 */
#include "client/top_term.h"

#include <ncurses.h>
#include <term.h>
#include <unistd.h>

static bool can(const char *capability)
{
	const char *how = tigetstr(capability);

	return how && how != (const char *)-1;
}

bool top_terminal(void)
{
	int known = 0;
	bool good;

	if (setupterm(NULL, STDOUT_FILENO, &known) == ERR)
		return false;
	good = can("cup") && can("clear");
	(void)del_curterm(cur_term);
	return good;
}
