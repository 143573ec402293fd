// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Preloaded into a real program: makes calls fail that do not fail on a good machine, as
 * the file says that SLUICE_FAULTS names. It is read at every call, so that a test may
 * change its mind. A line of it is
 *
 *	CALL OBJECT ERRNO [SKIP]
 *
 * with the name of a function below, a pattern as of fnmatch(3) for the path that it is
 * about or that its descriptor has ("#" and the number of an ioctl follow), an error as a
 * number, and how many calls go well before. CALL may be "answer", too: of an ioctl, which
 * succeeds, but with zero in the four bytes of its answer at that offset, plus one. And
 * "succeed": an ioctl that fails does so no longer, and answers nothing.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <liburing.h>

#define MAX_RULES	16

#define REAL(name) ((typeof(&name))dlsym(RTLD_NEXT, #name))

int nbd_supports_tls(void *handle);

/* By system calls: what is below goes through here. */
static size_t read_rules(char *text, size_t len)
{
	const char *path = getenv("SLUICE_FAULTS");
	long fd, n;

	fd = path ? syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC) : -1;
	if (fd < 0)
		return 0;
	n = syscall(SYS_read, fd, text, len - 1);
	syscall(SYS_close, fd);
	return n < 0 ? 0 : n;
}

static bool fails(const char *call, const char *object)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static char last[4096];
	static int passed[MAX_RULES];
	char text[4096] = "", name[64], pattern[256], *line = text;
	int was = errno, error = 0, number, skip, i;

	text[read_rules(text, sizeof(text))] = '\0';
	pthread_mutex_lock(&lock);
	if (strcmp(text, last)) {
		strcpy(last, text);
		memset(passed, 0, sizeof(passed));
	}
	for (i = 0; line && i < MAX_RULES && !error; i++) {
		skip = 0;
		if (sscanf(line, "%63s %255s %d %d", name, pattern, &number, &skip) >= 3 &&
		    !strcmp(name, call) && !fnmatch(pattern, object, 0) && passed[i]++ >= skip)
			error = number;
		line = strchr(line, '\n');
		line += !!line;
	}
	pthread_mutex_unlock(&lock);
	errno = error ? error : was;
	return error;
}

static const char *of_fd(int fd, char *path)
{
	char link[32];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, PATH_MAX - 1);
	path[n < 0 ? 0 : n] = '\0';
	return path;
}

static bool fails_fd(const char *call, int fd)
{
	char path[PATH_MAX];

	return fails(call, of_fd(fd, path));
}

int open(const char *path, int flags, ...)
{
	va_list args;
	mode_t mode;

	va_start(args, flags);
	mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
	va_end(args);
	return fails("open", path) ? -1 : REAL(open)(path, flags, mode);
}

ssize_t read(int fd, void *buf, size_t len)
{
	return fails_fd("read", fd) ? -1 : REAL(read)(fd, buf, len);
}

ssize_t write(int fd, const void *buf, size_t len)
{
	return fails_fd("write", fd) ? -1 : REAL(write)(fd, buf, len);
}

int fstat(int fd, struct stat *st)
{
	return fails_fd("fstat", fd) ? -1 : REAL(fstat)(fd, st);
}

int ioctl(int fd, unsigned long request, ...)
{
	char path[PATH_MAX], object[PATH_MAX + 16];
	va_list args;
	void *arg;
	int ret;

	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);
	snprintf(object, sizeof(object), "%s#%lu", of_fd(fd, path), _IOC_NR(request));
	if (fails("ioctl", object))
		return -1;
	ret = REAL(ioctl)(fd, request, arg);
	if (ret < 0 && fails("succeed", object))
		ret = 0;
	if (!ret && fails("answer", object))
		memset((char *)arg + errno - 1, 0, 4);
	return ret;
}

int nbd_supports_tls(void *handle)
{
	return fails("nbd_supports_tls", "") ? 0 : REAL(nbd_supports_tls)(handle);
}

/* A ring that is full at once, so that it is submitted for want of room. */
int io_uring_queue_init_params(unsigned int entries, struct io_uring *ring,
			       struct io_uring_params *params)
{
	return REAL(io_uring_queue_init_params)(fails("small_ring", "") ? 1 : entries, ring, params);
}

int io_uring_submit(struct io_uring *ring)
{
	return fails("io_uring_submit", "") ? -errno : REAL(io_uring_submit)(ring);
}

/* The kernel itself refuses what has no descriptor. */
static void spoil(struct io_uring_sqe *sqe)
{
	const char *call = sqe->opcode == IORING_OP_POLL_ADD  ? "poll" :
			   sqe->opcode == IORING_OP_URING_CMD ? "uring_cmd" : NULL;

	if (call && fails_fd(call, sqe->fd))
		sqe->fd = -1;
}

int io_uring_submit_and_wait_timeout(struct io_uring *ring, struct io_uring_cqe **cqe,
				     unsigned int wait_nr, struct __kernel_timespec *ts,
				     sigset_t *mask)
{
	unsigned int shift = ring->flags & IORING_SETUP_SQE128 ? 1 : 0, i;

	if (fails("io_uring_wait", ""))
		return -errno;
	for (i = ring->sq.sqe_head; i != ring->sq.sqe_tail; i++)
		spoil(&ring->sq.sqes[(i & *ring->sq.kring_mask) << shift]);
	return REAL(io_uring_submit_and_wait_timeout)(ring, cqe, wait_nr, ts, mask);
}
