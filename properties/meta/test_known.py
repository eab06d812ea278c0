"""Known breaks of outside libraries: what is written of them, and that their programs show them."""

import ast
import importlib.util
import re
import subprocess
import sys

import pytest

from properties.known import known, read
from properties.laws import registry
from properties.loading import OUTSIDE

PROGRAMS = {one.name: one for one in known()}


def lacking(program):
    """Libraries that a program imports and that are not installed."""
    nodes = [node for node in ast.walk(ast.parse(program)) if isinstance(node, (ast.Import, ast.ImportFrom))]
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
    return sorted(root for root in {name.split(".")[0] for name in names} if importlib.util.find_spec(root) is None)


@pytest.mark.program
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_known_break_is_there_when_its_program_runs_alone(name, tmp_path):
    """In a clean process and an empty folder: an assertion fails, or the process ends by the library's own abort."""
    missing = lacking(PROGRAMS[name].program)
    if missing:
        pytest.skip(f'needs {", ".join(missing)} (the extra "subjects")')
    path = tmp_path / "program.py"
    path.write_text(PROGRAMS[name].program, "utf-8")
    done = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, cwd=tmp_path, timeout=200)
    assert done.returncode < 0 or (done.returncode == 1 and "AssertionError" in done.stderr), (
        f"{name} is no longer there, or its program fails otherwise: {done.stdout[-500:]} {done.stderr[-1500:]}"
    )


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_known_break_says_where_it_shows_and_what_to_report(name):
    """Subjects and laws exist; a link, or words that can be pasted; nothing of ours is imported."""
    one = PROGRAMS[name]
    assert set(one.subjects) <= set(OUTSIDE) and set(one.laws) <= {*registry(), "all"}
    assert one.sentence.endswith(".") and len(one.sentence) < 300
    assert re.search(r"https://github.com/\S+|to report|nothing to report|documented", one.upstream)
    assert not re.search(r"^(from|import) (impl|properties|experiments)", one.program, re.MULTILINE)


def test_a_break_is_explained_by_what_is_known_of_its_subject_law_cell_and_dtype():
    """Another cell, law, dtype or subject is news."""
    one = PROGRAMS["onnx_runtime_no_rows"]
    assert one.explains("onnx_runtime", "empty batch", "lstm", "float32")
    others = [("onnx_reference", "empty batch", "lstm", "float32"), ("onnx_runtime", "value", "lstm", "float32")]
    others += [("onnx_runtime", "empty batch", "rnn", "float32"), ("onnx_runtime", "empty batch", "lstm", "float64")]
    assert not any(one.explains(*other) for other in others)
    every = PROGRAMS["keras_float64_torch"]
    assert every.explains("keras_torch", "bias", "rnn", "float64")
    assert not every.explains("keras_torch", "shapes", "rnn", "float64")


def test_a_program_without_a_field_is_refused(tmp_path):
    """The message names the file and the field."""
    path = tmp_path / "some.py"
    path.write_text('"""It is wrong.\n\nSubject: torch_nn\nLaw: value\n"""\n')
    with pytest.raises(ValueError, match=r"some.py must have the field 'Where'"):
        read(path)
