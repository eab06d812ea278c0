"""The committed reports are what their records give, on any processor."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
OLDER = {"NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR", "OPENBLAS_CORETYPE": "Nehalem"}


@pytest.mark.parametrize("processor", [{}, OLDER], ids=["this processor", "an older one"])
def test_committed_reports_are_what_their_records_give(processor):
    """Made again they are the same bytes, also where exp, tanh and products round otherwise."""
    line = [sys.executable, "-m", "experiments", "report", "--check"]
    done = subprocess.run(line, cwd=ROOT, env=os.environ | processor, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.startswith("identical: "), done.stdout + done.stderr


def test_the_page_above_the_reports_lists_each_on_a_line_of_its_own():
    """Where Markdown shows it."""
    lines = (ROOT / "reports" / "README.md").read_text("utf-8").splitlines()
    folders = {path.parent.name for path in (ROOT / "reports").glob("*/results.csv")}
    assert {line.split("](")[1].split("/")[0] for line in lines if line.startswith("* [")} == folders
    assert all(line.count("* [") <= 1 for line in lines)
