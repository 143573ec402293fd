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

static int *result_of(struct io_uring_cmd *cmd)
{
	return (int *)cmd->pdu;
}

#if SLUICE_KERNEL(6, 19)		/* 20fb3d05a34b: a request's task work itself */
static void done_in_task(struct io_tw_req req, io_tw_token_t tw)
{
	struct io_uring_cmd *cmd = io_uring_cmd_from_tw(req);

	io_uring_cmd_done(cmd, *result_of(cmd), IO_URING_CMD_TASK_WORK_ISSUE_FLAGS);
}
#else
static void done_in_task(struct io_uring_cmd *cmd, unsigned int issue_flags)
{
#if SLUICE_KERNEL(6, 18)		/* 620a50c92700: 32-byte results apart */
	io_uring_cmd_done(cmd, *result_of(cmd), issue_flags);
#else
	io_uring_cmd_done(cmd, *result_of(cmd), 0, issue_flags);
#endif
}
#endif

void sluice_uring_done(struct io_uring_cmd *cmd, int res)
{
	*result_of(cmd) = res;
	io_uring_cmd_complete_in_task(cmd, done_in_task);
}
