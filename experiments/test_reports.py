"""The committed reports are what their records give, on any processor."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.harness.report import check_index

ROOT = Path(__file__).parent.parent
OLDER = {"NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR", "OPENBLAS_CORETYPE": "Nehalem"}


LARGEST = "gradient_flow"
"""Half of the work: a test of its own, so that workers share it."""

OTHERS = (
    "import sys; from experiments.command import main\n"
    "from experiments.harness.catalogue import EXPERIMENTS, VERDICTS\n"
    f"sys.exit(max(main(['report', name, '--check']) for name in (*EXPERIMENTS, VERDICTS) if name != {LARGEST!r}))"
)


@pytest.mark.slow
@pytest.mark.parametrize("what", [["-m", "experiments", "report", LARGEST, "--check"], ["-c", OTHERS]], ids=["1", "2"])
@pytest.mark.parametrize("processor", [{}, OLDER], ids=["this processor", "an older one"])
def test_committed_reports_are_what_their_records_give(processor, what):
    """Made again they are the same bytes, also where exp, tanh and products round otherwise."""
    done = subprocess.run([sys.executable, *what], cwd=ROOT, env=os.environ | processor, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.startswith("identical: "), done.stdout + done.stderr


@pytest.mark.slow
def test_the_committed_full_reports_are_what_their_records_give():
    """Those of the largest presets, on this processor."""
    command = [sys.executable, "-m", "experiments", "report", "--check", "--out", "reports/full"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.startswith("identical: "), done.stdout + done.stderr


def test_the_pages_above_the_reports_are_what_the_reports_give():
    """Index, its Markdown and the ledger."""
    assert check_index(ROOT / "reports") == []


def test_the_page_above_the_reports_lists_each_on_a_line_of_its_own():
    """Where Markdown shows it."""
    lines = (ROOT / "reports" / "README.md").read_text("utf-8").splitlines()
    folders = {path.parent.name for path in (ROOT / "reports").glob("*/results.csv")}
    assert {line.split("](")[1].split("/")[0] for line in lines if line.startswith("* [")} == folders
    assert all(line.count("* [") <= 1 for line in lines)
