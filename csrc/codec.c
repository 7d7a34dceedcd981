/* RFC 6455 section 5 on plain buffers; codec.h is the contract.
 *
 * A frame's checks stand in the order in which its bytes arrive, so that a fault is found at the earliest byte and
 * the same fault is found however the input was split. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "codec.h"

enum { FIN = 0x80, RESERVED = 0x70, OPCODE = 0x0F, CONTROL = 0x08, MASKED = 0x80, LENGTH = 0x7F };
enum { CONTINUATION = 0, TEXT = 1, BINARY = 2, CLOSE = 8, PONG = 10 };
enum { LENGTH_16 = 126, LENGTH_64 = 127, KEY_SIZE = 4, MAX_CONTROL_PAYLOAD = 125 };

/* ---- UTF-8 ---- */

/* A state machine in shifts: a state is a bit offset, a byte's row holds the next state at that offset. The only
 * dependency from byte to byte is one shift. In every row INVALID leads to INVALID. */
enum {
    VALID = 0,
    INVALID = WSL_UTF8_INVALID,
    TAIL_1 = 12, /* one more continuation byte */
    TAIL_2 = 18,
    TAIL_3 = 24,
    AFTER_E0 = 30, /* no overlong forms */
    AFTER_ED = 36, /* no surrogates */
    AFTER_F0 = 42, /* no overlong forms */
    AFTER_F4 = 48  /* nothing above U+10FFFF */
};

#define GO(from, to) ((uint64_t)((to) ^ INVALID) << (from))
#define ILLEGAL                                                                                                        \
    (GO(VALID, 0) | GO(INVALID, 0) | GO(TAIL_1, 0) | GO(TAIL_2, 0) | GO(TAIL_3, 0) | GO(AFTER_E0, 0) |                 \
     GO(AFTER_ED, 0) | GO(AFTER_F0, 0) | GO(AFTER_F4, 0))
#define LEAD(to) (ILLEGAL ^ GO(VALID, to))
#define TAIL (ILLEGAL ^ GO(TAIL_1, VALID) ^ GO(TAIL_2, TAIL_1) ^ GO(TAIL_3, TAIL_2))
#define TAIL_80_8F (TAIL ^ GO(AFTER_ED, TAIL_1) ^ GO(AFTER_F4, TAIL_2))
#define TAIL_90_9F (TAIL ^ GO(AFTER_ED, TAIL_1) ^ GO(AFTER_F0, TAIL_2))
#define TAIL_A0_BF (TAIL ^ GO(AFTER_E0, TAIL_1) ^ GO(AFTER_F0, TAIL_2))

#define TIMES_2(row) row, row
#define TIMES_4(row) TIMES_2(row), TIMES_2(row)
#define TIMES_8(row) TIMES_4(row), TIMES_4(row)
#define TIMES_16(row) TIMES_8(row), TIMES_8(row)
#define TIMES_64(row) TIMES_16(row), TIMES_16(row), TIMES_16(row), TIMES_16(row)

/* RFC 3629 section 4. */
/* clang-format off */
static const uint64_t utf8_rows[256] = {
    TIMES_64(LEAD(VALID)), TIMES_64(LEAD(VALID)),                                 /* 00 to 7F */
    TIMES_16(TAIL_80_8F), TIMES_16(TAIL_90_9F),                                   /* 80 to 9F */
    TIMES_16(TAIL_A0_BF), TIMES_16(TAIL_A0_BF),                                   /* A0 to BF */
    ILLEGAL, ILLEGAL,                                                             /* C0, C1: overlong */
    TIMES_2(LEAD(TAIL_1)), TIMES_4(LEAD(TAIL_1)),                                 /* C2 to C7 */
    TIMES_8(LEAD(TAIL_1)), TIMES_16(LEAD(TAIL_1)),                                /* C8 to DF */
    LEAD(AFTER_E0), TIMES_8(LEAD(TAIL_2)), TIMES_4(LEAD(TAIL_2)),                 /* E0 to EC */
    LEAD(AFTER_ED), TIMES_2(LEAD(TAIL_2)),                                        /* ED to EF */
    LEAD(AFTER_F0), TIMES_2(LEAD(TAIL_3)), LEAD(TAIL_3), LEAD(AFTER_F4),          /* F0 to F4 */
    ILLEGAL, TIMES_2(ILLEGAL), TIMES_8(ILLEGAL),                                  /* F5 to FF */
};
/* clang-format on */

/* Whether input[0:BLOCK] is ASCII. With blocks of 256 bytes the compiler's vectors test 64 KiB of it in 0.6 us, with
 * blocks of 32 in 1.6. */
enum { BLOCK = 256, STRETCH = 64 };

static bool is_ascii_block(const uint8_t *input)
{
    uint64_t all = 0;
    for (size_t at = 0; at < BLOCK; at += sizeof all) {
        uint64_t word;
        memcpy(&word, input + at, sizeof word);
        all |= word;
    }
    return !(all & 0x8080808080808080u);
}

static bool is_ascii_word(const uint8_t *input)
{
    uint64_t word;
    memcpy(&word, input, sizeof word);
    return !(word & 0x8080808080808080u);
}

uint8_t wsl_utf8(uint8_t state, const uint8_t *input, size_t size)
{
    enum { WORD = 8 };
    uint64_t now = state;
    size_t at = 0;
    while (at < size) {
        if (now == VALID && size - at >= WORD) {
            while (size - at >= BLOCK && is_ascii_block(input + at)) at += BLOCK;
            while (size - at >= WORD && is_ascii_word(input + at)) at += WORD;
        }
        size_t end = size - at < STRETCH ? size : at + STRETCH;
        for (; at < end; at++) now = utf8_rows[input[at]] >> (now & 63);
        now &= 63;
    }
    return (uint8_t)now;
}

/* ---- masking ---- */

/* Where the C library can choose a function when it loads the module, masking has a second form with wider vectors:
 * 64 KiB cost 1.18 of memcpy with AVX2, 1.77 without, on a processor that has it. */
#if defined(__x86_64__) && defined(__gnu_linux__) && defined(__GNUC__) && !defined(__clang__) &&                       \
    !defined(__SANITIZE_ADDRESS__)
#define WIDEST_VECTORS __attribute__((target_clones("avx2", "default")))
#else
#define WIDEST_VECTORS
#endif

/* Both `output` and `input` any alignment. Key bytes stay in memory order, so that byte order does not matter.
 * The loop over words is what the compiler vectorises. Returns the bits that any byte of the output has; inlined, it
 * costs nothing to who doesn't use them, and else 60 % more. */
static inline uint64_t mask_words(uint8_t *restrict output, const uint8_t *restrict input, size_t size, uint32_t key)
{
    uint32_t twice[2] = {key, key};
    uint8_t bytes[KEY_SIZE];
    uint64_t wide, all = 0;
    memcpy(&wide, twice, sizeof wide);
    memcpy(bytes, &key, sizeof key);
    size_t at = 0;
    for (; size - at >= sizeof wide; at += sizeof wide) {
        uint64_t word;
        memcpy(&word, input + at, sizeof word);
        word ^= wide;
        all |= word;
        memcpy(output + at, &word, sizeof word);
    }
    for (; at < size; at++) all |= output[at] = input[at] ^ bytes[at % KEY_SIZE];
    return all;
}

WIDEST_VECTORS
static void mask_bytes(uint8_t *restrict output, const uint8_t *restrict input, size_t size, uint32_t key)
{
    (void)mask_words(output, input, size, key);
}

/* Returns whether the output is ASCII, which saves text a second pass. */
WIDEST_VECTORS
static bool mask_text(uint8_t *restrict output, const uint8_t *restrict input, size_t size, uint32_t key)
{
    return !(mask_words(output, input, size, key) & 0x8080808080808080u);
}

/* The same where they are: `restrict` rules out that input is output. */
static inline uint64_t mask_words_in_place(uint8_t *bytes, size_t size, uint32_t key)
{
    uint32_t twice[2] = {key, key};
    uint8_t key_bytes[KEY_SIZE];
    uint64_t wide, all = 0;
    memcpy(&wide, twice, sizeof wide);
    memcpy(key_bytes, &key, sizeof key);
    size_t at = 0;
    for (; size - at >= sizeof wide; at += sizeof wide) {
        uint64_t word;
        memcpy(&word, bytes + at, sizeof word);
        word ^= wide;
        all |= word;
        memcpy(bytes + at, &word, sizeof word);
    }
    for (; at < size; at++) all |= bytes[at] ^= key_bytes[at % KEY_SIZE];
    return all;
}

WIDEST_VECTORS
static void mask_bytes_in_place(uint8_t *bytes, size_t size, uint32_t key)
{
    (void)mask_words_in_place(bytes, size, key);
}

WIDEST_VECTORS
static bool mask_text_in_place(uint8_t *bytes, size_t size, uint32_t key)
{
    return !(mask_words_in_place(bytes, size, key) & 0x8080808080808080u);
}

/* The key with which masking goes on after `phase` bytes. */
static uint32_t rotate(const uint8_t *key, size_t phase)
{
    uint8_t turned[KEY_SIZE];
    for (size_t i = 0; i < KEY_SIZE; i++) turned[i] = key[(phase + i) % KEY_SIZE];
    uint32_t result;
    memcpy(&result, turned, sizeof result);
    return result;
}

void wsl_mask(uint8_t *output, const uint8_t *input, size_t start, size_t end, const uint8_t *key, size_t phase)
{
    mask_bytes(output, input + start, end - start, rotate(key, phase % KEY_SIZE));
}

/* ---- encoding ---- */

static size_t extended_length(uint8_t second)
{
    uint8_t length = second & LENGTH;
    return length < LENGTH_16 ? 0 : length == LENGTH_16 ? 2 : 8;
}

size_t wsl_encode_header(uint8_t *output, uint8_t first, const uint8_t *key, size_t size)
{
    uint8_t length = size < LENGTH_16 ? (uint8_t)size : size <= 0xFFFF ? LENGTH_16 : LENGTH_64;
    size_t extended = length < LENGTH_16 ? 0 : length == LENGTH_16 ? 2 : 8;
    output[0] = first;
    output[1] = (uint8_t)(length | (key ? MASKED : 0));
    for (size_t i = 0; i < extended; i++) output[2 + i] = (uint8_t)((uint64_t)size >> (8 * (extended - 1 - i)));
    if (!key) return 2 + extended;
    memcpy(output + 2 + extended, key, KEY_SIZE);
    return 2 + extended + KEY_SIZE;
}

void wsl_mask_frame(uint8_t *frame)
{
    size_t length_end = 2 + extended_length(frame[1]), size = 0;
    if (length_end == 2) size = frame[1] & LENGTH;
    for (size_t at = 2; at < length_end; at++) size = size << 8 | frame[at];
    mask_bytes_in_place(frame + length_end + KEY_SIZE, size, rotate(frame + length_end, 0));
}

size_t wsl_encode(uint8_t *output, uint8_t first, const uint8_t *key, const uint8_t *payload, size_t size)
{
    size_t header = wsl_encode_header(output, first, key, size);
    mask_bytes(output + header, payload, size, key ? rotate(key, 0) : 0);
    return header + size;
}

/* ---- decoding ---- */

enum { WHOLE = WSL_BEGIN | WSL_END | FIN };
enum { LEAST_RUN = 6 };
enum { FIRST_BYTE, SECOND_BYTE, EXTENDED_LENGTH, MASKING_KEY, PAYLOAD };

static bool is_control(uint8_t first) { return first & CONTROL; }

static uint8_t check_first_byte(uint8_t first, const wsl_rules *rules)
{
    uint8_t opcode = first & OPCODE;
    /* RFC 7692 section 6.1: an extension marks the first frame of a message, no other. */
    uint8_t allowed = opcode == TEXT || opcode == BINARY ? rules->reserved_bits : 0;
    if (first & RESERVED & ~allowed) return WSL_RESERVED_BITS;
    if (opcode > PONG || (opcode > BINARY && opcode < CLOSE)) return WSL_UNKNOWN_OPCODE;
    if (is_control(first) && !(first & FIN)) return WSL_CONTROL_FRAGMENTED;
    return WSL_DONE;
}

static uint8_t check_second_byte(uint8_t first, uint8_t second, const wsl_rules *rules)
{
    bool masked = second & MASKED;
    if (masked != rules->masked) return masked ? WSL_MASKED : WSL_NOT_MASKED;
    if (is_control(first) && (second & LENGTH) > MAX_CONTROL_PAYLOAD) return WSL_CONTROL_TOO_LONG;
    return WSL_DONE;
}

/* A data frame's header: begin or continue its message, and hold it against the limits before any payload. */
static uint8_t count_data_frame(wsl_decoder *decoder, const wsl_rules *rules)
{
    uint8_t first = decoder->header[0];
    if ((first & OPCODE) != CONTINUATION) {
        decoder->message_size = 0;
        decoder->fragments = 0;
        decoder->utf8 = VALID;
        decoder->encoded = first & RESERVED;
        decoder->text = (first & OPCODE) == TEXT && !decoder->encoded;
    }
    uint64_t limit = decoder->encoded ? rules->max_encoded_size : rules->max_message_size;
    /* What doesn't compress grows with each fragment, too: zlib's flush ends it with up to 6 bytes more. */
    uint64_t growth = decoder->encoded ? (uint64_t)decoder->fragments * WSL_ENCODED_GROWTH : 0;
    limit = limit < UINT64_MAX - growth ? limit + growth : UINT64_MAX;
    if (decoder->remaining > rules->max_frame_size) return WSL_FRAME_TOO_BIG;
    /* message_size never exceeds the limit, so this can't wrap, as a sum could. */
    if (decoder->remaining > limit - decoder->message_size) return WSL_MESSAGE_TOO_BIG;
    if (decoder->fragments >= rules->max_fragments) return WSL_TOO_MANY_FRAGMENTS;
    decoder->message_size += decoder->remaining;
    decoder->fragments++;
    return WSL_DONE;
}

static uint8_t check_length(wsl_decoder *decoder, const wsl_rules *rules)
{
    size_t extended = extended_length(decoder->header[1]);
    uint64_t length = decoder->header[1] & LENGTH;
    if (extended) {
        length = 0;
        for (size_t i = 0; i < extended; i++) length = length << 8 | decoder->header[2 + i];
        if (length >> 63) return WSL_LENGTH_TOP_BIT;
        if (length < LENGTH_16 || (extended == 8 && length <= 0xFFFF)) return WSL_LENGTH_NOT_MINIMAL;
    }
    decoder->remaining = length;
    return is_control(decoder->header[0]) ? WSL_DONE : count_data_frame(decoder, rules);
}

/* Take input[*at:end] until the header holds `size` bytes; tell whether it does. */
static bool fill_header(wsl_decoder *decoder, size_t size, const uint8_t *input, size_t *at, size_t end)
{
    while (decoder->header_held < size && *at < end) decoder->header[decoder->header_held++] = input[(*at)++];
    return decoder->header_held == size;
}

/* Take a header that is here in one piece, with at least as many bytes as the longest has; tell whether it is good. */
static bool take_whole_header(wsl_decoder *decoder, const wsl_rules *rules, const uint8_t *input, size_t *at)
{
    uint8_t *header = decoder->header;
    memcpy(header, input + *at, sizeof decoder->header);
    if ((decoder->status = check_first_byte(header[0], rules))) return false;
    if ((decoder->status = check_second_byte(header[0], header[1], rules))) return false;
    if ((decoder->status = check_length(decoder, rules))) return false;
    size_t length_end = 2 + extended_length(header[1]);
    decoder->key = 0;
    if (rules->masked) memcpy(&decoder->key, header + length_end, KEY_SIZE);
    *at += length_end + (rules->masked ? KEY_SIZE : 0);
    decoder->stage = PAYLOAD;
    return true;
}

/* Take header bytes; tell whether the header is complete and good. */
static bool take_header(wsl_decoder *decoder, const wsl_rules *rules, const uint8_t *input, size_t *at, size_t end)
{
    uint8_t *header = decoder->header;
    size_t length_end;
    switch (decoder->stage) {
    case FIRST_BYTE:
        decoder->header_held = 0;
        if (!fill_header(decoder, 1, input, at, end)) return false;
        if ((decoder->status = check_first_byte(header[0], rules))) return false;
        decoder->stage = SECOND_BYTE;
        /* fall through */
    case SECOND_BYTE:
        if (!fill_header(decoder, 2, input, at, end)) return false;
        if ((decoder->status = check_second_byte(header[0], header[1], rules))) return false;
        decoder->stage = EXTENDED_LENGTH;
        /* fall through */
    case EXTENDED_LENGTH:
        if (!fill_header(decoder, 2 + extended_length(header[1]), input, at, end)) return false;
        if ((decoder->status = check_length(decoder, rules))) return false;
        decoder->stage = MASKING_KEY;
        /* fall through */
    default:
        length_end = 2 + extended_length(header[1]);
        if (!fill_header(decoder, length_end + (rules->masked ? KEY_SIZE : 0), input, at, end)) return false;
        decoder->key = rules->masked ? rotate(header + length_end, 0) : 0;
        decoder->stage = PAYLOAD;
        return true;
    }
}

/* Validate the text among `size` bytes of payload, and at its end that no code point is cut short. */
static uint8_t check_text(wsl_decoder *decoder, const uint8_t *payload, size_t size, bool is_ascii)
{
    uint8_t first = decoder->header[0];
    if (is_ascii && decoder->utf8 == VALID) return WSL_DONE;
    decoder->utf8 = wsl_utf8(decoder->utf8, payload, size);
    bool at_end = size == decoder->remaining && first & FIN;
    return decoder->utf8 == INVALID || (at_end && decoder->utf8 != VALID) ? WSL_INVALID_UTF8 : WSL_DONE;
}

/* Unmask `size` bytes of the frame at hand and count them off. */
static uint8_t take_payload(wsl_decoder *decoder, const uint8_t *input, uint8_t *payload, size_t size)
{
    uint8_t status = WSL_DONE;
    if (decoder->text && !is_control(decoder->header[0])) {
        bool is_ascii = payload == input ? mask_text_in_place(payload, size, decoder->key)
                                         : mask_text(payload, input, size, decoder->key);
        status = check_text(decoder, payload, size, is_ascii);
    } else if (payload == input) {
        mask_bytes_in_place(payload, size, decoder->key);
    } else {
        mask_bytes(payload, input, size, decoder->key);
    }
    decoder->remaining -= size;
    if (decoder->remaining) {
        uint8_t key[KEY_SIZE];
        memcpy(key, &decoder->key, sizeof key);
        decoder->key = rotate(key, size % KEY_SIZE);
        return status;
    }
    decoder->stage = FIRST_BYTE;
    if (!is_control(decoder->header[0]) && decoder->header[0] & FIN) {
        /* Nothing of this message counts for a continuation that has nothing to continue. */
        decoder->message_size = 0;
        decoder->fragments = 0;
        decoder->text = false;
        decoder->encoded = false;
    }
    return status;
}

/* Whether the frame that begins can share the record of the one before it: that one was a fragment, this goes on.
 * Which frames may follow which is not decided here, but this pair always may. */
static bool joins(const wsl_decoder *decoder, const wsl_rules *rules, uint32_t last)
{
    bool whole_fragment = last & WSL_BEGIN && last & WSL_END && !(last & FIN) && !(last & CONTROL);
    return rules->coalesce && whole_fragment && (decoder->header[0] & OPCODE) == CONTINUATION;
}

int32_t wsl_decode(wsl_decoder *decoder, const uint8_t *input, size_t size, wsl_scratch *scratch)
{
    const wsl_rules *rules = decoder->rules;
    uint32_t *heads = scratch->heads, *ends = scratch->ends;
    size_t at = 0, written = 0, count = 0, end = size < WSL_CHUNK ? size : WSL_CHUNK;
    bool between_messages = !decoder->fragments, run = true;
    if (decoder->status == WSL_RECORDS_FULL) decoder->status = WSL_DONE;
    while (at < end && !decoder->status) {
        uint32_t begin = decoder->stage == PAYLOAD ? 0 : WSL_BEGIN;
        if (count == WSL_MAX_RECORDS) {
            decoder->status = WSL_RECORDS_FULL;
            break;
        }
        bool in_one_piece = decoder->stage == FIRST_BYTE && end - at >= sizeof decoder->header;
        if (in_one_piece && !take_whole_header(decoder, rules, input, &at)) break;
        if (begin && !in_one_piece && !take_header(decoder, rules, input, &at, end)) break;
        if (count && begin && joins(decoder, rules, heads[count - 1])) {
            heads[count - 1] = (heads[count - 1] & ~(uint32_t)WSL_END) | (decoder->header[0] & FIN);
        } else {
            if (count > 2 && heads[count - 1] != heads[1]) run = false;
            heads[count] = decoder->header[0] | begin;
            ends[count++] = (uint32_t)written;
        }
        size_t piece = end - at < decoder->remaining ? end - at : (size_t)decoder->remaining;
        decoder->status = take_payload(decoder, input + at, scratch->payload + written, piece);
        if (decoder->status) break;
        at += piece;
        written += piece;
        ends[count - 1] = (uint32_t)written;
        if (decoder->stage == FIRST_BYTE) heads[count - 1] |= WSL_END;
    }
    decoder->consumed = (uint32_t)at;
    bool stopped = at < size || decoder->status;
    if (count == 1 && !stopped && between_messages) {
        if (heads[0] == (WHOLE | TEXT) && rules->report_whole_text) return WSL_WHOLE_TEXT + (int32_t)written;
        if (heads[0] == (WHOLE | BINARY)) return WSL_WHOLE_BINARY + (int32_t)written;
    }
    return (stopped ? WSL_STOPPED : run && count >= LEAST_RUN + 2 ? WSL_RUN : WSL_RECORDS) - (int32_t)count;
}

uint64_t wsl_remaining(const wsl_decoder *decoder)
{
    bool plain_data = !is_control(decoder->header[0]) && !decoder->encoded;
    return decoder->stage == PAYLOAD && plain_data ? decoder->remaining : 0;
}

uint8_t wsl_decode_payload(wsl_decoder *decoder, const uint8_t *input, size_t size, uint8_t *payload)
{
    /* Text is validated block by block, while the block is in the cache. */
    const size_t block = 16384;
    for (size_t at = 0; at < size && !decoder->status; at += block)
        decoder->status = take_payload(decoder, input + at, payload + at, size - at < block ? size - at : block);
    return decoder->status;
}
