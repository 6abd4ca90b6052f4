/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Configuration files of the daemon in the rig, what it makes of them, and what fdlctl says of that. */
#ifndef TESTS_BUS_CONF_H
#define TESTS_BUS_CONF_H

#include "tests/bus/ctl.h"
#include "tests/bus/rig.h"

#define ERR(name) "org.fdld1.Error." name
#define ETC	  "/etc/fdld/fdld.conf"
#define DROPIN	  ETC ".d/"

/* A file's path below the root of the configuration. Static, a ring of four. */
const char *conf_path(struct rig *rig, const char *name);
/* Writes a file there; its folders are made. */
void conf_put(struct rig *rig, const char *name, const char *text);
bool conf_reload(struct rig *rig);
/* Puts the text in force as the one drop-in that there is. */
bool conf_set(struct rig *rig, const char *text);
/* The last call was refused with this error of ours. */
bool conf_refused(struct rig *rig, const char *error);
/* The daemon's log has this text. */
bool conf_logged(struct rig *rig, const char *text);
/* What fdlctl complained of, or told of a job, has these words in it, however it was wrapped. */
bool conf_said(const char *words);
/* A setting as fdlctl tells it, "value where", without the root. Static. */
const char *conf_shown(struct rig *rig, const char *key);

#define CONFIG(key, want)                                                                   \
	do {                                                                                \
		const char *got_ = conf_shown(rig, key);                                    \
		if (strcmp(got_, want) != 0)                                                \
			tap_note("%s: '%s' instead of '%s'; %s", key, got_, want, ctl_err); \
		CHECK(!strcmp(got_, want));                                                 \
	} while (0)

#endif
