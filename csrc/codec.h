/* The byte work of RFC 6455 section 5: decode a chunk, encode a frame, mask, validate UTF-8.
 *
 * Pure functions over buffers that the caller owns: nothing is allocated, nothing kept outside the structs, nobody
 * called back. No preprocessor directives here: #include and cffi's cdef() read the same text. */

/* Why decoding stopped. From WSL_FAULTS on the peer broke a rule and the decoder must not be used again. */
enum {
    WSL_DONE,         /* nothing: see `consumed` for how far it came */
    WSL_RECORDS_FULL, /* go on at `consumed` */
    WSL_FAULTS,
    WSL_RESERVED_BITS = WSL_FAULTS, /* section 5.2: RSV1 to RSV3 without an extension */
    WSL_UNKNOWN_OPCODE,             /* section 5.2 */
    WSL_CONTROL_FRAGMENTED,         /* section 5.5 */
    WSL_NOT_MASKED,                 /* section 5.1: client to server */
    WSL_MASKED,                     /* section 5.1: server to client */
    WSL_CONTROL_TOO_LONG,           /* section 5.5 */
    WSL_LENGTH_NOT_MINIMAL,         /* section 5.2 */
    WSL_LENGTH_TOP_BIT,             /* section 5.2 */
    WSL_FRAME_TOO_BIG,              /* section 10.4, and so are the next two */
    WSL_MESSAGE_TOO_BIG,
    WSL_TOO_MANY_FRAGMENTS,
    WSL_INVALID_UTF8, /* section 8.1 */
};

/* Bytes by which each fragment but the first raises `max_encoded_size`. */
enum { WSL_ENCODED_GROWTH = 8 };

/* What is asked of the peer. Shared by any number of decoders. */
typedef struct {
    uint64_t max_frame_size;   /* payload bytes on the wire; UINT64_MAX for no limit, in all four */
    uint64_t max_message_size; /* of plain messages */
    uint64_t max_encoded_size; /* of messages that an extension marked: wire bytes */
    uint64_t max_fragments;    /* frames in one message */
    uint8_t reserved_bits;     /* those of 0x70 that the first frame of a message may carry */
    bool masked;               /* frames must be masked; else they must not */
    bool coalesce;             /* a continuation that directly follows in the chunk joins its predecessor's record */
    bool report_whole_text;    /* wsl_decode may return WSL_WHOLE_TEXT */
} wsl_rules;

/* Where decoding stands between chunks. All zero but for `rules` at the start. */
typedef struct {
    const wsl_rules *rules;
    uint64_t remaining;    /* payload bytes of the frame still to come */
    uint64_t message_size; /* as far as headers have declared it */
    uint32_t fragments;    /* frames of the message so far */
    uint32_t key;          /* masking key, rotated: its first byte in memory meets the next payload byte */
    uint32_t consumed;     /* of the last chunk; less than its size when decoding stopped early */
    uint8_t header[14];    /* of the frame, as it came */
    uint8_t header_held;   /* bytes of it so far */
    uint8_t stage;         /* what comes next in the frame */
    uint8_t status;
    uint8_t utf8; /* see wsl_utf8 */
    bool text;    /* the message is plain text */
    bool encoded; /* the message is marked by an extension */
} wsl_decoder;

enum { WSL_CHUNK = 65536, WSL_MAX_RECORDS = 4096 };

/* Where a chunk is decoded to. A record tells of a piece of a frame: its head is the frame's first byte with the flags
 * below, and its end is where the piece ends in `payload`, which holds all pieces unmasked and without gaps. */
typedef struct {
    uint32_t heads[WSL_MAX_RECORDS];
    uint32_t ends[WSL_MAX_RECORDS];
    uint8_t payload[WSL_CHUNK];
} wsl_scratch;

enum {
    WSL_BEGIN = 0x100, /* the piece begins a frame */
    WSL_END = 0x200,   /* the piece ends a frame */
};

/* What wsl_decode returns: */
enum {
    WSL_RECORDS = -1,            /* less the number of records, if it is none of these */
    WSL_RUN = -0x100000,         /* likewise; all records but the first and the last, at least 6, have the same head */
    WSL_STOPPED = -0x200000,     /* likewise; there was a fault, or not all was consumed */
    WSL_WHOLE_BINARY = 0x100000, /* plus its size: the input is exactly one whole plain binary message */
    WSL_WHOLE_TEXT = 0           /* likewise */
};

/* Decode input up to its end, to WSL_CHUNK bytes, to WSL_MAX_RECORDS records or to a fault, whichever comes first.
 * Plain text is validated. A whole message is told of as such only between messages, but behind it the header of
 * another may have begun; there is one record then, too.
 * On a fault the records before it are good, and a frame with a faulty payload has a record that begins it. */
int32_t wsl_decode(wsl_decoder *decoder, const uint8_t *input, size_t size, wsl_scratch *scratch);

/* Payload bytes still to come of the data frame under way, if its message is plain; else 0. */
uint64_t wsl_remaining(const wsl_decoder *decoder);

/* Decode `size` bytes, at most wsl_remaining(), that are payload of the data frame under way. `payload` may be `input`.
 * Returns the status: WSL_DONE or a fault. */
uint8_t wsl_decode_payload(wsl_decoder *decoder, const uint8_t *input, size_t size, uint8_t *payload);

/* Write a frame's header to `output` (14 bytes of room), with the 4 bytes of `key` unless it is NULL.
 * `first` is the first byte: FIN, reserved bits, opcode. Returns the header's size. */
size_t wsl_encode_header(uint8_t *output, uint8_t first, const uint8_t *key, size_t size);

/* Write a whole frame to `output` (14 + size bytes of room). Returns its size. */
size_t wsl_encode(uint8_t *output, uint8_t first, const uint8_t *key, const uint8_t *payload, size_t size);

/* Mask the payload of a whole frame where it is, with the key in the frame's own header. Nothing but a pointer, since
 * cffi calls a function of one argument in 20 ns, with more it takes 80. */
void wsl_mask_frame(uint8_t *frame);

/* XOR input[start:end] with `key`, whose byte `phase` % 4 meets the first byte (section 5.3). No overlap. */
void wsl_mask(uint8_t *output, const uint8_t *input, size_t start, size_t end, const uint8_t *key, size_t phase);

/* Validate a piece of UTF-8 (section 8.1, RFC 3629). `state` is 0 at the start of a text, and what the last call
 * returned after that. Returns 0 between code points, WSL_UTF8_INVALID as soon as no continuation could make the
 * text valid, else another state within a code point. */
enum { WSL_UTF8_INVALID = 6 };
uint8_t wsl_utf8(uint8_t state, const uint8_t *input, size_t size);
