/* The C file against tables that make_cases.py has the slow codec write, and against itself. No Python, no library:
 * it runs wherever a C compiler can build for, big-endian machines under qemu included. */

#include "reference.h"

typedef struct {
    wsl_rules rules;
    const char *input;
    size_t size;
    const char *frames; /* of each frame: first byte, 1 if whole, size in two bytes, payload */
    size_t frames_size;
    uint8_t fault;
} test_case;

static const test_case CASES[] = {
#include "cases.inc"
};

static const uint8_t KEY[4] = {0x37, 0xFA, 0x21, 0x3D};

/* ---- decoding ---- */

static void read_expected(const test_case *test, told *all)
{
    const uint8_t *from = (const uint8_t *)test->frames;
    for (size_t at = 0; at < test->frames_size;) {
        size_t size = (size_t)from[at + 2] << 8 | from[at + 3];
        tell_begin(all, from[at]);
        all->frames[all->count - 1].whole = from[at + 1];
        tell_payload(all, from + at + 4, size);
        at += 4 + size;
    }
    all->fault = test->fault;
}

/* Decode a case cut at `cut`, or at every byte if that is 0. */
static void check_case(const test_case *test, size_t cut, bool coalesce, bool directly)
{
    const uint8_t *input = (const uint8_t *)test->input;
    wsl_rules rules = test->rules;
    rules.coalesce = coalesce;
    rules.report_whole_text = cut % 2;
    wsl_decoder decoder = {.rules = &rules};
    told expected = {0}, actual = {0};
    read_expected(test, &expected);
    for (size_t at = 0; at < test->size && !actual.fault;) {
        size_t end = cut == 0 ? at + 1 : at < cut && cut < test->size ? cut : test->size;
        decode_all(&decoder, input + at, end - at, directly, &actual);
        at = end;
    }
    settle(&expected, &rules);
    settle(&actual, &rules);
    check_same(&expected, &actual);
    forget(&expected);
    forget(&actual);
}

static void test_cases(void)
{
    for (size_t number = 0; number < sizeof CASES / sizeof *CASES; number++) {
        const test_case *test = &CASES[number];
        size_t cuts = test->size < 48 ? test->size + 1 : 3;
        for (size_t cut = 0; cut < cuts; cut++)
            for (int way = 0; way < 4; way++) check_case(test, cut, way & 1, way & 2);
    }
}

/* More frames than there are records: decoding goes on where it stopped. */
static void test_records_full(void)
{
    const size_t frames = 2 * WSL_MAX_RECORDS + 5;
    uint8_t *input = allocate(3 * frames);
    for (size_t at = 0; at < frames; at++) memcpy(input + 3 * at, (uint8_t[]){0x82, 1, (uint8_t)at}, 3);
    wsl_rules rules = {UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, 0, false, true, true};
    wsl_decoder decoder = {.rules = &rules};
    told all = {0};
    decode_all(&decoder, input, 3 * frames, false, &all);
    CHECK(all.count == frames && all.size == frames, "%zu frames", all.count);
    for (size_t at = 0; at < frames; at++) CHECK(all.payload[at] == (uint8_t)at, "frame %zu", at);
    forget(&all);
    free(input);
}

/* ---- encoding and masking ---- */

static void check_round_trip(uint8_t first, size_t size, const uint8_t *key)
{
    uint8_t *payload = allocate(size);
    for (size_t at = 0; at < size; at++) payload[at] = (uint8_t)(at * 7 + 1);
    size_t extended = size < 126 ? 0 : size < 65536 ? 2 : 8, header = 2 + extended + (key ? sizeof KEY : 0);
    uint8_t *wire = allocate(header + size), head[14];
    CHECK(wsl_encode_header(head, first, key, size) == header, "header of %zu", size);
    CHECK(wsl_encode(wire, first, key, payload, size) == header + size, "frame of %zu", size);
    CHECK(!memcmp(wire, head, header) && wire[0] == first, "header of %zu", size);
    for (size_t at = 0; at < size; at++)
        CHECK(wire[header + at] == (payload[at] ^ (key ? key[at % 4] : 0)), "byte %zu of %zu", at, size);
    if (key) {
        wsl_mask_frame(wire);
        CHECK(!memcmp(wire, head, header) && (!size || !memcmp(wire + header, payload, size)), "unmasking %zu", size);
        wsl_mask_frame(wire);
    }
    wsl_rules rules = {UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, 0, key != NULL, false, true};
    wsl_decoder decoder = {.rules = &rules};
    told all = {0};
    decode_all(&decoder, wire, header + size, size % 2, &all);
    CHECK(all.count == 1 && !all.fault && all.frames[0].whole && all.size == size, "decoding %zu", size);
    CHECK(!size || !memcmp(all.payload, payload, size), "payload of %zu", size);
    forget(&all);
    discard(payload, size);
    free(wire);
}

static void test_round_trips(void)
{
    const size_t sizes[] = {0, 1, 7, 8, 9, 124, 125, 126, 127, 128, 1000, 65534, 65535, 65536, 65537, 200001};
    for (size_t at = 0; at < sizeof sizes / sizeof *sizes; at++) {
        check_round_trip(0x82, sizes[at], KEY);
        check_round_trip(0x82, sizes[at], NULL);
    }
    check_round_trip(0x8A, 125, KEY);
}

static void test_masking(void)
{
    for (size_t size = 0; size < 100; size++)
        for (size_t start = 0; start < 9; start++)
            for (size_t phase = 0; phase < 6; phase++) {
                uint8_t *input = allocate(start + size), *output = allocate(start + size);
                for (size_t at = 0; at < start + size; at++) input[at] = (uint8_t)(at * 11);
                wsl_mask(output + start, input, start, start + size, KEY, phase);
                for (size_t at = 0; at < size; at++)
                    CHECK(output[start + at] == (input[start + at] ^ KEY[(phase + at) % 4]), "%zu of %zu", at, size);
                discard(input, start + size);
                discard(output, start + size);
            }
}

/* ---- UTF-8 ---- */

static void check_utf8(const uint8_t *text, size_t size, size_t cut)
{
    uint8_t *head = copy_of(text, cut), *tail = copy_of(text + cut, size - cut);
    uint8_t state = wsl_utf8(wsl_utf8(0, head, cut), tail, size - cut);
    int expected = judge_utf8(text, size);
    int actual = state == 0 ? UTF8_WHOLE : state == WSL_UTF8_INVALID ? UTF8_BAD : UTF8_CUT;
    CHECK(expected == actual, "%02x %02x %02x %02x (%zu bytes, cut at %zu)", text[0], text[1], text[2], text[3], size,
          cut);
    discard(head, cut);
    discard(tail, size - cut);
}

static void test_utf8(void)
{
    static const uint8_t THIRD[] = {0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC2, 0xE0, 0xFF};
    uint8_t text[600];
    for (int first = 0; first < 256; first++)
        for (int second = 0; second < 256; second++)
            for (size_t third = 0; third < sizeof THIRD; third++)
                for (size_t size = third ? 3 : 1; size <= 4; size++) {
                    memcpy(text, (uint8_t[]){(uint8_t)first, (uint8_t)second, THIRD[third], 0x80}, 4);
                    check_utf8(text, size, third % size);
                }
    /* Around the blocks of the fast path. */
    for (size_t before = 250; before < 262; before++)
        for (size_t first = 0x80; first < 256; first++) {
            memset(text, 'a', sizeof text);
            text[before] = (uint8_t)first;
            text[before + 1] = text[before + 2] = 0x9F;
            check_utf8(text, sizeof text, before % 7);
            check_utf8(text, before + 2, before + 1);
        }
}

int main(void)
{
    const uint32_t one = 1;
    test_cases();
    test_records_full();
    test_round_trips();
    test_masking();
    test_utf8();
    printf("%zu cases on a %s-endian machine with %zu-byte pointers: all as expected\n", sizeof CASES / sizeof *CASES,
           *(const uint8_t *)&one ? "little" : "big", sizeof(void *));
    return 0;
}
