/* What the C tests and the fuzz target share: the codec, a plain second opinion on UTF-8, and what a decoder told,
 * put so that it does not depend on how the input was split. */

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../csrc/codec.c"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_ASAN
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(HAS_ASAN)
#include <sanitizer/asan_interface.h>
#define POISON(start, size) ASAN_POISON_MEMORY_REGION(start, size)
#define UNPOISON(start, size) ASAN_UNPOISON_MEMORY_REGION(start, size)
#else
#define POISON(start, size) ((void)0)
#define UNPOISON(start, size) ((void)0)
#endif

#define CHECK(condition, ...)                                                                                          \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: not so: %s: ", __FILE__, __LINE__, #condition);                                    \
            fprintf(stderr, __VA_ARGS__);                                                                              \
            fprintf(stderr, "\n");                                                                                     \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

/* Memory of exactly this size, not cleared, so that tools see a byte too far and a byte never written. */
static inline void *allocate(size_t size)
{
    void *memory = malloc(size ? size : 1);
    if (!memory) abort();
    if (!size) POISON(memory, 1);
    return memory;
}

static inline void discard(void *memory, size_t size)
{
    if (!size) UNPOISON(memory, 1);
    free(memory);
}

static inline uint8_t *copy_of(const uint8_t *data, size_t size)
{
    uint8_t *copy = allocate(size);
    if (size) memcpy(copy, data, size);
    return copy;
}

/* ---- UTF-8, from the table of RFC 3629 section 4 ---- */

typedef struct {
    size_t length;
    uint8_t low[4], high[4];
} utf8_row;

static const utf8_row UTF8_TABLE[] = {
    {1, {0x00}, {0x7F}},
    {2, {0xC2, 0x80}, {0xDF, 0xBF}},
    {3, {0xE0, 0xA0, 0x80}, {0xE0, 0xBF, 0xBF}},
    {3, {0xE1, 0x80, 0x80}, {0xEC, 0xBF, 0xBF}},
    {3, {0xED, 0x80, 0x80}, {0xED, 0x9F, 0xBF}},
    {3, {0xEE, 0x80, 0x80}, {0xEF, 0xBF, 0xBF}},
    {4, {0xF0, 0x90, 0x80, 0x80}, {0xF0, 0xBF, 0xBF, 0xBF}},
    {4, {0xF1, 0x80, 0x80, 0x80}, {0xF3, 0xBF, 0xBF, 0xBF}},
    {4, {0xF4, 0x80, 0x80, 0x80}, {0xF4, 0x8F, 0xBF, 0xBF}},
};

enum { UTF8_WHOLE, UTF8_CUT, UTF8_BAD };

/* Say whether text is whole, could become so, or is bad. */
static inline int judge_utf8(const uint8_t *text, size_t size)
{
    size_t at = 0;
    while (at < size) {
        size_t best = 0, length = 0;
        for (size_t row = 0; row < sizeof UTF8_TABLE / sizeof *UTF8_TABLE; row++) {
            const utf8_row *form = &UTF8_TABLE[row];
            size_t fits = 0;
            while (fits < form->length && at + fits < size && text[at + fits] >= form->low[fits] &&
                   text[at + fits] <= form->high[fits])
                fits++;
            if (fits == form->length || (fits && at + fits == size)) {
                best = fits;
                length = form->length;
            }
        }
        if (!best) return UTF8_BAD;
        if (best < length) return UTF8_CUT;
        at += length;
    }
    return UTF8_WHOLE;
}

/* ---- what a decoder told ---- */

typedef struct {
    size_t start, end; /* of its payload */
    uint8_t first;
    bool whole;
} told_frame;

typedef struct {
    told_frame *frames;
    size_t count, frame_room;
    uint8_t *payload;
    size_t size, payload_room;
    uint8_t fault; /* WSL_DONE if there is none */
} told;

static inline void *grow(void *memory, size_t *room, size_t need, size_t unit)
{
    if (need <= *room) return memory;
    *room = 2 * need;
    memory = realloc(memory, *room * unit);
    if (!memory) abort();
    return memory;
}

static inline void tell_payload(told *all, const uint8_t *payload, size_t size)
{
    all->payload = grow(all->payload, &all->payload_room, all->size + size, 1);
    if (size) memcpy(all->payload + all->size, payload, size);
    all->size += size;
    all->frames[all->count - 1].end = all->size;
}

static inline void tell_begin(told *all, uint8_t first)
{
    all->frames = grow(all->frames, &all->frame_room, all->count + 1, sizeof *all->frames);
    all->frames[all->count++] = (told_frame){.start = all->size, .end = all->size, .first = first};
}

static inline void tell_record(told *all, uint32_t head, const uint8_t *payload, size_t size, bool joins)
{
    uint8_t first = head & 0xFF;
    if (head & WSL_BEGIN) {
        CHECK(!all->count || all->frames[all->count - 1].whole, "a frame begins within another");
        tell_begin(all, first);
    } else {
        CHECK(all->count && !all->frames[all->count - 1].whole, "a piece of no frame");
        told_frame *last = &all->frames[all->count - 1];
        bool same = first == last->first;
        /* What begins within the record of a piece is a continuation, and may bring the FIN. */
        CHECK(same || (joins && !(last->first & CONTROL)), "first byte %02x became %02x", last->first, first);
        last->first |= first & FIN;
    }
    tell_payload(all, payload, size);
    all->frames[all->count - 1].whole = head & WSL_END;
}

/* Join fragments that follow each other directly, as a decoder that coalesces may. */
static inline void join_fragments(told *all)
{
    size_t kept = 0;
    for (size_t at = 0; at < all->count; at++) {
        told_frame *frame = &all->frames[at], *last = kept ? &all->frames[kept - 1] : NULL;
        if (last && last->whole && !(last->first & (FIN | CONTROL)) && !(frame->first & OPCODE)) {
            last->first |= frame->first & FIN;
            last->end = frame->end;
            last->whole = frame->whole;
        } else {
            all->frames[kept++] = *frame;
        }
    }
    all->count = kept;
}

static inline void check_same(const told *one, const told *other)
{
    CHECK(one->fault == other->fault, "faults %d and %d", one->fault, other->fault);
    CHECK(one->count == other->count, "%zu and %zu frames", one->count, other->count);
    for (size_t at = 0; at < one->count; at++) {
        const told_frame *a = &one->frames[at], *b = &other->frames[at];
        size_t size = a->end - a->start;
        CHECK(a->first == b->first && a->whole == b->whole, "frame %zu: %02x and %02x", at, a->first, b->first);
        CHECK(size == b->end - b->start, "frame %zu: %zu and %zu bytes", at, size, b->end - b->start);
        CHECK(!size || !memcmp(one->payload + a->start, other->payload + b->start, size), "frame %zu: payload", at);
    }
}

static inline void forget(told *all)
{
    free(all->frames);
    free(all->payload);
    *all = (told){0};
}

/* ---- a decoder, chunk by chunk ---- */

/* Decode one chunk in one call, and hold the result against the contract. Returns the bytes consumed. */
static inline size_t decode_chunk(wsl_decoder *decoder, const uint8_t *data, size_t size, told *all)
{
    uint8_t *input = copy_of(data, size);
    wsl_scratch *scratch = allocate(sizeof *scratch);
    size_t most = size < WSL_MAX_RECORDS ? size : WSL_MAX_RECORDS, room = size < WSL_CHUNK ? size : WSL_CHUNK;
    POISON(scratch->heads + most, sizeof scratch->heads - 4 * most);
    POISON(scratch->ends + most, sizeof scratch->ends - 4 * most);
    POISON(scratch->payload + room, WSL_CHUNK - room);
    int32_t result = wsl_decode(decoder, input, size, scratch);
    int32_t base = result <= WSL_STOPPED ? WSL_STOPPED : result <= WSL_RUN ? WSL_RUN : WSL_RECORDS;
    size_t count = result < 0 ? (size_t)(base - result) : 1, start = 0;
    CHECK(count <= most, "%zu records of %zu bytes", count, size);
    if (result >= 0) {
        bool binary = result >= WSL_WHOLE_BINARY;
        CHECK(scratch->heads[0] == (uint32_t)(0x380 | (binary ? BINARY : TEXT)), "%x", scratch->heads[0]);
        CHECK((int32_t)scratch->ends[0] == (binary ? result - WSL_WHOLE_BINARY : result), "%d", result);
        CHECK(binary || decoder->rules->report_whole_text, "whole text was not asked for");
        CHECK(!all->count || all->frames[all->count - 1].whole, "a whole message within a frame");
    }
    for (size_t at = 0; at < count; at++) {
        uint32_t head = scratch->heads[at], end = scratch->ends[at];
        if (base == WSL_RUN && at && at < count - 1) CHECK(head == scratch->heads[1], "%x in a run", head);
        CHECK(start <= end && end <= room, "record ends at %u", end);
        tell_record(all, head, scratch->payload + start, end - start, decoder->rules->coalesce);
        start = end;
    }
    all->fault = decoder->status >= WSL_FAULTS ? decoder->status : WSL_DONE;
    size_t consumed = decoder->consumed;
    CHECK((result <= WSL_STOPPED) == (consumed < size || decoder->status), "%d returned", result);
    CHECK(consumed <= room, "%zu of %zu bytes consumed", consumed, room);
    if (decoder->status == WSL_DONE) CHECK(consumed == room, "%zu of %zu bytes consumed", consumed, room);
    if (decoder->status == WSL_RECORDS_FULL) CHECK(count == WSL_MAX_RECORDS, "full with %zu", count);
    UNPOISON(scratch, sizeof *scratch);
    free(scratch);
    discard(input, size);
    return consumed;
}

/* Decode payload of the frame under way. Returns the bytes consumed. */
static inline size_t decode_directly(wsl_decoder *decoder, const uint8_t *data, size_t size, told *all)
{
    uint64_t remaining = wsl_remaining(decoder);
    size_t taken = size < remaining ? size : (size_t)remaining;
    uint8_t *input = copy_of(data, taken), *output = allocate(taken);
    uint8_t status = wsl_decode_payload(decoder, input, taken, output);
    all->fault = status;
    if (!status) {
        tell_payload(all, output, taken);
        all->frames[all->count - 1].whole = taken == remaining;
        CHECK(wsl_remaining(decoder) == remaining - taken, "remaining after %zu bytes", taken);
    }
    discard(input, taken);
    discard(output, taken);
    return taken;
}

/* Decode a chunk to its end or to a fault; `directly`: payload by wsl_decode_payload where it may. */
static inline void decode_all(wsl_decoder *decoder, const uint8_t *data, size_t size, bool directly, told *all)
{
    size_t at = 0;
    while (at < size && !all->fault) {
        bool payload = directly && wsl_remaining(decoder);
        size_t consumed = (payload ? decode_directly : decode_chunk)(decoder, data + at, size - at, all);
        CHECK(consumed || all->fault, "no progress at %zu", at);
        at += consumed;
    }
}

/* Put what was told in the form that no split changes. Of a frame at fault it depends on the split how much was told,
 * and so it does of fragments that it may have been joined with. */
static inline void settle(told *all, const wsl_rules *rules)
{
    if (all->fault && all->count && !all->frames[all->count - 1].whole) all->count--;
    if (rules->coalesce) join_fragments(all);
    while (all->fault && rules->coalesce && all->count && !(all->frames[all->count - 1].first & (FIN | CONTROL)))
        all->count--;
}
