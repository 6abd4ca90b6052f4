/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a restart of the service has to know of the phone in a port: files in the runtime directory.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "common/util.h"
#include "station/kv.h"
#include "station/records_inner.h"

void records_place_name(const char *slot, char *name, size_t size)
{
	uint32_t sum = 2166136261u;
	char plain[48];
	size_t n = 0;

	for (const char *p = slot; *p; p++) {
		sum = (sum ^ (uint8_t)*p) * 16777619u;
		if (n + 1 < sizeof(plain))
			plain[n++] = (*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9') ? *p : '-';
	}
	plain[n] = 0;
	snprintf(name, size, "%s-%08x", plain, (unsigned int)sum);
}

static void port_file(const char *slot, char *name, size_t size)
{
	char place[64];

	records_place_name(slot, place, sizeof(place));
	snprintf(name, size, "port-%s", place);
}

int records_port_write(struct records *rec, const struct port_note *note)
{
	struct kv kv;
	char name[72];
	int r;

	if (rec->runtime < 0)
		return 0;
	port_file(note->slot, name, sizeof(name));
	kv_begin(&kv, "fdld-port", 1);
	kv_str(&kv, "boot", rec->boot_id);
	kv_str(&kv, "slot", note->slot);
	kv_num(&kv, "bus", note->bus);
	kv_num(&kv, "address", note->address);
	kv_str(&kv, "stage", note->stage);
	kv_num(&kv, "plain", note->plain_framing);
	kv_num(&kv, "dirty", note->dirty);
	r = kv_end(&kv);
	if (!r)
		r = records_write_at(rec->runtime, name, kv.text, kv.len, false);
	kv_free(&kv);
	return r;
}

int records_port_remove(struct records *rec, const char *slot)
{
	char name[72];

	if (rec->runtime < 0)
		return 0;
	port_file(slot, name, sizeof(name));
	return unlinkat(rec->runtime, name, 0) < 0 && errno != ENOENT ? -errno : 0;
}

struct port_read {
	struct port_note note;
	char boot[64];
};

static void port_line(void *user, const char *key, char *value)
{
	struct port_read *p = user;

	if (!strcmp(key, "boot"))
		kv_copy(p->boot, sizeof(p->boot), value);
	else if (!strcmp(key, "slot"))
		kv_copy(p->note.slot, sizeof(p->note.slot), value);
	else if (!strcmp(key, "bus"))
		p->note.bus = (uint8_t)kv_u64(value, 0);
	else if (!strcmp(key, "address"))
		p->note.address = (uint8_t)kv_u64(value, 0);
	else if (!strcmp(key, "stage"))
		kv_copy(p->note.stage, sizeof(p->note.stage), value);
	else if (!strcmp(key, "plain"))
		p->note.plain_framing = kv_u64(value, 1) != 0;
	else if (!strcmp(key, "dirty"))
		p->note.dirty = kv_u64(value, 1) != 0;
}

/* 0, -ENOENT: nothing is on record, or about another arrival only; other negative errno: a record that cannot
 * be read. */
static int port_read(struct records *rec, const char *slot, uint8_t bus, uint8_t address,
		     struct port_note *note)
{
	struct port_read p = { .note = { .plain_framing = true, .dirty = true } };
	_cleanup_free_ char *text = NULL;
	char name[72];
	size_t len;
	int r;

	if (rec->runtime < 0 || !*rec->boot_id)
		return -EOPNOTSUPP;
	port_file(slot, name, sizeof(name));
	r = records_read_at(rec->runtime, name, RECORD_FILE_MAX, &text, &len);
	if (r < 0)
		return r;
	if (kv_parse(text, len, "fdld-port", 1, port_line, &p) < 0)
		return -EBADMSG;
	if (strcmp(p.boot, rec->boot_id) || strcmp(p.note.slot, slot) || p.note.bus != bus ||
	    p.note.address != address)
		return -ENOENT;
	*note = p.note;
	return 0;
}

bool records_port_read(struct records *rec, const char *slot, uint8_t bus, uint8_t address,
		       struct port_note *note)
{
	return port_read(rec, slot, bus, address, note) == 0;
}

bool records_port_untouched(struct records *rec, const char *slot, uint8_t bus, uint8_t address)
{
	struct port_note note;

	return port_read(rec, slot, bus, address, &note) == -ENOENT;
}
