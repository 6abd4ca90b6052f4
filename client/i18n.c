/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where the catalogue lies: beside the program, so that one that was installed under another prefix, or not
 * at all, finds its own.
 */
#include "client/i18n.h"

#include <limits.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define DOMAIN "fdld"

/* in BUILD/locale before installing, in PREFIX/share/locale for PREFIX/bin afterwards */
static const char *const places[] = { "locale", "../share/locale" };

void i18n_init(void)
{
	char self[PATH_MAX], path[PATH_MAX + 32];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	setlocale(LC_ALL, "");
	if (n > 0) {
		self[n] = '\0';
		slash = strrchr(self, '/');
		if (slash)
			*slash = '\0';
		for (size_t i = 0; slash && i < sizeof(places) / sizeof(places[0]); i++) {
			snprintf(path, sizeof(path), "%s/%s/.", self, places[i]);
			if (access(path, X_OK) == 0) {
				bindtextdomain(DOMAIN, path);
				break;
			}
		}
	}
	textdomain(DOMAIN);
}

void i18n_off(void)
{
	setlocale(LC_MESSAGES, "C");
}
