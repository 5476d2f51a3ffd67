/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the simulated cluster, to each other. */
#ifndef CKPT_SIM_HOSTS_H
#define CKPT_SIM_HOSTS_H

#include "sim.h"

/* host.c: what agents and coordinators have in common. Host numbers: nodes, then rulers. */
struct sim_host *host_at(struct sim *sim, uint32_t host);
void host_reset(struct sim *sim, struct sim_host *host);
void host_empty_inbox(struct sim_host *host);
void host_leave(struct sim *sim, struct sim_host *host);
void host_return(struct sim *sim, struct sim_host *host);
/* How long it ran so far: what its machine's clock has counted, whose process was not there. */
uint64_t host_ran_ms(const struct sim *sim, const struct sim_host *host);
void host_take(struct sim *sim, uint32_t host, struct parcel *parcel);
void host_inbox_turn(struct sim *sim, uint32_t host);
void host_wake(struct sim *sim, uint32_t host);
void host_arm_tick(struct sim *sim, uint32_t host, uint64_t deadline_ms, bool again);
/* True when the host died just now, in the middle of what it was doing. */
bool host_crash_point(struct sim *sim, uint32_t host);
void host_crash(struct sim *sim, uint32_t host);

/* net.c: connections and what passes on them. */
uint32_t net_connect(struct sim *sim, struct sim_end from, struct sim_end to);
void net_say_once(struct sim *sim, struct sim_end from, struct sim_end to,
                  const struct message *message, uint64_t delay_ms);
void net_send(struct sim *sim, uint32_t link, uint32_t side, const struct message *message,
              enum agent_attach attach, const struct sim_mapping *attached);
void net_close(struct sim *sim, uint32_t link, uint32_t side);
void net_cut(struct sim *sim, uint32_t link); /* both ends find it closed, at some time */
void net_close_all(struct sim *sim, enum end_type type, uint32_t index);
void net_arrive(struct sim *sim, struct parcel *parcel);
bool net_is_late(struct sim *sim, const struct parcel *parcel);
bool net_end_is_live(struct sim *sim, uint32_t link, uint32_t side);
/* The open link that the host's machine knows by this number; false when there is none. */
bool net_find(struct sim *sim, enum end_type type, uint32_t index, uint32_t number,
              uint32_t *link_out, uint32_t *side_out);
struct parcel *parcel_new(enum parcel_type type);
void parcel_free(struct parcel *parcel);
uint32_t end_host(const struct sim_end *end); /* host number; a rank's is its node's */

/* trace.c */
void trace_message(struct sim *sim, const char *who, uint32_t index, const char *what,
                   uint32_t link, const struct message *message);

/* node.c: the agent's process. */
void node_init(struct sim *sim, uint32_t node);
void node_start(struct sim *sim, uint32_t node);
void node_stop(struct sim *sim, uint32_t node); /* as SIGTERM does */
void node_wipe(struct sim *sim, uint32_t node);
void node_take(struct sim *sim, uint32_t node, struct parcel *parcel);
void node_look_for_coordinator(struct sim *sim, uint32_t node);
void node_died(struct sim *sim, uint32_t node);

/* memory.c */
bool memory_map_slot(struct sim *sim, uint32_t node, uint32_t slot,
                     struct sim_mapping *mapping_out);
void memory_map_segments(struct sim *sim, uint32_t node, uint32_t count, const uint16_t *segments,
                         struct sim_mapping *mapping_out);
/* A process of the user may write there from now on. */
void memory_hand(struct sim *sim, const struct sim_mapping *mapping, uint32_t user);
/* Copies through a mapping; a byte whose file is gone reads as 0 and swallows writes. */
void memory_read(struct sim *sim, const struct sim_mapping *mapping, uint32_t offset,
                 uint32_t bytes, uint8_t *to);
void memory_write(struct sim *sim, const struct sim_mapping *mapping, uint32_t offset,
                  uint32_t bytes, const uint8_t *from);
bool memory_is_mapped(struct sim *sim, const struct sim_mapping *mapping);
/* The slot whose stored record has this segment, or UINT32_MAX. */
uint32_t memory_slot_of_segment(struct sim *sim, uint32_t node, uint32_t segment);
/* The file of a segment or part; NULL: there can be none of this id. */
struct sim_segment *memory_file(struct sim *sim, uint32_t node, uint32_t id);
/* The slot but one whose stored record has bytes in the range, or UINT32_MAX. */
uint32_t memory_slot_within(struct sim *sim, uint32_t node, const struct room_part *range,
                            uint32_t except);
bool memory_is_free(struct sim *sim, uint32_t node, const struct room_part *range);
void memory_tidy(struct sim *sim, uint32_t node);
void memory_store_record(struct sim *sim, uint32_t node, const struct slot_record *record);
void memory_renew(struct sim *sim, uint32_t node, uint32_t id, const struct room_part *part);
void memory_touch(struct sim *sim, uint32_t node, uint32_t slot, const char *why);
bool memory_flip(struct sim *sim, bool owner);
/* Digest, under a key, of the bytes that the slot's record says it has, as they are now. */
bool memory_digest(struct sim *sim, uint32_t node, uint32_t slot, uint64_t key,
                   struct digest *digest_out);
/* The digest of bytes under the key with this id. It ends with the id, and the one that is under
 * DIGEST_KEY_ID_BLAKE3 can be turned into the one under any other. */
/* A value of SIM_VALUE_BYTES for each chunk; and the digest of a shard whose chunks have them. */
void values_of(const uint8_t *bytes, uint32_t count, uint8_t *values_out);
void digest_of_values(const uint8_t *values, uint32_t count, uint64_t key,
                      struct digest *digest_out);
void digest_of(const uint8_t *bytes, uint32_t count, uint64_t key, struct digest *digest_out);
void digest_under(const struct digest *plain, uint64_t key, struct digest *digest_out);
uint64_t digest_key_of(const struct digest *digest);

/* work.c */
void work_start(struct sim *sim, uint32_t node, const struct agent_work *work,
                const struct agent_event *event);
void work_turn(struct sim *sim, uint32_t index);
void work_drop_all(struct sim *sim, uint32_t node);
/* It has ended: its agent hears so. */
void work_finish(struct sim *sim, struct sim_work *work, enum ckpt_status status);

/* tier.c */
void tier_start(struct sim *sim, struct sim_work *work, const struct agent_work *asked);
void tier_turn(struct sim *sim, struct sim_work *work);
void tier_strike(struct sim *sim, enum fault_kind kind);
void tier_mend(struct sim *sim);
/* NULL: it is not there. */
const struct sim_tier_shard *tier_find(const struct sim *sim, const struct shard_key *key);
const struct sim_tier_manifest *tier_manifest(const struct sim *sim, const struct run_key *run,
                                              uint32_t attempt, uint64_t step);

/* ruler.c: the coordinator's process, and the store. */
bool ruler_start(struct sim *sim, uint32_t *ruler_out);
void ruler_take(struct sim *sim, uint32_t ruler, struct parcel *parcel);
void ruler_look_at_store(struct sim *sim, uint32_t ruler);
void ruler_persisted(struct sim *sim, uint32_t ruler);
void ruler_died(struct sim *sim, uint32_t ruler);
bool ruler_pick(struct sim *sim, uint32_t *ruler_out);

/* rank.c and job.c: the trainers. */
void rank_spawn(struct sim *sim, struct sim_job *job, uint32_t rank);
void rank_kill(struct sim *sim, struct sim_job *job, uint32_t rank);
void rank_turn(struct sim *sim, uint32_t index, uint32_t process, uint32_t script);
void rank_take(struct sim *sim, uint32_t index, struct parcel *parcel);
void rank_load(struct sim *sim, struct sim_job *job, uint32_t rank);
void rank_later(struct sim *sim, struct sim_job *job, uint32_t rank, uint64_t in_ms);
void rank_send(struct sim *sim, struct sim_job *job, uint32_t rank, const struct message *message);
void rank_disconnect(struct sim *sim, struct sim_job *job, uint32_t rank);

/* hook.c: what a scheduler says when a launch begins, when it ends, and, while it goes on, by a
 * hook that runs on one of its nodes too early. */
void hooks_begin(struct sim *sim, struct sim_job *job);
void hooks_end(struct sim *sim, struct sim_job *job, bool final);
void hooks_end_early(struct sim *sim, struct sim_job *job);

/* rank_save.c */
void rank_save_ask(struct sim *sim, struct sim_job *job, uint32_t rank);
void rank_save_granted(struct sim *sim, struct sim_job *job, uint32_t rank,
                       const struct parcel *parcel);
void rank_save_fill(struct sim *sim, struct sim_job *job, uint32_t rank);
void rank_save_gathered(struct sim *sim, struct sim_job *job, uint32_t rank,
                        const struct message_gathered *gathered);
void rank_save_tamper(struct sim *sim, struct sim_rank *rank);

/* rank_prepare.c */
void rank_prepare_ask(struct sim *sim, struct sim_job *job, uint32_t rank, uint64_t after);
void rank_prepare_told(struct sim *sim, struct sim_job *job, uint32_t rank,
                       const struct parcel *parcel);
/* The rank's next save has been granted these. */
void rank_prepare_granted(struct sim *sim, struct sim_job *job, uint32_t rank,
                          const struct parcel *parcel);

/* rank_odd.c */
void rank_odd_message(struct sim *sim, struct sim_job *job, uint32_t rank);
void rank_fill_bytes(const struct sim_job *job, uint32_t rank, uint64_t step, uint32_t offset,
                     uint32_t count, uint8_t *to);
void job_init(struct sim *sim, uint32_t run);
void job_start(struct sim *sim, struct sim_job *job);
void job_turn(struct sim *sim, uint32_t run, uint32_t life);
void job_restart(struct sim *sim, struct sim_job *job, uint64_t restart_in_ms);
void job_seated(struct sim *sim, struct sim_job *job, uint32_t attempt);
void job_fail(struct sim *sim, struct sim_job *job, uint64_t restart_in_ms);
void job_node_wiped(struct sim *sim, uint32_t node);
void job_rank_answered(struct sim *sim, struct sim_job *job);

/* nemesis.c */
void nemesis_init(struct sim *sim);
/* who: 0, or the node at which a rolling restart goes on. */
void nemesis_strike(struct sim *sim, enum fault_kind kind, uint32_t who);
void nemesis_heal(struct sim *sim, uint32_t heal);
void nemesis_stop(struct sim *sim);
/* A node's process ends; with its memory, or not. It starts anew after down_ms, 0: drawn. */
void nemesis_fell(struct sim *sim, uint32_t node, bool wipe, uint32_t down_ms);

/* operator.c */
void operator_strike(struct sim *sim, enum fault_kind kind);
void operator_answered(struct sim *sim, const struct message_admin_ask *ask); /* well */

#endif
