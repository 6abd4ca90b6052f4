/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The daemon's objects as this client sees them: loaded once, kept true by signals. Every view reads from
 * here, so a client that starts late and one that watched from the start print the same.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client/client.h"
#include "common/names.h"
#include "common/util.h"

#define AGAIN_USEC 1000000u

static json_object *child(json_object *parent, const char *key)
{
	json_object *o = NULL;

	if (!json_object_object_get_ex(parent, key, &o)) {
		o = json_object_new_object();
		json_object_object_add(parent, key, o);
	}
	return o;
}

/* a{sa{sv}} of one object, merged over what is known of it */
static int apply_interfaces(sd_bus_message *m, json_object *object)
{
	int r = sd_bus_message_enter_container(m, SD_BUS_TYPE_ARRAY, "{sa{sv}}");

	while (r >= 0 && (r = sd_bus_message_enter_container(m, SD_BUS_TYPE_DICT_ENTRY, "sa{sv}")) > 0) {
		const char *iface;

		r = sd_bus_message_read(m, "s", &iface);
		/* every object has the bus's own interfaces too: they say nothing */
		if (r >= 0 && !strncmp(iface, "org.freedesktop.", 16))
			r = sd_bus_message_skip(m, "a{sv}");
		else if (r >= 0)
			r = value_read_dict(m, child(object, iface));
		if (r >= 0)
			r = sd_bus_message_exit_container(m);
	}
	return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int on_added(sd_bus_message *m, void *user, sd_bus_error *error)
{
	struct client *c = user;
	const char *path;

	if (sd_bus_message_read(m, "o", &path) >= 0 && apply_interfaces(m, child(c->mirror, path)) >= 0)
		c->changes++;
	return 0;
}

static int on_removed(sd_bus_message *m, void *user, sd_bus_error *error)
{
	struct client *c = user;
	const char *path, *iface;
	json_object *o;

	if (sd_bus_message_read(m, "o", &path) < 0 || !(o = mirror_object(c, path)))
		return 0;
	if (sd_bus_message_enter_container(m, SD_BUS_TYPE_ARRAY, "s") < 0)
		return 0;
	while (sd_bus_message_read(m, "s", &iface) > 0)
		json_object_object_del(o, iface);
	if (!json_object_object_length(o))
		json_object_object_del(c->mirror, path);
	c->changes++;
	return 0;
}

static int on_changed(sd_bus_message *m, void *user, sd_bus_error *error)
{
	struct client *c = user;
	const char *iface;
	json_object *o = mirror_object(c, sd_bus_message_get_path(m));

	if (!o || sd_bus_message_read(m, "s", &iface) < 0)
		return 0;
	if (value_read_dict(m, child(o, iface)) >= 0)
		c->changes++;
	return 0;
}

static int on_owner(sd_bus_message *m, void *user, sd_bus_error *error)
{
	struct client *c = user;
	const char *name, *old, *new;

	if (sd_bus_message_read(m, "sss", &name, &old, &new) >= 0 && !*new)
		c->bus_lost = true;
	return 0;
}

static int subscribe(struct client *c)
{
	int r = sd_bus_match_signal(c->bus, NULL, FDLD_BUS_NAME, FDLD_PATH_ROOT, FDLD_IFACE_OBJECT_MANAGER,
				    "InterfacesAdded", on_added, c);

	if (r >= 0)
		r = sd_bus_match_signal(c->bus, NULL, FDLD_BUS_NAME, FDLD_PATH_ROOT,
					FDLD_IFACE_OBJECT_MANAGER, "InterfacesRemoved", on_removed, c);
	if (r >= 0)
		r = sd_bus_match_signal(c->bus, NULL, FDLD_BUS_NAME, NULL, FDLD_IFACE_PROPERTIES,
					"PropertiesChanged", on_changed, c);
	if (r >= 0)
		r = sd_bus_add_match(c->bus, NULL,
				     "type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged',"
				     "arg0='" FDLD_BUS_NAME "'",
				     on_owner, c);
	return r;
}

/* The answer of GetManagedObjects into the mirror. */
static int fill(struct client *c, sd_bus_message *reply)
{
	int r = sd_bus_message_enter_container(reply, SD_BUS_TYPE_ARRAY, "{oa{sa{sv}}}");

	while (r >= 0 &&
	       (r = sd_bus_message_enter_container(reply, SD_BUS_TYPE_DICT_ENTRY, "oa{sa{sv}}")) > 0) {
		const char *path;

		r = sd_bus_message_read(reply, "o", &path);
		if (r >= 0)
			r = apply_interfaces(reply, child(c->mirror, path));
		if (r >= 0)
			r = sd_bus_message_exit_container(reply);
	}
	return r;
}

int mirror_load(struct client *c)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	int r = client_connect(c);

	if (r)
		return r;
	c->mirror = json_object_new_object();
	r = subscribe(c);
	if (r >= 0)
		r = sd_bus_call_method(c->bus, FDLD_BUS_NAME, FDLD_PATH_ROOT, FDLD_IFACE_OBJECT_MANAGER,
				       "GetManagedObjects", &error, &reply, NULL);
	if (r < 0)
		return client_complain_bus(c, &error, r);
	r = fill(c, reply);
	return r < 0 ? client_complain_bus(c, NULL, r) : 0;
}

bool mirror_peek(struct client *c)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
	int r = client_connect(c);

	if (r)
		return false;
	c->mirror = json_object_new_object();
	r = sd_bus_message_new_method_call(c->bus, &m, FDLD_BUS_NAME, FDLD_PATH_ROOT,
					   FDLD_IFACE_OBJECT_MANAGER, "GetManagedObjects");
	if (r >= 0)
		r = sd_bus_message_set_auto_start(m, 0);
	if (r >= 0)
		r = sd_bus_call(c->bus, m, 0, NULL, &reply);
	return r >= 0 && fill(c, reply) >= 0;
}

bool mirror_manager(struct client *c)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
	int r = sd_bus_message_new_method_call(c->bus, &m, FDLD_BUS_NAME, FDLD_PATH_ROOT,
					       FDLD_IFACE_PROPERTIES, "GetAll");

	if (r >= 0)
		r = sd_bus_message_append(m, "s", FDLD_IFACE_MANAGER);
	if (r >= 0)
		r = sd_bus_message_set_auto_start(m, 0);
	if (r >= 0)
		r = sd_bus_call(c->bus, m, AGAIN_USEC, NULL, &reply);
	if (r >= 0)
		r = value_read_dict(reply, child(child(c->mirror, FDLD_PATH_ROOT), FDLD_IFACE_MANAGER));
	return r >= 0;
}

bool mirror_again(struct client *c)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
	json_object *old = c->mirror;
	/* through ssh a connection that still stands is kept: another one takes its time, or a password */
	bool stands = c->host && c->bus && sd_bus_is_open(c->bus) > 0;
	int r = 0;

	c->in_a_hurry = true;
	if (!stands) {
		c->bus = sd_bus_close_unref(c->bus);
		r = client_open(c);
	}
	c->mirror = json_object_new_object();
	if (r >= 0)
		r = sd_bus_set_method_call_timeout(c->bus, AGAIN_USEC); /* our subscriptions too */
	if (r >= 0 && !stands)
		r = subscribe(c);
	if (r >= 0)
		r = sd_bus_message_new_method_call(c->bus, &m, FDLD_BUS_NAME, FDLD_PATH_ROOT,
						   FDLD_IFACE_OBJECT_MANAGER, "GetManagedObjects");
	if (r >= 0)
		r = sd_bus_message_set_auto_start(m, 0);
	if (r >= 0)
		r = sd_bus_call(c->bus, m, AGAIN_USEC, NULL, &reply);
	if (r >= 0)
		r = fill(c, reply);
	c->bus_lost = r < 0 || !mirror_manager(c);
	if (c->bus_lost) {
		json_object_put(c->mirror);
		c->mirror = old;
		return false;
	}
	(void)sd_bus_set_method_call_timeout(c->bus, 0);
	json_object_put(old);
	c->changes++;
	return true;
}

json_object *mirror_object(const struct client *c, const char *path)
{
	json_object *o = NULL;

	return c->mirror && json_object_object_get_ex(c->mirror, path, &o) ? o : NULL;
}

json_object *mirror_props(const struct client *c, const char *path, const char *interface)
{
	json_object *o = mirror_object(c, path), *props = NULL;

	return o && json_object_object_get_ex(o, interface, &props) ? props : NULL;
}

static json_object *prop(json_object *props, const char *name)
{
	json_object *o = NULL;

	return props && json_object_object_get_ex(props, name, &o) ? o : NULL;
}

const char *prop_str(json_object *props, const char *name)
{
	json_object *o = prop(props, name);

	return o ? json_object_get_string(o) : "";
}

const char *prop_text(json_object *props, const char *name)
{
	return clean(prop_str(props, name));
}

uint64_t prop_u64(json_object *props, const char *name)
{
	json_object *o = prop(props, name);

	return o ? json_object_get_uint64(o) : 0;
}

double prop_num(json_object *props, const char *name)
{
	json_object *o = prop(props, name);

	return o ? json_object_get_double(o) : 0;
}

bool prop_bool(json_object *props, const char *name)
{
	json_object *o = prop(props, name);

	return o && json_object_get_boolean(o);
}

static int by_version(const void *a, const void *b)
{
	return strverscmp(*(const char *const *)a, *(const char *const *)b);
}

const char **mirror_paths(const struct client *c, const char *interface, size_t *count)
{
	size_t n = 0;
	const char **list = calloc((size_t)json_object_object_length(c->mirror) + 1, sizeof(*list));

	*count = 0;
	if (!list)
		return NULL;
	json_object_object_foreach(c->mirror, path, object)
	{
		if (json_object_object_get_ex(object, interface, NULL))
			list[n++] = path;
	}
	qsort(list, n, sizeof(*list), by_version);
	*count = n;
	return list;
}
