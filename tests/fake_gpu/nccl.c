/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A libnccl.so.2 without a GPU, beside the fake driver: real processes, whose collectives go
 * through shared memory, on that driver's streams.
 *
 * Beginning waits for all ranks, in the background. Calls before it has ended are refused, and so
 * is memory that is no device's. What a group put together comes to the stream a moment after
 * ncclGroupEnd, when ncclCommGetAsyncError says so: who puts something behind it before that has it
 * in front. An abort ends what waits; nothing else does. The shared memory has a name until the
 * last rank has come.
 *
 * Faults of this process by $FAKE_NCCL, words between commas; N counts its collectives from 1:
 *
 *     dies=N       it ends in its Nth, and the others hear of it (ncclRemoteError)
 *     dies_still=N the same, and they do not, as within a node
 *     hangs=N      its Nth does not end, nor do the others' with it
 *     remote=N     ncclRemoteError in its Nth
 *     flips=N      what its Nth brings has a wrong bit
 *     init_hangs   it never comes to the beginning
 *     init_fails   its beginning ends with ncclSystemError
 *     version=N    is what it says it is
 *
 * The names of the shared memory begin with "ckpt_fake_nccl" and $FAKE_NCCL_NAME, by which a test
 * knows its own.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "fake_gpu/inside.h"
#include "fanout/nccl_library.h"

#define RANKS_MAX 8
#define BOX_BYTES (256 << 10)
#define OPS_MAX 64
#define LAUNCH_NS 2000000 /* between a group's end and the stream */

enum { SYSTEM_ERROR = 2, INVALID_ARGUMENT = 4, INVALID_USAGE = 5, REMOTE_ERROR = 6 };

/* From one rank to another: as much as was written and is not read yet. */
struct box {
    _Atomic uint64_t written, read;
    uint32_t bytes;
    uint8_t data[BOX_BYTES];
};

struct shared {
    _Atomic uint32_t joined;
    _Atomic uint32_t dead;
    struct box boxes[RANKS_MAX][RANKS_MAX]; /* from, to */
};

struct comm {
    struct comm *next; /* of all that ever were: what is on a stream may look at them */
    int rank, ranks;
    char name[64];
    struct shared *shared;
    pthread_t thread;
    _Atomic int error; /* what ncclCommGetAsyncError says */
    _Atomic bool is_aborted;
    _Atomic uint32_t running;
    _Atomic int64_t launch_ns; /* when the group of below goes to the stream; 0: there is none */
    struct op *group[OPS_MAX];
    uint32_t group_count;
};

struct op {
    struct comm *comm;
    void *stream;
    enum { BROADCAST, SEND, RECEIVE, GATHER } kind;
    int peer;
    const uint8_t *from;
    uint8_t *to;
    size_t bytes;
    unsigned number;
};

#define DECLARE(name, result, arguments) result name arguments;
NCCL_FUNCTIONS(DECLARE)

static __thread uint32_t group_depth;
static __thread struct comm *group_comm;
static _Atomic unsigned collectives;
static struct comm *comms;
static pthread_mutex_t comms_lock = PTHREAD_MUTEX_INITIALIZER;

/* What a word of the script has behind its "="; 0: it is not there; 1: there is nothing behind. */
static unsigned script(const char *word)
{
    const char *at = getenv("FAKE_NCCL");
    size_t length = strlen(word);
    while (at != NULL && *at != '\0') {
        if (strncmp(at, word, length) == 0 && strchr("=,", at[length]) != NULL) {
            return at[length] == '=' ? (unsigned)atoi(at + length + 1) : 1;
        }
        at = strchr(at, ',');
        at = at != NULL ? at + 1 : NULL;
    }
    return 0;
}

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void rest(void)
{
    struct timespec time = {0, 50000};
    nanosleep(&time, NULL);
}

int ncclGetVersion(int *version)
{
    *version = script("version") != 0 ? (int)script("version") : 22809;
    return NCCL_OK;
}

const char *ncclGetErrorString(int error)
{
    return error == REMOTE_ERROR ? "a fake remote error" : "a fake error";
}

int ncclGetUniqueId(struct nccl_id *id)
{
    unsigned long long number;
    if (getrandom(&number, sizeof(number), 0) != sizeof(number)) {
        return SYSTEM_ERROR;
    }
    memset(id, 0, sizeof(*id));
    const char *name = getenv("FAKE_NCCL_NAME");
    snprintf(id->bytes, sizeof(id->bytes), "/ckpt_fake_nccl%.20s.%llx", name != NULL ? name : "",
             number);
    return NCCL_OK;
}

/* The last to come takes the name away, and so does who gives up. */
static void *begin(void *context)
{
    struct comm *comm = context;
    bool comes = script("init_hangs") == 0;
    uint32_t wanted = (uint32_t)comm->ranks;
    if (comes && atomic_fetch_add(&comm->shared->joined, 1) + 1 == wanted) {
        shm_unlink(comm->name);
    }
    while (!atomic_load(&comm->is_aborted) && atomic_load(&comm->shared->joined) < wanted) {
        rest();
    }
    if (!atomic_load(&comm->is_aborted)) {
        atomic_store(&comm->error, script("init_fails") != 0 ? SYSTEM_ERROR : NCCL_OK);
    }
    return NULL;
}

int ncclCommInitRankConfig(void **comm_out, int ranks, struct nccl_id id, int rank,
                           struct nccl_config *config)
{
    struct comm *comm = calloc(1, sizeof(*comm));
    if (comm == NULL || config == NULL || config->magic != NCCL_CONFIG_MAGIC ||
        config->size < sizeof(*config) || config->blocking != 0 || ranks < 1 || ranks > RANKS_MAX ||
        rank < 0 || rank >= ranks || current_device() < 0) {
        free(comm);
        return INVALID_ARGUMENT;
    }
    snprintf(comm->name, sizeof(comm->name), "%.63s", id.bytes);
    comm->rank = rank;
    comm->ranks = ranks;
    comm->error = NCCL_IN_PROGRESS;
    int fd = shm_open(comm->name, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, sizeof(struct shared)) != 0) {
        return SYSTEM_ERROR;
    }
    comm->shared = mmap(NULL, sizeof(struct shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (comm->shared == MAP_FAILED || pthread_create(&comm->thread, NULL, begin, comm) != 0) {
        return SYSTEM_ERROR;
    }
    pthread_mutex_lock(&comms_lock);
    comm->next = comms;
    comms = comm;
    pthread_mutex_unlock(&comms_lock);
    *comm_out = comm;
    return NCCL_IN_PROGRESS;
}

/* False: it was aborted. Waits while the box is full, or empty. */
static bool await(struct comm *comm, struct box *box, bool full)
{
    while ((atomic_load(&box->written) != atomic_load(&box->read)) != full) {
        if (atomic_load(&comm->shared->dead) != 0) {
            atomic_store(&comm->error, REMOTE_ERROR);
        }
        if (atomic_load(&comm->is_aborted)) {
            return false;
        }
        rest();
    }
    return true;
}

static size_t part(size_t bytes)
{
    return bytes < BOX_BYTES ? bytes : BOX_BYTES;
}

/* A part of what `bytes` are to several, or from one: in step, so that no box waits for another. */
static bool give(struct comm *comm, const struct op *op, size_t done, int to)
{
    struct box *box = &comm->shared->boxes[comm->rank][to];
    if (!await(comm, box, false)) {
        return false;
    }
    box->bytes = (uint32_t)part(op->bytes - done);
    memcpy(box->data, op->from + done, box->bytes);
    atomic_fetch_add(&box->written, 1);
    return true;
}

static bool get(struct comm *comm, const struct op *op, uint8_t *target, size_t done, int from)
{
    struct box *box = &comm->shared->boxes[from][comm->rank];
    if (!await(comm, box, true)) {
        return false;
    }
    if (box->bytes != part(op->bytes - done)) { /* the ranks' calls differ */
        abort();
    }
    memcpy(target + done, box->data, box->bytes);
    atomic_fetch_add(&box->read, 1);
    return true;
}

static void broadcast(struct comm *comm, const struct op *op, int root, uint8_t *target)
{
    for (size_t done = 0; done < op->bytes; done += BOX_BYTES) {
        if (comm->rank != root) {
            if (!get(comm, op, target, done, root)) {
                return;
            }
            continue;
        }
        for (int to = 0; to < comm->ranks; to++) {
            if (to != root && !give(comm, op, done, to)) {
                return;
            }
        }
    }
}

static void move(struct comm *comm, const struct op *op)
{
    bool goes_on = true;
    switch (op->kind) {
    case BROADCAST:
        broadcast(comm, op, op->peer, op->to);
        break;
    case GATHER:
        for (int root = 0; root < comm->ranks; root++) {
            broadcast(comm, op, root, op->to + op->bytes * (size_t)root);
        }
        break;
    case SEND:
    case RECEIVE:
        for (size_t done = 0; done < op->bytes && goes_on; done += BOX_BYTES) {
            goes_on = op->kind == SEND ? give(comm, op, done, op->peer)
                                       : get(comm, op, op->to, done, op->peer);
        }
        break;
    }
}

static void have_fault(struct comm *comm, const struct op *op)
{
    if (op->number == script("dies")) {
        atomic_store(&comm->shared->dead, 1);
        _exit(0);
    }
    if (op->number == script("dies_still")) {
        _exit(0);
    }
    if (op->number == script("remote")) {
        atomic_store(&comm->error, REMOTE_ERROR);
    }
    while ((op->number == script("remote") || op->number == script("hangs")) &&
           !atomic_load(&comm->is_aborted)) {
        rest();
    }
}

static void run(void *context)
{
    struct op *op = context;
    struct comm *comm = op->comm;
    atomic_fetch_add(&comm->running, 1);
    if (!atomic_load(&comm->is_aborted)) {
        have_fault(comm, op);
        move(comm, op);
        if (op->number == script("flips") && op->to != NULL) {
            op->to[op->bytes / 2] ^= 4;
        }
    }
    atomic_fetch_sub(&comm->running, 1);
    free(op);
}

/* What a group put together goes to its stream. */
static int launch(struct comm *comm)
{
    int error = 0;
    for (uint32_t i = 0; i < comm->group_count && error == 0; i++) {
        error = cuLaunchHostFunc(comm->group[i]->stream, run, comm->group[i]);
    }
    comm->group_count = 0;
    atomic_store(&comm->launch_ns, 0);
    return error == 0 ? NCCL_OK : 1;
}

int ncclCommGetAsyncError(void *handle, int *error)
{
    struct comm *comm = handle;
    int64_t launch_ns = atomic_load(&comm->launch_ns);
    *error = atomic_load(&comm->error);
    if (*error != NCCL_OK || launch_ns == 0) {
        return NCCL_OK;
    }
    *error = now_ns() >= launch_ns ? launch(comm) : NCCL_IN_PROGRESS;
    return NCCL_OK;
}

int ncclCommAbort(void *handle)
{
    struct comm *comm = handle;
    atomic_store(&comm->is_aborted, true);
    pthread_join(comm->thread, NULL);
    if (atomic_load(&comm->shared->joined) < (uint32_t)comm->ranks) {
        shm_unlink(comm->name);
    }
    while (atomic_load(&comm->running) > 0) {
        rest();
    }
    for (uint32_t i = 0; i < comm->group_count; i++) {
        free(comm->group[i]);
    }
    comm->group_count = 0;
    return NCCL_OK;
}

int ncclGroupStart(void)
{
    group_depth++;
    return NCCL_OK;
}

int ncclGroupEnd(void)
{
    struct comm *comm = group_comm;
    if (group_depth == 0) {
        return INVALID_USAGE;
    }
    group_depth--;
    if (group_depth > 0 || comm == NULL) {
        return NCCL_OK;
    }
    atomic_store(&comm->launch_ns, now_ns() + LAUNCH_NS);
    group_comm = NULL;
    return NCCL_IN_PROGRESS;
}

static int put(const struct op *wanted)
{
    struct comm *comm = wanted->comm;
    const void *memory = wanted->from != NULL ? wanted->from : wanted->to;
    if (atomic_load(&comm->error) != NCCL_OK || atomic_load(&comm->launch_ns) != 0 ||
        group_depth == 0 || comm->group_count == OPS_MAX) {
        return INVALID_USAGE;
    }
    if (memory_device((uint64_t)(uintptr_t)memory, wanted->bytes) < 0 || wanted->peer < 0 ||
        wanted->peer >= comm->ranks) {
        return INVALID_ARGUMENT;
    }
    struct op *op = malloc(sizeof(*op));
    if (op == NULL) {
        return SYSTEM_ERROR;
    }
    *op = *wanted;
    op->number = atomic_fetch_add(&collectives, 1) + 1;
    comm->group[comm->group_count++] = op;
    group_comm = comm;
    return NCCL_OK;
}

int ncclBroadcast(const void *from, void *to, size_t count, int type, int root, void *comm,
                  void *stream)
{
    return type != NCCL_TYPE_UINT8
               ? INVALID_ARGUMENT
               : put(&(struct op){comm, stream, BROADCAST, root, from, to, count, 0});
}

int ncclAllGather(const void *from, void *to, size_t count, int type, void *comm, void *stream)
{
    const struct comm *of = comm;
    return type != NCCL_TYPE_UINT8 ||
                   memory_device((uint64_t)(uintptr_t)to, count * (size_t)of->ranks) < 0
               ? INVALID_ARGUMENT
               : put(&(struct op){comm, stream, GATHER, 0, from, to, count, 0});
}

int ncclSend(const void *from, size_t count, int type, int peer, void *comm, void *stream)
{
    return type != NCCL_TYPE_UINT8
               ? INVALID_ARGUMENT
               : put(&(struct op){comm, stream, SEND, peer, from, NULL, count, 0});
}

int ncclRecv(void *to, size_t count, int type, int peer, void *comm, void *stream)
{
    return type != NCCL_TYPE_UINT8
               ? INVALID_ARGUMENT
               : put(&(struct op){comm, stream, RECEIVE, peer, NULL, to, count, 0});
}
