/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is shown: records, lookup by path, properties, and what has changed since it was last shown. */
#include "bus/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"

static const struct {
	const char *prefix;
	const struct bus_class *class, *second;
} kinds[KIND_COUNT] = {
	[KIND_MANAGER] = { FDLD_PATH_ROOT, &bus_class_manager, NULL },
	[KIND_SLOT] = { FDLD_PATH_SLOTS, &bus_class_slot, NULL },
	[KIND_DEVICE] = { FDLD_PATH_DEVICES, &bus_class_device, NULL },
	[KIND_JOB] = { FDLD_PATH_JOBS, &bus_class_job, &bus_class_progress },
	[KIND_IMAGE] = { FDLD_PATH_IMAGES, &bus_class_image, NULL },
	[KIND_LOADER] = { FDLD_PATH_LOADERS, &bus_class_loader, NULL },
};

/* The most that a class fills in; wide enough for any member to be aligned. */
union values {
	max_align_t align;
	char bytes[BUS_VALUES_SIZE];
};

/* ---- properties ------------------------------------------------------------------- */

static const struct bus_prop *prop_find(const struct bus_class *class, const char *name)
{
	for (unsigned int i = 0; i < class->prop_count; i++)
		if (!strcmp(class->props[i].name, name))
			return &class->props[i];
	return NULL;
}

static const struct bus_class *class_find(const char *interface)
{
	for (unsigned int i = 0; i < KIND_COUNT; i++) {
		if (!strcmp(kinds[i].class->interface, interface))
			return kinds[i].class;
		if (kinds[i].second && !strcmp(kinds[i].second->interface, interface))
			return kinds[i].second;
	}
	return NULL;
}

static int prop_append(struct bus *bus, const struct bus_prop *prop, void *handle, const char *values,
		       sd_bus_message *m)
{
	const char *at = values + prop->offset;
	int flag;

	switch (prop->type) {
	case 's': return reply_text(m, *(const char *const *)at);
	case 'o': return sd_bus_message_append_basic(m, 'o', *(const char *const *)at);
	case 'b': flag = *(const bool *)at; return sd_bus_message_append_basic(m, 'b', &flag);
	case 'a': return prop->append(bus, handle, m);
	default: return sd_bus_message_append_basic(m, prop->type, at);
	}
}

int bus_get(sd_bus *conn, const char *path, const char *interface, const char *property, sd_bus_message *m,
	    void *object, sd_bus_error *error)
{
	struct object *o = object;
	const struct bus_class *class = class_find(interface);
	const struct bus_prop *prop = class ? prop_find(class, property) : NULL;
	union values values;

	if (!prop)
		return -ENOENT;
	class->fill(o->bus, o->handle, values.bytes);
	return prop_append(o->bus, prop, o->handle, values.bytes, m);
}

#define HASH_SEED 0xcbf29ce484222325u

static uint64_t hash_bytes(uint64_t h, const void *data, size_t len)
{
	const uint8_t *p = data;

	while (len--)
		h = (h ^ *p++) * 0x100000001b3u;
	return h;
}

static uint64_t prop_hash(const struct bus_prop *prop, const char *values)
{
	const char *at = values + prop->offset;

	switch (prop->type) {
	case 's':
	case 'o': return hash_bytes(HASH_SEED, *(const char *const *)at, strlen(*(const char *const *)at));
	case 'b': return *(const bool *)at;
	case 'q': return *(const uint16_t *)at;
	case 'u': return *(const uint32_t *)at;
	default: return hash_bytes(HASH_SEED, at, sizeof(uint64_t)); /* t, d, and the marker of a */
	}
}

/* Compares with what was last shown, remembers, emits the names that differ in one message. */
static void show(struct bus *bus, struct object *o, const struct bus_class *class, uint64_t *shown, bool emit)
{
	const char *names[BUS_PROPS_MAX + 1];
	unsigned int n = 0;
	union values values;

	class->fill(bus, o->handle, values.bytes);
	for (unsigned int i = 0; i < class->prop_count; i++) {
		uint64_t h = prop_hash(&class->props[i], values.bytes);

		if (h == shown[i])
			continue;
		shown[i] = h;
		if (!class->props[i].quiet)
			names[n++] = class->props[i].name;
	}
	names[n] = NULL;
	if (n && emit && link_bus(bus->link))
		(void)sd_bus_emit_properties_changed_strv(bus->conn, o->path, class->interface,
							  (char **)names);
}

/* ---- records ---------------------------------------------------------------------- */

static unsigned int bucket_of(const void *handle)
{
	return (unsigned int)(((uintptr_t)handle >> 4) * 0x9e3779b1u >> 7) % OBJECT_BUCKETS;
}

struct object *object_of(const struct bus *bus, const void *handle)
{
	if (!handle)
		return NULL;
	for (struct object *o = bus->bucket[bucket_of(handle)]; o; o = o->hash_next)
		if (o->handle == handle)
			return o;
	return NULL;
}

const char *object_path(const struct bus *bus, const void *handle)
{
	const struct object *o = object_of(bus, handle);

	return o ? o->path : "/";
}

struct object *object_find(const struct bus *bus, const char *path)
{
	for (struct object *o = bus->objects; o; o = o->next)
		if (!strcmp(o->path, path))
			return o;
	return NULL;
}

void *object_handle(const struct bus *bus, enum bus_kind kind, const char *path)
{
	struct object *o = object_find(bus, path);

	return o && o->kind == kind ? o->handle : NULL;
}

int object_add(struct bus *bus, enum bus_kind kind, void *handle, const char *path)
{
	struct object *o = calloc(1, sizeof(*o));
	unsigned int b = bucket_of(handle);

	if (!o)
		return -ENOMEM;
	o->bus = bus;
	o->kind = kind;
	o->handle = handle;
	o->path = strdup(path);
	if (!o->path) {
		free(o);
		return -ENOMEM;
	}
	o->hash_next = bus->bucket[b];
	bus->bucket[b] = o;
	*bus->objects_tail = o;
	bus->objects_tail = &o->next;
	show(bus, o, kinds[kind].class, o->shown[0], false);
	if (kinds[kind].second)
		show(bus, o, kinds[kind].second, o->shown[1], false);
	if (link_bus(bus->link) && kind != KIND_MANAGER)
		(void)sd_bus_emit_object_added(bus->conn, o->path);
	return 0;
}

static void unlink_object(struct bus *bus, struct object *o)
{
	struct object **p;

	for (p = &bus->bucket[bucket_of(o->handle)]; *p != o; p = &(*p)->hash_next)
		;
	*p = o->hash_next;
	for (p = &bus->objects; *p != o; p = &(*p)->next)
		;
	*p = o->next;
	if (!o->next)
		bus->objects_tail = p;
	if (o->dirty)
		bus->dirty_count--;
	if (o->progress_dirty)
		bus->progress_count--;
	job_drop_waits(bus, o, NULL);
	free(o->path);
	free(o);
}

void object_remove(struct bus *bus, const void *handle)
{
	struct object *o = object_of(bus, handle);

	if (!o)
		return;
	/* the signal first: sd-bus asks us which interfaces go, and we must still find the object */
	if (link_bus(bus->link))
		(void)sd_bus_emit_object_removed(bus->conn, o->path);
	unlink_object(bus, o);
}

void object_free_all(struct bus *bus)
{
	while (bus->objects)
		unlink_object(bus, bus->objects);
}

/* ---- changes ---------------------------------------------------------------------- */

void object_touch(struct bus *bus, const void *handle)
{
	struct object *o = object_of(bus, handle);

	if (!o || o->dirty)
		return;
	o->dirty = true;
	bus->dirty_count++;
}

void object_touch_progress(struct bus *bus, const void *handle)
{
	struct object *o = object_of(bus, handle);

	if (!o || o->progress_dirty)
		return;
	o->progress_dirty = true;
	bus->progress_count++;
}

/* Sends it, or lowers *due to when it may be sent. */
static void flush_progress(struct bus *bus, struct object *o, uint64_t now, uint64_t *due)
{
	uint64_t at = o->progress_usec + BUS_PROGRESS_USEC;

	if (!o->progress_now && now < at) {
		*due = MIN(*due, at);
		return;
	}
	o->progress_dirty = o->progress_now = false;
	bus->progress_count--;
	o->progress_usec = now;
	show(bus, o, kinds[o->kind].second, o->shown[1], true);
}

/* Stage and state are worth a progress signal of their own, before the change they come with. */
static void hurry_progress(struct bus *bus, struct object *o)
{
	struct job_view view;
	uint64_t h;

	job_view(o->handle, &view);
	h = hash_bytes(HASH_SEED, view.stage, strlen(view.stage));
	h = hash_bytes(h, view.state, strlen(view.state));
	if (h == o->stage_hash)
		return;
	o->stage_hash = h;
	object_touch_progress(bus, o->handle);
	o->progress_now = true;
}

void object_flush(struct bus *bus)
{
	uint64_t due = UINT64_MAX, now;

	if (!bus->dirty_count && !bus->progress_count)
		return;
	now = loop_now();
	for (struct object *o = bus->objects; o && bus->dirty_count; o = o->next) {
		if (!o->dirty)
			continue;
		o->dirty = false;
		bus->dirty_count--;
		if (o->kind == KIND_JOB)
			hurry_progress(bus, o);
		if (o->progress_dirty)
			flush_progress(bus, o, now, &due);
		show(bus, o, kinds[o->kind].class, o->shown[0], true);
	}
	for (struct object *o = bus->objects; o && bus->progress_count; o = o->next)
		if (o->progress_dirty)
			flush_progress(bus, o, now, &due);
	(void)loop_timer_at(bus->progress_timer, due);
}

/* ---- registration ----------------------------------------------------------------- */

static int find_object(sd_bus *conn, const char *path, const char *interface, void *user, void **found,
		       sd_bus_error *error)
{
	*found = object_find(user, path);
	return *found != NULL;
}

static int list_objects(sd_bus *conn, const char *prefix, void *user, char ***nodes, sd_bus_error *error)
{
	struct bus *bus = user;
	size_t n = 0, len = strlen(prefix);
	char **list;

	for (struct object *o = bus->objects; o; o = o->next)
		n++;
	list = calloc(n + 1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	n = 0;
	for (struct object *o = bus->objects; o; o = o->next) {
		if (strncmp(o->path, prefix, len) || o->path[len] != '/')
			continue;
		list[n] = strdup(o->path);
		if (!list[n++])
			goto no_memory;
	}
	*nodes = list;
	return 0;

no_memory:
	while (n--)
		free(list[n]);
	free(list);
	return -ENOMEM;
}

int object_attach(struct bus *bus, sd_bus *conn)
{
	int r = sd_bus_add_object_manager(conn, NULL, FDLD_PATH_ROOT);

	if (r >= 0)
		r = sd_bus_add_object_vtable(conn, NULL, FDLD_PATH_ROOT, FDLD_IFACE_MANAGER,
					     bus_class_manager.vtable, object_of(bus, bus));
	for (unsigned int i = KIND_MANAGER + 1; r >= 0 && i < KIND_COUNT; i++) {
		r = sd_bus_add_fallback_vtable(conn, NULL, kinds[i].prefix, kinds[i].class->interface,
					       kinds[i].class->vtable, find_object, bus);
		if (r >= 0 && kinds[i].second)
			r = sd_bus_add_fallback_vtable(conn, NULL, kinds[i].prefix,
						       kinds[i].second->interface, kinds[i].second->vtable,
						       find_object, bus);
		if (r >= 0)
			r = sd_bus_add_node_enumerator(conn, NULL, kinds[i].prefix, list_objects, bus);
	}
	return r;
}
