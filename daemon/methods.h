/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The methods of the control protocol. */
#ifndef SLUICED_METHODS_H
#define SLUICED_METHODS_H

struct json_object;
struct sluiced_call;

/* @method with its "org.sluice." in front; @parameters is an object or NULL. */
void sluiced_method_call(struct sluiced_call *call, const char *method,
			 struct json_object *parameters);

#endif /* SLUICED_METHODS_H */
