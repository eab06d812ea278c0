"""The planted faults, by what they do wrong; a module of this folder registers its own when it is read."""

from importlib import import_module
from pathlib import Path

from properties.meta.carrier import FAULTS

for _file in sorted(Path(__file__).parent.glob("[a-z]*.py")):
    import_module(f"{__name__}.{_file.stem}")

__all__ = ["FAULTS"]
