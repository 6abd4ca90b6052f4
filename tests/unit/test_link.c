/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "bsl/link.h"
#include "common/util.h"
#include "tests/unit/bsl_oracle.h"

static struct bsl_link *lk;

static int set_up(void **state)
{
	lk = bsl_link_new();
	return lk ? 0 : -1;
}

static int tear_down(void **state)
{
	bsl_link_freep(&lk);
	return 0;
}

/* One frame of the phone; returns the event, and that all of it was taken. */
static enum bsl_event phone(bool crc, bool plain, uint16_t type, const void *payload, size_t len,
			    struct bsl_reply *reply)
{
	static uint8_t wire[200000];
	size_t w = oracle_frame(wire, crc, plain, true, type, payload, len), used;
	enum bsl_event e = bsl_link_feed(lk, wire, w, &used, reply);

	assert_int_equal(used, w);
	return e;
}

static enum bsl_event sum(uint16_t type)
{
	struct bsl_reply reply;

	return phone(false, false, type, NULL, 0, &reply);
}

static enum bsl_event crc(uint16_t type)
{
	struct bsl_reply reply;

	return phone(true, false, type, NULL, 0, &reply);
}

static int ask(uint16_t command, struct bsl_wire *wire)
{
	struct bsl_request request = { .command = command };

	return bsl_link_request(lk, &request, wire);
}

static void same(const struct bsl_wire *wire, const char *hex)
{
	uint8_t want[256];
	size_t w = oracle_hex(hex, want);

	assert_int_equal(wire->len, w);
	assert_memory_equal(wire->bytes, want, w);
}

/* probe, connect, a loader, FDL1, FDL2, plain mode: the whole road */
static void test_road(void **state)
{
	struct bsl_wire wire;
	struct bsl_reply reply;
	size_t taken;
	uint8_t data[528] = { 0 };

	assert_int_equal(bsl_link_stage(lk), BSL_STAGE_UNKNOWN);
	assert_int_equal(ask(BSL_CMD_CONNECT, &wire), -EPERM);
	assert_int_equal(bsl_link_probe(lk, &wire), 0);
	same(&wire, "7e");
	assert_false(wire.zlp);
	assert_int_equal(wire.timing.deadline_usec, 200000);
	assert_true(bsl_link_outstanding(lk));
	assert_int_equal(phone(true, false, 0x81, "SPRD3", 6, &reply), BSL_EVENT_REPLY);
	assert_int_equal(reply.command, BSL_CMD_PROBE);
	assert_int_equal(reply.frame.check, BSL_CHECK_CRC16);
	bsl_link_set_stage(lk, BSL_STAGE_ROM);
	assert_int_equal(ask(BSL_CMD_CONNECT, &wire), 0);
	same(&wire, "7e 00 00 00 00 00 00 7e");
	assert_int_equal(crc(0x80), BSL_EVENT_REPLY);
	assert_int_equal(bsl_link_prepare_data(lk, NULL, data, 8, false, 0, &taken), 0);
	assert_int_equal(taken, 8);
	assert_int_equal(bsl_link_send(lk, &wire), 0);
	same(&wire, "7e 00 02 00 08 00 00 00 00 00 00 00 00 89 4c 7e");
	assert_int_equal(crc(0x80), BSL_EVENT_REPLY);
	assert_int_equal(ask(BSL_CMD_EXEC, &wire), 0);
	same(&wire, "7e 00 04 00 00 dc c0 7e");
	assert_int_equal(crc(0x80), BSL_EVENT_REPLY);

	bsl_link_set_stage(lk, BSL_STAGE_FDL1);
	assert_int_equal(bsl_link_probe(lk, &wire), 0);
	assert_int_equal(wire.timing.tries, 30);
	assert_int_equal(phone(false, false, 0x81, "Spreadtrum Boot Block version 1.1", 34, &reply),
			 BSL_EVENT_REPLY);
	assert_int_equal(reply.frame.check, BSL_CHECK_SUM);
	assert_int_equal(ask(BSL_CMD_CONNECT, &wire), 0);
	same(&wire, "7e 00 00 00 00 ff ff 7e");
	assert_int_equal(sum(0x80), BSL_EVENT_REPLY);
	/* what FDL1 would crash on is not even encoded */
	assert_int_equal(ask(BSL_CMD_RESET, &wire), -EPERM);
	assert_int_equal(ask(BSL_CMD_EXEC, &wire), 0);
	assert_int_equal(wire.timing.deadline_usec, 60000000);
	bsl_link_set_stage(lk, BSL_STAGE_FDL2);
	assert_true(bsl_link_outstanding(lk));
	assert_int_equal(sum(0x96), BSL_EVENT_REPLY);
	assert_int_equal(sum(0x80), BSL_EVENT_SURPLUS);

	assert_int_equal(bsl_link_chunk(lk), BSL_CHUNK_FDL2_ESCAPED);
	assert_int_equal(ask(BSL_CMD_DISABLE_TRANSCODE, &wire), 0);
	assert_int_equal(bsl_link_framing(lk), BSL_FRAMING_ESCAPED);
	assert_int_equal(sum(0x80), BSL_EVENT_REPLY);
	assert_int_equal(bsl_link_framing(lk), BSL_FRAMING_PLAIN);
	assert_int_equal(bsl_link_chunk(lk), BSL_CHUNK_FDL2_PLAIN);
	assert_int_equal(ask(BSL_CMD_READ_PARTITIONS, &wire), 0);
	data[0] = 0x7e;
	data[1] = 0x7d;
	assert_int_equal(phone(false, true, 0xba, data, 76, &reply), BSL_EVENT_REPLY);
	assert_memory_equal(reply.frame.payload, data, 76);
	/* a single 7E would crash it */
	assert_int_equal(bsl_link_probe(lk, &wire), -EPERM);
	assert_int_equal(ask(BSL_CMD_RESET, &wire), 0);
	assert_int_equal(sum(0x80), BSL_EVENT_REPLY);
	bsl_link_arrived(lk, BSL_STAGE_UNKNOWN, 512);
	assert_int_equal(bsl_link_framing(lk), BSL_FRAMING_ESCAPED);
	assert_int_equal(bsl_link_probe(lk, &wire), 0);
}

/* a refused 0x21 leaves the framing alone */
static void test_transcode_refused(void **state)
{
	struct bsl_wire wire;

	bsl_link_arrived(lk, BSL_STAGE_FDL2, 512);
	assert_int_equal(ask(BSL_CMD_DISABLE_TRANSCODE, &wire), 0);
	assert_int_equal(sum(0xfe), BSL_EVENT_REFUSED);
	assert_int_equal(bsl_link_framing(lk), BSL_FRAMING_ESCAPED);
	bsl_link_set_plain(lk);
	assert_int_equal(bsl_link_framing(lk), BSL_FRAMING_PLAIN);
}

static void test_one_at_a_time(void **state)
{
	struct bsl_wire wire;

	bsl_link_arrived(lk, BSL_STAGE_FDL2, 512);
	assert_int_equal(bsl_link_send(lk, &wire), -ENOENT);
	assert_int_equal(ask(BSL_CMD_READ_END, &wire), 0);
	assert_int_equal(ask(BSL_CMD_READ_END, &wire), -EBUSY);
	assert_int_equal(bsl_link_probe(lk, &wire), -EPERM);
	assert_int_equal(sum(0x80), BSL_EVENT_REPLY);
	assert_int_equal(sum(0x80), BSL_EVENT_SURPLUS);
	assert_int_equal(ask(BSL_CMD_READ_END, &wire), 0);
	assert_int_equal(bsl_link_counters(lk)->surplus, 1);
	assert_int_equal(bsl_link_counters(lk)->requests, 2);
}

static void test_kinds(void **state)
{
	struct bsl_wire wire;
	struct bsl_request also = { .command = BSL_CMD_END, .also_accept = BSL_REP_EARLY_END };

	bsl_link_arrived(lk, BSL_STAGE_FDL2, 512);
	assert_int_equal(ask(BSL_CMD_MIDST, &wire), 0);
	assert_int_equal(sum(0xa2), BSL_EVENT_REFUSED);
	assert_false(bsl_link_outstanding(lk));
	assert_int_equal(ask(BSL_CMD_MIDST, &wire), 0);
	assert_int_equal(sum(0x93), BSL_EVENT_UNEXPECTED);
	assert_false(bsl_link_outstanding(lk));
	assert_int_equal(ask(BSL_CMD_END, &wire), 0);
	assert_int_equal(sum(0x88), BSL_EVENT_REFUSED);
	assert_int_equal(bsl_link_request(lk, &also, &wire), 0);
	assert_int_equal(sum(0x88), BSL_EVENT_REPLY);
	/* the license was for that request only */
	assert_int_equal(ask(BSL_CMD_END, &wire), 0);
	assert_int_equal(sum(0x88), BSL_EVENT_REFUSED);
	/* a type that only ends like an ACK */
	assert_int_equal(ask(BSL_CMD_END, &wire), 0);
	assert_int_equal(sum(0x180), BSL_EVENT_UNEXPECTED);
	/* 96 is good news after EXEC only */
	assert_int_equal(ask(BSL_CMD_REPARTITION, &wire), 0);
	assert_int_equal(sum(0x96), BSL_EVENT_REFUSED);
}

static void test_log_frames(void **state)
{
	struct bsl_wire wire;

	bsl_link_arrived(lk, BSL_STAGE_FDL2, 512);
	assert_int_equal(sum(0xff), BSL_EVENT_LOG);
	assert_int_equal(ask(BSL_CMD_END, &wire), 0);
	assert_int_equal(sum(0xff), BSL_EVENT_LOG);
	assert_int_equal(sum(0xff), BSL_EVENT_LOG);
	assert_true(bsl_link_outstanding(lk));
	assert_int_equal(sum(0x80), BSL_EVENT_REPLY);
	assert_int_equal(bsl_link_counters(lk)->logs, 3);
}

/* The first half of a log packet came with a reply and was dropped: its second half is no broken reply. */
static void test_skip(void **state)
{
	static const uint8_t tail[] = { 0x6c, 0x6f, 0x67, 0x12, 0x34, 0x7e };
	struct bsl_reply reply;
	struct bsl_wire wire;
	size_t used;

	bsl_link_set_stage(lk, BSL_STAGE_FDL1);
	assert_int_equal(ask(BSL_CMD_CONNECT, &wire), 0);
	assert_int_equal(sum(0x80), BSL_EVENT_REPLY);
	bsl_link_skip(lk);
	assert_int_equal(ask(BSL_CMD_CONNECT, &wire), 0);
	assert_int_equal(bsl_link_feed(lk, tail, sizeof(tail), &used, &reply), BSL_EVENT_NONE);
	assert_int_equal(used, sizeof(tail));
	assert_int_equal(sum(0x80), BSL_EVENT_REPLY);
}

static void test_bad_frames(void **state)
{
	static const uint8_t broken[] = { 0x7e, 0, 0x80, 0, 0, 0xff, 0x6f, 0x7e };
	struct bsl_wire wire;
	struct bsl_reply reply;
	size_t used;

	bsl_link_arrived(lk, BSL_STAGE_FDL2, 512);
	assert_int_equal(ask(BSL_CMD_END, &wire), 0);
	assert_int_equal(bsl_link_feed(lk, broken, sizeof(broken), &used, &reply), BSL_EVENT_BAD);
	assert_int_equal(reply.fault, BSL_FAULT_CHECK);
	assert_true(bsl_link_outstanding(lk));
	/* the wrong check is no answer either: a ROM where FDL2 should be */
	assert_int_equal(crc(0x80), BSL_EVENT_BAD);
	bsl_link_expire(lk);
	assert_int_equal(bsl_link_feed(lk, broken, sizeof(broken), &used, &reply), BSL_EVENT_LATE);
	assert_int_equal(reply.fault, BSL_FAULT_CHECK);
	assert_int_equal(bsl_link_counters(lk)->bad, 2);
	assert_int_equal(bsl_link_counters(lk)->late, 1);
}

/* the promise: a late reply is never the answer to a later request */
static void test_late(void **state)
{
	struct bsl_wire wire;
	struct bsl_reply reply;
	uint8_t begun[] = { 0x7e, 0, 0x80, 0 };
	size_t used;

	bsl_link_arrived(lk, BSL_STAGE_FDL2, 512);
	bsl_link_expire(lk); /* nothing to expire */
	assert_false(bsl_link_draining(lk));
	assert_int_equal(ask(BSL_CMD_READ_MIDST, &wire), 0);
	assert_int_equal(bsl_link_feed(lk, begun, sizeof(begun), &used, &reply), BSL_EVENT_NONE);
	assert_int_equal(bsl_link_pending(lk), 3);
	bsl_link_expire(lk);
	assert_true(bsl_link_draining(lk));
	assert_int_equal(ask(BSL_CMD_READ_MIDST, &wire), -EBUSY);
	assert_int_equal(bsl_link_prepare_data(lk, NULL, begun, 4, false, 0, &used), 0);
	assert_int_equal(bsl_link_send(lk, &wire), -EBUSY);
	bsl_link_forget(lk);
	assert_false(bsl_link_prepared(lk));
	/* the rest of what was begun comes now */
	assert_int_equal(bsl_link_feed(lk, (const uint8_t[]){ 0, 0xff, 0x7f, 0x7e }, 4, &used, &reply),
			 BSL_EVENT_LATE);
	assert_int_equal(sum(0x93), BSL_EVENT_LATE);
	assert_int_equal(sum(0xff), BSL_EVENT_LATE);
	assert_int_equal(ask(BSL_CMD_READ_MIDST, &wire), -EBUSY);
	bsl_link_drained(lk);
	assert_int_equal(bsl_link_counters(lk)->late, 3);
	assert_int_equal(ask(BSL_CMD_READ_MIDST, &wire), 0);
	assert_int_equal(sum(0x93), BSL_EVENT_REPLY);
	assert_int_equal(bsl_link_counters(lk)->expired, 1);
	assert_int_equal(bsl_link_counters(lk)->replies, 1);
}

/* half a frame before the quiet is not the head of the next one */
static void test_drained_forgets(void **state)
{
	struct bsl_wire wire;
	struct bsl_reply reply;
	size_t used;

	bsl_link_arrived(lk, BSL_STAGE_FDL2, 512);
	bsl_link_set_plain(lk);
	assert_int_equal(ask(BSL_CMD_READ_MIDST, &wire), 0);
	assert_int_equal(
		bsl_link_feed(lk, (const uint8_t[]){ 0x7e, 0, 0x93, 0xf8, 0, 1, 2 }, 7, &used, &reply),
		BSL_EVENT_NONE);
	bsl_link_expire(lk);
	bsl_link_drained(lk);
	assert_int_equal(bsl_link_pending(lk), 0);
	assert_int_equal(ask(BSL_CMD_READ_END, &wire), 0);
	assert_int_equal(phone(false, true, 0x80, NULL, 0, &reply), BSL_EVENT_REPLY);
}

/* three probes, answered late and thrice (a ROM) or once (FDL1): the first counts, the others are nobody's */
static void test_probes(void **state)
{
	struct bsl_wire wire;
	struct bsl_reply reply;

	bsl_link_arrived(lk, BSL_STAGE_ROM, 64);
	for (int i = 0; i < 3; i++)
		assert_int_equal(bsl_link_probe(lk, &wire), 0);
	assert_int_equal(phone(true, false, 0x81, "SPRD3", 6, &reply), BSL_EVENT_REPLY);
	assert_int_equal(phone(true, false, 0x81, "SPRD3", 6, &reply), BSL_EVENT_LATE);
	assert_int_equal(ask(BSL_CMD_CONNECT, &wire), 0);
	assert_int_equal(phone(true, false, 0x81, "SPRD3", 6, &reply), BSL_EVENT_LATE);
	assert_true(bsl_link_outstanding(lk));
	assert_int_equal(crc(0x80), BSL_EVENT_REPLY);
	/* the debt is paid: one more is not to be explained */
	assert_int_equal(ask(BSL_CMD_CONNECT, &wire), 0);
	assert_int_equal(bsl_link_probe(lk, &wire), -EBUSY);
	assert_int_equal(phone(true, false, 0x81, "SPRD3", 6, &reply), BSL_EVENT_UNEXPECTED);
	/* a debt ends with the next answer, since order is kept */
	assert_int_equal(bsl_link_probe(lk, &wire), 0);
	assert_int_equal(bsl_link_probe(lk, &wire), 0);
	assert_int_equal(phone(true, false, 0x81, "SPRD3", 6, &reply), BSL_EVENT_REPLY);
	assert_int_equal(ask(BSL_CMD_CONNECT, &wire), 0);
	assert_int_equal(crc(0x80), BSL_EVENT_REPLY);
	assert_int_equal(phone(true, false, 0x81, "SPRD3", 6, &reply), BSL_EVENT_SURPLUS);
	/* expired for good */
	assert_int_equal(bsl_link_probe(lk, &wire), 0);
	bsl_link_expire(lk);
	assert_int_equal(bsl_link_probe(lk, &wire), -EBUSY);
	assert_int_equal(phone(true, false, 0x81, "SPRD3", 6, &reply), BSL_EVENT_LATE);
	bsl_link_drained(lk);
	assert_int_equal(bsl_link_probe(lk, &wire), 0);
}

/* a ROM answers where FDL1 was due: seen as such, whatever stage was expected */
static void test_probe_tells(void **state)
{
	struct bsl_wire wire;
	struct bsl_reply reply;

	bsl_link_arrived(lk, BSL_STAGE_FDL1, 512);
	assert_int_equal(bsl_link_probe(lk, &wire), 0);
	assert_int_equal(phone(true, false, 0x81, "SPRD3", 6, &reply), BSL_EVENT_REPLY);
	assert_int_equal(reply.frame.check, BSL_CHECK_CRC16);
	/* and behind it only the stage's own check counts again */
	assert_int_equal(crc(0x80), BSL_EVENT_BAD);
}

static void test_prepare_ahead(void **state)
{
	static uint8_t data[BSL_CHUNK_FDL2_PLAIN], want[BSL_WIRE_MAX];
	struct bsl_wire first, second;
	uint64_t seed = 1;
	size_t taken, w;

	bsl_link_arrived(lk, BSL_STAGE_FDL2, 512);
	bsl_link_set_plain(lk);
	for (int turn = 0; turn < 20; turn++) {
		struct bsl_reply reply;

		oracle_fill(&seed, data, sizeof(data), true);
		assert_int_equal(bsl_link_prepare_data(lk, NULL, data, sizeof(data), false, 0, &taken), 0);
		w = oracle_frame(want, false, true, false, BSL_CMD_MIDST, data, taken);
		if (turn) {
			assert_true(bsl_link_outstanding(lk));
			assert_int_equal(bsl_link_send(lk, &second), -EBUSY);
			/* what is on its way is not touched by what is being prepared */
			assert_int_equal(first.bytes[0], 0x7e);
			assert_int_equal(first.bytes[first.len - 1], 0x7e);
			assert_int_equal(get_be16(first.bytes + 3), first.len - 8);
			assert_int_equal(phone(false, true, 0x80, NULL, 0, &reply), BSL_EVENT_REPLY);
		}
		assert_true(bsl_link_prepared(lk));
		assert_int_equal(bsl_link_send(lk, &second), 0);
		assert_false(bsl_link_prepared(lk));
		assert_int_equal(second.len, w);
		assert_memory_equal(second.bytes, want, w);
		if (turn)
			assert_ptr_not_equal(first.bytes, second.bytes);
		first = second;
	}
}

/* A plain reply that came whole lies where it came; what is to stay is kept. */
static void test_keep(void **state)
{
	static const size_t cuts[] = { 0, 1, 3, 40, 107 };
	uint8_t data[100], wire[200];
	struct bsl_reply reply;
	struct bsl_wire out;
	uint64_t seed = 3;

	oracle_fill(&seed, data, sizeof(data), true);
	bsl_link_arrived(lk, BSL_STAGE_FDL2, 512);
	bsl_link_set_plain(lk);
	for (size_t i = 0; i < ARRAY_SIZE(cuts); i++) {
		size_t w = oracle_frame(wire, false, true, true, 0x93, data, sizeof(data)), used;
		const uint8_t *kept;
		bool lies;

		assert_int_equal(w, 108);
		assert_int_equal(ask(BSL_CMD_READ_MIDST, &out), 0);
		if (cuts[i]) {
			assert_int_equal(bsl_link_feed(lk, wire, cuts[i], &used, &reply), BSL_EVENT_NONE);
			assert_int_equal(used, cuts[i]);
		}
		assert_int_equal(bsl_link_feed(lk, wire + cuts[i], w - cuts[i], &used, &reply),
				 BSL_EVENT_REPLY);
		assert_memory_equal(reply.frame.payload, data, sizeof(data));
		lies = reply.frame.payload >= wire && reply.frame.payload < wire + sizeof(wire);
		assert_int_equal(lies, cuts[i] < 2); /* the opening flag may come alone */
		kept = bsl_link_keep(lk, reply.frame.payload + 10, 50);
		memset(wire, 0x11, sizeof(wire));
		assert_memory_equal(kept, data + 10, 50);
		assert_ptr_equal(bsl_link_keep(lk, kept, 50), kept);
	}
}

static void test_stale(void **state)
{
	struct bsl_wire wire;
	struct bsl_request request = { .command = BSL_CMD_END };

	bsl_link_arrived(lk, BSL_STAGE_FDL2, 512);
	assert_int_equal(ask(BSL_CMD_DISABLE_TRANSCODE, &wire), 0);
	assert_int_equal(bsl_link_prepare(lk, &request), 0);
	assert_int_equal(sum(0x80), BSL_EVENT_REPLY);
	assert_int_equal(bsl_link_send(lk, &wire), -ESTALE);
	assert_int_equal(bsl_link_send(lk, &wire), -ENOENT);
	assert_int_equal(bsl_link_prepare(lk, &request), 0);
	bsl_link_set_stage(lk, BSL_STAGE_ROM);
	assert_int_equal(bsl_link_send(lk, &wire), -ENOENT);
	/* a prepare that fails leaves nothing behind */
	assert_int_equal(bsl_link_prepare(lk, &request), 0);
	request.command = BSL_CMD_RESET;
	assert_int_equal(bsl_link_prepare(lk, &request), -EPERM);
	assert_int_equal(bsl_link_send(lk, &wire), -ENOENT);
	request.command = BSL_CMD_PROBE;
	assert_int_equal(bsl_link_prepare(lk, &request), -EINVAL);
}

/* lengths on a packet boundary: data is cut, what cannot be cut gets a zero-length packet */
static void test_boundaries(void **state)
{
	static uint8_t data[0x10000];
	struct bsl_piece piece = { data, 504 };
	struct bsl_request request = { .command = BSL_CMD_REPARTITION, .pieces = &piece, .count = 1 };
	struct bsl_wire wire;
	size_t taken;

	bsl_link_arrived(lk, BSL_STAGE_FDL2, 512);
	bsl_link_set_plain(lk);
	assert_int_equal(bsl_link_request(lk, &request, &wire), 0);
	assert_int_equal(wire.len, 512);
	assert_true(wire.zlp);
	bsl_link_expire(lk);
	bsl_link_drained(lk);
	piece.len = 502;
	assert_int_equal(bsl_link_request(lk, &request, &wire), 0);
	assert_false(wire.zlp);
	bsl_link_expire(lk);
	bsl_link_drained(lk);
	/* fills the phone's buffer exactly: a surplus packet would be its end */
	piece.len = 0x10000 - 8;
	assert_int_equal(bsl_link_request(lk, &request, &wire), 0);
	assert_int_equal(wire.len, 0x10000);
	assert_false(wire.zlp);
	bsl_link_expire(lk);
	bsl_link_drained(lk);
	/* data: two bytes are left for the next frame, which then carries the flush */
	assert_int_equal(bsl_link_prepare_data(lk, NULL, data, 1016, true, 1 << 20, &taken), 0);
	assert_int_equal(taken, 1014);
	assert_int_equal(bsl_link_send(lk, &wire), 0);
	assert_false(wire.zlp);
	assert_int_equal(wire.timing.deadline_usec, 60000000);
	bsl_link_expire(lk);
	bsl_link_drained(lk);
	assert_int_equal(bsl_link_prepare_data(lk, NULL, data, 2, true, 1 << 20, &taken), 0);
	assert_int_equal(taken, 2);
	assert_int_equal(bsl_link_send(lk, &wire), 0);
	assert_int_equal(wire.timing.deadline_usec, 500000000);
	assert_int_equal(bsl_link_prepare_data(lk, NULL, data, 0, false, 0, &taken), -EINVAL);
	assert_int_equal(bsl_link_prepare_data(lk, NULL, data, 0x10000, false, 0, &taken), -EMSGSIZE);
}

/* raw blocks: each is answered, none is framed */
static void test_expect(void **state)
{
	struct bsl_wire wire;
	struct bsl_timing timing;
	struct bsl_request end = { .command = BSL_CMD_END };

	bsl_link_arrived(lk, BSL_STAGE_FDL2, 512);
	assert_int_equal(bsl_link_expect(lk, BSL_CMD_CONNECT, 0, 0, &timing), 0);
	assert_int_equal(sum(0xfe), BSL_EVENT_REFUSED);
	assert_int_equal(bsl_link_expect(lk, BSL_CMD_KEEP_CHARGE, 0, 0, &timing), -EPERM);
	assert_int_equal(bsl_link_expect(lk, BSL_CMD_PROBE, 0, 0, &timing), -EINVAL);
	assert_int_equal(ask(BSL_CMD_RAW_START2, &wire), 0);
	assert_int_equal(bsl_link_expect(lk, BSL_CMD_RAW_START2, 0, 0, &timing), -EBUSY);
	assert_int_equal(sum(0x80), BSL_EVENT_REPLY);
	assert_int_equal(bsl_link_prepare(lk, &end), 0);
	assert_int_equal(bsl_link_expect(lk, BSL_CMD_RAW_START2, 0, 0, &timing), 0);
	assert_int_equal(timing.deadline_usec, 20000000);
	assert_int_equal(sum(0x80), BSL_EVENT_REPLY);
	assert_int_equal(bsl_link_send(lk, &wire), 0);
	same(&wire, "7e 00 03 00 00 ff fc 7e");
	/* the late error of the last block is what END's place gets: refused, not passed */
	assert_int_equal(sum(0xa2), BSL_EVENT_REFUSED);
}

/* several frames in one transfer, and every frame cut everywhere */
static void test_any_cut(void **state)
{
	uint8_t wire[64];
	struct bsl_reply reply;
	struct bsl_wire out;
	size_t w, used;

	bsl_link_arrived(lk, BSL_STAGE_FDL2, 512);
	w = oracle_hex("7e 00 ff 00 00 ff 00 7e 7e 00 80 00 00 ff 7f 7e 7e 00 84 00 00 ff 7b 7e", wire);
	assert_int_equal(ask(BSL_CMD_END, &out), 0);
	assert_int_equal(bsl_link_feed(lk, wire, w, &used, &reply), BSL_EVENT_LOG);
	assert_int_equal(used, 8);
	assert_int_equal(bsl_link_feed(lk, wire + 8, w - 8, &used, &reply), BSL_EVENT_REPLY);
	assert_int_equal(used, 8);
	assert_int_equal(bsl_link_feed(lk, wire + 16, w - 16, &used, &reply), BSL_EVENT_SURPLUS);
	assert_int_equal(reply.frame.type, 0x84);
	for (size_t cut = 0; cut <= 8; cut++) {
		assert_int_equal(ask(BSL_CMD_END, &out), 0);
		if (cut < 8) {
			assert_int_equal(bsl_link_feed(lk, wire + 8, cut, &used, &reply), BSL_EVENT_NONE);
			assert_int_equal(used, cut);
		}
		assert_int_equal(bsl_link_feed(lk, wire + 8 + (cut < 8 ? cut : 0), 8 - (cut < 8 ? cut : 0),
					       &used, &reply),
				 BSL_EVENT_REPLY);
	}
}

/* seeded: whatever order requests, replies, cuts and timeouts come in, a reply is never more than its
 * request's */
static void test_random_order(void **state)
{
	static uint8_t wire[4096];
	uint64_t seed = 11;
	uint32_t asked = 0; /* the number inside the reply that is due */
	unsigned answered = 0;

	bsl_link_arrived(lk, BSL_STAGE_FDL2, 512);
	for (uint32_t turn = 1; turn < 20000; turn++) {
		struct bsl_wire out;
		struct bsl_reply reply;
		uint8_t number[4];
		size_t w, at = 0, used;
		bool in_time = oracle_random(&seed) % 4, lost = oracle_random(&seed) % 8 == 0;

		assert_int_equal(ask(BSL_CMD_READ_MIDST, &out), 0);
		asked = turn;
		put_le32(number, asked);
		w = oracle_frame(wire, false, false, true, BSL_REP_READ_FLASH, number, 4);
		if (!in_time)
			bsl_link_expire(lk);
		while (!lost && at < w) {
			size_t n = 1 + oracle_random(&seed) % (w - at);
			enum bsl_event e = bsl_link_feed(lk, wire + at, n, &used, &reply);

			at += used;
			if (e == BSL_EVENT_REPLY) {
				assert_true(in_time);
				assert_int_equal(get_le32(reply.frame.payload), asked);
				answered++;
			} else if (e != BSL_EVENT_NONE) {
				assert_int_equal(e, BSL_EVENT_LATE);
				assert_false(in_time);
			}
		}
		if (bsl_link_outstanding(lk))
			bsl_link_expire(lk);
		bsl_link_drained(lk);
	}
	assert_true(answered > 10000);
	assert_int_equal(bsl_link_counters(lk)->replies, answered);
	assert_int_equal(bsl_link_counters(lk)->bad, 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_road),
		T(test_transcode_refused),
		T(test_one_at_a_time),
		T(test_kinds),
		T(test_log_frames),
		T(test_bad_frames),
		T(test_skip),
		T(test_late),
		T(test_drained_forgets),
		T(test_probes),
		T(test_probe_tells),
		T(test_prepare_ahead),
		T(test_keep),
		T(test_stale),
		T(test_boundaries),
		T(test_expect),
		T(test_any_cut),
		T(test_random_order),
	};

	return cmocka_run_group_tests_name("link", tests, NULL, NULL);
}
