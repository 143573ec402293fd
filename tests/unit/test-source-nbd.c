// SPDX-License-Identifier: GPL-2.0-or-later
/* LINK: daemon/source.c daemon/source_nbd.c daemon/source_iscsi.c daemon/source_file.c daemon/source_nvme.c daemon/source_remote.c daemon/nvme_ctrl.c daemon/nvme_tls.c daemon/credentials.c daemon/sampling.c daemon/holes.c daemon/sysfs.c daemon/modprobe.c daemon/log.c daemon/loop.c daemon/job.c libcommon/sample.c libcommon/uri.c libcommon/uri_parse.c libcommon/uri_nvme.c libcommon/uri_iscsi.c libcommon/uri_nbd.c -lnbd -liscsi -lnvme -lsystemd */
/*
 * A source behind a library, in the loop, with nbdkit at the other end of a socket:
 * reads side by side, samples for a job meanwhile, and servers that fail.
 */
#include "source.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <check.h>

#include "job.h"
#include "log.h"

#define BYTES	(UINT64_C(32) << 20)
#define CHUNK	(UINT32_C(1) << 20)
#define DEPTH	16

static char dir[] = "/tmp/test-source-nbd.XXXXXX";
static char uri[128], why[SLUICED_WHY_LEN];
static pid_t server;
static struct sluiced_loop loop;
static struct sluiced_source *source;
static const struct sluiced_source_options options = {
	.state_dir = "/tmp", .ctrl_loss_s = 1, .credentials = "/nonexistent",
};

static struct sluiced_read reads[DEPTH];
static uint8_t *bufs[DEPTH];
static uint64_t next, bytes_read;
static unsigned int flying, errors, wrong;
static int last_error;
static struct sluiced_timer patience;

/* The socket is there before its server listens. */
static bool listens(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool listens;

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	listens = !connect(fd, (const struct sockaddr *)&address, sizeof(address));
	close(fd);
	return listens;
}

/* nbdkit with the image of dir/image; NULL ends @args. */
static void serve(const char *const args[])
{
	char socket_path[64], image[64];
	const char *argv[24] = { "nbdkit", "-f", "-r", "-U", socket_path };
	unsigned int n = 5, i;

	snprintf(socket_path, sizeof(socket_path), "%s/socket", dir);
	snprintf(image, sizeof(image), "%s/image", dir);
	unlink(socket_path);
	for (i = 0; args[i]; i++)
		argv[n++] = strcmp(args[i], "IMAGE") ? args[i] : image;
	server = fork();
	if (!server) {
		if (!freopen("/dev/null", "w", stderr))
			_exit(126);
		execvp(argv[0], (char **)argv);
		_exit(127);
	}
	for (i = 0; i < 200 && !listens(socket_path); i++)
		usleep(20000);
	snprintf(uri, sizeof(uri), "nbd+unix:///?socket=%s", socket_path);
}

static void stop_server(void)
{
	if (server <= 0)
		return;
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
	server = 0;
}

static void setup(void)
{
	char path[64];
	uint32_t i;
	FILE *f;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/image", dir);
	f = fopen(path, "w");
	/* The last eight MiB are a hole; every other word says where it is. */
	for (i = 0; i < (BYTES - (8 << 20)) / 4; i++)
		fwrite(&i, 4, 1, f);
	ck_assert_int_eq(ferror(f) | fclose(f), 0);
	ck_assert_int_eq(truncate(path, BYTES), 0);
	sluiced_log_init(LOG_ERR);
	ck_assert_int_eq(sluiced_loop_init(&loop), 0);
	ck_assert_int_eq(sluiced_jobs_init(&loop), 0);
	for (i = 0; i < DEPTH; i++)
		ck_assert_int_eq(posix_memalign((void **)&bufs[i], 4096, CHUNK), 0);
}

static void teardown(void)
{
	char command[96];

	stop_server();
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	ck_assert_int_eq(system(command), 0);
}

static void give_up(struct sluiced_timer *timer)
{
	(void)timer;
	ck_abort_msg("%u reads hang", flying);
}

static void open_source(void)
{
	ck_assert_msg(!sluiced_source_open(&source, uri, "", &options, why, sizeof(why)), "%s",
		      why);
	ck_assert_uint_eq(source->image.bytes, BYTES);
	ck_assert_msg(!sluiced_source_sample(source, uri, why, sizeof(why)), "%s", why);
	sluiced_source_adopt(source, &loop);
	patience.fire = give_up;
	sluiced_timer_start(&loop, &patience, 20000);
}

static void read_done(struct sluiced_read *read, int err);

static void start_read(unsigned int i)
{
	if (next == BYTES)
		return;
	flying++;
	next += CHUNK;
	sluiced_source_read(source, &reads[i], bufs[i], CHUNK, next - CHUNK, read_done);
}

static void check_data(const struct sluiced_read *read)
{
	const uint32_t *words = (const uint32_t *)read->buf;
	uint64_t at = read->offset;
	uint32_t i;

	for (i = 0; i < read->len / 4; i++, at += 4)
		wrong += words[i] != (at < BYTES - (8 << 20) ? at / 4 : 0);
}

static void read_done(struct sluiced_read *read, int err)
{
	flying--;
	if (err) {
		errors++;
		last_error = err;
	} else {
		bytes_read += read->len;
		check_data(read);
	}
	start_read(read - reads);
	if (!flying)
		sluiced_loop_stop(&loop);
}

static void read_all(void)
{
	unsigned int i;

	for (i = 0; i < DEPTH; i++)
		start_read(i);
	ck_assert_int_eq(sluiced_loop_run(&loop), 0);
}

static void look_gone(struct sluiced_timer *timer)
{
	if (source->reads)
		sluiced_timer_start(&loop, timer, 10);
	else
		sluiced_loop_stop(&loop);
}

/* Nothing is left under way, whatever was. */
static void close_source(void)
{
	struct sluiced_timer timer = { .fire = look_gone };

	sluiced_source_retire(source);
	sluiced_source_close(source);
	sluiced_timer_start(&loop, &timer, 0);
	ck_assert_int_eq(sluiced_loop_run(&loop), 0);
	ck_assert_uint_eq(flying, 0);
	sluiced_source_free(source);
}

static struct verification {
	struct sluiced_job job;
	struct sluice_image was;
	int err;
} verification;

static void verify(struct sluiced_job *job)
{
	struct verification *v = container_of(job, struct verification, job);

	v->err = sluiced_source_verify(source, uri, &v->was, "", why, sizeof(why));
}

static void verified(struct sluiced_job *job)
{
	(void)job;
	if (!flying)
		sluiced_loop_stop(&loop);
}

static void reads_right(const char *const args[])
{
	serve(args);
	open_source();
	verification.was = source->image;
	verification.err = 1;
	verification.job.work = verify;
	verification.job.done = verified;
	sluiced_job_start(&verification.job);
	read_all();
	while (sluiced_jobs_running())
		ck_assert_int_eq(sluiced_loop_run(&loop), 0);
	ck_assert_int_eq(verification.err, 0);
	ck_assert_uint_eq(bytes_read, BYTES);
	ck_assert_uint_eq(errors, 0);
	ck_assert_uint_eq(wrong, 0);
	ck_assert(!source->ops->lost(source));
	close_source();
}

START_TEST(several_connections)
{
	reads_right((const char *[]){ "file", "IMAGE", NULL });
}
END_TEST

START_TEST(one_connection)
{
	reads_right((const char *[]){ "--filter=multi-conn", "file", "IMAGE",
				      "multi-conn-mode=disable", NULL });
}
END_TEST

/* A read is then made of several commands. */
START_TEST(small_requests)
{
	reads_right((const char *[]){ "--filter=blocksize-policy", "file", "IMAGE",
				      "blocksize-minimum=4096", "blocksize-preferred=64k",
				      "blocksize-maximum=192k", "blocksize-error-policy=error",
				      NULL });
}
END_TEST

static struct sluiced_survey survey;
static int survey_err = 1;

static void surveyed(struct sluiced_survey *s, int err)
{
	(void)s;
	survey_err = err;
	sluiced_loop_stop(&loop);
}

START_TEST(holes)
{
	serve((const char *[]){ "file", "IMAGE", NULL });
	open_source();
	ck_assert(source->surveys);
	sluiced_source_survey(source, &survey, 4096, BYTES - 4096, surveyed);
	ck_assert_int_eq(sluiced_loop_run(&loop), 0);
	ck_assert_int_eq(survey_err, 0);
	ck_assert_uint_eq(survey.known, BYTES - 4096);
	ck_assert_uint_eq(survey.count, 1);
	ck_assert_uint_eq(survey.zero[0].offset, BYTES - (8 << 20));
	ck_assert_uint_eq(survey.zero[0].len, 8 << 20);
	close_source();
}
END_TEST

/* What is gone from a file is no hole of the image that it had. */
START_TEST(no_holes_of_a_file_that_changed)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/image", dir);
	snprintf(uri, sizeof(uri), "file:%s", path);
	open_source();
	ck_assert(source->surveys);
	sluiced_source_survey(source, &survey, 0, BYTES, surveyed);
	ck_assert_int_eq(sluiced_loop_run(&loop), 0);
	ck_assert_int_eq(survey_err, 0);
	ck_assert_uint_eq(survey.count, 1);
	ck_assert_int_eq(truncate(path, 4096), 0);
	sluiced_source_survey(source, &survey, 0, BYTES, surveyed);
	ck_assert_int_eq(sluiced_loop_run(&loop), 0);
	ck_assert_int_eq(survey_err, -ESTALE);
	ck_assert_int_eq(truncate(path, BYTES), 0);
	sluiced_source_survey(source, &survey, 0, BYTES, surveyed);
	ck_assert_int_eq(sluiced_loop_run(&loop), 0);
	ck_assert_int_eq(survey_err, -ESTALE);
	close_source();
}
END_TEST

START_TEST(server_killed)
{
	serve((const char *[]){ "--filter=delay", "file", "IMAGE", "delay-read=300ms", NULL });
	open_source();
	kill(server, SIGKILL);
	read_all();
	ck_assert_uint_eq(errors, BYTES / CHUNK);
	ck_assert(last_error == -ENOTCONN || last_error == -ECONNRESET);
	ck_assert_int_eq(sluiced_source_classify(last_error), SLUICED_SOURCE_RETRY);
	ck_assert(source->ops->lost(source));
	close_source();
}
END_TEST

/* Whatever a server answers is no statement about the image. */
START_TEST(errors_of_reads)
{
	char file[96];
	FILE *f;

	snprintf(file, sizeof(file), "error-pread-file=%s/bad", dir);
	serve((const char *[]){ "--filter=error", "file", "IMAGE", "error-pread=EINVAL", file,
				"error-pread-rate=100%", NULL });
	open_source();
	f = fopen(strchr(file, '=') + 1, "w");
	fclose(f);
	read_all();
	ck_assert_uint_eq(errors, BYTES / CHUNK);
	ck_assert_int_eq(last_error, -EIO);
	ck_assert(!source->ops->lost(source));
	close_source();
}
END_TEST

/* Reads that hang end when the source is left. */
START_TEST(left_while_reading)
{
	unsigned int i;

	serve((const char *[]){ "--filter=delay", "file", "IMAGE", "delay-read=300ms", NULL });
	open_source();
	kill(server, SIGSTOP);
	for (i = 0; i < DEPTH; i++)
		start_read(i);
	next = BYTES;
	close_source();
	ck_assert_uint_eq(errors, DEPTH);
	ck_assert_int_eq(last_error, -ENOLINK);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("source-nbd");
	TCase *tcase = tcase_create("source-nbd");
	SRunner *runner;
	int failed;

	signal(SIGPIPE, SIG_IGN);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, several_connections);
	tcase_add_test(tcase, one_connection);
	tcase_add_test(tcase, small_requests);
	tcase_add_test(tcase, holes);
	tcase_add_test(tcase, no_holes_of_a_file_that_changed);
	tcase_add_test(tcase, server_killed);
	tcase_add_test(tcase, errors_of_reads);
	tcase_add_test(tcase, left_while_reading);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
