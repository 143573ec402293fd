// SPDX-License-Identifier: GPL-2.0-or-later
/* NVMe over TCP, for machines that reach the card over its network. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "export.h"
#include "modprobe.h"

#define DEFAULT_ADDRESS	"127.0.0.1"
#define DEFAULT_PORT	4420

static bool malformed(const char *text, struct sluiced_fault *fault)
{
	return sluiced_fault(fault, SLUICED_INVALID_PARAMETER,
			     "The export address %s is none: write an IPv4 address, or an IPv6 address in brackets, and if needed :PORT.",
			     text);
}

/* Splits "ADDR", "ADDR:PORT", "[ADDR]" and "[ADDR]:PORT", an IPv6 address in brackets. */
static bool split(const char *text, char *addr, size_t len, const char **port)
{
	const char *end;

	if (*text == '[') {
		end = strchr(++text, ']');
		if (!end || (end[1] && end[1] != ':'))
			return false;
		*port = end[1] ? end + 2 : NULL;
	} else {
		end = strchrnul(text, ':');
		*port = *end ? end + 1 : NULL;
	}
	if ((size_t)(end - text) >= len)
		return false;
	memcpy(addr, text, end - text);
	addr[end - text] = '\0';
	return true;
}

static bool parse(struct sluiced_export *export, struct sluiced_fault *fault)
{
	char addr[INET6_ADDRSTRLEN], text[sizeof(export->address)];
	const char *port = NULL;
	unsigned long number = DEFAULT_PORT;
	struct in6_addr in6;
	char *end;

	snprintf(text, sizeof(text), "%s", export->address[0] ? export->address : DEFAULT_ADDRESS);
	if (!split(text, addr, sizeof(addr), &port))
		return malformed(text, fault);
	if (port) {
		number = strtoul(port, &end, 10);
		if (*port < '1' || *port > '9' || *end || number > UINT16_MAX)
			return malformed(text, fault);
	}
	/*
	 * In one form only, but for the port that may be left out: a file of a deployment is
	 * held against it as text.
	 */
	if (*text != '[' && inet_pton(AF_INET, addr, &in6) == 1)
		snprintf(export->address, sizeof(export->address), "%s:%lu", addr, number);
	else if (*text == '[' && inet_pton(AF_INET6, addr, &in6) == 1)
		snprintf(export->address, sizeof(export->address), "[%s]:%lu", addr, number);
	else
		return malformed(text, fault);
	return true;
}

static bool require(struct sluiced_fault *fault)
{
	struct stat st;

	/* Built in, it has no directory; then the port's own error would tell. */
	if (stat("/sys/module/nvmet_tcp", &st))
		sluiced_modprobe("nvmet-tcp");
	(void)fault;
	return true;
}

static void address(const struct sluiced_export *export, struct sluiced_port_address *port)
{
	const char *number;

	split(export->address, port->traddr, sizeof(port->traddr), &number);
	snprintf(port->trtype, sizeof(port->trtype), "tcp");
	snprintf(port->trsvcid, sizeof(port->trsvcid), "%s", number);
	snprintf(port->adrfam, sizeof(port->adrfam), "%s",
		 strchr(port->traddr, ':') ? "ipv6" : "ipv4");
}

const struct sluiced_export_kind sluiced_export_tcp = {
	.name = "tcp",
	.any_by_default = false,
	.parse = parse,
	.require = require,
	.address = address,
};
