/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/client/fake_agent.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "wire/message_codec.h"
#include "wire/stream.h"

#define DESCRIPTORS_A_BYTE 250
#define INPUT_BYTES 65536

struct fake_agent {
    fake_script *script;
    pthread_t thread;
    atomic_bool stop;
    int listener;
    int session; /* the connection that is served; -1: none */
    uint32_t connections;
    char directory[64];
    char path[96];
    int segments[FAKE_SEGMENTS];
    uint64_t sequence;
    struct incarnation incarnation;
    int descriptor; /* that the rank passed last; -1: none, or taken */
    bool has_no_coordinator;
    struct wire_stream stream;
    uint8_t input[INPUT_BYTES];
    struct message_scratch scratch;
    uint8_t scratch_memory[MESSAGE_SCRATCH_BYTES(INPUT_BYTES)];
    char wrong[256];
};

void fake_wrong(struct fake_agent *agent, const char *what)
{
    if (agent->wrong[0] == '\0') {
        (void)snprintf(agent->wrong, sizeof(agent->wrong), "%s", what);
    }
}

static bool wait_readable(struct fake_agent *agent, int fd)
{
    /* What lies there already is read also when the test is over. */
    for (;;) {
        bool last = atomic_load(&agent->stop);
        struct pollfd entry = {.fd = fd, .events = POLLIN};
        if (poll(&entry, 1, last ? 0 : 20) > 0) {
            return true;
        }
        if (last) {
            return false;
        }
    }
}

static void *serve(void *argument)
{
    struct fake_agent *agent = argument;
    while (wait_readable(agent, agent->listener)) {
        agent->session = accept4(agent->listener, NULL, NULL, SOCK_CLOEXEC);
        if (agent->session < 0) {
            fake_wrong(agent, "accept failed");
            return NULL;
        }
        wire_stream_init(&agent->stream, agent->input, sizeof(agent->input));
        agent->script(agent, agent->connections++);
        close(agent->session);
        agent->session = -1;
    }
    return NULL;
}

static int make_segment(void)
{
    int fd = memfd_create("segment", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)FAKE_SEGMENT_BYTES), 0);
    return fd;
}

struct fake_agent *fake_agent_start(fake_script *script)
{
    struct fake_agent *agent = calloc(1, sizeof(*agent));
    assert_non_null(agent);
    agent->script = script;
    agent->session = -1;
    agent->descriptor = -1;
    memset(agent->incarnation.bytes, 7, sizeof(agent->incarnation.bytes));
    message_scratch_init(&agent->scratch, agent->scratch_memory, sizeof(agent->scratch_memory));
    for (uint32_t i = 0; i < FAKE_SEGMENTS; i++) {
        agent->segments[i] = make_segment();
    }
    (void)snprintf(agent->directory, sizeof(agent->directory), "/tmp/ckpt-fake-XXXXXX");
    assert_non_null(mkdtemp(agent->directory));
    (void)snprintf(agent->path, sizeof(agent->path), "%s/agent.sock", agent->directory);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, agent->path, strlen(agent->path) + 1);
    agent->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(agent->listener >= 0);
    assert_int_equal(bind(agent->listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(agent->listener, 8), 0);
    assert_int_equal(pthread_create(&agent->thread, NULL, serve, agent), 0);
    return agent;
}

void fake_agent_stop(struct fake_agent **agent_pointer)
{
    struct fake_agent *agent = *agent_pointer;
    char wrong[256];
    atomic_store(&agent->stop, true);
    assert_int_equal(pthread_join(agent->thread, NULL), 0);
    close(agent->listener);
    for (uint32_t i = 0; i < FAKE_SEGMENTS; i++) {
        close(agent->segments[i]);
    }
    (void)unlink(agent->path);
    (void)rmdir(agent->directory);
    memcpy(wrong, agent->wrong, sizeof(wrong));
    free(agent);
    *agent_pointer = NULL;
    if (wrong[0] != '\0') {
        fail_msg("the fake agent: %s", wrong);
    }
}

const char *fake_agent_path(const struct fake_agent *agent)
{
    return agent->path;
}

struct ckpt_options fake_options(const struct fake_agent *agent)
{
    return (struct ckpt_options){
        .size = sizeof(struct ckpt_options),
        .socket = agent->path,
        .run = "tests/fake",
        .attempt = 3,
        .rank = 1,
        .world = 4,
        .copies = 2,
        .timeout_ms = 20000,
    };
}

struct ckpt *fake_connect(const struct fake_agent *agent)
{
    struct ckpt_options options = fake_options(agent);
    struct ckpt *ckpt = NULL;
    char reason[256] = "";
    enum ckpt_status status = ckpt_open_reason(&options, &ckpt, reason, sizeof(reason));
    if (status != CKPT_OK) {
        fail_msg("ckpt_open: %s: %s", ckpt_status_name(status), reason);
    }
    return ckpt;
}

static ssize_t receive(struct fake_agent *agent, void *space, size_t room)
{
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec part = {.iov_base = space, .iov_len = room};
    struct msghdr header = {.msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = &control,
                            .msg_controllen = sizeof(control)};
    ssize_t got = recvmsg(agent->session, &header, MSG_CMSG_CLOEXEC);
    struct cmsghdr *head = got > 0 ? CMSG_FIRSTHDR(&header) : NULL;
    if (head != NULL && head->cmsg_type == SCM_RIGHTS) {
        if (agent->descriptor >= 0) {
            fake_wrong(agent, "a descriptor was passed that nothing asked for");
            (void)close(agent->descriptor);
        }
        memcpy(&agent->descriptor, CMSG_DATA(head), sizeof(int));
    }
    return got;
}

/* 1: a message; 0: the rank closed, or the test is over. */
static int take_one(struct fake_agent *agent, struct message *message_out)
{
    for (;;) {
        const uint8_t *frame;
        size_t bytes;
        if (wire_stream_next(&agent->stream, &frame, &bytes) != CKPT_OK) {
            fake_wrong(agent, "the rank sent no frame");
            return 0;
        }
        if (frame != NULL) {
            if (message_decode(frame, bytes, &agent->scratch, message_out) != CKPT_OK) {
                fake_wrong(agent, agent->scratch.reason);
                return 0;
            }
            return 1;
        }
        uint8_t *space;
        size_t room = wire_stream_space(&agent->stream, &space);
        if (!wait_readable(agent, agent->session)) {
            return 0;
        }
        ssize_t got = receive(agent, space, room);
        if (got <= 0) {
            return 0;
        }
        wire_stream_filled(&agent->stream, (size_t)got);
    }
}

/* The same, but for the question whether there is a coordinator, which comes with any wait that has
 * ended. An agent of before that question leaves it to the coordinator. */
static int take_any(struct fake_agent *agent, struct message *message_out)
{
    int taken = take_one(agent, message_out);
    while (taken == 1 && message_out->type == MESSAGE_CHECKPOINT_ASK &&
           message_out->checkpoint_ask.here) {
        struct message answer = {.type = MESSAGE_CHECKPOINT_INFO};
        answer.checkpoint_info.reader = message_out->checkpoint_ask.reader;
        answer.checkpoint_info.status = CKPT_ERR_NO_COORDINATOR;
        memcpy(answer.checkpoint_info.reason, "nobody rules", 13);
        if (agent->has_no_coordinator) {
            fake_send(agent, &answer, NULL, 0);
        }
        taken = take_one(agent, message_out);
    }
    return taken;
}

void fake_has_no_coordinator(struct fake_agent *agent)
{
    agent->has_no_coordinator = true;
}

int fake_descriptor(struct fake_agent *agent)
{
    int descriptor = agent->descriptor;
    agent->descriptor = -1;
    return descriptor;
}

bool fake_take(struct fake_agent *agent, enum message_type wanted, struct message *message_out)
{
    char text[128];
    if (take_any(agent, message_out) == 0) {
        (void)snprintf(text, sizeof(text), "the rank never sent %s", message_type_name(wanted));
        fake_wrong(agent, text);
        return false;
    }
    if (message_out->type != wanted) {
        (void)snprintf(text, sizeof(text), "the rank sent %s, not %s",
                       message_type_name(message_out->type), message_type_name(wanted));
        fake_wrong(agent, text);
        return false;
    }
    return true;
}

bool fake_take_next(struct fake_agent *agent, struct message *message_out)
{
    return take_any(agent, message_out) != 0;
}

bool fake_take_end(struct fake_agent *agent)
{
    struct message message;
    if (take_any(agent, &message) != 0) {
        fake_wrong(agent, message_type_name(message.type));
        return false;
    }
    return true;
}

/* One byte with its descriptors, or all bytes when there are none. */
static void send_part(struct fake_agent *agent, const uint8_t *bytes, size_t count, const int *fds,
                      uint32_t fd_count)
{
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(DESCRIPTORS_A_BYTE * sizeof(int))];
    } control = {0};
    struct iovec part = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = count};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
    if (fd_count > 0) {
        header.msg_control = &control;
        header.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
        struct cmsghdr *c = CMSG_FIRSTHDR(&header);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
        memcpy(CMSG_DATA(c), fds, fd_count * sizeof(int));
    }
    while (part.iov_len > 0) {
        ssize_t sent = sendmsg(agent->session, &header, MSG_NOSIGNAL);
        if (sent <= 0) {
            return; /* the rank has gone: the test sees that by itself */
        }
        part.iov_base = (uint8_t *)part.iov_base + sent;
        part.iov_len -= (size_t)sent;
        header.msg_control = NULL;
        header.msg_controllen = 0;
    }
}

void fake_send_bytes(struct fake_agent *agent, const void *bytes, size_t count)
{
    send_part(agent, bytes, count, NULL, 0);
}

void fake_send(struct fake_agent *agent, struct message *message, const int *fds, uint32_t count)
{
    uint8_t frame[16384];
    size_t bytes;
    size_t at = 0;
    message->incarnation = agent->incarnation;
    message->sequence = ++agent->sequence;
    if (message_encode(message, frame, sizeof(frame), &bytes) != CKPT_OK) {
        char reason[CKPT_REASON_MAX + 1] = "too long";
        (void)message_check(message, reason);
        fake_wrong(agent, reason);
        return;
    }
    for (uint32_t sent = 0; sent < count; at++) {
        uint32_t now = count - sent < DESCRIPTORS_A_BYTE ? count - sent : DESCRIPTORS_A_BYTE;
        send_part(agent, frame + at, 1, fds + sent, now);
        sent += now;
    }
    send_part(agent, frame + at, bytes - at, NULL, 0);
}

bool fake_open_preparing(struct fake_agent *agent, uint64_t last_bytes)
{
    struct message message;
    if (!fake_take(agent, MESSAGE_RANK_OPEN, &message)) {
        return false;
    }
    struct message answer = {.type = MESSAGE_RANK_OPENED};
    answer.rank_opened.segment_bytes = FAKE_SEGMENT_BYTES;
    answer.rank_opened.prepares = true;
    answer.rank_opened.last_bytes = last_bytes;
    memcpy(answer.rank_opened.node, "fake", 5);
    fake_send(agent, &answer, NULL, 0);
    return true;
}

bool fake_open_rank(struct fake_agent *agent)
{
    struct message message;
    if (!fake_take(agent, MESSAGE_RANK_OPEN, &message)) {
        return false;
    }
    struct message answer = {.type = MESSAGE_RANK_OPENED};
    answer.rank_opened.segment_bytes = FAKE_SEGMENT_BYTES;
    memcpy(answer.rank_opened.node, "fake", 5);
    fake_send(agent, &answer, NULL, 0);
    return true;
}

void fake_answer_ask(struct fake_agent *agent, const struct message_slot_ask *ask,
                     enum ckpt_status status, uint32_t first, uint32_t count, uint64_t generation)
{
    uint16_t ids[FAKE_SEGMENTS];
    for (uint32_t i = 0; i < count; i++) {
        ids[i] = (uint16_t)(first + i);
    }
    struct message answer = {.type = MESSAGE_SLOT_GRANTED};
    answer.slot_granted.status = status;
    answer.slot_granted.step = ask->step;
    answer.slot_granted.bytes = ask->bytes;
    answer.slot_granted.slot = first;
    answer.slot_granted.generation = generation;
    answer.slot_granted.segment_count = count;
    answer.slot_granted.segments = ids;
    fake_send(agent, &answer, agent->segments + first, status == CKPT_OK ? count : 0);
}

bool fake_grant(struct fake_agent *agent, uint32_t first, uint32_t count, uint64_t generation,
                struct message_slot_ask *ask_out)
{
    struct message message;
    if (!fake_take(agent, MESSAGE_SLOT_ASK, &message)) {
        return false;
    }
    struct message_slot_ask ask = message.slot_ask;
    fake_answer_ask(agent, &ask, CKPT_OK, first, count, generation);
    if (ask_out != NULL) {
        *ask_out = ask;
    }
    return true;
}

void fake_outcome(struct fake_agent *agent, uint64_t step, enum ckpt_status status,
                  const char *reason)
{
    struct message message = {.type = MESSAGE_SAVE_OUTCOME};
    message.save_outcome.step = step;
    message.save_outcome.status = status;
    (void)snprintf(message.save_outcome.reason, sizeof(message.save_outcome.reason), "%s", reason);
    fake_send(agent, &message, NULL, 0);
}

struct message fake_loaded(const struct message_load_ask *ask, uint32_t first, uint64_t step,
                           uint64_t bytes)
{
    struct message answer = {.type = MESSAGE_LOADED};
    answer.loaded.load = ask->load;
    answer.loaded.attempt = 2;
    answer.loaded.step = step;
    answer.loaded.rank = ask->rank;
    answer.loaded.world = 4;
    answer.loaded.slot = first;
    answer.loaded.generation = 9;
    answer.loaded.bytes = bytes;
    memset(answer.loaded.digest.bytes, 0xd1, sizeof(answer.loaded.digest.bytes));
    /* Of a collective load it says as little as an agent of before there were kinds. */
    answer.loaded.digest_kind = ask->collective ? DIGEST_KIND_UNKNOWN : DIGEST_KIND_FINGERPRINT;
    answer.loaded.segment_count = (uint32_t)((bytes + FAKE_SEGMENT_BYTES - 1) / FAKE_SEGMENT_BYTES);
    return answer;
}

void fake_send_loaded(struct fake_agent *agent, struct message *answer, uint32_t first,
                      uint32_t count)
{
    int fds[FAKE_SEGMENTS] = {0};
    for (uint32_t i = 0; i < count; i++) {
        char path[64];
        (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", agent->segments[first + i]);
        fds[i] = open(path, O_RDONLY | O_CLOEXEC);
    }
    fake_send(agent, answer, fds, count);
    for (uint32_t i = 0; i < count; i++) {
        close(fds[i]);
    }
}

bool fake_load(struct fake_agent *agent, uint32_t first, uint64_t step, uint64_t bytes,
               struct message_load_ask *ask_out)
{
    struct message message;
    if (!fake_take(agent, MESSAGE_LOAD_ASK, &message)) {
        return false;
    }
    struct message answer = fake_loaded(&message.load_ask, first, step, bytes);
    fake_send_loaded(agent, &answer, first, answer.loaded.segment_count);
    if (ask_out != NULL) {
        *ask_out = message.load_ask;
    }
    return true;
}

int fake_segment(struct fake_agent *agent, uint32_t segment)
{
    return agent->segments[segment];
}

void fake_segment_renew(struct fake_agent *agent, uint32_t segment)
{
    close(agent->segments[segment]);
    agent->segments[segment] = make_segment();
}

void fake_segment_read(struct fake_agent *agent, uint32_t segment, uint64_t offset, void *buffer,
                       uint64_t bytes)
{
    if (pread(agent->segments[segment], buffer, bytes, (off_t)offset) != (ssize_t)bytes) {
        fake_wrong(agent, "a segment could not be read");
    }
}

void fake_segment_write(struct fake_agent *agent, uint32_t segment, uint64_t offset,
                        const void *bytes, uint64_t count)
{
    if (pwrite(agent->segments[segment], bytes, count, (off_t)offset) != (ssize_t)count) {
        fake_wrong(agent, "a segment could not be written");
    }
}

void fake_set_sequence(struct fake_agent *agent, uint64_t sequence)
{
    agent->sequence = sequence;
}

uint32_t open_descriptors(void)
{
    uint32_t count = 0;
    DIR *directory = opendir("/proc/self/fd");
    assert_non_null(directory);
    while (readdir(directory) != NULL) {
        count++;
    }
    closedir(directory);
    return count;
}

uint32_t mapped_segments(void)
{
    char line[512];
    uint32_t count = 0;
    FILE *maps = fopen("/proc/self/maps", "re");
    assert_non_null(maps);
    while (fgets(line, sizeof(line), maps) != NULL) {
        count += strstr(line, "memfd:segment") != NULL;
    }
    (void)fclose(maps);
    return count;
}

void fake_check_untouched(const void *object, size_t bytes, int line)
{
    const uint8_t *byte = object;
    for (size_t i = 0; i < bytes; i++) {
        if (byte[i] != FAKE_PATTERN) {
            fail_msg("line %d: byte %zu of an output was written by a call that failed", line, i);
        }
    }
}
