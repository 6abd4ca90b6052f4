/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * flash: a package onto one slot, several, or the next phone that comes.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/ask.h"
#include "client/package.h"
#include "common/names.h"
#include "common/util.h"

#define SLOTS_MAX 64
#define NAMES_MAX 64

struct flash_options {
	const char *slots[SLOTS_MAX], *only[NAMES_MAX], *without[NAMES_MAX];
	size_t slot_count, only_count, without_count;
	const char *repartition, *level, *end, *nv, *nv_from, *expect, *image, *loader;
	bool all, dry_run, detach, erase_all, nv_other, without_backup, force_loaders, bad_crc;
	bool has_wait;
	uint64_t wait_usec;
	unsigned long sample; /* 0: not said */
};

static const struct verb_opt options[] = {
	{ "slot", 's', N_("SLOT"), N_("this port (ID or kernel name, see list); again: several"), true },
	{ "all", 'a', NULL, N_("every port with a phone that is free"), false },
	{ "wait", 'w', N_("SECONDS"), N_("how long to wait for a phone (600; 0: do not)"), false },
	{ "dry-run", 'n', NULL, N_("print the plan; with --slot, as the phone decides it"), false },
	{ "detach", 'd', NULL, N_("print the job's number and return; it goes on"), false },
	{ "level", 'l', N_("LEVEL"), N_("acknowledged (default), verified: compared; sampled"), false },
	{ "sample", 'S', N_("NUMBER"), N_("level sampled: one of so many is verified (10)"), false },
	{ "entry", 'e', N_("ID"), N_("only this entry (file ID or partition); again: more"), true },
	{ "without", 'x', N_("ID"), N_("leave this entry out; again: more"), true },
	{ "repartition", 'r', N_("POLICY"), N_("on-mismatch (default), package, always, never"), false },
	{ "nv", 'v', N_("POLICY"), N_("keep (default), keep-if-any, package"), false },
	{ "nv-from", 'f', N_("JOB"), N_("take NV from the backup of this job"), false },
	{ "nv-not-this-phone", 'o', NULL, N_("the backup this port owes is another phone's"), false },
	{ "without-backup", 'b', NULL, N_("go on though a calibration area cannot be saved"), false },
	{ "erase-all", 'E', NULL, N_("erase everything first, once the backups are safe"), false },
	{ "end", 'z', N_("ACTION"), N_("reset (default), power-off, stay"), false },
	{ "loader", 'p', N_("LOADER"), N_("start it with this stored pair, or package's loaders"), false },
	{ "force-loaders", 'L', NULL, N_("take loaders that are not of one family"), false },
	{ "accept-bad-crc", 'c', NULL, N_("take a package whose check sums are wrong"), false },
	{ "image", 'i', N_("IMAGE"), N_("not a FILE: of the store, or open (its number)"), false },
	{ "expect-device", 'D', N_("PATH"), N_("only this device object (for programs)"), false },
	{ 0 },
};

static int add(const char **list, size_t *count, size_t max, const char *value)
{
	if (*count == max)
		return client_usage(N_("flash: too many names"));
	list[(*count)++] = value;
	return 0;
}

static int take(struct flash_options *o, int opt)
{
	char *end = NULL;

	switch (opt) {
	case 's': return add(o->slots, &o->slot_count, SLOTS_MAX, optarg);
	case 'e': return add(o->only, &o->only_count, NAMES_MAX, optarg);
	case 'x': return add(o->without, &o->without_count, NAMES_MAX, optarg);
	case 'w': o->has_wait = true; return ask_seconds(optarg, &o->wait_usec);
	case 'a': o->all = true; break;
	case 'n': o->dry_run = true; break;
	case 'd': o->detach = true; break;
	case 'E': o->erase_all = true; break;
	case 'o': o->nv_other = true; break;
	case 'b': o->without_backup = true; break;
	case 'L': o->force_loaders = true; break;
	case 'c': o->bad_crc = true; break;
	case 'l': o->level = optarg; break;
	case 'S': o->sample = strtoul(optarg, &end, 10); break;
	case 'r': o->repartition = optarg; break;
	case 'v': o->nv = optarg; break;
	case 'f': o->nv_from = optarg; break;
	case 'z': o->end = optarg; break;
	case 'D': o->expect = optarg; break;
	case 'i': o->image = optarg; break;
	case 'p': o->loader = optarg; break;
	default: break;
	}
	if (end && (end == optarg || *end || *optarg == '-' || !o->sample || o->sample > UINT32_MAX))
		return client_usage(N_("flash: '%s' is no number of phones"), optarg);
	return 0;
}

/* ---- the options as a{sv} ---- */

static int put_names(sd_bus_message *m, const char *key, const char *const *list, size_t count)
{
	int r;

	if (!count)
		return 0;
	r = sd_bus_message_open_container(m, 'e', "sv");
	if (r >= 0)
		r = sd_bus_message_append(m, "s", key);
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'v', "as");
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'a', "s");
	for (size_t i = 0; r >= 0 && i < count; i++)
		r = sd_bus_message_append(m, "s", list[i]);
	for (int i = 0; r >= 0 && i < 3; i++)
		r = sd_bus_message_close_container(m);
	return r;
}

/* What belongs to the image: of OpenImage, and of a flash that brings its file. */
static int put_image_options(sd_bus_message *m, const struct flash_options *o, const char *name)
{
	int r = ask_text(m, "name", name);

	return r < 0 ? r : ask_flag(m, "accept_bad_crc", o->bad_crc);
}

/* What is flashed: a file, or the image that was made of it. */
struct package_ref {
	int fd;
	const char *name; /* of the file, to show */
	char *image;	  /* NULL: it is sent along */
	char *loader;	  /* whose loaders start the phone: a name, or an image; NULL: its own */
};

static int put_options(sd_bus_message *m, const struct flash_options *o, const struct package_ref *p)
{
	const char *name = p->image ? NULL : p->name; /* an image was given its name before */
	int r = sd_bus_message_open_container(m, 'a', "{sv}");

	if (r >= 0)
		r = put_names(m, "entries", o->only, o->only_count);
	if (r >= 0)
		r = put_names(m, "without", o->without, o->without_count);
	if (r >= 0)
		r = ask_text(m, "repartition", o->repartition);
	if (r >= 0)
		r = ask_text(m, "level", o->level);
	if (r >= 0 && o->sample)
		r = sd_bus_message_append(m, "{sv}", "sample", "u", (uint32_t)o->sample);
	if (r >= 0)
		r = ask_text(m, "end", o->end);
	if (r >= 0)
		r = ask_text(m, "nv", o->nv);
	if (r >= 0)
		r = ask_text(m, "nv_from", o->nv_from);
	if (r >= 0)
		r = ask_flag(m, "nv_not_this_phone", o->nv_other);
	if (r >= 0)
		r = ask_flag(m, "without_backup", o->without_backup);
	if (r >= 0)
		r = ask_flag(m, "erase_all", o->erase_all);
	if (r >= 0)
		r = ask_text(m, "loader", p->loader);
	if (r >= 0)
		r = ask_flag(m, "force_loaders", o->force_loaders);
	if (r >= 0)
		r = ask_flag(m, "dry_run", o->dry_run);
	if (r >= 0 && o->expect)
		r = sd_bus_message_append(m, "{sv}", "expect_device", "o", o->expect);
	if (r >= 0 && o->has_wait)
		r = sd_bus_message_append(m, "{sv}", "wait_usec", "t", o->wait_usec);
	if (r >= 0 && name)
		r = put_image_options(m, o, name);
	return r < 0 ? r : sd_bus_message_close_container(m);
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* ---- calls ---- */

static int open_image(struct client *c, struct package_ref *p, const struct flash_options *o)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	int r = ask_manager(c, "OpenImage", &m);

	if (r >= 0)
		r = sd_bus_message_append(m, "h", p->fd);
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'a', "{sv}");
	if (r >= 0)
		r = put_image_options(m, o, p->name);
	if (r >= 0)
		r = sd_bus_message_close_container(m);
	return ask_path(c, m, r, &p->image);
}

/* On this slot, or when it is NULL for the next phone on any. */
static int start_job(struct client *c, const struct package_ref *p, const char *slot,
		     const struct flash_options *o, char **job)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	int r;

	if (slot)
		r = sd_bus_message_new_method_call(c->bus, &m, FDLD_BUS_NAME, slot, FDLD_IFACE_SLOT,
						   p->image ? "FlashImage" : "Flash");
	else
		r = ask_manager(c, p->image ? "FlashNextImage" : "FlashNext", &m);
	if (r >= 0)
		r = p->image ? sd_bus_message_append(m, "o", p->image) : sd_bus_message_append(m, "h", p->fd);
	if (r >= 0 && !slot)
		r = sd_bus_message_append(m, "ao", 0);
	if (r >= 0)
		r = put_options(m, o, p);
	return ask_path(c, m, r, job);
}

/* Slots to flash: named ones, all ready ones, or none: the next phone. */
static int choose(struct client *c, const struct flash_options *o, char **slots, size_t *count)
{
	_cleanup_free_ const char **all = NULL;
	size_t n, ready = 0;
	int rc = 0;

	*count = 0;
	for (size_t i = 0; i < o->slot_count && !rc; i++) {
		rc = ask_slot(c, o->slots[i], &slots[*count]);
		*count += !rc;
	}
	if (rc || o->slot_count)
		return rc;
	all = mirror_paths(c, FDLD_IFACE_SLOT, &n);
	if (!all)
		return error_entry(ERR_INTERNAL)->exit_code;
	for (size_t i = 0; i < n && ready < SLOTS_MAX; i++)
		if (!strcmp(prop_str(mirror_props(c, all[i], FDLD_IFACE_SLOT), "State"), "ready"))
			all[ready++] = all[i];
	if (!o->all && ready > 1)
		return client_usage(N_("flash: %zu phones are there: name one with --slot, or take --all"),
				    ready);
	if (o->all && !ready)
		return client_complain(c, &(struct failure){ .error = ERR_SLOT_EMPTY, .code = -1 });
	for (size_t i = 0; i < ready; i++)
		if (!(slots[(*count)++] = strdup(all[i])))
			return error_entry(ERR_INTERNAL)->exit_code;
	return 0;
}

/* ---- what is printed ---- */

static void say_started(const struct client *c, char *const *jobs, size_t count, bool waiting)
{
	if (c->json) {
		json_object *o = json_object_new_object(), *list = json_object_new_array();

		for (size_t i = 0; i < count; i++)
			json_object_array_add(list, json_object_new_string(jobs[i]));
		json_object_object_add(o, "event", json_object_new_string("started"));
		json_object_object_add(o, "jobs", list);
		print_json(o);
		json_object_put(o);
	} else if (waiting) {
		print_wrapped(
			stdout, "",
			_("Waiting for a phone. Switch it off, hold its download key (volume down on most; volume up or "
			  "the centre key on others) and plug it in; keep the key down until progress shows."));
	}
}

/* Whose loaders, where they are not the package's own. */
static void print_loader(json_object *plan)
{
	const char *loader = prop_text(plan, "loader");

	if (*loader)
		printf(_("     started with the loaders of %s (SHA-256 %.12s, %.12s)\n"), loader,
		       prop_str(plan, "fdl1"), prop_str(plan, "fdl2"));
}

int package_print_decided(struct client *c, const char *job)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	json_object *plan = json_object_new_object(), *steps = NULL, *doubts = NULL;
	int r = sd_bus_call_method(c->bus, FDLD_BUS_NAME, job, FDLD_IFACE_JOB, "Plan", &error, &reply,
				   "a{sv}", 0);

	if (r >= 0)
		r = value_read_dict(reply, plan);
	if (r >= 0 && !c->json)
		print_loader(plan);
	if (r >= 0 && c->json)
		print_json(plan);
	else if (r >= 0 && json_object_object_get_ex(plan, "steps", &steps))
		for (size_t i = 0; i < json_object_array_length(steps); i++)
			printf("%3zu  %s\n", i + 1,
			       clean(json_object_get_string(json_object_array_get_idx(steps, i))));
	if (r >= 0 && !c->json && json_object_object_get_ex(plan, "doubts", &doubts))
		for (size_t i = 0; i < json_object_array_length(doubts); i++)
			package_remark(json_object_get_string(json_object_array_get_idx(doubts, i)));
	json_object_put(plan);
	return r < 0 ? client_complain_bus(c, &error, r) : 0;
}

/* One of the store, by name or digest. Negative: error says why. */
static int stored_image(struct client *c, const char *name, char **path, sd_bus_error *error)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	const char *found;
	int r = sd_bus_call_method(c->bus, FDLD_BUS_NAME, FDLD_PATH_ROOT, FDLD_IFACE_MANAGER,
				   "GetStoredImage", error, &reply, "s", name);

	if (r >= 0)
		r = sd_bus_message_read(reply, "o", &found);
	if (r >= 0)
		*path = strdup(found);
	return r < 0 ? r : *path ? 0 : -ENOMEM;
}

static int image_of(struct client *c, const char *name, char **path)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	size_t digits = strspn(name, "0123456789");
	int r;

	if (!strncmp(name, FDLD_PATH_IMAGES "/", strlen(FDLD_PATH_IMAGES) + 1) ||
	    (!name[digits] && digits && digits < 8)) {
		if (asprintf(path, FDLD_PATH_IMAGES "/%s", base_name(name)) >= 0 &&
		    base_name(name)[strspn(base_name(name), "0123456789")] == '\0' && *base_name(name))
			return 0;
		free(TAKE_PTR(*path));
		return client_usage(N_("flash: '%s' is no image"), name);
	}
	r = client_connect(c);
	if (r)
		return r;
	r = stored_image(c, name, path, &error);
	return r < 0 ? client_complain_bus(c, &error, r) : 0;
}

/* On another machine only what its store has can be flashed. */
static int remote_package(struct client *c, const char *file, struct package_ref *p)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	int rc = strchr(file, '/') ? 0 : client_connect(c);

	if (rc)
		return rc;
	rc = strchr(file, '/') ? -ENOENT : stored_image(c, file, &p->image, &error);
	if (rc >= 0)
		return 0;
	if (rc != -ENOENT && !(sd_bus_error_has_name(&error, error_entry(ERR_NO_SUCH_IMAGE)->bus_name) &&
			       access(file, F_OK) == 0))
		return client_complain_bus(c, &error, rc);
	return client_usage(N_("flash: files do not go through ssh; copy it to %s, import it there "
			       "('fdlctl image import'), and flash it by its name"),
			    c->host);
}

/* What is to be flashed, from the command line: a file that can be read, or the path of an image. */
static int package_of(struct client *c, const char *file, const struct flash_options *o,
		      struct package_ref *p)
{
	struct failure why = { .error = ERR_INVALID_IMAGE, .code = -1 };

	*p = (struct package_ref){ .fd = -1 };
	if (o->image) {
		p->name = o->image;
		return image_of(c, o->image, &p->image);
	}
	p->name = base_name(file);
	if (c->host)
		return remote_package(c, file, p);
	p->fd = open(file, O_RDONLY | O_CLOEXEC);
	if (p->fd >= 0)
		return 0;
	/* no such file: one of the store may be called so */
	if (errno == ENOENT && !strchr(file, '/')) {
		_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
		int rc = client_connect(c);

		if (rc)
			return rc;
		rc = stored_image(c, file, &p->image, &error);
		if (rc >= 0)
			return 0;
		if (!sd_bus_error_has_name(&error, error_entry(ERR_NO_SUCH_IMAGE)->bus_name))
			return client_complain_bus(c, &error, rc);
		errno = ENOENT;
	}
	snprintf(why.detail, sizeof(why.detail), "%s: %s", file, strerror(errno));
	return client_complain(c, &why);
}

static int run(struct client *c, const char *file, const struct flash_options *o)
{
	char *slots[SLOTS_MAX] = { 0 }, *jobs[SLOTS_MAX] = { 0 };
	struct package_ref package;
	size_t slot_count = 0, n = 0;
	int rc = package_of(c, file, o, &package);

	if (!rc)
		rc = mirror_load(c);
	if (!rc)
		rc = choose(c, o, slots, &slot_count);
	if (!rc && o->loader)
		rc = ask_package(c, o->loader, &package.loader);
	/* read and checked once for several; for one the file goes with the call, and there is one question
	 * of rights */
	if (!rc && slot_count > 1 && !package.image)
		rc = open_image(c, &package, o);
	for (size_t i = 0; !rc && i < MAX(slot_count, 1u); i++) {
		rc = start_job(c, &package, slots[i], o, &jobs[n]);
		n += !rc;
	}
	if (n) { /* those that began are followed even if a later one was refused */
		bool waiting = !slot_count;
		int end = 0;

		say_started(c, jobs, n, waiting && !o->detach);
		if (!o->detach)
			end = follow_jobs(c, (const char *const *)jobs, n, true);
		for (size_t i = 0; o->detach && !c->json && i < n; i++)
			printf(_("job %s\n"), clean(base_name(jobs[i])));
		for (size_t i = 0; o->dry_run && !end && i < n; i++)
			end = package_print_decided(c, jobs[i]);
		rc = MAX(rc, end);
	}
	for (size_t i = 0; i < SLOTS_MAX; i++) {
		free(slots[i]);
		free(jobs[i]);
	}
	free(package.image);
	free(package.loader);
	if (package.fd >= 0)
		close(package.fd);
	return rc;
}

static int flash(struct client *c, int argc, char **argv)
{
	struct flash_options o = { 0 };
	int opt, rc;

	while ((opt = verb_next(c, &verb_flash, argc, argv, &rc)) != -1) {
		if (opt == -2)
			return rc;
		rc = take(&o, opt);
		if (rc)
			return rc;
	}
	if (optind != argc - (o.image ? 0 : 1))
		return client_usage(N_("flash: which package? One file, or one image."));
	if (o.all && o.slot_count)
		return client_usage(N_("flash: either --slot or --all"));
	if (o.dry_run && !o.all && !o.slot_count && !o.image && !c->host) {
		struct package_wish wish = { .file = argv[optind],
					     .only = o.only,
					     .only_count = o.only_count,
					     .without = o.without,
					     .without_count = o.without_count,
					     .repartition = o.repartition,
					     .level = o.level,
					     .end = o.end,
					     .nv = o.nv,
					     .loader = o.loader,
					     .erase_all = o.erase_all,
					     .force_loaders = o.force_loaders,
					     .accept_bad_crc = o.bad_crc };

		return package_print_plan(c, &wish);
	}
	return run(c, argv[optind], &o);
}

const struct verb verb_flash = {
	.name = "flash",
	.args = N_("FILE"),
	.summary = N_("flash a package; without a phone, wait for one"),
	.about = N_("Flashes a package onto the phone that is there, or the next that comes."),
	.options = options,
	.operand = OPERAND_FILE,
	.run = flash,
};
