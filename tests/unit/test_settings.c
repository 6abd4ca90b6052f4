/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table of settings, fdld.conf with its drop-ins, and the file and page that tell of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/settings.h"
#include "common/util.h"

#define SHIPPED "daemon/fdld.conf"
#define PAGE	"man/fdld.conf.5"

/* ---- the table ---------------------------------------------------------------------- */

static void test_table(void **state)
{
	struct settings set, other;
	char text[SETTING_TEXT_MAX], reason[160];

	settings_preset(&set);
	for (int i = 0; i < SETTING_COUNT; i++) {
		const struct setting_entry *e = setting_entry((enum setting_id)i);

		/* every preset is a value, and what is shown is what would be written */
		settings_preset(&other);
		assert_int_equal(setting_put(&other, (enum setting_id)i, e->preset, reason, sizeof(reason)),
				 0);
		assert_true(setting_same(&set, &other, (enum setting_id)i));
		setting_text(&set, (enum setting_id)i, text, sizeof(text));
		assert_int_equal(setting_put(&other, (enum setting_id)i, text, reason, sizeof(reason)), 0);
		assert_true(setting_same(&set, &other, (enum setting_id)i));
		assert_int_equal(setting_find(e->name), i);
		assert_int_equal(setting_find(e->key), i);
		assert_int_equal(e->help[strlen(e->help) - 1], '.');
		for (int j = 0; j < i; j++)
			assert_string_not_equal(setting_entry((enum setting_id)j)->key, e->key);
	}
	assert_int_equal(setting_find("jobs"), SETTING_NONE);
	assert_int_equal(setting_find(""), SETTING_NONE);
	assert_int_equal(set.keep_usec, 30 * 60 * UINT64_C(1000000));
	assert_int_equal(set.running_max, UINT32_MAX);
	assert_string_equal(set.level, "acknowledged");
}

static const char *put(enum setting_id id, const char *value)
{
	static char reason[160];
	struct settings set;

	settings_preset(&set);
	strcpy(reason, "");
	if (setting_put(&set, id, value, reason, sizeof(reason)) < 0)
		return reason;
	return "";
}

static void test_values(void **state)
{
	struct settings set;
	char text[SETTING_TEXT_MAX], reason[160];
	uint64_t n;

	settings_preset(&set);
	assert_int_equal(setting_put(&set, SETTING_WAIT, "1h 30min", reason, sizeof(reason)), 0);
	assert_true(setting_number(&set, SETTING_WAIT, &n) && n == 5400000000);
	assert_string_equal(setting_text(&set, SETTING_WAIT, text, sizeof(text)), "1h 30min");
	assert_int_equal(setting_put(&set, SETTING_WAIT, "infinity", reason, sizeof(reason)), 0);
	assert_true(set.wait_usec == UINT64_MAX);
	assert_int_equal(setting_put(&set, SETTING_WAIT, "", reason, sizeof(reason)), 0);
	assert_true(set.wait_usec == 600 * UINT64_C(1000000));
	assert_int_equal(setting_put(&set, SETTING_MAX_RUNNING, "3", reason, sizeof(reason)), 0);
	assert_int_equal(set.running_max, 3);
	assert_int_equal(setting_put(&set, SETTING_MAX_RUNNING, "unlimited", reason, sizeof(reason)), 0);
	assert_string_equal(setting_text(&set, SETTING_MAX_RUNNING, text, sizeof(text)), "unlimited");
	assert_int_equal(setting_put(&set, SETTING_LEVEL, "verified", reason, sizeof(reason)), 0);
	assert_string_equal(set.level, "verified");
	assert_false(setting_number(&set, SETTING_LEVEL, &n));

	assert_string_equal(put(SETTING_WAIT, "soon"),
			    "wait is a time such as 90s, 10min or 1h 30min, or infinity, not 'soon'");
	assert_string_equal(put(SETTING_KEEP, "infinity"),
			    "keep lies between 1s and 365d, 'infinity' does not");
	assert_string_equal(put(SETTING_KEEP, "0"), "keep lies between 1s and 365d, '0' does not");
	assert_string_equal(put(SETTING_KEEP, "99999999999999999999"),
			    "keep lies between 1s and 365d, '99999999999999999999' does not");
	assert_string_equal(put(SETTING_MAX_RUNNING, "0"),
			    "max-running lies between 1 and unlimited, '0' does not");
	assert_string_equal(put(SETTING_MAX_RUNNING, "4294967295"),
			    "max-running lies between 1 and unlimited, '4294967295' does not");
	assert_string_equal(put(SETTING_MAX_OPEN, "unlimited"), "max-open is a number, not 'unlimited'");
	assert_string_equal(put(SETTING_MAX_OPEN, "65537"),
			    "max-open lies between 1 and 65536, '65537' does not");
	assert_string_equal(put(SETTING_MEMORY_SHARE, "50"),
			    "memory-share is a percentage such as 50%, not '50'");
	assert_string_equal(put(SETTING_MEMORY_SHARE, "0%"),
			    "memory-share lies between 1% and 100%, '0%' does not");
	assert_string_equal(put(SETTING_LEVEL, "verify"),
			    "level is one of acknowledged, verified, not 'verify'");
	assert_string_equal(put(SETTING_LEVEL, "acknowledged, verified"),
			    "level is one of acknowledged, verified, not 'acknowledged, verified'");
	/* what the package's NV replace cannot be got back: not by a file that nobody looks at */
	assert_string_equal(put(SETTING_NV, "package"), "nv is one of keep, keep-if-any, not 'package'");
	assert_string_equal(put(SETTING_UDEV_TAG, "\"fdld\""),
			    "udev-tag is of at most 63 letters, digits, - and _, not '\"fdld\"'");
	assert_string_equal(put(SETTING_UDEV_TAG, "fdld-2_x"), "");
}

static void test_like(void **state)
{
	assert_int_equal(setting_like("max-runing"), SETTING_MAX_RUNNING);
	assert_int_equal(setting_like("log_level"), SETTING_LOG_LEVEL);
	assert_int_equal(setting_like("jobs.leval"), SETTING_LEVEL);
	assert_int_equal(setting_like("xyzzy"), SETTING_NONE);
	assert_int_equal(
		setting_like("a-name-that-is-longer-than-any-name-may-be-and-then-some-more-of-it-still"),
		SETTING_NONE);
}

/* ---- one file ----------------------------------------------------------------------- */

static const char *parse(const char *text)
{
	static char said[256];
	struct settings_book *book = settings_book_new();
	struct failure why = { 0 };

	assert_non_null(book);
	strcpy(said, "");
	if (settings_parse(book, "f", text, strlen(text), &why) < 0)
		snprintf(said, sizeof(said), "%s", why.detail);
	settings_book_free(book);
	return said;
}

static void test_file(void **state)
{
	assert_string_equal(parse("[jobs]\nwait=5s\n[usb]\nmemory-share=50%\n[jobs]\nkeep=1h\n"), "");
	assert_string_equal(parse("wait=5s\n"), "f:1: wait stands before the first [section]");
	assert_string_equal(parse("[job]\n"), "f:1: there is no section [job]");
	assert_string_equal(parse("[jobs]\n\nwiat=5s\n"), "f:3: [jobs] has no wiat; is jobs.wait meant?");
	assert_string_equal(parse("[usb]\nwait=5s\n"), "f:2: wait belongs into [jobs], not into [usb]");
	assert_string_equal(parse("[usb]\nxyzzy=5s\n"), "f:2: [usb] has no xyzzy");
	assert_string_equal(parse("[jobs]\nwait=5s\nkeep=1h\nwait=6s\n"),
			    "f:4: wait was set on line 2 already");
	assert_string_equal(
		parse("[jobs]\nwait = 5 parsecs\n"),
		"f:2: wait is a time such as 90s, 10min or 1h 30min, or infinity, not '5 parsecs'");
	/* a value over lines is told by the first of them */
	assert_string_equal(parse("[jobs]\nwait = 1h \\\n 5 x\n"),
			    "f:2: wait is a time such as 90s, 10min or 1h 30min, or infinity, not '1h 5 x'");
}

/* ---- all files ---------------------------------------------------------------------- */

static char root[64];

static int setup(void **state)
{
	static const char *const folders[] = {
		"/etc", "/etc/fdld", "/etc/fdld/fdld.conf.d", "/run",
		"/usr", "/usr/lib",  "/usr/lib/fdld",	      "/usr/lib/fdld/fdld.conf.d"
	};
	char path[128];

	umask(022);
	strcpy(root, "/tmp/fdld-test-settings-XXXXXX");
	if (!mkdtemp(root))
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		snprintf(path, sizeof(path), "%s%s", root, folders[i]);
		if (mkdir(path, 0755) < 0)
			return -1;
	}
	return 0;
}

static int teardown(void **state)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", root);
	return system(command) ? -1 : 0;
}

static void write_file(const char *name, const char *text)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s%s", root, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

/* "value @ origin" without the root. */
static const char *at(const struct settings_book *book, enum setting_id id)
{
	static char text[4][512];
	static unsigned int next;
	char value[SETTING_TEXT_MAX], origin[256], *p = text[next++ % 4];
	size_t skip;

	setting_origin_text(book, id, origin, sizeof(origin));
	skip = strncmp(origin, root, strlen(root)) ? 0 : strlen(root);
	snprintf(p, sizeof(text[0]), "%s @ %s", setting_text(&book->set, id, value, sizeof(value)),
		 origin + skip);
	return p;
}

static void test_layers(void **state)
{
	const struct setting_override over[] = { { SETTING_KEEP, "77s" }, { SETTING_UDEV_TAG, "" } };
	struct settings_book *book = NULL;
	struct failure why = { 0 };

	assert_int_equal(settings_load(root, NULL, 0, &book, &why), 0);
	assert_int_equal(book->files.count, 0);
	assert_string_equal(at(book, SETTING_WAIT), "10min @ default");
	settings_book_free(book);

	write_file("/usr/lib/fdld/fdld.conf", "[jobs]\nwait=1s\nkeep=1s\n");
	write_file("/usr/lib/fdld/fdld.conf.d/10-vendor.conf",
		   "[jobs]\nmax-open=10\nkeep-max=10\nlevel=verified\n");
	write_file("/etc/fdld/fdld.conf", "# ours\n[jobs]\nwait=2s\n\nkeep-max=20\n[service]\nudev-tag=x\n");
	write_file("/run/fdld.conf", "[jobs]\nwait=3s\n");
	assert_int_equal(settings_load(root, over, 2, &book, &why), 0);
	assert_int_equal(book->files.count, 2);
	/* the strongest main file alone; drop-ins above it; the command line above all */
	assert_string_equal(at(book, SETTING_WAIT), "2s @ /etc/fdld/fdld.conf:3");
	assert_string_equal(at(book, SETTING_KEEP), "1min 17s @ command line");
	assert_string_equal(at(book, SETTING_UDEV_TAG), " @ command line");
	assert_string_equal(at(book, SETTING_MAX_OPEN), "10 @ /usr/lib/fdld/fdld.conf.d/10-vendor.conf:2");
	assert_string_equal(at(book, SETTING_KEEP_MAX), "10 @ /usr/lib/fdld/fdld.conf.d/10-vendor.conf:3");
	assert_string_equal(at(book, SETTING_LEVEL), "verified @ /usr/lib/fdld/fdld.conf.d/10-vendor.conf:4");
	assert_string_equal(at(book, SETTING_END), "reset @ default");
	settings_book_free(book);

	/* the administrator's file of the same name hides the vendor's; an empty value is the preset */
	write_file("/etc/fdld/fdld.conf.d/10-vendor.conf", "[jobs]\nkeep-max=30\nwait=\n");
	assert_int_equal(settings_load(root, NULL, 0, &book, &why), 0);
	assert_string_equal(at(book, SETTING_MAX_OPEN), "1024 @ default");
	assert_string_equal(at(book, SETTING_KEEP_MAX), "30 @ /etc/fdld/fdld.conf.d/10-vendor.conf:2");
	assert_string_equal(at(book, SETTING_WAIT), "10min @ /etc/fdld/fdld.conf.d/10-vendor.conf:3");
	settings_book_free(book);

	/* one file that is wrong refuses all, also for a setting that a stronger one says again */
	write_file("/etc/fdld/fdld.conf.d/05-wrong.conf", "[jobs]\nkeep-max=many\n");
	book = NULL;
	assert_true(settings_load(root, NULL, 0, &book, &why) < 0);
	assert_null(book);
	assert_non_null(strstr(why.detail, "/etc/fdld/fdld.conf.d/05-wrong.conf:2: keep-max is a number"));
}

static void test_command_line(void **state)
{
	const struct setting_override over[] = { { SETTING_KEEP, "long" } };
	struct settings_book *book = NULL;
	struct failure why = { 0 };

	assert_true(settings_load(root, over, 1, &book, &why) < 0);
	assert_int_equal(why.error, ERR_CONFIG_INVALID);
	assert_non_null(strstr(why.detail, "command line: keep is a time"));
}

/* ---- what tells of them ------------------------------------------------------------- */

static void wrap(FILE *to, const char *text)
{
	size_t at = 1;

	fputc('#', to);
	while (*text) {
		size_t n = strcspn(text, " ");

		if (at + 1 + n > 100) {
			fputs("\n#", to);
			at = 1;
		}
		fprintf(to, " %.*s", (int)n, text);
		at += 1 + n;
		text += n;
		text += *text == ' ';
	}
	fputc('\n', to);
}

static char *shipped(size_t *len)
{
	const char *section = "";
	char *text = NULL;
	FILE *m = open_memstream(&text, len);

	assert_non_null(m);
	fputs("# SPDX-License-Identifier: LGPL-2.1-or-later\n#\n", m);
	wrap(m,
	     "Settings of fdld; see fdld.conf(5). Every setting stands here with its default, as a comment: "
	     "what is not set here keeps up with the package. Better than to edit this file is to put what "
	     "differs into /etc/fdld/fdld.conf.d/NAME.conf, which needs the [section] too.");
	fputs("#\n# fdlctl config check      tries the files\n# systemctl reload fdld    puts them in force\n"
	      "# fdlctl config            shows what is in force, and which line of which file says so\n",
	      m);
	for (int i = 0; i < SETTING_COUNT; i++) {
		const struct setting_entry *e = setting_entry((enum setting_id)i);
		char help[1024];

		if (strcmp(section, e->section) != 0)
			fprintf(m, "\n[%s]\n", section = e->section);
		fputc('\n', m);
		snprintf(help, sizeof(help), "%s%s%s%s%s", e->help, e->words ? " One of: " : "",
			 e->words ? e->words : "", e->words ? "." : "",
			 e->restart ? " Holds from the next start on." : "");
		wrap(m, help);
		fprintf(m, "#%s =%s%s\n", e->key, *e->preset ? " " : "", e->preset);
	}
	fclose(m);
	return text;
}

static char *slurp(const char *path)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = fopen(path, "r"), *m;
	int c;

	if (!f)
		return NULL;
	m = open_memstream(&text, &len);
	while ((c = getc(f)) != EOF)
		fputc(c, m);
	fclose(m);
	fclose(f);
	return text;
}

/* The file that is installed names every setting with its preset, and says nothing by itself. UPDATE=1 writes
 * it anew.
 */
static void test_shipped(void **state)
{
	struct settings_book *book = settings_book_new();
	struct failure why = { 0 };
	size_t len = 0;
	char *want = shipped(&len), *have, *bare;

	if (getenv("UPDATE")) {
		FILE *f = fopen(SHIPPED, "w");

		assert_non_null(f);
		fputs(want, f);
		fclose(f);
	}
	have = slurp(SHIPPED);
	assert_non_null(have);
	assert_string_equal(have, want);
	assert_int_equal(settings_parse(book, SHIPPED, have, len, &why), 0);
	for (int i = 0; i < SETTING_COUNT; i++)
		assert_int_equal(book->origin[i].from, SETTING_FROM_PRESET);
	/* with every line taken in it is still good, and says what holds anyway */
	bare = strdup(have);
	for (char *p = bare; (p = strstr(p, "\n#")); p++)
		if (p[2] != ' ' && p[2] != '\n')
			p[1] = ' ';
	settings_book_free(book);
	book = settings_book_new();
	if (settings_parse(book, SHIPPED, bare, len, &why) < 0)
		fail_msg("%s", why.detail);
	for (int i = 0; i < SETTING_COUNT; i++) {
		struct settings preset;

		settings_preset(&preset);
		assert_int_equal(book->origin[i].from, SETTING_FROM_FILE);
		assert_true(setting_same(&preset, &book->set, (enum setting_id)i));
	}
	settings_book_free(book);
	free(bare);
	free(have);
	free(want);
}

/* The page has an entry for each, with the preset. */
static void test_page(void **state)
{
	char *page = slurp(PAGE);

	assert_non_null(page);
	for (int i = 0; i < SETTING_COUNT; i++) {
		const struct setting_entry *e = setting_entry((enum setting_id)i);
		char want[128], key[64] = "";

		for (const char *p = e->key; *p; p++)
			snprintf(key + strlen(key), sizeof(key) - strlen(key), *p == '-' ? "\\-" : "%c", *p);
		snprintf(want, sizeof(want), "\n.TP\n.BI %s= ", key);
		if (!strstr(page, want))
			fail_msg("%s: no entry for %s", PAGE, e->name);
		snprintf(want, sizeof(want), "Default: %s.", *e->preset ? e->preset : "none");
		if (!strstr(strstr(page, key), want))
			fail_msg("%s: no '%s' for %s", PAGE, want, e->name);
	}
	free(page);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_like),
		cmocka_unit_test(test_file),
		cmocka_unit_test_setup_teardown(test_layers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_command_line, setup, teardown),
		cmocka_unit_test(test_shipped),
		cmocka_unit_test(test_page),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
