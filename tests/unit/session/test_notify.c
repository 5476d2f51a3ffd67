/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "session/notify.h"

static int listen_at(const char *name, size_t bytes)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    memcpy(address.sun_path, name, bytes);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + bytes)),
                     0);
    return fd;
}

static void expect_told(int fd)
{
    char text[64] = "";
    assert_int_equal(session_notify("READY=1"), CKPT_OK);
    assert_int_equal(recv(fd, text, sizeof(text) - 1, 0), 7);
    assert_string_equal(text, "READY=1");
    close(fd);
}

static void a_path_is_told(void **state)
{
    (void)state;
    char path[64];
    snprintf(path, sizeof(path), "/tmp/ckpt_notify_%ld", (long)getpid());
    unlink(path);
    int fd = listen_at(path, strlen(path));
    setenv("NOTIFY_SOCKET", path, 1);
    expect_told(fd);
    unlink(path);
    assert_int_equal(session_notify("READY=1"), CKPT_ERR_SYSTEM);
}

static void an_abstract_name_is_told(void **state)
{
    (void)state;
    char name[64];
    snprintf(name, sizeof(name), "@ckpt_notify_%ld", (long)getpid());
    setenv("NOTIFY_SOCKET", name, 1);
    size_t bytes = strlen(name);
    name[0] = '\0';
    expect_told(listen_at(name, bytes));
}

static void without_a_manager_nothing_happens(void **state)
{
    (void)state;
    unsetenv("NOTIFY_SOCKET");
    assert_int_equal(session_notify("READY=1"), CKPT_OK);
    setenv("NOTIFY_SOCKET", "relative", 1);
    assert_int_equal(session_notify("READY=1"), CKPT_ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_path_is_told),
        cmocka_unit_test(an_abstract_name_is_told),
        cmocka_unit_test(without_a_manager_nothing_happens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
