/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The end of a deployment on this machine; the disk keeps it. */
#ifndef SLUICED_DETACHING_H
#define SLUICED_DETACHING_H

#include "deployment.h"

/*
 * Takes exports down, stops, makes everything durable, removes the device and the
 * record, and frees @d, all before @answer. With SLUICED_IN_USE, and every other
 * fault, the deployment goes on as before. Must not be busy.
 */
void sluiced_detaching_start(struct sluiced_deployment *d, sluiced_answer_t answer, void *ctx);

#endif /* SLUICED_DETACHING_H */
