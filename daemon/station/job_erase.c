/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Jobs that erase: areas by name or by address, user data by the convention of a factory reset, everything.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "station/internal.h"
#include "station/kv.h"
#include "station/single.h"

int area_parse(const char *target, char name[40], uint64_t *address, struct failure *why)
{
	char *end;

	*address = 0;
	if (!*target)
		return failure_set(why, ERR_INVALID_ARGS, "an area without a name");
	if (!kv_copy(name, 40, target))
		return failure_set(why, ERR_INVALID_ARGS, "\"%.50s\" is no name of a partition", target);
	if (target[0] != '0' || target[1] != 'x')
		return 0;
	errno = 0;
	*address = strtoull(target, &end, 16);
	if (errno || *end || end == target + 2)
		return failure_set(why, ERR_INVALID_ARGS, "\"%.50s\" is no address", target);
	*name = 0;
	return 0;
}

static int add_area(struct single *s, const struct job_erase *area, struct failure *why)
{
	struct made_part part = { .size = area->size };
	char name[40], id[56];
	int r = area_parse(area->target, name, &part.address, why);

	if (r < 0)
		return r;
	if (*name && !plan_name_usable(name))
		return failure_set(why, ERR_INVALID_ARGS, "'%s' is no name of a partition", name);
	if (*name && area->size)
		return failure_set(why, ERR_INVALID_ARGS,
				   "'%s' is erased as a whole: no loader erases a part of a partition", name);
	if (!*name && (!area->size || area->size > UINT32_MAX))
		return failure_set(why, ERR_INVALID_ARGS,
				   "how many bytes from %s on are to be erased has to be said", area->target);
	snprintf(id, sizeof(id), "Erase%s", area->target);
	part.id = id;
	part.type = *name ? "EraseFlash2" : "EraseFlash";
	part.partition = *name ? name : NULL;
	for (uint32_t i = 0; i < s->parts; i++) {
		const struct made_part *other = &s->part[i].made;

		if (!other->partition != !*name)
			return failure_set(
				why, ERR_INVALID_ARGS,
				"names and addresses together: a phone has its areas by the one or by the other");
		if (!strcmp(other->id, id))
			return failure_set(why, ERR_INVALID_ARGS, "'%s' is named twice", area->target);
	}
	(void)single_add(s, &part);
	return 0;
}

/* "misc, logo", as much of it as fits. */
static void name_areas(const struct job_request *q, char *text, size_t size)
{
	size_t used = 0;

	*text = 0;
	for (uint32_t i = 0; i < q->erase_count && used < size; i++)
		used += (size_t)snprintf(text + used, size - used, "%s%.39s", i ? ", " : "",
					 q->erases[i].target);
}

static int check(const struct job_request *q, struct failure *why)
{
	int kinds = (q->erase_count > 0) + q->user_data + q->options.erase_all;

	if (q->erase_count > JOB_ERASES_MAX)
		return failure_set(why, ERR_INVALID_ARGS, "more than %d areas", JOB_ERASES_MAX);
	if (kinds != 1)
		return failure_set(why, ERR_INVALID_ARGS,
				   kinds ? "areas, user data, or everything: one of these"
					 : "nothing is named that is to be erased");
	return 0;
}

int station_erase(struct station *st, const struct job_request *request, station_job_fn done, void *user,
		  struct failure *why)
{
	struct plan_options options;
	struct single *s;
	char name[256];
	int r = check(request, why);

	if (!r)
		r = single_options(&request->options, &st->set, &options, why);
	if (r < 0)
		return r;
	name_areas(request, name, sizeof(name));
	s = single_new("erase", request->user_data	     ? "user data"
				: request->options.erase_all ? "everything"
							     : name);
	if (!s)
		return failure_set(why, ERR_INTERNAL, "out of memory");
	for (uint32_t i = 0; i < request->erase_count && !r; i++)
		r = add_area(s, &request->erases[i], why);
	if (request->user_data)
		s->mark[s->marks++] = (struct mark){ .kind = MARK_BOOT, .value = BOOT_WIPE_DATA };
	if (!r)
		return single_ask(st, request, s, &options, done, user, why);
	single_free(s);
	return r;
}
