/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is shown of images, and how one of the store is found. */
#include <strings.h>

#include "common/util.h"
#include "station/internal.h"

#define DIGITS_MIN 8u

void image_view(const struct image *image, struct image_view *view)
{
	static const char *const states[] = { "checking", "good", "bad" };
	const struct pac *pac = image->package ? package_pac(image->package) : NULL;
	const struct pac_body *body = pac && image->state == IMAGE_GOOD ? package_body(image->package) : NULL;
	size_t items = 0, doubts = 0;

	if (pac) {
		pac_items(pac, &items);
		pac_doubts(pac, &doubts);
	}
	*view = (struct image_view){
		.number = image->number,
		.state = states[image->state],
		.name = image->name,
		.size = image->stored ? image->size : package_size(image->package),
		.bytes_checked = image->stored ? image_verified(image) : package_checked(image->package),
		.product = image->stored ? image->product : pac_header(pac)->product,
		.firmware = image->stored ? image->firmware : pac_header(pac)->product_version,
		.digest = image->digest,
		.opened_at = image->opened_at,
		.failure = image->failure,
		.entries = (uint32_t)items,
		.doubts = (uint32_t)(doubts + (body ? body->doubts : 0)),
		.stored = image->stored,
		.given = image->loader ? "" : image->origin.name,
		.loader = image->loader,
		.imported_at = image->imported_at,
	};
}

bool image_entry(const struct image *image, uint32_t index, struct image_entry *entry)
{
	size_t count = 0;
	const struct pac_item *items = image->package ? pac_items(package_pac(image->package), &count) : NULL;

	if (index >= count)
		return false;
	*entry = (struct image_entry){
		.id = items[index].file->id,
		.type = items[index].file->type_text,
		.partition = items[index].label,
		.file = items[index].name,
		.size = items[index].size,
		.ticked = items[index].ticked,
	};
	return true;
}

const char *image_doubt(const struct image *image, uint32_t index, const char **entry)
{
	const struct pac_body *body = image->state == IMAGE_GOOD ? package_body(image->package) : NULL;
	size_t count = 0;
	const struct pac_doubt *doubt = image->package ? pac_doubts(package_pac(image->package), &count)
						       : NULL;

	if (index >= count) {
		index -= (uint32_t)count;
		count = body ? body->doubts : 0;
		doubt = body ? body->doubt : NULL;
	}
	if (entry)
		*entry = index < count ? doubt[index].entry : "";
	return index < count ? doubt[index].text : "";
}

struct image *station_image(const struct station *st, uint64_t number)
{
	struct image *i = st->images;

	while (i && i->number != number)
		i = i->next;
	return i;
}

struct image *station_next_image(const struct station *st, const struct image *after)
{
	struct image *i = after ? after->next : st->images;

	while (i && i->pair)
		i = i->next;
	return i;
}

/* ---- those of the store ---- */

struct image *station_stored_image(struct station *st, const char *name, struct failure *why)
{
	size_t len = strlen(name);
	bool digits = len >= DIGITS_MIN && len <= 2 * DIGEST_SIZE &&
		      strspn(name, "0123456789abcdefABCDEF") == len;
	struct image *found = NULL;

	for (struct image *i = st->images; i; i = i->next) /* names are unique */
		if (i->stored && !i->loader && !i->leaving && *name && !strcmp(i->name, name))
			found = i;
	for (struct image *i = st->images; !found && digits && i; i = i->next) {
		if (!i->stored || i->loader || i->leaving || strncasecmp(i->digest, name, len) != 0)
			continue;
		for (struct image *j = i->next; j; j = j->next)
			if (j->stored && !j->loader && !j->leaving && !strncasecmp(j->digest, name, len)) {
				failure_set(why, ERR_NO_SUCH_IMAGE, "more than one digest begins with %s",
					    name);
				return NULL;
			}
		found = i;
	}
	if (!found) {
		failure_set(why, ERR_NO_SUCH_IMAGE, "%.100s", name);
		return NULL;
	}
	if (found->state == IMAGE_BAD) {
		if (why)
			*why = found->failure;
		return NULL;
	}
	return found;
}
