"""The committed reports are what their records give, on any processor."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.harness.catalogue import EXPERIMENTS, VERDICTS
from experiments.harness.report import check_index

ROOT = Path(__file__).parent.parent
OLDER = {"NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR", "OPENBLAS_CORETYPE": "Nehalem"}


LARGEST = "gradient_flow"
"""Half of the work: a test of its own, so that workers share it."""

CHECK = """
import sys
from pathlib import Path
from experiments.command import main
from experiments.harness.report import there
names, out = sys.argv[2:], sys.argv[1]
sys.exit(max(main(["report", name, "--check", "--out", out]) for name in names if there(name, Path(out))))
"""


@pytest.mark.slow
@pytest.mark.parametrize("largest", [True, False], ids=[LARGEST, "the others"])
@pytest.mark.parametrize(
    ("out", "processor"),
    [("reports", OLDER), ("reports/full", {})],
    ids=["an older one", "full, this one"],
)
def test_committed_reports_are_what_their_records_give(out, processor, largest):
    """Made again they are the same bytes, also where exp, tanh and products round otherwise: quick there, full here."""
    names = [name for name in (*EXPERIMENTS, VERDICTS) if (name == LARGEST) == largest]
    command = [sys.executable, "-c", CHECK, out, *names]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | processor, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.startswith("identical: "), done.stdout + done.stderr


@pytest.mark.parametrize("out", ["reports", pytest.param("reports/full", marks=pytest.mark.slow)])
def test_the_pages_above_the_reports_are_what_the_reports_give(out):
    """Index, its Markdown and the ledger."""
    assert check_index(ROOT / out) == []


def test_the_page_above_the_reports_lists_each_on_a_line_of_its_own():
    """Where Markdown shows it."""
    lines = (ROOT / "reports" / "README.md").read_text("utf-8").splitlines()
    folders = {path.parent.name for path in (ROOT / "reports").glob("*/results.csv")}
    assert {line.split("](")[1].split("/")[0] for line in lines if line.startswith("* [")} == folders
    assert all(line.count("* [") <= 1 for line in lines)
