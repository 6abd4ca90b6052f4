/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Compares what a daemon says of itself with what dbus/ promises: methods, signals, properties, arguments
 * with names, types and directions, annotations.
 */
#ifndef TESTS_BUS_XML_H
#define TESTS_BUS_XML_H

#include <stdbool.h>
#include <stddef.h>

/* live: the answer of Introspect. Reads dbus/<interface>.xml below the working directory. False: *wrong says
 * which member differs. */
bool xml_same(const char *live, const char *interface, char *wrong, size_t room);

#endif
