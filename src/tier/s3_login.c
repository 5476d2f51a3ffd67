/* SPDX-License-Identifier: Apache-2.0 */
#include "tier/s3_login.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/reason.h"

struct login {
    char key[256];
    char secret[256];
    char token[4096];
};

static const char *environment(const char *name)
{
    const char *value = getenv(name);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

/* Cuts spaces off both ends of a part of a line. */
static char *trim(char *text)
{
    text += strspn(text, " \t");
    for (size_t at = strlen(text); at > 0 && strchr(" \t\r\n", text[at - 1]) != NULL; at--) {
        text[at - 1] = '\0';
    }
    return text;
}

static bool take(char *out, size_t size, const char *value)
{
    return (size_t)snprintf(out, size, "%s", value) < size;
}

/* One line of a section that is ours. False: its value is too long. */
static bool take_line(struct login *login, char *line)
{
    char *equals = strchr(line, '=');
    if (equals == NULL) {
        return true;
    }
    *equals = '\0';
    const char *name = trim(line);
    const char *value = trim(equals + 1);
    if (strcmp(name, "aws_access_key_id") == 0) {
        return take(login->key, sizeof(login->key), value);
    }
    if (strcmp(name, "aws_secret_access_key") == 0) {
        return take(login->secret, sizeof(login->secret), value);
    }
    return strcmp(name, "aws_session_token") != 0 ||
           take(login->token, sizeof(login->token), value);
}

/* inih cuts lines at 200 characters, and tokens are longer. */
static bool read_file(FILE *file, const char *profile, struct login *login)
{
    char section[256];
    char line[8192];
    bool is_ours = false;
    bool fits = true;
    snprintf(section, sizeof(section), "[%s]", profile);
    while (fits && fgets(line, sizeof(line), file) != NULL) {
        char *text = trim(line);
        if (text[0] == '[') {
            is_ours = strcmp(text, section) == 0;
        } else if (is_ours && text[0] != '#' && text[0] != ';') {
            fits = take_line(login, text);
        }
    }
    explicit_bzero(line, sizeof(line));
    return fits;
}

static bool from_file(struct login *login)
{
    char path[PATH_MAX];
    const char *named = environment("AWS_SHARED_CREDENTIALS_FILE");
    const char *home = environment("HOME");
    const char *profile = environment("AWS_PROFILE");
    snprintf(path, sizeof(path), "%s%s",
             named != NULL  ? named
             : home != NULL ? home
                            : "",
             named != NULL ? "" : "/.aws/credentials");
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return true;
    }
    bool fits = read_file(file, profile != NULL ? profile : "default", login);
    (void)fclose(file);
    return fits;
}

static bool find(struct login *login)
{
    const char *key = environment("AWS_ACCESS_KEY_ID");
    const char *secret = environment("AWS_SECRET_ACCESS_KEY");
    const char *token = environment("AWS_SESSION_TOKEN");
    if (key == NULL || secret == NULL) {
        return from_file(login);
    }
    return take(login->key, sizeof(login->key), key) &&
           take(login->secret, sizeof(login->secret), secret) &&
           take(login->token, sizeof(login->token), token != NULL ? token : "");
}

enum ckpt_status s3_login_find(struct s3_server *server, char *reason_out)
{
    struct login login = {0};
    enum ckpt_status status = CKPT_OK;
    if (!find(&login)) {
        status = reason_refuse(reason_out, CKPT_ERR_CONFIG,
                               "a key or token of AWS_... or ~/.aws/credentials is too long");
    } else if (login.key[0] == '\0' || login.secret[0] == '\0') {
        status = reason_refuse(reason_out, CKPT_ERR_DENIED,
                               "no credentials for S3: set AWS_ACCESS_KEY_ID and "
                               "AWS_SECRET_ACCESS_KEY, or write ~/.aws/credentials");
    } else {
        snprintf(server->login, sizeof(server->login), "%s:%s", login.key, login.secret);
        snprintf(server->token, sizeof(server->token), "%s", login.token);
    }
    explicit_bzero(&login, sizeof(login));
    return status;
}
