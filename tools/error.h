/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The error a run of sluicectl ends with, and its exit status. The numbers are
 * those of Documentation/control-protocol.rst; 16, 18 and 19 are sluicectl's own.
 */
#ifndef SLUICE_TOOLS_ERROR_H
#define SLUICE_TOOLS_ERROR_H

#include <stdbool.h>

enum {
	SLUICE_EXIT_HELPED = -1,	/* help was asked for and given: 0 to the caller */
	SLUICE_EXIT_OK = 0,
	SLUICE_EXIT_FAILED = 1,
	SLUICE_EXIT_USAGE = 2,
	SLUICE_EXIT_NOT_FOUND = 3,
	SLUICE_EXIT_NOT_FORMATTED = 9,
	SLUICE_EXIT_MISMATCH = 10,
	SLUICE_EXIT_NO_DAEMON = 15,
	SLUICE_EXIT_TIMEOUT = 16,
	SLUICE_EXIT_WARNED = 18,	/* of doctor */
	SLUICE_EXIT_UNFIT = 19,
	SLUICE_EXIT_LAST = SLUICE_EXIT_UNFIT,
};

/* All zeroes: none. */
struct sluice_error {
	int exit;
	char *kind;		/* "org.sluice.NotFound" */
	char *message;		/* full sentences; NULL only without memory */
};

struct sluice_ctl;

/* "NotFound", of what is behind "org.sluice." in JSON; NULL: no error has that status. */
const char *sluice_error_kind(int exit);

/* One sentence on each status there is. */
const char *sluice_error_meaning(int exit);

/*
 * Whether it stays until somebody changes something, so that to try again is of no use: what
 * RestartPreventExitStatus= of sluice-apply.service says, too.
 */
bool sluice_error_lasts(int exit);

/* Records an error in place of any earlier one. Returns its exit status. */
int sluice_fail(struct sluice_ctl *ctl, int exit, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* The same for a reply's error; a kind not known here is plain failure. */
int sluice_fail_remote(struct sluice_ctl *ctl, const char *kind, const char *message);

/* A usage error: @fmt is one sentence, to which the way to more help is added. */
int sluice_usage(struct sluice_ctl *ctl, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Puts "@where: " before the message of the recorded error, if there is one. */
void sluice_error_at(struct sluice_ctl *ctl, const char *where);

/* Prints the recorded error, if any, on stderr, as JSON where that was asked for. */
void sluice_error_print(const struct sluice_ctl *ctl);

void sluice_error_clear(struct sluice_ctl *ctl);

#endif /* SLUICE_TOOLS_ERROR_H */
