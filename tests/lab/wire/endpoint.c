// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ivshmem's protocol is one way: the server sends 64-bit numbers, some with a
 * file descriptor. Version 0; the client's id; -1 with the shared memory; then
 * for each peer its id with an eventfd per vector, and the same for the client.
 */
#include "endpoint.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "../kmod/mailbox.h"
#include "fds.h"
#include "loop.h"

static struct endpoint_events events;
static struct lab_mailbox *mailbox;
static int host_ram = -1, machine_ram = -1;
static const char *machine_ram_path;
static uint64_t host_bytes;
static int wire_doorbells[LAB_DOORBELLS], endpoint_doorbells[LAB_DOORBELLS];
static struct watch doorbells[LAB_DOORBELLS], client = { .fd = -1 }, listener;
static bool started, busy;

#define READ(field)		__atomic_load_n(&mailbox->field, __ATOMIC_ACQUIRE)
#define WRITE(field, value)	__atomic_store_n(&mailbox->field, value, __ATOMIC_RELEASE)

static void news(void)
{
	const bool now = READ(started);

	if (now != started) {
		started = now;
		loop_say("endpoint %s", now ? "started" : "stopped");
		if (now)
			events.started();
		else
			events.stopped();
	}
	if (busy && READ(answer) == mailbox->request) {
		busy = false;
		events.answered();
	}
}

static void doorbell(struct watch *watch)
{
	if (!loop_drain(watch->fd))
		return;
	if (watch == &doorbells[0])
		news();
	else
		events.interrupt(watch - doorbells - 1);
}

/*
 * A new file for each life of the machine, not the old one emptied: a host that
 * still runs has BAR 0 of the old one mapped, and rings doorbells in it.
 */
static void create_machine_ram(void)
{
	if (machine_ram >= 0)
		close(machine_ram);
	unlink(machine_ram_path);
	/* QEMU gives it its size, but not before it has connected here. */
	machine_ram = open(machine_ram_path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (machine_ram < 0)
		err(1, "cannot create the SmartNIC machine's memory %s", machine_ram_path);
}

/* Of a machine that is gone nothing may stay believed. */
static void forget(void)
{
	create_machine_ram();
	WRITE(started, 0);
	WRITE(answer, mailbox->request);
	news();
}

static void client_gone(struct watch *watch)
{
	char byte;
	ssize_t n = recv(watch->fd, &byte, 1, MSG_DONTWAIT);

	/* A client has nothing to say; one that does is left talking. */
	if (n > 0 || (n < 0 && errno == EAGAIN))
		return;
	loop_say("endpoint's machine left");
	loop_remove(watch);
	close(watch->fd);
	watch->fd = -1;
	forget();
}

static int tell(int64_t number, int fd)
{
	return fds_send(client.fd, &number, sizeof(number), &fd, fd >= 0);
}

static int greet(void)
{
	int ret;

	ret = tell(0, -1);
	ret = ret ?: tell(LAB_PEER_ENDPOINT, -1);
	ret = ret ?: tell(-1, host_ram);
	for (int i = 0; i < LAB_DOORBELLS; i++)
		ret = ret ?: tell(LAB_PEER_WIRE, wire_doorbells[i]);
	for (int i = 0; i < LAB_DOORBELLS; i++)
		ret = ret ?: tell(LAB_PEER_ENDPOINT, endpoint_doorbells[i]);
	return ret;
}

static void accept_client(struct watch *watch)
{
	int fd = accept4(watch->fd, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return;
	if (client.fd >= 0) {
		loop_say("a second endpoint machine is turned away");
		close(fd);
		return;
	}
	client.fd = fd;
	if (greet() < 0) {
		loop_say("endpoint's machine does not listen");
		close(fd);
		client.fd = -1;
		return;
	}
	loop_say("endpoint's machine arrived");
	loop_add(&client);
}

static void create_host_ram(const char *path, uint64_t bytes)
{
	uint64_t half = 4096;

	while (half < bytes)
		half *= 2;
	host_bytes = bytes;
	host_ram = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	/* Sparse: only what the machines touch is ever there. */
	if (host_ram < 0 || ftruncate(host_ram, 0) < 0 || ftruncate(host_ram, 2 * half) < 0)
		err(1, "cannot create the host's memory %s", path);
	mailbox = mmap(NULL, sizeof(*mailbox), PROT_READ | PROT_WRITE, MAP_SHARED, host_ram, half);
	if (mailbox == MAP_FAILED)
		err(1, "cannot map the mailbox in %s", path);
	mailbox->host_bytes = bytes;
	mailbox->version = LAB_MAILBOX_VERSION;
	WRITE(magic, LAB_MAILBOX_MAGIC);
}

void endpoint_init(const struct endpoint_options *options, const struct endpoint_events *to)
{
	events = *to;
	machine_ram_path = options->machine_ram;
	create_machine_ram();
	create_host_ram(options->host_ram, options->host_bytes);
	for (int i = 0; i < LAB_DOORBELLS; i++) {
		wire_doorbells[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		endpoint_doorbells[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		if (wire_doorbells[i] < 0 || endpoint_doorbells[i] < 0)
			err(1, "eventfd");
		doorbells[i].fd = wire_doorbells[i];
		doorbells[i].ready = doorbell;
		loop_add(&doorbells[i]);
	}
	client.ready = client_gone;
	listener.fd = loop_listen(options->socket);
	listener.ready = accept_client;
	loop_add(&listener);
}

bool endpoint_connected(void)
{
	return client.fd >= 0;
}

bool endpoint_started(void)
{
	return started;
}

bool endpoint_busy(void)
{
	return busy;
}

void endpoint_request(bool link)
{
	uint64_t one = 1;

	WRITE(link, link);
	WRITE(request, mailbox->request + 1);
	if (!started)
		return;
	busy = true;
	if (write(endpoint_doorbells[0], &one, sizeof(one)) < 0)
		loop_say("the endpoint's doorbell is stuck: %s", strerror(errno));
}

void endpoint_msix(unsigned int enabled)
{
	WRITE(msix_enabled, enabled);
}

static bool power_of_two(uint64_t n)
{
	return n && !(n & (n - 1));
}

int endpoint_device(struct vfu_device *device)
{
	const uint64_t address = mailbox->bar0_address, bytes = mailbox->bar0_bytes;
	struct config_identity id = {
		.vendor = mailbox->vendor,
		.device = mailbox->device,
		.subsystem_vendor = mailbox->subsystem_vendor,
		.subsystem = mailbox->subsystem,
		.revision = mailbox->revision,
		.prog_if = mailbox->prog_if,
		.subclass = mailbox->subclass,
		.base_class = mailbox->base_class,
		.bar_flags = mailbox->bar0_flags,
		.vectors = mailbox->vectors,
	};
	struct stat file;

	if (fstat(machine_ram, &file) < 0)
		return -1;
	if (id.vectors > LAB_MSIX_VECTORS || !power_of_two(bytes) || bytes < 4096 ||
	    address % 4096 || bytes > (uint64_t)file.st_size ||
	    address > (uint64_t)file.st_size - bytes) {
		loop_say("endpoint offers BAR 0 of %#llx bytes at %#llx with %u vectors: refused",
			 (unsigned long long)bytes, (unsigned long long)address, id.vectors);
		return -1;
	}
	/* The second half is ours: the MSI-X table and its pending bits. */
	id.bar_bytes = 2 * bytes;
	id.table_offset = bytes;
	id.pending_offset = bytes + 2048;
	memset(device, 0, sizeof(*device));
	config_init(&device->config, &id);
	device->bar_bytes = 2 * bytes;
	device->bar_direct = bytes;
	device->bar_file_offset = address;
	device->vectors = id.vectors;
	return machine_ram;
}

bool endpoint_misplaced(int fd, uint64_t address, uint64_t file_offset)
{
	struct stat theirs, ours;

	return fstat(fd, &theirs) == 0 && fstat(host_ram, &ours) == 0 &&
	       theirs.st_ino == ours.st_ino && theirs.st_dev == ours.st_dev &&
	       address != file_offset;
}

void endpoint_clear_host(void)
{
	if (fallocate(host_ram, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, host_bytes) < 0)
		loop_say("the host's memory cannot be cleared: %s", strerror(errno));
}
