/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The transfers of daemon/usb against the bed: each way to end, memory that is short, replies without an end,
 * streams.
 */
#include <errno.h>
#include <string.h>

#include "common/util.h"
#include "tests/bed/usb_child.h"

static void sends(size_t len, unsigned int rounds)
{
	orders.send = len;
	orders.rounds = rounds;
}

static void t_status(const char *expect, int in, int out)
{
	struct bed_dev *dev = child_plug("1", &usb_ack_model, false);

	bed_fault(dev)->in_status = in;
	bed_fault(dev)->out_status = out;
	sends(64, 1);
	CHECK(child_start());
	CHECK(until(expect) && until("closed"));
	CHECK(child_stop());
}

static void t_stall(void)
{
	t_status("failed UsbStall", -EPIPE, 0);
}

static void t_stall_out(void)
{
	t_status("failed UsbStall", 0, -EPIPE);
}

static void t_babble(void)
{
	t_status("failed UsbBabble", -EOVERFLOW, 0);
}

static void t_bus_error(void)
{
	t_status("failed UsbIo", -EPROTO, 0);
}

static void t_short_out(void)
{
	bed_fault(child_plug("1", NULL, false))->short_by = 3;
	sends(64, 1);
	CHECK(child_start());
	CHECK(until("failed UsbIo (OUT transfer: 61 of 64"));
	CHECK(child_stop());
}

static void t_mute(void)
{
	struct bed_dev *dev = child_plug("1", &usb_ack_model, false);

	bed_fault(dev)->mute = true;
	sends(64, 2);
	orders.wait_ms = 50;
	CHECK(child_start());
	CHECK(until("silent") && until("received 0+"));
	bed_fault(dev)->mute = false;
	bed_retry(dev);
	/* the pipe lives on: the late reply and the next one come */
	CHECK(until_n("received 8 ", 2, 5000));
	CHECK(child_stop());
}

static void t_nak_and_cancel(void)
{
	struct bed_dev *dev = child_plug("1", &usb_ack_model, false);

	bed_fault(dev)->nak = true;
	sends(64, 2);
	orders.wait_ms = 50;
	CHECK(child_start());
	CHECK(until("sent 0 Cancelled"));
	bed_fault(dev)->nak = false;
	CHECK(until("sent 64 ok") && until("received 8 "));
	CHECK(child_stop());
}

static int open_end_out(struct bed_dev *dev, const uint8_t *data, size_t len, bool zlp)
{
	/* the very bytes back, in whole packets, and no packet that ends them */
	bed_in(dev, data, len, false);
	return 0;
}

static void t_partial(void)
{
	static const struct bed_model model = { .out = open_end_out };

	child_plug("1", &model, false);
	sends(1024, 1);
	orders.wait_ms = 50;
	CHECK(child_start());
	CHECK(until("silent") && until("received 1024+"));
	CHECK(child_stop());
}

static int large_reply(struct bed_dev *dev, const uint8_t *data, size_t len, bool zlp)
{
	static uint8_t reply[300000];

	memset(reply, 1, sizeof(reply));
	bed_in(dev, reply, sizeof(reply), true);
	return 0;
}

static void t_large_reply(void)
{
	static const struct bed_model model = { .out = large_reply };

	child_plug("1", &model, false);
	sends(64, 1);
	CHECK(child_start());
	CHECK(until("received 135168+ sum 135168") && until("received 29664 sum 29664"));
	CHECK(said("received 135168+") == 2);
	CHECK(child_stop());
}

static void t_zlp(void)
{
	struct bed_dev *with, *without;

	sends(1024, 1);
	orders.zlp = true;
	with = child_plug("1", &usb_ack_model, false);
	CHECK(child_start());
	CHECK(until("received 8 "));
	CHECK(child_stop());
	CHECK(bed_count(with)->zlps == 1);
	bed_unplug(with, false);
	orders.zlp = false;
	without = child_plug("2", &usb_ack_model, false);
	CHECK(child_start());
	CHECK(until("received 8 "));
	CHECK(child_stop());
	CHECK(bed_count(without)->zlps == 0);
}

static uint64_t stream_sum;

static int sum_out(struct bed_dev *dev, const uint8_t *data, size_t len, bool zlp)
{
	size_t i;

	for (i = 0; i < len; i++)
		stream_sum = stream_sum * 31 + data[i];
	return 0;
}

static uint64_t expected_sum(size_t len)
{
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < len; i++)
		sum = sum * 31 + usb_payload(i);
	return sum;
}

static void t_stream(void)
{
	static const struct bed_model model = { .out = sum_out };
	struct bed_dev *dev = child_plug("1", &model, false);

	stream_sum = 0;
	orders.stream = 3u << 20;
	CHECK(child_start());
	CHECK(until_n("sent 1572864 ok", 2, 10000));
	CHECK(said("refused") == 0);
	CHECK(stream_sum == expected_sum(3u << 20));
	CHECK(bed_count(dev)->zlps == 1);
	CHECK(child_stop());
}

static void t_memory_halves(void)
{
	static const struct bed_model model = { .out = sum_out };
	struct bed_dev *dev;

	/* room for the IN transfer and two pieces */
	bed_set_memory(bed, USB_IN_SIZE + 2 * USB_STREAM_PIECE + 4096);
	stream_sum = 0;
	orders.stream = 3u << 20;
	dev = child_plug("1", &model, false);
	bed_fault(dev)->nak = true;
	CHECK(child_start());
	CHECK(until("opened ok"));
	bed_run(bed, 100, NULL, NULL);
	bed_fault(dev)->nak = false;
	bed_retry(dev);
	CHECK(until_n("sent 1572864 ok", 2, 10000));
	CHECK(said("ok depth 4") == 0);
	CHECK(stream_sum == expected_sum(3u << 20));
	CHECK(child_stop());
}

static void t_memory_short(void)
{
	struct bed_dev *dev = child_plug("1", &usb_ack_model, false);

	/* refused for a while */
	bed_fault(dev)->submit_errno = ENOMEM;
	bed_fault(dev)->submit_times = 5;
	sends(64, 1);
	CHECK(child_start());
	CHECK(until("received 8 "));
	CHECK(child_stop());
	/* and for ever */
	bed_unplug(dev, false);
	dev = child_plug("2", &usb_ack_model, false);
	bed_fault(dev)->submit_errno = ENOMEM;
	bed_fault(dev)->submit_times = 1000000;
	orders.options.memory_usec = 100000;
	CHECK(child_start());
	CHECK(until("opened UsbNoMemory (a transfer of 135168 bytes was refused"));
	CHECK(child_stop());
}

static void t_idle(void)
{
	uint64_t before;

	child_plug("1", NULL, false);
	child_plug("2", NULL, false);
	CHECK(child_start());
	CHECK(until_n("opened ok", 2, 5000));
	bed_run(bed, 50, NULL, NULL);
	before = bed_stats(bed)->calls;
	bed_run(bed, 500, NULL, NULL);
	CHECK(bed_stats(bed)->calls == before);
	CHECK(child_stop());
}

#define T(f)              \
	{                 \
#f, t_##f \
	}
static const struct usb_test tests[] = {
	T(stall),  T(stall_out),      T(babble),       T(bus_error),   T(short_out),
	T(mute),   T(nak_and_cancel), T(partial),      T(large_reply), T(zlp),
	T(stream), T(memory_halves),  T(memory_short), T(idle),
};

int main(void)
{
	return usb_tests_run("pipe", tests, ARRAY_SIZE(tests));
}
