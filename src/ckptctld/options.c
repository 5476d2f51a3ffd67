/* SPDX-License-Identifier: Apache-2.0 */
#include "ckptctld/options.h"

#include "ckptctld/admin.h"
#include "ckptctld/doors.h"
#include "ckptctld/logging.h"
#include "ckptctld/machine.h"
#include "ckptctld/parts.h"
#include "ckptctld/records.h"

static struct config_program program = {
    .name = "ckptctld",
    .version = CKPT_VERSION,
    .summary =
        "The coordinator of ckptd: one for a cluster. It decides which checkpoints are "
        "consistent, where copies go, and what a failed job restores. The agents (ckptd) hold "
        "the bytes; training goes on while the coordinator is away, and checkpoints become "
        "consistent when it is back.",
    .details = "SIGTERM and SIGINT end it within two seconds; what was committed is on disk\n"
               "before anyone is told, so it may also be killed. Logs go to standard error,\n"
               "one event a line. Under systemd it says when it is ready (Type=notify).\n",
    .examples = "  ckptctld --listen=10.0.0.1:7471\n"
                "  ckptctld --listen=127.0.0.1:0 --socket=/tmp/c.sock --state-directory=/tmp/c\n"
                "  ckptctld --check-config\n",
    .exit_codes =
        "  0  ended by SIGTERM or SIGINT\n"
        "  1  could not start or go on: address in use, state directory taken, no memory,\n"
        "     records that could not be synced. Start it again\n"
        "  2  the configuration is wrong\n"
        "  3  the records are damaged: look before starting it again\n"
        "  4  another coordinator rules\n",
};

const struct config_program *options_program(void)
{
    static const char *const sections[] = {"coordinator", "tier", "log", NULL};
    static struct config_key keys[PARTS_KEYS_MAX];
    if (program.keys == NULL) {
        program.key_count = parts_keys(ckptctld_parts, sections, keys);
        program.keys = keys;
    }
    return &program;
}

enum ckpt_status options_read(const struct config *config, struct options *options_out,
                              char *reason_out)
{
    if (parts_check(ckptctld_parts, config, reason_out) != CKPT_OK) {
        return CKPT_ERR_CONFIG;
    }
    *options_out = (struct options){
        .listen = part_text(config, &part_doors, DOORS_LISTEN),
        .socket = part_text(config, &part_doors, DOORS_SOCKET),
        .state_directory = part_text(config, &part_records, RECORDS_STATE_DIRECTORY),
        .store = store_backend_by_name(part_text(config, &part_records, RECORDS_STORE)),
        .tcp_admin = (enum tcp_admin)part_number(config, &part_admin, ADMIN_TCP),
        .epoch_above = (uint64_t)part_number(config, &part_records, RECORDS_EPOCH_ABOVE),
        .log_level = (enum log_level)part_number(config, &part_logging, LOGGING_LEVEL),
        .log_format = (enum log_format)part_number(config, &part_logging, LOGGING_FORMAT),
        .machine = machine_config(config),
    };
    const char *cluster = part_text(config, &part_records, RECORDS_CLUSTER);
    if (cluster != NULL) {
        (void)nonce_from_hex(cluster, &options_out->cluster);
    }
    return CKPT_OK;
}
