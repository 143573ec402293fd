// SPDX-License-Identifier: GPL-2.0-or-later
#include "modprobe.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

int sluiced_modprobe(const char *module)
{
	char *argv[] = { "modprobe", "-q", "--", (char *)module, NULL };
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t none;
	pid_t pid;
	int status, err;

	/* The daemon takes signals through a descriptor; its children do not. */
	sigemptyset(&none);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_addopen(&files, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	err = posix_spawn(&pid, "/sbin/modprobe", &files, &attr, argv, environ);
	if (err)
		err = posix_spawnp(&pid, "modprobe", &files, &attr, argv, environ);
	posix_spawn_file_actions_destroy(&files);
	posix_spawnattr_destroy(&attr);
	if (err)
		return -ENOENT;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -ENOENT;
	return WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : -ENOENT;
}
