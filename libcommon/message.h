/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The messages of the control socket: one JSON object each, ended by a NUL byte
 * (Documentation/control-protocol.rst). Framing, parsing and typed access; no
 * sockets and no methods.
 *
 * Nothing here prints. No function is thread-safe on a shared object.
 */
#ifndef SLUICE_MESSAGE_H
#define SLUICE_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json_object;

/* Bytes of a message without its NUL. Larger ones end the connection. */
#define SLUICE_MESSAGE_MAX	(1 << 20)

/* Levels of values within values, the message being the first. */
#define SLUICE_MESSAGE_DEPTH	16

/*
 * Parses the @len bytes at @buf (the NUL not counted) as one JSON object. The
 * caller owns the result and gives it back with json_object_put(). NULL when
 * they are anything else, also when something follows the object, a NUL byte
 * lies within or values nest deeper than SLUICE_MESSAGE_DEPTH; *@why is then a
 * static sentence for people. @why may be NULL.
 */
struct json_object *sluice_message_parse(const char *buf, size_t len, const char **why);

/*
 * Serialises @obj and its NUL into a malloc'ed *@out of *@len bytes, the NUL
 * counted. -EMSGSIZE when it is too long for the peer, -ENOMEM.
 */
int sluice_message_frame(struct json_object *obj, char **out, size_t *len);

/* Bytes received and not yet taken. All zeroes is an empty one. */
struct sluice_inbuf {
	char *buf;
	size_t len, cap;
};

/*
 * Appends @len received bytes. -EMSGSIZE when they make a message longer than
 * SLUICE_MESSAGE_MAX, finished or not, -ENOMEM; nothing was added then, and the
 * connection is beyond repair. Messages already complete are not bounded in
 * number: take them with sluice_inbuf_next() after every call.
 */
int sluice_inbuf_add(struct sluice_inbuf *in, const void *data, size_t len);

/*
 * Takes the oldest complete message out, as a malloc'ed string of *@len bytes
 * and a NUL that is not counted. NULL when none is complete; without memory too,
 * and the message then stays. @len may be NULL.
 */
char *sluice_inbuf_next(struct sluice_inbuf *in, size_t *len);

/* Frees what @in holds; it is an empty one afterwards. */
void sluice_inbuf_free(struct sluice_inbuf *in);

/*
 * The value of @key in object @o. 0; -ENOENT when it is absent or null, also
 * when @o is NULL; -EINVAL when it is of another type, a string with a NUL
 * inside, or a number that is negative, fractional or not below UINT64_MAX. *@out
 * is written on success only; a string lives as long as @o.
 */
int sluice_json_string(struct json_object *o, const char *key, const char **out);
int sluice_json_u64(struct json_object *o, const char *key, uint64_t *out);
int sluice_json_bool(struct json_object *o, const char *key, bool *out);
/*
 * Of the array @list the first object with @text as value of @key; with a NULL @key the first
 * string that is @text. NULL when there is none, also when @list is NULL.
 */
struct json_object *sluice_json_find(struct json_object *list, const char *key, const char *text);

#endif /* SLUICE_MESSAGE_H */
