"""The closing table, and the README's tables against the program."""

import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import settings

import conftest
from properties.laws import registry
from properties.loading import BUILT_IN
from properties.meta.faults import FAULTS
from properties.subject import CAPABILITIES
from properties.table import equal_in, lines, readme_table

ROOT = Path(__file__).parents[2]
README = (ROOT / "properties" / "README.md").read_text()


def test_every_law_of_the_registry_stands_in_the_table_run_or_not():
    """Cases add up, the worst fraction is kept, failures are shown, kills are counted."""
    found = [
        (False, "law", ["value", 40, 0.25, "a"]),
        (True, "law", ["value", 3, 7.5, "b"]),
        (False, "law", ["purity", 40, None, "c"]),
        (False, "kill", ["value", "some fault", True]),
        (True, "kill", ["value", "another", False]),
        (True, "kill", ["rows", "some fault", False]),
    ]
    head, *rows, empty, cases = lines(found)
    table = {row[:14].strip(): re.split(r"\s{2,}", row[14:].strip()) for row in rows}
    assert empty == "the kill row of law 'rows' is empty"
    assert cases == lines(found[::-1])[-1] != lines(found[1:])[-1], "a word for all cases, in any order"
    assert head.split()[:2] == ["law", "cases"]
    assert list(table) == sorted(registry())
    assert table["value"] == ["43", "7.500, 1 test FAILED", "1 of 2"]
    assert table["purity"] == ["40", "bits", "not run"]
    assert table["split"] == ["0", "not run", "not run"]
    assert lines([]) == []


SUBJECT = """
from properties.meta.faults.conduct import OutputsAlwaysSingle
class Half(OutputsAlwaysSingle):
    name, capabilities = "half", frozenset({"backward"})
subject = Half()
"""


@pytest.mark.parametrize("workers", [["-p", "no:xdist"], ["-n", "2"]], ids=["plain", "xdist"])
def test_a_run_closes_with_the_table_also_where_laws_fail_or_are_skipped(workers, tmp_path):
    """One law passes, one fails, one is skipped for want of a capability, the others were not run: all are listed."""
    (tmp_path / "half_subject.py").write_text(SUBJECT)
    files = [f"properties/test_{name}.py" for name in ("causality", "dtype", "emission")]
    command = [
        sys.executable,
        "-m",
        "pytest",
        *workers,
        "-q",
        "-rs",
        "--hypothesis-profile=dev",
        "--subject=half_subject",
        *files,
    ]
    environment = {"PYTHONPATH": str(tmp_path), "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment)
    table = {name: re.search(rf"^{name} +(\d+)  (.*)$", done.stdout, re.MULTILINE) for name in registry()}
    assert done.returncode == 1
    assert all(table.values()), done.stdout
    assert int(table["causality"][1]) == 80 and table["causality"][2].startswith("bits ")
    assert int(table["dtype"][1]) > 20 and "bits, 2 tests FAILED" in table["dtype"][2]
    assert table["emission"][1] == "0" and table["emission"][2].startswith("not run ")
    assert "half does not declare that it has a linear read-out" in done.stdout


def test_the_readmes_table_of_laws_is_that_of_the_registry():
    """`python -m properties.table` prints what must stand there."""
    assert readme_table() in README


@pytest.mark.parametrize(
    ("name", "how"),
    [("spectrum", "bound"), ("value", "bound"), ("causality", "bits"), ("range", "exact"), ("chain rule", "bound")],
)
def test_a_law_that_takes_a_fraction_of_a_derived_bound_is_no_exact_one(name, how):
    """By whatever means it compares: law "spectrum" has a bound of its own."""
    assert equal_in(sys.modules[registry()[name][0].body.__module__]) == how


def test_the_readme_names_every_capability_and_every_built_in_subject():
    """Whoever adds a subject reads there what it may declare."""
    assert all(f"`{name}`: {words}" in README for name, words in CAPABILITIES.items())
    assert all(f"`{name}`" in README for name in BUILT_IN)


def test_the_readmes_profiles_are_those_of_the_program():
    """Counts of examples, as registered."""
    for name in conftest.PROFILES:
        assert re.search(rf"^\| {name} \| {settings.get_profile(name).max_examples:,} \|", README, re.MULTILINE), name


def test_a_profile_that_does_not_exist_is_a_usage_error():
    """It names those that do; the run's own stays."""
    kept = settings.default
    with pytest.raises(pytest.UsageError, match=r"^--hypothesis-profile must be one of dev, ci, .*; got 'fast'\.$"):
        conftest.load_profile("fast")
    assert settings.default == kept


def test_a_run_has_the_profile_that_was_asked_for(monkeypatch):
    """Before any subject is loaded; without one it is that of CI."""
    asked = []
    monkeypatch.setattr(conftest, "load_profile", asked.append)
    for name in ("deep", None):
        given = {"--hypothesis-profile": name, "--subject": ["numpy_twin"]}
        conftest.pytest_configure(SimpleNamespace(getoption=given.get))
    assert asked == ["deep", "ci"]


def test_the_readme_names_the_laws_that_grant_the_rounding_of_their_own_sums():
    """Those in whose file float64's roundoff stands."""
    own = re.compile(r'2\.0\*\*-5[23]|unit\("float64"\)')
    names = [name for name, laws in registry().items() if own.search(source_of(laws[0]))]
    named = re.search(r"Where a law itself goes on in float64 \(([^)]*)\)", README)[1]
    assert re.findall(r'"([^"]+)"', named) == sorted(names)


def source_of(law):
    """The text of a law's file."""
    return Path(sys.modules[law.body.__module__].__file__).read_text()


def test_the_readmes_commands_are_modules_that_exist():
    """Each `python -m properties...` can be asked for help."""
    modules = set(re.findall(r"python -m (properties(?:\.\w+)+)", README))
    assert {"properties.false_alarms", "properties.table"} <= modules
    assert all((ROOT / f"{module.replace('.', '/')}.py").exists() for module in modules)


def test_every_fault_names_laws_that_exist_and_no_two_share_a_name():
    """A fault attached to a misspelt law would kill nothing."""
    assert {law for fault in FAULTS for law in fault.laws} == set(registry())
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)


@pytest.mark.parametrize("name", sorted(registry()))
def test_a_law_has_a_sentence_a_file_of_its_name_and_a_way_to_compare(name):
    """Its docstring's first line says the property; its tests' docstrings say theirs."""
    modules = {law.body.__module__ for law in registry()[name]}
    assert modules == {f"properties.test_{name.replace(' ', '_')}"}
    module = sys.modules[modules.pop()]
    assert (module.__doc__ or "").startswith(f'Law "{name}": ')
    assert equal_in(module)
    for law in registry()[name]:
        assert law.statement.endswith(".") and set(law.needs) <= set(CAPABILITIES)
