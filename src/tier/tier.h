/* SPDX-License-Identifier: Apache-2.0 */
/* The second half of a checkpoint's life: a folder of a file system, or a bucket of an object
 * store.
 *
 * A tier keeps checkpoints as files below one place, whose names it makes itself:
 *
 *     1000-team~llama/                                   uid and name of the run; '/' is '~'
 *         step-00000000000000000300-attempt-0000000001/
 *             rank-00000.safetensors                     a shard, byte for byte as it was saved
 *             rank-00000.json                            its sidecar: sizes, BLAKE3, encoding
 *             ...
 *             B3SUMS                                     what `b3sum -c B3SUMS` takes
 *             manifest.json                              last: without it there is no checkpoint
 *
 * Each file is durable before it has its name, and has its name before the next one is begun:
 * data, sidecar; and when all ranks' are there, B3SUMS, manifest. Whatever is cut off leaves files
 * that no manifest speaks of, and what has no name yet is removed by a later tier_open(). Any
 * number of processes may use one tier; the same shard put twice is one shard.
 *
 * Nothing that is read from a tier is believed: sizes, names and JSON are checked, and a shard is
 * what its BLAKE3 says only once the reader has computed it.
 *
 * THREADS
 *     Every function may block for as long as the medium does, so none is called from a loop. A
 *     tier is used by one thread at a time; several tiers may be open on one place.
 *
 * ERRORS
 *     What may fail does so with a status and one line in reason_out (CKPT_REASON_MAX + 1 bytes, or
 *     NULL): what, where, what to do. The statuses are classes, the same for all backends:
 *     - CKPT_ERR_FULL - no room (ENOSPC, EDQUOT, a full bucket): stop until there is some
 *     - CKPT_ERR_DISK - the medium failed (EIO, a failed fsync, a short write, a 5xx)
 *     - CKPT_ERR_TIMEOUT - no answer within options.timeout_ms
 *     - CKPT_ERR_THROTTLED - it asks for fewer requests (503 SlowDown), after all retries
 *     - CKPT_ERR_LINK - the server cannot be reached
 *     - CKPT_ERR_NOT_FOUND - no such shard, checkpoint or place
 *     - CKPT_ERR_CORRUPT - what is there is not what was written
 *     - CKPT_ERR_DENIED - permissions or credentials
 *     - CKPT_ERR_ABORTED - options.proceed said so
 *     - CKPT_ERR_MEMORY, CKPT_ERR_SYSTEM */
#ifndef CKPT_TIER_TIER_H
#define CKPT_TIER_TIER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ids.h"
#include "digest/key.h"
#include "wire/key.h"
#include "wire/state.h"

struct tier;

/* How a shard's bytes lie in the tier. The names are in the files; the numbers nowhere. */
enum tier_encoding {
    TIER_ENCODING_NONE = 0, /* "none": as saved, for any reader of safetensors */
};

/* Zeroed options are the defaults. Read only during tier_open(), but for the two functions. */
struct tier_options {
    struct incarnation incarnation; /* of the process: what it has not named yet carries it; all
                                       zeros: a random one */
    uint64_t bytes_per_second;      /* that puts write at most; 0: no limit */
    uint32_t depth;                 /* writes, or parts, in flight; 0: 8 */
    uint32_t timeout_ms;            /* of one request to a server; 0: 30000 */
    uint32_t stale_ms;              /* how old what has no name must be to be removed; 0: a day */
    bool is_reader;                 /* only reads: nothing is made, removed or tried out */
    const char *endpoint;           /* s3: "https://host:port"; NULL: AWS' own for the region */
    const char *region;             /* s3; NULL: $AWS_REGION, $AWS_DEFAULT_REGION, us-east-1 */

    /* Asked before each block of a put or a read, in the caller's thread. It may wait, so that a
     * busy trainer goes first; false ends the call with CKPT_ERR_ABORTED. NULL: always true. */
    bool (*proceed)(void *context);
    /* Said once where it is so: what works otherwise than one would expect ("O_DIRECT is refused by
     * this file system: writes are buffered"). NULL: to nobody. */
    void (*notice)(void *context, const char *line);
    void *context;
};

/* Names a checkpoint. */
struct tier_checkpoint_key {
    struct run_key run;
    uint32_t attempt;
    uint64_t step;
};

/* A shard as it is put. data must be of `bytes` bytes that stay as they are during the call;
 * aligned to pages, as in the arena, they are written without a copy. */
struct tier_shard_source {
    const void *data;
    uint64_t bytes;
    /* What the bytes are proven with, and the digest that is on record for them. They get their
     * name only if they have it. NULL digest: nothing is compared, nothing linked. */
    struct digest_key key;
    const struct digest *committed;
};

/* What the tier knows of a shard: its sidecar, and its row of the manifest. */
struct tier_shard {
    uint32_t rank;
    uint64_t bytes;       /* of the shard */
    struct digest blake3; /* of the shard: of what a reader gets */
    enum tier_encoding encoding;
    uint64_t stored_bytes;       /* of the file */
    struct digest stored_blake3; /* of the file; as blake3 where the encoding is none */
    uint64_t proof_id;           /* digest_key_id() of the proof below, ... */
    struct digest proof;         /* ... where there is one: a put with a committed digest */
    bool is_proven;
};

struct tier_put_result {
    struct tier_shard shard;
    bool is_linked; /* the tier had the bytes from an earlier step: nothing was written */
};

/* A checkpoint that is whole in the tier. */
struct tier_manifest {
    struct tier_checkpoint_key key;
    uint32_t world;
    uint32_t copies; /* that it had in memory */
    enum checkpoint_mark mark;
    struct nonce cluster;
    struct digest root;        /* tier_root_final() over all shards */
    uint64_t made_ms;          /* since 1970, by the clock of who wrote it */
    char made_by[32];          /* "ckptd 0.1.0" */
    struct tier_shard *shards; /* world of them, in the order of ranks */
};

/* One entry of a list. */
struct tier_entry {
    struct tier_checkpoint_key key;
    bool is_whole; /* it has a manifest */
};

/* What fsck found. */
enum tier_fault_kind {
    TIER_FAULT_MISSING,  /* a shard, its sidecar or B3SUMS */
    TIER_FAULT_SIZE,     /* of a file, or of a shard in its sidecar */
    TIER_FAULT_DIGEST,   /* bytes are not what their BLAKE3 says */
    TIER_FAULT_MANIFEST, /* cannot be read, or is of another folder */
    TIER_FAULT_STRANGE,  /* nothing of ours, a link, a device, a folder that is not named as ours */
    TIER_FAULT_UNNAMED,  /* a put is under way, or was cut off. No fault as such */
    TIER_FAULT_UNFINISHED /* no manifest: being drained, or cut off. No fault as such */
};
struct tier_fault {
    enum tier_fault_kind kind;
    const char *path; /* below the tier's place, quoted where it is not printable */
    const char *line; /* what is wrong */
};
struct tier_fsck_result {
    uint64_t checkpoints;
    uint64_t files;
    uint64_t bytes;  /* read and proven */
    uint64_t faults; /* UNNAMED and UNFINISHED are none */
};

/* Opens a tier. text is one of
 *     memory:              this process' memory, gone with it; "memory:NAME" is shared by all that
 *                          open that name in this process
 *     posix:/PATH, /PATH   a folder, which must be there, and be ours to write
 *     s3://BUCKET/PREFIX   a bucket of an S3 server; where the build found libcurl
 * Removes what processes that are gone have left without a name. options may be NULL. A process
 * with a limit to the size of files (RLIMIT_FSIZE) has to ignore SIGXFSZ.
 *
 * ERRORS
 * - CKPT_ERR_CONFIG - the text is not understood, or this build lacks the backend
 * - CKPT_ERR_NOT_FOUND, CKPT_ERR_DENIED, ... - as above */
enum ckpt_status tier_open(const char *text, const struct tier_options *options,
                           struct tier **tier_out, char *reason_out);

/* Ends and frees it, and sets *tier to NULL; NULL in it is let be. */
void tier_close(struct tier **tier);

/* Changes the pace of this and later puts; any thread. 0: no limit. */
void tier_set_pace(struct tier *tier, uint64_t bytes_per_second);

/* Puts a rank's shard: data, durable and named, then its sidecar. One pass over the bytes computes
 * BLAKE3 and the proof of source->key while they are written. Where the run's newest earlier
 * checkpoint in the tier has the same committed digest for this rank, its file is linked instead.
 *
 * ERRORS
 * - CKPT_ERR_DIGEST - the bytes do not have the committed digest; nothing has a name
 * - CKPT_ERR_NAME - key's run or rank cannot be named */
enum ckpt_status tier_put_shard(struct tier *tier, const struct shard_key *key,
                                const struct tier_shard_source *source,
                                struct tier_put_result *result_out, char *reason_out);

/* What the tier knows of one shard, from its sidecar, that is of a put that has ended well.
 * CKPT_ERR_NOT_FOUND, CKPT_ERR_CORRUPT. */
enum ckpt_status tier_look_shard(struct tier *tier, const struct shard_key *key,
                                 struct tier_shard *shard_out, char *reason_out);

/* Makes the checkpoint whole: reads the sidecars of all ranks, writes B3SUMS and then the manifest.
 * Of manifest, shards and made_by are not looked at. Again with the same root it replaces what was
 * there, with the mark that it has now.
 *
 * ERRORS
 * - CKPT_ERR_NOT_FOUND - a rank's sidecar is missing
 * - CKPT_ERR_DIGEST - the sidecars do not have manifest->root; or a manifest of another root is
 *   there already, by another coordinator, which stays */
enum ckpt_status tier_put_manifest(struct tier *tier, const struct tier_manifest *manifest,
                                   char *reason_out);

/* Each checkpoint of a run, or with NULL of all, in no order. visit must not call the tier; false
 * ends the list, which then is CKPT_OK. What is not named as ours is passed over. */
typedef bool tier_visit(void *context, const struct tier_entry *entry);
enum ckpt_status tier_list(struct tier *tier, const struct run_key *run, tier_visit *visit,
                           void *context, char *reason_out);

/* Reads and checks a manifest; free it with tier_manifest_free(), which takes NULL.
 * CKPT_ERR_NOT_FOUND: it is not there, so there is no checkpoint. */
enum ckpt_status tier_read_manifest(struct tier *tier, const struct tier_checkpoint_key *key,
                                    struct tier_manifest **manifest_out, char *reason_out);
void tier_manifest_free(struct tier_manifest *manifest);

/* Reads bytes of a shard at an offset, as saved, whatever its encoding. shard is its row of the
 * manifest. What comes is not proven: who reads all of it computes its BLAKE3.
 *
 * ERRORS
 * - CKPT_ERR_SIZE - the range is not in the shard
 * - CKPT_ERR_CORRUPT - the file is shorter than its row says, or is not of its encoding */
enum ckpt_status tier_read_shard(struct tier *tier, const struct tier_checkpoint_key *key,
                                 const struct tier_shard *shard, uint64_t offset, void *into,
                                 uint64_t bytes, char *reason_out);

/* Removes a checkpoint, its manifest first: from then on it is none. CKPT_OK where none is. */
enum ckpt_status tier_remove_checkpoint(struct tier *tier, const struct tier_checkpoint_key *key,
                                        char *reason_out);

/* Reads everything of a run (NULL: of all) and names each file that is wrong. Changes nothing.
 * CKPT_OK also where faults were found; another status where the tier could not be read. */
typedef void tier_fault_visit(void *context, const struct tier_fault *fault);
enum ckpt_status tier_fsck(struct tier *tier, const struct run_key *run, tier_fault_visit *visit,
                           void *context, struct tier_fsck_result *result_out, char *reason_out);

/* "none"; and back: false where the text is none of them. */
const char *tier_encoding_name(enum tier_encoding encoding);
bool tier_encoding_from_name(const char *name, enum tier_encoding *encoding_out);

#endif
