/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Starting a deployment: everything is looked at before anything is written, so
 * that an error leaves the local disk as it was.
 */
#ifndef SLUICED_DEPLOY_H
#define SLUICED_DEPLOY_H

#include "deployment.h"

enum sluiced_size {
	SLUICED_SIZE_MAX,		/* all the disk has room for */
	SLUICED_SIZE_IMAGE,
	SLUICED_SIZE_BYTES,
};

struct sluiced_deploy_request {
	/* Name, source, local, deadline and rates are set; the rest is zero. */
	struct sluiced_record record;
	bool format, force;
	enum sluiced_size size;
	uint64_t bytes;			/* with SLUICED_SIZE_BYTES */
	bool has_export;
	struct sluiced_export export;
	struct sluice_profile profile;
};

/*
 * Answers once the device is there, attached and exported, or with why it is not.
 * @request is copied, and its profile taken over.
 */
void sluiced_deploy_start(struct sluiced_daemon *daemon,
			  const struct sluiced_deploy_request *request,
			  sluiced_answer_t answer, void *ctx);

/*
 * What the kernel's refusal of an open means to the one who asked. Always false.
 * @image is what was to be deployed.
 */
bool sluiced_deploy_refused(struct sluiced_fault *fault, const char *local,
			    enum sluice_refusal refusal, int err);

/* Whether the image of @source can be deployed to the disk. Any thread. */
struct sluiced_localdisk;
bool sluiced_deploy_check_image(const struct sluice_image *image, const char *source,
				const struct sluiced_localdisk *disk, const char *local,
				struct sluiced_fault *fault);

/*
 * A descriptor of the control node, loading the module if it is missing; negative
 * with SLUICED_MODULE when that does not help or its version differs. For jobs.
 */
int sluiced_deploy_module(struct sluiced_fault *fault);

#endif /* SLUICED_DEPLOY_H */
