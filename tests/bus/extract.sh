#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Prints one of the clients of org.fdld1(5) as a reader of the page would copy it. usage: extract.sh NAME
cd "$(dirname "$0")/../.." || exit 1
sed -n "/^\\.\\\\\" BEGIN $1\$/,/^\\.\\\\\" END\$/p" man/org.fdld1.5 | sed '1d;$d;s/^\\&//;s/\\-/-/g;s/\\e/\\/g'
