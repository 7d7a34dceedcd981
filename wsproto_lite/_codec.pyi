# The compiled module, as far as codec.py uses it; csrc/codec.h has the contracts.
from typing import Any, Callable

class _CData:
    def __add__(self, offset: int, /) -> _CData: ...

class _FFI:
    def new(self, declaration: str, init: object = ...) -> Any: ...
    def new_allocator(self, *, should_clear_after_alloc: bool) -> Callable[..., Any]: ...
    def from_buffer(self, buffer: object, /) -> _CData: ...
    def release(self, cdata: _CData) -> None: ...
    def buffer(self, cdata: Any, size: int = ...) -> Any: ...
    def addressof(self, cdata: Any, field: str) -> Any: ...

class _Lib:
    WSL_DONE: int
    WSL_RECORDS_FULL: int
    WSL_RESERVED_BITS: int
    WSL_UNKNOWN_OPCODE: int
    WSL_CONTROL_FRAGMENTED: int
    WSL_NOT_MASKED: int
    WSL_MASKED: int
    WSL_CONTROL_TOO_LONG: int
    WSL_LENGTH_NOT_MINIMAL: int
    WSL_LENGTH_TOP_BIT: int
    WSL_FRAME_TOO_BIG: int
    WSL_MESSAGE_TOO_BIG: int
    WSL_TOO_MANY_FRAGMENTS: int
    WSL_INVALID_UTF8: int
    WSL_BEGIN: int
    WSL_END: int
    WSL_RECORDS: int
    WSL_RUN: int
    WSL_STOPPED: int
    WSL_WHOLE_BINARY: int
    WSL_ENCODED_GROWTH: int
    WSL_CHUNK: int
    WSL_MAX_RECORDS: int
    WSL_UTF8_INVALID: int
    def wsl_decode(self, decoder: Any, input: Any, size: int, scratch: Any, /) -> int: ...
    def wsl_remaining(self, decoder: Any, /) -> int: ...
    def wsl_decode_payload(self, decoder: Any, input: Any, size: int, payload: Any, /) -> int: ...
    def wsl_encode_header(self, output: Any, first: int, key: Any, size: int, /) -> int: ...
    def wsl_encode(self, output: Any, first: int, key: Any, payload: Any, size: int, /) -> int: ...
    def wsl_mask_frame(self, frame: Any, /) -> None: ...
    def wsl_mask(self, output: Any, input: Any, start: int, end: int, key: Any, phase: int, /) -> None: ...
    def wsl_utf8(self, state: int, input: Any, size: int, /) -> int: ...

ffi: _FFI
lib: _Lib
