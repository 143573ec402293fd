// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * tamper nbd|iscsi|nvme ADDR PORT SERVER-PORT IMAGE OFFSET MODE-FILE: a server of
 * images that lies, made of an honest one. Stands at ADDR:PORT before that of
 * ADDR:SERVER-PORT and passes on what is said, but for replies that carry the 32
 * bytes that IMAGE has at OFFSET. To these it does what MODE-FILE says then:
 *
 *	pass	nothing
 *	flip	one bit of the data is another one
 *	header	the header of the reply makes no sense
 *	moved	the header says that the data belong elsewhere in the request
 *	short	it announces and carries less data than was asked for
 *	cut	it ends in its middle, with the connection
 *
 * Says "damaged: MODE" for each.
 */
#include <arpa/inet.h>
#include <endian.h>
#include <err.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define NEEDLE		32
#define PDU_MAX		(64u << 20)

#define NBD_GREETING	18
#define NBD_STRUCTURED	0x668e33ef
#define NBD_OFFSET_DATA	1
#define ISCSI_DATA_IN	0x25
#define ISCSI_LOGIN	0x23
#define NVME_C2H_DATA	7

/* One side of a connection, of which the server's is the one that is read. */
struct flow {
	int from, to;
	bool replies;
	bool greeted;			/* NBD */
	bool digest, logged_in;		/* iSCSI */
};

struct pdu {
	uint8_t *bytes;
	size_t total;
	size_t data, data_len;		/* where its data are, if it has any */
};

static const char *kind, *mode_file;
static uint8_t needle[NEEDLE];
static struct sockaddr_in server;

static uint32_t be32(const uint8_t *p)
{
	uint32_t value;

	memcpy(&value, p, sizeof(value));
	return be32toh(value);
}

static uint32_t le32(const uint8_t *p)
{
	uint32_t value;

	memcpy(&value, p, sizeof(value));
	return le32toh(value);
}

static void add_be32(uint8_t *p, uint32_t n)
{
	uint32_t value = htobe32(be32(p) + n);

	memcpy(p, &value, sizeof(value));
}

static void add_le32(uint8_t *p, uint32_t n)
{
	uint32_t value = htole32(le32(p) + n);

	memcpy(p, &value, sizeof(value));
}

static bool read_all(int fd, void *buf, size_t len)
{
	ssize_t n;

	for (; len; len -= n, buf = (char *)buf + n) {
		n = read(fd, buf, len);
		if (n <= 0)
			return false;
	}
	return true;
}

static bool send_all(int fd, const void *buf, size_t len)
{
	ssize_t n;

	for (; len; len -= n, buf = (const char *)buf + n) {
		n = send(fd, buf, len, MSG_NOSIGNAL);
		if (n <= 0)
			return false;
	}
	return true;
}

static size_t header_len(const struct flow *flow)
{
	if (!strcmp(kind, "nbd"))
		return flow->greeted ? 20 : NBD_GREETING;
	return !strcmp(kind, "iscsi") ? 48 : 24;
}

/* Of the header in @pdu: how long it all is, and where its data will be. */
static void measure(struct flow *flow, struct pdu *pdu)
{
	const uint8_t *head = pdu->bytes;
	uint32_t len;

	pdu->data_len = 0;
	if (!strcmp(kind, "nbd")) {
		if (!flow->greeted) {
			pdu->total = NBD_GREETING;
			flow->greeted = true;
			return;
		}
		/* Replies to options have their length at the same place. */
		pdu->total = 20 + be32(head + 16);
		pdu->data = 28;
		if (be32(head) == NBD_STRUCTURED && head[7] == NBD_OFFSET_DATA &&
		    pdu->total > pdu->data)
			pdu->data_len = pdu->total - pdu->data;
	} else if (!strcmp(kind, "iscsi")) {
		len = be32(head + 4) & 0xffffff;
		pdu->data = 48 + head[4] * 4 + (flow->logged_in && flow->digest ? 4 : 0);
		pdu->total = pdu->data + ((len + 3) & ~3u);
		if ((head[0] & 0x3f) == ISCSI_DATA_IN)
			pdu->data_len = len;
	} else {
		pdu->total = le32(head + 4);
		pdu->data = head[3];
		if (head[0] == NVME_C2H_DATA)
			pdu->data_len = le32(head + 16);
	}
}

static void watch_login(struct flow *flow, const struct pdu *pdu)
{
	const char yes[] = "HeaderDigest=CRC32C";

	if (strcmp(kind, "iscsi") || (pdu->bytes[0] & 0x3f) != ISCSI_LOGIN)
		return;
	flow->digest |= !!memmem(pdu->bytes + 48, pdu->total - 48, yes, sizeof(yes));
	/* To the full feature phase. */
	flow->logged_in |= (pdu->bytes[1] & 0x83) == 0x83;
}

static void damage_header(struct pdu *pdu)
{
	/* A magic number, an opcode, a type. */
	pdu->bytes[0] = 0x3e;
}

static void damage_place(struct pdu *pdu)
{
	if (!strcmp(kind, "nbd"))
		add_be32(pdu->bytes + 24, 4096);
	else if (!strcmp(kind, "iscsi"))
		add_be32(pdu->bytes + 40, 4096);
	else
		add_le32(pdu->bytes + 12, 4096);
}

static void shorten(struct pdu *pdu)
{
	uint32_t less = pdu->data_len > 4096 ? 4096 : pdu->data_len / 2;

	pdu->total -= less;
	if (!strcmp(kind, "nbd")) {
		add_be32(pdu->bytes + 16, -less);
	} else if (!strcmp(kind, "iscsi")) {
		add_be32(pdu->bytes + 4, -less);
	} else {
		add_le32(pdu->bytes + 4, -less);
		add_le32(pdu->bytes + 16, -less);
	}
}

/* False: the connection is to end. */
static bool damage(struct pdu *pdu, uint8_t *found)
{
	char mode[16] = "pass";
	FILE *file = fopen(mode_file, "re");

	if (!file || fscanf(file, "%15s", mode) != 1)
		err(1, "no mode in %s", mode_file);
	if (file)
		fclose(file);
	if (!strcmp(mode, "pass"))
		return true;
	printf("damaged: %s\n", mode);
	if (!strcmp(mode, "flip"))
		*found ^= 1;
	else if (!strcmp(mode, "header"))
		damage_header(pdu);
	else if (!strcmp(mode, "moved"))
		damage_place(pdu);
	else if (!strcmp(mode, "short"))
		shorten(pdu);
	else
		pdu->total = found - pdu->bytes;
	return strcmp(mode, "cut");
}

static bool pass_reply(struct flow *flow)
{
	struct pdu pdu = { .bytes = malloc(PDU_MAX) };
	size_t have = header_len(flow);
	bool fine = pdu.bytes && read_all(flow->from, pdu.bytes, have);
	uint8_t *found = NULL;

	if (fine) {
		measure(flow, &pdu);
		fine = pdu.total >= have && pdu.total <= PDU_MAX &&
		       pdu.data + pdu.data_len <= PDU_MAX &&
		       read_all(flow->from, pdu.bytes + have, pdu.total - have);
	}
	if (fine) {
		watch_login(flow, &pdu);
		if (pdu.data_len)
			found = memmem(pdu.bytes + pdu.data, pdu.data_len, needle, NEEDLE);
		fine = !found || damage(&pdu, found);
		fine = send_all(flow->to, pdu.bytes, pdu.total) && fine;
	}
	free(pdu.bytes);
	return fine;
}

static bool pass_request(struct flow *flow)
{
	char buf[65536];
	ssize_t n = read(flow->from, buf, sizeof(buf));

	return n > 0 && send_all(flow->to, buf, n);
}

static void *run(void *arg)
{
	struct flow *flow = arg;

	while (flow->replies ? pass_reply(flow) : pass_request(flow))
		;
	/* The other half sees it too; both descriptors are the process's to the end. */
	shutdown(flow->from, SHUT_RDWR);
	shutdown(flow->to, SHUT_RDWR);
	free(flow);
	return NULL;
}

static void start(int from, int to, bool replies)
{
	struct flow *flow = calloc(1, sizeof(*flow));
	pthread_t thread;

	if (!flow)
		errx(1, "no memory");
	*flow = (struct flow){ .from = from, .to = to, .replies = replies };
	if (pthread_create(&thread, NULL, run, flow))
		errx(1, "no thread");
	pthread_detach(thread);
}

static void serve(int client)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

	if (fd < 0 || connect(fd, (struct sockaddr *)&server, sizeof(server)) < 0) {
		close(fd);
		close(client);
		return;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	start(client, fd, false);
	start(fd, client, true);
}

int main(int argc, char **argv)
{
	struct sockaddr_in here = { .sin_family = AF_INET };
	int listener, client, on = 1;
	FILE *image;

	if (argc != 8 || !inet_aton(argv[2], &here.sin_addr))
		errx(2, "usage: tamper nbd|iscsi|nvme ADDR PORT SERVER-PORT IMAGE OFFSET MODE-FILE");
	kind = argv[1];
	server = here;
	here.sin_port = htons(atoi(argv[3]));
	server.sin_port = htons(atoi(argv[4]));
	mode_file = argv[7];
	setvbuf(stdout, NULL, _IOLBF, 0);
	image = fopen(argv[5], "re");
	if (!image || fseeko(image, atoll(argv[6]), SEEK_SET) ||
	    fread(needle, NEEDLE, 1, image) != 1)
		err(1, "%s", argv[5]);
	fclose(image);
	listener = socket(AF_INET, SOCK_STREAM, 0);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(listener, (struct sockaddr *)&here, sizeof(here)) < 0 || listen(listener, 16) < 0)
		err(1, "%s port %s", argv[2], argv[3]);
	while ((client = accept(listener, NULL, NULL)) >= 0)
		serve(client);
	err(1, "accept");
}
