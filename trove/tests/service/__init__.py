"""The whole service through its front door: a standalone server, real engines, writers, and faults."""
