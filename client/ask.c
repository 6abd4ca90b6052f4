/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Calls that verbs have in common: slots by name, packages that are opened, the options of a call. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/ask.h"
#include "common/names.h"
#include "common/util.h"

int ask_path(struct client *c, sd_bus_message *m, int r, char **path)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	const char *text;

	if (r >= 0)
		r = client_ask(c, m, &error, &reply);
	if (r >= 0)
		r = sd_bus_message_read(reply, "o", &text);
	if (r < 0)
		return client_complain_bus(c, &error, r);
	*path = strdup(text);
	return *path ? 0 : error_entry(ERR_INTERNAL)->exit_code;
}

int ask_seconds(const char *text, uint64_t *usec)
{
	char *end;
	unsigned long n;

	errno = 0;
	n = strtoul(text, &end, 10);
	if (errno || !*text || *end || n > 7ul * 86400)
		return client_usage(N_("'%s' is no number of seconds up to a week"), text);
	*usec = n * 1000000u;
	return 0;
}

int ask_manager(struct client *c, const char *method, sd_bus_message **m)
{
	return sd_bus_message_new_method_call(c->bus, m, FDLD_BUS_NAME, FDLD_PATH_ROOT, FDLD_IFACE_MANAGER,
					      method);
}

int ask_slot(struct client *c, const char *name, char **slot)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	int r = ask_manager(c, "GetSlot", &m);

	if (r >= 0)
		r = sd_bus_message_append(m, "s", name);
	return ask_path(c, m, r, slot);
}

int ask_only_slot(struct client *c, const char *verb, char **slot)
{
	_cleanup_free_ const char **all = NULL;
	const char *found = NULL;
	size_t n, ready = 0;

	all = mirror_paths(c, FDLD_IFACE_SLOT, &n);
	if (!all)
		return error_entry(ERR_INTERNAL)->exit_code;
	for (size_t i = 0; i < n; i++) {
		const char *device = prop_str(mirror_props(c, all[i], FDLD_IFACE_SLOT), "Device");

		if (strlen(device) < 2)
			continue;
		found = all[i];
		ready++;
	}
	if (ready > 1)
		return client_usage(N_("%s: %zu phones are there: name one with --slot"), verb, ready);
	if (!found)
		return client_complain(c, &(struct failure){ .error = ERR_SLOT_EMPTY, .code = -1 });
	*slot = strdup(found);
	return *slot ? 0 : error_entry(ERR_INTERNAL)->exit_code;
}

int ask_text(sd_bus_message *m, const char *key, const char *value)
{
	return value ? sd_bus_message_append(m, "{sv}", key, "s", value) : 0;
}

int ask_flag(sd_bus_message *m, const char *key, bool value)
{
	return value ? sd_bus_message_append(m, "{sv}", key, "b", 1) : 0;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

int ask_package(struct client *c, const char *file, char **name)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	struct failure why = { .error = ERR_INVALID_IMAGE, .code = -1 };
	/* no file goes through ssh */
	_cleanup_close_ int fd = c->host ? -1 : open(file, O_RDONLY | O_CLOEXEC);
	int r;

	if (c->host && strchr(file, '/'))
		return client_usage(N_("files do not go through ssh; import '%s' on %s and say its name"),
				    file, c->host);
	if (fd < 0 && (c->host || errno == ENOENT) &&
	    !strchr(file, '/')) { /* then it is a name that the daemon knows */
		*name = strdup(file);
		return *name ? 0 : error_entry(ERR_INTERNAL)->exit_code;
	}
	if (fd < 0) {
		snprintf(why.detail, sizeof(why.detail), "%s: %s", file, strerror(errno));
		return client_complain(c, &why);
	}
	r = ask_manager(c, "OpenImage", &m);
	if (r >= 0)
		r = sd_bus_message_append(m, "h", fd);
	if (r >= 0)
		r = sd_bus_message_append(m, "a{sv}", 1, "name", "s", base_name(file));
	return ask_path(c, m, r, name);
}
