/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The one error table. An error exists only here: enum, bus name, errno, exit code,
 * whose fault it is, whether trying again can help, cause and remedy in one sentence each,
 * and the journal catalogue id. errors.def holds the rows.
 */
#ifndef FDLD_COMMON_ERROR_H
#define FDLD_COMMON_ERROR_H

#include <stdbool.h>
#include <stdint.h>

enum error_fault { FAULT_NONE, FAULT_CALLER, FAULT_PACKAGE, FAULT_PHONE, FAULT_STATION, FAULT_US };

enum error_id {
	ERR_NONE = 0,
#define ROW(id, name, err, exit_code, fault, again, cause, remedy) ERR_##id,
#include "common/errors.def"
#undef ROW
	ERR_COUNT
};

struct error_entry {
	enum error_id id;
	const char *name;     /* CamelCase, without the bus prefix: "DeviceVanished" */
	const char *bus_name; /* "org.fdld1.Error.DeviceVanished" */
	int err;	      /* positive errno */
	int exit_code;	      /* of fdlctl; 1 is never used by the table, 2 is usage */
	enum error_fault fault;
	bool again; /* the same call can help after the remedy, without a change of package or caller */
	const char *cause;  /* one sentence */
	const char *remedy; /* one sentence, for the person with the phone in hand */
};

/*
 * What happened, with everything a person or a program needs beside the table's row.
 * Plain value: copy freely, owns nothing. Zero-initialised means "no failure".
 */
struct failure {
	enum error_id error;
	char stage[16];	 /* "rom", "fdl1", "fdl2", "package", "station", ... */
	char step[24];	 /* "load-fdl1", "write", "read-nv", ... */
	char entry[40];	 /* partition, file ID or address in hex; empty if none */
	uint64_t offset; /* bytes, in entry */
	bool has_offset;
	int code; /* device reply code 0x00..0xff, or -1: none. 0 in a zeroed struct means none too. */
	char detail[256]; /* words: expected and found, errno text, ... may be empty */
};

/* The row of an error; never NULL (an id out of range gives Internal). */
const struct error_entry *error_entry(enum error_id id);
/* By "DeviceVanished" or "org.fdld1.Error.DeviceVanished"; ERR_NONE if unknown. */
enum error_id error_by_name(const char *name);
const char *error_fault_name(enum error_fault fault); /* "caller", "package", "phone", "station", "us" */

/*
 * Fills *why (may be NULL) with error and a formatted detail; other members are kept as they were if *why
 * already names the same error, else cleared. Returns the row's errno negated, so that `return
 * failure_set(why, ERR_X, "...")` reads well.
 */
int failure_set(struct failure *why, enum error_id error, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* "SignatureRefused in fdl2, write boot at 0x1000, reply 0x84: <cause> (<detail>)"; always NUL-terminated,
 * returns buf. */
const char *failure_text(const struct failure *why, char *buf, unsigned long size);

#endif
