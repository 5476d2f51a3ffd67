/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ids.h"

#include <string.h>

#include "base/bytes.h"

bool incarnation_equal(const struct incarnation *a, const struct incarnation *b)
{
    return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

bool incarnation_is_zero(const struct incarnation *incarnation)
{
    static const struct incarnation zero;
    return incarnation_equal(incarnation, &zero);
}

void incarnation_hex(const struct incarnation *incarnation, char hex_out[INCARNATION_HEX_SIZE])
{
    hex_encode(incarnation->bytes, sizeof(incarnation->bytes), hex_out);
}

bool nonce_equal(const struct nonce *a, const struct nonce *b)
{
    return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

bool nonce_is_zero(const struct nonce *nonce)
{
    static const struct nonce zero;
    return nonce_equal(nonce, &zero);
}

void nonce_hex(const struct nonce *nonce, char hex_out[NONCE_HEX_SIZE])
{
    hex_encode(nonce->bytes, sizeof(nonce->bytes), hex_out);
}

static int digit_of(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool nonce_from_hex(const char *hex, struct nonce *nonce_out)
{
    struct nonce nonce;
    for (size_t i = 0; i < NONCE_BYTES; i++) {
        int high = digit_of(hex[2 * i]);
        int low = high < 0 ? -1 : digit_of(hex[2 * i + 1]);
        if (low < 0) {
            return false;
        }
        nonce.bytes[i] = (uint8_t)(high << 4 | low);
    }
    if (hex[(size_t)2 * NONCE_BYTES] != '\0' || nonce_is_zero(&nonce)) {
        return false;
    }
    *nonce_out = nonce;
    return true;
}

static bool character_is_valid(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

/* A path component that a file system would give a meaning of its own, or none. */
static bool component_is_valid(const char *component, size_t length)
{
    if (length == 0) {
        return false;
    }
    if (component[0] != '.') {
        return true;
    }
    return length > 2 || (length == 2 && component[1] != '.');
}

bool name_is_valid(const char *name, size_t name_max)
{
    size_t start = 0;
    for (size_t i = 0; i <= name_max; i++) {
        if (name[i] == '\0') {
            return component_is_valid(name + start, i - start);
        }
        if (name[i] == '/') {
            if (!component_is_valid(name + start, i - start)) {
                return false;
            }
            start = i + 1;
        } else if (!character_is_valid(name[i])) {
            return false;
        }
    }
    return false;
}
