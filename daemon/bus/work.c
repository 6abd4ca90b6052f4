/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Calls that are answered later: the package is opened on a worker, then the plan is made, then the job is
 * there and the caller gets its path. A caller that leaves meanwhile is not answered; a job that was asked
 * for goes on without it, as promised.
 */
#include "bus/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "common/journal.h"
#include "common/util.h"

struct work {
	struct work *next;
	struct bus *bus;
	sd_bus_message *m; /* holds the strings of the options, so it stays when nobody waits any more */
	bool orphaned;
	struct client *client; /* NULL once orphaned */
	struct station_caller caller;
	enum action granted;
	struct options options;
	struct work_place place;
	struct image *image;  /* one reference */
	struct image *lender; /* likewise: the option `loader` of a flash, as an image on the bus */
};

static void close_sources(struct work_place *place)
{
	for (unsigned int i = 0; place->loader && i < ARRAY_SIZE(place->source.part); i++)
		if (place->source.part[i].fd >= 0)
			close(place->source.part[i].fd);
	place->loader = false;
}

static void place_free(struct work_place *place)
{
	for (uint32_t i = 0; i < place->read_count; i++)
		if (place->reads[i].fd >= 0)
			close(place->reads[i].fd);
	free(TAKE_PTR(place->reads));
	place->read_count = 0;
	if (place->drop)
		place->drop(place->extra);
	place->drop = NULL;
}

static void work_free(struct work *work)
{
	struct bus *bus = work->bus;

	for (struct work **p = &bus->works; *p; p = &(*p)->next)
		if (*p == work) {
			*p = work->next;
			break;
		}
	if (work->client)
		work->client->work_count--;
	if (work->image)
		image_release(work->image);
	if (work->lender)
		image_release(work->lender);
	if (work->place.fd >= 0)
		close(work->place.fd);
	close_sources(&work->place);
	if (work->place.image)
		image_release(work->place.image);
	place_free(&work->place);
	free(work->place.slots);
	options_free(&work->options);
	sd_bus_message_unref(work->m);
	free(work);
}

void work_orphan(struct bus *bus, const struct client *client)
{
	for (struct work *work = bus->works; work; work = work->next) {
		if (work->orphaned || (client && work->client != client))
			continue;
		work->orphaned = true;
		if (work->client)
			work->client->work_count--;
		work->client = NULL;
	}
}

void work_let_go(struct bus *bus)
{
	bus->stopped = true;
	work_orphan(bus, NULL);
	for (struct work *work = bus->works; work; work = work->next) {
		if (work->image)
			image_release(TAKE_PTR(work->image));
		if (work->lender)
			image_release(TAKE_PTR(work->lender));
		if (work->place.image)
			image_release(TAKE_PTR(work->place.image));
	}
}

void work_free_all(struct bus *bus)
{
	while (bus->works)
		work_free(bus->works);
}

/* ---- answers ---------------------------------------------------------------------- */

static void refuse(struct work *work, const struct failure *why)
{
	if (!work->orphaned)
		reply_failure_to(work->m, why);
	work_free(work);
}

static void answer(struct work *work, const void *handle)
{
	if (!work->orphaned)
		(void)sd_bus_reply_method_return(work->m, "o", object_path(work->bus, handle));
	work_free(work);
}

static void on_job(void *user, struct job *job, const struct failure *why)
{
	if (job)
		answer(user, job);
	else
		refuse(user, why);
}

unsigned int work_pending(const struct bus *bus, uint32_t uid, bool flash)
{
	unsigned int n = 0;

	for (const struct work *work = bus->works; work; work = work->next)
		n += work->caller.uid == uid &&
		     (flash ? work->place.flash : work->place.opens && !work->image);
	return n;
}

static void ask_for_job(struct work *work)
{
	struct options *options = &work->options;
	struct failure why = { 0 };
	struct job_request request = {
		.image = work->image,
		.options = options->job,
		.caller = work->caller,
		.slot = work->place.slot,
		.slots = work->place.slots,
		.slot_count = work->place.slot_count,
		.expect_device_given = options->expect_given,
		.expect_device = options->expect_device,
		.dry_run = options->dry_run,
		.wait_given = options->wait_given,
		.wait_usec = options->wait_usec,
		/* one on the bus is held already: work_loader() */
		.loader = options->loader && *options->loader == '/' ? NULL : options->loader,
		.lender = work->lender,
	};

	int r;

	if (work->place.start) {
		r = work->place.start(work->bus->station, &request, options, work->place.extra, on_job, work,
				      &why);
	} else if (work->place.table) {
		r = station_read_table(work->bus->station, &request, on_job, work, &why);
	} else if (work->place.read) {
		request.reads = work->place.reads;
		request.read_count = work->place.read_count;
		work->place.read_count = 0; /* the descriptors are the station's */
		r = station_read(work->bus->station, &request, on_job, work, &why);
	} else if (work->place.release) {
		r = station_release(work->bus->station, &request, options->power_off, on_job, work, &why);
	} else {
		r = station_flash(work->bus->station, &request, on_job, work, &why);
	}
	if (r < 0)
		refuse(work, &why);
}

/* ---- a second question ------------------------------------------------------------ */

static void on_leave(const struct question *q, enum polkit_answer answer, const char *said)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	struct work *work = q->user;

	if (answer == POLKIT_YES) {
		ask_for_job(work);
		return;
	}
	if (answer != POLKIT_GONE) {
		polkit_refusal(q, answer, said, &error);
		(void)sd_bus_reply_method_error(work->m, &error);
	}
	work_free(work);
}

/*
 * A package that writes what is the phone's own (calibration, serial numbers) is more than a flash, and what
 * is in it is known only now.
 */
static bool ask_for_more(struct work *work)
{
	struct demand demand = { .action = ACTION_FLASH_UNPROTECTED };
	struct failure why = { 0 };
	struct slot_view slot;
	struct image_view image;

	if (work->granted >= ACTION_FLASH_UNPROTECTED || work->options.dry_run ||
	    !image_loses_own(work->image, &work->options.job))
		return false;
	if (work->orphaned) {
		work_free(work);
		return true;
	}
	image_view(work->image, &image);
	if (work->place.slot)
		slot_view(work->place.slot, &slot);
	demand_text(demand.slot, sizeof(demand.slot), work->place.slot ? slot.id : "any");
	demand_text(demand.image, sizeof(demand.image), image.name[0] ? image.name : "(no name)");
	demand_text(demand.operation, sizeof(demand.operation), "flash device-unique");
	if (polkit_ask(work->client, work->m, &demand, on_leave, work, &why) < 0)
		refuse(work, &why);
	return true;
}

static void keep_image(struct work *work)
{
	struct failure why = { 0 };
	struct image *image = work->image;

	/* nobody is left to hold it: our reference was the last */
	if (work->orphaned) {
		work_free(work);
		return;
	}
	if (client_take_image(work->client, image) < 0) {
		failure_set(&why, ERR_LIMITS_EXCEEDED, "%u images are open", work->client->image_count);
		refuse(work, &why);
		return;
	}
	work->image = NULL; /* the client's now */
	answer(work, image);
}

static void on_image(void *user, struct image *image, const struct failure *why)
{
	struct work *work = user;
	struct object *object;

	if (!image) {
		struct journal_field fields[JOURNAL_FAILURE_FIELDS];
		char text[1024];

		journal_event(EVENT_IMAGE_REJECTED, fields, journal_failure_fields(why, fields),
			      "package refused to uid %u: %s", work->caller.uid,
			      failure_text(why, text, sizeof(text)));
		refuse(work, why);
		return;
	}
	if (work->place.import) { /* it stays by itself */
		answer(work, image);
		return;
	}
	work->image = image;
	object = object_of(work->bus, image);
	if (object)
		object->uid = work->caller.uid;
	if (!work->place.flash || work->bus->stopped)
		keep_image(work);
	else if (!ask_for_more(work))
		ask_for_job(work);
}

/* ---- questions -------------------------------------------------------------------- */

int work_take_fd(sd_bus_message *m, int *fd, struct failure *why)
{
	int theirs, null;

	/* the message's descriptor goes with the message. Never opened again by name: that would widen it. */
	if (sd_bus_message_read_basic(m, 'h', &theirs) < 0)
		return failure_set(why, ERR_INVALID_ARGS, "no descriptor");
	*fd = fcntl(theirs, F_DUPFD_CLOEXEC, 3);
	if (*fd < 0)
		return failure_set(why, errno == EMFILE ? ERR_LIMITS_EXCEEDED : ERR_INTERNAL,
				   "cannot keep the descriptor: %s", strerror(errno));
	/*
	 * The message's own would be closed at the end of the call, by the loop, when the file system may not
	 * answer any more (closing asks it); now it has just opened the file.
	 */
	null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (null >= 0) {
		(void)dup3(null, theirs, O_CLOEXEC);
		close(null);
	}
	return 0;
}

/* Takes over what place holds; NULL: it did not. */
static struct work *work_new(struct call *call, const struct work_place *place)
{
	struct work *work = calloc(1, sizeof(*work));

	if (!work)
		return NULL;
	work->bus = call->bus;
	work->m = sd_bus_message_ref(call->m);
	work->place = *place;
	work->client = call->client;
	work->client->work_count++;
	client_caller(call->client, &work->caller);
	work->granted = call->granted;
	work->next = call->bus->works;
	call->bus->works = work;
	return work;
}

static int work_limit(const struct work *work, struct failure *why)
{
	if (work->client->work_count <= BUS_CLIENT_WORK_MAX &&
	    client_sum(work->client, offsetof(struct client, work_count)) <=
		    station_settings(work->bus->station)->user_calls)
		return 0;
	return failure_set(why, ERR_LIMITS_EXCEEDED, "%u calls are being worked on",
			   work->client->work_count - 1);
}

/* ---- the store -------------------------------------------------------------------- */

static void on_stored(void *user, const struct failure *why)
{
	struct work *work = user;

	if (why) {
		refuse(work, why);
		return;
	}
	if (!work->orphaned)
		(void)sd_bus_reply_method_return(work->m, "");
	work_free(work);
}

int work_room(const struct call *call, struct failure *why)
{
	if (call->client->work_count < BUS_CLIENT_WORK_MAX &&
	    client_sum(call->client, offsetof(struct client, work_count)) <
		    station_settings(call->bus->station)->user_calls)
		return 0;
	return failure_set(why, ERR_LIMITS_EXCEEDED, "%u calls are being worked on",
			   call->client->work_count);
}

int work_slots_stored(struct call *call, struct slot *const *slots, uint32_t count)
{
	struct work_place place = { .fd = -1 };
	struct failure why = { 0 };
	struct work *work = work_new(call, &place);
	int r;

	if (!work)
		return -ENOMEM;
	r = slots_stored(call->bus->station, slots, count, on_stored, work, &why);
	if (r < 0)
		refuse(work, &why);
	else if (!r)
		on_stored(work, NULL);
	return 1;
}

int work_release(struct call *call)
{
	struct work_place place = { .fd = -1, .import = true };
	struct failure why = { 0 };
	struct image *image = NULL;
	struct work *work = work_new(call, &place);
	int r;

	if (!work)
		return -ENOMEM;
	r = work_limit(work, &why);
	if (!r)
		r = options_read(call->bus, call->m, OPTION_BIND | OPTION_TAKE, &work->options, &why);
	if (r >= 0 && work->options.take) {
		image = station_stored_image(call->bus->station, work->options.take, &why);
		r = image ? 0 : -1;
	}
	if (r >= 0)
		r = job_release(call->object->handle, &work->options.bind, image, on_stored, work, &why);
	if (r < 0)
		refuse(work, &why);
	else if (!r)
		on_stored(work, NULL);
	return 1;
}

int work_on_stored(struct call *call, bool verify)
{
	struct work_place place = { .fd = -1, .import = true };
	struct failure why = { 0 };
	struct work *work = work_new(call, &place);

	if (!work)
		return -ENOMEM;
	if (work_limit(work, &why) < 0 || options_read(call->bus, call->m, 0, &work->options, &why) < 0 ||
	    (verify ? station_verify_image(call->object->handle, on_stored, work, &why)
		    : station_remove_image(call->object->handle, on_stored, work, &why)) < 0)
		refuse(work, &why);
	return 1;
}

/* The option `loader` may be an image on the bus; any other name is the station's to find. */
static int work_loader(struct work *work, struct failure *why)
{
	const char *name = work->options.loader;
	struct image *image;

	if (!name || *name != '/')
		return 0;
	image = object_handle(work->bus, KIND_IMAGE, name);
	if (!image)
		return failure_set(why, ERR_NO_SUCH_IMAGE, "%.200s", name);
	image_hold(image);
	if (work->place.read)
		work->place.image = image;
	else
		work->lender = image;
	return 0;
}

int work_begin(struct call *call, struct work_place *place, unsigned int allowed)
{
	struct work *work = work_new(call, place);
	struct failure why = { 0 };

	if (!work) {
		if (place->fd >= 0)
			close(place->fd);
		close_sources(place);
		if (place->image)
			image_release(place->image);
		place_free(place);
		free(place->slots);
		return -ENOMEM;
	}
	if (work_limit(work, &why) < 0)
		goto refused;
	work->place.opens = !place->image && !place->import && !place->read && !place->release;
	if ((place->flash && client_may_begin(work->client, true, &why) < 0) ||
	    (work->place.opens && client_may_begin(work->client, false, &why) < 0) ||
	    options_read(call->bus, call->m, allowed, &work->options, &why) < 0)
		goto refused;
	if ((place->read || place->flash) && work_loader(work, &why) < 0)
		goto refused;
	if (work->place.image || place->read || place->release) {
		work->image = TAKE_PTR(work->place.image);
		ask_for_job(work);
		return 1;
	}
	if (work->place.loader) {
		work->place.loader = false; /* the descriptors are the station's now */
		work->place.source.force = work->options.force_pair;
		work->place.source.origin = work->options.origin;
		if (station_import_loader(call->bus->station, &work->place.source, &work->options.image,
					  &work->caller, on_image, work, &why) < 0)
			goto refused;
		return 1;
	}
	if (place->import) {
		if (station_import_image(call->bus->station, TAKE_FD(work->place.fd), &work->options.image,
					 &work->caller, on_image, work, &why) < 0)
			goto refused;
		return 1;
	}
	if (station_open_image(call->bus->station, TAKE_FD(work->place.fd), &work->options.image,
			       &work->caller, on_image, work, &why) < 0)
		goto refused;
	return 1;

refused:
	refuse(work, &why);
	return 1;
}
