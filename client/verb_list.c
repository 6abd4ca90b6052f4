/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * list and monitor: what is plugged in, and what happens.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/client.h"
#include "common/names.h"
#include "common/util.h"

static json_object *with_path(const char *path, json_object *props)
{
	json_object *o = NULL;

	if (json_object_deep_copy(props, &o, NULL) < 0)
		return NULL;
	json_object_object_add(o, "Path", json_object_new_string(path));
	return o;
}

static void list_json(const struct client *c, const char **slots, size_t count)
{
	json_object *list = json_object_new_array();

	for (size_t i = 0; i < count; i++) {
		json_object *slot = with_path(slots[i], mirror_props(c, slots[i], FDLD_IFACE_SLOT));
		const char *dev = prop_str(slot, "Device"), *job = prop_str(slot, "Job");
		json_object *props;

		if ((props = mirror_props(c, dev, FDLD_IFACE_DEVICE)))
			json_object_object_add(slot, "DeviceObject", with_path(dev, props));
		if ((props = mirror_props(c, prop_str(slot, "RunningDevice"), FDLD_IFACE_DEVICE)))
			json_object_object_add(slot, "RunningObject",
					       with_path(prop_str(slot, "RunningDevice"), props));
		if ((props = mirror_props(c, job, FDLD_IFACE_JOB)))
			json_object_object_add(slot, "JobObject", with_path(job, props));
		json_object_array_add(list, slot);
	}
	print_json(list);
	json_object_put(list);
}

static void list_slot(const struct client *c, const char *path)
{
	json_object *slot = mirror_props(c, path, FDLD_IFACE_SLOT);
	json_object *runs = mirror_props(c, prop_str(slot, "RunningDevice"), FDLD_IFACE_DEVICE);
	json_object *there = mirror_props(c, prop_str(slot, "Device"), FDLD_IFACE_DEVICE);
	json_object *dev = there ? there : runs;
	json_object *job = mirror_props(c, prop_str(slot, "Job"), FDLD_IFACE_JOB);
	const char *state = prop_text(slot, "State"), *owed = prop_text(slot, "OwedBackup");
	char phone[96] = "-", work[480] = "-", words[320], owes[128];

	if (dev)
		snprintf(phone, sizeof(phone), "%04x:%04x %s%s%s", (unsigned)prop_u64(dev, "VendorId"),
			 (unsigned)prop_u64(dev, "ProductId"), prop_text(dev, "Stage"),
			 *prop_str(dev, "UnitId") ? " unit " : "", prop_text(dev, "UnitId"));
	if (job)
		snprintf(work, sizeof(work), _("job %s: %s %s"), prop_text(job, "Id"),
			 prop_text(job, "Stage"), prop_text(job, "Entry"));
	else if (*armed_words(slot, words, sizeof(words)) && !*owed)
		snprintf(work, sizeof(work), "%s", words);
	else if (*owed) {
		snprintf(owes, sizeof(owes), _("owes the NV of job %s"), owed);
		snprintf(work, sizeof(work), "%s%s%s", owes, *words ? "; " : "", words);
	}
	printf("%-34s %-8s %-9s %-28s %s\n", prop_text(slot, "Id"), prop_text(slot, "Port"), state, phone,
	       work);
}

static int list(struct client *c, int argc, char **argv)
{
	_cleanup_free_ const char **slots = NULL;
	char head[256];
	size_t count;
	int opt, rc;

	while ((opt = verb_next(c, &verb_list, argc, argv, &rc)) != -1)
		if (opt == -2)
			return rc;
	if (optind < argc)
		return client_usage(N_("list: what is '%s' for?"), argv[optind]);
	rc = mirror_load(c);
	if (rc)
		return rc;
	slots = mirror_paths(c, FDLD_IFACE_SLOT, &count);
	if (!slots)
		return error_entry(ERR_INTERNAL)->exit_code;
	if (c->json) {
		list_json(c, slots, count);
		return 0;
	}
	if (!count) {
		print_wrapped(
			stdout, "",
			_("No phone yet. Switch a phone off, hold its download key (mostly volume down) and plug "
			  "it in."));
		return 0;
	}
	snprintf(head, sizeof(head), "%s %s %s %s %s", padded(_("SLOT"), 34), padded(_("PORT"), 8),
		 padded(_("STATE"), 9), padded(_("PHONE"), 28), _("WORK"));
	printf("%s\n", tone(c, TONE_BOLD, head));
	for (size_t i = 0; i < count; i++)
		list_slot(c, slots[i]);
	return 0;
}

const struct verb verb_list = {
	.name = "list",
	.args = "",
	.summary = N_("ports and phones"),
	.about = N_("Ports that a phone was seen on, what is plugged in there now, and the job that has it."),
	.run = list,
};

/* ---- monitor ---- */

static volatile sig_atomic_t stop;

static void on_signal(int sig)
{
	(void)sig;
	stop = 1;
}

static bool same(json_object *a, json_object *b)
{
	return json_object_equal(a, b);
}

static void event_line(const struct client *c, const char *path, const char *iface, const char *what,
		       json_object *values)
{
	struct timespec t;
	struct tm tm;
	char at[32];

	clock_gettime(CLOCK_REALTIME, &t);
	if (c->json) {
		json_object *o = json_object_new_object();

		json_object_object_add(
			o, "at_usec",
			json_object_new_uint64((uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u));
		json_object_object_add(o, "event", json_object_new_string(what));
		json_object_object_add(o, "path", json_object_new_string(path));
		json_object_object_add(o, "interface", json_object_new_string(iface));
		json_object_object_add(o, "properties", json_object_get(values));
		print_json(o);
		json_object_put(o);
		return;
	}
	localtime_r(&t.tv_sec, &tm);
	strftime(at, sizeof(at), "%H:%M:%S", &tm);
	printf("%s.%03ld  %s %s", at, t.tv_nsec / 1000000, padded(_(what), 8),
	       clean(path + strlen(FDLD_PATH_ROOT)));
	if (!values) { /* gone */
		putchar('\n');
		fflush(stdout);
		return;
	}
	json_object_object_foreach(values, key, value)
	{
		if (json_object_is_type(value, json_type_object) ||
		    json_object_is_type(value, json_type_array))
			continue;
		printf("  %s=%s", clean(key), clean(json_object_get_string(value)));
	}
	putchar('\n');
	fflush(stdout);
}

/* what differs between two pictures of the daemon's objects, as events */
static void differences(const struct client *c, json_object *before, json_object *after)
{
	json_object_object_foreach(after, path, ifaces)
	{
		json_object_object_foreach(ifaces, iface, props)
		{
			json_object *old_ifaces = NULL, *old = NULL, *changed;

			if (json_object_object_get_ex(before, path, &old_ifaces))
				json_object_object_get_ex(old_ifaces, iface, &old);
			if (!old) {
				event_line(c, path, iface, N_("added"), props);
				continue;
			}
			changed = json_object_new_object();
			json_object_object_foreach(props, key, value)
			{
				json_object *was = NULL;

				if (!json_object_object_get_ex(old, key, &was) || !same(was, value))
					json_object_object_add(changed, key, json_object_get(value));
			}
			if (json_object_object_length(changed))
				event_line(c, path, iface, N_("changed"), changed);
			json_object_put(changed);
		}
	}
	json_object_object_foreach(before, gone, old_ifaces)
	{
		if (!json_object_object_get_ex(after, gone, NULL)) {
			json_object_object_foreach(old_ifaces, iface, props)
			{
				(void)props;
				event_line(c, gone, iface, N_("removed"), NULL);
			}
		}
	}
}

static int monitor(struct client *c, int argc, char **argv)
{
	json_object *seen = NULL;
	uint64_t changes;
	int opt, rc;

	while ((opt = verb_next(c, &verb_monitor, argc, argv, &rc)) != -1)
		if (opt == -2)
			return rc;
	if (optind < argc)
		return client_usage(N_("monitor: what is '%s' for?"), argv[optind]);
	rc = mirror_load(c);
	if (rc)
		return rc;
	sigaction(SIGINT, &(struct sigaction){ .sa_handler = on_signal }, NULL);
	sigaction(SIGTERM, &(struct sigaction){ .sa_handler = on_signal }, NULL);
	seen = json_object_new_object();
	differences(c, seen, c->mirror);
	while (!stop && !c->bus_lost) {
		json_object_put(seen);
		seen = NULL;
		if (json_object_deep_copy(c->mirror, &seen, NULL) < 0)
			break;
		changes = c->changes;
		while (!stop && !c->bus_lost && c->changes == changes)
			client_turn(c, 1000000);
		differences(c, seen, c->mirror);
	}
	json_object_put(seen);
	if (c->bus_lost)
		return client_lost(c);
	return 0;
}

const struct verb verb_monitor = {
	.name = "monitor",
	.args = "",
	.summary = N_("print events as they happen"),
	.about = N_(
		"Prints what comes, changes and goes, one line each (JSON lines with --json), until interrupted."),
	.beside = "top",
	.run = monitor,
};
