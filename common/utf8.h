/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Texts that come from callers, packages and phones, and are cut to fit somewhere, as the bus takes them: a
 * message with one bad byte in it is not sent at all, and with it everything else that it says.
 */
#ifndef FDLD_COMMON_UTF8_H
#define FDLD_COMMON_UTF8_H

#include <stdbool.h>

/* UTF-8 throughout: nothing overlong or cut off, no surrogate, no noncharacter (those the bus refuses, too).
 */
bool utf8_good(const char *text);
/* Puts '?' in the place of each byte that is none. The length stays. */
void utf8_tame(char *text);

#endif
