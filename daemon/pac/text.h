/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Of this room only: texts from packages, made safe to show. Everything comes out as UTF-8 without control
 * characters.
 */
#ifndef FDLD_PAC_TEXT_H
#define FDLD_PAC_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Appends one code point as UTF-8 (1..4 bytes) at out; returns bytes. Surrogates and values above 0x10FFFF
 * become U+FFFD. */
size_t text_put_utf8(char *out, uint32_t code);

/* Whether all of it is well-formed UTF-8 without NUL. */
bool text_is_utf8(const void *data, size_t len);

/* Length of the well-formed UTF-8 sequence at p, 0 if it is none; *code (may be NULL) its value. */
size_t text_utf8_at(const uint8_t *p, size_t len, uint32_t *code);

/*
 * A NUL-terminated UTF-16LE field of `units` units, leniently: lone surrogates and control characters become
 * '?', and what does not fit in size is cut at a character. false when it was cut.
 */
bool text_from_utf16(char *out, size_t size, const uint8_t *field, size_t units);

/* Copies without surrounding blanks and with control characters as '?'. false when it had to be cut to size.
 */
bool text_clean(char *out, size_t size, const char *in);

/* What follows the last '/' or '\\'; "" for ".", ".." and the like. */
const char *text_base_name(const char *name);

bool text_same(const char *a, const char *b);		/* without case (ASCII) */
bool text_begins(const char *text, const char *prefix); /* without case */
bool text_contains(const char *text, const char *part); /* without case */

#endif
