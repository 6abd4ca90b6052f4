/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * config: what is in force and where that was said; config check: the files, without the daemon; config
 * reload: puts them in force.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client/client.h"
#include "common/names.h"
#include "common/rules.h"
#include "common/settings.h"
#include "common/util.h"

enum { OPT_ROOT = 1 };

static const struct verb_opt options[] = {
	{ "root", OPT_ROOT, N_("DIR"), N_("check: look for the files below DIR"), false },
	{ 0 },
};

static void put_object(json_object **o)
{
	json_object_put(*o);
}

static int bus_error(const struct client *c, const sd_bus_error *error, int r)
{
	return client_complain_bus(c, error, r);
}

/* A string property of the manager. 0 or an exit code. */
static int get_error(struct client *c, char **out)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	int r = sd_bus_get_property_string(c->bus, FDLD_BUS_NAME, FDLD_PATH_ROOT, FDLD_IFACE_MANAGER,
					   "ConfigError", &error, out);

	return r < 0 ? bus_error(c, &error, r) : 0;
}

/* {"settings": [...], "files": [...], "error": "..."} as the daemon tells. 0 or an exit code. */
static int fetch(struct client *c, json_object **out)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	_cleanup_(put_object) json_object *all = json_object_new_object();
	_cleanup_free_ char *wrong = NULL;
	json_object *settings = NULL, *files = NULL;
	int r = client_connect(c);

	if (r)
		return r;
	r = sd_bus_call_method(c->bus, FDLD_BUS_NAME, FDLD_PATH_ROOT, FDLD_IFACE_MANAGER, "GetSettings",
			       &error, &reply, "");
	if (r >= 0)
		r = value_read(reply, &settings);
	json_object_object_add(all, "settings", settings);
	if (r >= 0)
		r = value_read(reply, &files);
	json_object_object_add(all, "files", files);
	if (r < 0)
		return bus_error(c, &error, r);
	r = get_error(c, &wrong);
	if (r)
		return r;
	json_object_object_add(all, "error", json_object_new_string(wrong));
	*out = TAKE_PTR(all);
	return 0;
}

/* ---- config [KEY] ------------------------------------------------------------------- */

static const char *where(json_object *setting, char *buf, size_t size)
{
	const char *from = prop_str(setting, "from");

	if (!strcmp(from, "file"))
		snprintf(buf, size, "%s:%llu", prop_text(setting, "file"),
			 (unsigned long long)prop_u64(setting, "line"));
	else if (!strcmp(from, "command-line"))
		snprintf(buf, size, "%s", _("command line"));
	else
		snprintf(buf, size, "%s", _("default"));
	return buf;
}

static void print_pending(json_object *setting)
{
	char line[256];

	if (!json_object_object_get_ex(setting, "pending", NULL))
		return;
	snprintf(line, sizeof(line), _("%s is %s from the next start on, as the files say now."),
		 prop_text(setting, "name"),
		 *prop_str(setting, "pending") ? prop_text(setting, "pending") : "-");
	print_wrapped(stdout, "  ", line);
}

/* As "value  where", with a lead in a column of its own before it. */
static void print_setting(const struct client *c, json_object *setting, const char *lead, int width)
{
	const char *text = prop_text(setting, "text");
	bool preset = !strcmp(prop_str(setting, "from"), "default");
	char origin[512];

	where(setting, origin, sizeof(origin));
	printf("%s%s  %s\n", lead, padded(*text ? text : "-", width),
	       preset ? tone(c, TONE_DIM, origin) : origin);
	print_pending(setting);
}

static json_object *find(json_object *settings, const char *key)
{
	for (size_t i = 0; i < json_object_array_length(settings); i++) {
		json_object *s = json_object_array_get_idx(settings, i);
		const char *name = prop_str(s, "name"), *dot = strchr(name, '.');

		if (!strcmp(name, key) || (dot && !strcmp(dot + 1, key)))
			return s;
	}
	return NULL;
}

static void print_error(json_object *all)
{
	const char *error = prop_text(all, "error");

	if (!*error)
		return;
	fflush(stdout);
	print_wrapped(stderr, "fdlctl: ",
		      _("The files have an error; what stands here stays in force until a reload succeeds."));
	print_wrapped(stderr, "  ", error);
}

static void print_all(const struct client *c, json_object *settings)
{
	size_t count = json_object_array_length(settings);
	int names = 0, values = 0;

	for (size_t i = 0; i < count; i++) {
		json_object *s = json_object_array_get_idx(settings, i);

		names = MAX(names, text_width(prop_text(s, "name")));
		values = MAX(values, text_width(prop_text(s, "text")));
	}
	for (size_t i = 0; i < count; i++) {
		json_object *s = json_object_array_get_idx(settings, i);
		char lead[80];

		snprintf(lead, sizeof(lead), "%s  ", padded(prop_text(s, "name"), names));
		print_setting(c, s, lead, values);
	}
}

static int show(struct client *c, const char *key)
{
	_cleanup_(put_object) json_object *all = NULL;
	json_object *settings, *one = NULL;
	int rc = fetch(c, &all);

	if (rc)
		return rc;
	json_object_object_get_ex(all, "settings", &settings);
	if (key && !(one = find(settings, key)))
		return client_usage(N_("config: there is no setting '%s'"), key);
	if (c->json) {
		print_json(one ? one : all);
		return 0;
	}
	if (one) {
		print_setting(c, one, "", 0);
	} else {
		print_all(c, settings);
	}
	print_error(all);
	return 0;
}

/* ---- config check ------------------------------------------------------------------- */

static void checked(const struct client *c, const struct conf_list *files)
{
	if (c->json) {
		json_object *o = json_object_new_object(), *list = json_object_new_array();

		for (size_t i = 0; i < files->count; i++)
			json_object_array_add(list, json_object_new_string(clean(files->path[i])));
		json_object_object_add(o, "good", json_object_new_boolean(true));
		json_object_object_add(o, "files", list);
		print_json(o);
		json_object_put(o);
		return;
	}
	if (!files->count)
		puts(_("There is no file: every setting has its default."));
	for (size_t i = 0; i < files->count; i++)
		printf("%s %s\n", tone(c, TONE_GOOD, _("good")), clean(files->path[i]));
}

/* What the daemon would read: the settings, and with them the rules. */
static int check_all(const char *root, struct settings_book **book, struct failure *why)
{
	struct rules *rules = NULL;
	int r = settings_load(root, NULL, 0, book, why);

	if (r >= 0)
		r = rules_load(root, &rules, why);
	for (size_t i = 0; r >= 0 && i < rules_files(rules); i++)
		if (conf_list_add(&(*book)->files, rules_file(rules, i)) < 0)
			r = failure_set(why, ERR_INTERNAL, "out of memory");
	rules_unref(rules);
	return r;
}

static int check(struct client *c, const char *root, const char *const *files, size_t count)
{
	struct settings_book *book = NULL;
	struct failure why = { .code = -1 };
	int r = count ? settings_load_files(files, count, &book, &why) : check_all(root, &book, &why);
	int rc = r < 0 ? client_complain(c, &why) : 0;

	if (r >= 0)
		checked(c, &book->files);
	settings_book_free(book);
	return rc;
}

/* ---- config reload ------------------------------------------------------------------ */

static int reload(struct client *c)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	int r = client_connect(c);

	if (r)
		return r;
	r = sd_bus_message_new_method_call(c->bus, &m, FDLD_BUS_NAME, FDLD_PATH_ROOT, FDLD_IFACE_MANAGER,
					   "Reload");
	if (r >= 0)
		r = sd_bus_message_append(m, "a{sv}", 0);
	if (r >= 0)
		r = client_ask(c, m, &error, NULL);
	if (r < 0)
		return client_complain_bus(c, &error, r);
	if (c->json)
		puts("{\"reloaded\":true}");
	else
		puts(_("The files are in force."));
	return 0;
}

static int config(struct client *c, int argc, char **argv)
{
	const char *root = NULL, *first;
	int opt, rc;

	while ((opt = verb_next(c, &verb_config, argc, argv, &rc)) != -1) {
		if (opt == -2)
			return rc;
		if (opt == OPT_ROOT)
			root = optarg;
	}
	first = optind < argc ? argv[optind] : NULL;
	argc -= optind + 1;
	argv += optind + 1;
	if (first && !strcmp(first, "check")) {
		if (c->host)
			return client_usage(
				N_("config: check reads files of this machine; for those over there: "
				   "ssh %s fdlctl config check"),
				c->host);
		if (root && argc)
			return client_usage(N_("config: --root and files at once"));
		return check(c, root, (const char *const *)argv, (size_t)argc);
	}
	if (root)
		return client_usage(N_("config: --root is for config check"));
	if (argc > 0)
		return client_usage(N_("config: what is '%s' for?"), argv[0]);
	return first && !strcmp(first, "reload") ? reload(c) : show(c, first);
}

const struct verb verb_config = {
	.name = "config",
	.args = N_("[KEY | reload]"),
	.summary = N_("settings in force, whence; what errors mean"),
	.about = N_(
		"Without KEY all settings, with KEY one of them: the value, and the line of the file that says so. 'check' reads the "
		"files (all that the daemon would read, rules included, or these) without the daemon; 'reload' puts them in force. See "
		"fdld.conf(5)."),
	.more = N_("check [FILE...]"),
	.options = options,
	.run = config,
};
