// SPDX-License-Identifier: GPL-2.0-or-later
#include "export.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include <json-c/json.h>
#include <systemd/sd-id128.h>

#include "message.h"
#include "nvmet.h"

#define NQN_PREFIX	"nqn.2026-01.org.sluice:"

static const struct sluiced_export_kind *const kinds[] = {
	&sluiced_export_tcp,
	&sluiced_export_loop,
	&sluiced_export_pci,
};

/* A deployment has one of each at most: there is always room for the next. */
static_assert(sizeof(kinds) / sizeof(kinds[0]) <= SLUICED_MAX_EXPORTS, "room for every kind");

/* Jobs of several deployments: looking for a port and making it must be one. */
static pthread_mutex_t configfs_lock = PTHREAD_MUTEX_INITIALIZER;

static const struct sluiced_export_kind *kind_of(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!strcmp(kinds[i]->name, name))
			return kinds[i];
	return NULL;
}

static bool valid_nqn(const char *nqn)
{
	const char *c;

	if (strncmp(nqn, "nqn.", 4) || strlen(nqn) >= SLUICED_NQN_LEN)
		return false;
	/* It becomes the name of a directory. */
	for (c = nqn; *c; c++)
		if (*c <= ' ' || *c > '~' || *c == '/')
			return false;
	return true;
}

static bool parse_allow(struct sluiced_export *export, struct json_object *list,
			struct sluiced_fault *fault)
{
	size_t n, i;

	if (!json_object_is_type(list, json_type_array))
		return sluiced_fault(fault, SLUICED_INVALID_PARAMETER,
				     "The export option allow is no array of host NQNs.");
	n = json_object_array_length(list);
	if (n > SLUICED_MAX_ALLOW)
		return sluiced_fault(fault, SLUICED_INVALID_PARAMETER,
				     "The export option allow names more than %d hosts.",
				     SLUICED_MAX_ALLOW);
	for (i = 0; i < n; i++) {
		struct json_object *item = json_object_array_get_idx(list, i);
		const char *nqn = json_object_is_type(item, json_type_string) ?
					  json_object_get_string(item) : "";
		size_t j;

		if (!valid_nqn(nqn))
			return sluiced_fault(fault, SLUICED_INVALID_PARAMETER,
					     "The allowed host \"%.230s\" is no NQN: one begins with \"nqn.\".",
					     nqn);
		for (j = 0; j < export->allow_count && strcmp(export->allow[j], nqn); j++)
			;
		if (j == export->allow_count)
			snprintf(export->allow[export->allow_count++], SLUICED_NQN_LEN, "%s",
				 nqn);
	}
	return true;
}

static bool parse_queues(struct sluiced_export *export, const struct sluiced_export_kind *kind,
			 struct json_object *options, struct sluiced_fault *fault)
{
	uint64_t queues = 0, mdts_kb = 0;

	if (sluice_json_u64(options, "queues", &queues) == -EINVAL || queues > UINT16_MAX ||
	    sluice_json_u64(options, "mdts_kb", &mdts_kb) == -EINVAL || mdts_kb > UINT32_MAX)
		return sluiced_fault(fault, SLUICED_INVALID_PARAMETER,
				     "The export options queues and mdts_kb are numbers.");
	if ((queues || mdts_kb) && !kind->up)
		return sluiced_fault(fault, SLUICED_INVALID_PARAMETER,
				     "The export options queues and mdts_kb are of a pci export only.");
	export->queues = queues;
	export->mdts_kb = mdts_kb;
	return true;
}

bool sluiced_export_parse(struct sluiced_export *export, const char *kind,
			  struct json_object *options, struct sluiced_fault *fault)
{
	const struct sluiced_export_kind *k = kind_of(kind);
	struct json_object *allow = NULL;
	const char *address = "";
	bool any = false;
	int err_address, err_any;

	memset(export, 0, sizeof(*export));
	if (!k)
		return sluiced_fault(fault, SLUICED_INVALID_PARAMETER,
				     "There is no export of kind %.32s: use tcp, loop or pci.",
				     kind);
	if (options && !json_object_is_type(options, json_type_object))
		return sluiced_fault(fault, SLUICED_INVALID_PARAMETER,
				     "The options of the export are no object.");
	snprintf(export->kind, sizeof(export->kind), "%s", kind);
	err_address = sluice_json_string(options, "address", &address);
	err_any = sluice_json_bool(options, "allow_any", &any);
	if (err_address == -EINVAL || err_any == -EINVAL)
		return sluiced_fault(fault, SLUICED_INVALID_PARAMETER,
				     "The export option %s is malformed.",
				     err_any == -EINVAL ? "allow_any" : "address");
	if (strlen(address) >= sizeof(export->address))
		return sluiced_fault(fault, SLUICED_INVALID_PARAMETER,
				     "The export address is too long.");
	snprintf(export->address, sizeof(export->address), "%s", address);
	if (options && json_object_object_get_ex(options, "allow", &allow) && allow &&
	    !parse_allow(export, allow, fault))
		return false;
	if (any && export->allow_count)
		return sluiced_fault(fault, SLUICED_INVALID_PARAMETER,
				     "The export names allowed hosts and allows any: choose one.");
	export->policy_given = !err_any || allow;
	export->allow_any = any || (!export->policy_given && k->any_by_default);
	if (!parse_queues(export, k, options, fault))
		return false;
	return k->parse(export, fault);
}

bool sluiced_export_shared(const struct sluiced_export *export)
{
	return !kind_of(export->kind)->up;
}

static bool same_policy(const struct sluiced_export *a, const struct sluiced_export *b)
{
	size_t i, j;

	if (a->allow_any != b->allow_any || a->allow_count != b->allow_count)
		return false;
	for (i = 0; i < a->allow_count; i++) {
		for (j = 0; j < b->allow_count && strcmp(a->allow[i], b->allow[j]); j++)
			;
		if (j == b->allow_count)
			return false;
	}
	return true;
}

void sluiced_export_take_policy(struct sluiced_export *export, const struct sluiced_export *from)
{
	export->allow_any = from->allow_any;
	export->allow_count = from->allow_count;
	memcpy(export->allow, from->allow, sizeof(export->allow));
}

bool sluiced_export_agree(struct sluiced_export *export, const struct sluiced_export *other,
			  struct sluiced_fault *fault)
{
	/* Opening up what was restricted, or the reverse, is never a side effect. */
	if (!export->policy_given && !other->allow_any)
		sluiced_export_take_policy(export, other);
	if (same_policy(export, other))
		return true;
	return sluiced_fault(fault, SLUICED_EXPORT_FAILED,
			     "The deployment is exported over %s to %s, and one deployment has one list of hosts: unexport that first, or allow the same here.",
			     other->kind, other->allow_any ? "any host" : "other hosts");
}

bool sluiced_export_require(const struct sluiced_export *export, struct sluiced_fault *fault)
{
	const struct sluiced_export_kind *kind = kind_of(export->kind);

	return kind->require(fault) && sluiced_nvmet_require(fault);
}

bool sluiced_export_possible(const struct sluiced_export *export, struct sluiced_fault *fault)
{
	const struct sluiced_export_kind *kind = kind_of(export->kind);

	return sluiced_export_require(export, fault) &&
	       (!kind->has_room || kind->has_room(export, fault));
}

void sluiced_export_nqn(const uint8_t *uuid, char *nqn, size_t len)
{
	sd_id128_t id;

	memcpy(id.bytes, uuid, sizeof(id.bytes));
	snprintf(nqn, len, NQN_PREFIX SD_ID128_UUID_FORMAT_STR, SD_ID128_FORMAT_VAL(id));
}

void sluiced_export_serial(const uint8_t *uuid, char *serial, size_t len)
{
	char text[SD_ID128_STRING_MAX];
	sd_id128_t id;

	memcpy(id.bytes, uuid, sizeof(id.bytes));
	sd_id128_to_string(id, text);
	/* NVMe has room for 20 characters; half of them would be unique enough. */
	snprintf(serial, len, "%.20s", text);
}

/* @hosts points into @export and @nqn, which has SLUICED_MAX_ALLOW. */
static struct sluiced_hosts hosts_of(const struct sluiced_export *export, const char **nqn)
{
	size_t i;

	for (i = 0; i < export->allow_count; i++)
		nqn[i] = export->allow[i];
	return (struct sluiced_hosts){
		.any = export->allow_any,
		.nqn = nqn,
		.count = export->allow_count,
	};
}

static bool ensure_subsystem(const struct sluiced_export *export,
			     const struct sluiced_exported *of, const char *nqn, bool *made,
			     struct sluiced_fault *fault)
{
	const char *allow[SLUICED_MAX_ALLOW];
	char device[32], serial[SD_ID128_STRING_MAX];
	struct sluiced_subsystem subsystem = {
		.nqn = nqn,
		.uuid = nqn + strlen(NQN_PREFIX),
		.serial = serial,
		.device = device,
		.hosts = hosts_of(export, allow),
	};

	snprintf(device, sizeof(device), "/dev/sluice%u", of->index);
	*made = of->first || !sluiced_nvmet_has_subsystem(nqn, device);
	if (!*made)
		return sluiced_nvmet_set_hosts(nqn, &subsystem.hosts, fault);
	/* Half of one, if there is any. */
	if (!sluiced_nvmet_remove_subsystem(nqn, fault))
		return false;
	sluiced_export_serial(of->uuid, serial, sizeof(serial));
	return sluiced_nvmet_add_subsystem(&subsystem, fault);
}

bool sluiced_exported_owns(const struct sluiced_exported *of, uint16_t id)
{
	size_t i;

	for (i = 0; i < of->own_port_count; i++)
		if (of->own_ports[i] == id)
			return true;
	return false;
}

static bool bring_up(struct sluiced_export *export, const struct sluiced_exported *of,
		     struct sluiced_fault *fault)
{
	struct sluiced_port_address address = { 0 };
	struct sluiced_port port = {
		.trtype = address.trtype,
		.traddr = address.traddr,
		.trsvcid = address.trsvcid,
		.adrfam = address.adrfam,
	};
	struct sluiced_fault ignored;
	char nqn[SLUICED_NQN_LEN];
	bool made_subsystem, made_port;

	sluiced_export_nqn(of->uuid, nqn, sizeof(nqn));
	if (!ensure_subsystem(export, of, nqn, &made_subsystem, fault))
		return false;
	if (!made_subsystem && export->port_id && sluiced_nvmet_linked(export->port_id, nqn))
		return true;
	kind_of(export->kind)->address(export, &address);
	if (!sluiced_nvmet_link(&port, nqn, &export->port_id, &made_port, fault)) {
		if (made_subsystem)
			sluiced_nvmet_remove_subsystem(nqn, &ignored);
		return false;
	}
	export->own_port = made_port || sluiced_exported_owns(of, export->port_id);
	return true;
}

bool sluiced_export_up(struct sluiced_export *export, const struct sluiced_exported *of,
		       struct sluiced_fault *fault)
{
	const struct sluiced_export_kind *kind = kind_of(export->kind);
	bool up;

	if (!sluiced_export_require(export, fault))
		return false;
	pthread_mutex_lock(&configfs_lock);
	up = kind->up ? kind->up(export, of, fault) : bring_up(export, of, fault);
	pthread_mutex_unlock(&configfs_lock);
	return up;
}

bool sluiced_export_is_up(const struct sluiced_export *export,
			  const struct sluiced_exported *of)
{
	const struct sluiced_export_kind *kind = kind_of(export->kind);
	const char *allow[SLUICED_MAX_ALLOW];
	struct sluiced_hosts hosts = hosts_of(export, allow);
	char nqn[SLUICED_NQN_LEN], device[32];
	bool up;

	/* A job that has it may be waiting for a module. */
	if (!export->port_id || pthread_mutex_trylock(&configfs_lock))
		return false;
	sluiced_export_nqn(of->uuid, nqn, sizeof(nqn));
	snprintf(device, sizeof(device), "/dev/sluice%u", of->index);
	up = kind->is_up ? kind->is_up(export, of) :
			   sluiced_nvmet_linked(export->port_id, nqn) &&
				   sluiced_nvmet_has_subsystem(nqn, device) &&
				   sluiced_nvmet_hosts_are(nqn, &hosts);
	pthread_mutex_unlock(&configfs_lock);
	return up;
}

bool sluiced_export_admit(const struct sluiced_export *export, const struct sluiced_exported *of,
			  struct sluiced_fault *fault)
{
	const char *allow[SLUICED_MAX_ALLOW];
	struct sluiced_hosts hosts = hosts_of(export, allow);
	char nqn[SLUICED_NQN_LEN];
	bool done;

	sluiced_export_nqn(of->uuid, nqn, sizeof(nqn));
	pthread_mutex_lock(&configfs_lock);
	done = sluiced_nvmet_set_hosts(nqn, &hosts, fault);
	pthread_mutex_unlock(&configfs_lock);
	return done;
}

uint32_t sluiced_export_deadline_ms(const struct sluiced_export *export)
{
	const struct sluiced_export_kind *kind = kind_of(export->kind);

	return kind->deadline_ms ? kind->deadline_ms() : 0;
}

static bool take_down(const struct sluiced_export *export, const struct sluiced_exported *of,
		      bool last, struct sluiced_fault *fault)
{
	char nqn[SLUICED_NQN_LEN];

	sluiced_export_nqn(of->uuid, nqn, sizeof(nqn));
	if (export->port_id &&
	    !sluiced_nvmet_unlink(export->port_id, nqn, export->own_port, fault))
		return false;
	return !last || sluiced_nvmet_remove_subsystem(nqn, fault);
}

bool sluiced_export_down(const struct sluiced_export *export,
			 const struct sluiced_exported *of, bool last,
			 struct sluiced_fault *fault)
{
	const struct sluiced_export_kind *kind = kind_of(export->kind);
	bool down;

	pthread_mutex_lock(&configfs_lock);
	down = kind->down ? kind->down(export, of, fault) :
			    take_down(export, of, last, fault);
	pthread_mutex_unlock(&configfs_lock);
	return down;
}

struct json_object *sluiced_export_describe(const struct sluiced_export *export,
					    const uint8_t *uuid)
{
	const struct sluiced_export_kind *kind = kind_of(export->kind);
	struct json_object *o = json_object_new_object(), *allow;
	char nqn[SLUICED_NQN_LEN];
	size_t i;

	if (!o)
		return NULL;
	if (kind->nqn)
		kind->nqn(uuid, nqn, sizeof(nqn));
	else
		sluiced_export_nqn(uuid, nqn, sizeof(nqn));
	json_object_object_add(o, "kind", json_object_new_string(export->kind));
	json_object_object_add(o, "nqn", json_object_new_string(nqn));
	json_object_object_add(o, "address", json_object_new_string(export->address));
	json_object_object_add(o, "port_id", json_object_new_int(export->port_id));
	if (kind->up) {
		json_object_object_add(o, "queues", json_object_new_int(export->queues));
		json_object_object_add(o, "mdts_kb", json_object_new_int(export->mdts_kb));
	} else {
		allow = json_object_new_array();
		for (i = 0; i < export->allow_count; i++)
			json_object_array_add(allow, json_object_new_string(export->allow[i]));
		json_object_object_add(o, "allow", allow);
		json_object_object_add(o, "allow_any", json_object_new_boolean(export->allow_any));
	}
	return o;
}
