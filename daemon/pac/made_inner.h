/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Of this room only: the XML of a made package. */
#ifndef FDLD_PAC_MADE_INNER_H
#define FDLD_PAC_MADE_INNER_H

#include "pac/made.h"

/* malloc'd, NUL-terminated; *len without the NUL. 0 or -ENOMEM. */
int made_scheme_xml(const struct made_part *part, size_t parts, const struct made_scheme *scheme, char **text,
		    size_t *len);

#endif
