"""Whether a law without its assertions is found out: python -m properties.meta.toothless [LAW ...].

In a copy of the code, each law in turn loses its assertions (every call of `agree`, `same_bits`, `all_same_bits`,
`share_no_memory` and `require` in its file), and its kill row alone is run. It must fail and name the law: a law that
notices nothing kills no planted fault.
"""

from __future__ import annotations

import argparse
import ast
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from properties.laws import registry
from properties.meta.faults import FAULTS

ROOT = Path(__file__).parents[2]
ASSERTIONS = {"agree", "same_bits", "all_same_bits", "share_no_memory", "require"}
CODE = ("impl", "properties", "conftest.py", "pyproject.toml")


class Without(ast.NodeTransformer):
    """A file's tree without the statements that assert."""

    def visit_Expr(self, node: ast.Expr) -> ast.stmt:
        """A call of an assertion becomes nothing."""
        called = node.value.func if isinstance(node.value, ast.Call) else None
        return ast.Pass() if isinstance(called, ast.Name) and called.id in ASSERTIONS else node


def toothless(source: str) -> str:
    """The source of a law without its assertions."""
    return ast.unparse(ast.fix_missing_locations(Without().visit(ast.parse(source))))


def kill_row(law: str) -> list[str]:
    """The tests of a law's kill row, as pytest names them."""
    test = "properties/meta/test_meta.py::test_a_law_kills_the_faults_planted_for_it"
    return [f"{test}[{law}-{fault.name.replace(' ', '_')}]" for fault in FAULTS if law in fault.laws]


def found_out(law: str, copy: Path) -> str:
    """What is wrong when a law has lost its assertions in a copy of the code; nothing if its kill row says so."""
    file = copy / "properties" / f"test_{law.replace(' ', '_')}.py"
    whole = file.read_text("utf-8")
    file.write_text(toothless(whole), "utf-8")
    try:
        how = ["-q", "-p", "no:cacheprovider", "--tb=no", "--subject=numpy_twin"]  # a kill row has subjects of its own
        line = [sys.executable, "-m", "pytest", *how, *kill_row(law)]
        done = subprocess.run(line, cwd=copy, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    finally:
        file.write_text(whole, "utf-8")
    if done.returncode == 1 and f"the kill row of law {law!r} is empty" in done.stdout:
        return ""
    return (
        f"law {law!r} lost its assertions and its kill row did not say so:\n{done.stdout[-2000:]}{done.stderr[-500:]}"
    )


def copied(folder: Path) -> Path:
    """A copy of the code that the kill rows need."""
    for name in CODE:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, folder / name)
    return folder


def main(laws: Sequence[str]) -> int:
    """Tries each law in turn; 1 if one lost its assertions and nothing noticed, 2 if there is no such law."""
    unknown = set(laws) - set(registry())
    if unknown:
        print(f"error: there is no law {', '.join(sorted(unknown))}; there are {', '.join(sorted(registry()))}.")
        return 2
    names, problems = list(laws) or sorted(registry()), []
    with tempfile.TemporaryDirectory() as folder:
        copy = copied(Path(folder))
        for law in tqdm(names, unit="law"):
            problems += filter(None, [found_out(law, copy)])
    print("\n".join(problems) or f"{len(names)} laws in turn without their assertions: each was found out by its row")
    return int(bool(problems))


def asked() -> list[str]:
    """The words on the command line."""
    parser = argparse.ArgumentParser(prog="python -m properties.meta.toothless", description=__doc__.split("\n")[0])
    parser.add_argument("law", nargs="*", help="the laws to try; by default all in turn")
    return parser.parse_args().law


if __name__ == "__main__":
    sys.exit(main(asked()))
