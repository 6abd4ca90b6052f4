/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Frames that several links send: one encoding, the right one for each, kept within bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "bsl/link.h"
#include "common/util.h"
#include "tests/unit/bsl_oracle.h"

#define SIZE 1000u
#define WIRE (SIZE + 8u)

static const struct bsl_form plain = { BSL_CHECK_SUM, BSL_FRAMING_PLAIN, 512 };
static uint8_t data[8 * SIZE];
static struct bsl_shelf *shelf;

/* Its owner and two links. */
static void open_shelf(size_t keep)
{
	uint64_t seed = 7;

	oracle_fill(&seed, data, sizeof(data), true);
	shelf = bsl_shelf_new(keep);
	assert_non_null(shelf);
	for (int i = 0; i < 2; i++)
		assert_ptr_equal(bsl_shelf_ref(shelf), shelf);
}

static void close_shelf(void)
{
	for (int i = 0; i < 3; i++)
		bsl_shelf_unref(shelf);
}

static const struct bsl_shelved *get(const struct bsl_form *form, uint32_t source, uint64_t offset,
				     size_t len, bool new)
{
	struct bsl_place place = { source, offset };
	const struct bsl_shelved *frame = NULL;
	bool made = !new;

	assert_int_equal(bsl_shelf_get(shelf, form, place, data + offset, len, &frame, &made), 0);
	assert_int_equal(made, new);
	return frame;
}

static void put(uint32_t source, uint64_t offset, size_t len)
{
	bsl_shelf_put(shelf, get(&plain, source, offset, len, true));
}

static bool there(uint32_t source, uint64_t offset, size_t len)
{
	return bsl_shelf_look(shelf, &plain, (struct bsl_place){ source, offset }, len) != NULL;
}

static void test_frame(void **state)
{
	uint8_t want[2 * WIRE];
	const struct bsl_shelved *f;
	size_t w;

	(void)state;
	open_shelf(1 << 20);
	w = oracle_frame(want, false, true, false, BSL_CMD_MIDST, data + SIZE, SIZE);
	f = get(&plain, 0, SIZE, SIZE, true);
	assert_int_equal(f->len, w);
	assert_memory_equal(f->bytes, want, w);
	assert_int_equal(f->taken, SIZE);
	assert_ptr_equal(f->data, f->bytes + 5);
	assert_memory_equal(f->data, data + SIZE, SIZE);
	bsl_shelf_put(shelf, f);
	bsl_shelf_put(shelf, NULL);
	close_shelf();
	bsl_shelf_unref(NULL);
}

/* Whatever differs makes another frame: of the place, of the length, and of how it is framed. */
static void test_same(void **state)
{
	static const struct bsl_form forms[] = {
		{ BSL_CHECK_CRC16, BSL_FRAMING_PLAIN, 512 },
		{ BSL_CHECK_SUM, BSL_FRAMING_ESCAPED, 512 },
		{ BSL_CHECK_SUM, BSL_FRAMING_PLAIN, 64 },
	};
	const struct bsl_shelved *first;

	(void)state;
	open_shelf(1 << 20);
	first = get(&plain, 0, 0, SIZE, true);
	assert_ptr_equal(get(&plain, 0, 0, SIZE, false), first);
	bsl_shelf_put(shelf, get(&plain, 0, SIZE, SIZE, true));
	bsl_shelf_put(shelf, get(&plain, 1, 0, SIZE, true));
	bsl_shelf_put(shelf, get(&plain, 0, 0, SIZE - 2, true));
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		const struct bsl_shelved *f = get(&forms[i], 0, 0, SIZE, true);

		assert_ptr_not_equal(f, first);
		if (forms[i].framing == BSL_FRAMING_ESCAPED)
			assert_null(f->data);
		bsl_shelf_put(shelf, f);
	}
	bsl_shelf_put(shelf, first);
	bsl_shelf_put(shelf, first);
	/* so many that they meet wherever they are kept */
	for (uint32_t i = 1; i < 400; i++) {
		const struct bsl_shelved *f = get(&plain, 0, 16 * i, 500, true);

		assert_memory_equal(f->data, data + 16 * i, 500);
		bsl_shelf_put(shelf, f);
		bsl_shelf_put(shelf, get(&plain, 100 + i, 16, 500, true));
	}
	close_shelf();
}

/* A frame that would end on a packet boundary carries less than it was given. */
static void test_fit(void **state)
{
	const struct bsl_shelved *f;

	(void)state;
	open_shelf(1 << 20);
	f = get(&plain, 0, 0, 1024 - 8, true);
	assert_int_equal(f->taken, 1024 - 8 - 2);
	assert_int_not_equal(f->len % 512, 0);
	bsl_shelf_put(shelf, f);
	close_shelf();
}

/* Who was used last stays; what is in use stays however much that is. */
static void test_bounds(void **state)
{
	const struct bsl_shelved *used;

	(void)state;
	open_shelf(3 * WIRE);
	used = get(&plain, 0, 0, SIZE, true);
	for (unsigned i = 1; i < 4; i++)
		put(0, i * SIZE, SIZE);
	for (unsigned i = 0; i < 4; i++)
		assert_true(there(0, i * SIZE, SIZE));
	bsl_shelf_put(shelf, get(&plain, 0, SIZE, SIZE, false)); /* now 2 is the oldest */
	put(0, 4 * SIZE, SIZE);
	assert_false(there(0, 2 * SIZE, SIZE));
	assert_true(there(0, SIZE, SIZE));
	bsl_shelf_put(shelf, used);
	assert_false(there(0, 3 * SIZE, SIZE));
	assert_true(there(0, 0, SIZE));
	/* a larger one takes the room of several */
	put(0, 5 * SIZE, 2 * SIZE);
	assert_true(there(0, 5 * SIZE, 2 * SIZE));
	assert_true(there(0, 0, SIZE));
	assert_false(there(0, SIZE, SIZE));
	assert_false(there(0, 4 * SIZE, SIZE));
	/* one that is larger than all that is kept is there as long as it is used */
	put(0, 0, 4 * SIZE);
	assert_false(there(0, 0, 4 * SIZE));
	close_shelf();
}

/* With one link left nothing is worth keeping. */
static void test_alone(void **state)
{
	const struct bsl_shelved *used;

	(void)state;
	open_shelf(1 << 20);
	assert_true(bsl_shelf_shared(shelf));
	put(0, 0, SIZE);
	used = get(&plain, 0, SIZE, SIZE, true);
	bsl_shelf_unref(shelf);
	assert_false(bsl_shelf_shared(shelf));
	assert_false(there(0, 0, SIZE));
	assert_true(there(0, SIZE, SIZE));
	assert_memory_equal(used->data, data + SIZE, SIZE);
	bsl_shelf_put(shelf, used);
	assert_false(there(0, SIZE, SIZE));
	bsl_shelf_unref(shelf);
	bsl_shelf_unref(shelf);
}

static void test_refused(void **state)
{
	const struct bsl_shelved *frame = NULL;
	struct bsl_form either = { BSL_CHECK_EITHER, BSL_FRAMING_PLAIN, 512 };
	bool made;

	(void)state;
	open_shelf(1 << 20);
	assert_int_equal(bsl_shelf_get(shelf, &either, (struct bsl_place){ 0, 0 }, data, SIZE, &frame, &made),
			 -EINVAL);
	assert_null(frame);
	assert_false(there(0, 0, SIZE));
	close_shelf();
}

/* ---- links that share ---- */

static const uint8_t ack[] = { 0x7e, 0, 0x80, 0, 0, 0xff, 0x7f, 0x7e };

static struct bsl_link *open_link(void)
{
	struct bsl_link *link = bsl_link_new();

	assert_non_null(link);
	bsl_link_share(link, shelf);
	bsl_link_arrived(link, BSL_STAGE_FDL2, 512);
	bsl_link_set_plain(link);
	return link;
}

static struct bsl_wire send(struct bsl_link *link, const struct bsl_place *place, const uint8_t *from,
			    size_t len)
{
	struct bsl_reply reply;
	struct bsl_wire wire;
	size_t taken, used;
	uint8_t want[2 * WIRE];

	assert_int_equal(bsl_link_prepare_data(link, place, from, len, false, 0, &taken), 0);
	assert_int_equal(taken, len);
	assert_int_equal(bsl_link_send(link, &wire), 0);
	assert_int_equal(wire.len, oracle_frame(want, false, true, false, BSL_CMD_MIDST, from, len));
	assert_memory_equal(wire.bytes, want, wire.len);
	assert_int_equal(bsl_link_feed(link, ack, sizeof(ack), &used, &reply), BSL_EVENT_REPLY);
	return wire;
}

static void test_links(void **state)
{
	struct bsl_place at = { 0, SIZE };
	struct bsl_link *a, *b;
	struct bsl_wire first, second, third;
	struct bsl_reply reply;
	size_t used;

	(void)state;
	open_shelf(1 << 20);
	bsl_shelf_unref(shelf);
	bsl_shelf_unref(shelf); /* the owner's is left */
	a = open_link();
	assert_false(send(a, &at, data + SIZE, SIZE).leads); /* of nobody */
	assert_null(bsl_link_shelved(a, &at, SIZE));
	b = open_link();
	assert_null(bsl_link_shelved(b, &at, SIZE));
	first = send(a, &at, data + SIZE, SIZE);
	assert_true(first.leads);
	/* the other has no need of the bytes */
	assert_memory_equal(bsl_link_shelved(b, &at, SIZE), data + SIZE, SIZE);
	assert_null(bsl_link_shelved(b, NULL, SIZE));
	assert_null(bsl_link_shelved(b, &at, SIZE - 2));
	second = send(b, &at, bsl_link_shelved(b, &at, SIZE), SIZE);
	assert_false(second.leads);
	assert_ptr_equal(second.bytes, first.bytes);
	/* a command is nobody's lead, whatever went before it in its buffer */
	for (int i = 3; i < 5; i++)
		assert_true(send(b, &(struct bsl_place){ 0, i * SIZE }, data + i * SIZE, SIZE).leads);
	assert_int_equal(bsl_link_request(b, &(struct bsl_request){ .command = BSL_CMD_END }, &third), 0);
	assert_false(third.leads);
	assert_int_equal(bsl_link_feed(b, ack, sizeof(ack), &used, &reply), BSL_EVENT_REPLY);
	/* what is nobody else's is never on the shelf */
	assert_false(send(b, NULL, data + 2 * SIZE, SIZE).leads);
	assert_null(bsl_link_shelved(a, &(struct bsl_place){ 0, 2 * SIZE }, SIZE));
	/* and a frame lives as long as a link has it */
	bsl_link_free(a);
	assert_memory_equal(second.bytes + 5, data + SIZE, SIZE);
	bsl_link_free(b);
	bsl_shelf_unref(shelf);
}

/* Data are taken of the very frame that would go to make room for the one that is put back. */
static void test_going(void **state)
{
	struct bsl_place at[3] = { { 0, 0 }, { 0, SIZE }, { 0, 2 * SIZE } };
	const uint8_t *from;
	struct bsl_link *link;

	(void)state;
	open_shelf(WIRE);
	link = open_link();
	for (int i = 0; i < 2; i++)
		assert_true(send(link, &at[i], data + i * SIZE, SIZE).leads);
	put(0, 2 * SIZE, SIZE);
	from = bsl_link_shelved(link, &at[2], SIZE);
	assert_non_null(from);
	assert_false(send(link, &at[2], from, SIZE).leads);
	assert_true(there(0, 0, SIZE));
	bsl_link_free(link);
	close_shelf();
}

/* Two links, one behind the other, with less room than what lies between them. */
static void test_room(void **state)
{
	struct bsl_place at[3] = { { 0, 0 }, { 0, SIZE }, { 0, 2 * SIZE } };
	struct bsl_link *a, *b;

	(void)state;
	open_shelf(2 * WIRE);
	a = open_link();
	b = open_link();
	for (int i = 0; i < 3; i++)
		send(a, &at[i], data + i * SIZE, SIZE);
	for (int i = 2; i >= 0; i--) {
		const uint8_t *from = bsl_link_shelved(b, &at[i], SIZE);

		if (from)
			send(b, &at[i], from, SIZE);
		else
			send(b, &at[i], data + i * SIZE, SIZE);
	}
	bsl_link_free(a);
	bsl_link_free(b);
	close_shelf();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frame),  cmocka_unit_test(test_same),  cmocka_unit_test(test_fit),
		cmocka_unit_test(test_bounds), cmocka_unit_test(test_alone), cmocka_unit_test(test_refused),
		cmocka_unit_test(test_links),  cmocka_unit_test(test_going), cmocka_unit_test(test_room),
	};

	return cmocka_run_group_tests_name("shelf", tests, NULL, NULL);
}
