/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bsl/link.h"
#include "common/util.h"

#include <errno.h>

/* A frame in one of the two buffers, or one that others send too. check and framing are those it was encoded
 * for. */
struct frame {
	const uint8_t *bytes; /* own, or of the shelf */
	size_t len;	      /* 0: empty */
	uint8_t *own;
	const struct bsl_shelved *shelved;
	bool leads; /* shared data, and it was encoded for this link */
	uint16_t command;
	uint8_t also_accept;
	bool zlp;
	enum bsl_check check;
	enum bsl_framing framing;
	struct bsl_timing timing;
};

enum line { IDLE, AWAITING, DRAINING };

struct bsl_link {
	enum bsl_stage stage;
	enum bsl_check check; /* of what we send; EITHER while the stage is unknown */
	enum bsl_framing framing;
	unsigned max_packet;
	enum line line;
	unsigned current; /* frames[current] is or was sent last; the other takes what is prepared */
	bool prepared;
	struct { /* the exchange; a copy, since a probe has no frame */
		uint16_t command;
		uint8_t also_accept;
		enum bsl_stage stage; /* whom it was sent to: decides what is accepted */
	} asked;
	unsigned probes; /* sent since the last answer to one */
	unsigned stray;	 /* answers to probes that may still come */
	struct bsl_deframer deframer;
	struct bsl_link_counters counters;
	struct frame frames[2];
	struct bsl_shelf *shelf; /* a reference; NULL: none */
	uint8_t probe_byte;
	uint8_t memory[2 * BSL_WIRE_MAX + BSL_BODY_MAX];
};

struct bsl_link *bsl_link_new(void)
{
	/* calloc: fresh zero pages stay unused until a frame is that large */
	struct bsl_link *link = calloc(1, sizeof(*link));

	if (!link)
		return NULL;
	link->frames[0].own = link->memory;
	link->frames[1].own = link->memory + BSL_WIRE_MAX;
	link->probe_byte = BSL_FLAG;
	bsl_deframer_init(&link->deframer, link->memory + 2 * BSL_WIRE_MAX, BSL_BODY_MAX);
	bsl_link_arrived(link, BSL_STAGE_UNKNOWN, 64);
	return link;
}

void bsl_link_share(struct bsl_link *link, struct bsl_shelf *shelf)
{
	link->shelf = bsl_shelf_ref(shelf);
}

static void put_back(struct bsl_link *link, struct frame *f)
{
	if (f->shelved)
		bsl_shelf_put(link->shelf, TAKE_PTR(f->shelved));
}

void bsl_link_free(struct bsl_link *link)
{
	if (!link)
		return;
	put_back(link, &link->frames[0]);
	put_back(link, &link->frames[1]);
	bsl_shelf_unref(link->shelf);
	free(link);
}

void bsl_link_freep(struct bsl_link **link)
{
	bsl_link_free(*link);
}

static enum bsl_check stage_check(enum bsl_stage stage)
{
	switch (stage) {
	case BSL_STAGE_UNKNOWN: return BSL_CHECK_EITHER;
	case BSL_STAGE_ROM: return BSL_CHECK_CRC16;
	default: return BSL_CHECK_SUM;
	}
}

/* The deframer takes either check while a probe is out: its answer tells the stage. */
static void tune(struct bsl_link *link)
{
	bool probing = link->line == AWAITING && link->asked.command == BSL_CMD_PROBE;
	enum bsl_check check = probing ? BSL_CHECK_EITHER : link->check;

	if (link->deframer.check == check && link->deframer.framing == link->framing)
		return;
	/* a frame begun is kept: only what is expected of its end changes */
	if (link->deframer.framing == link->framing)
		link->deframer.check = check;
	else
		bsl_deframer_mode(&link->deframer, check, link->framing);
}

void bsl_link_forget(struct bsl_link *link)
{
	link->prepared = false;
}

void bsl_link_arrived(struct bsl_link *link, enum bsl_stage stage, unsigned max_packet)
{
	link->line = IDLE;
	link->probes = 0;
	link->stray = 0;
	link->max_packet = max_packet;
	link->stage = BSL_STAGE_UNKNOWN;
	link->framing = BSL_FRAMING_ESCAPED;
	bsl_link_set_stage(link, stage);
	bsl_deframer_reset(&link->deframer);
}

void bsl_link_set_stage(struct bsl_link *link, enum bsl_stage stage)
{
	if (stage != link->stage)
		link->framing = BSL_FRAMING_ESCAPED;
	link->stage = stage;
	link->check = stage_check(stage);
	bsl_link_forget(link);
	tune(link);
}

void bsl_link_set_plain(struct bsl_link *link)
{
	link->framing = BSL_FRAMING_PLAIN;
	tune(link);
}

enum bsl_stage bsl_link_stage(const struct bsl_link *link)
{
	return link->stage;
}

enum bsl_check bsl_link_check(const struct bsl_link *link)
{
	return link->check;
}

enum bsl_framing bsl_link_framing(const struct bsl_link *link)
{
	return link->framing;
}

unsigned bsl_link_max_packet(const struct bsl_link *link)
{
	return link->max_packet;
}

const struct bsl_link_counters *bsl_link_counters(const struct bsl_link *link)
{
	return &link->counters;
}

size_t bsl_link_chunk(const struct bsl_link *link)
{
	switch (link->stage) {
	case BSL_STAGE_FDL1: return BSL_CHUNK_FDL1;
	case BSL_STAGE_FDL2:
		return link->framing == BSL_FRAMING_PLAIN ? BSL_CHUNK_FDL2_PLAIN : BSL_CHUNK_FDL2_ESCAPED;
	case BSL_STAGE_FDL: return BSL_CHUNK_FDL;
	default: return BSL_CHUNK_ROM;
	}
}

/*
 * A frame that ends on a packet boundary and cannot be cut elsewhere needs a zero-length packet. Never after
 * one that fills the receiver's buffer exactly: that completes by itself, and the surplus packet would disarm
 * it (bsl-protocol 2.4).
 */
static bool needs_zlp(const struct bsl_link *link, size_t wire)
{
	if (!link->max_packet || wire % link->max_packet)
		return false;
	if (link->stage == BSL_STAGE_FDL1 && wire == 4096)
		return false;
	return !(link->stage == BSL_STAGE_FDL2 && wire == 0x10000);
}

static struct frame *spare(struct bsl_link *link)
{
	return &link->frames[link->current ^ 1];
}

/* Its own buffer, to encode into. */
static uint8_t *own(struct bsl_link *link, struct frame *f)
{
	put_back(link, f);
	f->leads = false;
	f->bytes = f->own;
	return f->own;
}

static int may_send(const struct bsl_link *link, uint16_t command)
{
	if (command == BSL_CMD_PROBE)
		return -EINVAL;
	return bsl_command_allowed(command, link->stage) ? 0 : -EPERM;
}

static int finish_prepare(struct bsl_link *link, ssize_t wire, uint16_t command, unsigned flags,
			  uint64_t work_bytes)
{
	struct frame *f = spare(link);

	if (wire < 0)
		return (int)wire;
	f->len = (size_t)wire;
	f->command = command;
	f->also_accept = 0;
	f->zlp = needs_zlp(link, f->len);
	f->check = link->check;
	f->framing = link->framing;
	f->timing = bsl_command_timing(command, link->stage, flags, work_bytes);
	link->prepared = true;
	return 0;
}

int bsl_link_prepare(struct bsl_link *link, const struct bsl_request *request)
{
	ssize_t wire;
	int r;

	bsl_link_forget(link);
	r = may_send(link, request->command);
	if (r < 0)
		return r;
	wire = bsl_encode(link->check, link->framing, request->command, request->pieces, request->count,
			  own(link, spare(link)), BSL_WIRE_MAX);
	r = finish_prepare(link, wire, request->command, request->flags, request->work_bytes);
	if (r == 0)
		spare(link)->also_accept = request->also_accept;
	return r;
}

static bool shares(const struct bsl_link *link, const struct bsl_place *place)
{
	return place && link->shelf && bsl_shelf_shared(link->shelf);
}

static struct bsl_form form_of(const struct bsl_link *link)
{
	return (struct bsl_form){ link->check, link->framing, link->max_packet };
}

const uint8_t *bsl_link_shelved(const struct bsl_link *link, const struct bsl_place *place, size_t len)
{
	struct bsl_form form = form_of(link);
	const struct bsl_shelved *frame = shares(link, place)
						  ? bsl_shelf_look(link->shelf, &form, *place, len)
						  : NULL;

	return frame && frame->taken == len ? frame->data : NULL;
}

/* Of the shelf; 0: it has no memory. Otherwise as bsl_encode(). */
static ssize_t from_shelf(struct bsl_link *link, const struct bsl_place *place, const void *data, size_t len,
			  size_t *taken)
{
	struct bsl_form form = form_of(link);
	struct frame *f = spare(link);
	const struct bsl_shelved *frame;
	bool made;
	int r = bsl_shelf_get(link->shelf, &form, *place, data, len, &frame, &made);

	if (r < 0)
		return r == -ENOMEM ? 0 : r;
	put_back(link, f); /* not before: data may be of a frame that goes then */
	f->shelved = frame;
	f->leads = made;
	f->bytes = frame->bytes;
	*taken = frame->taken;
	return (ssize_t)frame->len;
}

int bsl_link_prepare_data(struct bsl_link *link, const struct bsl_place *place, const void *data, size_t len,
			  bool flush, uint64_t work_bytes, size_t *taken)
{
	ssize_t wire = 0;
	int r;

	*taken = 0;
	bsl_link_forget(link);
	if (!len)
		return -EINVAL;
	r = may_send(link, BSL_CMD_MIDST);
	if (r < 0)
		return r;
	if (shares(link, place))
		wire = from_shelf(link, place, data, len, taken);
	if (!wire)
		wire = bsl_encode_fit(link->check, link->framing, BSL_CMD_MIDST, data, len, link->max_packet,
				      own(link, spare(link)), BSL_WIRE_MAX, taken);
	if (flush && *taken == len)
		return finish_prepare(link, wire, BSL_CMD_MIDST, BSL_TIMING_FLUSH, work_bytes);
	return finish_prepare(link, wire, BSL_CMD_MIDST, 0, 0);
}

bool bsl_link_prepared(const struct bsl_link *link)
{
	return link->prepared;
}

static void begin(struct bsl_link *link, uint16_t command, uint8_t also_accept)
{
	link->line = AWAITING;
	link->asked.command = command;
	link->asked.also_accept = also_accept;
	link->asked.stage = link->stage;
	link->counters.requests++;
	tune(link);
}

int bsl_link_send(struct bsl_link *link, struct bsl_wire *wire)
{
	struct frame *f = spare(link);

	memset(wire, 0, sizeof(*wire));
	if (link->line != IDLE)
		return -EBUSY;
	if (!link->prepared)
		return -ENOENT;
	bsl_link_forget(link);
	if (f->check != link->check || f->framing != link->framing)
		return -ESTALE;
	link->current ^= 1;
	*wire = (struct bsl_wire){
		.bytes = f->bytes,
		.len = f->len,
		.zlp = f->zlp,
		.leads = f->leads,
		.command = f->command,
		.timing = f->timing,
	};
	begin(link, f->command, f->also_accept);
	return 0;
}

int bsl_link_request(struct bsl_link *link, const struct bsl_request *request, struct bsl_wire *wire)
{
	int r;

	memset(wire, 0, sizeof(*wire));
	if (link->line != IDLE)
		return -EBUSY;
	r = bsl_link_prepare(link, request);
	return r < 0 ? r : bsl_link_send(link, wire);
}

int bsl_link_probe(struct bsl_link *link, struct bsl_wire *wire)
{
	memset(wire, 0, sizeof(*wire));
	if (!bsl_command_allowed(BSL_CMD_PROBE, link->stage) || link->framing == BSL_FRAMING_PLAIN)
		return -EPERM;
	if (link->line == DRAINING || (link->line == AWAITING && link->asked.command != BSL_CMD_PROBE))
		return -EBUSY;
	if (link->line == IDLE)
		link->probes = 0;
	link->probes++;
	*wire = (struct bsl_wire){
		.bytes = &link->probe_byte,
		.len = 1,
		.command = BSL_CMD_PROBE,
		.timing = bsl_command_timing(BSL_CMD_PROBE, link->stage, 0, 0),
	};
	begin(link, BSL_CMD_PROBE, 0);
	return 0;
}

int bsl_link_expect(struct bsl_link *link, uint16_t command, unsigned flags, uint64_t work_bytes,
		    struct bsl_timing *timing)
{
	int r;

	if (link->line != IDLE)
		return -EBUSY;
	r = may_send(link, command);
	if (r < 0)
		return r;
	*timing = bsl_command_timing(command, link->stage, flags, work_bytes);
	begin(link, command, 0);
	return 0;
}

bool bsl_link_outstanding(const struct bsl_link *link)
{
	return link->line == AWAITING;
}

void bsl_link_skip(struct bsl_link *link)
{
	bsl_deframer_reset(&link->deframer);
}

const uint8_t *bsl_link_keep(struct bsl_link *link, const uint8_t *bytes, size_t len)
{
	struct bsl_deframer *d = &link->deframer;

	if ((uintptr_t)bytes - (uintptr_t)d->body < d->size)
		return bytes;
	memcpy(d->body, bytes, len);
	return d->body;
}

bool bsl_link_draining(const struct bsl_link *link)
{
	return link->line == DRAINING;
}

size_t bsl_link_pending(const struct bsl_link *link)
{
	return bsl_deframer_pending(&link->deframer);
}

void bsl_link_expire(struct bsl_link *link)
{
	if (link->line != AWAITING)
		return;
	link->line = DRAINING;
	link->counters.expired++;
	tune(link);
}

void bsl_link_drained(struct bsl_link *link)
{
	if (link->line == DRAINING)
		link->line = IDLE;
	link->stray = 0;
	link->probes = 0;
	tune(link);
	bsl_deframer_reset(&link->deframer);
}

/* A whole frame while an exchange is out: its answer, whatever it is. */
static enum bsl_event answer(struct bsl_link *link, struct bsl_reply *reply)
{
	uint16_t command = link->asked.command, type = reply->frame.type;
	enum bsl_event event;

	if (bsl_command_accepts(command, link->asked.stage, type) ||
	    (type && type == link->asked.also_accept)) {
		event = BSL_EVENT_REPLY;
		link->counters.replies++;
	} else if (bsl_reply_kind(type) == BSL_KIND_REFUSAL) {
		event = BSL_EVENT_REFUSED;
		link->counters.refused++;
	} else {
		event = BSL_EVENT_UNEXPECTED;
		link->counters.unexpected++;
	}
	reply->command = command;
	link->line = IDLE;
	/*
	 * A ROM answers each probe, FDL1 only one: the others may still come, and are nobody's answer.
	 * Replies keep their order, so behind the answer to something else no such debt is left.
	 */
	link->stray = command == BSL_CMD_PROBE && link->probes ? link->probes - 1 : 0;
	link->probes = 0;
	/* the ACK to 0x21 is the last frame in the old framing (bsl-protocol 3.3) */
	if (command == BSL_CMD_DISABLE_TRANSCODE && event == BSL_EVENT_REPLY)
		link->framing = BSL_FRAMING_PLAIN;
	return event;
}

static enum bsl_event sort(struct bsl_link *link, struct bsl_reply *reply)
{
	enum bsl_event event;

	if (link->line == DRAINING) {
		link->counters.late++;
		return BSL_EVENT_LATE;
	}
	if (reply->frame.type == BSL_REP_LOG) {
		link->counters.logs++;
		return BSL_EVENT_LOG;
	}
	if (reply->frame.type == BSL_REP_VERSION && link->stray &&
	    !(link->line == AWAITING && link->asked.command == BSL_CMD_PROBE)) {
		link->stray--;
		link->counters.late++;
		tune(link);
		return BSL_EVENT_LATE;
	}
	if (link->line == IDLE) {
		link->counters.surplus++;
		return BSL_EVENT_SURPLUS;
	}
	event = answer(link, reply);
	tune(link);
	return event;
}

enum bsl_event bsl_link_feed(struct bsl_link *link, const uint8_t *bytes, size_t len, size_t *used,
			     struct bsl_reply *reply)
{
	memset(reply, 0, sizeof(*reply));
	switch (bsl_deframer_feed(&link->deframer, bytes, len, used, &reply->frame, &reply->fault)) {
	case BSL_DECODE_FRAME: return sort(link, reply);
	case BSL_DECODE_BAD:
		if (link->line == DRAINING) {
			link->counters.late++;
			return BSL_EVENT_LATE;
		}
		link->counters.bad++;
		return BSL_EVENT_BAD;
	case BSL_DECODE_MORE: break;
	}
	return BSL_EVENT_NONE;
}
