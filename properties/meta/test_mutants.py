"""The account of mutation testing: verdicts counted, survivors compared with the arguments, and what is wrong said."""

import re
import tomllib
from pathlib import Path

import pytest

from properties import mutants
from properties.mutants import Change, complaints, main, read_arguments, read_change, read_verdicts, share_killed, table

VERDICTS = """
    impl.spec.x_unpack__mutmut_1: killed
    impl.numpy_twin.rnn.x_step__mutmut_8: survived
    impl.numpy_twin.rnn.x_step__mutmut_10: timeout
    impl.numpy_twin.loss.x_select__mutmut_1: no tests
    impl.torch_twin.rnn.x_step__mutmut_8: killed
"""
SHOWN = """# impl.numpy_twin.rnn.x_step__mutmut_8: survived
--- impl/numpy_twin/rnn.py
+++ impl/numpy_twin/rnn.py
@@ -11,4 +11,4 @@
     h_next = tanh(a)
-    return State(h_next), Cache(x, h, h_next)
+    return State(h_next), Cache(None, h, h_next)
"""
LINES = ("-return State(h_next), Cache(x, h, h_next)", "+return State(h_next), Cache(None, h, h_next)")
STEP = Change("impl.numpy_twin.rnn.x_step", LINES)
ARGUED = f"""# Survivors

### `impl.numpy_twin.rnn.x_step__mutmut_9`, `impl.torch_twin.rnn.x_step__mutmut_9`

```diff
{LINES[0]}
{LINES[1]}
```

Nobody reads it,
whatever it is.

### `impl.spec.x_unpack__mutmut_7`

```diff
-a
+b
```

Both are the same.
"""


def enough(**verdicts):
    """Verdicts of a hundred killed mutants in each twin, and of others."""
    return {f"{twin}.rnn.x_step__mutmut_{n}": "killed" for twin in mutants.TWINS for n in range(100, 200)} | verdicts


def test_verdicts_are_read_from_what_mutmut_prints():
    """One a line; other lines are none."""
    found = read_verdicts("some words: killed\n" + VERDICTS)
    assert len(found) == 5
    assert found["impl.numpy_twin.loss.x_select__mutmut_1"] == "no tests"


def test_a_change_is_known_by_its_function_and_its_lines_not_by_its_number():
    """File names and what stays are left out; so is how far a line is indented."""
    assert read_change("impl.numpy_twin.rnn.x_step__mutmut_8", SHOWN) == STEP
    assert read_change("impl.numpy_twin.rnn.x_step__mutmut_9", SHOWN.replace("-    return", "-  return")) == STEP


def test_an_argument_holds_for_every_name_above_its_diff():
    """The twins share lines, and so an argument."""
    found = read_arguments(ARGUED)
    twin = Change("impl.torch_twin.rnn.x_step", LINES)
    assert found.keys() == {STEP, twin, Change("impl.spec.x_unpack", ("-a", "+b"))}
    assert found[STEP] == found[twin] == "Nobody reads it,\nwhatever it is."


def test_a_survivor_without_an_argument_and_an_argument_without_a_survivor_are_said():
    """Each with its lines; what is argued and alive is said by nobody."""
    alive = {"impl.numpy_twin.rnn.x_step__mutmut_8": STEP, "impl.spec.x_leaves__mutmut_1": Change("x", ("-c", "+d"))}
    verdicts = enough() | dict.fromkeys(alive, "survived")
    arguments = {STEP: "why", Change("impl.spec.x_unpack", ("-a", "+b")): "why"}
    assert complaints(verdicts, alive, arguments) == [
        "impl.spec.x_leaves__mutmut_1 (survived) is not argued in mutants.md:\n-c\n+d",
        "mutants.md argues a change of impl.spec.x_unpack that was killed or is not made:\n-a\n+b",
    ]


@pytest.mark.parametrize(("survivors", "said"), [(5, []), (6, ["94.3"])])
@pytest.mark.parametrize("twin", mutants.TWINS)
def test_a_twin_of_which_fewer_than_95_percent_are_killed_is_said(twin, survivors, said):
    """100 killed and 5 alive are 95.2 %, and 6 alive are 94.3 %; the other twin does not make up for it."""
    verdicts = enough() | {f"{twin}.optim.x_sgd__mutmut_{n}": "survived" for n in range(survivors)}
    found = complaints(verdicts, {}, {})
    assert found == [f"{twin}: {p} % of the mutants are killed; it must be 95 % at least." for p in said]


def test_a_mutant_that_runs_on_and_on_counts_as_killed_and_one_without_tests_does_not():
    """As a mutant that fails a test does; a module's part is the table's last column."""
    assert share_killed(["killed", "timeout", "segfault", "survived"]) == 0.75
    assert share_killed(["no tests", "suspicious", "skipped", "killed"]) == 0.25
    rows = {line.split()[0]: line.split()[1:] for line in table(read_verdicts(VERDICTS))}
    assert rows["impl.numpy_twin.rnn"] == ["2", "1", "1", "1", "50.0"]
    assert rows["impl.numpy_twin"] == ["3", "1", "1", "2", "33.3"]
    assert rows["impl.torch_twin"] == ["1", "1", "0", "0", "100.0"]
    assert rows["impl"] == ["5", "3", "1", "2", "60.0"]


def asked(verdicts):
    """What stands for mutmut: it prints these verdicts, and one change for whatever is shown."""
    text = "\n".join(f"    {name}: {verdict}" for name, verdict in verdicts.items())
    return lambda *words: text if words == ("results", "--all", "true") else SHOWN


@pytest.mark.parametrize(
    ("verdict", "argued", "status", "says"),
    [
        ("killed", "", 0, "100.0"),
        ("survived", ARGUED.split("###")[1].replace(", `impl.torch_twin.rnn.x_step__mutmut_9`", ""), 0, "99.5"),
        ("survived", "", 1, "impl.numpy_twin.rnn.x_step__mutmut_8 (survived) is not argued"),
        ("not checked", "", 1, "was not finished"),
    ],
)
def test_the_exit_status_says_whether_all_is_argued(verdict, argued, status, says, capsys):
    """0 where the survivor is argued; 1 where it is not, or where the run was cut short."""
    verdicts = enough(**{"impl.numpy_twin.rnn.x_step__mutmut_8": verdict})
    argued = f"###{argued}" if argued else ""
    assert main(asked(verdicts), argued) == status
    assert says in capsys.readouterr().out


def test_without_mutmut_one_line_says_so(monkeypatch, tmp_path, capsys):
    """And the exit status is neither that of an account nor of a survivor."""
    monkeypatch.setattr(mutants.sys, "executable", str(tmp_path / "python"))
    assert main() == 2
    said = capsys.readouterr().err
    assert said == "error: `mutmut` must be installed beside this Python: the extra 'mutants' has it.\n"


def test_the_committed_arguments_can_all_be_read():
    """No heading is lost on the way: a diff of two lines or more and a sentence follow each name."""
    text = mutants.ARGUMENTS.read_text()
    names = [name for line in re.findall(r"^### (.+)$", text, re.MULTILINE) for name in re.findall(r"`([^`]+)`", line)]
    found = read_arguments(text)
    assert names and len(found) == len(names)
    assert all(change.lines and argument.rstrip(")").endswith(".") for change, argument in found.items())


def test_what_mutants_are_not_shown_is_there():
    """A file or test that was renamed would be asked again, and one that cannot run beside mutants ends mutmut."""
    root = Path(__file__).parents[2]
    settings = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["tool"]["mutmut"]
    words = (word.rpartition("=")[2] for word in settings["pytest_add_cli_args_test_selection"])
    for path, _, test in (word.partition("::") for word in words):
        text = (root / path).read_text("utf-8") if test else ""
        assert (root / path).exists() and (not test or f"def {test}(" in text), (path, test)
    assert all(list(root.glob(pattern)) for pattern in settings["do_not_mutate"])
