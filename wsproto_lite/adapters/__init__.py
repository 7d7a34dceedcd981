"""The core driven by real I/O, one module a framework. Each is also an example of how to embed the core."""
