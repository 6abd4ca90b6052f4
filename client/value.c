/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Bus values as JSON values, whatever their signature.
 */
#include <errno.h>
#include <string.h>

#include "client/client.h"
#include "common/util.h"

static void put_object(json_object **o)
{
	json_object_put(*o);
}

static int read_basic(sd_bus_message *m, char type, json_object **out)
{
	union {
		uint8_t y;
		int b;
		int16_t n;
		uint16_t q;
		int32_t i;
		uint32_t u;
		int64_t x;
		uint64_t t;
		double d;
		const char *s;
	} v;
	int r = sd_bus_message_read_basic(m, type, &v);

	if (r < 0)
		return r;
	switch (type) {
	case SD_BUS_TYPE_BOOLEAN: *out = json_object_new_boolean(v.b); break;
	case SD_BUS_TYPE_BYTE: *out = json_object_new_int64(v.y); break;
	case SD_BUS_TYPE_INT16: *out = json_object_new_int64(v.n); break;
	case SD_BUS_TYPE_UINT16: *out = json_object_new_int64(v.q); break;
	case SD_BUS_TYPE_INT32: *out = json_object_new_int64(v.i); break;
	case SD_BUS_TYPE_UINT32: *out = json_object_new_int64(v.u); break;
	case SD_BUS_TYPE_INT64: *out = json_object_new_int64(v.x); break;
	case SD_BUS_TYPE_UINT64: *out = json_object_new_uint64(v.t); break;
	case SD_BUS_TYPE_DOUBLE: *out = json_object_new_double(v.d); break;
	case SD_BUS_TYPE_STRING:
	case SD_BUS_TYPE_OBJECT_PATH:
	case SD_BUS_TYPE_SIGNATURE: *out = json_object_new_string(v.s); break;
	default: return -EBADMSG;
	}
	return *out ? 0 : -ENOMEM;
}

/* {key: value, ...}: keys that are no strings become their JSON text */
static int read_entries(sd_bus_message *m, const char *contents, json_object *object)
{
	int r;

	while ((r = sd_bus_message_enter_container(m, SD_BUS_TYPE_DICT_ENTRY, contents)) > 0) {
		_cleanup_(put_object) json_object *key = NULL;
		json_object *value = NULL;

		r = value_read(m, &key);
		if (r >= 0)
			r = value_read(m, &value);
		if (r < 0)
			return r;
		json_object_object_add(object, json_object_get_string(key), value);
		r = sd_bus_message_exit_container(m);
		if (r < 0)
			return r;
	}
	return r;
}

static int read_array(sd_bus_message *m, const char *contents, json_object **out)
{
	_cleanup_(put_object) json_object *list = NULL;
	int r;

	r = sd_bus_message_enter_container(m, SD_BUS_TYPE_ARRAY, contents);
	if (r < 0)
		return r;
	if (contents[0] == '{') {
		char inner[64] = "";

		if (strlen(contents) >= sizeof(inner))
			return -E2BIG;
		memcpy(inner, contents + 1, strlen(contents) - 2); /* without the braces */
		list = json_object_new_object();
		r = list ? read_entries(m, inner, list) : -ENOMEM;
	} else {
		list = json_object_new_array();
		while (list && sd_bus_message_at_end(m, 0) == 0) {
			json_object *item = NULL;

			r = value_read(m, &item);
			if (r < 0)
				return r;
			json_object_array_add(list, item);
		}
		r = list ? 0 : -ENOMEM;
	}
	if (r < 0)
		return r;
	*out = TAKE_PTR(list);
	return sd_bus_message_exit_container(m);
}

static int read_struct(sd_bus_message *m, const char *contents, json_object **out)
{
	_cleanup_(put_object) json_object *list = json_object_new_array();
	int r = sd_bus_message_enter_container(m, SD_BUS_TYPE_STRUCT, contents);

	if (!list)
		return -ENOMEM;
	while (r >= 0 && sd_bus_message_at_end(m, 0) == 0) {
		json_object *item = NULL;

		r = value_read(m, &item);
		if (r >= 0)
			json_object_array_add(list, item);
	}
	if (r < 0)
		return r;
	*out = TAKE_PTR(list);
	return sd_bus_message_exit_container(m);
}

int value_read(sd_bus_message *m, json_object **out)
{
	const char *contents;
	char type;
	int r = sd_bus_message_peek_type(m, &type, &contents);

	if (r <= 0)
		return r < 0 ? r : -ENXIO;
	switch (type) {
	case SD_BUS_TYPE_VARIANT:
		r = sd_bus_message_enter_container(m, type, contents);
		if (r >= 0)
			r = value_read(m, out);
		return r < 0 ? r : sd_bus_message_exit_container(m);
	case SD_BUS_TYPE_ARRAY: return read_array(m, contents, out);
	case SD_BUS_TYPE_STRUCT: return read_struct(m, contents, out);
	case SD_BUS_TYPE_UNIX_FD: *out = NULL; return sd_bus_message_skip(m, "h");
	default: return read_basic(m, type, out);
	}
}

int value_read_dict(sd_bus_message *m, json_object *object)
{
	int r = sd_bus_message_enter_container(m, SD_BUS_TYPE_ARRAY, "{sv}");

	if (r < 0)
		return r;
	r = read_entries(m, "sv", object);
	return r < 0 ? r : sd_bus_message_exit_container(m);
}
