"""The wire protocols: bytes in, bytes out. No sockets, no threads, no clock (an architecture test holds this)."""
