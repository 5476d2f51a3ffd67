/* SPDX-License-Identifier: Apache-2.0 */
/* Where this program lies: its siblings are beside it. */
#ifndef CKPTBENCH_SELF_H
#define CKPTBENCH_SELF_H

#include <stdbool.h>
#include <stddef.h>

/* The path of this program. False: not known. */
bool self_path(char *path_out, size_t size);

/* The path of a program in the same directory, or, as installed, in sbin or bin beside it. False:
 * there is none that can be run; path_out then has the first place looked at. */
bool self_sibling(const char *name, char *path_out, size_t size);

/* The path of a program that a shell would find. False: there is none; path_out is "". */
bool self_find(const char *name, char *path_out, size_t size);

#endif
