/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* When an armed fault strikes, and what the general ones do to the command at hand. */
#include "tests/phone/device.h"

enum point ph_point_of(enum phone_stage stage, uint16_t type)
{
	switch (type) {
	case C_CONNECT: return AT_CONNECT;
	case C_START: return AT_START;
	case C_MIDST: return AT_MIDST;
	case C_END: return AT_END;
	case C_EXEC: return AT_EXEC;
	case C_RESET: return AT_RESET;
	case C_ERASE: return AT_ERASE;
	case C_REPARTITION: return AT_REPARTITION;
	case C_READ_START: return AT_READ_START;
	case C_READ:
	case C_READ_MIDST: return AT_READ;
	case C_READ_END: return AT_READ_END;
	case C_POWER_OFF: return AT_POWER_OFF;
	case C_KEEP_CHARGE: return AT_CHARGE;
	case C_UID: return AT_UID;
	case C_PLAIN: return AT_PLAIN;
	case C_RAW_ENABLE: return AT_RAW;
	case C_RAW1:
	case C_RAW2: return AT_RAW_START;
	case C_LIST: return AT_LIST;
	default: return AT_NONE;
	}
}

static bool name_fits(const struct armed *a, const char *name)
{
	return !a->name[0] || (name && strcmp(a->name, name) == 0);
}

void ph_fault_mark(struct phone *p, struct armed *a)
{
	size_t count;

	a->fired++;
	p->fired[a->row]++;
	if (phone_faults(&count)[a->row].flags & PHONE_FAULT_LYING)
		p->lied = true;
}

void ph_fault_fired(struct phone *p, const char *id)
{
	int row = ph_fault_row(id);

	if (row >= 0)
		p->fired[row]++;
}

struct armed *ph_fault_for(struct phone *p, const char *id, const char *name)
{
	int row;

	if (p->armed_count == 0)
		return NULL;
	row = ph_fault_row(id);
	for (unsigned i = 0; i < p->armed_count; i++)
		if (p->armed[i].row == row && (!name || name_fits(&p->armed[i], name)))
			return &p->armed[i];
	return NULL;
}

/* A hook inside the phone: each call is one event of the line; true when its count says so. */
struct armed *ph_fault_hit(struct phone *p, const char *id, const char *name)
{
	struct armed *a = ph_fault_for(p, id, name);

	if (!a)
		return NULL;
	if (a->point == AT_NONE)
		a->seen++;
	if (a->nth != EVERY && a->seen != a->nth)
		return NULL;
	if (a->point != AT_NONE && (a->seen == 0 || (a->nth != EVERY && a->fired)))
		return NULL;
	ph_fault_mark(p, a);
	return a;
}

/* Faults that act on the command or reply itself. False: the row has a hook of its own. */
static bool act(struct phone *p, struct armed *a, const char *id, const char *name)
{
	struct whim *whim = &p->whim;
	uint16_t value = (uint16_t)a->value;

	if (!strcmp(id, "U01") || !strcmp(id, "F62"))
		whim->vanish = true;
	else if (!strcmp(id, "U02"))
		whim->stall = true;
	else if (!strcmp(id, "U03"))
		whim->late += a->has_time ? a->time : 3000000;
	else if (!strcmp(id, "U04"))
		whim->duplicate = true;
	else if (!strcmp(id, "U05") || !strcmp(id, "F05"))
		whim->damage = true;
	else if (!strcmp(id, "U06"))
		whim->cut = true;
	else if (!strcmp(id, "U07") || !strcmp(id, "F28"))
		whim->lose = true;
	else if (!strcmp(id, "U16"))
		whim->reset = true;
	else if (!strcmp(id, "U17"))
		whim->boot = true;
	else if (!strcmp(id, "U20"))
		whim->halt = true;
	else if (!strcmp(id, "U21"))
		whim->proto = true;
	else if (!strcmp(id, "U22"))
		whim->babble = true;
	else if (!strcmp(id, "F04") || !strcmp(id, "F63"))
		whim->garble_in = true;
	else if (!strcmp(id, "U30"))
		whim->garbage = a->has_value ? (unsigned)a->value : 16;
	else if (!strcmp(id, "U28"))
		p->nak_until = p->now + (a->has_time ? a->time : 3000000);
	else if (!strcmp(id, "U08") || !strcmp(id, "U25") || !strcmp(id, "F20") || !strcmp(id, "F09")) {
		whim->refusing = true;
		whim->refuse = a->has_value   ? value
			       : id[0] == 'U' ? (id[2] == '8' ? R_FAILED : R_READ)
			       : id[1] == '2' ? R_UNSUPPORTED
					      : R_SIZE;
	} else if (!strcmp(id, "U18")) {
		whim->extra_set = true;
		whim->extra = a->has_value ? value : R_LOG;
	} else {
		return false;
	}
	(void)name;
	return true;
}

/* An event is about to be executed. Lines bound to it count it; general faults take their effect. */
void ph_fault_at(struct phone *p, enum point point, const char *name)
{
	const struct phone_fault *rows;
	size_t count;

	if (p->armed_count == 0)
		return;
	rows = phone_faults(&count);
	for (unsigned i = 0; i < p->armed_count; i++) {
		struct armed *a = &p->armed[i];

		if (a->point == AT_NONE || (a->point != point && !(a->point == AT_ANY && point != AT_REPLY)))
			continue;
		if (!name_fits(a, name))
			continue;
		a->seen++;
		if (a->nth != EVERY && a->seen != a->nth)
			continue;
		if (act(p, a, rows[a->row].id, name))
			ph_fault_mark(p, a);
	}
}

/* Faults that are in the phone before it is switched on. */
void ph_fault_apply_setup(struct phone *p)
{
	struct phone_slice slices[128];
	size_t count = phone_partitions(p, slices, 128);
	char twin[NAME_ROOM];

	if (ph_fault_for(p, "F48", NULL) && p->profile->boot_bytes && p->profile->store != PHONE_RAWNAND)
		ph_gpt_break(p);
	for (size_t i = 0; i < count && i < 128; i++) {
		const char *name = slices[i].name;
		bool one = ph_fault_for(p, "F49", name) != NULL, both = ph_fault_for(p, "F50", name) != NULL;

		if (!ph_nv_is_pair(p, name, twin)) {
			if (strcmp(name, "prodnv") == 0 && ph_fault_for(p, "F51", NULL))
				phone_storage_write(p, name, 1024 + 56, "\0\0", 2);
			continue;
		}
		if (one || both)
			phone_storage_write(p, name, 600, "\xa5\x5a\xa5\x5a", 4);
		if (both)
			phone_storage_write(p, twin, 600, "\xa5\x5a\xa5\x5a", 4);
	}
	if (ph_fault_for(p, "F68", NULL) || ph_fault_for(p, "F69", NULL)) {
		p->found_in = PHONE_FDL2;
		p->found_plain = ph_fault_for(p, "F69", NULL) != NULL;
	}
	for (unsigned i = 0; i < p->armed_count; i++)
		if (ph_fault_for(p, "F48", NULL) == &p->armed[i] ||
		    ph_fault_for(p, "F50", NULL) == &p->armed[i])
			p->armed[i].fired = 0;
}

struct phone_fault_count phone_fault_count(const struct phone *p, const char *id)
{
	struct phone_fault_count out = { 0 };
	int row = ph_fault_row(id);

	if (row < 0)
		return out;
	out.fired = p->fired[row];
	for (unsigned i = 0; i < p->armed_count; i++)
		out.armed += p->armed[i].row == row;
	return out;
}

bool phone_has_lied(const struct phone *p)
{
	return p->lied;
}
