/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* bind: what belongs to the next phone; release, refuse: jobs that wait for a word. */
#include <stdlib.h>
#include <string.h>

#include "client/client.h"
#include "common/names.h"
#include "common/util.h"

struct wish {
	const char *work_order, *operator, * serial, *image;
	bool run;
};

enum { OPT_WORK_ORDER = 1, OPT_OPERATOR, OPT_SERIAL, OPT_IMAGE, OPT_RUN };

static void take(struct wish *wish, int opt)
{
	switch (opt) {
	case OPT_WORK_ORDER: wish->work_order = optarg; break;
	case OPT_OPERATOR: wish->operator= optarg; break;
	case OPT_SERIAL: wish->serial = optarg; break;
	case OPT_IMAGE: wish->image = optarg; break;
	case OPT_RUN: wish->run = true; break;
	default: break;
	}
}

static int put(sd_bus_message *m, const char *key, const char *value)
{
	return value ? sd_bus_message_append(m, "{sv}", key, "s", value) : 0;
}

static int put_wish(sd_bus_message *m, const struct wish *wish)
{
	int r = sd_bus_message_open_container(m, 'a', "{sv}");

	if (r < 0 || (r = put(m, "work_order", wish->work_order)) < 0 ||
	    (r = put(m, "operator", wish->operator)) < 0 || (r = put(m, "serial", wish->serial)) < 0 ||
	    (r = put(m, "image", wish->image)) < 0 ||
	    (wish->run && (r = sd_bus_message_append(m, "{sv}", "run", "b", 1)) < 0))
		return r;
	return sd_bus_message_close_container(m);
}

/* The path of a slot or a job. 0 or an exit code. */
static int find(struct client *c, const char *method, const char *name, uint64_t number, char **path)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	const char *found;
	int r = client_connect(c);

	if (r)
		return r;
	if (name)
		r = sd_bus_call_method(c->bus, FDLD_BUS_NAME, FDLD_PATH_ROOT, FDLD_IFACE_MANAGER, method,
				       &error, &reply, "s", name);
	else
		r = sd_bus_call_method(c->bus, FDLD_BUS_NAME, FDLD_PATH_ROOT, FDLD_IFACE_MANAGER, method,
				       &error, &reply, "t", number);
	if (r >= 0)
		r = sd_bus_message_read(reply, "o", &found);
	if (r < 0)
		return client_complain_bus(c, &error, r);
	*path = strdup(found);
	return *path ? 0 : error_entry(ERR_INTERNAL)->exit_code;
}

/* wish NULL: reason instead. */
static int call(struct client *c, const char *path, const char *interface, const char *method,
		const struct wish *wish, const char *reason)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	int r = sd_bus_message_new_method_call(c->bus, &m, FDLD_BUS_NAME, path, interface, method);

	if (r >= 0)
		r = wish ? put_wish(m, wish) : sd_bus_message_append(m, "s", reason);
	if (r >= 0)
		r = client_ask(c, m, &error, NULL);
	return r < 0 ? client_complain_bus(c, &error, r) : 0;
}

static int find_job(struct client *c, const char *id, char **path)
{
	unsigned long long number;
	char end;

	if (sscanf(id, "%llu%c", &number, &end) != 1)
		return client_usage(N_("'%s' is no number of a job"), id);
	return find(c, "GetJob", NULL, number, path);
}

/* ---- bind ---------------------------------------------------------------------------- */

static const struct verb_opt bind_options[] = {
	{ "work-order", OPT_WORK_ORDER, N_("TEXT"), N_("what it is made for; empty: none"), false },
	{ "operator", OPT_OPERATOR, N_("TEXT"), N_("who works here"), false },
	{ "serial", OPT_SERIAL, N_("TEXT"), N_("serial number, as from a barcode"), false },
	{ "run", OPT_RUN, NULL, N_("for all phones from now on, not only for the next"), false },
	{ 0 },
};

static int bind_slot(struct client *c, int argc, char **argv)
{
	_cleanup_free_ char *path = NULL;
	struct wish wish = { 0 };
	int opt, rc;

	while ((opt = verb_next(c, &verb_bind, argc, argv, &rc)) != -1) {
		if (opt == -2)
			return rc;
		take(&wish, opt);
	}
	if (argc - optind != 1)
		return client_usage(N_("bind: which slot?"));
	if (!wish.work_order && !wish.operator&& !wish.serial)
		return client_usage(N_("bind: --work-order, --operator or --serial"));
	rc = find(c, "GetSlot", argv[optind], 0, &path);
	return rc ? rc : call(c, path, FDLD_IFACE_SLOT, "Bind", &wish, NULL);
}

const struct verb verb_bind = {
	.name = "bind",
	.beside = "arm",
	.args = "SLOT",
	.summary = N_("say what the next phone belongs to"),
	.about = N_(
		"Work order, operator and serial number go into the record of the next phone of this slot, or of all phones, "
		"into the history and to the hooks."),
	.options = bind_options,
	.operand = OPERAND_PLACES,
	.run = bind_slot,
};

/* ---- release, refuse ------------------------------------------------------------------ */

static const struct verb_opt release_options[] = {
	{ "work-order", OPT_WORK_ORDER, N_("TEXT"), N_("what it is made for"), false },
	{ "operator", OPT_OPERATOR, N_("TEXT"), N_("who works here"), false },
	{ "serial", OPT_SERIAL, N_("TEXT"), N_("serial number, as from a barcode"), false },
	{ "image", OPT_IMAGE, N_("IMAGE"), N_("another one of the store"), false },
	{ 0 },
};

static int release(struct client *c, int argc, char **argv)
{
	_cleanup_free_ char *path = NULL;
	struct wish wish = { 0 };
	int opt, rc;

	while ((opt = verb_next(c, &verb_release, argc, argv, &rc)) != -1) {
		if (opt == -2)
			return rc;
		take(&wish, opt);
	}
	if (argc - optind != 1)
		return client_usage(N_("release: which job?"));
	rc = find_job(c, argv[optind], &path);
	return rc ? rc : call(c, path, FDLD_IFACE_JOB, "Release", &wish, NULL);
}

const struct verb verb_release = {
	.name = "release",
	.beside = "attach",
	.args = "ID",
	.summary = N_("let a job begin that waits for it"),
	.about = N_("A rule with gate = client lets no phone hear a byte before somebody says so."),
	.options = release_options,
	.operand = OPERAND_RUNNING,
	.run = release,
};

static int refuse(struct client *c, int argc, char **argv)
{
	_cleanup_free_ char *path = NULL;
	int opt, rc;

	while ((opt = verb_next(c, &verb_refuse, argc, argv, &rc)) != -1)
		if (opt == -2)
			return rc;
	if (argc - optind != 2)
		return client_usage(N_("refuse: which job, and why?"));
	rc = find_job(c, argv[optind], &path);
	return rc ? rc : call(c, path, FDLD_IFACE_JOB, "Refuse", NULL, argv[optind + 1]);
}

const struct verb verb_refuse = {
	.name = "refuse",
	.beside = "cancel",
	.args = N_("ID REASON"),
	.summary = N_("end a job that waits to be released"),
	.about = N_("It fails with ReleaseRefused and the reason, and nothing was sent to the phone."),
	.operand = OPERAND_RUNNING,
	.run = refuse,
};
