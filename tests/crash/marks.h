/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Marks in dm-log-writes' log, from inside the guest. */
#ifndef CRASH_MARKS_H
#define CRASH_MARKS_H

/* After all that has ended so far. Fails the program on an error, as puppet.h. */
void marks_set(const char *dm_name, const char *text);

#endif /* CRASH_MARKS_H */
