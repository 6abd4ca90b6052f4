/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Words of fdlctl: text that others wrote never steers the terminal; errors are told in the user's language
 * by their name, also when the daemon is newer than the client; what a program reads stays as it is.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bus/ctl.h"

/* ESC, a new line that looks like a result, CR, DEL, C1, a mark that turns the direction of text */
#define HOSTILE "A\033[31mB\nPASS  1-1  job 9\rC\177D\302\2332J\342\200\256E\tF"

/* ---- a daemon that says what it is told --------------------------------------------------- */

static struct {
	const char *state; /* of its job */
	int interactive;   /* of the last Cancel; -1: none came */
} fake;

static int append_strings(sd_bus_message *m, const char *const *pairs)
{
	int r = sd_bus_message_open_container(m, 'a', "{sv}");

	for (; r >= 0 && *pairs; pairs += 2)
		r = sd_bus_message_append(m, "{sv}", pairs[0], "s", pairs[1]);
	return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_interface(sd_bus_message *m, const char *path, const char *interface,
			    const char *const *pairs, bool details)
{
	int r = sd_bus_message_open_container(m, 'e', "oa{sa{sv}}");

	if (r >= 0)
		r = sd_bus_message_append(m, "o", path);
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'a', "{sa{sv}}");
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'e', "sa{sv}");
	if (r >= 0)
		r = sd_bus_message_append(m, "s", interface);
	if (r >= 0 && !details)
		r = append_strings(m, pairs);
	if (r >= 0 && details) {
		r = sd_bus_message_open_container(m, 'a', "{sv}");
		for (; r >= 0 && *pairs; pairs += 2)
			r = sd_bus_message_append(m, "{sv}", pairs[0], "s", pairs[1]);
		if (r >= 0)
			r = sd_bus_message_append(m, "{sv}", "ErrorDetails", "a{sv}", 5, "message", "s",
						  HOSTILE, "remedy", "s", HOSTILE, "detail", "s", HOSTILE,
						  "exit_code", "u", 99u, "entry", "s", HOSTILE);
		if (r >= 0)
			r = sd_bus_message_append(m, "{sv}", "Result", "a{sv}", 1, "notes", "as", 1, HOSTILE);
		if (r >= 0)
			r = sd_bus_message_close_container(m);
	}
	for (int i = 0; r >= 0 && i < 3; i++)
		r = sd_bus_message_close_container(m);
	return r;
}

static int objects(sd_bus_message *call)
{
	const char *const slot[] = { "Id",  HOSTILE,	   "Port",   HOSTILE,	       "State", HOSTILE,
				     "Job", ROOT "/job/1", "Device", ROOT "/device/1", NULL };
	const char *const tab[] = { "Id", "$(touch nothing)", "Port", "", "State", "empty", NULL };
	const char *const tick[] = { "Id", "x", "Port", "`id`;ls", "State", "empty", NULL };
	const char *const good[] = { "Id", "pci-0:1.2", "Port", "1-1.2", "State", "ready", NULL };
	const char *const device[] = { "Stage", HOSTILE, "UnitId", HOSTILE, NULL };
	const char *const job[] = { "Id",
				    "1",
				    "State",
				    fake.state,
				    "Stage",
				    HOSTILE,
				    "Step",
				    HOSTILE,
				    "Entry",
				    HOSTILE,
				    "ImageName",
				    HOSTILE,
				    "Slot",
				    ROOT "/slot/a",
				    "ErrorName",
				    "org.fdld1.Error.FromTheFuture",
				    "QueuedFor",
				    HOSTILE,
				    "CancelLeaves",
				    HOSTILE,
				    NULL };
	const char *const progress[] = { "Why", HOSTILE, NULL };
	sd_bus_message *m = NULL;
	int r = sd_bus_message_new_method_return(call, &m);

	if (r >= 0)
		r = sd_bus_message_open_container(m, 'a', "{oa{sa{sv}}}");
	if (r >= 0)
		r = append_interface(m, ROOT "/slot/a", SLOT, slot, false);
	if (r >= 0)
		r = append_interface(m, ROOT "/slot/b", SLOT, tab, false);
	if (r >= 0)
		r = append_interface(m, ROOT "/slot/c", SLOT, tick, false);
	if (r >= 0)
		r = append_interface(m, ROOT "/slot/d", SLOT, good, false);
	if (r >= 0)
		r = append_interface(m, ROOT "/device/1", DEVICE, device, false);
	if (r >= 0)
		r = append_interface(m, ROOT "/job/1", JOB, job, true);
	if (r >= 0)
		r = append_interface(m, ROOT "/job/2", PROG, progress, false);
	if (r >= 0)
		r = sd_bus_message_close_container(m);
	if (r >= 0)
		r = sd_bus_send(NULL, m, NULL);
	sd_bus_message_unref(m);
	return r < 0 ? r : 1;
}

static int on_call(sd_bus_message *m, void *user, sd_bus_error *error)
{
	(void)user;
	if (sd_bus_message_is_method_call(m, NULL, "GetManagedObjects"))
		return objects(m);
	if (sd_bus_message_is_method_call(m, JOB, "Trace"))
		return sd_bus_reply_method_return(m, "s", "one\nA\033[31mB\rC\302\2332J\ntwo\n");
	if (sd_bus_message_is_method_call(m, JOB, "Cancel"))
		fake.interactive = sd_bus_message_get_allow_interactive_authorization(m);
	/* an error that this client does not know */
	return sd_bus_error_set(error, "org.fdld1.Error.FromTheFuture", "FromTheFuture: " HOSTILE);
}

static bool pretend(struct rig *rig, const char *state)
{
	fake.state = state;
	fake.interactive = -1;
	return sd_bus_add_fallback(rig_bus(rig), NULL, ROOT, on_call, NULL) >= 0 &&
	       sd_bus_request_name(rig_bus(rig), "org.fdld1", 0) >= 0;
}

/* ---- text that steers the terminal ------------------------------------------------------ */

static struct ctl_run run;

static bool harmless(const char *text)
{
	static const char *const bad[] = { "\033[31mB",		"\r",		"\177",
					   "\302\233",		"\342\200\256", "\t",
					   "\nPASS  1-1  job 9" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (strstr(text, bad[i])) {
			tap_note("hostile text %zu came through: %s", i, text);
			return false;
		}
	return true;
}

/* Without the line breaks of wrapping. */
static const char *flat(const char *text)
{
	static char out[65536];
	size_t n = 0;

	for (; *text && n + 1 < sizeof(out); text++)
		if ((*text != ' ' && *text != '\n') || (n && out[n - 1] != ' '))
			out[n++] = *text == '\n' ? ' ' : *text;
	out[n] = '\0';
	return out;
}

static bool says(struct rig *rig, int code, const char *args)
{
	int got;

	ctl_start(rig, &run, args);
	got = ctl_wait(rig, &run, 10000);
	if (got == code)
		return harmless(run.text);
	tap_note("fdlctl %s: %d, not %d: %s", args, got, code, run.text);
	return false;
}

static void terminal(struct rig *rig)
{
	CHECK(pretend(rig, "failed"));
	CHECK(says(rig, 0, "list") && strstr(run.text, "A\\x1b[31mB\\x0aPASS"));
	CHECK(says(rig, 0, "jobs") && strstr(run.text, "\\x1b[31m"));
	CHECK(says(rig, 0, "jobs 1") && strstr(run.text, "\\x1b[31m"));
	CHECK(says(rig, 0, "jobs trace 1") && strstr(run.text, "\\x1b[31m") && strstr(run.text, "one\n"));
	CHECK(says(rig, 99, "attach 1") && strstr(run.text, "\\x1b[31m"));
	CHECK(says(rig, 121, "cancel 1") && strstr(run.text, "\\x1b[31m"));
	/* text lines that come and go */
	ctl_start(rig, &run, "monitor");
	CHECK(ctl_says(rig, &run, "/device/1", 5000));
	kill(run.pid, SIGTERM);
	CHECK(ctl_wait(rig, &run, 5000) == 0);
	CHECK(harmless(run.text) && strstr(run.text, "\\x1b[31m"));
	/* what the user gives */
	CHECK(ctl(rig, 5000, "\"$(printf 'x\\033[31mB\\r')\"") == 2 && harmless(ctl_err) &&
	      strstr(ctl_err, "\\x1b[31mB"));
	CHECK(ctl(rig, 5000, "info \"$(printf '/x\\033[31mB\\r')\"") == ctl_code("InvalidImage") &&
	      harmless(ctl_err) && strstr(ctl_err, "\\x1b[31mB"));
	CHECK(ctl(rig, 5000, "errors \"$(printf 'x\\033[31mB\\r')\"") == 2 && harmless(ctl_err));
}

/* The live view steers the terminal itself, and only it does. */
static void view(struct rig *rig)
{
	CHECK(pretend(rig, "running"));
	ctl_start_tty(rig, &run, NULL, "attach 1");
	CHECK(ctl_says(rig, &run, "\033[2K", 5000) && ctl_says(rig, &run, "\\x1b", 5000));
	kill(run.pid, SIGKILL);
	ctl_wait(rig, &run, 5000);
	CHECK(!strstr(run.text, "\033[31mB") && !strstr(run.text, "\302\233") &&
	      !strstr(run.text, "\342\200\256"));
}

static void json(struct rig *rig)
{
	json_object *value, *o;

	CHECK(pretend(rig, "failed"));
	ctl_start(rig, &run, "--json jobs 1");
	CHECK(ctl_wait(rig, &run, 10000) == 0);
	value = json_tokener_parse(run.text);
	CHECK(value && json_object_object_get_ex(value, JOB, &o) &&
	      json_object_object_get_ex(o, "ImageName", &o));
	CHECK(!strcmp(json_object_get_string(o), HOSTILE));
	json_object_put(value);
}

static void tab(struct rig *rig)
{
	CHECK(pretend(rig, "failed"));
	ctl_start(rig, &run, "__complete 2 flash --slot=x --slot=");
	CHECK(ctl_wait(rig, &run, 5000) == 0);
	CHECK(!strcmp(run.text, "--slot=1-1.2\tready  pci-0:1.2\n"));
}

/* ---- errors ----------------------------------------------------------------------------- */

static void newer(struct rig *rig)
{
	CHECK(pretend(rig, "failed"));
	/* of an error this client has no row for it prints what the daemon said, and ends as the daemon says
	 */
	CHECK(says(rig, 99, "attach 1") && strstr(run.text, "FromTheFuture"));
	CHECK(says(rig, 121, "--json cancel 1"));
	CHECK(strstr(run.text, "\"error\":\"FromTheFuture\""));
	CHECK(says(rig, 121, "cancel 1") && !strstr(run.text, "must not happen"));
	/* polkit may ask, unless that was forbidden */
	CHECK(fake.interactive == 1);
	CHECK(says(rig, 121, "--no-ask-password cancel 1"));
	CHECK(fake.interactive == 0);
}

static void german(struct rig *rig)
{
	struct phone_setup setup = { .faults = "F37 on boot" };
	struct rig_phone *p;
	struct rig_package pack;

	setenv("LC_ALL", "C.UTF-8", 1);
	setenv("LANGUAGE", "de", 1);
	p = rig_phone(rig, "sc9863a", "1", &setup);
	rig_package(rig, &pack, "sc9863a", 1, 4096);
	CHECK(rig_up(rig, NULL));
	/* a call that is refused: name as ever, cause and remedy in German */
	CHECK(ctl(rig, 10000, "flash --wait 0 %s", pack.path) == ctl_code("SlotEmpty"));
	CHECK(strstr(flat(ctl_err), "SlotEmpty: An diesem Anschluss ist kein Telefon im Download-Modus."));
	CHECK(strstr(flat(ctl_err), "was zu tun ist: Das Telefon ausschalten, seine Download-Taste"));
	CHECK(!strstr(flat(ctl_err), "No phone in"));
	CHECK(ctl(rig, 10000, "--json flash --wait 0 %s", pack.path) == ctl_code("SlotEmpty") && ctl_json());
	CHECK(strstr(ctl_str(0, "message"), "No phone in download mode is on this port.") &&
	      !strncmp(ctl_str(0, "remedy"), "Switch the phone off", 20));
	CHECK(ctl(rig, 10000, "--nosuch") == 2 && strstr(ctl_err, "unbekannte Option »--nosuch«"));
	CHECK(ctl(rig, 10000, "--json --nosuch") == 2 && strstr(ctl_str(0, "message"), "unknown option"));
	/* a job that fails: place, answer and detail as they are, cause and remedy in German */
	CHECK(rig_plug(rig, p));
	CHECK(ctl(rig, 30000, "flash --slot 1-1 %s", pack.path) == ctl_code("SignatureRefused"));
	CHECK(strstr(ctl_out, "GESCHEITERT  1-1  Auftrag 1  SignatureRefused"));
	CHECK(strstr(flat(ctl_out), "Das Telefon hat die Signatur") &&
	      !strstr(flat(ctl_out), "checked an image"));
	CHECK(strstr(flat(ctl_out), "Antwort 0x84") && strstr(flat(ctl_out), "boot bei 0x"));
	CHECK(strstr(flat(ctl_out), "Images verwenden, die"));
	CHECK(ctl(rig, 10000, "jobs trace 1") == 0 && ctl_out[0]);
	/* the bus and the log speak English all the same */
	CHECK(!strncmp(rig_dict(rig, ROOT "/job/1", JOB, "ErrorDetails", "cause"), "The phone", 9));
	unsetenv("LANGUAGE");
	rig_package_free(&pack);
}

static const struct rig_test tests[] = {
	{ "hostile text reaches no terminal", terminal },
	{ "nor the live view", view },
	{ "JSON has it as it is", json },
	{ "TAB offers nothing a shell would run", tab },
	{ "an error of a newer daemon is told in its own words", newer },
	{ "German by the error's name, JSON and bus English", german },
};

int main(void)
{
	return rig_run(tests, sizeof(tests) / sizeof(tests[0]));
}
