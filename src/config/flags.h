/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the room: the command line. */
#ifndef CKPT_CONFIG_FLAGS_H
#define CKPT_CONFIG_FLAGS_H

#include "config/settings.h"

/* What the command line says. */
struct flags {
    const char **values; /* one for each key of the table, NULL where not given; owned */
    const char *file;    /* --config; NULL when not given */
    enum config_request request;
    char **operands; /* within argv */
    size_t operand_count;
};

/* Reads the command line; the caller frees flags_out->values on CKPT_OK. --help and --version end
 * it at once. */
enum ckpt_status flags_read(const struct config_program *program, int argc, char **argv,
                            struct flags *flags_out, struct reason reason);

#endif
