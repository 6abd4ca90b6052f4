/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Patterns as in file names, over whole UTF-8 texts: * any characters, ? one character, [abc] and [a-z] one
 * of these, [!...] one of the others; everything else is itself, and so is any of the marks within brackets.
 * No locale, no state. The time is at most the product of both lengths, whatever the pattern.
 */
#ifndef FDLD_COMMON_GLOB_H
#define FDLD_COMMON_GLOB_H

#include <stdbool.h>

/* Every bracket is closed, holds something, and its ranges rise. */
bool glob_valid(const char *pattern);
/* The pattern, which is valid, takes all of text. */
bool glob_match(const char *pattern, const char *text);

#endif
