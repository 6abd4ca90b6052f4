/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A Unisoc phone in download mode, seen from its own side: bytes and time go in, bytes, delays and
 * disconnects come out. No I/O, clock, thread or global; it shares no line with the host's code, so that
 * one misread rule cannot cancel out on both ends. Facts: device-behaviour (whole), bsl-protocol 2, 3, 17.
 *
 * All times are microseconds of the caller's own clock (virtual or real) and must not run backwards.
 * Everything is per phone; two phones never share memory except constant profiles and, copy-on-write,
 * the storage content that a setup lends.
 *
 * The caller's loop, in three lines:
 *   host submits OUT:  phone_out() -> TAKEN: complete the URB; NAK: keep it and offer it again after every
 * event host posts IN:     phone_poll() while it returns true; no IN posted: phone_poll_bus() (detach, attach
 * only) sleep until phone_due().
 */
#ifndef TESTS_PHONE_PHONE_H
#define TESTS_PHONE_PHONE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/phone/profile.h"

struct phone;

#define PHONE_NEVER UINT64_MAX

enum phone_stage {
	PHONE_OFF,  /* no cable, or switched off */
	PHONE_ROM,  /* BootROM, or something that plays it (SPRD4 role) */
	PHONE_FDL1, /* first loader; for single-loader products (RTOS) the only one */
	PHONE_FDL2,
	PHONE_DEAD,    /* still enumerated, takes a few bytes more, then NAKs; only a power cycle helps */
	PHONE_BOOTED,  /* gone to normal boot: off the bus until the next plug */
	PHONE_RUNNING, /* started as usual, with ports for diagnosis and AT commands (1782:4d03) */
};

/* ---- making one ---------------------------------------------------------------------------------- */

/* Initial bytes of a place. Offsets and lengths in bytes. `data` is copied page by page on creation. */
struct phone_content {
	const char *name; /* partition, "splloader", "splloader_bak", "user_partition", "nor" */
	uint64_t offset;
	const void *data;
	size_t length;
};

enum phone_direction { PHONE_TO_PHONE, PHONE_TO_HOST };

/* One frame as the phone understood or built it. `payload` is unescaped and valid during the call only. */
struct phone_trace {
	uint64_t time;
	enum phone_direction direction;
	enum phone_stage stage;
	uint16_t type;
	uint16_t size; /* size field of the frame */
	const uint8_t *payload;
	size_t length;	  /* payload bytes really there */
	const char *note; /* NULL, or what is special: "check error", "fault unplug", ... */
};

struct phone_setup {
	uint64_t seed;	    /* content of NV, UID and default partitions; also unspecified "stack values" */
	const char *faults; /* fault script (tests/phone/fault.h), NULL = none; a bad script makes phone_new
			       fail */
	const char *uid;    /* 16 hex digits of the plain chip uid; NULL = made from the seed */
	const void *nv;	    /* body of every fixnv pair; NULL = made from the seed (valid item stream) */
	size_t nv_length;
	bool nv_blank; /* new board: NV areas erased */
	bool blank;    /* new board: no GPT, nothing anywhere */
	bool unfilled; /* no seeded default content in partitions (all erased): cheapest to create */
	const struct phone_content *contents; /* laid over the defaults, in order */
	size_t content_count;
	const struct phone_part *parts; /* another initial table than the profile's; NULL = the profile's */
	size_t part_count;
	uint64_t user_bytes;   /* another size of the user area; 0 = the profile's */
	uint64_t buffer_bytes; /* regular-mode buffer, to spare the host's memory; 0 = the profile's (256 MiB)
				*/
	unsigned time_percent; /* scales every latency of the phone; 0 = 100. PHONE_INSTANT = none at all */
	enum phone_stage found_in; /* PHONE_OFF/ROM: a fresh phone. FDL1, FDL2: left running there by an
				      earlier session (F68) */
	bool found_plain;	   /* with FDL2: 0x21 was sent by the earlier session (F69) */
	void (*trace)(void *arg, const struct phone_trace *frame);
	void *trace_arg;
};
#define PHONE_INSTANT UINT32_MAX

/* NULL on no memory or a bad fault script; then *why (if given) is a static or in-profile text. Profile and
 * setup->uid, faults, contents may be freed by the caller afterwards, the profile not. setup NULL = all zero.
 */
struct phone *phone_new(const struct phone_profile *profile, const struct phone_setup *setup,
			const char **why);
void phone_free(struct phone *phone);

/* A second phone with the same storage content (shared pages, copy on write), otherwise as `setup` says:
 * cheap reset of a prepared phone, or "the same phone again" with another fault script. */
struct phone *phone_clone(const struct phone *phone, const struct phone_setup *setup, const char **why);

/* Another fault script for the same phone (clears the old one and its counts). False: bad script, nothing
 * changed. */
bool phone_set_faults(struct phone *phone, const char *script, const char **why);

/* ---- the cable ----------------------------------------------------------------------------------- */

/* Cable in with the boot key held: power-on into ROM (or setup.found_in the first time). Present at once, no
 * ATTACH event. */
void phone_plug(struct phone *phone, uint64_t now);
/* Cable out: power is lost, RAM state gone, storage stays; no DETACH event (the caller did it). plug again =
 * power cycle. */
void phone_unplug(struct phone *phone, uint64_t now);
/* Cable out and in for a phone that runs on battery: enumerates again in the stage it is in. */
void phone_replug(struct phone *phone, uint64_t now);
bool phone_present(const struct phone *phone);
/* Its USB gets stuck: it stays on the bus and takes nothing more until the bus is reset. */
void phone_jam(struct phone *phone);
/* The bus is reset: what was stuck in USB goes on, in the stage it is in. */
void phone_bus_reset(struct phone *phone, uint64_t now);

/* What a phone that runs makes of the request to start in download mode. All false: it takes everything and
 * does nothing. */
struct phone_running {
	bool diag, diag_at, at;	   /* the requests that it honours */
	bool calibration_first;	   /* diag only in the calibration mode, into which it can be sent */
	bool mumbles;		   /* answers on the diagnosis port to what it does not do */
	bool says_error;	   /* answers an error on the AT port */
	bool reads_nothing;	   /* NAKs */
	bool restarts, stays_away; /* what it does instead of coming back in download mode */
};
/* From its next plug on the phone is one that was started as usual. how NULL: none any more. */
void phone_runs(struct phone *phone, const struct phone_running *how);
/* The phone runs: one OUT transfer on this endpoint. */
enum phone_taken phone_port_out(struct phone *phone, uint64_t now, uint8_t endpoint, const void *data,
				size_t length);

/* ---- the bus side -------------------------------------------------------------------------------- */

struct phone_usb {
	uint16_t vendor, product, device; /* device = bcdDevice */
	uint8_t interface_number;
	uint8_t in_endpoint, out_endpoint;
	uint16_t max_packet; /* bulk, bytes */
	bool high_speed;     /* else full speed */
};
/* What is enumerated now (may change over a re-enumeration). */
struct phone_usb phone_usb(const struct phone *phone);
/* Device descriptor (18 bytes) followed by the whole configuration descriptor, as sysfs `descriptors` shows
 * them. */
const uint8_t *phone_descriptors(const struct phone *phone, size_t *length);

/* A class request to the interface, without data stage. 0 = acknowledged, -EPIPE = stalled, -ETIMEDOUT =
 * never answered (fault `deaf`), -ENODEV. Until one with a non-zero low value byte came, bulk OUT NAKs where
 * the driver wants it (bsl-protocol 2.3). */
int phone_control(struct phone *phone, uint64_t now, uint8_t request_type, uint8_t request, uint16_t value,
		  uint16_t index);

enum phone_taken {
	PHONE_TAKEN,  /* all bytes on the phone */
	PHONE_NAK,    /* not now: stays pending at the host */
	PHONE_GONE,   /* not on the bus */
	PHONE_HALTED, /* endpoint halted (fault): the host sees EPIPE */
	PHONE_PROTO,  /* bus error (fault): the host sees EPROTO */
};

/*
 * One host OUT transfer, whole. `zlp`: the host ends it by a zero-length packet if len is a non-zero multiple
 * of max_packet (ignored otherwise). len 0 is a lone ZLP. A transfer that was NAKed must be offered again
 * unchanged, or dropped when the host's timeout cancels it. Bytes are not kept after return.
 */
enum phone_taken phone_out(struct phone *phone, uint64_t now, const void *data, size_t len, bool zlp);

enum phone_event_kind {
	PHONE_IN,	 /* bytes on the IN endpoint */
	PHONE_DETACH,	 /* the phone left the bus by itself; pending IN and OUT are dead */
	PHONE_ATTACH,	 /* it is back, newly enumerated: control request wanted again */
	PHONE_IN_HALT,	 /* IN endpoint halted (fault): EPIPE */
	PHONE_IN_PROTO,	 /* IN transfer failed (fault): EPROTO */
	PHONE_IN_BABBLE, /* more than asked for (fault): EOVERFLOW */
};

struct phone_event {
	enum phone_event_kind kind;
	uint64_t due;	      /* when it happened on the phone */
	const uint8_t *bytes; /* PHONE_IN: valid until the next call on this phone */
	size_t length;	      /* may be 0: a lone ZLP */
	bool ends; /* the host's IN transfer ends after these bytes (short packet, or ZLP already counted in);
		    * false: a multiple of max_packet without ZLP, the host's transfer stays open */
};

/* Next event due at or before `now`, in order; false: none. Call it only while the host has an IN transfer
 * posted. */
bool phone_poll(struct phone *phone, uint64_t now, struct phone_event *event);
/* The same for a host without IN posted: DETACH and ATTACH only; replies wait (and age: dwc_otg drops them
 * after 1 s). */
bool phone_poll_bus(struct phone *phone, uint64_t now, struct phone_event *event);
/* When the next event, or readiness for a NAKed OUT, is due; PHONE_NEVER if only the host can change
 * something. */
uint64_t phone_due(const struct phone *phone);

/* ---- looking inside (tests) ---------------------------------------------------------------------- */

enum phone_stage phone_stage(const struct phone *phone);
const struct phone_profile *phone_profile(const struct phone *phone);
/* Why it is dead, in words ("check error", "address window", ...); "" when it is not. */
const char *phone_death(const struct phone *phone);
bool phone_plain(const struct phone *phone); /* 0x21 is in force */
/* 64 lower-case hex characters (SHA form) or the plain text, as READ_UID would say; NUL-terminated, valid
 * while the phone lives. */
const char *phone_uid_text(const struct phone *phone);

struct phone_slice {
	char name[40];
	uint64_t start, size; /* bytes in the user area */
};
/* The table on the storage now (primary, else backup; 0 = none). NOR and NAND products: their fixed areas. */
size_t phone_partitions(const struct phone *phone, struct phone_slice *out, size_t room);
/* Bytes of a partition, "splloader", "splloader_bak", "user_partition" or "nor"; false if there is no such
 * place or range. */
bool phone_storage_read(const struct phone *phone, const char *name, uint64_t offset, void *out,
			size_t length);
bool phone_storage_size(const struct phone *phone, const char *name, uint64_t *size);
/* Puts bytes there behind the phone's back (not recorded). */
bool phone_storage_write(struct phone *phone, const char *name, uint64_t offset, const void *data,
			 size_t length);
/* Body of an NV pair as READ_START would serve it (512-byte header stripped, good copy), without repairing.
 * NOR products: the area itself. `length` in: room, out: bytes. False: none valid. */
bool phone_nv_read(const struct phone *phone, const char *name, void *out, size_t *length);

/* ---- the record ---------------------------------------------------------------------------------- */

enum phone_deed_kind {
	PHONE_DEED_WRITE,  /* image bytes reached (or by a lie should have reached) storage */
	PHONE_DEED_MIRROR, /* same, to a backup or the other slot, by the phone's own doing */
	PHONE_DEED_NV,	   /* an NV copy written by an image */
	PHONE_DEED_ERASE,
	PHONE_DEED_ERASE_ALL,
	PHONE_DEED_REPARTITION,
	PHONE_DEED_GPT_REPAIR, /* F48 */
	PHONE_DEED_NV_REPAIR,  /* F49 */
	PHONE_DEED_MISC,       /* miscdata and other marks, by END, 0x05, 0x17, 0x20, 0x22, 0x25, 0x2A */
	PHONE_DEED_LOG,	       /* uboot_log writes itself */
	PHONE_DEED_RAM,	       /* a loader stage executed (EXEC), name fdl1 or fdl2 */
};
const char *phone_deed_name(enum phone_deed_kind kind);

struct phone_deed {
	uint64_t seq, time;
	enum phone_deed_kind kind;
	unsigned entry; /* index into phone_entry(), or UINT_MAX: not part of a transfer */
	char name[40];	/* partition or area; "id:80000003" and "addr:60000000" for id and address products */
	uint64_t offset, length; /* bytes inside the named place */
	uint64_t digest;	 /* phone_digest() of the data; 0 for erases */
	bool lied;		 /* acknowledged but not, or not so, stored */
};
size_t phone_deeds(const struct phone *phone);
const struct phone_deed *phone_deed(const struct phone *phone, size_t index);

struct phone_piece {
	uint64_t offset; /* received bytes before it */
	uint64_t digest; /* of its bytes */
	uint32_t length;
	bool raw;      /* unframed */
	bool accepted; /* false: answered by an error and not taken */
};

/* One START up to the next one, in any stage (name "fdl1", "fdl2" for loaders). */
struct phone_entry {
	char name[40];
	enum phone_stage stage;
	uint64_t time;
	uint64_t address; /* loaders, id and address products */
	uint64_t size;	  /* as announced */
	uint64_t received;
	unsigned ends;			  /* ENDs executed */
	uint16_t end_reply;		  /* last answer to END, 0 = none */
	uint16_t error;			  /* first error reply inside it, 0 = none */
	bool refused;			  /* START itself was answered by an error */
	bool silent;			  /* it ended in silence (signature, hang) */
	const struct phone_piece *pieces; /* every MIDST and raw chunk executed, in order */
	size_t piece_count;
};
size_t phone_entries(const struct phone *phone);
/* Valid until the next call that changes the phone. */
const struct phone_entry *phone_entry(const struct phone *phone, size_t index);

struct phone_counters {
	uint64_t frames_in, frames_out;
	uint64_t bytes_in, bytes_out;
	uint64_t transfers_in, transfers_out; /* OUT transfers taken, IN events made */
	unsigned unknown_commands, leaked_packets;
	unsigned doubtful; /* reached an FDL2 of the named kind, although not every one of them knows it */
	unsigned refused;  /* FDL2 answered FE, whatever the reason */
	unsigned check_errors;
	unsigned naks; /* phone_out calls answered NAK */
	unsigned plugs, detaches, bus_resets;
	unsigned starts, midsts, ends, erases, repartitions, reads; /* executed, FDL2 only */
	unsigned second_starts; /* START of a name that already had one in this power cycle's FDL2 */
};
const struct phone_counters *phone_counters(const struct phone *phone);

/* 64-bit hash used in the record. */
uint64_t phone_digest(const void *data, size_t length);

#endif
