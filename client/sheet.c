/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/sheet.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "common/names.h"
#include "common/util.h"

static char *read_all(int fd)
{
	_cleanup_free_ char *text = NULL;
	struct stat st;
	size_t got = 0;

	if (fstat(fd, &st) < 0 || st.st_size < 0)
		return NULL;
	text = malloc((size_t)st.st_size + 1);
	while (text && got < (size_t)st.st_size) {
		ssize_t n = pread(fd, text + got, (size_t)st.st_size - got, (off_t)got);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return NULL;
		got += (size_t)n;
	}
	if (text)
		text[got] = '\0';
	return TAKE_PTR(text);
}

int sheet_take(sd_bus_message *reply, char **text)
{
	const char *said;
	char type;
	int fd, r = sd_bus_message_peek_type(reply, &type, NULL);

	if (r >= 0 && type == SD_BUS_TYPE_STRING) {
		r = sd_bus_message_read(reply, "s", &said);
		*text = r < 0 ? NULL : strdup(said);
	} else if (r >= 0) {
		r = sd_bus_message_read(reply, "h", &fd);
		*text = r < 0 ? NULL : read_all(fd);
	}
	return MIN(r, 0);
}

bool sheet_each(char *text, bool (*fn)(void *user, json_object *line), void *user)
{
	char *end;

	for (char *line = text; *line; line = end + 1) {
		json_object *o;
		bool more;

		end = strchr(line, '\n');
		if (!end)
			return false;
		*end = '\0';
		o = json_tokener_parse(line);
		if (!o)
			return false;
		more = fn(user, o);
		json_object_put(o);
		if (!more)
			break;
	}
	return true;
}

sd_bus_message *sheet_call(struct client *c, const char *method, int *rc)
{
	sd_bus_message *m = NULL;
	int r;

	*rc = client_connect(c);
	if (*rc)
		return NULL;
	r = sd_bus_message_new_method_call(c->bus, &m, FDLD_BUS_NAME, FDLD_PATH_ROOT, FDLD_IFACE_MANAGER,
					   method);
	if (r < 0)
		*rc = client_complain_bus(c, NULL, r);
	return m;
}

int sheet_text(sd_bus_message *m, const char *key, const char *value)
{
	return value ? sd_bus_message_append(m, "{sv}", key, "s", value) : 0;
}

int sheet_number(sd_bus_message *m, const char *key, uint64_t value)
{
	return value ? sd_bus_message_append(m, "{sv}", key, "t", value) : 0;
}

int sheet_flag(sd_bus_message *m, const char *key, bool value)
{
	return value ? sd_bus_message_append(m, "{sv}", key, "b", 1) : 0;
}

char *sheet_slot(struct client *c, const char *name)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	const char *path;
	char *id = NULL;

	/* a slot that nobody has used since the start is not known, but its jobs are */
	if (sd_bus_call_method(c->bus, FDLD_BUS_NAME, FDLD_PATH_ROOT, FDLD_IFACE_MANAGER, "GetSlot", &error,
			       &reply, "s", name) < 0 ||
	    sd_bus_message_read(reply, "o", &path) < 0 ||
	    sd_bus_get_property_string(c->bus, FDLD_BUS_NAME, path, FDLD_IFACE_SLOT, "Id", NULL, &id) < 0)
		return strdup(name);
	return id;
}

const char *sheet_time(uint64_t usec, char *buf, size_t size)
{
	time_t at = (time_t)(usec / 1000000u);
	struct tm tm;

	if (!usec || !localtime_r(&at, &tm) || !strftime(buf, size, "%F %H:%M", &tm))
		snprintf(buf, size, "-");
	return buf;
}

int sheet_nonsense(const struct client *c)
{
	struct failure why = { .error = ERR_INTERNAL, .code = -1 };

	snprintf(why.detail, sizeof(why.detail), "the daemon's answer cannot be read");
	return client_complain(c, &why);
}
