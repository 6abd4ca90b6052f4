/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Small packages for the simulation and the plan's tests: a text of the scheme and a few images become a
 * whole .pac in memory, opened. Cheap enough to be made for every seed.
 */
#ifndef TESTS_SIMLIB_PACKAGE_H
#define TESTS_SIMLIB_PACKAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "pac/pac.h"
#include "pac/source.h"

struct sim_image {
	const char *id;
	const void *data; /* NULL: an entry without a file (operation) */
	size_t len;
	bool unticked;
};

struct sim_package {
	uint8_t *bytes;
	size_t size;
	struct source source;
	struct pac *pac;
};

/*
 * Writes a container (pac-and-flow 1) with these rows and the XML as the last, and opens it. strategy is
 * dwNandStrategy. 0 (sim_package_free), or what pac_open() says, -ENOMEM.
 */
int sim_pack(const char *product, const char *xml, const struct sim_image *images, size_t count,
	     uint32_t strategy, struct sim_package *out, struct failure *why);
void sim_package_free(struct sim_package *p);
/*
 * A copy of it whose loaders can be used in place of its own, which are noise from here on: no phone starts
 * with them. 0 (sim_package_free), -ENOMEM.
 */
int sim_lend(struct sim_package *p, struct sim_package *lender);

/* ---- text of a scheme, piece by piece ---- */

struct sim_xml {
	char *text;
	size_t len, room;
	bool failed;
};
void sim_xml_add(struct sim_xml *x, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void sim_xml_free(struct sim_xml *x);

/* One File element. block NULL: by address. attributes: text such as ` backup="1"`, or "". */
void sim_xml_file(struct sim_xml *x, const char *attributes, const char *id, const char *type,
		  const char *block, uint64_t base, uint64_t size, int flag, int check);

/* ---- images ---- */

/*
 * An NV image of about size bytes that parses and is sane: calibration, IMEIs, Bluetooth, a few plain items
 * whose content depends on seed; the same items with the same lengths for every seed. Returns its length (a
 * multiple of 4), 0 if size is too small.
 */
#define SIM_NV_MIN 8192u
size_t sim_nv(uint64_t seed, uint8_t *out, size_t size);
/* A sparse image of `blocks` blocks of 4096 bytes: raw, fill and holes from the seed. Returns its length;
 * room: blocks * 4108 + 28. */
size_t sim_sparse(uint64_t seed, uint32_t blocks, uint8_t *out, size_t room);
/* What such an image leaves in a partition that held `erased` bytes: out has blocks * 4096 bytes; known[i]
 * false: hole. */
void sim_sparse_expand(const uint8_t *image, size_t len, uint8_t *out, uint8_t *known, size_t size);
void sim_bytes(uint64_t seed, uint8_t *out,
	       size_t size); /* random data with flag bytes and zero runs in it */

#endif
