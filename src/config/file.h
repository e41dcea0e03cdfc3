/*
 * file: a directory of INI files; for the files of this room only.
 *
 * Decides: which files of a directory count, and their order: names ending in ".ini" that do not
 * start with a dot, by their bytes.
 * Fails: with ERR_NOMEM; all else is reported to the diag. A directory that is not there is empty.
 */
#ifndef HAWSER_CONFIG_FILE_H
#define HAWSER_CONFIG_FILE_H

#include "config/ini.h"

enum { FILE_DIR_MAX = 512 /* files of one directory */ };

int file_read_dir(struct ini *ini, const char *dir, struct diag *diag);

#endif
