// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Life of a host: absent -> attaching -> attached <-> resetting -> leaving.
 * In attaching and resetting the endpoint takes its link up, and nothing more is
 * read from the host before it has: a host that goes on after a reset finds a
 * controller that is disabled. In leaving the endpoint ends what it still does
 * with the host's memory, and no other host is let in.
 */
#include "host.h"

#include <err.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/socket.h>
#include <sys/timerfd.h>

#include "../kmod/mailbox.h"
#include "endpoint.h"
#include "fds.h"
#include "loop.h"

/*
 * How long a host is kept waiting for its reset. QEMU gives up on a message
 * after 5 s, and it holds its big lock all the time.
 */
#define PATIENCE_S	4

static enum { ABSENT, ATTACHING, ATTACHED, RESETTING, LEAVING } state;
static const char *const state_names[] = {
	"absent", "attaching", "attached", "resetting", "leaving",
};

static struct host_counters counters;
static struct watch listener = { .fd = -1 }, connection = { .fd = -1 }, timer = { .fd = -1 };
static bool listening, reading, power_off;
static struct vfu_device device;
static int bar_file;
static int vectors[LAB_MSIX_VECTORS];

/* The message under way: its header, its payload, what came with it. */
static uint8_t in[VFU_MAX_MESSAGE], out[VFU_MAX_MESSAGE];
static size_t in_bytes, out_bytes;
static bool out_with_bar;
static int fds[FDS_MAX];
static unsigned int fd_count;

const char *host_state(void)
{
	return state_names[state];
}

const struct host_counters *host_counters(void)
{
	return &counters;
}

static void listen_on(void)
{
	if (state == ABSENT && endpoint_started() && !listening) {
		loop_add(&listener);
		listening = true;
	}
}

static void listen_off(void)
{
	if (listening)
		loop_remove(&listener);
	listening = false;
}

static void read_on(void)
{
	if (!reading)
		loop_add(&connection);
	reading = true;
}

static void read_off(void)
{
	if (reading)
		loop_remove(&connection);
	reading = false;
}

static void set_timer(time_t seconds)
{
	const struct itimerspec when = { .it_value.tv_sec = seconds };

	timerfd_settime(timer.fd, 0, &when, NULL);
}

static void release_vectors(uint32_t first, uint32_t count)
{
	for (uint32_t i = first; i < first + count; i++) {
		if (vectors[i] >= 0)
			close(vectors[i]);
		vectors[i] = -1;
	}
}

static void count_vectors(void)
{
	unsigned int enabled = 0;

	for (unsigned int i = 0; i < LAB_MSIX_VECTORS; i++)
		enabled += vectors[i] >= 0;
	endpoint_msix(enabled);
}

static void absent(void)
{
	/* A host we threw out may still run. */
	if (power_off)
		endpoint_clear_host();
	state = ABSENT;
	listen_on();
}

static void leave(const char *why)
{
	loop_say("host left: %s", why);
	read_off();
	set_timer(0);
	close(connection.fd);
	connection.fd = -1;
	fds_close(fds, &fd_count);
	in_bytes = 0;
	out_bytes = 0;
	release_vectors(0, LAB_MSIX_VECTORS);
	count_vectors();
	state = LEAVING;
	endpoint_request(false);
	if (!endpoint_busy())
		absent();
}

static void reply(void)
{
	const size_t bytes = out_bytes;

	out_bytes = 0;
	if (bytes && fds_send(connection.fd, out, bytes, &bar_file, out_with_bar) < 0) {
		counters.protocol_errors++;
		leave("it does not read its replies");
	}
}

static void hold(int new_state)
{
	state = new_state;
	endpoint_request(true);
	if (endpoint_busy()) {
		read_off();
		set_timer(PATIENCE_S);
	} else {
		state = ATTACHED;
	}
}

static void go_on(void)
{
	state = ATTACHED;
	set_timer(0);
	reply();
	if (connection.fd >= 0)
		read_on();
}

static void out_of_patience(struct watch *watch)
{
	if (!loop_drain(watch->fd) || (state != ATTACHING && state != RESETTING))
		return;
	counters.late_resets++;
	loop_say("endpoint did not answer in %d s, the host goes on", PATIENCE_S);
	go_on();
}

static void bar_message(const struct vfu_action *action)
{
	uint64_t offset = action->bar_offset, direct = device.bar_direct, bytes = action->bar_count;
	ssize_t n = 0;

	counters.bar_messages++;
	/* The other half is the table the host's QEMU emulates. */
	if (offset >= direct)
		return;
	if (bytes > direct - offset)
		bytes = direct - offset;
	if (action->bar_in)
		n = pread(bar_file, action->bar_in, bytes, device.bar_file_offset + offset);
	if (action->bar_out)
		n = pwrite(bar_file, action->bar_out, bytes, device.bar_file_offset + offset);
	if (n < 0)
		loop_say("BAR 0 cannot be accessed: %s", strerror(errno));
}

static void assign_vectors(const struct vfu_action *action)
{
	release_vectors(action->irq_first, action->irq_count);
	if (action->irqs == VFU_IRQS_ASSIGN) {
		for (uint32_t i = 0; i < action->irq_count; i++)
			vectors[action->irq_first + i] = fds[i];
		/* They are the vectors' now. */
		fd_count = 0;
	}
	count_vectors();
}

static void dma_map(const struct vfu_action *action)
{
	counters.dma_maps++;
	if (!fd_count || !endpoint_misplaced(fds[0], action->dma_address, action->dma_file_offset))
		return;
	counters.misplaced_maps++;
	loop_say("host memory at %#" PRIx64 " is %#" PRIx64 " of its file: give the host less memory",
		 action->dma_address, action->dma_file_offset);
}

static void message(const struct vfu_header *header)
{
	struct vfu_action action;

	counters.messages[header->command < VFU_COMMANDS ? header->command : 0]++;
	out_bytes = vfu_handle(&device, header, in + VFU_HEADER_BYTES, fd_count, out, &action);
	if (action.bar_count)
		bar_message(&action);
	if (action.irqs != VFU_IRQS_KEEP)
		assign_vectors(&action);
	if (action.dma_map)
		dma_map(&action);
	out_with_bar = action.send_bar_fd;
	fds_close(fds, &fd_count);
	if (action.reset) {
		counters.resets++;
		loop_say("host resets the device (%s)", vfu_command_name(header->command));
		hold(RESETTING);
	}
	if (state == ATTACHED)
		reply();
}

/* One message at most, and never a byte of the next: its fds are its own. */
static void receive(struct watch *watch)
{
	struct vfu_header header;
	size_t wanted = VFU_HEADER_BYTES;
	ssize_t n;

	if (in_bytes >= VFU_HEADER_BYTES) {
		vfu_header_parse(in, &header);
		wanted = header.size;
	}
	n = fds_receive(watch->fd, in + in_bytes, wanted - in_bytes, fds, &fd_count);
	if (n == -EAGAIN || n == -EINTR)
		return;
	if (n == 0 || n == -ECONNRESET) {
		power_off = true;
		leave("it closed the connection");
		return;
	}
	if (n > 0)
		in_bytes += n;
	if (n < 0 || fd_count > VFU_MAX_FDS ||
	    (in_bytes >= VFU_HEADER_BYTES && vfu_header_parse(in, &header) < 0)) {
		counters.protocol_errors++;
		leave("it does not speak vfio-user");
		return;
	}
	if (in_bytes >= VFU_HEADER_BYTES && in_bytes == header.size) {
		in_bytes = 0;
		message(&header);
	}
}

static void accept_host(struct watch *watch)
{
	int fd = accept4(watch->fd, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return;
	bar_file = endpoint_device(&device);
	if (bar_file < 0) {
		loop_say("host turned away");
		close(fd);
		return;
	}
	counters.hosts++;
	loop_say("host arrived");
	listen_off();
	connection.fd = fd;
	power_off = false;
	read_on();
	hold(ATTACHING);
}

void host_endpoint_started(void)
{
	listen_on();
}

void host_endpoint_stopped(void)
{
	listen_off();
	/* Its BAR is no longer the endpoint's: as if the card was pulled. */
	if (connection.fd >= 0)
		leave("the endpoint stopped");
}

void host_endpoint_answered(void)
{
	switch (state) {
	case ATTACHING:
	case RESETTING:
		go_on();
		break;
	case LEAVING:
		absent();
		break;
	default:
		break;
	}
}

void host_interrupt(unsigned int vector)
{
	uint64_t one = 1;

	if (vectors[vector] < 0) {
		counters.dropped_interrupts++;
		return;
	}
	counters.interrupts++;
	/* What the host passed need not be an eventfd; that it does not block is. */
	if (write(vectors[vector], &one, sizeof(one)) < 0)
		counters.dropped_interrupts++;
}

void host_init(const char *socket)
{
	for (unsigned int i = 0; i < LAB_MSIX_VECTORS; i++)
		vectors[i] = -1;
	timer.fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	timer.ready = out_of_patience;
	if (timer.fd < 0)
		err(1, "timer");
	loop_add(&timer);
	connection.ready = receive;
	listener.fd = loop_listen(socket);
	listener.ready = accept_host;
}
