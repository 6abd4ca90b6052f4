/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Inside of the phone: one struct, its rooms' calls. Included by tests/phone only. */
#ifndef TESTS_PHONE_DEVICE_H
#define TESTS_PHONE_DEVICE_H

#include <limits.h>
#include <string.h>

#include "tests/phone/fault.h"
#include "tests/phone/loader.h"
#include "tests/phone/phone.h"

enum {
	NAME_ROOM = 40,
	RX_ROOM = 0x10000 + 4 + 2 + 512, /* one unescaped body and a little overrun */
	RX_LIMIT = 65540,		 /* body of one FDL2 packet */
	MISC_ROOT = 0x1000,
	MISC_DEBUG = 0x2400,
	MISC_FIRST_MODE = 0x2420,
	MISC_DATE = 0x81400,
	MISC_REFINFO = 0xfa000,
	NV_HEADER = 512,
	NO_ENTRY = -1,
};

/* Wire codes, as the device's own tables name them. */
enum {
	C_CONNECT = 0x00,
	C_START = 0x01,
	C_MIDST = 0x02,
	C_END = 0x03,
	C_EXEC = 0x04,
	C_RESET = 0x05,
	C_READ = 0x06,
	C_CHIP = 0x07,
	C_BAUD = 0x09,
	C_ERASE = 0x0a,
	C_REPARTITION = 0x0b,
	C_MCP = 0x0d,
	C_READ_START = 0x10,
	C_READ_MIDST = 0x11,
	C_READ_END = 0x12,
	C_KEEP_CHARGE = 0x13,
	C_POWER_OFF = 0x17,
	C_ROOTFLAG = 0x19,
	C_UID = 0x1a,
	C_ENABLE_WRITE = 0x1b,
	C_REFINFO = 0x20,
	C_PLAIN = 0x21,
	C_DATETIME = 0x22,
	C_DEBUGINFO = 0x25,
	C_DDR_VERIFY = 0x26,
	C_DDR_SR = 0x27,
	C_RAW_ENABLE = 0x28,
	C_FIRST_MODE = 0x2a,
	C_HANDSHAKE = 0x2b,
	C_TIMESTAMP = 0x2c,
	C_LIST = 0x2d,
	C_GET_VERSION = 0x2e,
	C_SET_VERSION = 0x2f,
	C_RAW1 = 0x31,
	C_RAW_SHA = 0x32,
	C_RAW2 = 0x33,
	C_LOG_ON = 0x34,
	C_LOG_DUMP = 0x35,
	C_AUTH_ASK = 0x41,
	C_AUTH_ANSWER = 0x42,
	C_DOG_ON = 0x44,
	C_DOG_OFF = 0x45,
	C_END_PROCESS = 0x7f,

	R_ACK = 0x80,
	R_VER = 0x81,
	R_INVALID = 0x82,
	R_FAILED = 0x84,
	R_ORDER = 0x86,
	R_ADDRESS = 0x89,
	R_SIZE = 0x8a,
	R_CHECK = 0x8b,
	R_READ = 0x93,
	R_INCOMPATIBLE = 0x96,
	R_DEVICE = 0x97,
	R_MCP = 0x9b,
	R_NVBAD = 0xa0,
	R_CHECKSUM = 0xa1,
	R_WRITE = 0xa2,
	R_SIGN = 0xa6,
	R_ROOTED = 0xa7,
	R_IMAGE = 0xaa,
	R_UID = 0xab,
	R_PROTECTED = 0xac,
	R_REFINFO = 0xb1,
	R_HANDSHAKE = 0xb9,
	R_LIST = 0xba,
	R_LOG_DUMP = 0xbb,
	R_VERSION_TEXT = 0xbc,
	R_AUTH = 0xbd,
	R_DDR = 0xb6,
	R_UNSUPPORTED = 0xfe,
	R_LOG = 0xff,
};

/* ---- storage -------------------------------------------------------------------------------------- */

enum { PAGE = 16384, PAGES_PER_LEAF = 512 };

struct page {
	int refs;
	uint8_t data[PAGE];
};

struct leaf {
	struct page *page[PAGES_PER_LEAF]; /* NULL: erased; odd: constant fill, value << 8 | 1 */
};

struct area {
	uint64_t size;
	uint8_t erased;
	size_t leaf_count;
	struct leaf **leaf;
};

enum { USER, BOOT1, BOOT2, AREAS };

struct place { /* a resolved name */
	int area;
	uint64_t start, size;
	const struct phone_part *part; /* of the profile, if it has one */
	bool unranged;		       /* boot areas: no range check when read */
};

bool ph_area_make(struct area *area, uint64_t size, uint8_t erased);
void ph_area_drop(struct area *area);
bool ph_area_share(struct area *to, const struct area *from);
void ph_area_read(const struct area *area, uint64_t offset, void *out, uint64_t length);
void ph_area_write(struct area *area, uint64_t offset, const void *data, uint64_t length);
void ph_area_fill(struct area *area, uint64_t offset, uint64_t length, uint8_t value);
void ph_area_erase(struct area *area, uint64_t offset, uint64_t length);

/* ---- events --------------------------------------------------------------------------------------- */

enum {
	EV_FDL1_UP = 64, /* internal: not shown to the caller */
	EV_FDL2_UP,
	EV_LEAVE_ROM, /* becomes DETACH, ATTACH follows */
	EV_WAKE,
};

struct event {
	uint64_t due;
	uint64_t order;
	int kind;	/* enum phone_event_kind or EV_ */
	uint8_t *bytes; /* NULL: in_place */
	size_t length;
	bool ends;
	bool reply; /* a reply that dwc_otg may drop */
	uint8_t in_place[56];
};

/* ---- faults --------------------------------------------------------------------------------------- */

enum point {
	AT_NONE,
	AT_CONTROL,
	AT_PROBE,
	AT_CONNECT,
	AT_START,
	AT_MIDST,
	AT_END,
	AT_EXEC,
	AT_ERASE,
	AT_REPARTITION,
	AT_READ_START,
	AT_READ,
	AT_READ_END,
	AT_UID,
	AT_LIST,
	AT_RESET,
	AT_POWER_OFF,
	AT_PLAIN,
	AT_RAW,
	AT_RAW_START,
	AT_CHARGE,
	AT_CHUNK,
	AT_REPLY,
	AT_ATTACH,
	AT_ANY,
};

enum { MAX_ARMED = 24, MAX_ROWS = 128, EVERY = 0 };

struct armed {
	int row;
	enum point point;
	unsigned nth, seen, fired; /* nth 0 = every */
	char name[NAME_ROOM];
	bool has_from, has_time, has_value;
	uint64_t from, time, value;
};

/* What the faults have decided about the command being executed and its reply. */
struct whim {
	bool vanish, stall, lose, duplicate, damage, cut, halt, proto, babble, garble_in, reset, boot;
	uint64_t late;
	uint16_t refuse; /* answer this instead of executing */
	bool refusing;
	uint16_t extra; /* packet before the reply */
	bool extra_set;
	unsigned garbage; /* random bytes before the reply */
};

/* ---- one transfer --------------------------------------------------------------------------------- */

struct sparse {
	bool active; /* header seen; u-boot15: survives a failure (F33) */
	uint32_t block, chunks, chunk, block_at;
	uint32_t header, chunk_header;
	bool erased;
	uint8_t *kept; /* partial chunk of the last flush */
	size_t kept_length;
};

struct xfer {
	bool open; /* START seen */
	bool nv, raw_mode, speedup, is_sparse, known_kind, dhtb, flushed_once, done;
	int entry; /* index of the record, or NO_ENTRY */
	uint64_t total, received, unsaved, offset;
	uint32_t checksum;
	bool has_checksum;
	uint8_t *stage;
	size_t staged, stage_room;
	uint16_t background; /* error of a background write, reported one buffer late */
	uint16_t raw_wait;   /* R1 or R2 while a raw chunk is due */
	uint64_t raw_left, raw_done;
	bool mirror;	     /* DHTB image: goes to X_bak too */
	uint32_t start_word; /* RTOS and id products: address or id */
	bool failed;
	uint32_t crc; /* unused slots of other engines */
};

struct phone {
	const struct phone_profile *profile;
	uint64_t seed, rng;
	uint64_t buffer_bytes; /* regular mode */
	unsigned time_percent;
	void (*trace)(void *, const struct phone_trace *);
	void *trace_arg;
	char uid_plain[20];
	char uid_text[72];

	/* power and bus */
	enum phone_stage stage;
	enum phone_stage found_in;
	bool found_plain, plugged_once;
	bool present, armed_control;
	char death[64];
	size_t death_room; /* bytes a hung phone still swallows */
	uint64_t now, busy_until, nak_until;
	bool nak_seen;
	bool booting;  /* next stage on its way */
	bool unwaking; /* never comes back by itself, nothing listens */
	struct phone_usb usb;
	uint8_t descriptors[128];
	size_t descriptors_length;
	/* running */
	bool runs, calibration, leaving;
	struct phone_running how;

	/* events */
	struct event *events;
	size_t event_count, event_room;
	uint64_t order;
	uint8_t *shown; /* bytes of the last event given out */
	uint8_t shown_in_place[56];

	/* receive side */
	uint8_t *dma; /* transfer not yet ended by a short packet */
	size_t dma_length, dma_room;
	uint8_t *rx;
	size_t rx_length;
	bool in_frame, escape, overrun;
	bool crc16, plain;
	bool out_disarmed; /* dwc3 after a command without reply */
	bool replied;
	uint8_t *tx;
	size_t tx_room;

	/* ROM, FDL1 */
	bool ver_sent, keep_charge, load_open, damaged, early_probe;
	unsigned probes; /* RTOS wants three */
	uint32_t load_address, load_size, load_received;
	uint8_t *image; /* what was loaded: FDL1 or FDL2 */
	size_t image_room;
	unsigned autod_execs;

	/* FDL2 */
	unsigned pool;
	bool raw_enabled, auth_ok, wp_off, log_on, permitted, poisoned, handshake_due;
	bool userdata_trimmed;
	char current[NAME_ROOM]; /* the name buffer of the vendor code */
	struct xfer x;
	struct sparse sparse;
	uint8_t *nv_ram; /* body that READ_START of an NV name left */
	size_t nv_ram_length;
	bool nv_reading;
	uint8_t echo[64];   /* last receive buffer, for lying reads */
	uint8_t *last_data; /* copy of the receive buffer for U15 */
	size_t last_data_length;

	/* storage */
	struct area area[AREAS];
	bool gpt_known; /* cache valid */
	int gpt_state;	/* 0 none, 1 primary good, 2 only backup good */
	struct phone_slice table[128];
	size_t table_count;

	/* faults */
	struct armed armed[MAX_ARMED];
	unsigned armed_count;
	unsigned fired[MAX_ROWS];
	struct whim whim;
	bool lied;

	/* record */
	struct phone_deed *deeds;
	size_t deed_count, deed_room;
	struct phone_entry *entries;
	size_t entry_count, entry_room;
	size_t *piece_room; /* parallel to entries */
	struct phone_counters counters;
	unsigned second_seen; /* entries before this FDL2 */
};

/* events.c */
void ph_queue(struct phone *p, uint64_t due, int kind, const void *bytes, size_t length, bool ends);
void ph_drop_events(struct phone *p, bool all);
void ph_advance(struct phone *p, uint64_t now);
uint64_t ph_delay(const struct phone *p, uint64_t us);
void ph_die(struct phone *p, const char *why, bool after_reply);
void ph_leave(struct phone *p, uint64_t due, uint64_t back_after, enum phone_stage stage);
void ph_power_clear(struct phone *p);
uint64_t ph_random64(struct phone *p);

/* frame.c */
uint16_t ph_check_sum16(const uint8_t *data, size_t length);
uint16_t ph_check_crc16(const uint8_t *data, size_t length);
bool ph_frame_right(const struct phone *p, const uint8_t *body, size_t length);
void ph_reply_after(struct phone *p, uint64_t after, uint16_t type, const void *payload, size_t length);
void ph_reply(struct phone *p, uint16_t type, const void *payload, size_t length);
void ph_frame_in(struct phone *p, const uint8_t *body, size_t length); /* a whole unescaped body arrived */
uint16_t ph_be16(const uint8_t *at);
uint16_t ph_le16(const uint8_t *at);
uint32_t ph_be32(const uint8_t *at);
uint32_t ph_le32(const uint8_t *at);
uint64_t ph_le64(const uint8_t *at);
void ph_put_be16(uint8_t *at, uint16_t v);
void ph_put_be32(uint8_t *at, uint32_t v);
void ph_put_le16(uint8_t *at, uint16_t v);
void ph_put_le32(uint8_t *at, uint32_t v);
void ph_put_le64(uint8_t *at, uint64_t v);

/* usb.c */
void ph_usb_identity(struct phone *p);
void ph_running_identity(struct phone *p); /* running.c */
enum phone_driver ph_driver_now(const struct phone *p);

/* stages: one whole frame each; a probe byte */
void ph_rom_probe(struct phone *p);
void ph_rom_frame(struct phone *p, uint16_t type, const uint8_t *payload, size_t length);
void ph_fdl1_up(struct phone *p);
void ph_fdl1_probe(struct phone *p);
void ph_fdl1_frame(struct phone *p, uint16_t type, const uint8_t *payload, size_t length);
void ph_fdl2_up(struct phone *p);
void ph_fdl2_frame(struct phone *p, uint16_t type, const uint8_t *payload, size_t length);
/* The name in START, READ_START and ERASE of loaders that take names; "" where there is none. */
void ph_name_in(const uint8_t *payload, size_t length, char name[NAME_ROOM]);
void ph_lk_frame(struct phone *p, uint16_t type, const uint8_t *payload, size_t length, bool *handled);
void ph_ids_frame(struct phone *p, uint16_t type, const uint8_t *payload, size_t length);
void ph_rtos_frame(struct phone *p, uint16_t type, const uint8_t *payload, size_t length);
void ph_raw_bytes(struct phone *p, const uint8_t *data, size_t length, bool ended);
void ph_raw_command(struct phone *p, uint16_t type, const uint8_t *payload, size_t length);
void ph_load_start(struct phone *p, uint32_t address, uint32_t size, const char *name);
bool ph_load_bytes(struct phone *p, const uint8_t *data, size_t length);

/* write.c */
uint16_t ph_write_start(struct phone *p, const char *name, uint64_t size, bool has_sum, uint32_t sum);
void ph_write_midst(struct phone *p, const uint8_t *data, size_t length);
void ph_write_end(struct phone *p);
uint16_t ph_write_push(struct phone *p, const uint8_t *data, size_t length, uint64_t *cost, bool *silent);
void ph_erase_command(struct phone *p, const char *name, uint64_t size);
uint64_t ph_write_cost(struct phone *p, uint64_t bytes);
bool ph_put_bytes(struct phone *p, const char *name, const struct place *place, uint64_t offset,
		  const uint8_t *data, uint64_t length, enum phone_deed_kind kind);
bool ph_forced_verify(const struct phone *p, const char *name);
void ph_misc_write(struct phone *p, uint64_t offset, const void *data, size_t length);
void ph_twin_name(const struct phone *p, const char *name, char out[NAME_ROOM]);

/* sparse.c */
bool ph_sparse_feed(struct phone *p, const struct place *place, const uint8_t *data, size_t length);
void ph_sparse_clear(struct sparse *sparse);
bool ph_is_sparse_image(const uint8_t *data, size_t length);

/* nv.c */
bool ph_nv_is_pair(const struct phone *p, const char *name, char twin[NAME_ROOM]);
uint16_t ph_nv_store(struct phone *p, const char *name, const uint8_t *body, size_t length);
bool ph_nv_load(struct phone *p, const char *name, bool repair);
bool ph_nv_read_body(const struct phone *p, const char *name, uint8_t *out, size_t *length);
size_t ph_nv_make_body(const struct phone *p, uint8_t *out, size_t room);
void ph_nv_format(struct phone *p, const char *name, const void *body, size_t length, bool blank);

/* read.c */
void ph_read_start(struct phone *p, const uint8_t *payload, size_t length);
void ph_read_midst(struct phone *p, const uint8_t *payload, size_t length);
void ph_read_uid(struct phone *p);
void ph_read_list(struct phone *p);
void ph_read_refinfo(struct phone *p, const uint8_t *payload, size_t length);

/* gpt.c */
void ph_gpt_load(struct phone *p, bool repair);
bool ph_gpt_store(struct phone *p, const struct phone_slice *slices, size_t count);
bool ph_gpt_from_parts(struct phone *p, const struct phone_part *parts, size_t count);
void ph_gpt_break(struct phone *p);
void ph_repartition_command(struct phone *p, const uint8_t *payload, size_t length);

/* store.c: names to places */
bool ph_resolve(struct phone *p, const char *name, struct place *place);
bool ph_resolve_const(const struct phone *p, const char *name, struct place *place);
bool ph_has_name(const struct phone *p, const char *name);
const struct phone_part *ph_profile_part(const struct phone *p, const char *name);
const struct phone_part *ph_part_by_id(const struct phone *p, uint32_t id);

/* record.c */
void ph_deed(struct phone *p, enum phone_deed_kind kind, const char *name, uint64_t offset, uint64_t length,
	     uint64_t digest, bool lied);
void ph_entry_open(struct phone *p, const char *name, uint64_t address, uint64_t size);
struct phone_entry *ph_entry_now(struct phone *p);
void ph_entry_piece(struct phone *p, const void *data, size_t length, bool raw, bool accepted);
void ph_entry_end(struct phone *p, uint16_t code);
void ph_entry_error(struct phone *p, uint16_t code);

/* faults.c, script.c */
int ph_fault_row(const char *id);
void ph_fault_at(struct phone *p, enum point point, const char *name);
/* The armed line of this id that applies to `name` (NULL: any), or NULL. Does not count. */
struct armed *ph_fault_for(struct phone *p, const char *id, const char *name);
/* The same with its event counter: true when the line fires now; counts. */
struct armed *ph_fault_hit(struct phone *p, const char *id, const char *name);
void ph_fault_fired(struct phone *p, const char *id); /* an inherent one happened */
void ph_fault_mark(struct phone *p, struct armed *armed);
int ph_fault_parse(struct armed *out, unsigned room, const char *script, const char **why);
void ph_fault_apply_setup(struct phone *p);
const char *ph_point_name(enum point point);
enum point ph_point_of(enum phone_stage stage, uint16_t type);

#endif
