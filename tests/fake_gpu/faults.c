/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "fake_gpu/inside.h"

#define SCRIPT_MAX 256

pthread_mutex_t fake_lock = PTHREAD_MUTEX_INITIALIZER;
struct fake_gpu_counts fake_counts;

static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static char script[SCRIPT_MAX];
static bool is_read, is_sticky;
static unsigned number; /* of the script: a hang of an earlier one ends */
static unsigned calls, copies, copies_out, copies_in;
static unsigned running, pending;

/* With the lock. What a word of the script has behind "=": 0, it is not there; of a word without
 * one, 1. */
static unsigned value_of(const char *word)
{
    size_t length = strlen(word);
    const char *at = script;
    while (at != NULL && *at != '\0') {
        if (strncmp(at, word, length) == 0 &&
            (at[length] == '\0' || at[length] == ',' || at[length] == '=')) {
            return at[length] == '=' ? (unsigned)strtoul(at + length + 1, NULL, 10) : 1;
        }
        at = strchr(at, ',');
        at = at != NULL ? at + 1 : NULL;
    }
    return 0;
}

static void take(const char *text)
{
    strncpy(script, text != NULL ? text : "", SCRIPT_MAX - 1);
    is_read = true;
    is_sticky = false;
    number++;
    calls = copies = copies_out = copies_in = 0;
    fake_counts.copies_out = fake_counts.copies_in = 0;
    fake_counts.batches = fake_counts.batched = fake_counts.kernels = 0;
    pthread_cond_broadcast(&changed);
}

static void lock(void)
{
    pthread_mutex_lock(&fake_lock);
    if (!is_read) {
        take(getenv("FAKE_GPU"));
    }
}

/* What lay on streams when the error came is nobody's any more: it ends without effect first. */
void fake_gpu_script(const char *text)
{
    lock();
    while (is_sticky && pending > 0) {
        pthread_cond_wait(&changed, &fake_lock);
    }
    take(text);
    pthread_mutex_unlock(&fake_lock);
}

struct fake_gpu_counts fake_gpu_counts(void)
{
    lock();
    struct fake_gpu_counts counts = fake_counts;
    pthread_mutex_unlock(&fake_lock);
    return counts;
}

bool fault_named(const char *word)
{
    lock();
    bool is = value_of(word) != 0;
    pthread_mutex_unlock(&fake_lock);
    return is;
}

int fault_of_call(bool needs_context)
{
    lock();
    unsigned limit = value_of("sticky");
    is_sticky = is_sticky || (limit != 0 && ++calls >= limit);
    while (is_sticky && running > 0) {
        pthread_cond_wait(&changed, &fake_lock);
    }
    int error = is_sticky ? DRIVER_ERR_ILLEGAL_ADDRESS : DRIVER_OK;
    pthread_mutex_unlock(&fake_lock);
    if (error == DRIVER_OK && needs_context && current_device() < 0) {
        error = DRIVER_ERR_CONTEXT;
    }
    return error;
}

bool fault_of_copy(bool out)
{
    lock();
    unsigned mine = number;
    unsigned of_way = out ? ++copies_out : ++copies_in;
    bool hangs = ++copies == value_of("hang");
    bool flips =
        value_of(out ? "flip" : "flip_in") == of_way || value_of(out ? "flips" : "flips_in") != 0;
    *(out ? &fake_counts.copies_out : &fake_counts.copies_in) += 1;
    while (hangs && number == mine) {
        pthread_cond_wait(&changed, &fake_lock);
    }
    pthread_mutex_unlock(&fake_lock);
    return flips;
}

void fault_pending(int more)
{
    lock();
    pending += (unsigned)more;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&fake_lock);
}

bool fault_lets_run(void)
{
    lock();
    bool lets = !is_sticky;
    running += lets ? 1 : 0;
    pthread_mutex_unlock(&fake_lock);
    return lets;
}

void fault_ran(bool is_copy)
{
    lock();
    unsigned limit = value_of("sticky_copy");
    is_sticky = is_sticky || (is_copy && limit != 0 && copies >= limit);
    running--;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&fake_lock);
}

bool fault_of_kernel(void)
{
    lock();
    bool fails = ++fake_counts.kernels == value_of("kernel");
    pthread_mutex_unlock(&fake_lock);
    return fails;
}
