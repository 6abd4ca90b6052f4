/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Words of callers into the plan's options. */
#include <errno.h>
#include <stdio.h>
#include <strings.h>

#include "common/util.h"
#include "station/internal.h"
#include "station/kv.h"

struct word {
	const char *word;
	int value;
};

static int choose(const char *option, const char *given, const struct word *words, size_t count, int *value,
		  struct failure *why)
{
	char list[120] = "";

	if (!given || !*given)
		return 0;
	for (size_t i = 0; i < count; i++) {
		if (!strcmp(given, words[i].word)) {
			*value = words[i].value;
			return 0;
		}
		snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s%s", i ? ", " : "",
			 words[i].word);
	}
	return failure_set(why, ERR_INVALID_ARGS, "%s=%.40s: one of %s", option, given, list);
}

static int names(const char *option, const char *const *given, char (*to)[40], uint32_t *count,
		 struct failure *why)
{
	for (; given && *given; given++) {
		if (*count == PLAN_NAMES_MAX)
			return failure_set(why, ERR_INVALID_ARGS, "%s: more than %d names", option,
					   PLAN_NAMES_MAX);
		if (!**given || !kv_copy(to[*count], sizeof(to[0]), *given))
			return failure_set(why, ERR_INVALID_ARGS, "%s: \"%.50s\" is no name of an entry",
					   option, *given);
		(*count)++;
	}
	return 0;
}

/* What the caller said, else what the settings say. */
static const char *said(const char *given, const char *setting)
{
	return given && *given ? given : setting;
}

int options_translate(const struct job_options *in, const struct settings *set, struct plan_options *out,
		      struct failure *why)
{
	static const struct word nv[] = { { "keep", NV_KEEP },
					  { "keep-if-any", NV_KEEP_IF_ANY },
					  { "package", NV_PACKAGE } };
	static const struct word repartition[] = { { "on-mismatch", REPARTITION_ON_MISMATCH },
						   { "package", REPARTITION_PACKAGE },
						   { "always", REPARTITION_ALWAYS },
						   { "never", REPARTITION_NEVER } };
	static const struct word level[] = { { "acknowledged", LEVEL_ACKNOWLEDGED },
					     { "sampled", LEVEL_SAMPLED },
					     { "verified", LEVEL_VERIFIED } };
	static const struct word end[] = { { "reset", END_RESET },
					   { "power-off", END_POWER_OFF },
					   { "stay", END_STAY } };
	int v[4] = { NV_KEEP, REPARTITION_ON_MISMATCH, LEVEL_ACKNOWLEDGED, END_RESET };
	int r;

	memset(out, 0, sizeof(*out));
	r = choose("nv", said(in->nv, set->nv), nv, ARRAY_SIZE(nv), &v[0], why);
	if (!r)
		r = choose("repartition", in->repartition, repartition, ARRAY_SIZE(repartition), &v[1], why);
	if (!r)
		r = choose("level", said(in->level, set->level), level, ARRAY_SIZE(level), &v[2], why);
	if (!r)
		r = choose("end", said(in->end, set->end), end, ARRAY_SIZE(end), &v[3], why);
	if (!r)
		r = names("entries", in->entries, out->only, &out->only_count, why);
	if (!r)
		r = names("without", in->without, out->without, &out->without_count, why);
	if (!r && in->sample && v[2] != LEVEL_SAMPLED)
		r = failure_set(why, ERR_INVALID_ARGS, "sample means nothing without level sampled");
	if (!r && in->nv_from && *in->nv_from && !kv_u64(in->nv_from, 0))
		r = failure_set(why, ERR_INVALID_ARGS, "nv_from=%.24s: the number of a job", in->nv_from);
	if (r < 0)
		return r;
	out->nv = (enum nv_policy)v[0];
	out->repartition = (enum repartition_policy)v[1];
	out->level = (enum verify_level)v[2];
	out->end = (enum end_action)v[3];
	out->erase_all = in->erase_all;
	out->force_loaders = in->force_loaders;
	out->continue_without_backup = in->without_backup;
	out->nv_not_this_phone = in->nv_not_this_phone;
	out->raw = in->raw;
	if (in->nv_from)
		kv_copy(out->nv_from, sizeof(out->nv_from), in->nv_from);
	return 0;
}
