/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * read: areas of a phone's storage into files or down a pipe.
 * A file gets its name when all of it is there, and never before.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "client/ask.h"
#include "client/read.h"
#include "common/format.h"
#include "common/names.h"
#include "common/util.h"

enum { OPT_SLOT = 1, OPT_OUTPUT, OPT_LOADER, OPT_END, OPT_REPLACE, OPT_FORCE, OPT_WAIT };

static const struct verb_opt read_options[] = {
	{ "slot", OPT_SLOT, N_("SLOT"), N_("this port; without it the only one with a phone"), false },
	{ "output", OPT_OUTPUT, N_("FILE"), N_("into this file or folder; -: standard output"), false },
	{ "loader", OPT_LOADER, N_("LOADER"), N_("a stored pair, or a package whose loaders to use"), false },
	{ "end", OPT_END, N_("ACTION"), N_("stay (default), reset, power-off"), false },
	{ "wait", OPT_WAIT, N_("SECONDS"), N_("how long to wait for a phone (600; 0: do not)"), false },
	{ "replace", OPT_REPLACE, NULL, N_("replace files that are there"), false },
	{ "force-loaders", OPT_FORCE, NULL, N_("take loaders that are not of one family"), false },
	{ 0 },
};

/* ---- areas ---- */

static bool number(const char **text, uint64_t *value)
{
	char *end;

	if (!isdigit((unsigned char)**text))
		return false;
	errno = 0;
	*value = strtoull(*text, &end, 0);
	if (errno)
		return false;
	switch (*end) {
	case 'K': *value <<= 10, end++; break;
	case 'M': *value <<= 20, end++; break;
	case 'G': *value <<= 30, end++; break;
	default: break;
	}
	*text = end;
	return *value <= UINT64_MAX / 4;
}

bool read_area_parse(const char *text, struct read_area *area)
{
	size_t name = strcspn(text, ":+");
	const char *at = text + name;
	uint64_t value;

	memset(area, 0, sizeof(*area));
	area->text = text;
	area->fd = -1;
	if (!name || name >= sizeof(area->target))
		return false;
	memcpy(area->target, text, name);
	if (isdigit((unsigned char)*text)) { /* an address, in any writing */
		const char *end = text;

		if (!number(&end, &value) || end != at)
			return false;
		snprintf(area->target, sizeof(area->target), "0x%08" PRIx64, value);
	}
	if (*at == ':') {
		at++;
		if (*at != '+' && !number(&at, &area->offset))
			return false;
	}
	if (!strcmp(at, "+auto")) {
		area->size = UINT64_MAX;
		return true;
	}
	if (*at == '+') {
		at++;
		if (!number(&at, &area->size) || !area->size)
			return false;
	}
	return !*at;
}

/* ---- files ---- */

static int complain(const struct client *c, const char *what, int err)
{
	struct failure why = { .error = ERR_TARGET_FAILED, .code = -1 };

	snprintf(why.detail, sizeof(why.detail), "%s: %s", what, strerror(err));
	return client_complain(c, &why);
}

int read_area_open(const struct client *c, struct read_area *a, const char *path, bool replace)
{
	if (asprintf(&a->path, "%s", path) < 0 || asprintf(&a->part, "%s.part", path) < 0)
		return error_entry(ERR_INTERNAL)->exit_code;
	if (!replace && access(path, F_OK) == 0)
		return complain(c, path, EEXIST);
	/* never the same file again: a job whose client has died may still be writing to it */
	(void)unlink(a->part);
	a->fd = open(a->part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	return a->fd < 0 ? complain(c, a->part, errno) : 0;
}

/* A name made of what the area is called: never a way out of the folder. */
void read_area_name(const struct read_area *a, char *buf, size_t size)
{
	snprintf(buf, size, "%s.img", a->text);
	for (char *p = buf; *p; p++)
		if (*p == '/' || *p == ':' || *p == '+')
			*p = '-';
	if (*buf == '.')
		*buf = '_';
}

int read_area_keep(const struct client *c, struct read_area *a)
{
	char *slash = a->path ? strrchr(a->path, '/') : NULL;
	int dir;

	if (!a->part)
		return 0;
	if (rename(a->part, a->path) < 0)
		return complain(c, a->path, errno);
	free(TAKE_PTR(a->part));
	/* the bytes are on the disk since the daemon has synced them; the name is not */
	if (slash)
		*slash = 0;
	dir = open(slash ? (*a->path ? a->path : "/") : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (slash)
		*slash = '/';
	if (dir >= 0) {
		(void)fsync(dir);
		close(dir);
	}
	return 0;
}

void read_area_drop(struct read_area *a)
{
	if (a->fd >= 0)
		close(a->fd);
	a->fd = -1;
	if (a->part)
		(void)unlink(a->part);
	free(TAKE_PTR(a->part));
	free(TAKE_PTR(a->path));
}

/* ---- the job ---- */

int read_begin(struct client *c, const struct read_wish *w, struct read_area *areas, size_t count, char **job)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	_cleanup_free_ char *loader = NULL;
	int r, rc = w->loader ? ask_package(c, w->loader, &loader) : 0;

	if (rc)
		return rc;
	r = sd_bus_message_new_method_call(c->bus, &m, FDLD_BUS_NAME, w->slot, FDLD_IFACE_SLOT, "Read");
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'a', "(stth)");
	for (size_t i = 0; r >= 0 && i < count; i++)
		r = sd_bus_message_append(m, "(stth)", areas[i].target, areas[i].offset, areas[i].size,
					  areas[i].fd);
	if (r >= 0)
		r = sd_bus_message_close_container(m);
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'a', "{sv}");
	if (r >= 0)
		r = ask_text(m, "loader", loader);
	if (r >= 0)
		r = ask_text(m, "end", w->end);
	if (r >= 0)
		r = ask_flag(m, "force_loaders", w->force_loaders);
	if (r >= 0 && w->expect)
		r = sd_bus_message_append(m, "{sv}", "expect_device", "o", w->expect);
	if (r >= 0 && w->has_wait)
		r = sd_bus_message_append(m, "{sv}", "wait_usec", "t", w->wait_usec);
	if (r >= 0)
		r = sd_bus_message_close_container(m);
	rc = ask_path(c, m, r, job);
	for (size_t i = 0; i < count;
	     i++) { /* whoever reads the other end learns that it is over from us, too */
		close(areas[i].fd);
		areas[i].fd = -1;
	}
	return rc;
}

void read_sums(const struct client *c, const char *job, struct read_area *areas, size_t count)
{
	json_object *result = NULL, *entries = NULL;
	size_t at = 0;

	json_object_object_get_ex(mirror_props(c, job, FDLD_IFACE_JOB), "Result", &result);
	json_object_object_get_ex(result, "entries", &entries);
	for (size_t i = 0; entries && i < json_object_array_length(entries) && at < count; i++) {
		json_object *e = json_object_array_get_idx(entries, i);

		if (strcmp(prop_str(e, "op"), "read") != 0)
			continue;
		areas[at].bytes = prop_u64(e, "bytes_read");
		snprintf(areas[at].sha256, sizeof(areas[at].sha256), "%s", prop_str(e, "sha256"));
		at++;
	}
}

static int run_one(struct client *c, const struct read_wish *w, struct read_area *areas, size_t count)
{
	_cleanup_free_ char *job = NULL;
	int rc = read_begin(c, w, areas, count, &job);

	if (!rc)
		rc = follow_jobs(c, (const char *const[]){ job }, 1, true);
	if (rc)
		return rc;
	read_sums(c, job, areas, count);
	for (size_t i = 0; i < count && !rc; i++)
		rc = read_area_keep(c, &areas[i]);
	return rc;
}

int read_run(struct client *c, const struct read_wish *w, struct read_area *areas, size_t count)
{
	struct read_wish one = *w;
	char device[128];
	int rc = 0;

	for (size_t at = 0; at < count && !rc; at += READ_JOB_MAX) {
		size_t n = MIN(count - at, (size_t)READ_JOB_MAX);

		one.end = at + n == count ? w->end : NULL;
		rc = run_one(c, &one, areas + at, n);
		/* from here on with the loader that runs there, and no other phone */
		snprintf(device, sizeof(device), "%s",
			 prop_str(mirror_props(c, w->slot, FDLD_IFACE_SLOT), "Device"));
		one.loader = NULL;
		one.expect = device;
		one.has_wait = true;
		one.wait_usec = 0;
	}
	return rc;
}

static const char *clock_text(uint64_t usec, char *buf, size_t size)
{
	time_t at = (time_t)(usec / 1000000u);
	struct tm tm;

	if (!localtime_r(&at, &tm) || !strftime(buf, size, "%H:%M:%S", &tm))
		*buf = 0;
	return buf;
}

void read_say_kept(const struct client *c, const char *slot)
{
	json_object *place = mirror_props(c, slot, FDLD_IFACE_SLOT);
	json_object *device = mirror_props(c, prop_str(place, "Device"), FDLD_IFACE_DEVICE);
	uint64_t until = prop_u64(device, "KeptUntil");
	char text[256], at[32];

	if (!until)
		return;
	if (until == UINT64_MAX)
		snprintf(text, sizeof(text),
			 _("The phone stays in its loader for the next command. To end that: fdlctl reset"));
	else
		snprintf(
			text, sizeof(text),
			_("The phone stays in its loader for the next command, until %s. To end that before: fdlctl reset"),
			clock_text(until, at, sizeof(at)));
	print_wrapped(stdout, "      ", text);
}

/* ---- read ---- */

static json_object *as_json(const struct read_area *a)
{
	json_object *o = json_object_new_object();

	json_object_object_add(o, "area", json_object_new_string(a->text));
	json_object_object_add(o, "path", json_object_new_string(a->path ? a->path : "-"));
	json_object_object_add(o, "bytes", json_object_new_uint64(a->bytes));
	json_object_object_add(o, "sha256", json_object_new_string(a->sha256));
	return o;
}

void read_say_files(const struct client *c, const struct read_area *areas, size_t count)
{
	json_object *o, *list;
	char size[FORMAT_MAX];

	if (!c->json) {
		for (size_t i = 0; i < count; i++)
			printf("      %s  %10s  sha256 %s\n",
			       padded(areas[i].path ? clean(areas[i].path) : "-", 24),
			       format_size(areas[i].bytes, size, sizeof(size)), areas[i].sha256);
		return;
	}
	o = json_object_new_object();
	list = json_object_new_array();
	for (size_t i = 0; i < count; i++)
		json_object_array_add(list, as_json(&areas[i]));
	json_object_object_add(o, "event", json_object_new_string("files"));
	json_object_object_add(o, "files", list);
	print_json(o);
	json_object_put(o);
}

/* Standard output takes the bytes; what is told goes to the other one from here on. */
static int open_pipe(struct client *c, struct read_area *a)
{
	if (isatty(STDOUT_FILENO))
		return client_usage(N_("read: standard output is a terminal: name a file with --output"));
	a->fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	if (a->fd < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
		return complain(c, "-", errno);
	c->tty = isatty(STDOUT_FILENO);
	return 0;
}

static int open_all(struct client *c, struct read_area *areas, size_t count, const char *output, bool replace)
{
	struct stat st;
	bool folder = output && stat(output, &st) == 0 && S_ISDIR(st.st_mode);
	int rc = 0;

	if (output && !strcmp(output, "-"))
		return count == 1 ? open_pipe(c, areas)
				  : client_usage(N_("read: one area at a time to standard output"));
	if (output && !folder && count > 1)
		return client_usage(N_("read: several areas go into a folder, and '%s' is none"), output);
	for (size_t i = 0; i < count && !rc; i++) {
		char name[128], path[4400];

		read_area_name(&areas[i], name, sizeof(name));
		if (folder)
			snprintf(path, sizeof(path), "%s/%s", output, name);
		else
			snprintf(path, sizeof(path), "%s", output ? output : name);
		for (size_t k = 0; k < i; k++)
			if (!strcmp(areas[k].path, path))
				return client_usage(N_("read: '%s' and '%s' would be one file, %s"),
						    areas[k].text, areas[i].text, path);
		rc = read_area_open(c, &areas[i], path, replace);
	}
	return rc;
}

static int take_areas(struct read_area *areas, size_t *count, int argc, char **argv)
{
	if (argc < 1 || argc > READ_AREAS_MAX)
		return client_usage(N_("read: which areas? NAME, NAME:OFFSET+SIZE or ADDRESS+SIZE, 1 to %d"),
				    READ_AREAS_MAX);
	for (int i = 0; i < argc; i++)
		if (!read_area_parse(argv[i], &areas[(*count)++]))
			return client_usage(N_("read: '%s' is no area: NAME, NAME:OFFSET+SIZE, ADDRESS+SIZE"),
					    argv[i]);
	return 0;
}

static int read_them(struct client *c, struct read_wish *w, struct read_area *areas, size_t count,
		     const char *slot, const char *output, bool replace)
{
	_cleanup_free_ char *path = NULL;
	size_t had = 0;
	int rc = open_all(c, areas, count, output, replace);

	if (!rc)
		rc = mirror_load(c);
	if (!rc)
		rc = slot ? ask_slot(c, slot, &path) : ask_only_slot(c, "read", &path);
	w->slot = path;
	if (!rc)
		rc = read_run(c, w, areas, count);
	/* where a later job has failed: what those before it have brought */
	while (rc && had < count && areas[had].path && !areas[had].part)
		had++;
	if (!rc || had)
		read_say_files(c, areas, rc ? had : count);
	if (!rc && !c->json)
		read_say_kept(c, path);
	return rc;
}

static int run_read(struct client *c, int argc, char **argv)
{
	struct read_area areas[READ_AREAS_MAX];
	const char *slot = NULL, *output = NULL;
	struct read_wish w = { 0 };
	bool replace = false;
	size_t count = 0;
	int opt, rc;

	while ((opt = verb_next(c, &verb_read, argc, argv, &rc)) != -1)
		switch (opt) {
		case -2: return rc;
		case OPT_SLOT: slot = optarg; break;
		case OPT_OUTPUT: output = optarg; break;
		case OPT_LOADER: w.loader = optarg; break;
		case OPT_END: w.end = optarg; break;
		case OPT_REPLACE: replace = true; break;
		case OPT_FORCE: w.force_loaders = true; break;
		case OPT_WAIT:
			w.has_wait = true;
			rc = ask_seconds(optarg, &w.wait_usec);
			if (rc)
				return rc;
			break;
		default: break;
		}
	if (c->host)
		return client_usage(
			N_("read: files do not come through ssh; read on %s and copy it from there"),
			c->host);
	rc = take_areas(areas, &count, argc - optind, argv + optind);
	if (!rc)
		rc = read_them(c, &w, areas, count, slot, output, replace);
	for (size_t i = 0; i < count; i++)
		read_area_drop(&areas[i]);
	return rc;
}

const struct verb verb_read = {
	.name = "read",
	.args = N_("AREA..."),
	.summary = N_("a phone's storage into files"),
	.about = N_(
		"Reads partitions (NAME), parts of them (NAME:OFFSET+SIZE) or flash (ADDRESS+SIZE; K, M and G count) "
		"into files NAME.img. The phone is not changed, and stays in its loader for the next command."),
	.options = read_options,
	.operand = OPERAND_NONE,
	.run = run_read,
};

int read_release(struct client *c, const char *slot, bool off)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	_cleanup_free_ char *job = NULL;
	int rc, r;

	r = sd_bus_message_new_method_call(c->bus, &m, FDLD_BUS_NAME, slot, FDLD_IFACE_SLOT, "Reset");
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'a', "{sv}");
	if (r >= 0)
		r = sd_bus_message_append(m, "{sv}", "wait_usec", "t", UINT64_C(0));
	if (r >= 0)
		r = ask_flag(m, "power_off", off);
	if (r >= 0)
		r = sd_bus_message_close_container(m);
	rc = ask_path(c, m, r, &job);
	return rc ? rc : follow_jobs(c, (const char *const[]){ job }, 1, true);
}
