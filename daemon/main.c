// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>

#include "config.h"
#include "control.h"
#include "control_server.h"
#include "credentials.h"
#include "daemon.h"
#include "deployment.h"
#include "events.h"
#include "job.h"
#include "log.h"
#include "memory.h"
#include "metrics.h"
#include "report.h"
#include "restore.h"

/* A daemon that was just killed lets go of the lock as its last threads end. */
#define LOCK_PATIENCE_MS	2000
#define LOCK_POLL_MS		20

/* Reads of a source that hangs must not keep a stop from ending. */
#define SHUTDOWN_MS		5000
#define SHUTDOWN_POLL_MS	20

#define STATUS_MS		5000

/* How soon what waits for us hears of the last export. */
#define READY_POLL_MS		20

/* What a Prometheus scrapes by default. */
#define METRICS_MS		15000

/* Wrong usage or settings: starting again does not help. */
#define EXIT_USAGE		2

static struct sluiced_daemon the_daemon;

static struct {
	struct sluiced_op op;
	int fd;
} signals;

static struct sluiced_timer watchdog_timer, status_timer, shutdown_timer, ready_timer;
static uint64_t watchdog_ms, shutdown_by, ready_by;
static bool ready;

/* What the command line asks for. A setting given there wins over the files. */
struct options {
	const char *config;
	bool check_config;
	struct {
		const char *key, *value;
	} settings[16];
	size_t setting_count;
};

static const char help[] =
	"Usage: sluiced [OPTION]...\n"
	"Deploys OS images from the network to local disks that hosts already use.\n"
	"\n"
	"  --config FILE            settings, with the drop-ins in FILE.d\n"
	"                           [" SLUICED_CONFIG_FILE "]\n"
	"  --check-config           say what is wrong with the settings, and exit\n"
	"  --check-module           whether the module that is loaded fits, and exit\n"
	"  --foreground             stay in the foreground, as always\n"
	"  --help                   print this\n"
	"  --version                print the version\n"
	"\n"
	"Settings, which win over those of the files; see sluice.conf(5):\n"
	"  --state-dir DIR          what to remember between runs [/var/lib/sluice]\n"
	"  --socket PATH            control socket [/run/sluice/control.sock]\n"
	"  --group GROUP            who may look at the status [sluice]\n"
	"  --credentials FILE       secrets of sources [" SLUICED_CREDENTIALS_FILE "]\n"
	"  --log-level LEVEL        err, warning, notice, info or debug [info]\n"
	"  --ctrl-loss-tmo SECONDS  how long the kernel tries to reconnect an NVMe\n"
	"                           source before it gives up the controller [600]\n"
	"  --ready-timeout SECONDS  how long exports may take at most before systemd\n"
	"                           is told that the service is up [30]\n"

	"  --metrics-file PATH      write figures there for node_exporter, *.prom\n"
	"  --metrics-port PORT      answer HTTP with figures at 127.0.0.1:PORT\n";

static int usage(const char *why, const char *what)
{
	fprintf(stderr, "sluiced: %s \"%s\"; see sluiced --help.\n", why, what);
	return EXIT_USAGE;
}

/* The exit status. */
static int print(const char *text)
{
	if (fputs(text, stdout) >= 0 && !fflush(stdout))
		return 0;
	fprintf(stderr, "sluiced: The output could not be written.\n");
	return 1;
}

/*
 * Whether this daemon can work with the module that is loaded now; without one, with
 * any that will be. For package scripts: an exit status and a sentence.
 */
static int check_module(void)
{
	struct sluice_module module = { 0 };
	int fd, err;

	fd = sluice_control_open();
	if (fd == -ENOENT)
		return 0;
	err = fd < 0 ? fd : sluice_control_info(fd, &module);
	if (fd >= 0)
		close(fd);
	if (err == -EPROTO)
		fprintf(stderr,
			"sluiced: The module that is loaded speaks version %u of the interface and this sluiced version %d.\n",
			module.abi_version, SLUICE_ABI_VERSION);
	else if (err)
		fprintf(stderr, "sluiced: The module does not answer: %s.\n", strerror(-err));
	return err ? 1 : 0;
}

/* -1 to go on, else the exit status. */
static int parse_options(int argc, char **argv, struct options *o)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'C' },
		{ "check-config", no_argument, NULL, 'n' },
		{ "check-module", no_argument, NULL, 'm' },
		{ "foreground", no_argument, NULL, 'f' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'v' },
		{ "state-dir", required_argument, NULL, 's' },
		{ "socket", required_argument, NULL, 's' },
		{ "group", required_argument, NULL, 's' },
		{ "credentials", required_argument, NULL, 's' },
		{ "log-level", required_argument, NULL, 's' },
		{ "ctrl-loss-tmo", required_argument, NULL, 's' },
		{ "ready-timeout", required_argument, NULL, 's' },
		{ "metrics-file", required_argument, NULL, 's' },
		{ "metrics-port", required_argument, NULL, 's' },
		{ 0 },
	};
	int c, index;

	opterr = 0;
	while ((c = getopt_long(argc, argv, ":", options, &index)) != -1) {
		switch (c) {
		case 'C':
			o->config = optarg;
			break;
		case 'n':
			o->check_config = true;
			break;
		case 'm':
			return check_module();
		case 's':
			if (o->setting_count == sizeof(o->settings) / sizeof(o->settings[0]))
				return usage("there are too many settings:", optarg);
			o->settings[o->setting_count].key = options[index].name;
			o->settings[o->setting_count++].value = optarg;
			break;
		case 'f':
			break;
		case 'h':
			return print(help);
		case 'v':
			return print("sluiced " SLUICE_VERSION "\n");
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

/* -1 to go on, else the exit status. */
static int configure(struct options *o, struct sluiced_config *config)
{
	const char *path = o->config ?: SLUICED_CONFIG_FILE, *why;
	size_t i;
	int err;

	sluiced_config_default(config);
	err = sluiced_config_load(config, path);
	if (err == -ENOENT && o->config)
		return usage("there is no file", path);
	for (i = 0; i < o->setting_count; i++) {
		if (!sluiced_config_set(config, o->settings[i].key, o->settings[i].value, &why))
			continue;
		fprintf(stderr, "sluiced: --%s: \"%s\" %s; see sluiced --help.\n",
			o->settings[i].key, o->settings[i].value, why);
		return EXIT_USAGE;
	}
	if (err && err != -ENOENT)
		return EXIT_USAGE;
	if (!o->check_config)
		return -1;
	return print("The settings are good.\n");
}

/*
 * What can be no path is a wrong setting. What is missing, or cannot be written, may be of a
 * file system that is mounted late: hosts wait for who tries again.
 */
static int status_of(int err)
{
	switch (err) {
	case -EISDIR:
	case -ELOOP:
	case -ENAMETOOLONG:
	case -ENOTDIR:
		return EXIT_USAGE;
	default:
		return 1;
	}
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
	char path[PATH_MAX + 8];
	int fd, err;

	if (mkdir(dir, 0700) < 0 && errno != EEXIST) {
		err = -errno;
		sluiced_log(LOG_ERR, "sluiced", "The state directory %s cannot be made: %s.", dir,
			    strerror(-err));
		return err;
	}
	snprintf(path, sizeof(path), "%s/lock", dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0) {
		err = -errno;
		sluiced_log(LOG_ERR, "sluiced", "The lock %s cannot be opened: %s.", path,
			    strerror(-err));
		return err;
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
	sluiced_metrics_stop();
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
		troubled += sluiced_deployment_has_failed(d) || d->stalled;
	}
	sd_notifyf(0, "STATUS=%s%u deployments, %u complete, %u in trouble",
		   ready ? "" : "Bringing up exports: ", the_daemon.deployment_count, complete,
		   troubled);
	sluiced_timer_start(&the_daemon.loop, timer, STATUS_MS);
}

/*
 * Ready is when hosts can be powered on: what is exported is up. One that does not come
 * up must not keep all the others' hosts off for ever.
 */
static void look_ready(struct sluiced_timer *timer)
{
	const struct sluiced_deployment *d = sluiced_restore_pending(&the_daemon);

	if (d && sluiced_now_ms() < ready_by) {
		sluiced_timer_start(&the_daemon.loop, timer, READY_POLL_MS);
		return;
	}
	if (d)
		sluiced_log(LOG_WARNING, d->record.name,
			    "It is not up after all this time; the service is ready without it.");
	ready = true;
	sd_notify(0, "READY=1");
	tell_status(&status_timer);
}

static void start_notifying(int ready_s)
{
	uint64_t usec;

	watchdog_timer.fire = feed_watchdog;
	status_timer.fire = tell_status;
	shutdown_timer.fire = shut_down;
	ready_timer.fire = look_ready;
	ready_by = sluiced_now_ms() + ready_s * 1000ULL;
	/* Our limit counts, not the unit's. */
	sd_notifyf(0, "EXTEND_TIMEOUT_USEC=%llu", (ready_s + 30) * 1000000ULL);
	tell_status(&status_timer);
	look_ready(&ready_timer);
	if (sd_watchdog_enabled(0, &usec) > 0) {
		watchdog_ms = usec / 1000;
		feed_watchdog(&watchdog_timer);
	}
}

/* Without them the daemon is as useful to hosts. */
static void start_metrics(const struct sluiced_config *config)
{
	int err = 0;

	if (config->metrics_file[0])
		sluiced_metrics_write(&the_daemon, config->metrics_file, METRICS_MS);
	if (config->metrics_port)
		err = sluiced_metrics_listen(&the_daemon, config->metrics_port);
	if (err)
		sluiced_log(LOG_WARNING, "sluiced",
			    "Metrics cannot be offered at 127.0.0.1:%d: %s.", config->metrics_port,
			    strerror(-err));
}

/* The exit status. */
static int serve(const struct sluiced_config *config)
{
	int err;

	err = sluiced_loop_init(&the_daemon.loop);
	if (err) {
		sluiced_log(LOG_ERR, "sluiced",
			    "The kernel gives no io_uring (%s): sluiced needs Linux 6.1 and kernel.io_uring_disabled=0.",
			    strerror(-err));
		return 1;
	}
	err = take_signals();
	if (!err)
		err = sluiced_jobs_init(&the_daemon.loop);
	if (err) {
		sluiced_log(LOG_ERR, "sluiced", "Signals and jobs cannot be set up: %s.",
			    strerror(-err));
		return 1;
	}
	/* Hosts may be waiting: devices before everything else. */
	sluiced_restore(&the_daemon);
	err = sluiced_server_start(&the_daemon, config->socket, config->group);
	if (err) {
		sluiced_log(LOG_ERR, "sluiced", "The control socket %s cannot be made: %s.",
			    config->socket,
			    err == -EADDRINUSE ? "something else is there; move it away" :
						 strerror(-err));
		return status_of(err);
	}
	start_metrics(config);
	start_notifying(config->ready_s);
	the_daemon.loop.after = sluiced_events_look;
	err = sluiced_loop_run(&the_daemon.loop);
	if (err)
		sluiced_log(LOG_ERR, "sluiced", "The event loop failed: %s.", strerror(-err));
	return err ? 1 : 0;
}

/* Named, or systemd's for this service, or the usual one. */
static const char *credentials_file(const struct sluiced_config *config)
{
	static char path[PATH_MAX];
	const char *dir = getenv("CREDENTIALS_DIRECTORY");

	if (config->credentials[0])
		return config->credentials;
	if (dir && snprintf(path, sizeof(path), "%s/sluice.credentials", dir) <
			   (int)sizeof(path) && !access(path, R_OK))
		return path;
	return SLUICED_CREDENTIALS_FILE;
}

int main(int argc, char **argv)
{
	static struct sluiced_config config;
	struct options o = { 0 };
	int status;

	status = parse_options(argc, argv, &o);
	if (status >= 0)
		return status;
	sluiced_log_init(LOG_INFO);
	status = configure(&o, &config);
	if (status >= 0)
		return status;
	sluiced_log_init(config.log_level);
	status = lock_state(config.state_dir);
	if (status < 0)
		return status_of(status);
	sluiced_memory_lock();
	the_daemon.state_dir = config.state_dir;
	the_daemon.source_options.state_dir = config.state_dir;
	the_daemon.source_options.ctrl_loss_s = config.ctrl_loss_s;
	the_daemon.source_options.credentials = credentials_file(&config);
	status = serve(&config);
	sluiced_server_exit();
	if (!status)
		sluiced_log(LOG_NOTICE, "sluiced", "Stopped.");
	/* Threads of jobs that hang may still run: nothing is torn down under them. */
	fflush(NULL);
	_exit(status);
}
