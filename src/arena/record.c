/* SPDX-License-Identifier: Apache-2.0 */
#include "arena/record.h"

#include <endian.h>
#include <string.h>

#include "base/crc32c.h"

#define RECORD_MAGIC UINT32_C(0x52534b43) /* "CKSR" */
#define FLAG_OWNER 1u
#define FLAG_HAS_DIGEST 2u

/* The numbers are part of the format and are never reused. */
enum stored_state {
    STORED_FREE = 0,    /* claims no segment; keeps the generation */
    STORED_FILLING = 1, /* a trainer writes */
    STORED_SEALED = 2,  /* an owner's bytes are complete */
    STORED_PULLING = 3, /* read from a peer, incomplete */
    STORED_PULLED = 4,  /* a holder's bytes are complete */
    STORED_DIRTY = 5,   /* freed; its segments are to be zeroed before another user's use */
};

/* The bytes of a record; every number is little-endian. */
struct record_image {
    uint32_t magic;
    uint32_t version;
    uint64_t sequence;
    uint64_t generation;
    uint64_t step;
    uint64_t bytes;
    uint32_t slot;
    uint32_t uid;
    uint32_t attempt;
    uint32_t rank;
    uint32_t world;
    uint32_t copies;
    uint32_t segment_count;
    uint8_t state;
    uint8_t flags;
    uint8_t zero_a[2];
    uint8_t digest[CKPT_DIGEST_BYTES];
    char run[CKPT_RUN_NAME_MAX + 1];
    uint16_t segments[CKPT_SEGMENTS_PER_SHARD_MAX];
    uint8_t seat[NONCE_BYTES]; /* this and the next two: from version 2 on */
    uint8_t name[NONCE_BYTES];
    uint32_t insisted;
    uint32_t part_segment; /* this and the next two: from version 3 on */
    uint64_t part_offset;
    uint64_t part_bytes;
    uint64_t digest_key; /* from version 4 on */
    uint8_t zero_b[1748];
    uint32_t crc; /* CRC-32C of all bytes before it */
};

_Static_assert(sizeof(struct record_image) == ARENA_RECORD_BYTES, "one record is one page");
_Static_assert(offsetof(struct record_image, sequence) == 8, "format");
_Static_assert(offsetof(struct record_image, generation) == 16, "format");
_Static_assert(offsetof(struct record_image, step) == 24, "format");
_Static_assert(offsetof(struct record_image, bytes) == 32, "format");
_Static_assert(offsetof(struct record_image, slot) == 40, "format");
_Static_assert(offsetof(struct record_image, uid) == 44, "format");
_Static_assert(offsetof(struct record_image, attempt) == 48, "format");
_Static_assert(offsetof(struct record_image, rank) == 52, "format");
_Static_assert(offsetof(struct record_image, world) == 56, "format");
_Static_assert(offsetof(struct record_image, copies) == 60, "format");
_Static_assert(offsetof(struct record_image, segment_count) == 64, "format");
_Static_assert(offsetof(struct record_image, state) == 68, "format");
_Static_assert(offsetof(struct record_image, flags) == 69, "format");
_Static_assert(offsetof(struct record_image, digest) == 72, "format");
_Static_assert(offsetof(struct record_image, run) == 104, "format");
_Static_assert(offsetof(struct record_image, segments) == 232, "format");
_Static_assert(offsetof(struct record_image, seat) == 2280, "format");
_Static_assert(offsetof(struct record_image, name) == 2296, "format");
_Static_assert(offsetof(struct record_image, insisted) == 2312, "format");
_Static_assert(offsetof(struct record_image, part_segment) == 2316, "format");
_Static_assert(offsetof(struct record_image, part_offset) == 2320, "format");
_Static_assert(offsetof(struct record_image, part_bytes) == 2328, "format");
_Static_assert(offsetof(struct record_image, digest_key) == 2336, "format");
_Static_assert(offsetof(struct record_image, zero_b) == 2344, "format");
_Static_assert(offsetof(struct record_image, crc) == 4092, "format");

static bool is_zero(const void *bytes, size_t n)
{
    const uint8_t *b = bytes;
    uint8_t all = 0;
    for (size_t i = 0; i < n; i++) {
        all |= b[i];
    }
    return all == 0;
}

static enum stored_state to_stored(const struct slot_record *record)
{
    switch (record->state) {
    case SLOT_FREE:
        return STORED_FREE;
    case SLOT_FILLING:
        return STORED_FILLING;
    case SLOT_SEALED:
        return STORED_SEALED;
    case SLOT_PULLING:
        return STORED_PULLING;
    case SLOT_ADOPTED:
    case SLOT_VERIFIED:
        return record->cached ? STORED_PULLING : record->owner ? STORED_SEALED : STORED_PULLED;
    case SLOT_DIRTY:
        break;
    }
    return STORED_DIRTY;
}

static enum slot_state from_stored(enum stored_state state, bool has_digest)
{
    switch (state) {
    case STORED_FREE:
        return SLOT_FREE;
    case STORED_FILLING:
        return SLOT_FILLING;
    case STORED_SEALED:
        return has_digest ? SLOT_VERIFIED : SLOT_SEALED;
    case STORED_PULLING:
        return SLOT_PULLING;
    case STORED_PULLED:
        return SLOT_VERIFIED;
    case STORED_DIRTY:
        break;
    }
    return SLOT_DIRTY;
}

static bool is_name_character(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '/' || c == '-';
}

/* The length of a name that ends within its field and is of the characters that names have. */
static bool measure_name(const char run[CKPT_RUN_NAME_MAX + 1], size_t *length_out)
{
    size_t length = 0;
    while (length <= CKPT_RUN_NAME_MAX && run[length] != '\0') {
        if (!is_name_character(run[length])) {
            return false;
        }
        length++;
    }
    if (length > CKPT_RUN_NAME_MAX) {
        return false;
    }
    *length_out = length;
    return true;
}

static bool are_distinct_segments(const uint16_t *segments, uint32_t count)
{
    uint64_t seen[CKPT_ARENA_SEGMENTS_MAX / 64] = {0};
    for (uint32_t i = 0; i < count; i++) {
        if (segments[i] >= CKPT_ARENA_SEGMENTS_MAX) {
            return false;
        }
        uint64_t bit = UINT64_C(1) << (segments[i] % 64);
        if ((seen[segments[i] / 64] & bit) != 0) {
            return false;
        }
        seen[segments[i] / 64] |= bit;
    }
    return true;
}

/* Of a part, or of none. How large a segment and a page are is the arena's to know. */
static bool has_sound_part(const struct slot_record *record)
{
    const struct room_part *part = &record->part;
    if (part->bytes == 0) {
        return part->segment == 0 && part->offset == 0;
    }
    return record->segment_count == 1 && record->segments[0] >= CKPT_PART_ID_FIRST &&
           record->segments[0] < CKPT_ARENA_IDS_MAX && part->segment < CKPT_ARENA_SEGMENTS_MAX &&
           (part->bytes & (part->bytes - 1)) == 0 && part->offset % part->bytes == 0 &&
           part->offset < CKPT_SEGMENT_BYTES_LARGEST && part->bytes < CKPT_SEGMENT_BYTES_LARGEST;
}

/* What holds for every record, whether about to be written or just read. */
static bool is_sound(const struct slot_record *record)
{
    size_t name_length;
    if ((unsigned)record->state > SLOT_DIRTY || record->copies > CKPT_COPIES_MAX ||
        record->shard.rank >= CKPT_WORLD_MAX || record->world > CKPT_WORLD_MAX ||
        record->segment_count > CKPT_SEGMENTS_PER_SHARD_MAX ||
        record->slot >= CKPT_ARENA_SEGMENTS_MAX ||
        !measure_name(record->shard.run.name, &name_length)) {
        return false;
    }
    if (record->state == SLOT_FREE && record->segment_count != 0) {
        return false;
    }
    return has_sound_part(record) &&
           (record->part.bytes > 0 ||
            are_distinct_segments(record->segments, record->segment_count));
}

enum ckpt_status arena_record_encode(const struct slot_record *record, uint64_t sequence,
                                     uint8_t bytes_out[ARENA_RECORD_BYTES])
{
    if (!is_sound(record)) {
        return CKPT_ERR_INVALID;
    }
    struct record_image image;
    memset(&image, 0, sizeof image);
    image.magic = htole32(RECORD_MAGIC);
    image.version = htole32(ARENA_RECORD_VERSION);
    image.sequence = htole64(sequence);
    image.generation = htole64(record->generation);
    image.step = htole64(record->shard.step);
    image.bytes = htole64(record->bytes);
    image.slot = htole32(record->slot);
    image.uid = htole32(record->shard.run.uid);
    image.attempt = htole32(record->shard.attempt);
    memcpy(image.seat, record->seat.bytes, sizeof image.seat);
    memcpy(image.name, record->name.bytes, sizeof image.name);
    image.insisted = htole32(record->insisted);
    image.part_segment = htole32(record->part.segment);
    image.part_offset = htole64(record->part.offset);
    image.part_bytes = htole64(record->part.bytes);
    image.rank = htole32(record->shard.rank);
    image.world = htole32(record->world);
    image.copies = htole32(record->copies);
    image.segment_count = htole32(record->segment_count);
    image.state = (uint8_t)to_stored(record);
    image.flags =
        (uint8_t)((record->owner ? FLAG_OWNER : 0u) | (record->has_digest ? FLAG_HAS_DIGEST : 0u));
    if (record->has_digest) {
        memcpy(image.digest, record->digest.bytes, sizeof image.digest);
        image.digest_key = htole64(record->digest_key);
    }
    size_t length = 0;
    (void)measure_name(record->shard.run.name, &length);
    memcpy(image.run, record->shard.run.name, length);
    for (uint32_t i = 0; i < record->segment_count; i++) {
        image.segments[i] = htole16(record->segments[i]);
    }
    image.crc = htole32(crc32c(0, &image, offsetof(struct record_image, crc)));
    memcpy(bytes_out, &image, sizeof image);
    return CKPT_OK;
}

/* Bytes that the format wants zero, so that one record has one form. */
static bool has_zero_padding(const struct record_image *image, const struct slot_record *record)
{
    size_t name_length = strnlen(record->shard.run.name, sizeof record->shard.run.name);
    size_t tail = (CKPT_SEGMENTS_PER_SHARD_MAX - record->segment_count) * sizeof(uint16_t);
    return is_zero(image->zero_a, sizeof image->zero_a) &&
           is_zero(image->zero_b, sizeof image->zero_b) &&
           (record->has_digest ||
            (is_zero(image->digest, sizeof image->digest) && image->digest_key == 0)) &&
           is_zero(image->run + name_length, sizeof image->run - name_length) &&
           is_zero(image->segments + record->segment_count, tail);
}

/* What a version does not have is zero in it. */
static bool has_fields_of_version(const uint8_t *bytes, uint32_t version)
{
    static const size_t ends[ARENA_RECORD_VERSION] = {
        offsetof(struct record_image, seat), offsetof(struct record_image, part_segment),
        offsetof(struct record_image, digest_key), offsetof(struct record_image, zero_b)};
    size_t end = ends[version - 1];
    return is_zero(bytes + end, offsetof(struct record_image, crc) - end);
}

enum ckpt_status arena_record_decode(const uint8_t *bytes, size_t n, struct slot_record *record_out,
                                     uint64_t *sequence_out)
{
    struct record_image image;
    if (n != sizeof image) {
        return CKPT_ERR_CORRUPT;
    }
    if (is_zero(bytes, n)) {
        return CKPT_ERR_NOT_FOUND;
    }
    memcpy(&image, bytes, sizeof image);
    if (le32toh(image.crc) != crc32c(0, &image, offsetof(struct record_image, crc)) ||
        le32toh(image.magic) != RECORD_MAGIC) {
        return CKPT_ERR_CORRUPT;
    }
    if (le32toh(image.version) < 1 || le32toh(image.version) > ARENA_RECORD_VERSION) {
        return CKPT_ERR_VERSION;
    }
    if (!has_fields_of_version(bytes, le32toh(image.version))) {
        return CKPT_ERR_CORRUPT;
    }
    struct slot_record record;
    memset(&record, 0, sizeof record);
    record.slot = le32toh(image.slot);
    record.generation = le64toh(image.generation);
    record.shard.run.uid = le32toh(image.uid);
    memcpy(record.shard.run.name, image.run, sizeof record.shard.run.name);
    record.shard.attempt = le32toh(image.attempt);
    memcpy(record.seat.bytes, image.seat, sizeof image.seat);
    memcpy(record.name.bytes, image.name, sizeof image.name);
    record.insisted = le32toh(image.insisted);
    record.shard.step = le64toh(image.step);
    record.shard.rank = le32toh(image.rank);
    record.world = le32toh(image.world);
    record.copies = le32toh(image.copies);
    record.bytes = le64toh(image.bytes);
    record.owner = (image.flags & FLAG_OWNER) != 0;
    record.has_digest = (image.flags & FLAG_HAS_DIGEST) != 0;
    record.state = from_stored((enum stored_state)image.state, record.has_digest);
    memcpy(record.digest.bytes, image.digest, sizeof record.digest.bytes);
    record.digest_key = le64toh(image.digest_key);
    record.part = (struct room_part){.segment = le32toh(image.part_segment),
                                     .offset = le64toh(image.part_offset),
                                     .bytes = le64toh(image.part_bytes)};
    record.segment_count = le32toh(image.segment_count);
    if (record.segment_count > CKPT_SEGMENTS_PER_SHARD_MAX ||
        (image.flags & ~(FLAG_OWNER | FLAG_HAS_DIGEST)) != 0) {
        return CKPT_ERR_CORRUPT;
    }
    for (uint32_t i = 0; i < record.segment_count; i++) {
        record.segments[i] = le16toh(image.segments[i]);
    }
    if (to_stored(&record) != image.state || !is_sound(&record) ||
        !has_zero_padding(&image, &record)) {
        return CKPT_ERR_CORRUPT;
    }
    *record_out = record;
    if (sequence_out != NULL) {
        *sequence_out = le64toh(image.sequence);
    }
    return CKPT_OK;
}
