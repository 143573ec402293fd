// SPDX-License-Identifier: GPL-2.0-or-later
#include "marks.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <linux/dm-ioctl.h>
#include <unistd.h>

#include "../guest/puppet.h"

void marks_set(const char *dm_name, const char *text)
{
	static int control = -1;
	struct {
		struct dm_ioctl dm;
		struct dm_target_msg target;
		char message[64];
	} m = {
		.dm = {
			.version = { DM_VERSION_MAJOR, 0, 0 },
			.data_size = sizeof(m),
			.data_start = sizeof(m.dm),
		},
	};

	if (control < 0)
		control = open("/dev/mapper/control", O_RDWR | O_CLOEXEC);
	CHECK(control >= 0);
	snprintf(m.dm.name, sizeof(m.dm.name), "%s", dm_name);
	snprintf(m.message, sizeof(m.message), "mark %s", text);
	CHECK(!ioctl(control, DM_TARGET_MSG, &m));
}
