/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Names on the bus that the daemon and its clients must agree on. The number in them is the
 * version of the contract; a change that breaks a client makes org.fdld2, beside this one.
 */
#ifndef FDLD_COMMON_NAMES_H
#define FDLD_COMMON_NAMES_H

#define FDLD_BUS_NAME	  "org.fdld1"
#define FDLD_ERROR_PREFIX "org.fdld1.Error."

/* object paths */
#define FDLD_PATH_ROOT	  "/org/fdld1"
#define FDLD_PATH_SLOTS	  "/org/fdld1/slot"
#define FDLD_PATH_DEVICES "/org/fdld1/device"
#define FDLD_PATH_JOBS	  "/org/fdld1/job"
#define FDLD_PATH_IMAGES  "/org/fdld1/image"
#define FDLD_PATH_LOADERS "/org/fdld1/loader"
#define FDLD_PATH_BACKUPS "/org/fdld1/backup"

/* interfaces */
#define FDLD_IFACE_MANAGER	  "org.fdld1.Manager"
#define FDLD_IFACE_SLOT		  "org.fdld1.Slot"
#define FDLD_IFACE_DEVICE	  "org.fdld1.Device"
#define FDLD_IFACE_JOB		  "org.fdld1.Job"
#define FDLD_IFACE_PROGRESS	  "org.fdld1.Progress"
#define FDLD_IFACE_IMAGE	  "org.fdld1.Image"
#define FDLD_IFACE_LOADER	  "org.fdld1.Loader"
#define FDLD_IFACE_BACKUP	  "org.fdld1.Backup"

#define FDLD_IFACE_OBJECT_MANAGER "org.freedesktop.DBus.ObjectManager"
#define FDLD_IFACE_PROPERTIES	  "org.freedesktop.DBus.Properties"
#define FDLD_IFACE_INTROSPECTABLE "org.freedesktop.DBus.Introspectable"
#define FDLD_IFACE_PEER		  "org.freedesktop.DBus.Peer"

#endif
