"""A subject as small as one NumPy function.

    lstm(x, h0, c0, weight_ih, weight_hh, bias_ih, bias_hh) -> hs, hT, cT
    rnn(x, h0, weight_ih, weight_hh, bias_ih, bias_hh) -> hs, hT

x is (T, B, D), hs (T, B, H), the states (B, H), weights and biases as torch.nn has them. Attributes of the function say
where it differs; `backward`, if there is one, takes the gradients by the outputs and then the function's arguments, and
gives a gradient for each of these:

    lstm.gates = "ifog"; lstm.transposed = True; lstm.batch_first = True; lstm.biases = 1; lstm.alpha = 2
    lstm.dtypes = ("float64",); lstm.capabilities = ("checks",)
    lstm.backward = lambda dhs, dhT, dcT, x, h0, c0, weight_ih, weight_hh, bias_ih, bias_hh: ...

Absent biases and an absent initial state are handed over as zeros. Arguments are handed over by place: but for x their
names are free. Under another name than `lstm` or `rnn` a function is an LSTM if it has a c0; `cell` says otherwise.
"""

from __future__ import annotations

import difflib
import inspect
import keyword
import sys
from collections.abc import Callable, Collection
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from impl.spec import DTYPES
from properties.laws import Broken
from properties.subject import CAPABILITIES
from properties.subjects.plain import Conventions, Plain

ATTRIBUTES = ("gates", "transposed", "batch_first", "biases", "alpha", "dtypes", "capabilities", "backward", "cell")
OUTPUTS = {"lstm": ("hs", "hT", "cT"), "rnn": ("hs", "hT"), "rnn_relu": ("hs", "hT")}


class Function(Plain):
    """One function, and its backward if it has one."""

    def __init__(self, function: Callable[..., Any], name: str, found_as: str = "") -> None:
        """Takes a function by its name in a report and that under which it was found.

        Raises:
            ValueError: it is another callable, an attribute is unknown or has a wrong value, or the arguments are
                others; the message names it.
        """
        if not (inspect.isfunction(function) or inspect.ismethod(function)):
            raise ValueError(
                f"{name} must be a function that Python has the source of; got a {type(function).__name__}: write "
                f"`def lstm(x, h0, ...): return ...` around it."
            )
        options = {n: getattr(function, n) for n in ATTRIBUTES if hasattr(function, n)}
        refuse_unknown(function, name)
        cell = options.get("cell") or cell_of(function, found_as)
        self.called, imports = imports_of(function, found_as)
        self.function, self.reverse, self.cell = function, options.get("backward"), cell
        one = chosen(name, "biases", options.get("biases", 2), (1, 2)) == 1
        super().__init__(
            name,
            self.run,
            self.pull if self.reverse else None,
            conventions=Conventions(
                gates=options.get("gates", "ifgo"),
                transposed=chosen(name, "transposed", options.get("transposed", False), (False, True)),
                batch_first=chosen(name, "batch_first", options.get("batch_first", False), (False, True)),
                biases="input" if one else "both",
            ),
            cells=(chosen(name, "cell", cell, tuple(OUTPUTS)),),
            dtypes=subset(name, "dtypes", options.get("dtypes", DTYPES), DTYPES),
            capabilities=(*subset(name, "capabilities", options.get("capabilities", ()), CAPABILITIES), "cell state"),
            alpha=options.get("alpha", 0),
            version=f"numpy {np.__version__}",
            imports=imports,
        )
        self.source = ()
        self.refuse_others()

    def refuse_others(self) -> None:
        """Refuses functions that cannot be called with what they are given, which would be told as a broken law."""
        names = self.arguments("x", "h0", "c0", "weight_ih", "weight_hh", "bias_ih", "bias_hh")
        lengths = ["lengths"] if "lengths" in self.capabilities else []
        if not takes(self.function, names, lengths):
            raise ValueError(
                f"arguments of {self.name} must be x and what stands for ({', '.join(names[1:] + lengths)}), since as "
                f"{self.cell} it is called with these; got ({', '.join(inspect.signature(self.function).parameters)})."
            )
        if not self.reverse:
            return
        names = [*(f"d{name}" for name in OUTPUTS[self.cell]), *names]
        if not callable(self.reverse):
            raise ValueError(f"{self.name}.backward must be a function; got {self.reverse!r}.")
        if not can_be_called(self.reverse, names, lengths):
            raise ValueError(
                f"arguments of {self.name}.backward must be what stands for ({', '.join(names + lengths)}), since as "
                f"{self.cell} it is called with these; got ({', '.join(inspect.signature(self.reverse).parameters)})."
            )

    def arguments(self, x: Any, h0: Any, c0: Any, W: Any, R: Any, b: Any, b2: Any) -> list[Any]:
        """The function's own arguments."""
        state = (h0, c0) if self.cell == "lstm" else (h0,)
        return [x, *state, W, R, b, *(() if self.conventions.biases == "input" else (b2,))]

    def run(self, cell: str, *given: Any) -> tuple[Any, ...]:
        """See Plain."""
        *arrays, lengths = given
        more = {} if lengths is None else {"lengths": lengths}
        found = several(self.name, self.function(*self.arguments(*arrays), **more), OUTPUTS[cell])
        return (*(own(a) for a in found), None)[:3]

    def pull(self, cell: str, *given: Any) -> list[Any]:
        """See Plain."""
        *arrays, lengths, dh, dhT, dcT = given
        more = {} if lengths is None else {"lengths": lengths}
        cotangents = (dh, dhT, dcT) if cell == "lstm" else (dh, dhT)
        names = ["dx", "dh0", *(["dc0"] if cell == "lstm" else []), "dweight_ih", "dweight_hh"]
        names += ["dbias"] if self.conventions.biases == "input" else ["dbias_ih", "dbias_hh"]
        found = several(self.name, self.reverse(*cotangents, *self.arguments(*arrays), **more), tuple(names))
        found = [own(a) for a in found]
        if cell != "lstm":
            found.insert(2, None)
        return [*found, None][:7]

    def text(self, cell: str, gradients: bool) -> str:
        """See Plain."""
        names = self.arguments("x", "h0", "c0", "weight_ih", "weight_hh", "bias_ih", "bias_hh")
        name = self.called
        if not gradients:
            return f"{', '.join(OUTPUTS[cell])} = {name}({', '.join(names)})"
        d = ["dh", "dhT", *(["dcT"] if cell == "lstm" else [])]
        return f"{', '.join(f'd{n}' for n in names)} = {name}.backward({', '.join([*d, *names])})"

    def results(self, cell: str) -> dict[str, str]:
        """See Plain."""
        return super().results(cell) | {"h": "hs"}


def cell_of(function: Callable[..., Any], found_as: str) -> str:
    """The cell that it is called, or else: an LSTM has a c0 among its arguments."""
    if found_as in ("rnn", "lstm"):
        return found_as
    return "lstm" if "c0" in inspect.signature(function).parameters else "rnn"


def takes(function: Callable[..., Any], names: list[str], keywords: list[str]) -> bool:
    """Whether a function's arguments begin with x and are as many, by place, as the names, and then the keywords."""
    first = next(iter(inspect.signature(function).parameters.values()), None)
    if first is None or (first.name != "x" and first.kind != inspect.Parameter.VAR_POSITIONAL):
        return False
    return can_be_called(function, names, keywords)


def can_be_called(function: Callable[..., Any], names: list[str], keywords: list[str]) -> bool:
    """Whether a function takes as many arguments, by place, as the names, and then the keywords."""
    try:
        inspect.signature(function).bind(*names, **dict.fromkeys(keywords))
    except TypeError:
        return False
    except ValueError:  # a compiled function may have no signature to read
        return True
    return True


def refuse_unknown(function: Callable[..., Any], name: str) -> None:
    """Refuses an attribute that means nothing here: a convention must not be lost by a slip of the pen."""
    for given in vars(function) if hasattr(function, "__dict__") else ():
        if given not in ATTRIBUTES and not given.startswith("_"):
            near = difflib.get_close_matches(given, ATTRIBUTES, 1, 0.4)
            perhaps = f" (perhaps {near[0]}?)" if near else ""
            raise ValueError(f"attributes of {name} must be among {', '.join(ATTRIBUTES)}; got {given!r}{perhaps}.")


def chosen(name: str, attribute: str, value: Any, among: tuple[Any, ...]) -> Any:
    """A value that is one of a few."""
    if value not in among:
        raise ValueError(f"{name}.{attribute} must be one of {', '.join(map(str, among))}; got {value!r}.")
    return value


def subset(name: str, attribute: str, values: Any, among: Any) -> tuple[str, ...]:
    """Values that are all among a few."""
    if isinstance(values, str) or not isinstance(values, Collection) or any(value not in among for value in values):
        raise ValueError(f"{name}.{attribute} must be some of {', '.join(among)}; got {values!r}.")
    return tuple(values)


def several(name: str, found: Any, names: tuple[str, ...]) -> tuple[Any, ...]:
    """What came, if it is as many NumPy arrays as have names.

    Raises:
        Broken: it is something else; a sentence says what.
    """
    if not isinstance(found, (tuple, list)) or len(found) != len(names):
        got = f"{len(found)} values" if isinstance(found, (tuple, list)) else f"a {type(found).__name__}"
        raise Broken(f"{name}: must return {len(names)} arrays, {', '.join(names)}; got {got}.")
    for what, array in zip(names, found, strict=True):
        if not isinstance(array, (np.ndarray, np.generic)):
            raise Broken(f"{name}: `{what}` must be a NumPy array; got a {type(array).__name__}.")
    return tuple(found)


def own(array: Any) -> np.ndarray:
    """The array as it came: the laws look at its memory."""
    return array if isinstance(array, np.ndarray) else np.asarray(array)


def imports_of(function: Callable[..., Any], found_as: str) -> tuple[str, str]:
    """What its module calls a function, and how a program gets it; the function's own name and "" where none can."""
    module = sys.modules.get(function.__module__)
    for name in (found_as, function.__name__, "subject"):
        if module is not None and getattr(module, name, None) is function:
            return name, imported(module, [name])
    return function.__name__, ""


def imported(module: ModuleType, names: list[str]) -> str:
    """How a program gets what bears some names in a module, whose own name need be none of Python's; "" if it cannot.

    The path is the folder that the module's name starts from: of a package's module that of the package.
    """
    file = Path(getattr(module, "__file__", None) or "")
    parts = [file.stem] if module.__name__ == "__main__" else module.__name__.split(".")
    package = file.stem == "__init__" != parts[-1]
    if not package and file.stem != parts[-1]:  # there is no file, or no program can import one of its name
        return ""
    path = f"sys.path.insert(0, {str(file.parents[len(parts) - 1 + package])!r})"
    name = ".".join(parts)
    if all(part.isidentifier() and not keyword.iskeyword(part) for part in parts):
        return f"import sys\n\nimport numpy as np\n\n{path}\nfrom {name} import {', '.join(names)}"
    lines = [f"{own} = file.{own}" for own in names]
    found = f"file = importlib.import_module({name!r})"
    return "\n".join(["import importlib\nimport sys\n\nimport numpy as np\n", path, found, *lines])
