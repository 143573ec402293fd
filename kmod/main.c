// SPDX-License-Identifier: GPL-2.0-only
#include <linux/module.h>

#include "sluice.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

static int __init sluice_init(void)
{
	int err;

	err = sluice_park_init();
	if (err)
		return err;
	err = sluice_fill_init();
	if (err)
		goto err_park_exit;
	err = sluice_control_init();
	if (err)
		goto err_fill_exit;
	return 0;

err_fill_exit:
	sluice_fill_exit();
err_park_exit:
	sluice_park_exit();
	return err;
}

static void __exit sluice_exit(void)
{
	sluice_control_exit();
	sluice_device_exit();
	sluice_fill_exit();
	sluice_park_exit();
}

module_init(sluice_init);
module_exit(sluice_exit);
MODULE_DESCRIPTION("Disks that are usable before they are copied");
MODULE_LICENSE("GPL");
MODULE_VERSION(SLUICE_VERSION);
