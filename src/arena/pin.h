/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the room: bytes of a file become memory that stays. */
#ifndef CKPT_ARENA_PIN_H
#define CKPT_ARENA_PIN_H

#include "arena/state.h"

/* Makes `name` anew, of a segment's size and with no bytes yet. */
enum ckpt_status arena_file_make(struct arena *arena, const char *name, int *fd_out,
                                 char reason[ARENA_REASON_BYTES]);
/* Makes `name` anew and pins what the segment or part has at address. On an error the address may
 * have lost its old mapping; nothing is left of the new file. */
enum ckpt_status arena_segment_make(struct arena *arena, uint32_t id, const char *name,
                                    uint8_t *address, int *fd_out, char reason[ARENA_REASON_BYTES]);
/* Bytes of a file, and where they are to be mapped. */
struct pin {
    uint32_t id; /* of the segment or part, for its node and for messages */
    int fd;
    uint64_t offset;
    uint64_t bytes;
    uint8_t *address;
};
/* Maps them, binds them as the segment wants, faults them in, locks them. Keeps the bytes. */
enum ckpt_status arena_pin(struct arena *arena, const struct pin *pin,
                           char reason[ARENA_REASON_BYTES]);
/* True when the file has its full size, and so many bytes. */
bool arena_file_is_whole(const struct arena *arena, int fd, uint64_t bytes);

#endif
