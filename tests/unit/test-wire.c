// SPDX-License-Identifier: GPL-2.0-or-later
/* LINK: tests/lab/wire/vfio-user.c tests/lab/wire/config.c */
#include "tests/lab/wire/vfio-user.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include <linux/pci_regs.h>
#include <linux/vfio.h>

#define BAR	0x2000u		/* what the endpoint has; the host sees twice that */
#define MSIX	0x50
#define EXPRESS	0x60

static struct vfu_device device;
static struct vfu_action action;
static uint8_t reply[VFU_MAX_MESSAGE];
static uint32_t error;

static void setup(void)
{
	const struct config_identity identity = {
		.vendor = 0x1b36,
		.device = 0x51ce,
		.prog_if = 2,
		.subclass = 8,
		.base_class = 1,
		.bar_flags = PCI_BASE_ADDRESS_MEM_TYPE_64,
		.bar_bytes = 2 * BAR,
		.vectors = 5,
		.table_offset = BAR,
		.pending_offset = BAR + 2048,
	};

	memset(&device, 0, sizeof(device));
	config_init(&device.config, &identity);
	device.bar_bytes = 2 * BAR;
	device.bar_direct = BAR;
	device.bar_file_offset = 0x123000;
	device.vectors = 5;
}

/* The bytes of the answer's payload; "error" is set. */
static int ask_flags(unsigned int command, const void *payload, size_t bytes, unsigned int fds,
		     uint32_t flags)
{
	struct vfu_header header = {
		.id = 7,
		.command = command,
		.size = VFU_HEADER_BYTES + bytes,
		.flags = flags,
	};
	/* Of its own size, so that the sanitizer sees who reads beyond. */
	uint8_t *copy = malloc(bytes ? bytes : 1);
	size_t n;

	memcpy(copy, payload, bytes);
	memset(reply, 0xa5, sizeof(reply));
	n = vfu_handle(&device, &header, copy, fds, reply, &action);
	free(copy);
	if (!n)
		return -1;
	ck_assert_int_eq(vfu_header_parse(reply, &header), -EPROTO); /* it is a reply */
	ck_assert_uint_eq(header.id, 7);
	ck_assert_uint_eq(header.command, command);
	ck_assert_uint_eq(header.size, n);
	error = header.error;
	ck_assert_uint_eq(header.flags, error ? 0x21 : 1);
	return n - VFU_HEADER_BYTES;
}

static int ask(unsigned int command, const void *payload, size_t bytes, unsigned int fds)
{
	return ask_flags(command, payload, bytes, fds, 0);
}

static const uint8_t *answer(void)
{
	return reply + VFU_HEADER_BYTES;
}

struct access {
	uint64_t offset;
	uint32_t region, count;
	uint8_t data[8];
};

static uint64_t config_get(uint64_t offset, uint32_t bytes)
{
	const struct access a = {
		.offset = offset, .region = VFIO_PCI_CONFIG_REGION_INDEX, .count = bytes,
	};
	uint64_t value = 0;

	ck_assert_int_eq(ask(VFU_REGION_READ, &a, 16, 0), 16 + bytes);
	memcpy(&value, answer() + 16, bytes);
	return value;
}

static void config_put(uint64_t offset, uint32_t bytes, uint64_t value)
{
	struct access a = {
		.offset = offset, .region = VFIO_PCI_CONFIG_REGION_INDEX, .count = bytes,
	};

	memcpy(a.data, &value, 8);
	ck_assert_int_eq(ask(VFU_REGION_WRITE, &a, 16 + bytes, 0), 16);
	ck_assert_uint_eq(error, 0);
}

START_TEST(headers)
{
	struct vfu_header header;
	uint8_t data[VFU_HEADER_BYTES] = { 1, 0, 13, 0, VFU_HEADER_BYTES };

	ck_assert_int_eq(vfu_header_parse(data, &header), 0);
	ck_assert_uint_eq(header.command, VFU_DEVICE_RESET);
	data[4] = VFU_HEADER_BYTES - 1;
	ck_assert_int_eq(vfu_header_parse(data, &header), -EPROTO);
	memset(data + 4, 0xff, 4);
	ck_assert_int_eq(vfu_header_parse(data, &header), -EPROTO);
	memset(data + 4, 0, 4);
	data[4] = VFU_HEADER_BYTES;
	data[8] = 1; /* a reply */
	ck_assert_int_eq(vfu_header_parse(data, &header), -EPROTO);
}
END_TEST

START_TEST(version)
{
	static const char hello[] = "\0\0\0\0{}";
	static const char other[] = "\1\0\0\0{}";
	int n = ask(VFU_VERSION, hello, sizeof(hello), 0);

	ck_assert_int_gt(n, 4);
	ck_assert_uint_eq(error, 0);
	ck_assert_uint_eq(answer()[n - 1], 0);
	ck_assert_ptr_nonnull(strstr((const char *)answer() + 4, "\"max_data_xfer_size\":65536"));
	ask(VFU_VERSION, other, sizeof(other), 0);
	ck_assert_uint_eq(error, EINVAL);
	ask(VFU_VERSION, hello, 3, 0);
	ck_assert_uint_eq(error, EINVAL);
}
END_TEST

START_TEST(regions)
{
	struct vfio_region_info info = { .argsz = 32 };

	/* First it asks how much there is, then for all of it. */
	ck_assert_int_eq(ask(VFU_REGION_GET_INFO, &info, sizeof(info), 0), 32);
	memcpy(&info, answer(), 32);
	ck_assert_uint_eq(info.argsz, 64);
	ck_assert_uint_eq(info.cap_offset, 32);
	ck_assert(action.send_bar_fd);
	ck_assert_int_eq(ask(VFU_REGION_GET_INFO, &info, sizeof(info), 0), 64);
	memcpy(&info, answer(), 32);
	ck_assert_uint_eq(info.size, 2 * BAR);
	ck_assert_uint_eq(info.offset, 0x123000);
	ck_assert_uint_eq(answer()[32], VFIO_REGION_INFO_CAP_SPARSE_MMAP);
	/* Of the area only the endpoint's half. */
	ck_assert_uint_eq(answer()[48] | answer()[49], 0);
	ck_assert_uint_eq(answer()[57], BAR >> 8);

	info = (struct vfio_region_info){ .argsz = 32, .index = VFIO_PCI_CONFIG_REGION_INDEX };
	ck_assert_int_eq(ask(VFU_REGION_GET_INFO, &info, sizeof(info), 0), 32);
	memcpy(&info, answer(), 32);
	ck_assert_uint_eq(info.size, 4096);
	ck_assert(!action.send_bar_fd);
	info = (struct vfio_region_info){ .argsz = 32, .index = 9 };
	ask(VFU_REGION_GET_INFO, &info, sizeof(info), 0);
	ck_assert_uint_eq(error, EINVAL);
	info = (struct vfio_region_info){ .argsz = 31 };
	ask(VFU_REGION_GET_INFO, &info, sizeof(info), 0);
	ck_assert_uint_eq(error, EINVAL);
}
END_TEST

START_TEST(interrupts)
{
	struct vfio_irq_set set = {
		.argsz = 20, .flags = 0x24, .index = VFIO_PCI_MSIX_IRQ_INDEX, .start = 2, .count = 1,
	};
	struct vfio_irq_info info = { .argsz = 16, .index = VFIO_PCI_MSIX_IRQ_INDEX };

	ck_assert_int_eq(ask(VFU_IRQ_GET_INFO, &info, sizeof(info), 0), 16);
	ck_assert_uint_eq(answer()[12], 5);

	ask(VFU_SET_IRQS, &set, 20, 1);
	ck_assert_uint_eq(error, 0);
	ck_assert_int_eq(action.irqs, VFU_IRQS_ASSIGN);
	ck_assert_uint_eq(action.irq_first, 2);
	ask(VFU_SET_IRQS, &set, 20, 0);
	ck_assert_int_eq(action.irqs, VFU_IRQS_RELEASE);
	ck_assert_uint_eq(action.irq_count, 1);
	ask(VFU_SET_IRQS, &set, 20, 2);
	ck_assert_uint_eq(error, EINVAL);
	set.start = 5;
	ask(VFU_SET_IRQS, &set, 20, 1);
	ck_assert_uint_eq(error, EINVAL);
	ck_assert_int_eq(action.irqs, VFU_IRQS_KEEP);
	set.start = 0xffffffff;
	set.count = 2;
	ask(VFU_SET_IRQS, &set, 20, 2);
	ck_assert_uint_eq(error, EINVAL);
	set = (struct vfio_irq_set){ .argsz = 20, .flags = 0x21, .index = VFIO_PCI_MSIX_IRQ_INDEX };
	ask(VFU_SET_IRQS, &set, 20, 0);
	ck_assert_int_eq(action.irqs, VFU_IRQS_RELEASE);
	ck_assert_uint_eq(action.irq_count, 5);
	set.index = VFIO_PCI_REQ_IRQ_INDEX;
	ask(VFU_SET_IRQS, &set, 20, 0);
	ck_assert_uint_eq(error, 0);
	ck_assert_int_eq(action.irqs, VFU_IRQS_KEEP);
}
END_TEST

START_TEST(config_of_a_nvme_device)
{
	ck_assert_uint_eq(config_get(0, 4), 0x51ce1b36);
	ck_assert_uint_eq(config_get(PCI_CLASS_REVISION, 4), 0x01080200);
	ck_assert_uint_eq(config_get(PCI_INTERRUPT_PIN, 1), 0);
	ck_assert_uint_eq(config_get(MSIX + PCI_MSIX_FLAGS, 2), 4);
	ck_assert_uint_eq(config_get(MSIX + PCI_MSIX_TABLE, 4), BAR);

	/* Sizing, then an address. */
	config_put(PCI_BASE_ADDRESS_0, 4, 0xffffffff);
	config_put(PCI_BASE_ADDRESS_1, 4, 0xffffffff);
	ck_assert_uint_eq(config_get(PCI_BASE_ADDRESS_0, 8), 0xffffffffffffc004);
	config_put(PCI_BASE_ADDRESS_0, 4, 0xc0000000);
	ck_assert_uint_eq(config_get(PCI_BASE_ADDRESS_0, 4), 0xc0000004);
	config_put(0, 4, 0);
	ck_assert_uint_eq(config_get(0, 4), 0x51ce1b36);
	config_put(PCI_COMMAND, 2, 0xffff);
	ck_assert_uint_eq(config_get(PCI_COMMAND, 2), 0x546);
}
END_TEST

START_TEST(capabilities_end)
{
	unsigned int at = config_get(PCI_CAPABILITY_LIST, 1), n = 0, seen = 0;

	for (; at; at = config_get(at + 1, 1)) {
		ck_assert_uint_lt(n++, 8);
		seen |= 1u << config_get(at, 1);
	}
	ck_assert_uint_eq(seen, 1u << PCI_CAP_ID_PM | 1u << PCI_CAP_ID_MSIX | 1u << PCI_CAP_ID_EXP);
}
END_TEST

START_TEST(resets)
{
	config_put(PCI_BASE_ADDRESS_0, 4, 0xc0000000);
	config_put(EXPRESS + PCI_EXP_DEVCTL, 2, 0x2810);
	ck_assert(!action.reset);
	ck_assert_uint_eq(config_get(EXPRESS + PCI_EXP_DEVCTL, 2), 0x2810);
	config_put(EXPRESS + PCI_EXP_DEVCTL, 2, PCI_EXP_DEVCTL_BCR_FLR | 0x2810);
	ck_assert(action.reset);
	ck_assert_uint_eq(config_get(EXPRESS + PCI_EXP_DEVCTL, 2), 0);
	ck_assert_uint_eq(config_get(PCI_BASE_ADDRESS_0, 4), 4);
	/* One byte of it is enough. */
	config_put(EXPRESS + PCI_EXP_DEVCTL + 1, 1, 0x80);
	ck_assert(action.reset);

	config_put(PCI_COMMAND, 2, PCI_COMMAND_MASTER);
	ck_assert_int_eq(ask(VFU_DEVICE_RESET, "", 0, 0), 0);
	ck_assert(action.reset);
	ck_assert_uint_eq(config_get(PCI_COMMAND, 2), 0);
}
END_TEST

START_TEST(accesses_out_of_bounds)
{
	static const struct access bad[] = {
		{ .region = 7, .offset = 4096, .count = 1 },
		{ .region = 7, .offset = 4095, .count = 2 },
		{ .region = 7, .offset = -1ull, .count = 2 },
		{ .region = 7, .offset = 0, .count = 0xffffffff },
		{ .region = 0, .offset = 2 * BAR, .count = 1 },
		{ .region = 0, .offset = -4ull, .count = 8 },
		{ .region = 1, .count = 1 },
		{ .region = 8, .count = 1 },
		{ .region = 0xffffffff, .count = 1 },
	};
	const struct access beyond = { .region = 7, .count = 9 };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ask(VFU_REGION_READ, &bad[i], 16, 0);
		ck_assert_uint_eq(error, EINVAL);
		ask(VFU_REGION_WRITE, &bad[i], 24, 0);
		ck_assert_uint_eq(error, EINVAL);
	}
	/* More is announced than came. */
	ask(VFU_REGION_WRITE, &beyond, 24, 0);
	ck_assert_uint_eq(error, EINVAL);
	ask(VFU_REGION_READ, &beyond, 15, 0);
	ck_assert_uint_eq(error, EINVAL);
}
END_TEST

START_TEST(bar_by_message)
{
	const struct access a = { .region = 0, .offset = 0x14, .count = 4, .data = { 1, 2, 3, 4 } };

	ck_assert_int_eq(ask(VFU_REGION_READ, &a, 16, 0), 20);
	ck_assert_ptr_eq(action.bar_in, reply + VFU_HEADER_BYTES + 16);
	ck_assert_uint_eq(action.bar_offset, 0x14);
	ck_assert_int_eq(ask(VFU_REGION_WRITE, &a, 20, 0), 16);
	ck_assert_ptr_nonnull(action.bar_out);
	ck_assert_uint_eq(action.bar_count, 4);
}
END_TEST

START_TEST(dma)
{
	struct {
		uint32_t argsz, flags;
		uint64_t offset, address, bytes;
	} map = { 32, 3, 0x1000, 0x1000, 0x1000 };

	ck_assert_int_eq(ask(VFU_DMA_MAP, &map, sizeof(map), 0), 0);
	ck_assert(action.dma_map);
	map.address = -0x800ull;
	ask(VFU_DMA_MAP, &map, sizeof(map), 0);
	ck_assert_uint_eq(error, EINVAL);
	map.bytes = 0;
	ask(VFU_DMA_MAP, &map, sizeof(map), 0);
	ck_assert_uint_eq(error, EINVAL);
	ck_assert_int_eq(ask(VFU_DMA_UNMAP, &map, 24, 0), 24);
	ck_assert(action.dma_unmap);
}
END_TEST

START_TEST(silence_on_request)
{
	const struct access a = { .region = 7, .offset = 4, .count = 2, .data = { 6 } };

	ck_assert_int_eq(ask_flags(VFU_REGION_WRITE, &a, 18, 0, 0x10), -1);
	ck_assert_uint_eq(config_get(PCI_COMMAND, 2), 6);
	ck_assert_int_eq(ask_flags(99, &a, 18, 0, 0x10), -1);
	ask(99, &a, 18, 0);
	ck_assert_uint_eq(error, ENOTSUP);
	ck_assert_str_eq(vfu_command_name(VFU_DEVICE_RESET), "DEVICE_RESET");
	ck_assert_str_eq(vfu_command_name(99), "unknown");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("wire");
	TCase *tcase = tcase_create("vfio-user");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tcase, setup, NULL);
	tcase_add_test(tcase, headers);
	tcase_add_test(tcase, version);
	tcase_add_test(tcase, regions);
	tcase_add_test(tcase, interrupts);
	tcase_add_test(tcase, config_of_a_nvme_device);
	tcase_add_test(tcase, capabilities_end);
	tcase_add_test(tcase, resets);
	tcase_add_test(tcase, accesses_out_of_bounds);
	tcase_add_test(tcase, bar_by_message);
	tcase_add_test(tcase, dma);
	tcase_add_test(tcase, silence_on_request);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
