"""Brings rotated log files whole into an object store, each once: `pixelship ship`.

`shipping` tells the way of a file; the other modules are its steps.
"""
