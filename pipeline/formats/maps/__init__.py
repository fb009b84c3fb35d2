"""Maps: formats that a user writes, as a short TOML that names the columns of an odd log.

A map is data: it runs no code, it is checked whole before anything is read, and it travels to workers as
it is. `docs/formats.md` is its reference.
"""

from __future__ import annotations

from pipeline.formats.maps.document import map_of
from pipeline.formats.maps.mapped import PREFIX, Mapped

__all__ = ["PREFIX", "Mapped", "map_of"]
