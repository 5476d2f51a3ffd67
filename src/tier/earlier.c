/* SPDX-License-Identifier: Apache-2.0 */
#include "tier/earlier.h"

#include "tier/name.h"

struct search {
    const struct shard_key *key;
    struct tier_checkpoint_key found;
    bool is_found;
};

static bool keep_newest(void *context, const char *name, enum tier_thing thing, uint64_t bytes)
{
    struct search *search = context;
    struct tier_checkpoint_key at = {.run = search->key->run};
    (void)bytes;
    if (thing == TIER_FOLDER && tier_name_read_checkpoint(name, &at) &&
        at.step < search->key->step && (!search->is_found || at.step > search->found.step)) {
        search->found = at;
        search->is_found = true;
    }
    return true;
}

bool earlier_link(struct tier *tier, const struct shard_key *key,
                  const struct tier_shard_source *source, struct tier_shard *shard)
{
    const struct tier_backend *backend = tier->medium->backend;
    struct search search = {.key = key};
    struct tier_name run;
    struct tier_name from;
    struct tier_name to;
    struct tier_shard earlier;
    if (source->committed == NULL || !tier_name_run(&key->run, &run) ||
        backend->list(tier->medium, run.text, keep_newest, &search, NULL) != CKPT_OK ||
        !search.is_found) {
        return false;
    }
    struct shard_key of = *key;
    of.step = search.found.step;
    of.attempt = search.found.attempt;
    if (tier_look_shard(tier, &of, &earlier, NULL) != CKPT_OK || !earlier.is_proven ||
        earlier.bytes != source->bytes || earlier.proof_id != digest_key_id(&source->key) ||
        !digest_equal(&earlier.proof, source->committed)) {
        return false;
    }
    struct tier_checkpoint_key into = {.run = key->run, .attempt = key->attempt, .step = key->step};
    struct tier_name file = tier_name_shard(key->rank, earlier.encoding);
    if (!tier_name_checkpoint(&search.found, &from) || !tier_name_checkpoint(&into, &to)) {
        return false;
    }
    from = tier_name_in(&from, file.text);
    to = tier_name_in(&to, file.text);
    if (backend->link(tier->medium, from.text, to.text, NULL) != CKPT_OK) {
        return false;
    }
    *shard = earlier;
    return true;
}
