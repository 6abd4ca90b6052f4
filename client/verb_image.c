/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * image: packages that the service keeps.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "client/client.h"
#include "client/sheet.h"
#include "common/format.h"
#include "common/names.h"
#include "common/util.h"

enum { OPT_NAME = 1, OPT_BAD_CRC, OPT_LOADER, OPT_FORCE };

static const struct verb_opt options[] = {
	{ "name", OPT_NAME, N_("NAME"), N_("import: what it is to be called (the file's name)"), false },
	{ "accept-bad-crc", OPT_BAD_CRC, NULL, N_("import: though its check sums are wrong"), false },
	{ "loader", OPT_LOADER, N_("NAME"), N_("import: with this pair instead of its own loaders"), false },
	{ "force-loaders", OPT_FORCE, NULL, N_("import: though the pair is for other chips"), false },
	{ 0 },
};

struct wish {
	const char *name, *loader;
	bool bad_crc, force;
};

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* ---- what is shown ---- */

static const char *state_text(const struct client *c, json_object *image, char *buf, size_t size)
{
	const char *state = prop_str(image, "State");

	if (!strcmp(state, "bad"))
		snprintf(buf, size, "%s %s", state, prop_text(image, "ErrorName"));
	else
		snprintf(buf, size, "%s", clean(state));
	return tone(c, strcmp(state, "bad") ? TONE_PLAIN : TONE_BAD, buf);
}

static int list(struct client *c)
{
	_cleanup_free_ const char **paths = NULL;
	json_object *array = NULL;
	char head[320], size[FORMAT_MAX], state[128];
	size_t count;
	int rc = mirror_load(c);

	if (rc)
		return rc;
	paths = mirror_paths(c, FDLD_IFACE_IMAGE, &count);
	if (!paths)
		return error_entry(ERR_INTERNAL)->exit_code;
	if (c->json)
		array = json_object_new_array();
	snprintf(head, sizeof(head), "%s %s %9s  %s %s", padded(_("DIGEST"), 12), padded(_("NAME"), 32),
		 _("SIZE"), padded(_("FIRMWARE"), 28), _("STATE"));
	if (!c->json)
		printf("%s\n", tone(c, TONE_BOLD, head));
	for (size_t i = 0; i < count; i++) {
		json_object *image = mirror_props(c, paths[i], FDLD_IFACE_IMAGE);
		char digest[13];

		if (!prop_bool(image, "Stored"))
			continue;
		if (c->json) {
			json_object_array_add(array, json_object_get(image));
			continue;
		}
		snprintf(digest, sizeof(digest), "%.12s", prop_str(image, "Digest"));
		printf("%s %s %9s  %s %s\n", padded(clean(digest), 12), padded(prop_text(image, "Name"), 32),
		       format_size(prop_u64(image, "Size"), size, sizeof(size)),
		       padded(prop_text(image, "Firmware"), 28), state_text(c, image, state, sizeof(state)));
	}
	if (c->json) {
		print_json(array);
		json_object_put(array);
	}
	return 0;
}

static void line(const char *what, const char *value)
{
	printf("%s %s\n", padded(what, 12), value);
}

static int show(struct client *c, const char *path)
{
	char text[1024], buf[64];
	json_object *image;
	int rc = c->mirror ? 0 : mirror_load(c);

	if (rc)
		return rc;
	image = mirror_props(c, path, FDLD_IFACE_IMAGE);
	if (!image)
		return client_complain(c, &(struct failure){ .error = ERR_NO_SUCH_IMAGE, .code = -1 });
	if (c->json) {
		print_json(image);
		return 0;
	}
	line(_("Name"), prop_text(image, "Name"));
	line(_("Digest"), prop_text(image, "Digest"));
	if (*prop_str(image, "Loader"))
		line(_("Loaders"), prop_text(image, "Loader"));
	line(_("Size"), format_size(prop_u64(image, "Size"), buf, sizeof(buf)));
	line(_("Product"), prop_text(image, "Product"));
	line(_("Firmware"), prop_text(image, "Firmware"));
	line(_("Imported"), sheet_time(prop_u64(image, "ImportedAt"), buf, sizeof(buf)));
	line(_("State"), prop_text(image, "State"));
	if (*prop_str(image, "ErrorName")) {
		json_object *details = NULL;

		json_object_object_get_ex(image, "ErrorDetails", &details);
		print_wrapped(stdout, "",
			      words_job(prop_str(image, "ErrorName"), details, text, sizeof(text)));
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

	/* also one that is bad: it is to be looked at, verified, removed */
	paths = rc ? NULL : mirror_paths(c, FDLD_IFACE_IMAGE, &count);
	if (!paths)
		return rc ? rc : error_entry(ERR_INTERNAL)->exit_code;
	for (int pass = 0; pass < 2 && !hits; pass++)
		for (size_t i = 0; i < count; i++) {
			json_object *image = mirror_props(c, paths[i], FDLD_IFACE_IMAGE);
			bool hit = prop_bool(image, "Stored") && *name &&
				   (pass ? len >= 8 && !strncasecmp(prop_str(image, "Digest"), name, len)
					 : !strcmp(prop_str(image, "Name"), name));

			if (hit && !hits++)
				*path = strdup(paths[i]);
		}
	if (hits != 1) {
		struct failure why = { .error = ERR_NO_SUCH_IMAGE, .code = -1 };

		free(TAKE_PTR(*path));
		snprintf(why.detail, sizeof(why.detail), "%.100s", name);
		return client_complain(c, &why);
	}
	return *path ? 0 : error_entry(ERR_INTERNAL)->exit_code;
}

static int call_image(struct client *c, const char *path, const char *method, const char *kind)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	int r = sd_bus_message_new_method_call(c->bus, &m, FDLD_BUS_NAME, path, FDLD_IFACE_IMAGE, method);

	if (r >= 0)
		r = sd_bus_message_append(m, "a{sv}", 0);
	if (r >= 0)
		r = client_ask_long(c, m, kind, prop_str(mirror_props(c, path, FDLD_IFACE_IMAGE), "Name"),
				    &error, NULL);
	return r < 0 ? client_complain_bus(c, &error, r) : 0;
}

static int import(struct client *c, const char *file, const struct wish *wish)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
	_cleanup_close_ int fd = open(file, O_RDONLY | O_CLOEXEC);
	struct failure why = { .error = ERR_INVALID_IMAGE, .code = -1 };
	const char *path;
	int r;

	if (fd < 0) {
		snprintf(why.detail, sizeof(why.detail), "%s: %s", file, strerror(errno));
		return client_complain(c, &why);
	}
	r = client_connect(c);
	if (r)
		return r;
	r = sd_bus_message_new_method_call(c->bus, &m, FDLD_BUS_NAME, FDLD_PATH_ROOT, FDLD_IFACE_MANAGER,
					   "ImportImage");
	if (r >= 0)
		r = sd_bus_message_append(m, "h", fd);
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'a', "{sv}");
	if (r >= 0)
		r = sd_bus_message_append(m, "{sv}", "name", "s", wish->name ? wish->name : base_name(file));
	if (r >= 0 && wish->loader)
		r = sd_bus_message_append(m, "{sv}", "loader", "s", wish->loader);
	if (r >= 0 && wish->force)
		r = sd_bus_message_append(m, "{sv}", "force_loaders", "b", 1);
	if (r >= 0 && wish->bad_crc)
		r = sd_bus_message_append(m, "{sv}", "accept_bad_crc", "b", 1);
	if (r >= 0)
		r = sd_bus_message_close_container(m);
	if (r >= 0)
		r = client_ask_long(c, m, "import", wish->name ? wish->name : base_name(file), &error,
				    &reply);
	if (r >= 0)
		r = sd_bus_message_read(reply, "o", &path);
	return r < 0 ? client_complain_bus(c, &error, r) : show(c, path);
}

static int image(struct client *c, int argc, char **argv)
{
	_cleanup_free_ char *path = NULL;
	struct wish wish = { 0 };
	const char *what;
	int opt, rc;

	while ((opt = verb_next(c, &verb_image, argc, argv, &rc)) != -1) {
		if (opt == -2)
			return rc;
		if (opt == OPT_NAME)
			wish.name = optarg;
		else if (opt == OPT_BAD_CRC)
			wish.bad_crc = true;
		else if (opt == OPT_LOADER)
			wish.loader = optarg;
		else if (opt == OPT_FORCE)
			wish.force = true;
	}
	what = optind < argc ? argv[optind++] : "";
	if (strcmp(what, "import") && (wish.name || wish.bad_crc || wish.loader || wish.force))
		return client_usage(N_("image: these options belong to import"));
	if (!strcmp(what, "list") && optind == argc)
		return list(c);
	if (argc - optind != 1)
		return client_usage(N_("image: import FILE, list, or show, verify, remove and which image"));
	if (!strcmp(what, "import") && c->host)
		return client_usage(
			N_("image: files do not go through ssh; copy it to %s and import it there"), c->host);
	if (!strcmp(what, "import"))
		return import(c, argv[optind], &wish);
	if (strcmp(what, "show") && strcmp(what, "verify") && strcmp(what, "remove"))
		return client_usage(N_("image: what is '%s'?"), what);
	rc = path_of(c, argv[optind], &path);
	if (rc)
		return rc;
	if (!strcmp(what, "show"))
		return show(c, path);
	return call_image(c, path, !strcmp(what, "verify") ? "Verify" : "Remove", what);
}

const struct verb verb_image = {
	.name = "image",
	.args = N_("import FILE"),
	.more = N_("list | show IMAGE | verify IMAGE | remove IMAGE"),
	.summary = N_("packages, or pairs of loaders, in the service"),
	.about = N_(
		"A package of the store is copied and checked once; then it is flashed by its name, or by the first 8 or more "
		"digits of its digest, without the file. FILE may also be an archive (zip, tar) with one .pac in it, or a .pac "
		"compressed by xz, zstd, gzip or bzip2. verify: reads all of it again."),
	.options = options,
	.operand = OPERAND_IMAGE,
	.run = image,
};
