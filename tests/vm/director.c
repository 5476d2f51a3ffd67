/* SPDX-License-Identifier: Apache-2.0 */
/* The first machine: sources, each a process, and the director that starts them and does to them
 * what the second machine orders. */
#include "vm/machines.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct source {
    pid_t process;
    int socket;
};

/* 'd' deregisters, 'r' revokes and then changes the bytes. */
static bool obey(char byte, struct transport_region *region)
{
    uint8_t *memory = region->address;

    if (byte == 'd') {
        if (transport_deregister(region) != CKPT_OK) {
            return false;
        }
        munmap(memory, REGION_BYTES);
    } else {
        transport_revoke(region, 2);
        memset(memory, 0, REGION_BYTES);
    }
    return true;
}

int serve(void)
{
    struct transport_region *region;
    struct transport *t;
    struct transport_completion done;
    struct source_card card = {0};
    char byte;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    t = open_one("verbs", &region, true);
    transport_export(region, card.descriptor, &card.descriptor_bytes);
    transport_address(t, card.address, &card.address_bytes);
    if (write(3, &card, sizeof(card)) != (ssize_t)sizeof(card)) {
        return 1;
    }
    for (;;) {
        struct pollfd fds[2] = {{.fd = transport_event_fd(t), .events = POLLIN},
                                {.fd = 3, .events = POLLIN}};
        bool idle = transport_progress(t, &done, 1) == 0 && transport_arm(t);
        poll(fds, 2, idle ? -1 : 0);
        if (fds[1].revents == 0) {
            continue;
        }
        if (read(3, &byte, 1) != 1) {
            break;
        }
        if (!obey(byte, region) || write(3, "", 1) != 1) {
            return 1;
        }
    }
    transport_close(t, NULL, NULL);
    return 0;
}

static struct source start_source(struct source_card *card_out)
{
    int pair[2];
    pid_t child;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
        abort();
    }
    child = fork();
    if (child == 0) {
        if (dup2(pair[1], 3) == 3) {
            execl("/proc/self/exe", "source", "serve", (char *)NULL);
        }
        _exit(127);
    }
    close(pair[1]);
    if (read(pair[0], card_out, sizeof(*card_out)) != (ssize_t)sizeof(*card_out)) {
        abort();
    }
    return (struct source){.process = child, .socket = pair[0]};
}

static void end_source(const struct source *source)
{
    kill(source->process, SIGKILL);
    waitpid(source->process, NULL, 0);
    close(source->socket);
}

static void carry_out(const char *order, struct source_card *card_out)
{
    static struct source source, other;

    if (strcmp(order, "start") == 0) {
        source = start_source(card_out);
    } else if (strcmp(order, "start other") == 0) {
        other = start_source(card_out);
    } else if (strcmp(order, "kill") == 0) {
        end_source(&source);
    } else if (strcmp(order, "kill other") == 0) {
        end_source(&other);
    } else if (strcmp(order, "stop") == 0) {
        kill(source.process, SIGSTOP);
    } else if (strcmp(order, "continue") == 0) {
        kill(source.process, SIGCONT);
    } else if (strcmp(order, "deregister") == 0 || strcmp(order, "revoke") == 0) {
        char byte = order[0];
        if (write(source.socket, &byte, 1) != 1 || read(source.socket, &byte, 1) != 1) {
            abort();
        }
    } else if (strncmp(order, "down ", 5) == 0) {
        set_link(order + 5, false);
    } else if (strncmp(order, "up ", 3) == 0) {
        set_link(order + 3, true);
    } else if (system(order) != 0) {
        abort();
    }
}

int direct(void)
{
    for (unsigned number = 1;; number++) {
        struct source_card card = {0};
        char order[128];
        size_t count = 0;

        while (!get("order", number, order, sizeof(order) - 1, &count)) {
            nap();
        }
        order[count] = '\0';
        if (strcmp(order, "end") == 0) {
            return 0;
        }
        carry_out(order, &card);
        put("answer", number, &card, sizeof(card));
    }
}
