/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the room: the folder of an arena, and the files in it. */
#ifndef CKPT_ARENA_DIRECTORY_H
#define CKPT_ARENA_DIRECTORY_H

#include "arena/state.h"

#define SEGMENT_NAME_BYTES 32

/* Sets directory, directory_fd (locked), huge, page_bytes. With create false,
 * CKPT_ERR_NOT_FOUND when there is none. */
enum ckpt_status arena_directory_open(struct arena *arena, const struct arena_options *options,
                                      bool create, char reason[ARENA_REASON_BYTES]);
/* Removes what arena_open() has made: see arena_discard(). All but the directory is closed. */
void arena_directory_undo(struct arena *arena);
/* The first hugetlbfs mount of 2 MiB pages. */
bool arena_find_hugetlbfs(char path_out[ARENA_PATH_MAX + 1]);
/* Opens `name` in the arena's directory: CKPT_ERR_NOT_FOUND, or refused when it is a link, another
 * user's, open to others or no regular file. */
enum ckpt_status arena_file_open(struct arena *arena, const char *name, bool create, int *fd_out,
                                 char reason[ARENA_REASON_BYTES]);
void arena_segment_name(uint32_t id, char name_out[SEGMENT_NAME_BYTES]);
/* Removes the files of parts that are not open. */
enum ckpt_status arena_directory_tidy(struct arena *arena, char reason[ARENA_REASON_BYTES]);

#endif
