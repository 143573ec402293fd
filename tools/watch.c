// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The live screen. It asks for the status again and again instead of waiting for
 * events: rates change all the time, and that is what people look at.
 */
#include "watch.h"

#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <json-c/json.h>

#include "args.h"
#include "command.h"
#include "deployment.h"
#include "progress.h"
#include "units.h"

#define LOOK_MS	500

/* For an answer: signals and keys are heeded between looks. */
#define ANSWER_MS	2000

/* The other screen of the terminal, without a cursor; and back. */
#define ENTER	"\033[?1049h\033[?25l"
#define LEAVE	"\033[?25h\033[?1049l"

static volatile sig_atomic_t interrupted;

static void interrupt(int signo)
{
	(void)signo;
	interrupted = 1;
}

static int terminal_height(void)
{
	struct winsize size;

	return !ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) && size.ws_row ? size.ws_row : 24;
}

static void print_cut(const char *before, const char *text)
{
	int room = sluice_progress_width() - 1 - (int)strlen(before);

	sluice_output_text(stdout, "%s%.*s", before, room > 0 ? room : 0, text);
	printf("\033[K\r\n");
}

static void print_work(const struct sluice_deployment *dep)
{
	char fetched[SLUICE_UNITS_LEN], demand[SLUICE_UNITS_LEN], line[200];

	snprintf(line, sizeof(line), "%s%.20s%s%" PRIu64 " requests of the host wait, %" PRIu64
		 " ended unserved; fetched %s, %s of them on demand",
		 *dep->phase ? "phase " : "", dep->phase, *dep->phase ? "; " : "",
		 dep->waiting, dep->expired,
		 sluice_format_bytes(dep->fetched_bytes, fetched, sizeof(fetched)),
		 sluice_format_bytes(dep->demand_bytes, demand, sizeof(demand)));
	if (dep->waiting)
		printf("%s", sluice_output_colour(SLUICE_YELLOW));
	print_cut("  ", line);
	printf("%s", sluice_output_colour_end());
}

/* Returns how many lines it took. */
static int print_one(const struct sluice_deployment *dep)
{
	sluice_progress_draw(dep);
	printf("\r\n");
	print_work(dep);
	print_cut("  from ", dep->source);
	if (*dep->error)
		print_cut("  ", dep->error);
	return *dep->error ? 4 : 3;
}

static void print_all(struct json_object *reply)
{
	int left = terminal_height() - 1;
	struct sluice_deployment dep;
	struct json_object *list;
	size_t i, n = 0;

	if (json_object_object_get_ex(reply, "deployments", &list) &&
	    json_object_is_type(list, json_type_array))
		n = json_object_array_length(list);
	if (!n)
		print_cut("", "There is no deployment.");
	/* A deployment has up to four lines; the last line is for what is cut off. */
	for (i = 0; i < n && left > 4; i++) {
		sluice_deployment_read(json_object_array_get_idx(list, i), &dep);
		left -= print_one(&dep);
	}
	if (i < n)
		printf("and %zu more\033[K\r\n", n - i);
}

/* Sleeps until the next look; false when the user has seen enough. */
static bool pause_until_next(void)
{
	struct pollfd keys = { .fd = STDIN_FILENO, .events = POLLIN };
	char key;

	if (interrupted)
		return false;
	if (poll(&keys, 1, LOOK_MS) <= 0)
		return !interrupted;
	/* Without a keyboard there is only the interrupt. */
	if (read(STDIN_FILENO, &key, 1) <= 0)
		poll(NULL, 0, LOOK_MS);
	else if (key == 'q' || key == 'Q')
		return false;
	return !interrupted;
}

static int show(struct sluice_ctl *ctl, const char *name)
{
	struct json_object *parameters, *reply;
	int status;

	do {
		parameters = json_object_new_object();
		if (name)
			json_object_object_add(parameters, "name", json_object_new_string(name));
		ctl->client.deadline = sluice_client_now() + ANSWER_MS;
		status = sluice_client_call(ctl, "Status", parameters, &reply);
		if (status && status != SLUICE_EXIT_NO_DAEMON && status != SLUICE_EXIT_TIMEOUT)
			return status;
		printf("\033[H");
		if (status) {
			print_cut("", ctl->error.message ? ctl->error.message : "");
			/* It may come back, or to itself. */
			sluice_error_clear(ctl);
		} else {
			print_all(reply);
			json_object_put(reply);
		}
		printf("\033[J");
		fflush(stdout);
	} while (pause_until_next());
	return SLUICE_EXIT_OK;
}

static int watch(struct sluice_ctl *ctl, const char *name)
{
	struct sigaction action = { .sa_handler = interrupt };
	struct termios was, raw;
	bool keyboard = !tcgetattr(STDIN_FILENO, &was);
	int status;

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
	if (keyboard) {
		raw = was;
		raw.c_lflag &= ~(ICANON | ECHO);
		tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	}
	printf(ENTER);
	status = show(ctl, name);
	printf(LEAVE);
	fflush(stdout);
	if (keyboard)
		tcsetattr(STDIN_FILENO, TCSANOW, &was);
	return status;
}

int sluice_cmd_watch(struct sluice_ctl *ctl, int argc, char **argv)
{
	const char *name;
	int status = sluice_args_only_name(ctl, argc, argv, &name);

	if (status)
		return status;
	if (ctl->json || !sluice_output_is_terminal())
		return sluice_events_print(ctl, name, true);
	return watch(ctl, name);
}
