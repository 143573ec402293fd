// SPDX-License-Identifier: GPL-2.0-or-later
/* The commands around boot profiles. */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <json-c/json.h>

#include "args.h"
#include "command.h"
#include "deployment.h"
#include "message.h"
#include "profile_file.h"
#include "units.h"

enum {
	OPT_UNTIL = 1,
	OPT_PARTITION,
};

const struct sluice_option sluice_profile_options[] = {
	{ OPT_UNTIL, "until", "mark|quiet=SECONDS|SECONDS", "Of record: what ends it. \"sluicectl "
	  "mark NAME up\" (the default, and always), no new block for so long, or a time." },
	{ OPT_PARTITION, "partition", "N", "Of from-paths: the partition of the image that the "
	  "paths are of." },
	{ 0 },
};

/* sluiced ends a recording by itself after so long. */
#define LIMIT_S		1800

#define POLL_MS		500

/* A daemon that does not answer for so long is not waited for. */
#define ANSWER_MS	10000

struct request {
	uint64_t quiet_s, limit_s;	/* 0: none */
	uint64_t partition;		/* 0: any */
};

static int take_until(struct sluice_args *args, struct request *req, const char *value)
{
	if (!strcmp(value, "mark"))
		return 0;
	if (!strncmp(value, "quiet=", 6))
		return sluice_args_number(args, "until", value + 6, 1, LIMIT_S, &req->quiet_s);
	return sluice_args_number(args, "until", value, 1, LIMIT_S, &req->limit_s);
}

/* Recording. */

static void note_reply(struct json_object *reply, const struct sluice_profile *p)
{
	char bytes[SLUICE_UNITS_LEN];
	const char *ended = "";
	uint64_t local = 0;
	bool full = false;

	sluice_json_string(reply, "ended", &ended);
	sluice_json_u64(reply, "local_bytes", &local);
	sluice_json_bool(reply, "full", &full);
	sluice_output_text(stderr, "Recorded %zu extents, %s, until ended by %s.\n", p->count,
			   sluice_format_bytes(p->blocks * SLUICE_BLOCK_SIZE, bytes,
					       sizeof(bytes)), ended);
	if (local)
		sluice_output_text(stderr, "%s were local before: first uses of them are missing. "
				   "Deploy with --format --paused, then record.\n",
				   sluice_format_bytes(local, bytes, sizeof(bytes)));
	if (full)
		sluice_output_text(stderr, "The host asked for more than a profile holds: its end "
				   "is missing.\n");
}

static int write_file(struct sluice_ctl *ctl, const char *path, const char *text)
{
	FILE *file = path ? fopen(path, "we") : stdout;
	bool failed = !file || fputs(text, file) == EOF;

	if (file && file != stdout)
		failed |= fclose(file) == EOF;
	if (failed)
		return sluice_fail(ctl, SLUICE_EXIT_FAILED,
				   "The profile cannot be written to %s: %s. sluiced still has it: "
				   "see \"sluicectl help profile\".", path ? path : "the output",
				   strerror(errno));
	return 0;
}

/* The recorded profile, to @path or NULL for standard output. */
static int get(struct sluice_ctl *ctl, const char *name, const char *path)
{
	struct sluice_profile p = { 0 };
	char why[SLUICE_PROFILE_WHY_LEN];
	struct json_object *reply;
	const char *text;
	unsigned int line;
	int status;

	status = sluice_deployment_call(ctl, name, "Profile", NULL, NULL, &reply);
	if (status)
		return status;
	if (sluice_json_string(reply, "profile", &text) ||
	    sluice_profile_parse(&p, text, strlen(text), &line, why)) {
		status = sluice_fail(ctl, SLUICE_EXIT_FAILED, "The reply of sluiced has no profile.");
	} else if (ctl->json && !path) {
		sluice_output_json(stdout, reply);
	} else {
		status = write_file(ctl, path, text);
		if (!status && !ctl->json)
			note_reply(reply, &p);
	}
	sluice_profile_free(&p);
	json_object_put(reply);
	return status;
}

static int mark_up(struct sluice_ctl *ctl, const char *name, struct json_object **reply)
{
	struct json_object *parameters = json_object_new_object();

	json_object_object_add(parameters, "mark", json_object_new_string("up"));
	return sluice_deployment_call(ctl, name, "Mark", parameters, NULL, reply);
}

/* Until sluiced ends it, or an interrupt, which is a mark. */
static int wait_for_end(struct sluice_ctl *ctl, const char *name, const sigset_t *interrupts)
{
	const struct timespec pause = { .tv_nsec = POLL_MS * 1000000 };
	struct json_object *obj, *recording;
	bool on = true;
	int status;

	while (on) {
		if (sigtimedwait(interrupts, NULL, &pause) > 0)
			return mark_up(ctl, name, NULL);
		ctl->client.deadline = sluice_client_now() + ANSWER_MS;
		status = sluice_deployment_get(ctl, name, &obj);
		if (status)
			return status;
		on = json_object_object_get_ex(obj, "recording", &recording) && recording;
		json_object_put(obj);
	}
	return 0;
}

static int begin(struct sluice_ctl *ctl, const struct request *req, const char *given,
		 char **name)
{
	struct json_object *parameters = json_object_new_object();

	if (req->quiet_s)
		json_object_object_add(parameters, "quiet_ms",
				       json_object_new_uint64(req->quiet_s * 1000));
	if (req->limit_s)
		json_object_object_add(parameters, "limit_ms",
				       json_object_new_uint64(req->limit_s * 1000));
	return sluice_deployment_call(ctl, given, "RecordProfile", parameters, name, NULL);
}

static int record(struct sluice_ctl *ctl, const struct request *req, const char *given,
		  const char *path)
{
	sigset_t interrupts;
	FILE *file;
	char *name;
	int status;

	/* A file that cannot be written is better known before the boot than after it. */
	if (path) {
		file = fopen(path, "ae");
		if (!file)
			return sluice_fail(ctl, SLUICE_EXIT_FAILED, "%s cannot be written: %s.",
					   path, strerror(errno));
		fclose(file);
	}
	sigemptyset(&interrupts);
	sigaddset(&interrupts, SIGINT);
	sigaddset(&interrupts, SIGTERM);
	sigprocmask(SIG_BLOCK, &interrupts, NULL);
	ctl->client.deadline = sluice_client_now() + ANSWER_MS;
	status = begin(ctl, req, given, &name);
	if (status)
		return status;
	if (!ctl->json)
		sluice_output_text(stderr, "Recording what the host of %s asks for; nothing else "
				   "is fetched meanwhile.\n", name);
	status = wait_for_end(ctl, name, &interrupts);
	if (!status)
		status = get(ctl, name, path);
	free(name);
	return status;
}

/* Files. */

static int show_json(const struct sluice_profile *p)
{
	struct json_object *o = json_object_new_object(), *list = json_object_new_array(), *one;
	size_t i;

	for (i = 0; i < p->count; i++) {
		one = json_object_new_object();
		json_object_object_add(one, "offset",
			json_object_new_uint64(p->extents[i].block * SLUICE_BLOCK_SIZE));
		json_object_object_add(one, "length",
			json_object_new_uint64(p->extents[i].blocks * SLUICE_BLOCK_SIZE));
		json_object_array_add(list, one);
	}
	json_object_object_add(o, "image_bytes", json_object_new_uint64(p->image.bytes));
	json_object_object_add(o, "image_id", json_object_new_string(p->image.id));
	json_object_object_add(o, "bytes", json_object_new_uint64(p->blocks * SLUICE_BLOCK_SIZE));
	json_object_object_add(o, "extents", list);
	sluice_output_json(stdout, o);
	json_object_put(o);
	return 0;
}

static int show(struct sluice_ctl *ctl, const char *path)
{
	static const struct sluice_column columns[] = {
		{ "OFFSET", true, false }, { "LENGTH", true, false }, { "SO FAR", true, false },
		{ NULL, false, false },
	};
	struct sluice_profile p = { 0 };
	char text[SLUICE_UNITS_LEN];
	struct sluice_table *table;
	uint64_t sum = 0;
	size_t i;
	int status;

	status = sluice_profile_read(ctl, path, &p);
	if (status)
		return status;
	if (ctl->json) {
		status = show_json(&p);
		sluice_profile_free(&p);
		return status;
	}
	printf("%zu extents, %s", p.count,
	       sluice_format_bytes(p.blocks * SLUICE_BLOCK_SIZE, text, sizeof(text)));
	if (p.image.bytes)
		printf(", of an image of %s",
		       sluice_format_bytes(p.image.bytes, text, sizeof(text)));
	if (p.image.id[0])
		sluice_output_text(stdout, " (%s)", p.image.id);
	putchar('\n');
	table = sluice_table_new(columns, true);
	for (i = 0; i < p.count; i++) {
		sum += p.extents[i].blocks;
		sluice_table_row(table);
		sluice_table_cell(table, 0, SLUICE_PLAIN, "%" PRIu64,
				  p.extents[i].block * SLUICE_BLOCK_SIZE);
		sluice_table_cell(table, 1, SLUICE_PLAIN, "%s",
				  sluice_format_bytes(p.extents[i].blocks * SLUICE_BLOCK_SIZE, text,
						      sizeof(text)));
		sluice_table_cell(table, 2, SLUICE_PLAIN, "%s",
				  sluice_format_bytes(sum * SLUICE_BLOCK_SIZE, text, sizeof(text)));
	}
	sluice_table_end(table);
	sluice_profile_free(&p);
	return 0;
}

static int merge(struct sluice_ctl *ctl, char **paths, int count)
{
	struct sluice_profile merged = { 0 }, *boots = calloc(count, sizeof(*boots));
	char comment[64];
	int i, status = 0;

	if (!boots)
		return sluice_fail(ctl, SLUICE_EXIT_FAILED, "There is no memory left.");
	for (i = 0; i < count && !status; i++) {
		status = sluice_profile_read(ctl, paths[i], &boots[i]);
		if (!status && boots[0].image.bytes &&
		    !sluice_profile_is_of(&boots[0], &boots[i].image))
			sluice_output_text(stderr, "%s was made from another image than %s.\n",
					   paths[i], paths[0]);
	}
	if (!status && sluice_profile_merge(&merged, boots, count) == -ENOSPC)
		sluice_output_text(stderr, "There are more than %d extents: the last are left "
				   "out.\n", SLUICE_PROFILE_EXTENTS);
	snprintf(comment, sizeof(comment), "merged from %d", count);
	if (!status)
		status = sluice_profile_write(ctl, &merged, comment);
	sluice_profile_free(&merged);
	for (i = 0; i < count; i++)
		sluice_profile_free(&boots[i]);
	free(boots);
	return status;
}

static int do_record(struct sluice_ctl *ctl, const struct request *req, char **words, int n)
{
	return record(ctl, req, n ? words[0] : NULL, n > 1 ? words[1] : NULL);
}

static int do_get(struct sluice_ctl *ctl, const struct request *req, char **words, int n)
{
	(void)req;
	return get(ctl, n ? words[0] : NULL, n > 1 ? words[1] : NULL);
}

static int do_show(struct sluice_ctl *ctl, const struct request *req, char **words, int n)
{
	(void)req;
	(void)n;
	return show(ctl, words[0]);
}

static int do_merge(struct sluice_ctl *ctl, const struct request *req, char **words, int n)
{
	(void)req;
	return merge(ctl, words, n);
}

static int do_paths(struct sluice_ctl *ctl, const struct request *req, char **words, int n)
{
	(void)n;
	return sluice_profile_from_paths(ctl, words[0], words[1], req->partition);
}

int sluice_cmd_profile(struct sluice_ctl *ctl, int argc, char **argv)
{
	static const struct {
		const char *verb, *words;
		int least, most;
		int (*run)(struct sluice_ctl *ctl, const struct request *req, char **words, int n);
	} verbs[] = {
		{ "record", "[NAME [FILE]]", 0, 2, do_record },
		{ "get", "[NAME [FILE]]", 0, 2, do_get },
		{ "show", "FILE", 1, 1, do_show },
		{ "merge", "FILE...", 1, INT_MAX, do_merge },
		{ "from-paths", "IMAGE LIST", 2, 2, do_paths },
	};
	struct sluice_args args = {
		.ctl = ctl, .options = sluice_profile_options, .argc = argc, .argv = argv,
	};
	struct request req = { 0 };
	const char *value;
	size_t i;
	int id, n, status;

	while ((id = sluice_args_next(&args, &value)) > 0) {
		if (id == OPT_UNTIL)
			status = take_until(&args, &req, value);
		else
			status = sluice_args_number(&args, "partition", value, 1, UINT32_MAX,
						    &req.partition);
		if (status)
			return status;
	}
	if (id == SLUICE_ARGS_STOP)
		return args.status;
	for (i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (args.words && !strcmp(argv[0], verbs[i].verb))
			break;
	if (i == sizeof(verbs) / sizeof(verbs[0]))
		return sluice_usage(ctl, "What to do with profiles is missing; write record, get, "
				    "show, merge or from-paths.");
	n = args.words - 1;
	if (n < verbs[i].least || n > verbs[i].most)
		return sluice_usage(ctl, "It is \"sluicectl profile %s %s\".", verbs[i].verb,
				    verbs[i].words);
	return verbs[i].run(ctl, &req, argv + 1, n);
}

int sluice_cmd_mark(struct sluice_ctl *ctl, int argc, char **argv)
{
	struct sluice_args args = { .ctl = ctl, .argc = argc, .argv = argv };
	struct json_object *reply;
	const char *value;
	int status;

	if (sluice_args_next(&args, &value) == SLUICE_ARGS_STOP)
		return args.status;
	if (!args.words || args.words > 2 || strcmp(argv[args.words - 1], "up"))
		return sluice_usage(ctl, "It is \"sluicectl mark [NAME] up\".");
	status = mark_up(ctl, args.words == 2 ? argv[0] : NULL, &reply);
	if (status)
		return status;
	status = sluice_deployment_print(ctl, reply);
	json_object_put(reply);
	return status;
}
