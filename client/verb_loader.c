/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * loader: pairs of loaders that the service keeps, and what two files tell.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "client/client.h"
#include "client/loader_file.h"
#include "client/sheet.h"
#include "common/format.h"
#include "common/names.h"
#include "common/util.h"

enum { OPT_NAME = 1, OPT_FDL1, OPT_FDL2, OPT_FORCE, OPT_BAD_CRC };

static const struct verb_opt options[] = {
	{ "name", OPT_NAME, N_("NAME"), N_("import: what it is to be called"), false },
	{ "fdl1", OPT_FDL1, N_("FILE@ADDRESS"), N_("import: the first loader, instead of a package"), false },
	{ "fdl2", OPT_FDL2, N_("FILE@ADDRESS"), N_("import: the second loader"), false },
	{ "force-loaders", OPT_FORCE, NULL, N_("import: though they are for two families"), false },
	{ "accept-bad-crc", OPT_BAD_CRC, NULL, N_("import: though its check sums are wrong"), false },
	{ 0 },
};

struct wish {
	const char *name, *fdl[2];
	bool force, bad_crc;
};

/* ---- what is shown ---- */

static json_object *part_of(json_object *loader, size_t index)
{
	json_object *parts = NULL;

	json_object_object_get_ex(loader, "Parts", &parts);
	return parts && index < json_object_array_length(parts) ? json_object_array_get_idx(parts, index)
								: NULL;
}

static const char *addresses(json_object *loader, char *buf, size_t size)
{
	size_t at = 0;
	json_object *part;

	buf[0] = '\0';
	for (size_t i = 0; (part = part_of(loader, i)) && at < size; i++)
		at += (size_t)snprintf(buf + at, size - at, "%s0x%" PRIx64, i ? " " : "",
				       prop_u64(part, "address"));
	return buf;
}

static const char *family_text(json_object *loader)
{
	return *prop_str(loader, "Family") ? prop_text(loader, "Family") : _("unknown");
}

static void print_row(const struct client *c, json_object *loader)
{
	const char *state = prop_str(loader, "State");
	char digest[13], at[64], text[128];

	snprintf(digest, sizeof(digest), "%.12s", prop_str(loader, "Digest"));
	if (!strcmp(state, "bad"))
		snprintf(text, sizeof(text), "%s %s", state, prop_text(loader, "ErrorName"));
	else
		snprintf(text, sizeof(text), "%s%s", clean(state),
			 prop_bool(loader, "Forced") ? _(", forced") : "");
	printf("%s %s %s %s %s\n", padded(clean(digest), 12), padded(prop_text(loader, "Name"), 32),
	       padded(family_text(loader), 12), padded(addresses(loader, at, sizeof(at)), 22),
	       tone(c, strcmp(state, "bad") ? TONE_PLAIN : TONE_BAD, text));
}

static int list(struct client *c)
{
	_cleanup_free_ const char **paths = NULL;
	json_object *array;
	char head[320];
	size_t count;
	int rc = mirror_load(c);

	if (rc)
		return rc;
	paths = mirror_paths(c, FDLD_IFACE_LOADER, &count);
	if (!paths)
		return error_entry(ERR_INTERNAL)->exit_code;
	if (c->json) {
		array = json_object_new_array();
		for (size_t i = 0; i < count; i++)
			json_object_array_add(array,
					      json_object_get(mirror_props(c, paths[i], FDLD_IFACE_LOADER)));
		print_json(array);
		json_object_put(array);
		return 0;
	}
	snprintf(head, sizeof(head), "%s %s %s %s %s", padded(_("DIGEST"), 12), padded(_("NAME"), 32),
		 padded(_("FAMILY"), 12), padded(_("ADDRESSES"), 22), _("STATE"));
	printf("%s\n", tone(c, TONE_BOLD, head));
	for (size_t i = 0; i < count; i++)
		print_row(c, mirror_props(c, paths[i], FDLD_IFACE_LOADER));
	return 0;
}

static void line(const char *what, const char *value)
{
	printf("%s %s\n", padded(what, 12), value);
}

static void show_parts(json_object *loader)
{
	json_object *part;

	for (size_t i = 0; (part = part_of(loader, i)); i++) {
		char name[8], size[FORMAT_MAX], text[320];

		snprintf(name, sizeof(name), "FDL%zu", i + 1);
		snprintf(text, sizeof(text), "0x%" PRIx64 "  %s  %s", prop_u64(part, "address"),
			 format_size(prop_u64(part, "size"), size, sizeof(size)), prop_text(part, "version"));
		line(name, text);
		line("", prop_text(part, "digest"));
	}
}

static int show(struct client *c, const char *path)
{
	json_object *loader, *list_of = NULL;
	char text[1024], buf[64];
	int rc = c->mirror ? 0 : mirror_load(c);

	if (rc)
		return rc;
	loader = mirror_props(c, path, FDLD_IFACE_LOADER);
	if (!loader)
		return client_complain(c, &(struct failure){ .error = ERR_NO_LOADER, .code = -1 });
	if (c->json) {
		print_json(loader);
		return 0;
	}
	line(_("Name"), prop_text(loader, "Name"));
	line(_("Digest"), prop_text(loader, "Digest"));
	snprintf(text, sizeof(text), *prop_str(loader, "Chips") ? "%s (%s): %s" : "%s", family_text(loader),
		 prop_text(loader, "Chips"), prop_text(loader, "FamilySure"));
	line(_("Family"), text);
	show_parts(loader);
	if (*prop_str(loader, "Origin"))
		line(_("From"), prop_text(loader, "Origin"));
	if (*prop_str(loader, "OriginDigest"))
		line("", prop_text(loader, "OriginDigest"));
	line(_("Imported"), sheet_time(prop_u64(loader, "ImportedAt"), buf, sizeof(buf)));
	snprintf(text, sizeof(text), "%s%s", prop_text(loader, "State"),
		 prop_bool(loader, "Forced") ? _(", forced") : "");
	line(_("State"), text);
	json_object_object_get_ex(loader, "Doubts", &list_of);
	for (size_t i = 0; list_of && i < json_object_array_length(list_of); i++)
		print_wrapped(stdout, "  ? ", json_object_get_string(json_object_array_get_idx(list_of, i)));
	if (*prop_str(loader, "ErrorName")) {
		json_object *details = NULL;

		json_object_object_get_ex(loader, "ErrorDetails", &details);
		print_wrapped(stdout, "",
			      words_job(prop_str(loader, "ErrorName"), details, text, sizeof(text)));
	}
	return 0;
}

/* ---- calls ---- */

/* The path of the one that is meant, for the caller to free. 0 or an exit code. */
static int path_of(struct client *c, const char *name, char **path)
{
	_cleanup_free_ const char **paths = NULL;
	size_t count, len = strlen(name), hits = 0;
	int rc = mirror_load(c);

	paths = rc ? NULL : mirror_paths(c, FDLD_IFACE_LOADER, &count);
	if (!paths)
		return rc ? rc : error_entry(ERR_INTERNAL)->exit_code;
	for (int pass = 0; pass < 2 && !hits; pass++)
		for (size_t i = 0; i < count; i++) {
			json_object *loader = mirror_props(c, paths[i], FDLD_IFACE_LOADER);
			bool hit = *name &&
				   (pass ? len >= 8 && !strncasecmp(prop_str(loader, "Digest"), name, len)
					 : !strcmp(prop_str(loader, "Name"), name));

			if (hit && !hits++)
				*path = strdup(paths[i]);
		}
	if (hits != 1) {
		struct failure why = { .error = hits ? ERR_LOADER_AMBIGUOUS : ERR_NO_LOADER, .code = -1 };

		free(TAKE_PTR(*path));
		snprintf(why.detail, sizeof(why.detail), "%.100s", name);
		return client_complain(c, &why);
	}
	return *path ? 0 : error_entry(ERR_INTERNAL)->exit_code;
}

static int remove_one(struct client *c, const char *path)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	int r = sd_bus_message_new_method_call(c->bus, &m, FDLD_BUS_NAME, path, FDLD_IFACE_LOADER, "Remove");

	if (r >= 0)
		r = sd_bus_message_append(m, "a{sv}", 0);
	if (r >= 0)
		r = client_ask(c, m, &error, NULL);
	return r < 0 ? client_complain_bus(c, &error, r) : 0;
}

/* "dir/phone.pac" is called "phone". */
static const char *base_name(const char *path, char *buf, size_t size)
{
	const char *slash = strrchr(path, '/');
	char *dot;

	snprintf(buf, size, "%s", slash ? slash + 1 : path);
	dot = strrchr(buf, '.');
	if (dot && dot != buf)
		*dot = '\0';
	return buf;
}

static int put_options(sd_bus_message *m, const struct wish *wish, const char *file)
{
	char name[256];
	int r = sd_bus_message_open_container(m, 'a', "{sv}");

	if (r >= 0)
		r = sd_bus_message_append(m, "{sv}", "name", "s",
					  wish->name ? wish->name : base_name(file, name, sizeof(name)));
	if (r >= 0 && !wish->fdl[0])
		r = sd_bus_message_append(m, "{sv}", "origin", "s",
					  strrchr(file, '/') ? strrchr(file, '/') + 1 : file);
	if (r >= 0 && wish->force)
		r = sd_bus_message_append(m, "{sv}", "force_loaders", "b", 1);
	if (r >= 0 && wish->bad_crc)
		r = sd_bus_message_append(m, "{sv}", "accept_bad_crc", "b", 1);
	return r < 0 ? r : sd_bus_message_close_container(m);
}

static int new_call(struct client *c, const char *method, sd_bus_message **m)
{
	return sd_bus_message_new_method_call(c->bus, m, FDLD_BUS_NAME, FDLD_PATH_ROOT, FDLD_IFACE_MANAGER,
					      method);
}

/* Sends what is complete but for its options. */
static int send_import(struct client *c, sd_bus_message *m, int r, const struct wish *wish, const char *file)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	const char *path;
	char name[256];

	if (r >= 0)
		r = put_options(m, wish, file);
	if (r >= 0)
		r = client_ask_long(c, m, "import",
				    wish->name ? wish->name : base_name(file, name, sizeof(name)), &error,
				    &reply);
	if (r >= 0)
		r = sd_bus_message_read(reply, "o", &path);
	return r < 0 ? client_complain_bus(c, &error, r) : show(c, path);
}

static int import_package(struct client *c, const char *file, const struct wish *wish)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	_cleanup_close_ int fd = open(file, O_RDONLY | O_CLOEXEC);
	struct failure why = { .error = ERR_INVALID_IMAGE, .code = -1 };
	int r;

	if (fd < 0) {
		snprintf(why.detail, sizeof(why.detail), "%s: %s", file, strerror(errno));
		return client_complain(c, &why);
	}
	r = client_connect(c);
	if (r)
		return r;
	r = new_call(c, "ImportLoader", &m);
	if (r >= 0)
		r = sd_bus_message_append(m, "h", fd);
	return send_import(c, m, r, wish, file);
}

/* Where it is to be loaded: as was said, or as the loader itself is linked, if it is sure of that. */
static int settle_address(struct loader_file *f, int stage)
{
	enum sureness sure;
	uint64_t address = f->address ? f->address : pair_address(&f->info, stage, &sure);

	if (!f->address && (!address || sure < SURE_VERY))
		return client_usage(
			N_("where is %s loaded to? FILE@ADDRESS; 'fdlctl loader check' tells what is known"),
			f->path);
	f->address = address;
	return 0;
}

static int import_files(struct client *c, const struct wish *wish)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	struct loader_files files = { .part = { { .path = "", .fd = -1 }, { .path = "", .fd = -1 } },
				      .package.fd = -1 };
	int rc = 0, r;

	for (int i = 0; !rc && i < 2; i++) {
		if (!wish->fdl[i])
			continue;
		rc = loader_file_open(c, wish->fdl[i], i + 1, &files.part[i]);
		if (!rc)
			rc = settle_address(&files.part[i], i + 1);
	}
	if (!rc)
		rc = client_connect(c);
	if (!rc) {
		r = new_call(c, "ImportLoaderPair", &m);
		if (r >= 0)
			r = sd_bus_message_open_container(m, 'a', "(ht)");
		for (int i = 0; r >= 0 && i < 2; i++)
			if (files.part[i].fd >= 0)
				r = sd_bus_message_append(m, "(ht)", files.part[i].fd, files.part[i].address);
		if (r >= 0)
			r = sd_bus_message_close_container(m);
		rc = send_import(c, m, r, wish, files.part[0].path);
	}
	loader_files_close(&files);
	return rc;
}

static int import(struct client *c, int count, char **files, const struct wish *wish)
{
	if (wish->fdl[0] && !count)
		return import_files(c, wish);
	if (wish->fdl[0] || wish->fdl[1] || count != 1)
		return client_usage(N_("loader import: one package, or --fdl1 and --fdl2"));
	return import_package(c, files[0], wish);
}

/* ---- the verb ---- */

static int loader(struct client *c, int argc, char **argv)
{
	_cleanup_free_ char *path = NULL;
	struct wish wish = { 0 };
	const char *what;
	int opt, rc;

	while ((opt = verb_next(c, &verb_loader, argc, argv, &rc)) != -1) {
		switch (opt) {
		case -2: return rc;
		case OPT_NAME: wish.name = optarg; break;
		case OPT_FDL1: wish.fdl[0] = optarg; break;
		case OPT_FDL2: wish.fdl[1] = optarg; break;
		case OPT_FORCE: wish.force = true; break;
		case OPT_BAD_CRC: wish.bad_crc = true; break;
		default: break;
		}
	}
	what = optind < argc ? argv[optind++] : "";
	if (!strcmp(what, "import") && c->host)
		return client_usage(
			N_("loader: files do not go through ssh; copy it to %s and import it there"),
			c->host);
	if (!strcmp(what, "import"))
		return import(c, argc - optind, argv + optind, &wish);
	if (wish.name || wish.fdl[0] || wish.fdl[1] || wish.force || wish.bad_crc)
		return client_usage(N_("loader: these options belong to import"));
	if (!strcmp(what, "list") && optind == argc)
		return list(c);
	if (!strcmp(what, "check")) {
		if (argc - optind < 1 || argc - optind > 2)
			return client_usage(N_("loader check: a package, or one or two files: FDL1, FDL2"));
		return loader_check(c, argc - optind, argv + optind);
	}
	if (strcmp(what, "show") && strcmp(what, "remove"))
		return client_usage(N_("loader: what is '%s'?"), what);
	if (argc - optind != 1)
		return client_usage(N_("loader: which one?"));
	rc = path_of(c, argv[optind], &path);
	if (rc)
		return rc;
	return !strcmp(what, "show") ? show(c, path) : remove_one(c, path);
}

const struct verb verb_loader = {
	.name = "loader",
	.args = N_("import FILE"),
	.more = N_("list | show NAME | remove NAME | check FILE [FILE]"),
	.summary = N_("keep pairs of loaders in the service"),
	.about = N_(
		"A pair comes from a package, or as files of its own. Jobs that need loaders name one; else the slot's is taken, or the only one there is. "
		"check: family, addresses, signatures, versions and doubts of a package's loaders, or of two files (FDL1, then FDL2), each FILE or FILE@ADDRESS; needs neither daemon nor phone."),
	.options = options,
	.operand = OPERAND_LOADER,
	.beside = "image",
	.run = loader,
};
