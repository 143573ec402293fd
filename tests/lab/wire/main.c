// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sluice-lab-wire: the PCIe link between two guests, the host machine and the
 * SmartNIC machine. To the host's QEMU it is a vfio-user device, to the
 * SmartNIC's an ivshmem server. It waits for messages and moves no data: each
 * machine has the memory of the other one mapped.
 */
#include <err.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "endpoint.h"
#include "host.h"
#include "loop.h"

static struct watch status_listener;

static int status_line(char *line, size_t bytes)
{
	const struct host_counters *c = host_counters();

	return snprintf(line, bytes,
			"{\"endpoint\":\"%s\",\"host\":\"%s\",\"uptime_ms\":%" PRIu64
			",\"hosts\":%" PRIu64 ",\"resets\":%" PRIu64 ",\"late_resets\":%" PRIu64
			",\"config_reads_writes\":%" PRIu64 ",\"bar_messages\":%" PRIu64
			",\"dma_maps\":%" PRIu64 ",\"misplaced_maps\":%" PRIu64
			",\"interrupts\":%" PRIu64 ",\"dropped_interrupts\":%" PRIu64
			",\"protocol_errors\":%" PRIu64 "}\n",
			endpoint_started() ? "started" : endpoint_connected() ? "stopped" : "absent",
			host_state(), loop_now_ms(), c->hosts, c->resets, c->late_resets,
			c->messages[VFU_REGION_READ] + c->messages[VFU_REGION_WRITE] - c->bar_messages,
			c->bar_messages, c->dma_maps, c->misplaced_maps, c->interrupts,
			c->dropped_interrupts, c->protocol_errors);
}

/* Who connects gets one line of JSON. */
static void status(struct watch *watch)
{
	int fd = accept4(watch->fd, NULL, NULL, SOCK_CLOEXEC);
	char line[1024];

	if (fd < 0)
		return;
	/* It fits any socket's buffer; who leaves before reading it misses it. */
	(void)!send(fd, line, status_line(line, sizeof(line)), MSG_DONTWAIT | MSG_NOSIGNAL);
	close(fd);
}

static const struct option long_options[] = {
	{ "host-socket", required_argument, NULL, 'H' },
	{ "host-ram", required_argument, NULL, 'r' },
	{ "host-mib", required_argument, NULL, 'm' },
	{ "nic-socket", required_argument, NULL, 'N' },
	{ "nic-ram", required_argument, NULL, 'n' },
	{ "status", required_argument, NULL, 's' },
	{ 0 }
};

__attribute__((noreturn)) static void usage(void)
{
	fputs("usage: sluice-lab-wire OPTION...\n"
	      "  --host-socket PATH  where the host machine's vfio-user-pci connects\n"
	      "  --host-ram FILE     the host machine's memory; created\n"
	      "  --host-mib N        how much of it there is, at most 2048\n"
	      "  --nic-socket PATH   where the SmartNIC machine's ivshmem-doorbell connects\n"
	      "  --nic-ram FILE      the SmartNIC machine's memory; created, empty\n"
	      "  --status PATH       where a line of JSON can be read\n"
	      "All are needed.\n", stderr);
	exit(2);
}

int main(int argc, char **argv)
{
	static const struct endpoint_events events = {
		.started = host_endpoint_started,
		.stopped = host_endpoint_stopped,
		.answered = host_endpoint_answered,
		.interrupt = host_interrupt,
	};
	struct endpoint_options options = { 0 };
	const char *host_socket = NULL, *status_socket = NULL;
	int option;

	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		switch (option) {
		case 'H':
			host_socket = optarg;
			break;
		case 'r':
			options.host_ram = optarg;
			break;
		case 'm':
			options.host_bytes = strtoull(optarg, NULL, 10) << 20;
			break;
		case 'N':
			options.socket = optarg;
			break;
		case 'n':
			options.machine_ram = optarg;
			break;
		case 's':
			status_socket = optarg;
			break;
		default:
			usage();
		}
	}
	if (optind != argc || !host_socket || !options.host_ram || !options.socket ||
	    !options.machine_ram || !status_socket)
		usage();
	/* Above that q35 moves memory, and an address is no file offset any more. */
	if (!options.host_bytes || options.host_bytes > 2048ull << 20)
		errx(1, "a host of %" PRIu64 " MiB; 1 to 2048 can be wired",
		     options.host_bytes >> 20);

	loop_init();
	endpoint_init(&options, &events);
	host_init(host_socket);
	status_listener.fd = loop_listen(status_socket);
	status_listener.ready = status;
	loop_add(&status_listener);
	loop_say("wire of a host with %" PRIu64 " MiB is ready", options.host_bytes >> 20);
	loop_run();
	loop_say("wire ends: host %s", host_state());
	return 0;
}
