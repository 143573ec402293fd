// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <malloc.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>

#include "control_server.h"
#include "credentials.h"
#include "daemon.h"
#include "deployment.h"
#include "events.h"
#include "job.h"
#include "log.h"
#include "report.h"
#include "restore.h"

#ifndef PR_SET_IO_FLUSHER
#define PR_SET_IO_FLUSHER	57
#endif

#define DEFAULT_STATE_DIR	"/var/lib/sluice"
#define DEFAULT_SOCKET		"/run/sluice/control.sock"

/* As the kernel's own default: beyond it a target is taken for gone. */
#define DEFAULT_CTRL_LOSS_S	600

/* A daemon that was just killed lets go of the lock as its last threads end. */
#define LOCK_PATIENCE_MS	2000
#define LOCK_POLL_MS		20

/* Reads of a source that hangs must not keep a stop from ending. */
#define SHUTDOWN_MS		5000
#define SHUTDOWN_POLL_MS	20

#define STATUS_MS		5000

static struct sluiced_daemon the_daemon;

static struct {
	struct sluiced_op op;
	int fd;
} signals;

static struct sluiced_timer watchdog_timer, status_timer, shutdown_timer;
static uint64_t watchdog_ms, shutdown_by;

struct options {
	const char *state_dir, *socket, *credentials;
	int level, ctrl_loss_s;
};

static const char help[] =
	"Usage: sluiced [OPTION]...\n"
	"Deploys OS images from the network to local disks that hosts already use.\n"
	"\n"
	"  --state-dir DIR          what to remember between runs [" DEFAULT_STATE_DIR "]\n"
	"  --socket PATH            control socket [" DEFAULT_SOCKET "]\n"
	"  --credentials FILE       secrets of sources [" SLUICED_CREDENTIALS_FILE "]\n"
	"  --log-level LEVEL        err, warning, notice, info or debug [info]\n"
	"  --ctrl-loss-tmo SECONDS  how long the kernel tries to reconnect an NVMe\n"
	"                           source before it gives up the controller [600]\n"
	"  --foreground             stay in the foreground, as always\n"
	"  --help                   print this\n"
	"  --version                print the version\n";

static int usage(const char *why, const char *what)
{
	fprintf(stderr, "sluiced: %s \"%s\"; see sluiced --help.\n", why, what);
	return 2;
}

/* -1 to go on, else the exit status. */
static int parse_options(int argc, char **argv, struct options *o)
{
	static const struct option options[] = {
		{ "state-dir", required_argument, NULL, 'd' },
		{ "socket", required_argument, NULL, 's' },
		{ "credentials", required_argument, NULL, 'k' },
		{ "log-level", required_argument, NULL, 'l' },
		{ "ctrl-loss-tmo", required_argument, NULL, 'c' },
		{ "foreground", no_argument, NULL, 'f' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'v' },
		{ 0 },
	};
	char *end;
	long seconds;
	int c;

	opterr = 0;
	while ((c = getopt_long(argc, argv, ":", options, NULL)) != -1) {
		switch (c) {
		case 'd':
			o->state_dir = optarg;
			break;
		case 's':
			o->socket = optarg;
			break;
		case 'k':
			o->credentials = optarg;
			break;
		case 'l':
			o->level = sluiced_log_level(optarg);
			if (o->level < 0)
				return usage("there is no log level", optarg);
			break;
		case 'c':
			seconds = strtol(optarg, &end, 10);
			if (!*optarg || *end || seconds < 1 || seconds > 86400)
				return usage("this is no number of seconds up to a day:", optarg);
			o->ctrl_loss_s = seconds;
			break;
		case 'f':
			break;
		case 'h':
			fputs(help, stdout);
			return 0;
		case 'v':
			puts("sluiced " SLUICE_VERSION);
			return 0;
		case ':':
			return usage("a value is missing after", argv[optind - 1]);
		default:
			return usage("there is no option", argv[optind - 1]);
		}
	}
	if (optind < argc)
		return usage("there is no argument", argv[optind]);
	return -1;
}

static void sleep_ms(unsigned int ms)
{
	struct timespec ts = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	nanosleep(&ts, NULL);
}

/* Kept until the process ends, however it ends. */
static int lock_state(const char *dir)
{
	unsigned int waited = 0;
	char path[PATH_MAX];
	int fd;

	if (mkdir(dir, 0700) < 0 && errno != EEXIST) {
		sluiced_log(LOG_ERR, "sluiced", "The state directory %s cannot be made: %s.", dir,
			    strerror(errno));
		return -errno;
	}
	if (snprintf(path, sizeof(path), "%s/lock", dir) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0) {
		sluiced_log(LOG_ERR, "sluiced", "The lock %s cannot be opened: %s.", path,
			    strerror(errno));
		return -errno;
	}
	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK || waited >= LOCK_PATIENCE_MS) {
			sluiced_log(LOG_ERR, "sluiced",
				    "Another sluiced runs with the state directory %s: stop it first.",
				    dir);
			close(fd);
			return -EBUSY;
		}
		sleep_ms(LOCK_POLL_MS);
		waited += LOCK_POLL_MS;
	}
	return fd;
}

/*
 * The host's disk may wait for us: we must not wait for memory that is only freed
 * by writing to it.
 */
static void prepare_memory(void)
{
	/* Locked memory is real memory: threads share one arena. */
	mallopt(M_ARENA_MAX, 1);
	if (mlockall(MCL_CURRENT | MCL_FUTURE) < 0)
		sluiced_log(LOG_WARNING, "sluiced", "Memory cannot be locked: %s.",
			    strerror(errno));
	if (prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0) < 0)
		sluiced_log(LOG_WARNING, "sluiced",
			    "The kernel does not take us for a flusher of I/O: %s.",
			    strerror(errno));
}

static void left(struct sluiced_deployment *d)
{
	d->gone = true;
	if (d->known)
		sluiced_deployment_save(d);
}

/* Quiesces what is still there; ends the loop when all is quiet or time is up. */
static void shut_down(struct sluiced_timer *timer)
{
	struct sluiced_deployment *d;
	bool quiet = !sluiced_jobs_running();

	for (d = the_daemon.deployments; d; d = d->next) {
		if (d->gone)
			continue;
		quiet = false;
		if (!d->busy && !d->then)
			sluiced_deployment_quiesce(d, left);
	}
	if (quiet || sluiced_now_ms() >= shutdown_by) {
		if (!quiet)
			sluiced_log(LOG_WARNING, "sluiced",
				    "Not everything ended in time; the kernel ends the rest.");
		sluiced_loop_stop(&the_daemon.loop);
		return;
	}
	sluiced_timer_start(&the_daemon.loop, timer, SHUTDOWN_POLL_MS);
}

static void begin_shutdown(void)
{
	if (the_daemon.stopping)
		return;
	the_daemon.stopping = true;
	sluiced_log(LOG_NOTICE, "sluiced", "Stopping; devices go on serving what is local.");
	sd_notify(0, "STOPPING=1");
	sluiced_server_stop();
	shutdown_by = sluiced_now_ms() + SHUTDOWN_MS;
	shut_down(&shutdown_timer);
}

static void signal_done(struct sluiced_op *op, int32_t res, uint32_t flags)
{
	struct signalfd_siginfo info;

	(void)res;
	if (read(signals.fd, &info, sizeof(info)) == sizeof(info))
		begin_shutdown();
	if (!(flags & IORING_CQE_F_MORE))
		sluiced_loop_poll(&the_daemon.loop, op, signals.fd, POLLIN);
}

static int take_signals(void)
{
	sigset_t mask;

	signal(SIGPIPE, SIG_IGN);
	/* A terminal that closes is no reason to stop serving hosts. */
	signal(SIGHUP, SIG_IGN);
	sigemptyset(&mask);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGINT);
	/* Before there are threads: they inherit it. */
	if (sigprocmask(SIG_BLOCK, &mask, NULL) < 0)
		return -errno;
	signals.fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	if (signals.fd < 0)
		return -errno;
	signals.op.done = signal_done;
	sluiced_loop_poll(&the_daemon.loop, &signals.op, signals.fd, POLLIN);
	return 0;
}

static void feed_watchdog(struct sluiced_timer *timer)
{
	sd_notify(0, "WATCHDOG=1");
	sluiced_timer_start(&the_daemon.loop, timer, watchdog_ms / 2);
}

static void tell_status(struct sluiced_timer *timer)
{
	unsigned int complete = 0, troubled = 0;
	struct sluiced_deployment *d;

	for (d = the_daemon.deployments; d; d = d->next) {
		complete += d->stage == SLUICED_COMPLETE;
		troubled += d->stage == SLUICED_STAGE_FAILED || d->stalled;
	}
	sd_notifyf(0, "STATUS=%u deployments, %u complete, %u in trouble",
		   the_daemon.deployment_count, complete, troubled);
	sluiced_timer_start(&the_daemon.loop, timer, STATUS_MS);
}

static void start_notifying(void)
{
	uint64_t usec;

	watchdog_timer.fire = feed_watchdog;
	status_timer.fire = tell_status;
	shutdown_timer.fire = shut_down;
	sd_notify(0, "READY=1");
	tell_status(&status_timer);
	if (sd_watchdog_enabled(0, &usec) > 0) {
		watchdog_ms = usec / 1000;
		feed_watchdog(&watchdog_timer);
	}
}

static int serve(const struct options *o)
{
	int err;

	err = sluiced_loop_init(&the_daemon.loop);
	if (err) {
		sluiced_log(LOG_ERR, "sluiced",
			    "The kernel gives no io_uring (%s): sluiced needs Linux 6.1 and kernel.io_uring_disabled=0.",
			    strerror(-err));
		return err;
	}
	err = take_signals();
	if (!err)
		err = sluiced_jobs_init(&the_daemon.loop);
	if (err) {
		sluiced_log(LOG_ERR, "sluiced", "Signals and jobs cannot be set up: %s.",
			    strerror(-err));
		return err;
	}
	/* Hosts may be waiting: devices before everything else. */
	sluiced_restore(&the_daemon);
	err = sluiced_server_start(&the_daemon, o->socket);
	if (err) {
		sluiced_log(LOG_ERR, "sluiced", "The control socket %s cannot be made: %s.",
			    o->socket,
			    err == -EADDRINUSE ? "something else is there; move it away" :
						 strerror(-err));
		return err;
	}
	start_notifying();
	the_daemon.loop.after = sluiced_events_look;
	err = sluiced_loop_run(&the_daemon.loop);
	if (err)
		sluiced_log(LOG_ERR, "sluiced", "The event loop failed: %s.", strerror(-err));
	return err;
}

/* Named, or systemd's for this service, or the usual one. */
static const char *credentials_file(const struct options *o)
{
	static char path[PATH_MAX];
	const char *dir = getenv("CREDENTIALS_DIRECTORY");

	if (o->credentials)
		return o->credentials;
	if (dir && snprintf(path, sizeof(path), "%s/sluice.credentials", dir) <
			   (int)sizeof(path) && !access(path, R_OK))
		return path;
	return SLUICED_CREDENTIALS_FILE;
}

int main(int argc, char **argv)
{
	struct options o = {
		.state_dir = DEFAULT_STATE_DIR,
		.socket = DEFAULT_SOCKET,
		.level = LOG_INFO,
		.ctrl_loss_s = DEFAULT_CTRL_LOSS_S,
	};
	int status, err;

	status = parse_options(argc, argv, &o);
	if (status >= 0)
		return status;
	sluiced_log_init(o.level);
	if (lock_state(o.state_dir) < 0)
		return 1;
	prepare_memory();
	the_daemon.state_dir = o.state_dir;
	the_daemon.source_options.state_dir = o.state_dir;
	the_daemon.source_options.ctrl_loss_s = o.ctrl_loss_s;
	the_daemon.source_options.credentials = credentials_file(&o);
	err = serve(&o);
	sluiced_server_exit();
	if (!err)
		sluiced_log(LOG_NOTICE, "sluiced", "Stopped.");
	/* Threads of jobs that hang may still run: nothing is torn down under them. */
	fflush(NULL);
	_exit(err ? 1 : 0);
}
