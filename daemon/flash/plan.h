/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A package and options, compiled into ordered steps. What only the phone knows stands in it as a guard.
 * Pure: no I/O, no protocol. fdlctl uses it in its own process for --dry-run of a file.
 */
#ifndef FDLD_FLASH_PLAN_H
#define FDLD_FLASH_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "flash/facts.h"
#include "flash/marks.h"
#include "flash/table.h"
#include "pac/pac.h"

enum nv_policy { NV_KEEP, NV_KEEP_IF_ANY, NV_PACKAGE };
enum repartition_policy {
	REPARTITION_ON_MISMATCH,
	REPARTITION_PACKAGE,
	REPARTITION_ALWAYS,
	REPARTITION_NEVER
};
enum verify_level { LEVEL_ACKNOWLEDGED, LEVEL_SAMPLED, LEVEL_VERIFIED };
enum end_action { END_RESET, END_POWER_OFF, END_STAY };

/*
 * What happens where a plan would write or erase an area whose content is this one phone's own (partition.h).
 * Single things (made packages) are compiled with REFUSE or I_KNOW; reading is free in any case.
 */
enum own_policy {
	OWN_PACKAGE, /* a whole package: as it says; who may start it is decided by plan_loses_own() */
	OWN_REFUSE,  /* PartitionUnique */
	OWN_I_KNOW,  /* it was said in so many words: a backup is taken first, durable, and then it is done */
};
/* How places are told to the phone. */
enum addressing {
	ADDRESSING_PACKAGE, /* as the entries of the package have it; by name where it has loaders only */
	ADDRESSING_NAMES,
	ADDRESSING_NUMBERS, /* addresses and ids (old_ids below) */
};

#define PLAN_NAMES_MAX 64

/* All zero is the default. Strings are IDs of entries (or their partition names), compared without case. */
struct plan_options {
	enum nv_policy nv;
	enum repartition_policy repartition;
	enum verify_level level;
	enum end_action end;
	bool erase_all;		      /* wipes boot areas and table too; only after every backup is durable */
	bool force_loaders;	      /* accept loaders whose families differ */
	bool accept_bad_crc;	      /* of the container; said in the result */
	bool raw;		      /* raw-data mode; off by default (design, section 6) */
	bool continue_without_backup; /* blank prodnv or miscdata is no reason to stop */
	char nv_from[24];	      /* job id of an owed backup to take NV from; empty: none named */
	enum own_policy own;
	enum addressing addressing; /* of a package that has loaders only */
	bool nv_not_this_phone;	    /* the owed backup of this slot belongs to another phone */
	char only[PLAN_NAMES_MAX]
		 [40]; /* take only these (and what they need); count 0 = as the package says */
	char without[PLAN_NAMES_MAX][40]; /* leave these */
	uint32_t only_count, without_count;
	/*
	 * Whose loaders start the phone, in place of the package's own, which may be missing then; must
	 * outlive the plan. NULL: its own. Only plan_compile() looks at it; in a plan that does without, it
	 * is NULL.
	 */
	const struct pac *loaders;
};

enum plan_family { PLAN_TWO_STAGE, PLAN_SINGLE_FDL }; /* FlashTypeID >= 1 or 0 */

enum plan_op {
	OP_ERASE_ALL,
	OP_REPARTITION,
	OP_ERASE, /* partition or address */
	OP_WRITE, /* item payload, as it is */
	/*
	 * NV image with CRC and START sum. Three forms: item and backup: the backup merged into the item's
	 * image; item only: the package's as it is (policy package; in a resolved plan also keep-if-any on a
	 * blank board); backup only (item -1): the backup's own image goes back, sealed anew but not merged.
	 */
	OP_WRITE_NV,
	OP_RESTORE,	 /* backed-up file, verbatim (never NV) */
	OP_ENABLE_WRITE, /* 0x1B, only when the phone asked for it (WriteProtected) */
	OP_CHANGE,	 /* marks in a partition: its content as read before, changed (marks.h) */
	OP_FIRST_MODE,	 /* the loader's command for the mode of the first start; read back at once */
	OP_VERIFY,	 /* read back and compare what OP at index `of` wrote */
	OP_READ,	 /* an area into the caller's sink; only in plans that destroy nothing */
	OP_RESET,
	OP_POWER_OFF,
};

enum guard {
	GUARD_ALWAYS,
	GUARD_TABLE_DIFFERS, /* repartition */
	GUARD_STORAGE_EMMC,  /* one of two SPL */
	GUARD_STORAGE_UFS,
	GUARD_IN_TABLE, /* only when the phone's (coming) table lists the partition, e.g. uboot, vbmeta_a */
	GUARD_BACKUP_VALID, /* only when the backup it restores is there */
};

/* What a cancel has to wait for (design, promise 12). */
enum boundary { BOUNDARY_NOW, BOUNDARY_ENTRY, BOUNDARY_BOUND };

/*
 * The one command of a session that the phone may not know (device-behaviour 17: F20: a second one can cost
 * the next read). Where something of this phone's own is kept it goes to the identity that the backup belongs
 * to, and a table that cannot be read is probed. Where nothing is kept a table that cannot be read as GPT is
 * asked for instead: then the session has no identity.
 */
enum plan_unknown { UNKNOWN_NONE, UNKNOWN_UID, UNKNOWN_LIST_OR_UID };

#define PLAN_MARKS_MAX 8
#define PLAN_STEPS_MAX 256
#define PLAN_SKIPS_MAX 2

/* Bytes that a comparison leaves out: the phone stamps them. Offsets in the partition (expanded image),
 * bytes. */
struct plan_span {
	uint64_t at, size;
};

struct plan_step {
	enum plan_op op;
	enum guard guard;
	enum boundary boundary;
	bool destructive;
	int32_t item;	  /* pac item index, -1 none */
	int32_t backup;	  /* index into backups, -1 none */
	int32_t of;	  /* OP_VERIFY: index of the step it verifies */
	bool by_name;	  /* partition name, or address */
	char target[40];  /* partition name; "0xfe000003" for an address; entry ID where neither */
	uint64_t address; /* address form */
	uint64_t offset;  /* READ: first byte, from the start of the place */
	uint32_t sink;	  /* READ: number of the sink */
	bool measure;	  /* READ: size is the most there may be; what there is, its signed header tells */
	/*
	 * bytes: to send (WRITE), to read (READ; 0 until resolving knows the end), to erase (ERASE; 0 =
	 * whole), to compare (VERIFY, before the skips; a sparse image's expanded size; 0: nothing is read,
	 * no_verify says why)
	 */
	uint64_t size;
	struct plan_span skip[PLAN_SKIPS_MAX]; /* VERIFY: ascending */
	uint32_t skips;
	char no_verify[96]; /* why this entry cannot be compared (whole: size 0, or the skips); empty:
			       compared whole */
};

enum backup_kind { BACKUP_NV, BACKUP_FILE };

struct plan_backup {
	enum backup_kind kind;
	int32_t item; /* NV: item whose image it is merged into */
	bool by_name;
	char target[40];
	uint64_t address;
	uint64_t size; /* bytes to read; NV: the declared length, the true one is in the image */
	bool must;     /* without it nothing is erased */
	/*
	 * The plan replaces this very content because it was told to (OWN_I_KNOW): it is kept, but owed to
	 * nobody. size may be 0 then: all there is, by the phone's table.
	 */
	bool given_up;
	bool held;     /* the bytes are wanted in memory too, MARK_BYTES_MAX at most */
	char sink[40]; /* file name: target, lower case, [a-z0-9_.-] */
};

struct plan_loader {
	int32_t item; /* of plan_loaders_of(); -1: none (single FDL has no second) */
	uint32_t base;
	uint64_t size;	  /* bytes of the payload */
	bool second_enum; /* the phone leaves the bus as it starts, and returns: the loader says so itself */
	/* It says nothing, but some chips leave for a moment all the same (device-behaviour 3.6): once, and
	 * what comes back must be this loader. */
	bool may_leave;
	char text[64]; /* family as far as told by the image */
};

struct plan {
	enum plan_family family;
	struct plan_options options;
	const struct pac *pac; /* must outlive the plan; NULL: it needs none (plan_compile_end()) */
	struct plan_loader fdl1, fdl2;
	bool keep_charge; /* KEEP_CHARGE to FDL1 before the FDL2 START */
	/* No entry has a partition name: addresses and ids, big-endian, 0x06 reads (old FDL2, feature phones,
	 * single FDL) */
	bool old_ids;
	/*
	 * Package's partitions; count 0: none. Unit 4 (sectors): sizes are scaled with 512 until resolving
	 * knows the sector. table.sector is the sector the sizes were scaled with, 0 where it does not
	 * matter.
	 */
	struct flash_table table;
	uint8_t table_version;	      /* 0 or 1 (pac-and-flow 2.4) */
	uint8_t table_unit;	      /* V1 unit as it will be sent: 3 bytes, 4 sectors */
	int64_t table_gap[TABLE_MAX]; /* bytes, scaled like the sizes */
	enum plan_unknown may_not_know;
	struct plan_backup backup[FACTS_BACKUPS_MAX];
	uint32_t backup_count;
	/*
	 * Everything is at stake and no package says what this phone has of its own: when its table is known,
	 * a backup of each such area is added (plan_backups_by_table), and without a table nothing is done.
	 */
	bool own_by_table;
	struct mark mark[PLAN_MARKS_MAX]; /* CHANGE: those of the step's target, in order */
	uint32_t mark_count;
	bool whole_table; /* the result is the phone's table: what it is called and how large, as far as it
			     tells */
	struct plan_step step[PLAN_STEPS_MAX];
	uint32_t step_count;
	uint64_t bytes_to_send; /* loaders and images, guards taken as true */
	uint64_t bytes_to_verify;
	uint64_t bytes_to_read; /* into sinks; what is not known yet counts as 0 */
	uint32_t doubt_count;
	/*
	 * What a person should know before saying yes. Statements begin with a key ("nv=", "table=",
	 * "departure=", "may-not-know="). The last row tells if there is more.
	 */
	char doubt[64][160];
};

/*
 * Compiles. On refusal returns negative errno and fills *why (PackageNoLoader, PackageType, PackageUnsafe,
 * ImageTooLarge against the package's own table, LoaderMismatch (of one loader with the other, or of
 * options.loaders with the package: another family, or fewer loaders), PackagePartitions, InvalidArgs for an
 * unknown entry name, PartitionUnique ...). *out is one allocation; plan_free(). Order: pac-and-flow 5.4 and
 * 11; NV directly after repartition.
 */
int plan_compile(const struct pac *pac, const struct plan_options *options, struct plan **out,
		 struct failure *why);
void plan_free(struct plan *plan);
/*
 * For a plan with own_by_table: a copy of it with a backup of each area of the phone's own that its table
 * lists and the plan does not keep yet. 0 and *out (plan_free), or TableUnreadable (nothing is known of the
 * phone's areas, and it is not known to be blank), LimitsExceeded, Internal. Pure.
 */
int plan_backups_by_table(const struct plan *plan, const struct device_facts *facts, struct plan **out,
			  struct failure *why);
/*
 * With these options the package writes or erases an area other than NV whose content is this one phone's own
 * (factory data, calibration) and which is not read before and put back.
 */
bool plan_loses_own(const struct plan_options *options, const struct pac *pac);

/* How the package itself speaks of places; ADDRESSING_PACKAGE: it has loaders only and does not tell. */
enum addressing plan_addressing_of(const struct pac *pac);
/* A name that a phone can be asked for and that stands for one partition. */
bool plan_name_usable(const char *name);
/* A place of this name (empty: an address) holds data that only this one phone has, or may hold it. */
bool plan_area_own(const char *name);
/* What is written there is an NV image. name empty: the address says it. */
bool plan_area_nv(const char *name, uint64_t address);
/* What lies at this address is of one phone only. */
bool plan_address_own(uint64_t address);

#define PLAN_READS_MAX (TABLE_MAX + 2)

/* One area to be read. */
struct plan_read {
	char target[40];  /* partition name; empty: by address */
	uint64_t address; /* address form: flash address or id, 32 bits */
	uint64_t offset;  /* first byte, from the start of the place */
	uint64_t size;	  /* bytes; 0: to its end, which only a table tells */
	/*
	 * How many bytes there are is told by the signed header (DHTB) at `offset`: its payload, and the
	 * certificate behind it. size is the most that is believed then; 0: 64 MiB.
	 */
	bool measure;
};

/* What plan_reads_of_table() leaves out. */
struct plan_save {
	bool user_data; /* userdata too, and what belongs to it (metadata, cache) */
	char slot;	/* 'a' or 'b': of partitions with slots only this one; 0: both */
	uint64_t spl;	/* bytes of splloader, which no table tells; 0: 256 KiB, which holds any */
	bool no_spl;
};

/*
 * The areas that make up a phone, for a backup: those of its table in its order, splloader first. Left out
 * are the second copies of NV, which a phone keeps by itself and takes from nobody, and logs. Returns how
 * many were put into out (PLAN_READS_MAX of them); 0: no table.
 */
uint32_t plan_reads_of_table(const struct flash_table *t, const struct plan_save *save,
			     struct plan_read *out);

/*
 * A plan that reads areas into the caller's sinks (SINK_READ, numbered as the areas are) and destroys
 * nothing: no backup, no intent, nothing owed is looked up, and no whole-file check is waited for: of the
 * package only the loaders are used. options may be NULL; only `end` and `force_loaders` count. Refusals:
 * InvalidArgs, PackageNoLoader, LoaderMismatch; when resolving: PartitionMissing, InvalidArgs (outside of the
 * partition), TableUnreadable (size 0 and no end can be found). plan_free().
 */
int plan_compile_read(const struct pac *pac, const struct plan_options *options,
		      const struct plan_read *reads, uint32_t count, struct plan **out, struct failure *why);
/*
 * A plan that only learns: loaders, capabilities, the partition table with every means there is (GPT, list
 * with its unit measured, sizes probed name by name), no identity. The table is session_result.facts->table,
 * with its origin; count 0: this phone tells none (old_ids: it has none). Refusals as plan_compile_read().
 */
int plan_compile_table(const struct pac *pac, const struct plan_options *options, struct plan **out,
		       struct failure *why);
/*
 * A plan that changes marks and nothing else: each partition concerned is read whole, kept durably, changed,
 * written back and compared. With BOOT marks options->end decides when they take effect. Of the options end,
 * force_loaders and raw count. Refusals: InvalidArgs (none, too many, a phone without names), loaders as
 * above; when the phone was read: PartitionMissing, BackupFailed, MarkUnusable (mark_apply()).
 */
int plan_compile_marks(const struct pac *pac, const struct plan_options *options, const struct mark *marks,
		       uint32_t count, struct plan **out, struct failure *why);
/*
 * A plan that reads what marks there are: sink number i has mark_areas[i], or nothing where the phone has no
 * such place. Otherwise as plan_compile_read(); TableUnreadable when nothing tells which places there are.
 */
int plan_compile_show_marks(const struct pac *pac, const struct plan_options *options, struct plan **out,
			    struct failure *why);
/*
 * A plan that only ends what runs on the phone: of a loader that is there already, and without a package; a
 * phone in its boot ROM is refused with NothingKept. end: reset or power off. plan_free().
 */
int plan_compile_end(enum end_action end, struct plan **out, struct failure *why);
/* Something of the phone's storage is going to be changed: then backups, intent and gate come first. */
bool plan_destroys(const struct plan *plan);
/* The package whose items fdl1 and fdl2 are (SOURCE_LOADER): its own, or that of options.loaders. NULL as
 * plan.pac. */
const struct pac *plan_loaders_of(const struct plan *plan);
const struct pac_item *plan_loader_item(const struct plan *plan,
					const struct plan_loader *loader); /* NULL: none */

/*
 * The plan decided by facts: a new plan without guards, every image fitted to the table that will be there,
 * storage chosen, NV decided by policy and backup states. Pure. Refusals: StorageMismatch, PartitionMissing,
 * ImageTooLarge, RepartitionNotAllowed, NvUnreadable, NvInvalid, BackupFailed, TableUnreadable ... What was
 * decided and a person should know is appended to the doubts ("nv=blank: ..."). Restores of files that
 * nothing in the decided plan touches are dropped: what was not moved need not be written. A new allocation,
 * plan_free(); it keeps a pointer to the same package.
 */
int plan_resolve(const struct plan *plan, const struct device_facts *facts, struct plan **out,
		 struct failure *why);

/* One line for a step, for people and the intent: "write boot (35.0 MiB)". Returns buf. */
const char *plan_step_text(const struct plan *plan, const struct plan_step *step, char *buf, size_t size);
/* Time the read-back of a plan takes at this rate, microseconds; 0 if nothing is read back or the rate is 0.
 */
uint64_t plan_verify_usec(const struct plan *plan, uint64_t bytes_per_s);

/*
 * Lines for people and programs, one call each: key is stable ("family", "loader", "table", "backup", "step",
 * "doubt", "total"), index counts within the key, text is for people and may change.
 */
typedef void (*plan_line)(void *ctx, const char *key, uint32_t index, const char *text);
void plan_print(const struct plan *plan, plan_line line, void *ctx);

const char *
plan_op_name(enum plan_op op); /* "erase-all", "repartition", "write", "write-nv", ... stable, in JSON */
const char *guard_name(enum guard guard);	   /* "always", "table-differs", ... */
const char *boundary_name(enum boundary boundary); /* "now", "entry", "bound" */
const char *nv_policy_name(enum nv_policy policy); /* "keep", "keep-if-any", "package" */
const char *
repartition_policy_name(enum repartition_policy policy); /* "on-mismatch", "package", "always", "never" */
const char *verify_level_name(enum verify_level level);	 /* "acknowledged", "sampled", "verified" */
const char *end_action_name(enum end_action end);	 /* "reset", "power-off", "stay" */
/* "READ_CHIP_UID", "READ_PARTITION, or READ_CHIP_UID if ..."; "" for none. For people. */
const char *plan_unknown_text(enum plan_unknown unknown);

#endif
