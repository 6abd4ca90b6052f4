/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "flash/marks.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/util.h"
#include "pac/digest.h"
#include "pac/image.h"

/* bootloader message: command, status, recovery, stage; 2048 bytes in all */
#define COMMAND_AT   0u
#define COMMAND_LEN  32u
#define STATUS_AT    32u
#define STATUS_LEN   32u
#define RECOVERY_AT  64u
#define RECOVERY_LEN 768u
#define MESSAGE_LEN  2048u

/* slot metadata behind it: suffix, magic, version, two bytes of bit fields, one row of two bytes a slot,
 * CRC-32 */
#define CONTROL_AT    2048u
#define CONTROL_LEN   32u
#define SUFFIX_AT     0u
#define MAGIC_AT      4u
#define MAGIC	      0x42414342u
#define COUNT_AT      9u
#define SLOTS_AT      12u
#define CRC_AT	      28u
#define PRIORITY_MAX  15u
#define TRIES	      6u /* what Android gives a slot that is made active */

#define VBMETA_MAGIC  "AVB0"
#define VBMETA_HEADER 256u
#define FLAGS_AT      120u
#define VERITY_OFF    1u /* hash trees are not looked at */

static uint32_t crc32_of(const uint8_t *p, size_t len)
{
	uint32_t crc = ~0u;

	while (len--) {
		crc ^= *p++;
		for (int i = 0; i < 8; i++)
			crc = crc >> 1 ^ (0xEDB88320u & -(crc & 1));
	}
	return ~crc;
}

const struct mark_area mark_areas[MARK_AREAS] = {
	[MARK_AREA_MISC] = { "misc", 0, CONTROL_AT + CONTROL_LEN },
	[MARK_AREA_VBMETA] = { "vbmeta", 0, VBMETA_HEADER },
	[MARK_AREA_VBMETA_A] = { "vbmeta_a", 0, VBMETA_HEADER },
	[MARK_AREA_VBMETA_B] = { "vbmeta_b", 0, VBMETA_HEADER },
	[MARK_AREA_FIRST] = { "miscdata", MARK_FIRST_AT, 4 },
};

const char *mark_target(const struct mark *m)
{
	if (m->target[0])
		return m->target;
	return m->kind == MARK_VERITY ? "vbmeta" : m->kind == MARK_FIRST_MODE ? "miscdata" : "misc";
}

/* ---- what is started next ---- */

static int apply_boot(int value, uint8_t *bytes, size_t len, struct failure *why)
{
	static const char *const arguments[] = {
		[BOOT_NORMAL] = "",
		[BOOT_RECOVERY] = "recovery\n",
		[BOOT_FASTBOOT] = "recovery\n--fastboot\n",
		[BOOT_WIPE_DATA] = "recovery\n--wipe_data\n",
	};

	if (value < BOOT_NORMAL || value > BOOT_WIPE_DATA)
		return failure_set(why, ERR_INVALID_ARGS, "no such start: %d", value);
	if (len < MESSAGE_LEN)
		return failure_set(why, ERR_MARK_UNUSABLE, "misc has %zu bytes, too few for a boot message",
				   len);
	memset(bytes + COMMAND_AT, 0, COMMAND_LEN);
	memset(bytes + STATUS_AT, 0, STATUS_LEN);
	memset(bytes + RECOVERY_AT, 0, RECOVERY_LEN);
	if (value != BOOT_NORMAL)
		memcpy(bytes + COMMAND_AT, "boot-recovery", 13);
	memcpy(bytes + RECOVERY_AT, arguments[value], strlen(arguments[value]));
	return 0;
}

static void show_text(const uint8_t *from, size_t len, char *out, size_t size)
{
	size_t n = 0;

	/* erased flash is no text */
	for (size_t i = 0; i < len && from[i] && from[i] != 0xff && n + 1 < size; i++)
		out[n++] = from[i] == '\n' ? ' ' : from[i] < ' ' || from[i] > '~' ? '?' : (char)from[i];
	while (n && out[n - 1] == ' ')
		n--;
	out[n] = 0;
}

int mark_show_boot(const uint8_t *misc, size_t len, struct mark_boot *out)
{
	*out = (struct mark_boot){ 0 };
	if (len < MESSAGE_LEN)
		return -ENODATA;
	show_text(misc + COMMAND_AT, COMMAND_LEN, out->command, sizeof(out->command));
	show_text(misc + RECOVERY_AT, RECOVERY_LEN, out->arguments, sizeof(out->arguments));
	return 0;
}

int mark_boot_of(const struct mark_boot *boot)
{
	if (!boot->command[0])
		return BOOT_NORMAL;
	if (!strcmp(boot->command, "boot-fastboot"))
		return BOOT_FASTBOOT;
	if (strcmp(boot->command, "boot-recovery") != 0)
		return -1;
	if (strstr(boot->arguments, "--wipe_data"))
		return BOOT_WIPE_DATA;
	if (strstr(boot->arguments, "--fastboot"))
		return BOOT_FASTBOOT;
	/* an update, a language: recovery has been given more to do */
	return !boot->arguments[0] || !strcmp(boot->arguments, "recovery") ? BOOT_RECOVERY : -1;
}

const char *mark_boot_name(int boot)
{
	static const char *const names[] = {
		[BOOT_NORMAL] = "normal",
		[BOOT_RECOVERY] = "recovery",
		[BOOT_FASTBOOT] = "fastboot",
		[BOOT_WIPE_DATA] = "factory-reset",
	};

	return boot >= 0 && (size_t)boot < ARRAY_SIZE(names) ? names[boot] : "other";
}

int mark_show_first(const uint8_t *bytes, size_t len)
{
	uint32_t value = len < 4 ? 0 : get_le32(bytes);

	return value >> 8 == MARK_FIRST_MAGIC >> 8 ? (int)(value & 255) : -ENODATA;
}

/* ---- slots ---- */

static struct mark_slot_state get_slot(const uint8_t *c, unsigned i)
{
	uint16_t v = get_le16(c + SLOTS_AT + 2 * i);

	return (struct mark_slot_state){
		.priority = v & 15, .tries = v >> 4 & 7, .successful = v >> 7 & 1, .corrupted = v >> 8 & 1
	};
}

static void put_slot(uint8_t *c, unsigned i, const struct mark_slot_state *s)
{
	uint16_t rest = get_le16(c + SLOTS_AT + 2 * i) & 0xfe00;

	put_le16(c + SLOTS_AT + 2 * i,
		 (uint16_t)(rest | s->priority | s->tries << 4 | s->successful << 7 | s->corrupted << 8));
}

static bool can_start(const struct mark_slot_state *s)
{
	return s->priority && !s->corrupted && (s->tries || s->successful);
}

int mark_show_slots(const uint8_t *misc, size_t len, struct mark_slots *out)
{
	const uint8_t *c = misc + CONTROL_AT;

	*out = (struct mark_slots){ 0 };
	if (len < CONTROL_AT + CONTROL_LEN || get_le32(c + MAGIC_AT) != MAGIC || (c[COUNT_AT] & 7) != 2)
		return -ENODATA;
	if (crc32_of(c, CRC_AT) != get_le32(c + CRC_AT))
		return -EBADMSG;
	if (c[SUFFIX_AT] == '_' && (c[SUFFIX_AT + 1] == 'a' || c[SUFFIX_AT + 1] == 'b'))
		out->suffix = (char)c[SUFFIX_AT + 1];
	out->slot[0] = get_slot(c, 0);
	out->slot[1] = get_slot(c, 1);
	if (can_start(&out->slot[0]) &&
	    (!can_start(&out->slot[1]) || out->slot[0].priority >= out->slot[1].priority))
		out->active = 'a';
	else if (can_start(&out->slot[1]))
		out->active = 'b';
	return 0;
}

static int apply_slot(int value, uint8_t *bytes, size_t len, struct failure *why)
{
	struct mark_slots now;
	unsigned wanted = value == 'b';
	uint8_t *c = bytes + CONTROL_AT;
	int r;

	if (value != 'a' && value != 'b')
		return failure_set(why, ERR_INVALID_ARGS, "a slot is 'a' or 'b'");
	r = mark_show_slots(bytes, len, &now);
	if (r == -EBADMSG)
		return failure_set(why, ERR_MARK_UNUSABLE, "the slot metadata in misc has a wrong checksum");
	if (r)
		return failure_set(why, ERR_MARK_UNUSABLE,
				   "there is no slot metadata in misc: this phone has one slot");
	now.slot[wanted] = (struct mark_slot_state){ .priority = PRIORITY_MAX, .tries = TRIES };
	if (now.slot[!wanted].priority >= PRIORITY_MAX)
		now.slot[!wanted].priority = PRIORITY_MAX - 1;
	put_slot(c, 0, &now.slot[0]);
	put_slot(c, 1, &now.slot[1]);
	memset(c + SUFFIX_AT, 0, 4);
	c[SUFFIX_AT] = '_';
	c[SUFFIX_AT + 1] = (uint8_t)value;
	put_le32(c + CRC_AT, crc32_of(c, CRC_AT));
	return 0;
}

/* ---- verity ---- */

int mark_show_verity(const uint8_t *vbmeta, size_t len, bool *on)
{
	if (len < VBMETA_HEADER || memcmp(vbmeta, VBMETA_MAGIC, 4) != 0)
		return -ENODATA;
	*on = !(get_be32(vbmeta + FLAGS_AT) & VERITY_OFF);
	return 0;
}

/* A signed header at the end counts the bytes before it: its hash follows the change. */
static int mend_signed(uint8_t *bytes, size_t len, struct failure *why)
{
	uint8_t *tail = len >= DHTB_HEADER ? bytes + len - DHTB_HEADER : NULL;
	struct dhtb_info d;

	if (!tail || dhtb_parse(tail, len, &d, NULL) || !d.payload_size)
		return 0;
	if (digest_bytes(bytes, (size_t)d.payload_size, tail + 8))
		return failure_set(why, ERR_INTERNAL, "no hash can be computed");
	return 0;
}

static int apply_verity(int value, uint8_t *bytes, size_t len, struct failure *why)
{
	uint32_t flags;
	bool on;

	if (value != 0 && value != 1)
		return failure_set(why, ERR_INVALID_ARGS, "verity is off (0) or on (1)");
	if (mark_show_verity(bytes, len, &on))
		return failure_set(why, ERR_MARK_UNUSABLE,
				   "this is no vbmeta: there is nothing to be switched");
	flags = get_be32(bytes + FLAGS_AT);
	put_be32(bytes + FLAGS_AT, value ? flags & ~VERITY_OFF : flags | VERITY_OFF);
	return mend_signed(bytes, len, why);
}

int mark_apply(const struct mark *m, uint8_t *bytes, size_t len, struct failure *why)
{
	switch (m->kind) {
	case MARK_BOOT: return apply_boot(m->value, bytes, len, why);
	case MARK_SLOT: return apply_slot(m->value, bytes, len, why);
	case MARK_VERITY: return apply_verity(m->value, bytes, len, why);
	case MARK_FIRST_MODE: break; /* the phone's loader writes it */
	}
	return failure_set(why, ERR_INVALID_ARGS, "no such mark");
}
