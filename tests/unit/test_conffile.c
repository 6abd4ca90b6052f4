/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lines, values, files that count and files that may not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/conffile.h"
#include "common/util.h"

/* ---- lines -------------------------------------------------------------------------- */

struct heard {
	char text[4096];
	int stop_at; /* line; 0: never */
};

static int hear(void *user, const struct conf_entry *e, struct failure *why)
{
	struct heard *h = user;
	size_t at = strlen(h->text);

	if (h->stop_at && (int)e->line == h->stop_at)
		return conf_refuse(e->file, e->line, why, "not this one");
	if (e->key)
		snprintf(h->text + at, sizeof(h->text) - at, "%u %s.%s=<%s>\n", e->line, e->section, e->key,
			 e->value);
	else
		snprintf(h->text + at, sizeof(h->text) - at, "%u [%s]\n", e->line, e->section);
	return 0;
}

/* What is heard of a text; or the refusal's detail. */
static const char *parse_len(const char *text, size_t len)
{
	static struct heard h;
	struct failure why = { 0 };
	int r;

	memset(&h, 0, sizeof(h));
	r = conf_parse("f", text, len, hear, &h, &why);
	if (r < 0) {
		assert_int_equal(why.error, ERR_CONFIG_INVALID);
		assert_int_equal(r, -error_entry(ERR_CONFIG_INVALID)->err);
		snprintf(h.text, sizeof(h.text), "%s", why.detail);
	}
	return h.text;
}

static const char *parse(const char *text)
{
	return parse_len(text, strlen(text));
}

static void test_lines(void **state)
{
	assert_string_equal(parse(""), "");
	assert_string_equal(parse("\n\n  \t\n# x\n  ; y = z\n"), "");
	assert_string_equal(parse("a=b"), "1 .a=<b>\n");
	assert_string_equal(parse("[s]\na = b c \n\tk-1.x_2=\n"), "1 [s]\n2 s.a=<b c>\n3 s.k-1.x_2=<>\n");
	/* the first = parts; comment signs are only such at the beginning */
	assert_string_equal(parse("a=b=c # d ; e\n"), "1 .a=<b=c # d ; e>\n");
	assert_string_equal(parse("[a]\n[ b c ]\n[a]\n"), "1 [a]\n2 [ b c ]\n3 [a]\n");
	assert_string_equal(parse("\xef\xbb\xbf[s]\r\na=b\r\n"), "1 [s]\n2 s.a=<b>\n");
	assert_string_equal(parse("a=\xc3\xa4\xe2\x82\xac\xf0\x9f\x93\xb1\n"),
			    "1 .a=<\xc3\xa4\xe2\x82\xac\xf0\x9f\x93\xb1>\n");
}

static void test_going_on(void **state)
{
	assert_string_equal(parse("a = 1 \\\n   2\\\n# between\n 3\nb=4\n"), "1 .a=<1 2 3>\n5 .b=<4>\n");
	assert_string_equal(parse("a=1\\\n\nb=2\n"), "1 .a=<1>\n3 .b=<2>\n");
	assert_string_equal(parse("a=\\\nb=2\n"), "1 .a=<b=2>\n");
	assert_string_equal(parse("# c \\\na=1\n"), "2 .a=<1>\n");
	assert_string_equal(parse("\n\na=1\\\n"), "f:3: goes on (\\) behind the end of the file");
	assert_string_equal(parse("a=1\\"), "f:1: goes on (\\) behind the end of the file");
}

static void test_bad_lines(void **state)
{
	char *big = malloc(3 * CONF_LINE_MAX);

	assert_string_equal(parse("\nfoo\n"), "f:2: 'foo' is neither [section] nor key=value");
	assert_string_equal(parse("=b"), "f:1: '' is no name of a key");
	assert_string_equal(parse("1a=b"), "f:1: '1a' is no name of a key");
	assert_string_equal(parse("a b=c"), "f:1: 'a b' is no name of a key");
	assert_string_equal(parse("[a\n"), "f:1: a section is [name] and nothing behind it");
	assert_string_equal(parse("[a] b\n"), "f:1: a section is [name] and nothing behind it");
	assert_string_equal(parse("[]\n"), "f:1: a section's name has 1 to 63 bytes and no brackets");
	assert_string_equal(parse("[a[b]\n"), "f:1: a section's name has 1 to 63 bytes and no brackets");
	assert_string_equal(parse_len("a=b\0c\n", 6), "f:1: control character 0x00");
	assert_string_equal(parse("a=b\n# \x1b[31m\n"), "f:2: control character 0x1b");
	assert_string_equal(parse("a=b\rc\n"), "f:1: control character 0x0d");
	assert_string_equal(parse("a=\x7f\n"), "f:1: control character 0x7f");
	assert_string_equal(parse("a=\xe4\n"), "f:1: byte 0xe4 is no UTF-8");
	assert_string_equal(parse("a=\xc0\xaf"), "f:1: byte 0xc0 is no UTF-8");
	assert_string_equal(parse("a=\xed\xa0\x80"), "f:1: byte 0xed is no UTF-8");
	assert_string_equal(parse("a=\xf4\x90\x80\x80"), "f:1: byte 0xf4 is no UTF-8");
	assert_string_equal(parse("a=\xe2\x82"), "f:1: byte 0xe2 is no UTF-8");
	assert_non_null(big);
	memset(big, 'x', 3 * CONF_LINE_MAX);
	memcpy(big, "a=", 2);
	assert_string_equal(parse_len(big, CONF_LINE_MAX + 1), "f:1: longer than 4096 bytes");
	assert_memory_equal(parse_len(big, CONF_LINE_MAX - 1), "1 .a=<xxx", 9);
	/* also when it goes on and on */
	memcpy(big + CONF_LINE_MAX / 2, "\\\n", 2);
	memcpy(big + CONF_LINE_MAX, "\\\n", 2);
	assert_string_equal(parse_len(big, CONF_LINE_MAX * 2), "f:1: longer than 4096 bytes");
	free(big);
}

static void test_stop(void **state)
{
	struct heard h = { .stop_at = 2 };
	struct failure why = { 0 };
	char path[400];

	assert_true(conf_parse("f", "a=1\nb=2\nc=3\n", 12, hear, &h, &why) < 0);
	assert_string_equal(h.text, "1 .a=<1>\n");
	assert_string_equal(why.detail, "f:2: not this one");
	/* however it is cut, it can go over the bus */
	for (int cut = 0; cut < 4; cut++) {
		conf_refuse("f", 1, &why, "%.*s'", 30 + cut,
			    "\xc3\xa4\xe2\x82\xac\xf0\x9f\x93\xb1\xc3\xa4\xe2\x82\xac\xf0\x9f\x93\xb1"
			    "\xc3\xa4\xe2\x82\xac\xf0\x9f\x93\xb1\xc3\xa4\xe2\x82\xac\xf0\x9f\x93\xb1");
		assert_true(conf_clean(why.detail));
	}
	for (int more = 0; more < 4; more++) {
		memset(path, 'p', sizeof(path));
		for (int i = more; i + 3 < 300; i += 2)
			memcpy(path + i, "\xc3\xa4", 2);
		path[300] = '\0';
		conf_refuse(path, 1, &why, "a\x1b[31m%s", path);
		assert_true(conf_clean(why.detail));
		assert_null(strchr(why.detail, 0x1b));
	}
	assert_int_equal(conf_refuse("f", 1, NULL, "nobody asks why"), -error_entry(ERR_CONFIG_INVALID)->err);
	assert_true(conf_clean("a \xc3\xa4"));
	assert_false(conf_clean("a\tb"));
	assert_false(conf_clean("a\xc3"));
	/* of a long path the end is told, which holds the name */
	memset(path, 'p', sizeof(path));
	strcpy(path + 380, "/last.conf");
	conf_refuse(path, 7, &why, "what is wrong");
	assert_non_null(strstr(why.detail, "/last.conf:7: what is wrong"));
}

/* ---- values ------------------------------------------------------------------------- */

static void test_numbers(void **state)
{
	uint64_t n = 0;

	assert_int_equal(conf_u64("0", &n), 0);
	assert_int_equal(conf_u64("18446744073709551615", &n), 0);
	assert_true(n == UINT64_MAX);
	assert_int_equal(conf_u64("18446744073709551616", &n), -ERANGE);
	assert_int_equal(conf_u64("", &n), -EINVAL);
	assert_int_equal(conf_u64("-1", &n), -EINVAL);
	assert_int_equal(conf_u64("+1", &n), -EINVAL);
	assert_int_equal(conf_u64("1 ", &n), -EINVAL);
	assert_int_equal(conf_u64("0x1", &n), -EINVAL);
}

static void test_durations(void **state)
{
	static const struct {
		const char *text;
		uint64_t usec;
	} good[] = { { "0", 0 },
		     { "90", 90000000 },
		     { "90s", 90000000 },
		     { "90 sec", 90000000 },
		     { "500ms", 500000 },
		     { "7us", 7 },
		     { "2m", 120000000 },
		     { "2min", 120000000 },
		     { "1h 30min", 5400000000 },
		     { "1h30min5s", 5405000000 },
		     { "1d", 86400000000 },
		     { "1w", 604800000000 },
		     { "infinity", UINT64_MAX } };
	static const char *const bad[] = { "",	  " ",	  "s",	   "1x",  "1 2",	"1h 2",
					   "-1s", "1.5s", "1h-2s", "1hs", "infinity s", "5 minutes" };
	char text[64];
	uint64_t n;

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		assert_int_equal(conf_duration(good[i].text, &n), 0);
		assert_true(n == good[i].usec);
		assert_int_equal(conf_duration(conf_duration_text(n, text, sizeof(text)), &n), 0);
		assert_true(n == good[i].usec);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (conf_duration(bad[i], &n) != -EINVAL)
			fail_msg("'%s' was taken for a time", bad[i]);
	assert_int_equal(conf_duration("18446744073709551616", &n), -ERANGE);
	assert_int_equal(conf_duration("18446744073709551", &n), -ERANGE);
	assert_int_equal(conf_duration("99999999999999w", &n), -ERANGE);
	assert_int_equal(conf_duration("18446744073709551615us", &n), -ERANGE); /* is not infinity */
	assert_int_equal(conf_duration("18446744073709551614us 1us", &n), -ERANGE);
	assert_string_equal(conf_duration_text(5405000001, text, sizeof(text)), "1h 30min 5s 1us");
	assert_string_equal(conf_duration_text(0, text, sizeof(text)), "0s");
	assert_string_equal(conf_duration_text(5405000001, text, 8), "1h 30mi"); /* cut, not beyond */
}

static void test_sizes(void **state)
{
	uint64_t n;
	uint32_t percent;
	bool b;

	assert_true(conf_size("4096", &n) == 0 && n == 4096);
	assert_true(conf_size("64M", &n) == 0 && n == 64u << 20);
	assert_true(conf_size("64 MiB", &n) == 0 && n == 64u << 20);
	assert_true(conf_size("3T", &n) == 0 && n == UINT64_C(3) << 40);
	assert_true(conf_size("5B", &n) == 0 && n == 5);
	assert_int_equal(conf_size("64MB", &n), -EINVAL); /* of 1000 or of 1024? */
	assert_int_equal(conf_size("64 M x", &n), -EINVAL);
	assert_int_equal(conf_size("1K2", &n), -EINVAL);
	assert_int_equal(conf_size("", &n), -EINVAL);
	assert_int_equal(conf_size("16777216T", &n), -ERANGE);
	assert_true(conf_percent("75%", &percent) == 0 && percent == 75);
	assert_true(conf_percent("100 %", &percent) == 0 && percent == 100);
	assert_int_equal(conf_percent("101%", &percent), -ERANGE);
	assert_int_equal(conf_percent("75", &percent), -EINVAL);
	assert_int_equal(conf_percent("75%%", &percent), -EINVAL);
	assert_true(conf_bool("yes", &b) == 0 && b);
	assert_true(conf_bool("off", &b) == 0 && !b);
	assert_int_equal(conf_bool("Yes", &b), -EINVAL);
	assert_int_equal(conf_bool("", &b), -EINVAL);
}

/* ---- files -------------------------------------------------------------------------- */

static char root[64];

static const char *const places[] = { "/etc/x.conf", "/run/x.conf", "/usr/x.conf" };

static int setup(void **state)
{
	char path[128];

	umask(022);
	strcpy(root, "/tmp/fdld-test-conf-XXXXXX");
	if (!mkdtemp(root))
		return -1;
	for (int i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s%.4s", root, places[i]);
		if (mkdir(path, 0755) < 0)
			return -1;
		snprintf(path, sizeof(path), "%s%s.d", root, places[i]);
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

static const char *in(const char *name)
{
	static char path[4][256];
	static unsigned int next;
	char *p = path[next++ % 4];

	snprintf(p, sizeof(path[0]), "%s%s", root, name);
	return p;
}

static void put(const char *name, const char *text)
{
	FILE *f = fopen(in(name), "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

/* What counts, without the root, with a space behind each; or the refusal's detail. */
static const char *found(void)
{
	static char text[2048];
	struct failure why = { 0 };
	struct conf_list list;

	text[0] = '\0';
	if (conf_find(root, places, 3, &list, &why) < 0) {
		assert_int_equal(list.count, 0);
		snprintf(text, sizeof(text), "%s", why.detail);
		return text;
	}
	for (size_t i = 0; i < list.count; i++) {
		strcat(text, list.path[i] + strlen(root));
		strcat(text, " ");
	}
	conf_list_free(&list);
	return text;
}

static void test_precedence(void **state)
{
	assert_string_equal(found(), "");
	put("/usr/x.conf", "");
	assert_string_equal(found(), "/usr/x.conf ");
	put("/run/x.conf", "");
	put("/etc/x.conf", "");
	assert_string_equal(found(), "/etc/x.conf ");
	/* drop-ins of all places, by name; of one name the strongest place's */
	put("/usr/x.conf.d/20-b.conf", "");
	put("/usr/x.conf.d/30-c.conf", "");
	put("/run/x.conf.d/30-c.conf", "");
	put("/run/x.conf.d/05-z.conf", "");
	put("/etc/x.conf.d/10-a.conf", "");
	assert_string_equal(found(), "/etc/x.conf /run/x.conf.d/05-z.conf /etc/x.conf.d/10-a.conf "
				     "/usr/x.conf.d/20-b.conf /run/x.conf.d/30-c.conf ");
	/* hidden: not read, from no place */
	assert_int_equal(symlink("/dev/null", in("/etc/x.conf.d/30-c.conf")), 0);
	assert_int_equal(unlink(in("/etc/x.conf")), 0);
	assert_int_equal(symlink("/dev/null", in("/etc/x.conf")), 0);
	assert_string_equal(found(),
			    "/run/x.conf.d/05-z.conf /etc/x.conf.d/10-a.conf /usr/x.conf.d/20-b.conf ");
	/* what editors and package managers leave behind */
	put("/etc/x.conf.d/10-a.conf~", "");
	put("/etc/x.conf.d/.10-a.conf", "");
	put("/etc/x.conf.d/10-a.conf.dpkg-new", "");
	put("/etc/x.conf.d/README", "");
	put("/etc/x.conf.d/.conf", "");
	assert_string_equal(found(),
			    "/run/x.conf.d/05-z.conf /etc/x.conf.d/10-a.conf /usr/x.conf.d/20-b.conf ");
}

static void test_folders(void **state)
{
	put("/usr/x.conf", "");
	assert_int_equal(chmod(in("/etc/x.conf.d"), 0777), 0);
	assert_non_null(
		strstr(found(), "/etc/x.conf.d: the folder has mode 0777: everybody can write to it"));
	assert_int_equal(chmod(in("/etc/x.conf.d"), 0775), 0);
	assert_non_null(strstr(found(), "its group can write to it"));
	assert_int_equal(rmdir(in("/etc/x.conf.d")), 0);
	assert_string_equal(found(), "/usr/x.conf ");
	assert_int_equal(chmod(in("/usr"), 0777), 0);
	assert_non_null(strstr(found(), "/usr: the folder has mode 0777"));
	assert_int_equal(chmod(in("/usr"), 0755), 0);
	put("/run/x.conf.d/b\xe4"
	    "d.conf",
	    "");
	assert_non_null(strstr(found(), "/run/x.conf.d/b?d.conf: its name is not UTF-8"));
	assert_int_equal(unlink(in("/run/x.conf.d/b\xe4"
				   "d.conf")),
			 0);
	put("/etc/x.conf.d", "a file");
	assert_string_equal(found(), "/usr/x.conf ");
	for (int i = 0; i < (int)CONF_DROPINS_MAX + 1; i++) {
		char name[64];

		snprintf(name, sizeof(name), "/run/x.conf.d/%d.conf", i);
		put(name, "");
	}
	assert_non_null(strstr(found(), "more than 256 files"));
}

static const char *reading(const char *name)
{
	static char text[512];
	struct failure why = { 0 };
	char *got = NULL;
	size_t len = 0;

	if (conf_read(in(name), &got, &len, &why) < 0)
		snprintf(text, sizeof(text), "%s", why.detail);
	else
		snprintf(text, sizeof(text), "ok %.*s", (int)MIN(len, 100u), got);
	free(got);
	return text;
}

static void test_reading(void **state)
{
	char *big = calloc(1, CONF_FILE_MAX + 2);

	put("/etc/x.conf", "a=1\n");
	assert_string_equal(reading("/etc/x.conf"), "ok a=1\n");
	assert_int_equal(chmod(in("/etc/x.conf"), 0664), 0);
	assert_non_null(
		strstr(reading("/etc/x.conf"), "x.conf: the file has mode 0664: its group can write"));
	assert_int_equal(chmod(in("/etc/x.conf"), 0646), 0);
	assert_non_null(strstr(reading("/etc/x.conf"), "everybody can write to it"));
	assert_int_equal(chmod(in("/etc/x.conf"), 0600), 0);
	assert_string_equal(reading("/etc/x.conf"), "ok a=1\n");
	/* a link is what it leads to */
	assert_int_equal(symlink("x.conf", in("/etc/link.conf")), 0);
	assert_string_equal(reading("/etc/link.conf"), "ok a=1\n");
	assert_int_equal(symlink("nowhere", in("/etc/dead.conf")), 0);
	assert_non_null(strstr(reading("/etc/dead.conf"), "dead.conf: cannot be opened: No such file"));
	assert_non_null(strstr(reading("/etc"), "is no regular file"));
	assert_int_equal(mkfifo(in("/etc/fifo.conf"), 0600), 0);
	assert_non_null(strstr(reading("/etc/fifo.conf"), "is no regular file")); /* and does not wait */
	assert_non_null(big);
	memset(big, '#', CONF_FILE_MAX + 1);
	put("/etc/big.conf", big);
	assert_non_null(strstr(reading("/etc/big.conf"), "is larger than 262144 bytes"));
	big[CONF_FILE_MAX] = '\0';
	put("/etc/big.conf", big);
	assert_memory_equal(reading("/etc/big.conf"), "ok ####", 7);
	free(big);
}

/* Only root can give a file away. */
static void test_owner(void **state)
{
	if (geteuid() != 0)
		skip();
	put("/etc/x.conf", "a=1\n");
	assert_int_equal(chown(in("/etc/x.conf"), 12345, 0), 0);
	assert_non_null(strstr(reading("/etc/x.conf"), "belongs to uid 12345, neither to root nor to us"));
	/* run unprivileged, our own files are as good as root's */
	assert_int_equal(chmod(root, 0755), 0);
	assert_int_equal(seteuid(12345), 0);
	assert_string_equal(reading("/etc/x.conf"), "ok a=1\n");
	assert_int_equal(seteuid(0), 0);
	assert_int_equal(chown(in("/etc/x.conf"), 0, 0), 0);
	assert_int_equal(chown(in("/etc"), 12345, 0), 0);
	assert_non_null(strstr(found(), "/etc: the folder belongs to uid 12345"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_going_on),
		cmocka_unit_test(test_bad_lines),
		cmocka_unit_test(test_stop),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_durations),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test_setup_teardown(test_precedence, setup, teardown),
		cmocka_unit_test_setup_teardown(test_folders, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reading, setup, teardown),
		cmocka_unit_test_setup_teardown(test_owner, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
