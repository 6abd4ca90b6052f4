/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Packages in the client's own process: opening a file as a source, options in the words of the command
 * line, and the plan as text or JSON.
 */
#include "client/package.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/package_file.h"
#include "common/format.h"
#include "common/util.h"
#include "flash/plan.h"

#define TYPICAL_RATE (30u << 20) /* bytes/s that a typical phone is read back with */

static int read_at(void *ctx, uint64_t offset, void *buf, size_t len)
{
	struct package_file *f = ctx;
	uint8_t *to = buf;

	while (len) {
		ssize_t n = pread(f->fd, to, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		to += n;
		offset += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

int package_open(const char *path, const struct pac_options *options, struct package_file *f,
		 struct failure *why)
{
	struct stat st;

	*f = (struct package_file){ .fd = open(path, O_RDONLY | O_CLOEXEC) };
	if (f->fd < 0 || fstat(f->fd, &st) < 0)
		return failure_set(why, ERR_INVALID_IMAGE, "%s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return failure_set(why, ERR_INVALID_IMAGE, "%s is no regular file", path);
	f->source = (struct source){ .size = (uint64_t)st.st_size, .read_at = read_at, .ctx = f };
	return pac_open(&f->source, options, &f->pac, why);
}

void package_close(struct package_file *f)
{
	pac_free(f->pac);
	if (f->fd >= 0)
		close(f->fd);
	*f = (struct package_file){ .fd = -1 };
}

/* ---- options ---- */

/* The words each of these options takes, in the order of their enumerations; also for completion. */
static const char *const words[][5] = {
	{ "repartition", [1 + REPARTITION_ON_MISMATCH] = "on-mismatch", [1 + REPARTITION_PACKAGE] = "package",
	  [1 + REPARTITION_ALWAYS] = "always", [1 + REPARTITION_NEVER] = "never" },
	{ "level", [1 + LEVEL_ACKNOWLEDGED] = "acknowledged", [1 + LEVEL_VERIFIED] = "verified" },
	{ "end", [1 + END_RESET] = "reset", [1 + END_POWER_OFF] = "power-off", [1 + END_STAY] = "stay" },
	{ "nv", [1 + NV_KEEP] = "keep", [1 + NV_KEEP_IF_ANY] = "keep-if-any", [1 + NV_PACKAGE] = "package" },
};

const char *package_word(const char *option, size_t index)
{
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (!strcmp(words[i][0], option))
			return index + 1 >= ARRAY_SIZE(words[i]) ? NULL
			       : words[i][index + 1]		 ? words[i][index + 1]
								 : "";
	return NULL;
}

static int word(const char *option, const char *value, int *out)
{
	const char *known;

	if (!value)
		return 0;
	for (size_t i = 0; (known = package_word(option, i)); i++) {
		if (*known && !strcmp(value, known)) {
			*out = (int)i;
			return 0;
		}
	}
	return client_usage(N_("'%s' is no value of --%s"), value, option);
}

static int copy_names(char (*to)[40], uint32_t *to_count, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (strlen(names[i]) >= sizeof(to[0]))
			return client_usage(N_("'%s' is too long for a name"), names[i]);
		snprintf(to[i], sizeof(to[0]), "%s", names[i]);
	}
	*to_count = (uint32_t)count;
	return 0;
}

static int plan_options_of(const struct package_wish *w, struct plan_options *o)
{
	int r = 0, l = 0, e = 0, n = 0, rc;

	rc = word("repartition", w->repartition, &r);
	if (!rc)
		rc = word("level", w->level, &l);
	if (!rc)
		rc = word("end", w->end, &e);
	if (!rc)
		rc = word("nv", w->nv, &n);
	if (!rc)
		rc = copy_names(o->only, &o->only_count, w->only, w->only_count);
	if (!rc)
		rc = copy_names(o->without, &o->without_count, w->without, w->without_count);
	o->repartition = (enum repartition_policy)r;
	o->level = (enum verify_level)l;
	o->end = (enum end_action)e;
	o->nv = (enum nv_policy)n;
	o->erase_all = w->erase_all;
	o->force_loaders = w->force_loaders;
	o->accept_bad_crc = w->accept_bad_crc;
	return rc;
}

/* ---- the plan ---- */

static json_object *step_json(const struct plan *plan, const struct plan_step *step)
{
	json_object *o = json_object_new_object();

	json_object_object_add(o, "op", json_object_new_string(plan_op_name(step->op)));
	json_object_object_add(o, "guard", json_object_new_string(guard_name(step->guard)));
	json_object_object_add(o, "target", json_object_new_string(step->target));
	json_object_object_add(o, "bytes", json_object_new_uint64(step->size));
	json_object_object_add(o, "destructive", json_object_new_boolean(step->destructive));
	if (*step->no_verify)
		json_object_object_add(o, "not_compared", json_object_new_string(step->no_verify));
	return o;
}

static json_object *loaders_json(const struct plan *plan)
{
	const struct plan_loader *const loader[] = { &plan->fdl1, &plan->fdl2 };
	json_object *list = json_object_new_array();

	for (size_t i = 0; i < ARRAY_SIZE(loader); i++) {
		const struct pac_item *item = plan_loader_item(plan, loader[i]);
		json_object *o = item ? json_object_new_object() : NULL;

		if (!o)
			continue;
		json_object_object_add(o, "id", json_object_new_string(item->file->id));
		json_object_object_add(o, "address", json_object_new_uint64(loader[i]->base));
		json_object_object_add(o, "bytes", json_object_new_uint64(loader[i]->size));
		json_object_object_add(o, "family", json_object_new_string(loader[i]->text));
		json_object_array_add(list, o);
	}
	return list;
}

json_object *package_plan_json(const struct plan *plan)
{
	json_object *o = json_object_new_object(), *steps = json_object_new_array(),
		    *doubts = json_object_new_array();

	for (uint32_t i = 0; i < plan->step_count; i++)
		json_object_array_add(steps, step_json(plan, &plan->step[i]));
	for (uint32_t i = 0; i < plan->doubt_count; i++)
		json_object_array_add(doubts, json_object_new_string(plan->doubt[i]));
	json_object_object_add(o, "loaders", loaders_json(plan));
	json_object_object_add(o, "steps", steps);
	json_object_object_add(o, "doubts", doubts);
	json_object_object_add(o, "bytes_to_send", json_object_new_uint64(plan->bytes_to_send));
	json_object_object_add(o, "bytes_to_verify", json_object_new_uint64(plan->bytes_to_verify));
	return o;
}

/* When a step is done at all: what only the phone can tell. */
static const char *guard_words(enum guard guard)
{
	switch (guard) {
	case GUARD_ALWAYS: return NULL;
	case GUARD_TABLE_DIFFERS: return _("only if the phone's partition table differs");
	case GUARD_STORAGE_EMMC: return _("only if the phone has eMMC");
	case GUARD_STORAGE_UFS: return _("only if the phone has UFS");
	case GUARD_IN_TABLE: return _("only if the partition table lists it");
	case GUARD_BACKUP_VALID: return _("only if it was found and stored");
	}
	return guard_name(guard);
}

/* A fraction of a second is no number to plan with. */
const char *duration_words(uint64_t usec, char *buf, size_t size)
{
	if (usec < 1000000)
		snprintf(buf, size, "< 1 s");
	else
		format_duration(usec, buf, size);
	return buf;
}

void package_remark(const char *remark)
{
	static const char *const plain[] = { "departure=", "may-not-know=", "table=" };
	size_t key = strspn(remark, "abcdefghijklmnopqrstuvwxyz-"), all = strcspn(remark, ": ");
	bool tells = false;
	char text[1024];

	if (!key || remark[key] != '=' || strncmp(remark + all, ": ", 2) != 0) {
		print_wrapped(stdout, _("doubt: "), remark);
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(plain); i++)
		tells |= !strncmp(remark, plain[i], key + 1);
	snprintf(text, sizeof(text), "%s [%.*s]", remark + all + 2, (int)all, remark);
	print_wrapped(stdout, tells ? _("note: ") : _("doubt: "), text);
}

void package_plan_text(const struct client *c, const struct plan *plan)
{
	char text[256], size[32], back[32];

	for (uint32_t i = 0; i < plan->backup_count; i++) {
		format_size(plan->backup[i].size, size, sizeof(size));
		printf(_("  keep  %s read and stored before anything is erased (%s)\n"),
		       padded(clean(plan->backup[i].target), 22), size);
	}
	for (uint32_t i = 0; i < plan->step_count; i++) {
		const struct plan_step *step = &plan->step[i];
		const char *when = guard_words(step->guard);

		printf("%6u  %s", i + 1, clean(plan_step_text(plan, step, text, sizeof(text))));
		if (when)
			printf("  %s", tone(c, TONE_DIM, when));
		putchar('\n');
	}
	format_size(plan->bytes_to_send, size, sizeof(size));
	if (plan->bytes_to_verify) {
		duration_words(plan_verify_usec(plan, TYPICAL_RATE), text, sizeof(text));
		format_size(plan->bytes_to_verify, back, sizeof(back));
		printf(_("%s to send, %s to read back and compare (time for that: %s)\n"), size, back, text);
	} else {
		printf(_("%s to send\n"), size);
	}
}

int package_plan(const struct package_wish *wish, const struct pac *pac, const struct pac *loaders,
		 struct plan **plan, struct failure *why)
{
	struct plan_options *options = calloc(1, sizeof(*options));
	int rc = options ? plan_options_of(wish, options) : error_entry(ERR_INTERNAL)->exit_code;

	if (options)
		options->loaders = loaders;
	if (!rc && plan_compile(pac, options, plan, why) < 0)
		rc = error_entry(why->error)->exit_code;
	free(options);
	return rc;
}

/* What is sent first, and runs the rest. */
static void print_loaders(const struct plan *plan)
{
	const struct plan_loader *const loader[] = { &plan->fdl1, &plan->fdl2 };
	char size[32];

	for (size_t i = 0; i < ARRAY_SIZE(loader); i++) {
		const struct pac_item *item = plan_loader_item(plan, loader[i]);

		if (item)
			printf(_("  start %s at 0x%08x (%s)\n"), padded(clean(item->file->id), 22),
			       (unsigned int)loader[i]->base,
			       format_size(loader[i]->size, size, sizeof(size)));
	}
}

int package_print_plan(struct client *c, const struct package_wish *wish)
{
	struct pac_options options = { .accept_bad_crc = wish->accept_bad_crc,
				       .accept_mismatch = wish->force_loaders || wish->loader,
				       .without_loaders = wish->loader != NULL };
	struct failure why = { .code = -1 };
	struct package_file f, lender = { .fd = -1 };
	struct plan *plan = NULL;
	int rc;

	if (wish->loader && !strchr(wish->loader, '/') && access(wish->loader, F_OK) < 0)
		return client_usage(N_("what '%s' stands for only the service knows: take a file, or --slot"),
				    wish->loader);
	if (package_open(wish->file, &options, &f, &why) < 0 ||
	    (wish->loader && package_open(wish->loader, &options, &lender, &why) < 0)) {
		package_close(&f);
		package_close(&lender);
		return client_complain(c, &why);
	}
	rc = package_plan(wish, f.pac, lender.pac, &plan, &why);
	if (rc && why.error != ERR_NONE)
		client_complain(c, &why);
	if (!rc && c->json) {
		json_object *o = package_plan_json(plan);

		print_json(o);
		json_object_put(o);
	} else if (!rc) {
		print_loaders(plan);
		package_plan_text(c, plan);
		for (uint32_t i = 0; i < plan->doubt_count; i++)
			package_remark(plan->doubt[i]);
	}
	plan_free(plan);
	package_close(&f);
	package_close(&lender);
	return rc;
}
