"""A bar of progress on the standard error stream; where that cannot be written, the bar is lost and nothing else is."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import Any

from tqdm import tqdm

from experiments.harness.endings import UNHEARD


def on_terminal() -> bool:
    """Whether the standard error stream is a terminal; one that was closed from the start is none."""
    return sys.stderr is not None and sys.stderr.isatty()


class Progress(tqdm):
    """tqdm's bar, renewed seldom where no one looks at it; from the first time that it cannot be written it is off."""

    def __init__(self, total: float, quiet: bool = False, **how: Any) -> None:
        how |= {"mininterval": 0.5 if on_terminal() else 15.0, "miniters": 0, "smoothing": 0.05}
        try:
            super().__init__(total=total, disable=quiet or sys.stderr is None, **how)
        except UNHEARD:
            super().__init__(total=total, disable=True)

    def update(self, n: float | None = 1) -> bool | None:
        """Goes on by a step."""
        try:
            return super().update(n)
        except UNHEARD:
            self.disable = True
            return None

    def close(self) -> None:
        """Ends the bar."""
        with suppress(*UNHEARD):
            super().close()
