/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * make demo: simulated phones of several chips on several ports, flashed side by side from whole packages by
 * the real daemon, driven by the real client on this terminal; afterwards the storage of each is compared
 * with its package. One of them refuses an image: its signature is not right.
 *
 * make demo-bus: the same station, kept running, for whoever writes a client and has no phone.
 *
 * usage: demo_station BUILDDIR [--stay]
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bus/rig.h"
#include "tests/bus/storecheck.h"
#include "tests/phone/loader.h"

#define CAST	 6
#define MIB(n)	 ((size_t)(n) << 20)
#define AGAIN_NS UINT64_C(4000000000) /* a phone that has left comes back after this (--stay) */

struct role {
	const char *profile; /* of the phone, and family of the made package */
	const char *port, *file, *what;
	const char *error; /* last part of the name that the job must fail with; NULL: it must pass */
	const char *big;   /* ID of the image that takes the time, and its bytes */
	size_t big_bytes;
	uint32_t wire; /* bytes a second */
	bool unsigned_boot;
	const char *data; /* a real package, used where it is there */
};

static const struct role cast[CAST] = {
	{ .profile = "sc9863a",
	  .port = "1",
	  .file = "sc9863a.pac",
	  .what = "SC9863A, eMMC",
	  .big = "BOOT",
	  .big_bytes = MIB(24),
	  .wire = 6000000 },
	{ .profile = "ums512",
	  .port = "4.1",
	  .file = "ums512.pac",
	  .what = "UMS512 (T618), secure boot",
	  .big = "BOOT",
	  .big_bytes = MIB(30),
	  .wire = 7000000 },
	{ .profile = "ums9620",
	  .port = "4.2",
	  .file = "ums9620.pac",
	  .what = "UMS9620 (T770), UFS, 5G",
	  .big = "Modem_NR",
	  .big_bytes = MIB(40),
	  .wire = 9000000 },
	{ .profile = "sc7731g",
	  .port = "2",
	  .file = "sc7731g.pac",
	  .what = "SC7731G, re-enumerates",
	  .big = "System",
	  .big_bytes = MIB(12),
	  .wire = 4000000 },
	{ .profile = "uic8850",
	  .port = "4.3.1",
	  .file = "uic8850.pac",
	  .what = "UIC8850, LTE module, NOR",
	  .big = "CP",
	  .big_bytes = MIB(1),
	  .wire = 1000000,
	  .data = "pac/uic8850-core.pac" },
	{ .profile = "ums9230",
	  .port = "3",
	  .file = "ums9230.pac",
	  .what = "UMS9230 (T606), A/B, secure boot",
	  .big = "Modem_LTE",
	  .big_bytes = MIB(20),
	  .wire = 8000000,
	  .error = "SignatureRefused",
	  .unsigned_boot = true },
};

struct actor {
	const struct role *role;
	struct rig_phone *phone;
	struct store_before *before;
	char path[128], job[32];
	bool real; /* the package is a real one */
	uint64_t left_ns;
};

static struct actor actors[CAST];
static volatile sig_atomic_t interrupted;

static void on_signal(int sig)
{
	interrupted = sig;
}

static _Noreturn void die(const char *what, const char *which)
{
	fprintf(stderr, "demo: %s: %s\n", what, which ? which : strerror(errno));
	exit(99);
}

static void *need(void *p)
{
	if (!p)
		die("out of memory", NULL);
	return p;
}

/* ---- packages ------------------------------------------------------------------------------------------ */

/* The images that a phone with secure boot checks before it writes them; vbmeta is right as the composer
 * makes it. */
static const char *const checked[] = { "Modem_LTE", "BOOT",	     "Vendor_BOOT", "DTBO",
				       "BootLogo",  "Trustos",	     "SML",	    "UBOOTLoader",
				       "SPLLoader", "SPLLoaderEMMC", "SPLLoaderUFS" };

/* An image of the maker's own, made larger where the role wants that, and signed as the phone wants it. */
static bool make_image(const struct role *role, const struct compose_spec *spec, const char *id, bool sign,
		       struct compose_file *out)
{
	size_t len;
	uint8_t *made = compose_payload(spec, id, 0, &len), *image;

	if (!made)
		return false;
	if (!strcmp(id, role->big)) {
		free(made);
		len = role->big_bytes;
		made = need(malloc(len));
		compose_random(spec->seed, made, len);
	}
	if (len > 4 && !memcmp(made, "DHTB", 4)) {
		free(made);
		return false;
	}
	*out = (struct compose_file){ .id = id, .data = made, .len = len };
	if (!sign || (role->unsigned_boot && !strcmp(id, "BOOT")))
		return true;
	image = need(malloc(len + 512));
	out->len = phone_make_dhtb(made, len, image, len + 512);
	out->data = image;
	free(made);
	return true;
}

static void make_package(struct rig *rig, struct actor *a, size_t i)
{
	const struct role *role = a->role;
	const struct phone_profile *profile = phone_profile_by_name(role->profile);
	struct compose_spec spec = { .family = role->profile, .seed = 40 + i, .image_bytes = 300000 };
	struct compose_file file[16];
	uint8_t *fdl[2] = { NULL, NULL };
	size_t files = 0;
	uint64_t len;
	int fd, r;

	spec.fdl1_len = phone_loader_size(profile, 1);
	spec.fdl2_len = phone_loader_size(profile, 2);
	spec.fdl1 = fdl[0] = need(malloc(spec.fdl1_len));
	phone_make_loader(profile, 1, fdl[0], spec.fdl1_len);
	if (spec.fdl2_len) {
		spec.fdl2 = fdl[1] = need(malloc(spec.fdl2_len));
		phone_make_loader(profile, 2, fdl[1], spec.fdl2_len);
	}
	for (size_t k = 0; profile->secure && k < sizeof(checked) / sizeof(checked[0]); k++)
		files += make_image(role, &spec, checked[k], true, &file[files]);
	if (!profile->secure)
		files += make_image(role, &spec, role->big, false, &file[0]);
	spec.file = file;
	spec.files = files;
	fd = open(a->path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	r = fd < 0 ? -errno : compose_write(&spec, fd, &len);
	if (r < 0)
		die(a->path, strerror(-r));
	close(fd);
	for (size_t k = 0; k < files; k++)
		free((void *)(uintptr_t)file[k].data);
	free(fdl[0]);
	free(fdl[1]);
}

static bool copy_package(struct actor *a)
{
	size_t len;
	uint8_t *real = a->role->data ? compose_data(a->role->data, &len) : NULL;
	FILE *f = real ? fopen(a->path, "wb") : NULL;
	bool good = f && fwrite(real, 1, len, f) == len;

	if (f && fclose(f))
		good = false;
	if (real && !good)
		die(a->path, NULL);
	free(real);
	return good;
}

/* ---- the station ----------------------------------------------------------------------------------------
 */

static void make_actor(struct rig *rig, size_t i)
{
	struct actor *a = &actors[i];
	const struct role *role = &cast[i];
	struct phone_setup setup = { .seed = 7 + i, .time_percent = 100, .buffer_bytes = MIB(64) };
	struct bed_spec where = { .bus = 1, .ports = role->port, .bytes_per_s = role->wire };
	struct rig_phone *p = &rig->phone[rig->phone_count++];
	const struct phone_profile *profile = phone_profile_by_name(role->profile);
	uint8_t *nv = need(malloc(MIB(1)));
	const char *why = NULL;

	a->role = role;
	snprintf(a->path, sizeof(a->path), "%s/%s", rig->dir, role->file);
	a->real = copy_package(a);
	if (!a->real)
		make_package(rig, a, i);
	if (a->real) {
		setup.nv_length = store_used_nv(a->path, profile, setup.seed, nv, MIB(1));
		setup.nv = setup.nv_length ? nv : NULL;
	}
	p->phone = phone_new(profile, &setup, &why);
	free(nv);
	if (!p->phone)
		die("no phone", why);
	p->bp = bed_phone_new(rig->bed, p->phone, &where, 1);
	a->phone = p;
	a->before = store_before(p->phone, a->path);
}

static bool ended(void *arg)
{
	int *status = arg;

	return interrupted || waitpid(status[0], &status[1], WNOHANG) == status[0];
}

/*
 * fdlctl on this terminal, while the bed goes on; its exit code. to: a file for its output, NULL: the
 * terminal.
 */
static int fdlctl(struct rig *rig, const char *to, const char *const args[])
{
	const char *argv[16] = { NULL };
	char program[512], full[480];
	int child[2] = { 0, 0 }, n = 1;

	if (!realpath(rig->build, full))
		die(rig->build, NULL);
	snprintf(program, sizeof(program), "%s/fdlctl", full);
	argv[0] = program;
	for (; args[n - 1] && n < 15; n++)
		argv[n] = args[n - 1];
	if (!to) {
		printf("\n$ fdlctl");
		for (int i = 1; i < n; i++)
			printf(" %s", argv[i]);
		printf("\n");
	}
	fflush(stdout);
	child[0] = fork();
	if (child[0] < 0)
		die("fork", NULL);
	if (!child[0]) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		signal(SIGINT, SIG_DFL);
		if (chdir(rig->dir) < 0 || (to && !freopen(to, "w", stdout)))
			_exit(126);
		execv(program, (char *const *)argv);
		perror(program);
		_exit(127);
	}
	bed_run(rig->bed, 110000, ended, child);
	if (interrupted || !(WIFEXITED(child[1]) || WIFSIGNALED(child[1]))) {
		kill(child[0], SIGTERM);
		waitpid(child[0], &child[1], 0);
	}
	return WIFEXITED(child[1]) ? WEXITSTATUS(child[1]) : 128;
}

#define FDLCTL(rig, to, ...) fdlctl(rig, to, (const char *const[]){ __VA_ARGS__, NULL })

static void kernel_name(const struct role *role, char *out, size_t room)
{
	snprintf(out, room, "1-%s", role->port);
}

/* ---- make demo ------------------------------------------------------------------------------------------
 */

/* "job 3" is what fdlctl flash --detach prints. */
static bool start_job(struct rig *rig, struct actor *a)
{
	char port[16], out[128], line[64] = "";
	FILE *f;
	int rc;

	kernel_name(a->role, port, sizeof(port));
	snprintf(out, sizeof(out), "%s/job", rig->dir);
	printf("$ fdlctl flash --slot %s --level verified --detach %s\n", port, a->role->file);
	rc = FDLCTL(rig, out, "flash", "--slot", port, "--level", "verified", "--detach", a->role->file);
	f = fopen(out, "r");
	if (f && fgets(line, sizeof(line), f) && sscanf(line, "job %31s", a->job) != 1)
		a->job[0] = '\0';
	if (f)
		fclose(f);
	printf("%s", line);
	return rc == 0 && a->job[0];
}

static void bytes_text(uint64_t bytes, char *out, size_t room)
{
	snprintf(out, room, "%.1f MiB", (double)bytes / (1 << 20));
}

/* One phone: what its storage holds against what its package says, and whether the job told the truth. */
static bool compare(struct rig *rig, struct actor *a)
{
	char path[64], port[16], size[32], result[64];
	struct store_report r;
	const char *error;
	bool passed, good;

	snprintf(path, sizeof(path), ROOT "/job/%s", a->job);
	error = rig_get(rig, path, JOB, "ErrorName");
	error = strrchr(error, '.') ? strrchr(error, '.') + 1 : error;
	passed = !strcmp(rig_get(rig, path, JOB, "State"), "succeeded");
	store_check(a->phone->phone, a->path, a->before, &r);
	kernel_name(a->role, port, sizeof(port));
	bytes_text(r.bytes, size, sizeof(size));
	snprintf(result, sizeof(result), "%s", passed ? "PASS" : error);
	if (!a->role->error) {
		good = passed && !r.wrong[0] && r.images;
		printf("  %-8s%-9s%-5s %2u images, %s equal; %u areas empty, %u kept; NV: %u items new, %u its own%s%s\n",
		       port, a->role->profile, result, r.images, size, r.erased, r.kept, r.nv_new, r.nv_own,
		       r.wrong[0] ? "; DIFFERS: " : "", r.wrong);
	} else {
		good = !passed && !strcmp(error, a->role->error) && r.wrong[0];
		printf("  %-8s%-9sFAIL  %s, as it must; not the package: %s\n", port, a->role->profile,
		       result, r.wrong[0] ? r.wrong : "nothing, although the job failed");
	}
	if (!good)
		printf("  %-8s%-9snot as expected (job %s)\n", port, a->role->profile, a->job);
	return good;
}

static void plug_all(struct rig *rig)
{
	printf("Plugging in %d phones:\n", CAST);
	for (size_t i = 0; i < CAST && !interrupted; i++) {
		char port[16];

		bed_phone_plug(actors[i].phone->bp, true);
		kernel_name(actors[i].role, port, sizeof(port));
		printf("  %-8s%-34s%s%s\n", port, actors[i].role->what, actors[i].role->file,
		       actors[i].real ? " (a real one)" : "");
		fflush(stdout);
		rig_sleep(rig, 250);
	}
}

/* What was on the wire when it failed: the last lines of the flight recorder. */
static void show_trace(struct rig *rig, const struct actor *a)
{
	char out[128], line[5][200] = { { 0 } };
	unsigned int n = 0;
	FILE *f;

	printf("\n$ fdlctl jobs trace %s | tail -n 5\n", a->job);
	snprintf(out, sizeof(out), "%s/trace", rig->dir);
	(void)FDLCTL(rig, out, "jobs", "trace", a->job);
	f = fopen(out, "r");
	while (f && fgets(line[n % 5], sizeof(line[0]), f))
		n++;
	for (unsigned int i = 0; i < 5; i++)
		fputs(line[(n + i) % 5], stdout);
	if (f)
		fclose(f);
}

static int demo(struct rig *rig)
{
	uint64_t began = bed_now();
	unsigned int passed = 0, failed = 0, good = 0;

	plug_all(rig);
	FDLCTL(rig, NULL, "list");
	printf("\n");
	for (size_t i = 0; i < CAST && !interrupted; i++)
		if (!start_job(rig, &actors[i]))
			printf("  refused\n");
	if (!interrupted)
		FDLCTL(rig, NULL, "attach");
	for (size_t i = 0; i < CAST && !interrupted; i++)
		if (actors[i].role->error)
			show_trace(rig, &actors[i]);
	if (interrupted)
		return 130;
	printf("\nStorage of each phone against its package:\n");
	for (size_t i = 0; i < CAST; i++) {
		bool as_expected = actors[i].job[0] && compare(rig, &actors[i]);

		good += as_expected;
		passed += as_expected && !actors[i].role->error;
		failed += as_expected && actors[i].role->error;
	}
	printf("\n%s: %u passed and hold their package, %u failed as it must, %u not as expected; %.0f s\n",
	       good == CAST ? "demo ok" : "DEMO FAILED", passed, failed, CAST - good,
	       (double)(bed_now() - began) / 1e9);
	return good == CAST ? 0 : 1;
}

/* ---- make demo-bus ---------------------------------------------------------------------------------------
 */

/* Phones that have booted, or that nobody uses any more, come back switched off, boot key held. */
static void come_back(struct rig *rig)
{
	for (size_t i = 0; i < CAST; i++) {
		struct actor *a = &actors[i];
		const struct phone *phone = a->phone->phone;
		struct bed_dev *dev = bed_phone_dev(a->phone->bp);
		bool idle = bed_gone(dev) || bed_count(dev)->opens == bed_count(dev)->closes;

		if (!idle || (phone_stage(phone) == PHONE_ROM && phone_present(phone))) {
			a->left_ns = 0;
		} else if (!a->left_ns) {
			a->left_ns = bed_now();
		} else if (bed_now() - a->left_ns > AGAIN_NS) {
			bed_phone_unplug(a->phone->bp, true);
			rig_sleep(rig, 500);
			bed_phone_plug(a->phone->bp, true);
			a->left_ns = 0;
		}
	}
}

static int stay(struct rig *rig, const char *address)
{
	plug_all(rig);
	FDLCTL(rig, NULL, "list");
	printf("\nThe station runs until Ctrl-C. Its bus, for any client:\n\n"
	       "  %s\n\nPackages are in %s. In another terminal, for example:\n\n"
	       "  export FDLD_BUS=%s\n"
	       "  %s/fdlctl list\n"
	       "  %s/fdlctl flash --slot 1-%s %s\n"
	       "  busctl --address=$FDLD_BUS tree org.fdld1\n\n"
	       "A phone that has left comes back after some seconds, as from a cold start. Log: %s\n",
	       address, rig->dir, address, rig->build, rig->build, actors[0].role->port, actors[0].path,
	       rig->log);
	fflush(stdout);
	while (!interrupted) {
		rig_sleep(rig, 200);
		come_back(rig);
	}
	printf("\nEnding.\n");
	return 0;
}

int main(int argc, char **argv)
{
	struct rig *rig;
	char listen[96], address[128];
	bool staying = argc > 2 && !strcmp(argv[2], "--stay");
	int rc;

	if (argc < 2) {
		fprintf(stderr, "usage: %s BUILDDIR [--stay]\n", argv[0]);
		return 2;
	}
	bed_enter();
	sigaction(SIGINT, &(struct sigaction){ .sa_handler = on_signal }, NULL);
	sigaction(SIGTERM, &(struct sigaction){ .sa_handler = on_signal }, NULL);
	rig = rig_new(argv[1]);
	if (staying) {
		/* the same bus once more, with a door that others than our children can find */
		snprintf(listen, sizeof(listen), "%s/bus", rig->dir);
		snprintf(address, sizeof(address), "unix:path=%s", listen);
		bed_bus_stop(rig->bed);
		bed_bus(rig->bed, NULL, listen);
		if (chmod(rig->dir, 0755) < 0)
			die("chmod", NULL);
	}
	for (size_t i = 0; i < CAST; i++)
		make_actor(rig, i);
	if (!rig_up(rig, NULL)) {
		fprintf(stderr, "demo: fdld does not start; its log is %s\n", rig->log);
		setenv("RIG_KEEP", "1", 1);
		rc = 1;
	} else {
		rc = staying ? stay(rig, address) : demo(rig);
		(void)rig_down(rig, SIGTERM, 5000);
	}
	for (size_t i = 0; i < CAST; i++)
		store_before_free(actors[i].before);
	rig_free(rig);
	return rc;
}
