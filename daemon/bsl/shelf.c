/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bsl/shelf.h"

#include <errno.h>

#include "bsl/message.h"
#include "common/util.h"

#define BUCKETS 256u

struct slot {
	struct bsl_shelved frame;   /* first: what is given out is the slot */
	struct slot *next;	    /* in its bucket */
	struct slot *older, *newer; /* idle ones, by when they were used last */
	struct bsl_form form;
	struct bsl_place place;
	size_t asked, room; /* bytes of data that were given; bytes there is room for */
	unsigned users;
	uint8_t bytes[];
};

struct bsl_shelf {
	unsigned refs;	   /* the owner's, and one for each link */
	size_t keep, idle; /* bytes */
	struct slot *oldest, *newest;
	struct slot *bucket[BUCKETS];
};

struct bsl_shelf *bsl_shelf_new(size_t keep)
{
	struct bsl_shelf *shelf = calloc(1, sizeof(*shelf));

	if (!shelf)
		return NULL;
	shelf->refs = 1;
	shelf->keep = keep;
	return shelf;
}

struct bsl_shelf *bsl_shelf_ref(struct bsl_shelf *shelf)
{
	shelf->refs++;
	return shelf;
}

bool bsl_shelf_shared(const struct bsl_shelf *shelf)
{
	return shelf->refs > 2;
}

static struct slot **bucket_of(struct bsl_shelf *shelf, struct bsl_place place)
{
	/* places follow each other in steps of a frame, whatever that is */
	uint64_t mixed = (place.offset ^ (uint64_t)place.source << 56) * 0x9e3779b97f4a7c15u;

	return &shelf->bucket[mixed >> 56];
}

static void idle_add(struct bsl_shelf *shelf, struct slot *s)
{
	s->newer = NULL;
	s->older = shelf->newest;
	*(shelf->newest ? &shelf->newest->newer : &shelf->oldest) = s;
	shelf->newest = s;
	shelf->idle += s->room;
}

static void idle_take(struct bsl_shelf *shelf, struct slot *s)
{
	*(s->older ? &s->older->newer : &shelf->oldest) = s->newer;
	*(s->newer ? &s->newer->older : &shelf->newest) = s->older;
	shelf->idle -= s->room;
}

/* The frame that nobody has used for the longest time, out of all lists. */
static struct slot *take_oldest(struct bsl_shelf *shelf)
{
	struct slot *s = shelf->oldest, **at = bucket_of(shelf, s->place);

	idle_take(shelf, s);
	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
	return s;
}

void bsl_shelf_unref(struct bsl_shelf *shelf)
{
	if (!shelf)
		return;
	shelf->refs--;
	while (!bsl_shelf_shared(shelf) && shelf->oldest)
		free(take_oldest(shelf));
	if (!shelf->refs)
		free(shelf);
}

static bool same(const struct slot *s, const struct bsl_form *form, struct bsl_place place, size_t len)
{
	return s->place.offset == place.offset && s->place.source == place.source && s->asked == len &&
	       s->form.check == form->check && s->form.framing == form->framing &&
	       s->form.max_packet == form->max_packet;
}

static struct slot *find(struct bsl_shelf *shelf, const struct bsl_form *form, struct bsl_place place,
			 size_t len)
{
	struct slot *s = *bucket_of(shelf, place);

	while (s && !same(s, form, place, len))
		s = s->next;
	return s;
}

const struct bsl_shelved *bsl_shelf_look(struct bsl_shelf *shelf, const struct bsl_form *form,
					 struct bsl_place place, size_t len)
{
	struct slot *s = find(shelf, form, place, len);

	return s ? &s->frame : NULL;
}

/* Memory for one more: that of the oldest where enough is kept, which is mostly of the size wanted. */
static struct slot *make(struct bsl_shelf *shelf, size_t room)
{
	struct slot *s = NULL;

	while (shelf->oldest && shelf->idle + room > shelf->keep) {
		free(s);
		s = take_oldest(shelf);
	}
	if (s && s->room == room)
		return s;
	free(s);
	s = malloc(sizeof(*s) + room);
	if (s)
		s->room = room;
	return s;
}

int bsl_shelf_get(struct bsl_shelf *shelf, const struct bsl_form *form, struct bsl_place place,
		  const void *data, size_t len, const struct bsl_shelved **out, bool *made)
{
	struct slot *s = find(shelf, form, place, len), **bucket = bucket_of(shelf, place);
	ssize_t wire;

	*made = !s;
	if (!s) {
		s = make(shelf, bsl_wire_bound(form->framing, len));
		if (!s)
			return -ENOMEM;
		wire = bsl_encode_fit(form->check, form->framing, BSL_CMD_MIDST, data, len, form->max_packet,
				      s->bytes, s->room, &s->frame.taken);
		if (wire < 0) {
			free(s);
			return (int)wire;
		}
		s->frame.len = (size_t)wire;
		s->frame.bytes = s->bytes;
		s->frame.data = form->framing == BSL_FRAMING_PLAIN ? s->bytes + BSL_PLAIN_HEAD : NULL;
		s->form = *form;
		s->place = place;
		s->asked = len;
		s->users = 0;
		s->next = *bucket;
		*bucket = s;
	} else if (!s->users) {
		idle_take(shelf, s);
	}
	s->users++;
	*out = &s->frame;
	return 0;
}

void bsl_shelf_put(struct bsl_shelf *shelf, const struct bsl_shelved *frame)
{
	struct slot *s;

	if (!frame)
		return;
	s = CONTAINER_OF((struct bsl_shelved *)(uintptr_t)frame, struct slot, frame);
	if (--s->users)
		return;
	idle_add(shelf, s);
	while (shelf->oldest && (shelf->idle > shelf->keep || !bsl_shelf_shared(shelf)))
		free(take_oldest(shelf));
}
