/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/bus/conf.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/bus/ctl.h"

/* ---- files -------------------------------------------------------------------------- */

const char *conf_path(struct rig *rig, const char *name)
{
	static char path[4][256];
	static unsigned int next;
	char *p = path[next++ % 4];

	snprintf(p, sizeof(path[0]), "%s%s", rig->conf, name);
	return p;
}

static void folders(char *path)
{
	for (char *p = strchr(path + 1, '/'); p; p = strchr(p + 1, '/')) {
		*p = '\0';
		(void)mkdir(path, 0755);
		*p = '/';
	}
}

void conf_put(struct rig *rig, const char *name, const char *text)
{
	char path[256], temporary[264];
	FILE *f;

	/* as an editor does it: a daemon that reads meanwhile sees the old one or the new one */
	snprintf(path, sizeof(path), "%s%s", rig->conf, name);
	snprintf(temporary, sizeof(temporary), "%s.new", path);
	folders(path);
	f = fopen(temporary, "w");
	if (!f || fputs(text, f) < 0 || fclose(f) != 0 || chmod(temporary, 0644) < 0 ||
	    rename(temporary, path) < 0) {
		perror(path);
		exit(99);
	}
}

bool conf_logged(struct rig *rig, const char *text)
{
	static char log[1 << 20];
	int fd = open(rig->log, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, log, sizeof(log) - 1);

	if (fd >= 0)
		close(fd);
	log[n > 0 ? n : 0] = '\0';
	return strstr(log, text) != NULL;
}

/* ---- the daemon --------------------------------------------------------------------- */

bool conf_reload(struct rig *rig)
{
	return rig_call(rig, 5000, NULL, ROOT, MANAGER, "Reload", "a{sv}", 0);
}

bool conf_refused(struct rig *rig, const char *name)
{
	return !strncmp(rig->error, ERR(""), strlen(ERR(""))) && !strcmp(rig->error + strlen(ERR("")), name);
}

const char *conf_shown(struct rig *rig, const char *key)
{
	static char text[512];
	char *at, *gap;

	if (ctl(rig, 5000, "config %s", key) != 0)
		return "fdlctl failed";
	snprintf(text, sizeof(text), "%s", ctl_out);
	text[strcspn(text, "\n")] = '\0';
	at = strstr(text, rig->conf);
	if (at)
		memmove(at, at + strlen(rig->conf), strlen(at + strlen(rig->conf)) + 1);
	gap = strstr(text, "  ");
	if (gap)
		memmove(gap, gap + 1, strlen(gap));
	return text;
}

static bool told(const char *text, const char *words)
{
	static char flat[16384];
	size_t n = 0;

	for (const char *p = text; *p && n + 1 < sizeof(flat); p++) {
		bool gap = *p == ' ' || *p == '\n';

		if (!gap || (n && flat[n - 1] != ' '))
			flat[n++] = gap ? ' ' : *p;
	}
	flat[n] = '\0';
	return strstr(flat, words) != NULL;
}

bool conf_said(const char *words)
{
	return told(ctl_err, words) || told(ctl_out, words);
}

bool conf_set(struct rig *rig, const char *text)
{
	conf_put(rig, DROPIN "50-test.conf", text);
	return conf_reload(rig);
}
