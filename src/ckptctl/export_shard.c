/* SPDX-License-Identifier: Apache-2.0 */

#include "ckptctl/export_shard.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ckptctl/agent.h"
#include "ckptctl/text.h"
#include "digest/digest.h"
#include "ckptctl/progress.h"

#define WRITE_BYTES (UINT64_C(16) << 20) /* at once, so that it is seen how far it is */

static bool write_all(const struct ctl *ctl, int fd, const struct ckpt_shard *shard)
{
    const uint8_t *data = shard->data;
    uint64_t done = 0;
    while (done < shard->bytes) {
        uint64_t left = shard->bytes - done;
        progress_show(ctl, "rank %" PRIu32 " of %" PRIu32 ": %s of %s written", shard->rank,
                      shard->world, SIZE_TEXT(done), SIZE_TEXT(shard->bytes));
        ssize_t written = write(fd, data + done, left < WRITE_BYTES ? left : WRITE_BYTES);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            return false;
        }
        done += (uint64_t)written;
    }
    return true;
}

/* Some file systems cannot sync a directory: their own affair. */
void export_sync_parent(const char *path)
{
    char parent[PATH_MAX];
    snprintf(parent, sizeof(parent), "%s", path);
    char *slash = strrchr(parent, '/');
    if (slash) {
        slash[slash == parent ? 1 : 0] = '\0';
    }
    int fd = open(slash ? parent : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fsync(fd);
        close(fd);
    }
}

static enum exit_code write_file(const struct ctl *ctl, const char *path,
                                 const struct ckpt_shard *shard)
{
    char temporary[PATH_MAX];
    if (snprintf(temporary, sizeof(temporary), "%s.XXXXXX", path) >= (int)sizeof(temporary)) {
        return complain(EXIT_USAGE, "the file's name is too long");
    }
    int fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0) {
        return complain(EXIT_NO, "cannot write beside %s: %s", path, strerror(errno));
    }
    mode_t mask = umask(0);
    umask(mask);
    bool good = fchmod(fd, 0666 & ~mask) == 0 && write_all(ctl, fd, shard) && fsync(fd) == 0;
    int error = errno;
    good = close(fd) == 0 && good;
    if (good && rename(temporary, path) == 0) {
        export_sync_parent(path);
        return EXIT_DONE;
    }
    error = good ? errno : error;
    unlink(temporary);
    return complain(EXIT_NO, "cannot write %s: %s", path, strerror(error));
}

/* What is written must be what was committed, even if memory failed since the agent looked. A
 * fingerprint is its daemons' to compute: the agent has just found it right, and the file gets its
 * name. */
static bool is_as_committed(struct ckpt_shard *shard)
{
    const struct digest_engine *engine;
    struct digest digest;
    if (digest_engine_select(NULL, &engine) != CKPT_OK) {
        return false;
    }
    digest_bytes(engine, shard->data, shard->bytes, &digest);
    if (shard->digest_kind == CKPT_DIGEST_FINGERPRINT) {
        memcpy(shard->digest, digest.bytes, sizeof(digest.bytes));
        shard->digest_kind = CKPT_DIGEST_BLAKE3;
    }
    return memcmp(digest.bytes, shard->digest, sizeof(digest.bytes)) == 0;
}

void export_hex(const struct ckpt_shard *shard, char hex_out[EXPORT_HEX_BYTES])
{
    _Static_assert(EXPORT_HEX_BYTES == DIGEST_HEX_BYTES, "a digest's hex digits, and a NUL");
    struct digest digest;
    memcpy(digest.bytes, shard->digest, sizeof(digest.bytes));
    digest_hex(&digest, hex_out);
}

enum exit_code export_shard(const struct ctl *ctl, struct ckpt *reader, uint64_t step,
                            uint32_t rank, uint32_t timeout_ms, const char *path,
                            struct ckpt_shard *shard_out)
{
    struct ckpt_shard shard;
    progress_show(ctl, "rank %" PRIu32 " is fetched to this node", rank);
    enum ckpt_status status = ckpt_fetch(reader, step, rank, timeout_ms, &shard);
    if (status != CKPT_OK) {
        return agent_complain(status, ckpt_reason(reader));
    }
    enum exit_code code =
        is_as_committed(&shard)
            ? write_file(ctl, path, &shard)
            : complain(EXIT_NO,
                       "rank %" PRIu32 " of step %" PRIu64
                       " changed in this node's memory after its agent had verified it: "
                       "nothing was written; ckptctl verify tells more",
                       rank, shard.step);
    *shard_out = shard;
    shard_out->data = NULL;
    ckpt_unload(reader, &shard);
    return code;
}
