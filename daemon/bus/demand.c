/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a call asks for: the action that polkit is asked about, and the slot, image and operation that a
 * person and the rules get to see. Reads the arguments and changes nothing; they are read again once the call
 * may go on, and must then say the same.
 */
#include "bus/internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/util.h"

/* ---- texts ------------------------------------------------------------------------ */

/* Length of the UTF-8 character at s (the bus passes nothing else), and whether it may be shown. */
static size_t next_character(const unsigned char *s, bool *fit)
{
	uint32_t c = s[0];
	size_t n = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;

	c = n == 1 ? c : c & (0x7fu >> n);
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80) { /* a name from elsewhere: byte by byte */
			*fit = false;
			return 1;
		}
		c = c << 6 | (s[i] & 0x3f);
	}
	/* control characters, and those that turn the direction of what is written around them */
	*fit = c >= 0x20 && (c < 0x7f || c > 0x9f) && c != 0x061c && c != 0x200e && c != 0x200f &&
	       (c < 0x2028 || c > 0x202e) && (c < 0x2066 || c > 0x2069);
	return n;
}

void demand_text(char *to, size_t room, const char *from)
{
	static const char more[] = "...";
	size_t used = 0;

	while (*from) {
		bool fit;
		size_t n = next_character((const unsigned char *)from, &fit), put = fit ? n : 1;

		if (used + put + sizeof(more) > room) {
			memcpy(to + used, more, sizeof(more));
			return;
		}
		memcpy(to + used, fit ? from : "?", put);
		used += put;
		from += n;
	}
	to[used] = '\0';
}

static void name_image(struct demand *demand, const char *name)
{
	demand_text(demand->image, sizeof(demand->image), name && *name ? name : "(no name)");
}

void demand_name_slot(struct demand *demand, const struct slot *slot)
{
	struct slot_view view;

	if (!slot) {
		demand_text(demand->slot, sizeof(demand->slot), "any");
		return;
	}
	slot_view(slot, &view);
	demand_text(demand->slot, sizeof(demand->slot), view.id);
}

void demand_name_operation(struct demand *demand, const char *word, const char *more)
{
	char text[256];

	snprintf(text, sizeof(text), "%s%s", word, more);
	demand_text(demand->operation, sizeof(demand->operation), text);
}

/* ---- arguments -------------------------------------------------------------------- */

static int refuse(struct call *call, const struct failure *why)
{
	return reply_failure(call->error, why);
}

/* What is asked for, so that a person may see it; whose loaders, too. */
static void name_flash(struct demand *demand, const struct options *options, const char *more)
{
	char text[256];
	bool lent = options->loader && *options->loader;

	snprintf(text, sizeof(text), "%s%s%.64s", more, lent ? " loader=" : "", lent ? options->loader : "");
	demand_name_operation(demand, options->dry_run ? "dry-run" : "flash", text);
}

/* The options that come next say whether it is more than a flash. image NULL: they name it. */
static int flash_options(struct call *call, unsigned int allowed, const struct image *image,
			 struct demand *demand)
{
	struct failure why = { 0 };
	struct image_view view;
	struct options options;
	char more[128] = "";
	int r = options_read(call->bus, call->m, allowed, &options, &why);

	if (r >= 0) {
		if (options_unprotected(&options, more, sizeof(more)))
			demand->action = ACTION_FLASH_UNPROTECTED;
		else if (image && !options.dry_run && image_loses_own(image, &options.job))
			demand->action = ACTION_FLASH_UNPROTECTED;
		name_flash(demand, &options, more);
		if (image)
			image_view(image, &view);
		name_image(demand, image ? view.name : options.image.name);
	}
	options_free(&options);
	return r < 0 ? refuse(call, &why) : 0;
}

static int read_image(struct call *call, struct image **image)
{
	struct failure why = { 0 };
	const char *path;
	int r = sd_bus_message_read_basic(call->m, 'o', &path);

	if (r < 0)
		return r;
	*image = object_handle(call->bus, KIND_IMAGE, path);
	if (*image)
		return 0;
	failure_set(&why, ERR_NO_SUCH_IMAGE, "%s", path);
	return refuse(call, &why);
}

/* The ao of slots that comes next, by name. */
static int read_slots(struct call *call, struct demand *demand)
{
	struct failure why = { 0 };
	char text[1024] = "";
	size_t used = 0;
	const char *path;
	int r = sd_bus_message_enter_container(call->m, 'a', "o");

	while (r >= 0 && (r = sd_bus_message_read_basic(call->m, 'o', &path)) > 0) {
		struct slot *slot = object_handle(call->bus, KIND_SLOT, path);
		struct slot_view view;

		if (!slot) {
			failure_set(&why, ERR_NO_SUCH_SLOT, "%s", path);
			return refuse(call, &why);
		}
		slot_view(slot, &view);
		if (used < sizeof(text))
			used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s", used ? " " : "",
						 view.id);
	}
	if (r >= 0)
		r = sd_bus_message_exit_container(call->m);
	if (r < 0)
		return r;
	demand_text(demand->slot, sizeof(demand->slot), used ? text : "any");
	return 0;
}

int demand_arm(struct call *call, struct demand *demand)
{
	bool arm = !strcmp(sd_bus_message_get_member(call->m), "Arm");
	struct failure why = { 0 };
	struct options options;
	char more[120] = "";
	int r = read_slots(call, demand);

	if (r < 0)
		return r;
	if (!strcmp(demand->slot, "any"))
		demand_text(demand->slot, sizeof(demand->slot), "all");
	r = options_read(call->bus, call->m, arm ? OPTION_ARM : 0, &options, &why);
	if (r >= 0 && arm)
		snprintf(more, sizeof(more), "%s%.64s%s", options.arm.rule ? " rule=" : "",
			 options.arm.rule ? options.arm.rule : "", options.arm.present ? " present" : "");
	demand_name_operation(demand, arm ? "arm" : "disarm", more);
	options_free(&options);
	return r < 0 ? refuse(call, &why) : 0;
}

static int skip_fd(struct call *call)
{
	return sd_bus_message_skip(call->m, "h");
}

/* ---- one for each method ---------------------------------------------------------- */

int demand_open_image(struct call *call, struct demand *demand)
{
	bool import = !strcmp(sd_bus_message_get_member(call->m), "ImportImage");
	struct failure why = { 0 };
	struct options options;
	int r = skip_fd(call);

	if (r < 0)
		return r;
	r = options_read(call->bus, call->m, OPTION_IMAGE | (import ? OPTION_IMPORT : 0), &options, &why);
	if (r >= 0)
		name_image(demand, options.image.name);
	demand_name_operation(demand, import ? "import" : "open",
			      r >= 0 && options.image.force_loaders ? " force_loaders" : "");
	options_free(&options);
	return r < 0 ? refuse(call, &why) : 0;
}

static int loader_options(struct call *call, unsigned int allowed, struct demand *demand)
{
	struct failure why = { 0 };
	struct options options;
	int r = options_read(call->bus, call->m, allowed, &options, &why);

	if (r >= 0) {
		name_image(demand, options.image.name);
		demand_name_operation(demand, "import loader", options.force_pair ? " force_loaders" : "");
	}
	options_free(&options);
	return r < 0 ? refuse(call, &why) : 0;
}

int demand_import_loader(struct call *call, struct demand *demand)
{
	int r = skip_fd(call);

	return r < 0 ? r : loader_options(call, OPTION_IMAGE | OPTION_LOADER, demand);
}

int demand_import_pair(struct call *call, struct demand *demand)
{
	int r = sd_bus_message_skip(call->m, "a(ht)");

	return r < 0 ? r : loader_options(call, OPTION_LOADER, demand);
}

int demand_flash(struct call *call, struct demand *demand)
{
	int r = skip_fd(call);

	if (r < 0)
		return r;
	demand_name_slot(demand, call->object->handle);
	return flash_options(call, OPTION_FLASH | OPTION_IMAGE | OPTION_EXPECT, NULL, demand);
}

int demand_flash_image(struct call *call, struct demand *demand)
{
	struct image *image;
	int r = read_image(call, &image);

	if (r < 0)
		return r;
	demand_name_slot(demand, call->object->handle);
	return flash_options(call, OPTION_FLASH | OPTION_EXPECT, image, demand);
}

int demand_flash_next(struct call *call, struct demand *demand)
{
	int r = skip_fd(call);

	if (r >= 0)
		r = read_slots(call, demand);
	return r < 0 ? r : flash_options(call, OPTION_FLASH | OPTION_IMAGE, NULL, demand);
}

int demand_flash_next_image(struct call *call, struct demand *demand)
{
	struct image *image;
	int r = read_image(call, &image);

	if (r >= 0)
		r = read_slots(call, demand);
	return r < 0 ? r : flash_options(call, OPTION_FLASH, image, demand);
}

static void name_job(struct demand *demand, const struct job_view *view, const char *operation)
{
	demand_name_slot(demand, view->slot);
	name_image(demand, view->image_name);
	demand_name_operation(demand, operation, "");
}

int demand_cancel(struct call *call, struct demand *demand)
{
	struct failure why = { 0 };
	struct options options;
	struct job_view view;
	int r = options_read(call->bus, call->m, OPTION_FORCE, &options, &why);

	job_view(call->object->handle, &view);
	name_job(demand, &view, options.force ? "cancel force" : "cancel");
	/* whoever started it may stop it */
	if (view.uid == call->client->uid)
		demand->action = ACTION_OWN;
	options_free(&options);
	return r < 0 ? refuse(call, &why) : 0;
}

static int no_options(struct call *call)
{
	struct failure why = { 0 };
	struct options options;
	int r = options_read(call->bus, call->m, 0, &options, &why);

	options_free(&options);
	return r < 0 ? refuse(call, &why) : 0;
}

int demand_trace(struct call *call, struct demand *demand)
{
	struct job_view view;

	job_view(call->object->handle, &view);
	name_job(demand, &view, "trace");
	if (view.uid == call->client->uid)
		demand->action = ACTION_OWN;
	return no_options(call);
}

int demand_unit(struct call *call, struct demand *demand)
{
	struct job_view view;

	job_view(call->object->handle, &view);
	name_job(demand, &view, "unit-id");
	return no_options(call);
}

int demand_release(struct call *call, struct demand *demand)
{
	struct failure why = { 0 };

	for (unsigned int i = 0; i < call->client->image_count; i++)
		if (call->client->images[i] == call->object->handle)
			return no_options(call);
	failure_set(&why, ERR_NO_SUCH_IMAGE, "%s does not hold %s", call->client->name, call->object->path);
	return refuse(call, &why);
}

int demand_image(struct call *call, struct demand *demand)
{
	const char *member = sd_bus_message_get_member(call->m);
	struct image_view view;

	image_view(call->object->handle, &view);
	name_image(demand, view.name);
	demand_name_operation(demand,
			      view.loader		  ? "remove loader"
			      : !strcmp(member, "Remove") ? "remove"
							  : "verify",
			      "");
	return no_options(call);
}

int demand_bind(struct call *call, struct demand *demand)
{
	struct failure why = { 0 };
	struct options options;
	int r = options_read(call->bus, call->m, OPTION_BIND | OPTION_RUN, &options, &why);

	demand_name_slot(demand, call->object->handle);
	demand_name_operation(demand, "bind", options.bind.run ? " run" : "");
	options_free(&options);
	return r < 0 ? refuse(call, &why) : 0;
}

/* Release, also with an image of the caller's choice; or Refuse. */
int demand_go(struct call *call, struct demand *demand)
{
	bool release = !strcmp(sd_bus_message_get_member(call->m), "Release");
	struct options options = { 0 };
	struct failure why = { 0 };
	struct image *image = NULL;
	struct job_view view;
	int r = 0;

	job_view(call->object->handle, &view);
	name_job(demand, &view, release ? "release" : "refuse");
	if (!release)
		return 0;
	r = options_read(call->bus, call->m, OPTION_BIND | OPTION_TAKE, &options, &why);
	if (r >= 0 && options.take) {
		image = station_stored_image(call->bus->station, options.take, &why);
		r = image ? 0 : -1;
	}
	if (image) {
		name_image(demand, options.take);
		if (image_loses_own(image, &options.job))
			demand->action = ACTION_FLASH_UNPROTECTED;
	}
	options_free(&options);
	return r < 0 ? refuse(call, &why) : 0;
}

int demand_slot(struct call *call, struct demand *demand)
{
	const char *member = sd_bus_message_get_member(call->m);
	struct failure why = { 0 };
	struct options options;
	char more[32] = "";
	int r = options_read(call->bus, call->m, !strcmp(member, "Configure") ? OPTION_LABEL : 0, &options,
			     &why);

	/* from then on phones are spoken to without anybody asking again */
	if (r >= 0 && options.kick)
		demand->action = ACTION_CONTROL_PORT;
	if (r >= 0 && options.kick)
		snprintf(more, sizeof(more), " kick=%.16s", options.kick);
	demand_name_slot(demand, call->object->handle);
	demand_name_operation(demand, member, more);
	options_free(&options);
	return r < 0 ? refuse(call, &why) : 0;
}

int demand_whole(struct call *call, struct demand *demand)
{
	demand_name_operation(demand, sd_bus_message_get_member(call->m), "");
	return no_options(call);
}
