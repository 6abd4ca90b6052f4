/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Made loaders, and what makes an image run on a profile (loader.h has the form). */
#include <string.h>

#include "tests/phone/loader.h"

enum { HEADER = 512, BODY1 = 0x1c00, BODY2 = 0x4e00 };

static uint32_t ph_le32(const uint8_t *at)
{
	return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static void ph_put_le32(uint8_t *at, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		at[i] = (uint8_t)(value >> 8 * i);
}

static const uint8_t *find(const uint8_t *hay, size_t length, const char *needle)
{
	return memmem(hay, length, needle, strlen(needle));
}

size_t phone_loader_size(const struct phone_profile *profile, int which)
{
	if (which == 1)
		return HEADER + BODY1;
	return which == 2 && profile->fdl2_base ? HEADER + BODY2 : 0;
}

size_t phone_make_dhtb(const void *body, size_t length, void *out, size_t room)
{
	uint8_t *head = out;

	if (room < HEADER + length || length > UINT32_MAX)
		return 0;
	memmove(head + HEADER, body, length);
	memset(head, 0, HEADER);
	memcpy(head, "DHTB", 4);
	ph_put_le32(head + 4, 1);
	ph_put_le32(head + 0x28, 0xcccccccc);
	ph_put_le32(head + 0x2c, 0xaaaaaaaa);
	ph_put_le32(head + 0x30, (uint32_t)length);
	phone_sha256(head + HEADER, length, head + 8);
	return HEADER + length;
}

bool phone_dhtb_right(const void *image, size_t length)
{
	const uint8_t *head = image;
	uint8_t sum[32];
	uint32_t size;

	if (length < HEADER || memcmp(head, "DHTB", 4) != 0)
		return false;
	size = ph_le32(head + 0x30);
	if (size > length - HEADER)
		return false;
	phone_sha256(head + HEADER, size, sum);
	return memcmp(sum, head + 8, sizeof(sum)) == 0;
}

size_t phone_make_loader(const struct phone_profile *profile, int which, void *out, size_t room)
{
	size_t size = phone_loader_size(profile, which), body = size - HEADER, at;
	uint32_t base = which == 1 ? profile->fdl1_base : profile->fdl2_base;
	uint64_t state = base * 0x9e3779b97f4a7c15u + (unsigned)which;
	uint8_t *code = (uint8_t *)out + HEADER;
	char tag[64] = "FDL1 ";

	if (size == 0 || room < size)
		return 0;
	/* Machine code is dense: random bytes, flags and escapes among them. */
	for (at = 0; at < body; at++) {
		state = state * 6364136223846793005u + 1442695040888963407u;
		code[at] = (uint8_t)(state >> 56);
	}
	memset(code + 0x20, 0x7e, 24);
	memset(code + 0x38, 0x7d, 24);
	ph_put_le32(code, which == 1 ? 0x14000008 : 0x1400000a);
	if (which == 1) {
		ph_put_le32(code + 0x14, base + HEADER);
	} else {
		ph_put_le32(code + 8, base + HEADER);
		ph_put_le32(code + 12, 0);
		tag[3] = '2';
	}
	strncat(tag, profile->family, sizeof(tag) - 6);
	at = 0x400;
	memcpy(code + at, tag, strlen(tag) + 1);
	if (which == 1) {
		memcpy(code + 0x480, profile->fdl1_text, strlen(profile->fdl1_text) + 1);
		memcpy(code + 0x4e0,
		       profile->second_enumeration ? "##PORT-SECOND-ENUM##" : "00000000000000000000", 20);
	}
	return phone_make_dhtb(code, body, out, room);
}

/* A real RTOS loader: SIHR header with its load address (pac-and-flow 6.4), and the text it says. An SPL has
 * none. */
static bool sihr_fits(const struct phone_profile *profile, const uint8_t *image, size_t length)
{
	return length > 0x200 && memcmp(image, "SIHR", 4) == 0 &&
	       ph_le32(image + 0xb0) - profile->fdl1_base < 0x1000 && find(image, length, profile->fdl1_text);
}

static const char *fdl1_wrong(const struct phone_profile *profile, const uint8_t *code, size_t length,
			      uint32_t address)
{
	char tag[64] = "FDL1 ";

	strncat(tag, profile->family, sizeof(tag) - 6);
	if (length < 0x20 || ph_le32(code + 0x14) != address + HEADER)
		return "FDL1 is linked to another address";
	if (find(code, length, tag))
		return NULL;
	if (find(code, length, "FDL1 ") || find(code, length, "FDL2 "))
		return "FDL1 of another family";
	/* A real one of another family with the same base cannot be told by its bytes alone; neither can
	 * silicon. */
	return ph_le32(code) == 0x14000008 ? NULL : "not an FDL1";
}

static const char *fdl2_wrong(const struct phone_profile *profile, const uint8_t *code, size_t length,
			      uint32_t address)
{
	char tag[64] = "FDL2 ";

	strncat(tag, profile->family, sizeof(tag) - 6);
	if (length < 0x20)
		return "FDL2 too short";
	if (find(code, length, tag))
		return ph_le32(code + 8) == address + HEADER ? NULL : "FDL2 is linked to another address";
	for (size_t i = 0; i < 4 && profile->marks[i]; i++)
		if (find(code, length, profile->marks[i]))
			return address == profile->fdl2_base ? NULL : "FDL2 is linked to another address";
	return "FDL2 of another family";
}

const char *phone_loader_wrong(const struct phone_profile *profile, int which, const void *image,
			       size_t length, uint32_t address)
{
	const uint8_t *code = image;

	if (profile->autodownload)
		return NULL;
	if (which == 1 && profile->second == PHONE_SINGLE && sihr_fits(profile, code, length))
		return address == profile->fdl1_base ? NULL : "FDL is linked to another address";
	if (length < HEADER || memcmp(code, "DHTB", 4) != 0)
		return "no DHTB header: code does not lie at its link address";
	if (which == 1)
		return fdl1_wrong(profile, code + HEADER, length - HEADER, address);
	return fdl2_wrong(profile, code + HEADER, length - HEADER, address);
}
