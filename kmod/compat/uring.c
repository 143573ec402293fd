// SPDX-License-Identifier: GPL-2.0-only
/* Commands on io_uring: where the payload is and how one completes. */
#include "compat.h"

const void *sluice_uring_payload(struct io_uring_cmd *cmd, unsigned int issue_flags)
{
	if (!(issue_flags & IO_URING_F_SQE128))
		return NULL;
#if SLUICE_KERNEL(6, 6)			/* fd9b8547bc5c: the SQE itself */
	return cmd->sqe->cmd;
#else
	return cmd->cmd;
#endif
}

void sluice_uring_done(struct io_uring_cmd *cmd, int res)
{
#if SLUICE_KERNEL(6, 18)		/* 620a50c92700: 32-byte results apart */
	io_uring_cmd_done(cmd, res, IO_URING_F_UNLOCKED);
#else
	io_uring_cmd_done(cmd, res, 0, IO_URING_F_UNLOCKED);
#endif
}
