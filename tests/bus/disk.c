/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/bus/disk.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "tests/bus/ctl.h"
#include "tests/bus/written.h"

bool disk_small(struct rig *rig, const char *options)
{
	return mount("small", rig->state, "tmpfs", 0, options) == 0;
}

bool disk_gone(struct rig *rig)
{
	return umount2(rig->state, MNT_DETACH) == 0;
}

bool disk_fill(struct rig *rig, size_t leave)
{
	char path[128], page[4096] = "";
	struct statvfs fs;
	size_t left = 0;
	bool good;
	int fd;

	snprintf(path, sizeof(path), "%s/filler", rig->state);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	good = fd >= 0 && fstatvfs(fd, &fs) == 0;
	if (good)
		left = (size_t)fs.f_bavail * fs.f_bsize;
	for (; good && left >= leave + sizeof(page); left -= sizeof(page))
		good = write(fd, page, sizeof(page)) == (ssize_t)sizeof(page);
	if (fd >= 0)
		close(fd);
	return good;
}

bool disk_empty(struct rig *rig)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/filler", rig->state);
	return unlink(path) == 0;
}

bool disk_refuses(struct rig *rig, struct rig_phone *p, size_t leave, const char *command)
{
	int rc;
	bool good = disk_fill(rig, leave);

	rc = ctl(rig, 60000, "%s", command);
	if (rc != ctl_code("StoreFailed") || written_changes(p->phone)) {
		tap_note("%zu bytes: %s ends with %d: %s", leave, command, rc, ctl_out);
		good = false;
	}
	return disk_empty(rig) && good && rig_replug(rig, p);
}
