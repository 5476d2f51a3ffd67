/* SPDX-License-Identifier: Apache-2.0 */
/* ckptctl: command line to verb. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "config/config.h"
#include "ckptctl/ctl.h"
#include "ckptctl/link.h"
#include "ckptctl/options.h"
#include "ckptctl/progress.h"
#include "ckptctl/verbs.h"
#include "ckptctl/watch.h"

static enum exit_code run(const struct verb *verb, const struct options *options,
                          const struct config *config)
{
    struct ctl ctl = {.link = NULL};
    ctl.operands = config_operands(config, &ctl.operand_count);
    if (!verb) {
        return complain(EXIT_USAGE, "no verb; ckptctl --help lists them");
    }
    ctl.operands++;
    ctl.operand_count--;
    if (ctl.operand_count < verb->operands_min || ctl.operand_count > verb->operands_max) {
        return complain(EXIT_USAGE, "%s %s; usage: ckptctl %s%s%s", verb->name,
                        ctl.operand_count < verb->operands_min ? "needs more" : "takes fewer",
                        verb->name, verb->operands[0] ? " " : "", verb->operands);
    }
    if (!options_read(options, config, &ctl)) {
        return EXIT_USAGE;
    }
    uint32_t watch_seconds = options_watch(options, config);
    enum exit_code code = watch_seconds > 0 ? watch(verb, &ctl, watch_seconds) : verb->run(&ctl);
    progress_clear();
    link_close(&ctl);
    if (fflush(stdout) != 0 && code == EXIT_DONE) {
        code = complain(EXIT_NO, "cannot write the output: %s", strerror(errno));
    }
    return code;
}

/* The verb of the command line, or NULL where it has none. */
static enum exit_code choose(int argc, char **argv, const struct verb **verb_out)
{
    const char *name = config_first_operand(&options_of_all()->program, argc, argv);
    *verb_out = name ? verb_find(name) : NULL;
    if (!name) {
        return EXIT_DONE;
    }
    return *verb_out ? options_check(*verb_out, argc, argv) : verb_refuse(name);
}

static void tell_stranger(void *context, const char *line)
{
    (void)context;
    fprintf(stderr, "ckptctl: %s\n", line);
}

int main(int argc, char **argv)
{
    const struct verb *verb;
    struct config *config = NULL;
    enum config_request request;
    char reason[CKPT_REASON_MAX + 1];
    enum exit_code code = choose(argc, argv, &verb);
    if (code != EXIT_DONE) {
        return (int)code;
    }
    const struct options *options = options_of(verb);
    if (config_load(&options->program, argc, argv, environ, &config, &request, reason,
                    sizeof(reason)) != CKPT_OK) {
        return (int)complain(EXIT_USAGE, "%s", reason);
    }
    /* The hooks run in whatever environment a job has; nobody reads there what they say of it. */
    if (config && verb != &verb_slurm) {
        config_tell_strangers(config, environ, tell_stranger, NULL);
    }
    if (request == CONFIG_HELP) {
        options_print_help(verb, stdout);
    } else if (request == CONFIG_BASH || request == CONFIG_ZSH) {
        options_print_completions(request, stdout);
    } else if (request == CONFIG_CHECK && options_check_values(config) != EXIT_DONE) {
        code = EXIT_USAGE;
    } else if (!config_answer(&options->program, config, request, stdout)) {
        code = run(verb, options, config);
    }
    config_delete(&config);
    return (int)code;
}
