/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/client.h"
int complete(struct client *c, int argc, char **argv)
{
	return 0;
}
