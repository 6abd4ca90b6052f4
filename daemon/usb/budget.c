/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The machine's one pool of usbfs memory, shared out in the order of asking.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/util.h"
#include "usb/budget.h"

#define DEFAULT_MB 16u

struct usb_claim {
	struct usb_budget *budget;
	struct usb_claim *next;
	uint64_t bytes;
	bool granted;
	void (*fn)(void *user);
	void *user;
};

struct usb_budget {
	uint64_t machine, limit, used; /* limit: our share of the machine's */
	struct usb_claim *claims;      /* in the order of asking, granted or not */
	bool granting;
};

static uint64_t read_limit(const char *path)
{
	unsigned long long mb = DEFAULT_MB;
	FILE *file = fopen(path, "re");

	if (file) {
		if (fscanf(file, "%llu", &mb) != 1)
			mb = DEFAULT_MB;
		fclose(file);
	}
	return mb && mb < UINT64_MAX >> 20 ? (uint64_t)mb << 20 : UINT64_MAX;
}

struct usb_budget *usb_budget_new(const char *path)
{
	struct usb_budget *budget = calloc(1, sizeof(*budget));

	if (budget)
		budget->machine = budget->limit = read_limit(path ? path : USB_BUDGET_PATH);
	return budget;
}

void usb_budget_free(struct usb_budget *budget)
{
	struct usb_claim *claim;

	if (!budget)
		return;
	while ((claim = budget->claims)) {
		budget->claims = claim->next;
		free(claim);
	}
	free(budget);
}

static bool fits(const struct usb_budget *budget, uint64_t bytes)
{
	if (!budget->used)
		return bytes <= budget->machine;
	return budget->used <= budget->limit && bytes <= budget->limit - budget->used;
}

static struct usb_claim *first_waiting(const struct usb_budget *budget)
{
	struct usb_claim *claim = budget->claims;

	while (claim && claim->granted)
		claim = claim->next;
	return claim;
}

int usb_budget_ask(struct usb_budget *budget, uint64_t bytes, void (*granted)(void *user), void *user,
		   struct usb_claim **result)
{
	struct usb_claim **at = &budget->claims, *claim;

	*result = NULL;
	if (bytes > budget->machine)
		return -E2BIG;
	claim = calloc(1, sizeof(*claim));
	if (!claim)
		return -ENOMEM;
	claim->budget = budget;
	claim->bytes = bytes;
	claim->fn = granted;
	claim->user = user;
	/* nobody overtakes: a small phone must not starve a large one */
	if (!first_waiting(budget) && fits(budget, bytes)) {
		claim->granted = true;
		budget->used += bytes;
	}
	while (*at)
		at = &(*at)->next;
	*at = claim;
	*result = claim;
	return claim->granted ? 1 : 0;
}

static void grant(struct usb_budget *budget)
{
	struct usb_claim *next;

	/* granted() may release again; the outer round then goes on with what is there */
	if (budget->granting)
		return;
	budget->granting = true;
	while ((next = first_waiting(budget)) && fits(budget, next->bytes)) {
		next->granted = true;
		budget->used += next->bytes;
		if (next->fn)
			next->fn(next->user);
	}
	budget->granting = false;
}

void usb_budget_release(struct usb_claim *claim)
{
	struct usb_budget *budget;
	struct usb_claim **at;

	if (!claim)
		return;
	budget = claim->budget;
	for (at = &budget->claims; *at != claim; at = &(*at)->next)
		;
	*at = claim->next;
	if (claim->granted)
		budget->used -= claim->bytes;
	free(claim);
	grant(budget);
}

void usb_budget_share(struct usb_budget *budget, uint32_t percent)
{
	budget->limit = budget->machine == UINT64_MAX ? UINT64_MAX : budget->machine / 100 * percent;
	grant(budget);
}

bool usb_budget_granted(const struct usb_claim *claim)
{
	return claim->granted;
}

void usb_budget_state(const struct usb_budget *budget, struct usb_budget_state *state)
{
	const struct usb_claim *claim;

	*state = (struct usb_budget_state){ .limit = budget->limit, .used = budget->used };
	for (claim = budget->claims; claim; claim = claim->next) {
		if (claim->granted)
			state->holders++;
		else
			state->waiting++;
	}
}
