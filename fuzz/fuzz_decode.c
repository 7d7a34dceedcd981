/* libFuzzer target for csrc/codec.c: any bytes, any rules, any split.
 *
 * The first bytes of an input choose the rules and the split, the rest is what a peer sends. Whatever that is, its
 * split must not matter, what is encoded must decode to itself, and UTF-8 must be what RFC 3629 says. All buffers have
 * the exact size, so that the sanitizers see a byte too far or a byte never written. */

#include "../tests/c/reference.h"

enum { CHOICES = 8 };

static uint64_t limit(uint8_t choice)
{
    static const uint64_t LIMITS[] = {UINT64_MAX, UINT64_MAX, 0, 1, 5, 125, 126, 1000, 65535, 65536, 1u << 20};
    return LIMITS[choice % (sizeof LIMITS / sizeof *LIMITS)];
}

/* The sizes of the chunks come from a small generator, seeded by the input. */
static size_t next_size(uint32_t *state, size_t most)
{
    *state = *state * 1664525u + 1013904223u;
    uint32_t drawn = *state >> 16;
    size_t size = drawn % 4 == 0 ? 1 : drawn % 4 == 1 ? 1 + drawn % 9 : 1 + drawn % 70000;
    return size < most ? size : most;
}

static told decode(const wsl_rules *rules, const uint8_t *data, size_t size, uint32_t seed, bool directly)
{
    wsl_decoder decoder = {.rules = rules};
    told all = {0};
    for (size_t at = 0; at < size && !all.fault;) {
        size_t chunk = seed ? next_size(&seed, size - at) : size - at;
        decode_all(&decoder, data + at, chunk, directly, &all);
        at += chunk;
    }
    settle(&all, rules);
    return all;
}

/* Text that is told is valid, and limits hold. */
static void check_promises(const wsl_rules *rules, const told *all)
{
    if (rules->coalesce) return;
    for (size_t at = 0; at < all->count; at++) {
        const told_frame *frame = &all->frames[at];
        size_t size = frame->end - frame->start;
        if (frame->first & CONTROL) {
            CHECK(size <= MAX_CONTROL_PAYLOAD && frame->first & FIN, "control frame of %zu", size);
        } else {
            CHECK(size <= rules->max_frame_size, "frame of %zu", size);
        }
        if (size && (frame->first & (FIN | RESERVED | OPCODE)) == (FIN | TEXT)) {
            int verdict = judge_utf8(all->payload + frame->start, size);
            CHECK(verdict == UTF8_WHOLE || (!frame->whole && verdict == UTF8_CUT), "text of %zu", size);
            CHECK(size <= rules->max_message_size, "message of %zu", size);
        }
    }
}

static void check_split(const wsl_rules *rules, const uint8_t *data, size_t size, uint32_t seed)
{
    told whole = decode(rules, data, size, 0, false);
    check_promises(rules, &whole);
    for (int way = 0; way < 3; way++) {
        told split = decode(rules, data, size, way == 0 ? 0 : seed | 1, way != 1);
        check_same(&whole, &split);
        forget(&split);
    }
    forget(&whole);
}

static void check_round_trip(uint8_t first, const uint8_t *key, const uint8_t *data, size_t size)
{
    uint8_t head[14];
    size_t header = wsl_encode_header(head, first, key, size);
    uint8_t *payload = copy_of(data, size), *wire = allocate(header + size);
    CHECK(wsl_encode(wire, first, key, payload, size) == header + size, "frame of %zu", size);
    if (key) {
        wsl_mask_frame(wire);
        CHECK(!size || !memcmp(wire + header, data, size), "unmasking %zu", size);
        wsl_mask_frame(wire);
    }
    wsl_rules rules = {UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, RESERVED, key, false, false};
    told all = decode(&rules, wire, header + size, 0, false);
    if ((first & OPCODE) == TEXT && all.fault) {
        CHECK(all.fault == WSL_INVALID_UTF8 && judge_utf8(data, size) != UTF8_WHOLE, "fault %d", all.fault);
    } else {
        CHECK(!all.fault && all.count == 1 && all.frames[0].whole && all.frames[0].first == first, "%d", all.fault);
        CHECK(all.size == size && (!size || !memcmp(all.payload, data, size)), "payload of %zu", size);
    }
    forget(&all);
    discard(payload, size);
    free(wire);
}

static void check_masking(const uint8_t *key, const uint8_t *data, size_t size, size_t cut, size_t phase)
{
    uint8_t *input = copy_of(data, size), *output = allocate(size - cut);
    wsl_mask(output, input, cut, size, key, phase);
    for (size_t at = 0; at < size - cut; at++)
        CHECK(output[at] == (input[cut + at] ^ key[(phase + at) % 4]), "%zu", at);
    discard(input, size);
    discard(output, size - cut);
}

static void check_text_pieces(const uint8_t *data, size_t size, uint32_t seed)
{
    uint8_t state = 0;
    for (size_t at = 0; at < size;) {
        size_t piece = next_size(&seed, size - at);
        uint8_t *input = copy_of(data + at, piece);
        state = wsl_utf8(state, input, piece);
        discard(input, piece);
        at += piece;
    }
    int actual = state == 0 ? UTF8_WHOLE : state == WSL_UTF8_INVALID ? UTF8_BAD : UTF8_CUT;
    CHECK(actual == judge_utf8(data, size), "state %d", state);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    if (size < CHOICES) return 0;
    const uint8_t *data = input + CHOICES;
    size -= CHOICES;
    wsl_rules rules = {
        .max_frame_size = limit(input[0]),
        .max_message_size = limit(input[1]),
        .max_encoded_size = limit(input[2]),
        .max_fragments = limit(input[3]),
        .reserved_bits = input[4] & RESERVED,
        .masked = input[4] & 1,
        .coalesce = input[4] & 2,
        .report_whole_text = input[4] & 4,
    };
    uint32_t seed;
    memcpy(&seed, input + 4, sizeof seed);
    check_split(&rules, data, size, seed);
    const uint8_t firsts[] = {FIN | TEXT, BINARY, FIN, RESERVED | FIN | BINARY};
    check_round_trip(firsts[input[5] % 4], input[4] & 1 ? input + 4 : NULL, data, size);
    check_masking(input + 4, data, size, size ? input[6] % size : 0, input[7]);
    check_text_pieces(data, size, seed);
    return 0;
}
