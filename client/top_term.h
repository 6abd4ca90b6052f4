/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef FDLD_CLIENT_TOP_TERM_H
#define FDLD_CLIENT_TOP_TERM_H

#include <stdbool.h>

/* Whether the terminal that TERM names is known and can be drawn on at any place. */
bool top_terminal(void);

#endif
