/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * loader check: what two files tell about themselves and each other. Needs neither daemon nor phone.
 */
#include "client/loader_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/format.h"
#include "common/util.h"

#define LOADER_MAX (16u << 20) /* bytes; no loader comes near it */

/* ---- files ---- */

static int read_at(void *ctx, uint64_t offset, void *buf, size_t len)
{
	const struct loader_file *f = ctx;
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

/* FILE@ADDRESS: the address goes; a file of that whole name is that file. 0 or an exit code. */
static int split(const char *spec, struct loader_file *f)
{
	unsigned long long address;
	char *at, *end;

	f->text = strdup(spec);
	f->path = f->text;
	if (!f->text)
		return error_entry(ERR_INTERNAL)->exit_code;
	at = strrchr(f->text, '@');
	if (!at || access(spec, F_OK) == 0)
		return 0;
	errno = 0;
	address = strtoull(at + 1, &end, 0);
	if (errno || end == at + 1 || *end || at[1] == '-' || !address || address > UINT32_MAX)
		return client_usage(N_("'%s' is no address; FILE@0x5000 for example"), at + 1);
	*at = '\0';
	f->address = address;
	return 0;
}

/* What it is as the loader of this stage, and its digest. */
static int inspect(struct client *c, const struct source *source, uint64_t size, int stage,
		   struct loader_file *f)
{
	struct loader_info first, second;
	struct failure why = { .code = -1 };
	_cleanup_free_ uint8_t *bytes = NULL;
	uint8_t sum[DIGEST_SIZE];

	if (size > LOADER_MAX || !size) {
		failure_set(&why, ERR_INVALID_IMAGE, "%s: %" PRIu64 " bytes are no loader", f->path, size);
		return client_complain(c, &why);
	}
	if (loader_inspect(source, f->at, size, 1, &first, &why) < 0 ||
	    loader_inspect(source, f->at, size, 2, &second, &why) < 0)
		return client_complain(c, &why);
	bytes = malloc((size_t)size);
	if (!bytes)
		return error_entry(ERR_INTERNAL)->exit_code;
	if (source_read(source, f->at, bytes, (size_t)size) < 0 ||
	    digest_bytes(bytes, (size_t)size, sum) < 0) {
		failure_set(&why, ERR_PACKAGE_READ_FAILED, "%s", f->path);
		return client_complain(c, &why);
	}
	for (size_t i = 0; i < sizeof(sum); i++)
		snprintf(f->digest + 2 * i, 3, "%02x", sum[i]);
	f->looks = pair_stage(&first, &second, &f->looks_sure);
	f->info = stage == 1 ? first : second;
	return 0;
}

int loader_file_open(struct client *c, const char *spec, int stage, struct loader_file *f)
{
	struct failure why = { .code = -1 };
	struct stat st;
	int rc = split(spec, f);

	if (rc)
		return rc;
	f->fd = open(f->path, O_RDONLY | O_CLOEXEC);
	if (f->fd < 0 || fstat(f->fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		failure_set(&why, ERR_INVALID_IMAGE, "%s: %s", f->path,
			    f->fd < 0 ? strerror(errno) : "not a regular file");
		return client_complain(c, &why);
	}
	f->source = (struct source){ .size = (uint64_t)st.st_size, .read_at = read_at, .ctx = f };
	return inspect(c, &f->source, f->source.size, stage, f);
}

static int from_package(struct client *c, struct loader_files *files, const char *path)
{
	const struct pac_item *item[2] = { pac_fdl1(files->package.pac), pac_fdl2(files->package.pac) };

	for (int i = 0; i < 2; i++) {
		struct loader_file *f = &files->part[i];
		int rc;

		if (!item[i] || !item[i]->has_file)
			continue;
		f->path = *item[i]->name ? item[i]->name : path;
		f->address = item[i]->address;
		f->at = item[i]->offset;
		rc = inspect(c, &files->package.source, item[i]->size, i + 1, f);
		if (rc)
			return rc;
	}
	return 0;
}

int loader_files_open(struct client *c, int count, char **specs, struct loader_files *files)
{
	struct pac_options lenient = { .accept_bad_crc = true, .accept_mismatch = true };
	struct failure why = { .code = -1 };
	int rc = 0;

	*files = (struct loader_files){ .part = { { .path = "", .fd = -1 }, { .path = "", .fd = -1 } },
					.package = { .fd = -1 } };
	if (count == 1) {
		if (package_open(specs[0], &lenient, &files->package, &why) == 0)
			return from_package(c, files, specs[0]);
		package_close(&files->package);
		/* a package that is none is not taken for a loader, but for one that is broken */
		if (why.error != ERR_PACKAGE_NOT_PAC && why.error != ERR_INVALID_IMAGE &&
		    why.error != ERR_PACKAGE_SIZE)
			return client_complain(c, &why);
	}
	for (int i = 0; !rc && i < count; i++)
		rc = loader_file_open(c, specs[i], i + 1, &files->part[i]);
	/* one file alone: in the place it looks made for */
	if (!rc && count == 1 && files->part[0].looks == 2) {
		loader_files_close(files);
		rc = loader_file_open(c, specs[0], 2, &files->part[1]);
	}
	return rc;
}

void loader_files_judge(struct loader_files *files)
{
	struct pair_part part[2];

	for (int i = 0; i < 2; i++)
		part[i] = (struct pair_part){ *files->part[i].path ? &files->part[i].info : NULL,
					      files->part[i].address };
	pair_judge(&part[0], &part[1], &files->verdict);
}

void loader_files_close(struct loader_files *files)
{
	for (int i = 0; i < 2; i++) {
		if (files->part[i].fd >= 0)
			close(files->part[i].fd);
		free(files->part[i].text);
		files->part[i] = (struct loader_file){ .path = "", .fd = -1 };
	}
	package_close(&files->package);
}

/* ---- words ---- */

static void fact(const char *name, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void fact(const char *name, const char *fmt, ...)
{
	va_list ap;

	printf("  %s ", padded(name, 12));
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

static const char *sure_word(enum sureness sure)
{
	switch (sure) {
	case SURE_FAIR: return _("likely");
	case SURE_GOOD: return _("good");
	case SURE_VERY: return _("very good");
	case SURE_NOT: break;
	}
	return _("unknown");
}

static void print_part(const struct client *c, const struct loader_file *f, int stage)
{
	const struct loader_info *l = &f->info;
	char size[FORMAT_MAX], head[320];
	enum sureness sure;
	uint64_t address;

	format_size(l->size, size, sizeof(size));
	snprintf(head, sizeof(head), "FDL%d  %s  %s", stage, clean(f->path), size);
	printf("%s\n", tone(c, TONE_BOLD, head));
	if (l->family)
		fact(_("family"), _("%s (%s): %s, by the text \"%s\""), l->family->name, l->family->chips,
		     sure_word(l->family_sure), clean(l->family_text));
	else
		fact(_("family"), "%s", _("no text tells"));
	if (l->base_sure != SURE_NOT)
		fact(_("linked to"), "0x%" PRIx64 ": %s", l->base, sure_word(l->base_sure));
	else
		fact(_("linked to"), "%s", _("cannot be told"));
	address = f->address ? f->address : pair_address(l, stage, &sure);
	if (address)
		fact(_("goes to"), "0x%" PRIx64 "%s", address,
		     f->address ? "" : _(" (not said; from what is known)"));
	fact(_("signed"), "%s",
	     l->dhtb.present ? l->dhtb.signature ? _("DHTB, with a signature") : "DHTB" : _("no"));
	if (*l->version)
		fact(_("version"), "%s", clean(l->version));
	fact(_("code"), "%s%s%s", l->a64 ? _("64-bit") : _("not 64-bit, as far as its first word tells"),
	     l->lk ? _(", built on LK") : "", l->device_manager ? _(", with device management") : "");
	if (l->second_enum)
		fact(_("starting"), "%s", _("the phone leaves the bus and returns"));
	fact("SHA-256", "%s", f->digest);
}

/* One that looks made for the other place. */
static void print_places(const struct loader_files *files)
{
	for (int i = 0; i < 2; i++) {
		const struct loader_file *f = &files->part[i];
		char text[512];

		if (!*f->path || !f->looks || f->looks == i + 1)
			continue;
		snprintf(text, sizeof(text),
			 f->looks == 1 ? _("%s looks like a first loader (FDL1)")
				       : _("%s looks like a second loader (FDL2)"),
			 clean(f->path));
		print_wrapped(stdout, "  ? ", text);
	}
}

static void print_verdict(const struct client *c, const struct loader_files *files)
{
	const struct pair_verdict *v = &files->verdict;
	char names[160];

	printf("%s\n",
	       tone(c, TONE_BOLD, *files->part[0].path && *files->part[1].path ? _("Together") : _("Alone")));
	if (v->mismatch || v->misplaced) {
		printf("  %s\n", tone(c, TONE_BAD, v->mismatch ? _("no pair") : _("wrong address")));
		print_wrapped(stdout, "  ", v->wrong);
	} else if (v->family) {
		printf(_("  for %s (%s): %s\n"), v->family->name, v->family->chips, sure_word(v->sure));
	} else if (*pair_families(v->families, names, sizeof(names))) {
		printf(_("  for one of %s\n"), names);
	} else {
		printf("%s\n", _("  nothing tells which chips they are for"));
	}
	for (size_t i = 0; i < v->doubts; i++)
		print_wrapped(stdout, "  ? ", v->doubt[i]);
	print_places(files);
}

/* ---- JSON ---- */

static void put(json_object *o, const char *key, const char *value)
{
	json_object_object_add(o, key, json_object_new_string(value));
}

static json_object *part_json(const struct loader_file *f, int stage)
{
	json_object *o = json_object_new_object();
	const struct loader_info *l = &f->info;

	json_object_object_add(o, "stage", json_object_new_int(stage));
	json_object_object_add(o, "looks_like", json_object_new_int(f->looks));
	put(o, "file", f->path);
	put(o, "sha256", f->digest);
	json_object_object_add(o, "size", json_object_new_uint64(l->size));
	json_object_object_add(o, "address", json_object_new_uint64(f->address));
	json_object_object_add(o, "linked_to", json_object_new_uint64(l->base));
	put(o, "linked_sure", sureness_name(l->base_sure));
	put(o, "family", l->family ? l->family->name : "");
	put(o, "family_sure", sureness_name(l->family_sure));
	put(o, "family_text", l->family_text);
	put(o, "version", l->version);
	json_object_object_add(o, "dhtb", json_object_new_boolean(l->dhtb.present));
	json_object_object_add(o, "signature", json_object_new_boolean(l->dhtb.signature));
	json_object_object_add(o, "a64", json_object_new_boolean(l->a64));
	json_object_object_add(o, "lk", json_object_new_boolean(l->lk));
	json_object_object_add(o, "leaves_and_returns", json_object_new_boolean(l->second_enum));
	return o;
}

static void print_all_json(const struct loader_files *files)
{
	json_object *o = json_object_new_object(), *parts = json_object_new_array(),
		    *doubts = json_object_new_array(), *families = json_object_new_array();
	const struct pair_verdict *v = &files->verdict;
	const struct chip_family *f;
	char names[8];

	for (int i = 0; i < 2; i++)
		if (*files->part[i].path)
			json_object_array_add(parts, part_json(&files->part[i], i + 1));
	json_object_object_add(o, "parts", parts);
	put(o, "verdict",
	    v->mismatch						? "mismatch"
	    : v->misplaced					? "misplaced"
	    : *pair_families(v->families, names, sizeof(names)) ? "fits"
								: "unknown");
	put(o, "wrong", v->wrong);
	put(o, "family", v->family ? v->family->name : "");
	put(o, "sure", sureness_name(v->sure));
	for (size_t i = 0; ~v->families && i < 32 && (f = chip_family_at(i)); i++)
		if (v->families & UINT32_C(1) << i)
			json_object_array_add(families, json_object_new_string(f->name));
	json_object_object_add(o, "families", families);
	for (size_t i = 0; i < v->doubts; i++)
		json_object_array_add(doubts, json_object_new_string(v->doubt[i]));
	json_object_object_add(o, "doubts", doubts);
	print_json(o);
	json_object_put(o);
}

int loader_check(struct client *c, int count, char **specs)
{
	struct loader_files files;
	int rc = loader_files_open(c, count, specs, &files);

	if (!rc) {
		loader_files_judge(&files);
		if (c->json)
			print_all_json(&files);
		for (int i = 0; !c->json && i < 2; i++)
			if (*files.part[i].path)
				print_part(c, &files.part[i], i + 1);
		if (!c->json)
			print_verdict(c, &files);
		if (files.verdict.mismatch || files.verdict.misplaced)
			rc = error_entry(ERR_LOADER_MISMATCH)->exit_code;
	}
	loader_files_close(&files);
	return rc;
}
