/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/bus/slowdisk.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define NODE	 2u
#define HELD_MAX 64u
#define HELD_SEC 20 /* no test needs longer, and a process that waits here cannot even be killed */
#define REPLY	 (1u << 20)

static int device = -1;
static struct slowdisk *disk;

struct request {
	struct fuse_in_header in;
	union {
		struct fuse_read_in read;
		struct fuse_init_in init;
		char bytes[8192];
	};
};

static struct request held[HELD_MAX];
static time_t held_since[HELD_MAX];
static unsigned int held_count;

static void reply(const struct request *q, int error, const void *data, size_t len)
{
	static char buf[sizeof(struct fuse_out_header) + REPLY];
	struct fuse_out_header out = { .len = (uint32_t)(sizeof(out) + len),
				       .error = -error,
				       .unique = q->in.unique };

	memcpy(buf, &out, sizeof(out));
	if (len)
		memcpy(buf + sizeof(out), data, len);
	/* whoever asked may be gone */
	if (write(device, buf, out.len) < 0 && errno != ENOENT)
		_exit(2);
}

static void fill(struct fuse_attr *attr, uint64_t node)
{
	struct stat st = { .st_mode = S_IFDIR | 0755 };

	if (node == NODE)
		(void)stat(disk->backing, &st);
	memset(attr, 0, sizeof(*attr));
	attr->ino = node;
	attr->size = node == NODE ? (uint64_t)st.st_size : 0;
	attr->mode = node == NODE ? S_IFREG | 0644 : S_IFDIR | 0755;
	attr->nlink = 1;
	attr->blksize = 4096;
}

static void read_file(const struct request *q)
{
	static char buf[REPLY];
	size_t want = q->read.size < sizeof(buf) ? q->read.size : sizeof(buf);
	int fd = open(disk->backing, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : pread(fd, buf, want, (off_t)q->read.offset);

	if (fd >= 0)
		close(fd);
	reply(q, n < 0 ? EIO : 0, buf, n < 0 ? 0 : (size_t)n);
}

static bool is_held(const struct request *q)
{
	switch (q->in.opcode) {
	case FUSE_GETATTR: return disk->hold_stat && q->in.nodeid == NODE;
	case FUSE_FLUSH: return disk->hold_close;
	case FUSE_READ: return q->read.offset + q->read.size > disk->hold_read;
	default: return false;
	}
}

static void answer(const struct request *q)
{
	struct fuse_init_out init = {
		.major = FUSE_KERNEL_VERSION, .minor = 31, .max_readahead = 0, .max_write = 65536
	};
	struct fuse_entry_out entry = { .nodeid = NODE };
	struct fuse_attr_out attr = { 0 };
	struct fuse_open_out open_out = { .open_flags = FOPEN_DIRECT_IO };

	switch (q->in.opcode) {
	case FUSE_INIT: reply(q, 0, &init, sizeof(init)); break;
	case FUSE_LOOKUP:
		fill(&entry.attr, NODE);
		reply(q, strcmp(q->bytes, "package.pac") ? ENOENT : 0, &entry, sizeof(entry));
		break;
	case FUSE_GETATTR:
		fill(&attr.attr, q->in.nodeid);
		reply(q, 0, &attr, sizeof(attr));
		break;
	case FUSE_OPEN: reply(q, 0, &open_out, sizeof(open_out)); break;
	case FUSE_READ:
		if (disk->fail_read || disk->shy)
			reply(q, disk->shy ? EAGAIN : EIO, NULL, 0);
		else
			read_file(q);
		break;
	case FUSE_FLUSH:
	case FUSE_RELEASE: reply(q, 0, NULL, 0); break;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT: break; /* have no answer */
	default: reply(q, ENOSYS, NULL, 0); break;
	}
}

static void count(const struct request *q)
{
	disk->stats += q->in.opcode == FUSE_GETATTR;
	disk->reads += q->in.opcode == FUSE_READ;
	disk->closes += q->in.opcode == FUSE_FLUSH;
}

static _Noreturn void serve(void)
{
	static char buf[sizeof(struct fuse_in_header) + REPLY];
	struct pollfd fd = { .fd = device, .events = POLLIN };
	struct request q;

	for (;;) {
		for (unsigned int i = 0; i < held_count;) {
			if (is_held(&held[i]) && time(NULL) - held_since[i] < HELD_SEC) {
				i++;
				continue;
			}
			answer(&held[i]);
			held[i] = held[--held_count];
			held_since[i] = held_since[held_count];
		}
		disk->held = held_count;
		if (poll(&fd, 1, 10) <= 0)
			continue;
		ssize_t n = read(device, buf, sizeof(buf));

		if (n < (ssize_t)sizeof(q.in)) {
			if (n < 0 && (errno == EINTR || errno == ENOENT || errno == EAGAIN))
				continue;
			_exit(n < 0 && errno == ENODEV ? 0 : 3);
		}
		memset(&q, 0, sizeof(q));
		memcpy(&q, buf, (size_t)n < sizeof(q) ? (size_t)n : sizeof(q));
		count(&q);
		if (is_held(&q) && held_count < HELD_MAX) {
			held_since[held_count] = time(NULL);
			held[held_count++] = q;
		} else {
			answer(&q);
		}
	}
}

bool slowdisk_prepare(void)
{
	device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	return device >= 0;
}

static _Noreturn void die(const char *what)
{
	perror(what);
	exit(99);
}

struct slowdisk *slowdisk_new(void)
{
	char options[96];

	if (disk)
		return disk;
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other", device);
	mkdir("/run/slowdisk", 0755);
	if (mount("slowdisk", "/run/slowdisk", "fuse", MS_NOSUID | MS_NODEV, options) < 0)
		die("mount of a FUSE");
	disk = mmap(NULL, sizeof(*disk), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (disk == MAP_FAILED)
		die("mmap");
	disk->hold_read = UINT64_MAX;
	fflush(stdout);
	if (fork() == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		serve();
	}
	/* the server's alone: with it the file system ends, and whoever hangs in it comes back */
	close(device);
	return disk;
}

void slowdisk_reset(struct slowdisk *d, const char *backing)
{
	d->hold_stat = d->hold_close = d->fail_read = d->shy = false;
	d->hold_read = UINT64_MAX;
	if (backing)
		snprintf(d->backing, sizeof(d->backing), "%s", backing);
	/* what was held is let go of */
	for (int i = 0; i < 200 && d->held; i++)
		usleep(10000);
	d->stats = d->reads = d->closes = 0;
}
