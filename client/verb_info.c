/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * info: a package as a person wants to see it. Needs no daemon and no phone.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "client/client.h"
#include "client/package_file.h"
#include "common/format.h"
#include "common/util.h"

struct report {
	struct client *c;
	struct package_file file;
	struct pac_body *body; /* NULL with --quick, or when bad */
	struct failure bad;    /* of the body */
	struct plan *plan;     /* NULL: plan_why */
	struct failure plan_why;
	uint64_t drawn_at;
};

static bool on_progress(void *ctx, uint64_t done, uint64_t total)
{
	struct report *r = ctx;
	uint64_t now = client_now();

	if (r->c->tty && !r->c->json && now - r->drawn_at > 200000) {
		r->drawn_at = now;
		fputc('\r', stderr);
		fprintf(stderr, _("checking %3.0f %%"), total ? (double)done * 100 / (double)total : 100.0);
	}
	return true;
}

static const char *integrity(const struct report *r, bool quick)
{
	if (r->bad.error == ERR_NONE && r->body)
		return r->body->crc_ok ? _("good: header and body check sums are right")
				       : _("not proved: the check sums are missing or wrong");
	return r->bad.error == ERR_NONE && quick ? _("header check sum right, body not read") : _("BAD");
}

/* ---- words ---- */

static void print_loader(const char *name, const struct pac_item *item, const struct loader_info *info)
{
	char size[32];

	if (!item)
		return;
	format_size(item->size, size, sizeof(size));
	printf(_("  %s %s to 0x%08llx  %s%s%s%s\n"), padded(name, 9), size, (unsigned long long)item->address,
	       clean(item->name), info->family ? _(", family ") : "", info->family ? info->family->name : "",
	       info->second_enum ? _(", the phone leaves and returns when it starts") : "");
}

static void print_items(const struct report *r)
{
	size_t count;
	const struct pac_item *items = pac_items(r->file.pac, &count);

	printf("%s\n", tone(r->c, TONE_BOLD, _("Entries, in flash order")));
	for (size_t i = 0; i < count; i++) {
		const struct pac_item *it = &items[i];
		char size[32] = "-", grown[48] = "";

		if (it->file->flag == 2)
			continue;
		if (it->has_file)
			format_size(it->size, size, sizeof(size));
		if (it->image.kind == IMAGE_SPARSE) {
			char full[32];

			format_size(it->image.expanded, full, sizeof(full));
			snprintf(grown, sizeof(grown), _(" (%s on the phone)"), full);
		}
		printf("  %s %-18s %-16s %-12s %10s  %s%s%s%s\n", it->ticked ? "+" : "-", clean(it->file->id),
		       clean(*it->partition ? it->partition : it->label), clean(it->file->type_text), size,
		       image_kind_name(it->image.kind), it->image.dhtb.present ? _(", signed") : "", grown,
		       it->backs_up ? _(", kept") : "");
	}
	puts(_("  (+ flashed, - left out; kept: read from the phone first and written back)"));
}

static void print_table(const struct report *r)
{
	const struct scheme_table *t = &pac_product(r->file.pac)->table;
	char size[32];
	uint64_t bytes;

	if (!t->present)
		return;
	printf("%s\n ", tone(r->c, TONE_BOLD, _("Partitions")));
	for (size_t i = 0; i < t->parts; i++) {
		if (scheme_table_size(t, t->part[i].name, &bytes))
			format_size(bytes, size, sizeof(size));
		else
			snprintf(size, sizeof(size), "%s", t->part[i].size == SCHEME_REST ? _("rest") : "?");
		printf(" %s %s%s", clean(t->part[i].name), size, i + 1 < t->parts ? "," : "\n");
		if (i % 5 == 4 && i + 1 < t->parts)
			fputs("\n ", stdout);
	}
}

static void fact(const char *name, const char *text)
{
	printf("  %s %s", padded(name, 9), text);
}

static void print_report(const struct report *r, bool quick)
{
	const struct pac_header *h = pac_header(r->file.pac);
	const struct pac_chip *chip = pac_chip(r->file.pac);
	const struct scheme_product *p = pac_product(r->file.pac);
	const struct pac_doubt *doubts;
	size_t count;
	char size[32], text[1024];

	format_size(h->size, size, sizeof(size));
	printf("%s %s  (%s, %s%s)\n", tone(r->c, TONE_BOLD, clean(p->name)), clean(h->product_version),
	       clean(h->version), size, h->masked ? _(", table masked") : "");
	fact(_("chip"), "");
	printf("%s, %s\n", chip->family ? chip->family->chips : _("cannot be told"),
	       sureness_name(chip->sure));
	for (size_t i = 0; i < chip->reasons; i++)
		printf("            %s\n", clean(chip->reason[i]));
	print_loader("FDL1", pac_fdl1(r->file.pac), &chip->fdl1);
	print_loader("FDL2", pac_fdl2(r->file.pac), &chip->fdl2);
	fact("NV", "");
	printf(_("%s, %zu items kept\n"),
	       p->nv_backup ? _("read, merged and written back") : _("package asks for no backup"), p->nvs);
	fact(_("integrity"), integrity(r, quick));
	putchar('\n');
	if (r->bad.error != ERR_NONE)
		print_wrapped(stdout, "            ", words_failure(&r->bad, text, sizeof(text)));
	print_items(r);
	print_table(r);
	printf("%s\n", tone(r->c, TONE_BOLD, _("What flashing it does")));
	if (r->plan)
		package_plan_text(r->c, r->plan);
	else
		print_wrapped(stdout, _("  refused: "), words_failure(&r->plan_why, text, sizeof(text)));
	doubts = pac_doubts(r->file.pac, &count);
	for (size_t i = 0; i < count; i++) {
		snprintf(text, sizeof(text), "%s%s%s", doubts[i].entry, *doubts[i].entry ? ": " : "",
			 doubts[i].text);
		print_wrapped(stdout, _("doubt: "), text);
	}
	for (size_t i = 0; r->body && i < r->body->doubts; i++)
		print_wrapped(stdout, _("doubt: "), r->body->doubt[i].text);
	for (uint32_t i = 0; r->plan && i < r->plan->doubt_count; i++)
		package_remark(r->plan->doubt[i]);
}

/* ---- JSON ---- */

static void put(json_object *o, const char *key, const char *value)
{
	json_object_object_add(o, key, json_object_new_string(value));
}

static json_object *item_json(const struct pac_item *it)
{
	json_object *o = json_object_new_object();

	put(o, "id", it->file->id);
	put(o, "type", it->file->type_text);
	put(o, "file", it->name);
	put(o, "target", *it->partition ? it->partition : it->label);
	json_object_object_add(o, "ticked", json_object_new_boolean(it->ticked));
	json_object_object_add(o, "kept", json_object_new_boolean(it->backs_up));
	json_object_object_add(o, "offset", json_object_new_uint64(it->offset));
	json_object_object_add(o, "size", json_object_new_uint64(it->size));
	json_object_object_add(o, "expanded", json_object_new_uint64(it->image.expanded));
	put(o, "kind", image_kind_name(it->image.kind));
	json_object_object_add(o, "signed", json_object_new_boolean(it->image.dhtb.present));
	return o;
}

static void print_report_json(const struct report *r, bool quick)
{
	const struct pac_header *h = pac_header(r->file.pac);
	const struct pac_chip *chip = pac_chip(r->file.pac);
	json_object *o = json_object_new_object(), *items = json_object_new_array(),
		    *doubts = json_object_new_array();
	char text[1024];
	size_t count;
	const struct pac_item *it = pac_items(r->file.pac, &count);
	const struct pac_doubt *d;

	put(o, "product", pac_product(r->file.pac)->name);
	put(o, "version", h->product_version);
	put(o, "container", h->version);
	json_object_object_add(o, "size", json_object_new_uint64(h->size));
	put(o, "family", chip->family ? chip->family->name : "");
	put(o, "family_sureness", sureness_name(chip->sure));
	put(o, "integrity",
	    r->bad.error != ERR_NONE ? "bad"
	    : r->body		     ? (r->body->crc_ok ? "good" : "unproved")
	    : quick		     ? "unchecked"
				     : "bad");
	if (r->bad.error != ERR_NONE) {
		put(o, "error", error_entry(r->bad.error)->name);
		put(o, "message", failure_text(&r->bad, text, sizeof(text)));
	}
	for (size_t i = 0; i < count; i++)
		if (it[i].file->flag != 2)
			json_object_array_add(items, item_json(&it[i]));
	json_object_object_add(o, "entries", items);
	d = pac_doubts(r->file.pac, &count);
	for (size_t i = 0; i < count; i++)
		json_object_array_add(doubts, json_object_new_string(d[i].text));
	for (size_t i = 0; r->body && i < r->body->doubts; i++)
		json_object_array_add(doubts, json_object_new_string(r->body->doubt[i].text));
	json_object_object_add(o, "doubts", doubts);
	if (r->plan)
		json_object_object_add(o, "plan", package_plan_json(r->plan));
	else
		put(o, "plan_refused", failure_text(&r->plan_why, text, sizeof(text)));
	print_json(o);
	json_object_put(o);
}

static int info(struct client *c, int argc, char **argv)
{
	struct pac_options lenient = { .accept_mismatch = true };
	struct report r = { .c = c };
	struct package_wish wish = { 0 };
	struct failure why = { .code = -1 };
	bool quick = false;
	int opt, rc;

	while ((opt = verb_next(c, &verb_info, argc, argv, &rc)) != -1) {
		if (opt == -2)
			return rc;
		quick |= opt == 'q';
	}
	if (optind != argc - 1)
		return client_usage(N_("info: which package? One file."));
	wish.file = argv[optind];
	rc = package_open(wish.file, &lenient, &r.file, &why);
	if (rc < 0 && why.error == ERR_PACKAGE_HEADER_CRC) { /* shown all the same, and called what it is */
		package_close(&r.file);
		r.bad = why;
		lenient.accept_bad_crc = true;
		rc = package_open(wish.file, &lenient, &r.file, &why);
	}
	if (rc < 0) {
		package_close(&r.file);
		return client_complain(c, &why);
	}
	if (!quick)
		(void)pac_check(r.file.pac, &r.file.source, NULL, on_progress, &r, &r.body,
				r.bad.error != ERR_NONE ? &why : &r.bad);
	if (c->tty && !c->json)
		fputs("\r\033[K", stderr);
	wish.accept_bad_crc = true;
	(void)package_plan(&wish, r.file.pac, NULL, &r.plan, &r.plan_why);
	if (c->json)
		print_report_json(&r, quick);
	else
		print_report(&r, quick);
	rc = r.bad.error != ERR_NONE ? error_entry(r.bad.error)->exit_code : 0;
	plan_free(r.plan);
	pac_body_free(r.body);
	package_close(&r.file);
	return rc;
}

static const struct verb_opt info_options[] = {
	{ "quick", 'q', NULL, N_("structure only; the whole file is not read and checked"), false },
	{ 0 },
};

const struct verb verb_info = {
	.name = "info",
	.args = N_("FILE"),
	.summary = N_("what a package holds and would destroy, doubts"),
	.about = N_(
		"What a package holds, in flash order, what it destroys, its NV policy, its integrity and every "
		"doubt. Needs neither daemon nor phone."),
	.options = info_options,
	.operand = OPERAND_FILE,
	.run = info,
};
