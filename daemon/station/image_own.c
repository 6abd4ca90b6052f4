/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "station/internal.h"

bool image_loses_own(const struct image *image, const struct job_options *options)
{
	struct plan_options wanted;
	struct failure why = { 0 };

	if (!image->package) /* refused as bad */
		return false;
	/* options that make no sense: the job is refused for them, whoever asks */
	if (options_translate(options, &image->st->set, &wanted, &why) < 0)
		return false;
	return plan_loses_own(&wanted, package_pac(image->package));
}
