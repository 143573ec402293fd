// SPDX-License-Identifier: GPL-2.0-or-later
#include "credentials.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What a card needs fits a hundred times over. */
#define MAX_BYTES	(64 * 1024)
#define MAX_FIELDS	7

/* -ENOENT without a sentence: there need not be such a file. */
static int open_private(const char *path, char *why, size_t why_len)
{
	struct stat st;
	int fd, err = 0;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) < 0)
		err = -errno;
	if (err && err != -ENOENT)
		snprintf(why, why_len, "The credentials file %s cannot be opened: %s.", path,
			 strerror(-err));
	if (!err && (!S_ISREG(st.st_mode) || (st.st_mode & 077))) {
		snprintf(why, why_len,
			 "The credentials file %s is no regular file or others may read it: make it mode 0600.",
			 path);
		err = -EACCES;
	}
	if (!err && st.st_size > MAX_BYTES) {
		snprintf(why, why_len, "The credentials file %s is larger than %d bytes.", path,
			 MAX_BYTES);
		err = -EFBIG;
	}
	if (err && fd >= 0)
		close(fd);
	return err ? err : fd;
}

static int read_all(int fd, char *text)
{
	size_t len = 0;
	ssize_t n;

	while (len < MAX_BYTES) {
		n = read(fd, text + len, MAX_BYTES - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			break;
		len += n;
	}
	text[len] = '\0';
	return 0;
}

static bool keep(char *out, const char *field)
{
	size_t len = strlen(field);

	if (len >= SLUICED_SECRET_LEN)
		return false;
	memcpy(out, field, len + 1);
	return true;
}

static bool matches(char **field, unsigned int count, const char *kind, const char *name,
		    const char *user)
{
	return count >= 3 && !strcmp(field[0], kind) &&
	       (!strcmp(field[1], name) || !strcmp(field[1], "*")) &&
	       (!user[0] || !strcmp(field[2], user));
}

/* 1 when the line is the one, 0 when it is not, -EINVAL when it makes no sense. */
static int take_line(struct sluiced_credentials *out, char *line, const char *kind,
		     const char *name, const char *user)
{
	char *field[MAX_FIELDS], *rest = NULL, *word;
	unsigned int count = 0;
	bool iscsi = !strcmp(kind, "iscsi"), fine;

	line[strcspn(line, "#")] = '\0';
	for (word = strtok_r(line, " \t\r", &rest); word && count < MAX_FIELDS;
	     word = strtok_r(NULL, " \t\r", &rest))
		field[count++] = word;
	if (!matches(field, count, kind, name, user))
		return 0;
	if (iscsi)
		fine = (count == 4 || count == 6) && keep(out->user, field[2]) &&
		       keep(out->secret, field[3]) &&
		       (count == 4 || (keep(out->peer_user, field[4]) &&
				       keep(out->peer_secret, field[5])));
	else
		fine = count <= 4 && keep(out->secret, field[2]) &&
		       (count == 3 || keep(out->peer_secret, field[3]));
	return fine ? 1 : -EINVAL;
}

static int search(struct sluiced_credentials *out, char *text, const char *path,
		  const char *kind, const char *name, const char *user, char *why,
		  size_t why_len)
{
	unsigned int number = 1;
	char *line = text, *end;
	int found;

	for (; line; line = end, number++) {
		end = strchr(line, '\n');
		if (end)
			*end++ = '\0';
		found = take_line(out, line, kind, name, user);
		if (found > 0)
			return 0;
		if (found < 0) {
			snprintf(why, why_len,
				 "Line %u of the credentials file %s has too few or too many fields, or one that is too long.",
				 number, path);
			return found;
		}
	}
	return -ENOENT;
}

int sluiced_credentials_find(struct sluiced_credentials *out, const char *path,
			     const char *kind, const char *name, const char *user, char *why,
			     size_t why_len)
{
	char *text;
	int fd, err;

	memset(out, 0, sizeof(*out));
	fd = open_private(path, why, why_len);
	if (fd < 0)
		return fd;
	text = malloc(MAX_BYTES + 1);
	err = text ? read_all(fd, text) : -ENOMEM;
	close(fd);
	if (err)
		snprintf(why, why_len, "The credentials file %s cannot be read: %s.", path,
			 strerror(-err));
	else
		err = search(out, text, path, kind, name, user, why, why_len);
	if (text)
		explicit_bzero(text, MAX_BYTES);
	free(text);
	if (err)
		sluiced_credentials_clear(out);
	return err;
}

void sluiced_credentials_clear(struct sluiced_credentials *credentials)
{
	explicit_bzero(credentials, sizeof(*credentials));
}
