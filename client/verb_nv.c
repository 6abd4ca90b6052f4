/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * nv: the backups of calibration and identity that the daemon keeps, those first that are owed to a phone.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "client/sheet.h"
#include "common/format.h"
#include "common/names.h"
#include "common/util.h"

enum { OPT_SLOT = 1, OPT_UNIT, OPT_NAME, OPT_FULL };

static const struct verb_opt options[] = {
	{ "slot", OPT_SLOT, N_("SLOT"), N_("list: only of this port"), false },
	{ "unit", OPT_UNIT, N_("UNIT"), N_("list: only of the phone whose identity begins so"), false },
	{ "full", OPT_FULL, NULL, N_("list: identities of phones in full"), false },
	{ "name", OPT_NAME, N_("NAME"), N_("export: only this file of the backup"), false },
	{ 0 },
};

struct query {
	struct client *c;
	const char *slot, *unit, *name;
	bool full;
	uint64_t shown;
	/* of an export */
	uint64_t job;
	json_object *found; /* the line of that job */
};

static int fetch(struct query *q, bool (*fn)(void *user, json_object *line))
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
	_cleanup_free_ char *text = NULL, *slot = NULL;
	int r, rc;

	m = sheet_call(q->c, q->c->host ? "BackupsText" : "Backups", &rc);
	if (!m)
		return rc;
	if (q->slot)
		slot = sheet_slot(q->c, q->slot);
	r = sd_bus_message_open_container(m, 'a', "{sv}");
	if (r >= 0)
		r = sheet_text(m, "slot", slot);
	if (r >= 0)
		r = sheet_text(m, "unit", q->unit);
	if (r >= 0)
		r = sheet_flag(m, "full", q->full);
	if (r >= 0)
		r = sd_bus_message_close_container(m);
	if (r >= 0)
		r = client_ask(q->c, m, &error, &reply);
	if (r >= 0)
		r = sheet_take(reply, &text);
	if (r < 0)
		return client_complain_bus(q->c, &error, r);
	return text && sheet_each(text, fn, q) ? 0 : sheet_nonsense(q->c);
}

/* ---- list ---- */

static bool show(void *user, json_object *line)
{
	struct query *q = user;
	json_object *files = NULL;
	char at[32], text[160] = "";
	bool owed = prop_bool(line, "owed");
	size_t len = 0;

	q->shown++;
	if (q->c->json) {
		print_json(line);
		return true;
	}
	json_object_object_get_ex(line, "files", &files);
	for (size_t i = 0; files && i < json_object_array_length(files) && len < sizeof(text); i++) {
		json_object *f = json_object_array_get_idx(files, i);
		char size[FORMAT_MAX];

		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s (%s)", i ? ", " : "",
					prop_text(f, "name"),
					format_size(prop_u64(f, "size"), size, sizeof(size)));
	}
	if (q->shown == 1)
		printf("%-6s %-16s %-24s %-8s %s %s\n", _("JOB"), _("ENDED"), _("SLOT"), _("UNIT"),
		       padded(_("OWED"), 6), _("FILES"));
	printf("%-6" PRIu64 " %-16s %s %-8s %s %s\n", prop_u64(line, "job"),
	       sheet_time(prop_u64(line, "finished_at"), at, sizeof(at)), padded(prop_text(line, "slot"), 24),
	       *prop_str(line, "unit") ? prop_text(line, "unit") : "-",
	       tone(q->c, owed ? TONE_WARN : TONE_PLAIN, padded(owed ? _("owed") : "-", 6)), text);
	return true;
}

static int list(struct query *q)
{
	int rc = fetch(q, show);

	if (!rc && !q->shown && !q->c->json)
		puts(_("No backups."));
	return rc;
}

/* ---- export ---- */

static bool find(void *user, json_object *line)
{
	struct query *q = user;

	if (prop_u64(line, "job") != q->job)
		return true;
	q->found = json_object_get(line);
	return false;
}

static int complain(const struct client *c, enum error_id id, const char *what, int err)
{
	struct failure why = { .error = id, .code = -1 };

	snprintf(why.detail, sizeof(why.detail), "%s%s%s", what, err ? ": " : "", err ? strerror(err) : "");
	return client_complain(c, &why);
}

/* 0 or an exit code. */
static int call_export(struct query *q, const char *name, int fd, uint64_t *bytes)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
	int r, rc;

	m = sheet_call(q->c, "ExportBackup", &rc);
	if (!m)
		return rc;
	r = sd_bus_message_append(m, "tsha{sv}", q->job, name, fd, 0);
	if (r >= 0)
		r = client_ask(q->c, m, &error, &reply);
	if (r >= 0)
		r = sd_bus_message_read(reply, "t", bytes);
	return r < 0 ? client_complain_bus(q->c, &error, r) : 0;
}

/* A new file that only its owner can read; what is there already is never touched. */
static int export_one(struct query *q, const char *name, const char *path)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	char size[FORMAT_MAX];
	uint64_t bytes = 0;
	int rc;

	if (fd < 0)
		return complain(q->c, ERR_INVALID_ARGS, path, errno);
	rc = fchmod(fd, 0600) < 0 ? complain(q->c, ERR_INVALID_ARGS, path, errno)
				  : call_export(q, name, fd, &bytes);
	if (!rc && fsync(fd) < 0)
		rc = complain(q->c, ERR_STORE_FAILED, path, errno);
	if (rc) {
		(void)unlink(path);
		return rc;
	}
	if (q->c->json) {
		json_object *o = json_object_new_object();

		json_object_object_add(o, "job", json_object_new_uint64(q->job));
		json_object_object_add(o, "name", json_object_new_string(name));
		json_object_object_add(o, "path", json_object_new_string(path));
		json_object_object_add(o, "bytes", json_object_new_uint64(bytes));
		print_json(o);
		json_object_put(o);
	} else {
		printf("%s  %s\n", clean(path), format_size(bytes, size, sizeof(size)));
	}
	return 0;
}

/* Names are the daemon's; none of them leads out of the folder. */
static bool plain(const char *name)
{
	return *name && *name != '.' && !strchr(name, '/');
}

static int export_found(struct query *q, const char *path, bool folder)
{
	json_object *files = NULL;
	size_t count, done = 0;
	char to[4200];
	int rc = 0;

	json_object_object_get_ex(q->found, "files", &files);
	count = files ? json_object_array_length(files) : 0;
	if (!folder && !q->name && count > 1)
		return client_usage(
			N_("nv export: the backup has several files; name a folder, or one with --name"));
	for (size_t i = 0; i < count && !rc; i++) {
		const char *name = prop_str(json_object_array_get_idx(files, i), "name");

		if (!plain(name) || (q->name && strcmp(q->name, name) != 0))
			continue;
		snprintf(to, sizeof(to), "%s%s%s", path, folder ? "/" : "", folder ? name : "");
		rc = export_one(q, name, to);
		done++;
	}
	return rc || done ? rc : complain(q->c, ERR_NO_SUCH_BACKUP, q->name ? q->name : "", 0);
}

static int export(struct query *q, const char *job, const char *path)
{
	struct stat st;
	bool folder;
	char *end;
	int rc;

	errno = 0;
	q->job = strtoull(job, &end, 10);
	if (errno || !*job || *end || !q->job)
		return client_usage(N_("'%s' is no number"), job);
	folder = stat(path, &st) == 0;
	if (folder && !S_ISDIR(st.st_mode)) /* a terminal, a pipe, or a file that somebody wants to keep */
		return complain(q->c, ERR_INVALID_ARGS, path, EEXIST);
	rc = fetch(q, find);
	if (!rc && !q->found)
		return complain(q->c, ERR_NO_SUCH_BACKUP, job, 0);
	if (!rc)
		rc = export_found(q, path, folder);
	json_object_put(q->found);
	return rc;
}

static int run(struct client *c, int argc, char **argv)
{
	struct query q = { .c = c };
	int opt, rc;

	while ((opt = verb_next(c, &verb_nv, argc, argv, &rc)) != -1)
		switch (opt) {
		case -2: return rc;
		case OPT_SLOT: q.slot = optarg; break;
		case OPT_UNIT: q.unit = optarg; break;
		case OPT_NAME: q.name = optarg; break;
		case OPT_FULL: q.full = true; break;
		default: break;
		}
	argc -= optind;
	argv += optind;
	if (argc == 1 && !strcmp(argv[0], "list"))
		return list(&q);
	if (argc == 3 && !strcmp(argv[0], "export") && c->host)
		return client_usage(
			N_("nv: files do not come through ssh; export it on %s and copy it from there"),
			c->host);
	if (argc == 3 && !strcmp(argv[0], "export"))
		return export(&q, argv[1], argv[2]);
	return client_usage(N_("nv: list, or export JOB PATH"));
}

const struct verb verb_nv = {
	.name = "nv",
	.args = "list",
	.more = N_("export [--name NAME] JOB PATH"),
	.summary = N_("backups of calibration and identity"),
	.about = N_(
		"list shows the backups that are kept: those first that are owed, because their phone has not got "
		"them back yet. export copies a job's backup into a folder, or one file of it into a new file, "
		"for its owner's eyes only."),
	.options = options,
	.operand = OPERAND_BACKUP,
	.beside = "history",
	.run = run,
};
