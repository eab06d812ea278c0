"""A failing case as its user would write it: the arguments of the call that went wrong, and a program that makes it.

A case runs once more with every call recorded; the one whose result holds the wrong number, or the last one, is shown
in the subject's own conventions, and of a loss the scores, targets and mask. A subject of plain functions
(properties/subjects/plain.py) also gets a program that uses its library alone: it prints what comes and what must come,
and fails while the two differ. There is none where a correct implementation would fail in it too: what one call must
give may come from another one, which is wrong itself.
"""

from __future__ import annotations

import builtins
import inspect
import pickle
import re
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from properties.cases import Plan, arrays, gradients, named, outputs
from properties.form import look
from properties.laws import Broken, Law
from properties.subject import Call, Subject
from properties.subjects.numpy_twin import subject as TWIN
from properties.subjects.plain import Plain

LARGEST = 1500
"""Numbers of a call that are still written out."""


FEW = 100
"""Numbers of a call that are shown where it could not be made smaller."""


class Shown(NamedTuple):
    """The arguments, one array a line; the program; and the wrong entry in the subject's own arrays; or "" for each."""

    numbers: str
    program: str = ""
    place: str = ""


class Made(NamedTuple):
    """One call: what was asked, what came, or what was raised, and the names of arrays that could not be written."""

    method: str
    args: tuple[Any, ...]
    found: Any
    error: Exception | None
    read_only: tuple[str, ...] = ()


class Recorder:
    """A subject whose calls are kept, up to one whose result has a form that the law cannot do with."""

    def __init__(self, subject: Subject, law: str) -> None:
        self.subject, self.law, self.made = subject, law, []

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.subject, name)
        if not callable(found) or name in ("u", "alpha"):
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            kept, locked = copied(args), read_only(self.subject, name, args)
            try:
                result = found(*args, **kwargs)
            except Exception as error:
                self.made.append(Made(name, kept, None, error, locked))
                raise
            self.made.append(Made(name, kept, result, None, locked))
            wrong, _, breaks = look(self.law, name, args, kwargs, result)
            if breaks:
                raise Broken(wrong)
            return result

        return call


def copied(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Arguments as they are now; copies, which are dense."""
    return pickle.loads(pickle.dumps(args))


def read_only(subject: Subject, method: str, args: tuple[Any, ...]) -> tuple[str, ...]:
    """The names of a call's arrays that the subject gets and cannot write to."""
    if not args or not isinstance(args[0], Call) or all(a.flags.writeable for a in arrays(args[0])):
        return ()
    every = given_of(subject, args[0]) | cotangents_of(subject, Made(method, args, None, None))
    return tuple(name for name, a in every.items() if a is not None and not a.flags.writeable)


def shown(subject: Subject, law: Law, cell: str, dtype: str, plan: Plan) -> Shown:
    """The case of a plan, shown; `subject` is that of the process it runs in."""
    recorder, broken = Recorder(subject, law.name), None
    with np.errstate(all="ignore"):
        try:
            law.body(subject=recorder, cell=cell, dtype=dtype, plan=plan)
        except Exception as error:
            broken = error
    made = culprit(recorder.made, broken)
    if made is None or not (made.method == "loss" or isinstance(made.args[0], Call)) or size_of(made) > LARGEST:
        return Shown("")
    if made.method == "loss" or not isinstance(subject, Plain) or broken is None:
        return Shown(numbers(subject, made))
    located = made.error is None and getattr(broken, "got", None) is not None
    entry = entry_of(made, broken) if located else None
    place = None if entry is None else place_of(subject, made, *entry)
    text = "" if place and not passed_by_the_twin(made, broken, *entry) else program(subject, made, broken, place)
    return Shown(numbers(subject, made), text, place or "")


def culprit(made: list[Made], broken: Exception | None) -> Made | None:
    """The last call whose result holds the wrong number; else the last call of all, of a forward if there was one."""
    calls = [m for m in made if m.method in ("forward", "backward", "loss")]
    name = first_word(getattr(broken, "name", ""))
    for call in reversed(calls):
        if broken is not None and getattr(broken, "got", None) is not None and call.found is not None:
            array = results_of(call).get(name)
            if array is not None and holds(array, broken.got):
                return call
    return next((m for m in reversed(calls) if m.method != "loss"), calls[-1] if calls else None)


def size_of(made: Made) -> int:
    """How many numbers a call's own arguments hold, without cotangents."""
    return sum(a.size for a in (arrays(made.args[0]) if made.method != "loss" else made.args) if a is not None)


def first_word(name: str) -> str:
    """The name of an array, without what is said of it."""
    return name.split()[0] if name else ""


def results_of(made: Made) -> dict[str, np.ndarray]:
    """A call's results by the referee's names."""
    if made.method == "loss":
        return dict(zip(("loss", "dy"), made.found, strict=True))
    return outputs(made.found) if made.method == "forward" else gradients(made.found)


def holds(array: np.ndarray, value: float) -> bool:
    """Whether a number is in an array."""
    return bool((np.isnan(array) if np.isnan(value) else array == value).any())


def given_of(subject: Subject, call: Call) -> dict[str, Any]:
    """The call's arrays by name, in the subject's own conventions where it has some."""
    if isinstance(subject, Plain):
        found = subject.conventions.given(call)._asdict()
        found = {subject.words.get(name, name): a for name, a in found.items()}
    else:
        state = dict(zip(("h0", "c0"), call.state or (), strict=False))
        found = {"x": call.x, **state, **named(call.params)}
    return {**found, **({} if call.lengths is None else {"lengths": call.lengths})}


def cotangents_of(subject: Subject, made: Made) -> dict[str, Any]:
    """The cotangents of a backward call, likewise."""
    if made.method != "backward":
        return {}
    cotangent = made.args[1]
    dh = subject.conventions.sequence(cotangent.h) if isinstance(subject, Plain) else cotangent.h
    return {"dh": dh, **dict(zip(("dhT", "dcT"), cotangent.last, strict=False))}


def numbers(subject: Subject, made: Made) -> str:
    """The arguments, one array a line or more; those of a loss as the subject's own function has them."""
    if made.method == "loss":
        given = getattr(subject, "scored", scored)
        return listed(given(*made.args))
    return listed(given_of(subject, made.args[0]) | cotangents_of(subject, made))


def scored(y: np.ndarray, targets: np.ndarray, mask: np.ndarray | None = None) -> dict[str, Any]:
    """The arguments of a loss by name."""
    return {"scores": y, "targets": targets, "mask": mask}


def of_plan(cell: str, dtype: str, plan: Plan) -> str:
    """The arguments of a plan's call, in the suite's own conventions: where the subject does not live to show them."""
    call = plan.case(cell, dtype).call
    return listed(given_of(Subject(), call)) if sum(a.size for a in arrays(call)) <= FEW else ""


def listed(every: dict[str, Any]) -> str:
    """Arrays by name, as they are typed."""
    return "\n".join(f"{name} = {literal(a, f'{name} = ')}" for name, a in every.items() if a is not None)


def literal(array: Any, before: str = "") -> str:
    """An array as it is typed, after some words on the same line."""
    array = np.asarray(array)
    if not array.size:
        return f"np.zeros({array.shape}, {array.dtype.name!r})"
    how = {"separator": ", ", "floatmode": "unique", "threshold": array.size + 1, "max_line_width": 100}
    return f"np.array({np.array2string(array, prefix=before + 'np.array(', **how)}, {array.dtype.name!r})"


# Programs


def program(subject: Plain, made: Made, broken: Exception, place: str | None) -> str:
    """A program with the subject's own library that makes the call and fails while the result is wrong."""
    every = given_of(subject, made.args[0]) | cotangents_of(subject, made)
    call = subject.text(made.args[0].cell, made.method == "backward")
    every = {name: a for name, a in every.items() if re.search(rf"\b{name}\b", call)}
    values = "\n".join(f"{name} = {literal(a, f'{name} = ') if a is not None else None}" for name, a in every.items())
    # an array that the text of the call writes to itself is left as it is
    locked = [name for name in every if name in made.read_only and f"{name}[" not in call]
    values += "".join(f"\n{name}.flags.writeable = False" for name in locked)
    values += "\nlengths = None" if made.args[0].lengths is None and "lengths" in call else ""
    ending = verdict(made, broken, place, call)
    if not ending or not subject.imports:
        return ""
    parts = [subject.imports, *(inspect.getsource(function) for function in subject.source)]
    extra = "nan, inf = np.nan, np.inf\n" if re.search(r"\b(nan|inf)\b", values + ending) else ""
    numpy = "" if "import numpy as np" in subject.imports else "import numpy as np\n"
    return "\n\n".join([(numpy + parts[0]).strip(), *(p.strip() for p in parts[1:]), extra + values, ending]) + "\n"


def verdict(made: Made, broken: Exception, place: str | None, call: str) -> str:
    """The end of a program: the call, what comes of it, and the condition that it does not meet."""
    sentence = " ".join(str(broken).split())
    if made.error is not None:
        kind = type(made.error).__name__
        kind = kind if kind in vars(builtins) else "Exception"
        caught = f"except {kind} as error:\n    raise AssertionError('it raises') from error"
        return f"try:\n{textwrap.indent(call, '    ')}\n{caught}"
    if "must be refused" in sentence:
        return f"try:\n{textwrap.indent(call, '    ')}\nexcept Exception as error:\n    print('refused:', error)\n" + (
            f"else:\n    raise AssertionError({sentence!r})"
        )
    if place is None:
        return ""  # what is wrong is no single number of a single call: no program of a few lines shows it
    wanted = f"must be {broken.wanted!r}" + (f" within {broken.bound:.2g}" if broken.bound is not None else "")
    test = condition(broken)
    return f"{call}\ngot = {place}\nprint({place + ' is'!r}, got, {wanted!r})\nassert {test}"


def condition(broken: Broken) -> str:
    """What the number `got` must be, as an expression."""
    if np.isnan(broken.wanted):
        return "np.isnan(got)"
    if broken.bound is not None:
        return f"abs(got - {broken.wanted!r}) <= {broken.bound!r}"
    sign = "" if broken.wanted else f" and {'' if np.signbit(broken.wanted) else 'not '}np.signbit(got)"
    return f"got == {broken.wanted!r}{sign}"


def passed_by_the_twin(made: Made, broken: Broken, name: str, place: tuple[int, ...]) -> bool:
    """Whether the NumPy twin, which is correct, gives in this one call what a program would ask for."""
    try:
        with np.errstate(all="ignore"):
            found = results_of(made._replace(found=getattr(TWIN, made.method)(*copied(made.args))))[name][place]
    except Exception:
        return False
    return bool(eval(condition(broken), {"np": np, "inf": np.inf, "got": found}))


def fails(program: str, seconds: float) -> str:
    """How a program ends, run alone in an empty folder: "yes" by an assertion, a signal or no end in so many seconds,
    as a break does; "no" otherwise, and what came."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "program.py"
        path.write_text(program, "utf-8")
        try:
            done = subprocess.run(
                [sys.executable, str(path)], capture_output=True, text=True, timeout=seconds, cwd=folder
            )
        except subprocess.TimeoutExpired:
            return "yes (no end)"
    if done.returncode < 0:
        return "yes (ended by a signal)"
    last = (done.stderr.strip().splitlines() or [""])[-1]
    if done.returncode == 0:
        return "no"
    return "yes" if re.search("^AssertionError", done.stderr, re.MULTILINE) else f"no ({last[:100]})"


def entry_of(made: Made, broken: Broken) -> tuple[str, tuple[int, ...]] | None:
    """The array's name and the place in it of the entry that is wrong; None if it cannot be told."""
    name, found = first_word(broken.name), results_of(made)
    if name not in found or not holds(found[name], broken.got):
        return None
    array, wrong = found[name], np.isnan(found[name]) if np.isnan(broken.got) else found[name] == broken.got
    place = broken.place if array.ndim == len(broken.place) and inside(array, broken.place) else None
    if place is None or not wrong[place]:
        place = tuple(int(n) for n in np.argwhere(wrong)[0])
    return name, place


def place_of(subject: Plain, made: Made, name: str, place: tuple[int, ...]) -> str | None:
    """The expression of an entry in the subject's own layout; None where it has no name for the array."""
    theirs = in_their_layout(subject, made.args[0].cell, name, results_of(made)[name].shape, place)
    expression = subject.results(made.args[0].cell).get(name if made.method == "forward" else f"d{name}")
    return None if expression is None else f"{expression}[{', '.join(map(str, theirs))}]"


def inside(array: np.ndarray, place: tuple[int, ...]) -> bool:
    """Whether an array has a place."""
    return all(0 <= p < n for p, n in zip(place, array.shape, strict=True))


def in_their_layout(subject: Plain, cell: str, name: str, shape: tuple[int, ...], place: Any) -> tuple[int, ...]:
    """Where an entry of ours stands in the subject's own arrays: its number goes through the same conversion."""
    ours, c = np.arange(int(np.prod(shape))).reshape(shape), subject.conventions
    convert = {"h": c.sequence, "x": c.sequence}
    convert |= dict.fromkeys(("weight_ih", "weight_hh"), lambda a: c.weight(cell, a))
    convert |= dict.fromkeys(("bias_ih", "bias_hh"), lambda a: c.rows(cell, a))
    theirs = convert.get(name, lambda a: a)(ours)
    return tuple(int(n) for n in np.argwhere(theirs == ours[place])[0])
