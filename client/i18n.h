/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Words in the user's language: libc's gettext, domain "fdld". What goes out as JSON is never translated:
 * client_json() takes the locale's messages away, so that no caller has to think of it.
 */
#ifndef FDLD_CLIENT_I18N_H
#define FDLD_CLIENT_I18N_H

#include <libintl.h>

#define _(text)	 gettext(text)
#define N_(text) text /* translated where it is printed */

/* Locale and catalogue of this process. */
void i18n_init(void);
/* From here on English, whatever the user speaks. */
void i18n_off(void);

#endif
