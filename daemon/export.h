/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Exports: how a host reaches a device. A kind is one file and one row in
 * export.c's table; all go through the kernel's NVMe target, one subsystem a
 * deployment and one port an export.
 *
 * parse() is of the loop's thread; require(), up() and down() block and are for
 * jobs.
 */
#ifndef SLUICED_EXPORT_H
#define SLUICED_EXPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "control.h"
#include "fault.h"

struct json_object;

#define SLUICED_NQN_LEN		224
/* 16 is arbitrary: an exported boot disk has one host, or a few paths to it. */
#define SLUICED_MAX_ALLOW	16
#define SLUICED_MAX_EXPORTS	3

struct sluiced_export {
	char kind[8];
	char address[80];		/* as people write it, of pci the controller; may be empty */
	bool allow_any;
	bool policy_given;		/* the request said who may connect */
	char allow[SLUICED_MAX_ALLOW][SLUICED_NQN_LEN];
	size_t allow_count;
	uint16_t port_id;		/* once it is up */
	bool own_port;			/* made by Sluice */
	uint16_t queues;		/* of pci */
	uint32_t mdts_kb;		/* of pci: the largest transfer */
};

/* What an export is of. */
struct sluiced_exported {
	uint32_t index;			/* of /dev/sluiceN */
	uint8_t uuid[SLUICE_UUID_LEN];
	bool first;			/* no shared one is up: what is there is a dead daemon's */
	uint16_t own_ports[64];		/* ports that Sluice made, of all deployments */
	size_t own_port_count;
};

/* Whether the port @id was made by Sluice. */
bool sluiced_exported_owns(const struct sluiced_exported *of, uint16_t id);

/* @options as in the control protocol, or NULL. */
bool sluiced_export_parse(struct sluiced_export *export, const char *kind,
			  struct json_object *options, struct sluiced_fault *fault);

/* Lets those connect who may to @from. */
void sluiced_export_take_policy(struct sluiced_export *export, const struct sluiced_export *from);

/*
 * Who may connect is one setting of a deployment: takes over that of @other,
 * which is up already, or fails when the request asked for something else.
 */
bool sluiced_export_agree(struct sluiced_export *export, const struct sluiced_export *other,
			  struct sluiced_fault *fault);

/* Whether this machine can export that way; loads modules. */
bool sluiced_export_require(const struct sluiced_export *export, struct sluiced_fault *fault);

/* The same, of one more export that is not there yet. */
bool sluiced_export_possible(const struct sluiced_export *export, struct sluiced_fault *fault);

/* Makes what is missing of it; what is there stays. Nothing is left on error. */
bool sluiced_export_up(struct sluiced_export *export, const struct sluiced_exported *of,
		       struct sluiced_fault *fault);

/*
 * Whether it is up as it should be. Does not block, so it is of the loop's thread
 * too; false when it cannot tell at once.
 */
bool sluiced_export_is_up(const struct sluiced_export *export,
			  const struct sluiced_exported *of);

/*
 * Whether it is one more port of the deployment's shared subsystem, as opposed to
 * having one of its own.
 */
bool sluiced_export_shared(const struct sluiced_export *export);

/* Lets in whom @export lets in, on the shared subsystem, which is up; blocks. */
bool sluiced_export_admit(const struct sluiced_export *export, const struct sluiced_exported *of,
			  struct sluiced_fault *fault);

/*
 * How long a host's request may wait over that export, in ms, unless people say;
 * 0 when it does not matter.
 */
uint32_t sluiced_export_deadline_ms(const struct sluiced_export *export);

/* With @last the shared subsystem goes too. What is missing already is fine. */
bool sluiced_export_down(const struct sluiced_export *export,
			 const struct sluiced_exported *of, bool last,
			 struct sluiced_fault *fault);

/* "nqn.2026-01.org.sluice:UUID", of the shared subsystem. */
void sluiced_export_nqn(const uint8_t *uuid, char *nqn, size_t len);

/* Of subsystems: 20 characters. */
void sluiced_export_serial(const uint8_t *uuid, char *serial, size_t len);

/*
 * {kind, nqn, address, port_id}, of pci {queues, mdts_kb} too, of others {allow, allow_any};
 * NULL without memory.
 */
struct json_object *sluiced_export_describe(const struct sluiced_export *export,
					    const uint8_t *uuid);

/* Strings of a struct sluiced_port. */
struct sluiced_port_address {
	char trtype[8], traddr[64], trsvcid[8], adrfam[8];
};

struct sluiced_export_kind {
	const char *name;
	bool any_by_default;
	/* Checks and normalises export->address, empty when none was given. */
	bool (*parse)(struct sluiced_export *export, struct sluiced_fault *fault);
	bool (*require)(struct sluiced_fault *fault);
	/* Whether there is room for a new one; NULL when always. */
	bool (*has_room)(const struct sluiced_export *export, struct sluiced_fault *fault);
	/* As sluiced_export_deadline_ms(); NULL for 0. */
	uint32_t (*deadline_ms)(void);
	/* Of a port of the shared subsystem. */
	void (*address)(const struct sluiced_export *export, struct sluiced_port_address *port);
	/* Of a kind with a subsystem of its own, as the functions above; else NULL. */
	bool (*up)(struct sluiced_export *export, const struct sluiced_exported *of,
		   struct sluiced_fault *fault);
	bool (*is_up)(const struct sluiced_export *export, const struct sluiced_exported *of);
	bool (*down)(const struct sluiced_export *export, const struct sluiced_exported *of,
		     struct sluiced_fault *fault);
	void (*nqn)(const uint8_t *uuid, char *nqn, size_t len);
};

extern const struct sluiced_export_kind sluiced_export_tcp;
extern const struct sluiced_export_kind sluiced_export_loop;
extern const struct sluiced_export_kind sluiced_export_pci;

#endif /* SLUICED_EXPORT_H */
