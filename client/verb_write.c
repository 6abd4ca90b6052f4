/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * write: files into partitions; write-flash: into places that have addresses. What fits where is the
 * daemon's to say, before anything is written.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/ask.h"
#include "client/change.h"
#include "client/package.h"
#include "client/read.h"
#include "common/format.h"
#include "common/names.h"
#include "common/util.h"
#include "flash/partition.h"

#define FILES_MAX 64
#define JOB_FILES 16 /* descriptors that a message may carry on the system bus */

enum { OPT_NV = 1 };

static const struct verb_opt options[] = {
	{ "nv", OPT_NV, N_("POLICY"), N_("keep (default), keep-if-any, package: as in the file"), false },
	CHANGE_OPTIONS,
	{ 0 },
};

struct file {
	char target[40];
	const char *path;
	uint64_t size;
	int fd;
	bool done; /* and what the job says of it */
	char verdict[24];
	uint64_t sent, compared;
};

struct wish {
	struct change_wish change;
	const char *nv;
	struct file file[FILES_MAX];
	size_t count;
	char device[128]; /* object path of the phone, once a job has run */
};

/* ---- files ---- */

static int complain(const struct client *c, const char *path, const char *text)
{
	struct failure why = { .error = ERR_INVALID_IMAGE, .code = -1 };

	snprintf(why.detail, sizeof(why.detail), "%.180s: %.60s", path, text);
	return client_complain(c, &why);
}

/* Said here, where the name is known; the daemon looks for itself. */
static int open_file(const struct client *c, struct file *f)
{
	struct stat st;

	/* a pipe that nobody writes to is not waited for */
	f->fd = open(f->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (f->fd < 0 || fstat(f->fd, &st) < 0)
		return complain(c, f->path, strerror(errno));
	if (S_ISDIR(st.st_mode))
		return complain(c, f->path, _("it is a folder"));
	if (!S_ISREG(st.st_mode))
		return complain(c, f->path, _("it is a pipe or a device; a file is read twice"));
	if (!st.st_size)
		return complain(c, f->path, _("it is empty"));
	f->size = (uint64_t)st.st_size;
	return 0;
}

/* An address, in any writing, as the daemon takes it. */
static bool take_target(struct file *f, const char *text)
{
	unsigned long long value;
	char *end;

	if (!isdigit((unsigned char)*text)) {
		snprintf(f->target, sizeof(f->target), "%s", text);
		return *text && strlen(text) < sizeof(f->target);
	}
	errno = 0;
	value = strtoull(text, &end, 0);
	snprintf(f->target, sizeof(f->target), "0x%08llx", value);
	return !errno && !*end && value <= UINT32_MAX;
}

static int take_files(const struct client *c, struct wish *w, bool addresses, int argc, char **argv)
{
	int rc = 0;

	if (argc < 2 || argc % 2 || argc / 2 > FILES_MAX)
		return addresses
			       ? client_usage(N_("write-flash: which? ADDRESS FILE, up to %d times"),
					      FILES_MAX)
			       : client_usage(N_("write: which? PARTITION FILE, up to %d times"), FILES_MAX);
	for (int i = 0; i < argc && !rc; i += 2) {
		struct file *f = &w->file[w->count];

		if (!take_target(f, argv[i]) || (addresses && f->target[0] != '0'))
			return addresses ? client_usage(N_("write-flash: '%s' is no address"), argv[i])
					 : client_usage(N_("write: '%s' is no name of a partition"), argv[i]);
		f->path = argv[i + 1];
		f->fd = -1;
		w->count++;
		rc = open_file(c, f);
	}
	return rc;
}

/* ---- the job ---- */

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static int begin(struct client *c, const struct wish *w, const struct change_wish *change, size_t from,
		 size_t count, char **job)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	int rc = 0, r = sd_bus_message_new_method_call(c->bus, &m, FDLD_BUS_NAME, change->path,
						       FDLD_IFACE_SLOT, "Write");

	if (r >= 0)
		r = sd_bus_message_open_container(m, 'a', "(shs)");
	for (size_t i = from; r >= 0 && i < from + count; i++)
		r = sd_bus_message_append(m, "(shs)", w->file[i].target, w->file[i].fd,
					  base_name(w->file[i].path));
	if (r >= 0)
		r = sd_bus_message_close_container(m);
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'a', "{sv}");
	if (r >= 0)
		r = ask_text(m, "nv", w->nv);
	if (r >= 0)
		r = change_put(c, m, change, &rc);
	if (rc)
		return rc;
	if (r >= 0)
		r = sd_bus_message_close_container(m);
	return ask_path(c, m, r, job);
}

/* What is going to be replaced, for whoever is asked. */
static void describe(const struct wish *w, char *text, size_t size)
{
	size_t used = (size_t)snprintf(text, size, "%s", _("Written to the phone:"));

	for (size_t i = 0; i < w->count && used < size; i++) {
		const struct file *f = &w->file[i];
		enum partition_class class = partition_class(f->target);
		char bytes[FORMAT_MAX];

		used += (size_t)snprintf(text + used, size - used, "%s%s (%.100s, %s)", i ? ", " : " ",
					 clean(f->target), clean(base_name(f->path)),
					 format_size(f->size, bytes, sizeof(bytes)));
		if (class == PARTITION_GENERIC || used >= size)
			continue;
		used += (size_t)snprintf(text + used, size - used, " [%s]",
					 class == PARTITION_OWN ? _("this phone's own, kept before")
								: _("the phone does not start without it"));
	}
}

/* ---- what came of it ---- */

/* What the job says of this place. */
static json_object *entry_of(const struct client *c, const char *job, const struct file *f)
{
	json_object *result = NULL, *entries = NULL;

	json_object_object_get_ex(mirror_props(c, job, FDLD_IFACE_JOB), "Result", &result);
	json_object_object_get_ex(result, "entries", &entries);
	for (size_t i = 0; entries && i < json_object_array_length(entries); i++) {
		json_object *e = json_object_array_get_idx(entries, i);

		if (!strncmp(prop_str(e, "op"), "write", 5) && !strcmp(prop_str(e, "entry"), f->target))
			return e;
	}
	return NULL;
}

static void take_results(const struct client *c, const char *job, struct file *f, size_t count)
{
	for (; count; f++, count--) {
		json_object *e = entry_of(c, job, f);

		f->done = true;
		snprintf(f->verdict, sizeof(f->verdict), "%s", prop_str(e, "verdict"));
		f->sent = prop_u64(e, "bytes_sent");
		f->compared = prop_u64(e, "bytes_compared");
	}
}

static void say_files(const struct client *c, const struct wish *w)
{
	json_object *o, *list;
	char size[FORMAT_MAX];

	for (size_t i = 0; !c->json && i < w->count && w->file[i].done; i++)
		printf("      %s  %10s  %s\n", padded(clean(w->file[i].target), 24),
		       format_size(w->file[i].sent, size, sizeof(size)),
		       !strcmp(w->file[i].verdict, "verified") ? _("written and compared") : _("written"));
	if (!c->json)
		return;
	o = json_object_new_object();
	list = json_object_new_array();
	for (size_t i = 0; i < w->count && w->file[i].done; i++) {
		const struct file *f = &w->file[i];
		json_object *row = json_object_new_object();

		json_object_object_add(row, "area", json_object_new_string(f->target));
		json_object_object_add(row, "path", json_object_new_string(f->path));
		json_object_object_add(row, "verdict", json_object_new_string(f->verdict));
		json_object_object_add(row, "bytes_sent", json_object_new_uint64(f->sent));
		json_object_object_add(row, "bytes_compared", json_object_new_uint64(f->compared));
		json_object_array_add(list, row);
	}
	json_object_object_add(o, "event", json_object_new_string("files"));
	json_object_object_add(o, "files", list);
	print_json(o);
	json_object_put(o);
}

/*
 * All files, in as many jobs as the bus makes of it. look: nothing is written, and nothing told but what is
 * refused. The first job is given the loaders, the others the phone that runs them.
 */
static int run_jobs(struct client *c, struct wish *w, struct change_wish *change, bool look)
{
	const char *end = change->end;
	int rc = 0;

	for (size_t at = 0; at < w->count && !rc; at += JOB_FILES) {
		size_t n = MIN(w->count - at, (size_t)JOB_FILES);
		_cleanup_free_ char *job = NULL;

		change->dry_run = look || w->change.dry_run;
		change->end = look || at + n < w->count ? NULL : end;
		rc = begin(c, w, change, at, n, &job);
		if (!rc)
			rc = look ? table_follow(c, job)
				  : follow_jobs(c, (const char *const[]){ job }, 1, true);
		if (!rc && w->change.dry_run)
			rc = package_print_decided(c, job);
		else if (!rc && !look)
			take_results(c, job, &w->file[at], n);
		snprintf(w->device, sizeof(w->device), "%s",
			 prop_str(mirror_props(c, change->path, FDLD_IFACE_SLOT), "Device"));
		change->expect = w->device;
		change->loader = NULL;
		change->has_wait = true;
		change->wait_usec = 0;
	}
	change->end = end;
	return rc;
}

static int write_them(struct client *c, struct wish *w, const char *verb)
{
	struct change_wish change;
	char text[4096];
	int rc = change_begin(c, &w->change, verb);

	if (!rc) {
		describe(w, text, sizeof(text));
		rc = change_confirm(c, &w->change, text);
	}
	if (rc)
		return rc;
	change = w->change;
	/* several jobs: what the last of them would be refused for is found before the first one writes */
	if (w->count > JOB_FILES && !w->change.dry_run) {
		if (!c->json)
			printf(_("More than %d files: they are looked at first, then written in several jobs.\n"),
			       JOB_FILES);
		rc = run_jobs(c, w, &change, true);
	}
	if (!rc)
		rc = run_jobs(c, w, &change, false);
	if (!w->change.dry_run && (!rc || w->file[0].done))
		say_files(c, w);
	if (!rc && !c->json)
		read_say_kept(c, w->change.path);
	return rc;
}

static int run(struct client *c, const struct verb *verb, int argc, char **argv)
{
	struct wish w = { 0 };
	int opt, rc;

	while ((opt = verb_next(c, verb, argc, argv, &rc)) != -1) {
		if (opt == -2)
			return rc;
		if (opt == OPT_NV)
			w.nv = optarg;
		rc = change_take(&w.change, opt);
		if (rc)
			return rc;
	}
	if (c->host)
		return client_usage(
			N_("%s: files do not come through ssh; copy them to %s and write them there"),
			verb->name, c->host);
	rc = take_files(c, &w, verb == &verb_write_flash, argc - optind, argv + optind);
	if (!rc)
		rc = write_them(c, &w, verb->name);
	for (size_t i = 0; i < w.count; i++)
		if (w.file[i].fd >= 0)
			close(w.file[i].fd);
	change_drop(&w.change);
	return rc;
}

static int run_write(struct client *c, int argc, char **argv)
{
	return run(c, &verb_write, argc, argv);
}

static int run_write_flash(struct client *c, int argc, char **argv)
{
	return run(c, &verb_write_flash, argc, argv);
}

const struct verb verb_write = {
	.name = "write",
	.args = N_("PARTITION FILE..."),
	.summary = N_("write files into partitions"),
	.about = N_(
		"Writes each FILE into its PARTITION once all of them were checked against the phone's table: they are "
		"there, and large enough. The phone stays in its loader for the next command."),
	.options = options,
	.operand = OPERAND_WRITE,
	.beside = "flash",
	.run = run_write,
};

const struct verb verb_write_flash = {
	.name = "write-flash",
	.args = N_("ADDRESS FILE..."),
	.summary = N_("write files to addresses"),
	.about = N_(
		"Writes each FILE to its ADDRESS, of phones whose storage has no names: a flash address, or a number that "
		"stands for an area."),
	.options = options,
	.operand = OPERAND_WRITE,
	.beside = "flash",
	.run = run_write_flash,
};
