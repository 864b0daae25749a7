/*
 * log_file.h - the log on the disk, for a next start that memory does not
 * reach.
 */
#pragma once

/* Without a last run's log in memory, reads the one on the disk; from now on
 * this run's is written there now and then. */
void log_file_start(void);
/* Writes what is new in it; before the machine is switched off. */
void log_file_write(void);
