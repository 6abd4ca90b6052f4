/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Raw mode: unframed chunks from the reader thread to the pipe, two with the pipe and one being read.
 */
#include "common/util.h"
#include "station/runner.h"

void runner_stream_next(struct runner *r)
{
	const struct want *w = &r->w;
	size_t piece = w->stream.piece && w->stream.piece <= SESSION_CHUNK ? w->stream.piece : SESSION_CHUNK;
	/* the pipe cuts by its own size; a smaller piece goes as a chunk of its own */
	size_t chunk = piece < USB_STREAM_PIECE ? piece : SESSION_CHUNK / piece * piece;
	uint64_t left = w->stream.len - r->stream_read;

	if (r->carry.going || r->streaming_count == 2 || !left)
		return;
	carry_fetch(r, &w->stream.source, w->stream.offset + r->stream_read,
		    (size_t)MIN(left, (uint64_t)chunk), false);
}

void runner_stream_out(struct runner *r, struct fetch *f)
{
	struct usb_pipe_facts facts;
	bool last;

	usb_pipe_facts(r->pipe, &facts);
	r->stream_read += f->len;
	last = r->stream_read == r->w.stream.len;
	if (last && !r->w.stream.zlp && facts.packet_out && f->len % facts.packet_out == 0)
		last = false; /* neither a short packet nor an empty one */
	f->next = NULL;
	*r->streaming_tail = f;
	r->streaming_tail = &f->next;
	r->streaming_count++;
	if (r->pipe_state == PIPE_OPEN)
		(void)usb_pipe_stream(r->pipe, f->data, f->len, last);
	r->out_busy = true;
	runner_stream_next(r);
}

void runner_stream_drop(struct runner *r)
{
	while (r->streaming) {
		struct fetch *f = r->streaming;

		r->streaming = f->next;
		carry_recycle(r, f);
	}
	r->streaming_tail = &r->streaming;
	r->streaming_count = 0;
}

void runner_stream_sent(struct runner *r, size_t len)
{
	struct fetch *f = r->streaming;

	if (f) {
		r->streaming = f->next;
		if (!r->streaming)
			r->streaming_tail = &r->streaming;
		r->streaming_count--;
		carry_recycle(r, f);
	}
	r->stream_sent += len;
	r->out_busy = r->streaming_count > 0;
	if (r->fresh || r->w.kind != WANT_STREAM)
		return;
	if (r->stream_sent >= r->w.stream.len) {
		r->sent = true;
		runner_feed_plain(r, INPUT_SENT);
	} else {
		runner_stream_next(r);
	}
}
