/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/bus/folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/util.h"
#include "pac/digest.h"

#define MIB(n) ((uint64_t)(n) << 20)
#define V      PHONE_PART_VERIFIED
#define F      PHONE_PART_FILLED
#define SLOTS(n, mib, f)                  \
	{ n "_a", MIB(mib), f, 0, 0 },    \
	{                                 \
		n "_b", MIB(mib), f, 0, 0 \
	}

static const struct phone_part plain[] = {
	{ "prodnv", MIB(5), F | PHONE_PART_EXT4, 0, 0 },
	{ "miscdata", MIB(1), F, 0, 0 },
	{ "misc", MIB(1), 0, 0, 0 },
	{ "uboot", MIB(1), 0, 0, 0 },
	{ "uboot_bak", MIB(1), 0, 0, 0 },
	{ "uboot_log", MIB(4), 0, 0, 0 },
	{ "logo", MIB(6), 0, 0, 0 },
	{ "l_fixnv1", MIB(2), F, 0, 0 },
	{ "l_fixnv2", MIB(2), F, 0, 0 },
	{ "l_runtimenv1", MIB(2), F, 0, 0 },
	{ "l_runtimenv2", MIB(2), F, 0, 0 },
	{ "persist", MIB(2), F, 0, 0 },
	{ "l_modem", MIB(3), 0, 0, 0 },
	{ "boot", MIB(8), 0, 0, 0 },
	{ "super", FOLDER_SUPER, 0, 0, 0 },
	{ "cache", MIB(4), 0, 0, 0 },
	{ "sysdumpdb", MIB(2), 0, 0, 0 },
	{ "metadata", MIB(1), 0, 0, 0 },
	{ "userdata", UINT64_MAX, F, 0, 0 },
};
static const struct phone_part slots[] = {
	{ "prodnv", MIB(5), F | PHONE_PART_EXT4, 0, 0 },
	{ "miscdata", MIB(1), F, 0, 0 },
	{ "misc", MIB(1), 0, 0, 0 },
	SLOTS("uboot", 1, 0),
	{ "uboot_log", MIB(4), 0, 0, 0 },
	SLOTS("logo", 6, 0),
	SLOTS("l_fixnv1", 2, F),
	SLOTS("l_fixnv2", 2, F),
	{ "l_runtimenv1", MIB(2), F, 0, 0 },
	{ "l_runtimenv2", MIB(2), F, 0, 0 },
	{ "persist", MIB(2), F, 0, 0 },
	SLOTS("boot", 4, 0),
	{ "super", FOLDER_SUPER, 0, 0, 0 },
	{ "sysdumpdb", MIB(2), 0, 0, 0 },
	{ "metadata", MIB(1), 0, 0, 0 },
	{ "userdata", UINT64_MAX, F, 0, 0 },
};

static uint8_t want[FOLDER_SUPER + (64 << 20)], have[FOLDER_SUPER + (64 << 20)];

/* ---- phones --------------------------------------------------------------------------- */

struct rig_phone *folder_phone_at(struct rig *rig, const char *profile, const char *ports, bool ab,
				  const struct phone_setup *setup)
{
	struct phone_setup made = setup ? *setup : (struct phone_setup){ 0 };

	made.parts = ab ? slots : plain;
	made.part_count = ab ? ARRAY_SIZE(slots) : ARRAY_SIZE(plain);
	made.user_bytes = MIB(112);
	return rig_phone(rig, profile, ports, &made);
}

struct rig_phone *folder_phone(struct rig *rig, const char *profile, bool ab, const struct phone_setup *setup)
{
	return folder_phone_at(rig, profile, "1", ab, setup);
}

static bool ends(const char *name, const char *with)
{
	return strstr(name, with) != NULL;
}

static bool is_nv(const char *name)
{
	return ends(name, "fixnv") || ends(name, "runtimenv");
}

/* A phone that checks signatures has what it would take. */
static bool put_signed(struct rig_phone *p, const char *name, uint64_t seed, size_t len)
{
	uint8_t *image;
	size_t all;
	bool good;

	compose_random(seed, want, len);
	image = compose_sign(want, len, &all);
	good = phone_storage_write(p->phone, name, 0, image, all);
	free(image);
	return good;
}

static bool is_signed(const char *name)
{
	static const char *const begins[] = { "boot", "uboot", "logo", "l_modem" };
	bool is = false;

	for (size_t i = 0; i < ARRAY_SIZE(begins); i++)
		is |= !strncmp(name, begins[i], strlen(begins[i])) && !strstr(name, "_log");
	return is;
}

bool folder_fill(struct rig_phone *p, uint64_t seed)
{
	struct phone_slice s[160];
	size_t count = phone_partitions(p->phone, s, ARRAY_SIZE(s));

	if (!put_signed(p, "splloader", seed, 50 << 10))
		return false;
	for (size_t i = 0; i < count; i++) {
		size_t len = s[i].size > (2u << 20) ? 2u << 20 : (size_t)s[i].size;
		uint64_t at = s[i].size == len ? 0 : 1 << 20;

		/* NV, and what has a file system or is told by its beginning */
		if (is_nv(s[i].name) || !strcmp(s[i].name, "prodnv") || !strcmp(s[i].name, "misc"))
			continue;
		if (is_signed(s[i].name)) {
			if (!put_signed(p, s[i].name, seed + i, s[i].size / 2))
				return false;
			continue;
		}
		compose_random(seed + i, want, len);
		if (!phone_storage_write(p->phone, s[i].name, at, want, len))
			return false;
	}
	return true;
}

bool folder_wipe(struct rig_phone *p)
{
	struct phone_slice s[160];
	size_t count = phone_partitions(p->phone, s, ARRAY_SIZE(s));
	bool good = true;

	memset(want, 0, sizeof(want));
	for (size_t i = 0; i < count && good; i++)
		for (uint64_t at = 0; at < s[i].size && good; at += MIB(1))
			good = phone_storage_write(p->phone, s[i].name, at, want,
						   (size_t)MIN(MIB(1), s[i].size - at));
	return good && phone_storage_write(p->phone, "splloader", 0, want, 64 << 10);
}

static uint32_t crc(const uint8_t *p, size_t len)
{
	uint32_t c = ~0u;

	for (size_t i = 0; i < len; i++) {
		c ^= p[i];
		for (int k = 0; k < 8; k++)
			c = (c & 1) ? c >> 1 ^ 0xedb88320u : c >> 1;
	}
	return ~c;
}

bool folder_slot(struct rig_phone *p, char slot)
{
	uint8_t c[32] = "_a\0\0BCAB\1\2\0\0";
	uint32_t sum;

	c[12] = slot == 'a' ? 0x8f : 0x8e;
	c[14] = slot == 'a' ? 0x8e : 0x8f;
	sum = crc(c, 28);
	for (int i = 0; i < 4; i++)
		c[28 + i] = (uint8_t)(sum >> 8 * i);
	return phone_storage_write(p->phone, "misc", 2048, c, sizeof(c));
}

bool folder_ext(struct rig_phone *p, bool there)
{
	return phone_storage_write(p->phone, "prodnv", 0x438, there ? "\x53\xef" : "\0\0", 2);
}

bool folder_replug(struct rig *rig, struct rig_phone *p)
{
	bed_phone_unplug(p->bp, true);
	rig_sleep(rig, 50);
	return rig_plug(rig, p);
}

unsigned int folder_loads(const struct rig_phone *p)
{
	unsigned int n = 0;

	for (size_t i = 0; i < phone_deeds(p->phone); i++)
		n += phone_deed(p->phone, i)->kind == PHONE_DEED_RAM;
	return n;
}

unsigned int folder_destroyed(const struct rig_phone *p)
{
	unsigned int n = 0;

	for (size_t i = 0; i < phone_deeds(p->phone); i++)
		n += phone_deed(p->phone, i)->kind != PHONE_DEED_RAM &&
		     phone_deed(p->phone, i)->kind != PHONE_DEED_LOG;
	return n;
}

/* ---- files ---------------------------------------------------------------------------- */

static size_t slurp(const char *dir, const char *name, uint8_t *to, size_t room)
{
	char path[200];
	size_t len = 0;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	while (fd >= 0 && len < room && (n = read(fd, to + len, room - len)) > 0)
		len += (size_t)n;
	if (fd >= 0)
		close(fd);
	return len;
}

bool folder_image(const struct rig_phone *p, const char *dir, const char *name)
{
	char file[64];
	uint64_t size;
	size_t len;

	snprintf(file, sizeof(file), "%s.img", name);
	if (is_nv(name)) {
		len = sizeof(want);
		if (!phone_nv_read(p->phone, name, want, &len))
			return false;
		size = len;
	} else {
		if (!phone_storage_size(p->phone, name, &size))
			return false;
		if (!strcmp(name, "splloader"))
			size = MIN(size, (uint64_t)(256 << 10));
		len = (size_t)size;
		if (len > sizeof(want) || !phone_storage_read(p->phone, name, 0, want, len))
			return false;
	}
	size = slurp(dir, file, have, sizeof(have));
	/* a loader gives out the whole place of NV; what is in it ends before */
	if (is_nv(name) ? size >= len && !memcmp(want, have, len) : size == len && !memcmp(want, have, len))
		return true;
	tap_note("%s: %zu bytes, and the phone has %zu", file, (size_t)size, len);
	return false;
}

static json_object *manifest(const char *dir)
{
	char path[200];

	snprintf(path, sizeof(path), "%s/manifest.json", dir);
	return json_object_from_file(path);
}

static const char *text(json_object *o, const char *key)
{
	json_object *v = NULL;

	return json_object_object_get_ex(o, key, &v) ? json_object_get_string(v) : "";
}

static json_object *file_of(json_object *m, const char *partition)
{
	json_object *files = NULL;

	json_object_object_get_ex(m, "files", &files);
	for (size_t i = 0; files && i < json_object_array_length(files); i++)
		if (!strcmp(text(json_object_array_get_idx(files, i), "partition"), partition))
			return json_object_array_get_idx(files, i);
	return NULL;
}

static bool sum_is(const char *dir, const char *file, const char *hex)
{
	size_t len = slurp(dir, file, have, sizeof(have));
	uint8_t sum[DIGEST_SIZE];
	char is[2 * DIGEST_SIZE + 1];

	if (digest_bytes(have, len, sum))
		return false;
	for (size_t i = 0; i < sizeof(sum); i++)
		snprintf(is + 2 * i, 3, "%02x", sum[i]);
	return !strcmp(is, hex);
}

/* Whether a backup has this one, by rules of our own. */
static bool belongs(const char *name, char slot, bool user_data)
{
	static const char *const users[] = { "userdata", "metadata", "cache" }, *const logs[] = {
		"uboot_log", "sysdumpdb"
	};
	size_t n = strlen(name);

	for (size_t i = 0; i < ARRAY_SIZE(users); i++)
		if (!strcmp(name, users[i]))
			return user_data;
	for (size_t i = 0; i < ARRAY_SIZE(logs); i++)
		if (!strcmp(name, logs[i]))
			return false;
	if (strstr(name, "nv2"))
		return false;
	return !slot || n < 3 || name[n - 2] != '_' || (name[n - 1] != 'a' && name[n - 1] != 'b') ||
	       name[n - 1] == slot;
}

static bool file_good(const struct rig_phone *p, const char *dir, json_object *m, const char *name)
{
	json_object *f = file_of(m, name);
	bool good = f && folder_image(p, dir, name) && sum_is(dir, text(f, "file"), text(f, "sha256"));

	if (!good)
		tap_note("%s: not as it should be", name);
	return good;
}

bool folder_good(struct rig *rig, const struct rig_phone *p, const char *dir, char slot, bool user_data)
{
	json_object *m = manifest(dir);
	struct phone_slice s[160];
	size_t count = phone_partitions(p->phone, s, ARRAY_SIZE(s)), wanted = 1;
	bool good = m && file_good(p, dir, m, "splloader");
	char path[200];

	(void)rig;
	for (size_t i = 0; i < count && good; i++) {
		if (!belongs(s[i].name, slot, user_data))
			continue;
		wanted++;
		good = file_good(p, dir, m, s[i].name);
	}
	snprintf(path, sizeof(path), "%s/table.xml", dir);
	good = good && folder_files(dir) == wanted && access(path, R_OK) == 0 &&
	       strlen(text(m, "unit_id")) == 64 && !strcmp(text(m, "whole"), "true");
	json_object_put(m);
	return good;
}

/*
 * What the phone does by itself is not asked of it: date and mode marks of miscdata are cleared, and some
 * phones write both slots at once: then the active one is what counts.
 */
static bool is_back(const struct rig_phone *p, const char *dir, const char *name, char active)
{
	static const size_t marks[] = { 0x2400, 0x81400 };
	char file[64];
	size_t len;

	if (!strcmp(name, "miscdata")) {
		len = slurp(dir, "miscdata.img", have, sizeof(have));
		if (len != 1 << 20 || !phone_storage_read(p->phone, name, 0, want, len))
			return false;
		for (size_t i = 0; i < ARRAY_SIZE(marks); i++)
			memcpy(want + marks[i], have + marks[i], 0x400);
		return !memcmp(want, have, len);
	}
	snprintf(file, sizeof(file), "%s", name);
	len = strlen(file);
	if (len > 2 && file[len - 2] == '_' && file[len - 1] != active &&
	    (file[len - 1] == 'a' || file[len - 1] == 'b'))
		return true;
	return folder_image(p, dir, name);
}

bool folder_restored(const struct rig_phone *p, const char *dir, char active)
{
	json_object *m = manifest(dir), *files = NULL;
	bool good = m != NULL;
	size_t n = 0;

	json_object_object_get_ex(m, "files", &files);
	for (size_t i = 0; good && files && i < json_object_array_length(files); i++) {
		const char *name = text(json_object_array_get_idx(files, i), "partition");
		uint8_t head[4];

		if (strstr(name, "runtimenv")) /* which is erased: no header that it would be known by */
			good = phone_storage_read(p->phone, name, 0, head, sizeof(head)) &&
			       memcmp(head, "\x56\x4e\0\0", sizeof(head)) != 0;
		else
			good = is_back(p, dir, name, active);
		n += good;
	}
	json_object_put(m);
	return good && n > 10;
}

unsigned int folder_files(const char *dir)
{
	json_object *m = manifest(dir), *files = NULL;
	unsigned int n = 0;

	json_object_object_get_ex(m, "files", &files);
	for (size_t i = 0; files && i < json_object_array_length(files); i++)
		n += *text(json_object_array_get_idx(files, i), "file") != 0;
	json_object_put(m);
	return n;
}

static unsigned int images(const char *dir)
{
	unsigned int n = 0;
	struct dirent *e;
	DIR *d = opendir(dir);

	while (d && (e = readdir(d)))
		n += strstr(e->d_name, ".img") != NULL;
	if (d)
		closedir(d);
	return n;
}

bool folder_same(struct rig *rig, const char *one, const char *other)
{
	json_object *a = manifest(one), *b = manifest(other), *files = NULL;
	bool same = a && b && images(one) == images(other) &&
		    !strcmp(text(a, "unit_id"), text(b, "unit_id")) && !strcmp(text(b, "whole"), "true") &&
		    !strcmp(text(a, "table"), text(b, "table"));

	(void)rig;
	json_object_object_get_ex(a, "files", &files);
	for (size_t i = 0; same && i < json_object_array_length(files); i++) {
		json_object *f = json_object_array_get_idx(files, i), *g = file_of(b, text(f, "partition"));
		size_t len = slurp(one, text(f, "file"), want, sizeof(want));

		same = g && !strcmp(json_object_to_json_string(f), json_object_to_json_string(g)) &&
		       slurp(other, text(g, "file"), have, sizeof(have)) == len && !memcmp(want, have, len);
	}
	json_object_put(a);
	json_object_put(b);
	return same;
}

/* Written without blanks, so that what is looked for is one text. */
bool folder_swap(const char *dir, const char *from, const char *to)
{
	json_object *m = manifest(dir);
	char path[200], *at;
	const char *text_of = m ? json_object_to_json_string_ext(m, JSON_C_TO_STRING_PLAIN |
									    JSON_C_TO_STRING_NOSLASHESCAPE)
				: "";
	FILE *f;

	snprintf(path, sizeof(path), "%s/manifest.json", dir);
	at = strstr(text_of, from);
	f = at ? fopen(path, "w") : NULL;
	if (f) {
		fprintf(f, "%.*s%s%s", (int)(at - text_of), text_of, to, at + strlen(from));
		fclose(f);
	}
	json_object_put(m);
	return f != NULL;
}
