/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Changing the sources of a deployment while it runs. Of the loop's thread. */
#ifndef SLUICED_REROUTING_H
#define SLUICED_REROUTING_H

#include "deployment.h"

/*
 * Adds the source @uri, which is not one of it yet, once it was seen to have the
 * image. Only while not busy, and busy until the answer.
 */
void sluiced_rerouting_add(struct sluiced_deployment *d, const char *uri,
				 sluiced_answer_t answer, void *ctx);

/* Not the only one. */
void sluiced_rerouting_remove(struct sluiced_deployment *d, struct sluiced_path *path);

#endif /* SLUICED_REROUTING_H */
