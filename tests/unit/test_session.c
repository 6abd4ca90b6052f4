/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A session byte by byte: what it sends first, what it makes of what comes, and what it does not send. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "flash/session.h"

static const uint8_t version_rom[] = { 0x7e, 0x00, 0x81, 0x00, 0x06, 0x53, 0x50,
				       0x52, 0x44, 0x33, 0x00, 0x57, 0x0a, 0x7e };
static const uint8_t ack_crc[] = { 0x7e, 0x00, 0x80, 0x00, 0x00, 0x3b, 0x5a, 0x7e };
static const uint8_t ack_sum[] = { 0x7e, 0x00, 0x80, 0x00, 0x00, 0xff, 0x7f, 0x7e };
static const uint8_t unsupported_sum[] = { 0x7e, 0x00, 0xfe, 0x00, 0x00, 0xff, 0x01, 0x7e };
static const uint8_t connect_sum[] = { 0x7e, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0x7e };
static const uint8_t connect_crc[] = { 0x7e, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x7e };

static const struct want *give(struct session *s, enum input_kind kind)
{
	struct session_input in = { .kind = kind, .now_usec = 1 };

	if (kind == INPUT_START)
		in.awaited.max_packet = 512;
	return session_input(s, &in);
}

static const struct want *bytes(struct session *s, const uint8_t *data, size_t len)
{
	struct session_input in = { .kind = INPUT_BYTES, .bytes = { data, len } };

	return session_input(s, &in);
}

static const struct want *timeout(struct session *s, bool sent)
{
	struct session_input in = { .kind = INPUT_TIMEOUT, .timeout.sent = sent };

	return session_input(s, &in);
}

static void sends(const struct want *w, const uint8_t *what, size_t len)
{
	assert_int_equal(w->kind, WANT_SEND);
	assert_int_equal(w->send.len, len);
	assert_memory_equal(w->send.bytes, what, len);
	assert_false(w->send.zlp);
}

static const uint8_t flag[] = { 0x7e };

/* bsl-protocol 4.1: no drain, one byte a transfer, 200 ms x 25. */
static void fresh_phone(void **state)
{
	struct session_config config = { .arrival_seen = true };
	const struct want *w;
	struct session *s;

	(void)state;
	assert_int_equal(session_new(&config, &s), 0);
	w = give(s, INPUT_START);
	for (int i = 0; i < 25; i++) {
		sends(w, flag, 1);
		assert_int_equal(w->deadline_usec, 200000);
		w = timeout(s, true);
	}
	assert_int_equal(w->kind, WANT_DONE);
	assert_false(session_result(s)->pass);
	assert_int_equal(session_result(s)->failure.error, ERR_PHONE_SILENT);
	assert_string_equal(session_result(s)->leaves, "unchanged");
	session_free(s);

	assert_int_equal(session_new(&config, &s), 0);
	give(s, INPUT_START);
	for (int i = 0; i < 25; i++)
		w = timeout(s, false);
	assert_int_equal(w->kind, WANT_DONE);
	assert_int_equal(session_result(s)->failure.error, ERR_PHONE_NOT_TAKING);
	session_free(s);
}

static void probe_only(void **state)
{
	struct session_config config = { .arrival_seen = true };
	const struct want *w;
	struct session *s;

	(void)state;
	assert_int_equal(session_new(&config, &s), 0);
	give(s, INPUT_START);
	/* byte by byte: a reply may come in any cut */
	for (size_t i = 0; i < sizeof(version_rom); i++)
		w = bytes(s, version_rom + i, 1);
	assert_int_equal(w->kind, WANT_DONE);
	assert_true(session_result(s)->pass);
	assert_string_equal(session_progress(s)->phone_stage, "rom");
	assert_string_equal(session_result(s)->facts->rom_version, "SPRD3");
	session_free(s);
}

/* device-behaviour 18: no record, no byte. */
static void nothing_on_record(void **state)
{
	struct session_config config = { .arrival_seen = false };
	struct session *s;

	(void)state;
	assert_int_equal(session_new(&config, &s), 0);
	assert_int_equal(give(s, INPUT_START)->kind, WANT_DONE);
	assert_int_equal(session_result(s)->failure.error, ERR_STAGE_UNKNOWN);
	session_free(s);
}

/* 0x21 was sent: never a lone 7E, one sum-framed CONNECT; silence ends it. */
static void record_says_plain(void **state)
{
	struct session_config config = {
		.record = { .known = true, .stage = "fdl2", .plain_framing = true },
	};
	const struct want *w;
	struct session *s;

	(void)state;
	assert_int_equal(session_new(&config, &s), 0);
	w = give(s, INPUT_START);
	assert_int_equal(w->kind, WANT_SLEEP);
	w = give(s, INPUT_TICK);
	sends(w, connect_sum, sizeof(connect_sum));
	w = timeout(s, true);
	assert_int_equal(w->kind, WANT_DONE);
	assert_int_equal(session_result(s)->failure.error, ERR_STAGE_UNKNOWN);
	session_free(s);

	assert_int_equal(session_new(&config, &s), 0);
	give(s, INPUT_START);
	give(s, INPUT_TICK);
	w = bytes(s, unsupported_sum, sizeof(unsupported_sum));
	assert_int_equal(w->kind, WANT_DONE);
	assert_true(session_result(s)->pass);
	assert_string_equal(session_progress(s)->phone_stage, "fdl2");
	assert_true(session_progress(s)->plain_framing);
	session_free(s);
}

/* One 7E, then one sum-framed CONNECT: 80 is FDL1. */
static void record_says_loader(void **state)
{
	struct session_config config = { .record = { .known = true, .stage = "fdl1" } };
	const struct want *w;
	struct session *s;

	(void)state;
	assert_int_equal(session_new(&config, &s), 0);
	give(s, INPUT_START);
	w = give(s, INPUT_TICK);
	sends(w, flag, 1);
	w = timeout(s, true);
	assert_int_equal(w->kind, WANT_SLEEP);
	w = give(s, INPUT_TICK);
	sends(w, connect_sum, sizeof(connect_sum));
	w = bytes(s, ack_sum, sizeof(ack_sum));
	assert_int_equal(w->kind, WANT_DONE);
	assert_string_equal(session_progress(s)->phone_stage, "fdl1");
	session_free(s);
}

/* The boot loader's gadget would hang on a sum frame: only 7E, then the question to replug. */
static void gadget_gets_no_frame(void **state)
{
	struct session_config config = { .record = { .known = true, .stage = "fdl2" } };
	struct session_input in = { .kind = INPUT_START,
				    .awaited = { .bcd_device = 0x2416, .max_packet = 512 } };
	const struct want *w;
	struct session *s;

	(void)state;
	assert_int_equal(session_new(&config, &s), 0);
	session_input(s, &in);
	w = give(s, INPUT_TICK);
	while (w->kind == WANT_SEND) {
		sends(w, flag, 1);
		w = timeout(s, true);
	}
	assert_int_equal(w->kind, WANT_DONE);
	assert_int_equal(session_result(s)->failure.error, ERR_STAGE_UNKNOWN);
	session_free(s);
}

static void gone_and_cancelled(void **state)
{
	struct session_config config = { .arrival_seen = true };
	struct session_input cancel = { .kind = INPUT_CANCEL };
	struct session *s;

	(void)state;
	assert_int_equal(session_new(&config, &s), 0);
	give(s, INPUT_START);
	assert_int_equal(give(s, INPUT_GONE)->kind, WANT_DONE);
	assert_int_equal(session_result(s)->failure.error, ERR_PHONE_LEFT);
	session_free(s);

	assert_int_equal(session_new(&config, &s), 0);
	give(s, INPUT_START);
	assert_int_equal(session_input(s, &cancel)->kind, WANT_DONE);
	assert_true(session_result(s)->cancelled);
	assert_int_equal(session_result(s)->failure.error, ERR_CANCELLED);
	assert_string_equal(session_result(s)->leaves, "unchanged");
	/* over is over */
	assert_int_equal(bytes(s, ack_crc, sizeof(ack_crc))->kind, WANT_DONE);
	assert_true(recorder_text(session_recorder(s), NULL, 0) > 0);
	session_free(s);
}

/* Read data that answer no read may be anybody's NV: of them the recorder keeps type and length only. */
static void stray_data_are_not_kept(void **state)
{
	static const uint8_t data[] = { 0x7e, 0x00, 0x93, 0x00, 0x03, 0x01, 0x02, 0x03, 0xfb, 0x67, 0x7e };
	struct session_config config = { .arrival_seen = true };
	const struct recorder *recorder;
	unsigned seen = 0;
	struct session *s;

	(void)state;
	assert_int_equal(session_new(&config, &s), 0);
	give(s, INPUT_START);
	/* as an answer to the call, and once more while the line is let fall silent */
	assert_int_equal(bytes(s, data, sizeof(data))->kind, WANT_SLEEP);
	assert_int_equal(bytes(s, data, sizeof(data))->kind, WANT_SLEEP);
	recorder = session_recorder(s);
	for (uint64_t i = 0; i < recorder->count; i++) {
		const struct record *r = &recorder->ring[i];

		if (r->kind != RECORD_IN)
			continue;
		assert_int_equal(r->type, 0x93);
		assert_true(r->secret);
		assert_int_equal(r->head_len, 0);
		assert_int_equal(r->length, 3);
		seen++;
	}
	assert_int_equal(seen, 2);
	session_free(s);
}

static void texts(void **state)
{
	char buf[120];

	(void)state;
	(void)connect_crc;
	assert_string_equal(silence_text(SILENCE_WRITING, 480000000, buf, sizeof(buf)),
			    "the phone is checking the signature and writing; up to 8 minutes");
	assert_string_equal(silence_text(SILENCE_NONE, 0, buf, sizeof(buf)),
			    "the phone has not answered yet");
	assert_string_equal(session_stage_name(STAGE_FLASH), "flash");
	assert_string_equal(session_stage_name(STAGE_COUNT), "connect");
	assert_int_equal(session_new(NULL, NULL), -22);
	session_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fresh_phone),
		cmocka_unit_test(probe_only),
		cmocka_unit_test(nothing_on_record),
		cmocka_unit_test(record_says_plain),
		cmocka_unit_test(record_says_loader),
		cmocka_unit_test(gadget_gets_no_frame),
		cmocka_unit_test(gone_and_cancelled),
		cmocka_unit_test(stray_data_are_not_kept),
		cmocka_unit_test(texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
