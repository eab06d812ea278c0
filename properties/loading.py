"""What `--subject` names: a built-in name, MODULE[:ATTR], or path/to/file.py[:NAME]; and what can be a subject."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import re
import sys
from collections.abc import Callable
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from properties.subject import Subject

OWN = {
    "numpy_twin": "properties.subjects.numpy_twin",
    "torch_twin": "properties.subjects.torch_twin",
    "torch_nn": "properties.subjects.torch_nn",
}
"""The plain twins, and the oracle that is not ours."""

OUR_FORMS = {
    "numpy_fast": "properties.subjects.numpy_fast",
    "numpy_compiled": "properties.subjects.numpy_compiled",
    "torch_module": "properties.subjects.torch_module",
    "torch_vendor": "properties.subjects.torch_vendor",
    "torch_fused": "properties.subjects.torch_fused",
}
"""Other forms of the twins. `make test` judges these and OWN; verdicts on all are on OWN and OUTSIDE."""

NEEDS = {"numpy_compiled": "numba", "torch_fused": "triton"}
"""What a form needs beside what every install has."""

OUTSIDE = {
    "onnx_runtime": "properties.subjects.onnx_runtime",
    "onnx_reference": "properties.subjects.onnx_reference",
    "keras_torch": "properties.subjects.keras_torch",
    "keras_jax": "properties.subjects.keras_jax",
    "flax_linen": "properties.subjects.flax_linen",
    "flax_nnx": "properties.subjects.flax_nnx",
    "equinox_cells": "properties.subjects.equinox_cells",
    "jax_rnn": "properties.subjects.jax_rnn",
    "mlx_cpu": "properties.subjects.mlx_cpu",
}
"""Libraries of the extra "subjects"."""

BUILT_IN = OWN | OUR_FORMS | OUTSIDE
FORMS = (
    "a properties.subject.Subject; a function lstm(x, h0, c0, weight_ih, weight_hh, bias_ih, bias_hh) or "
    "rnn(x, h0, ...); a module of course-style functions (lstm_forward, ...); a torch.nn.Module class with the "
    "constructor of torch.nn.LSTM, RNN, LSTMCell or RNNCell"
)


def judged_by_default() -> list[str]:
    """OWN and those of OUR_FORMS whose library is installed."""
    return [name for name in OWN | OUR_FORMS if name not in NEEDS or importlib.util.find_spec(NEEDS[name])]


def load(word: str) -> Subject:
    """The first subject that a word names; see `load_all`."""
    return load_all(word)[0]


def load_all(word: str) -> list[Subject]:
    """The subjects that a word names: a course-style file may have two.

    Raises:
        ValueError: it names nothing that can be loaded or judged; one line that says so.
    """
    from properties.guard import description  # which reads the laws

    try:
        found, name = resolved(word)
    except (Exception, SystemExit) as error:
        names = ", ".join(BUILT_IN)
        raise ValueError(
            f"--subject must be {names}, MODULE[:ATTR] or path/to/file.py[:NAME]; got {word!r}: {with_its_kind(error)}"
        ) from error
    try:
        subjects = adapted(found, name)
        for subject in subjects:
            description(subject)
        return subjects
    except ValueError as error:
        raise ValueError(f"--subject={word}: {' '.join(str(error).split())}") from error
    except (Exception, SystemExit) as error:  # of the subject's own constructor, attributes or alpha
        raise ValueError(f"--subject={word}: {with_its_kind(error)}") from error


def with_its_kind(error: BaseException) -> str:
    """What an exception is and says, in a line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def resolved(word: str) -> tuple[Any, str]:
    """What a word names, and what it is called in a report."""
    path = re.fullmatch(r"(.*\.py)(?::(\w+))?", word)
    if path:
        module, attribute = from_file(Path(path[1])), path[2]
    else:
        name, _, attribute = word.partition(":")
        refuse_path(name)
        module = importlib.import_module(BUILT_IN.get(name, name))
    if attribute:
        return getattr(module, attribute), attribute
    return getattr(module, "subject", module), module.__name__.rpartition(".")[2]


def refuse_path(name: str) -> None:
    """Refuses a path where a module is named, since importing it would say nothing of files.

    Raises:
        ValueError: the name holds a separator, or has a suffix and is that of a file.
    """
    path = Path(name)
    if not ("/" in name or "\\" in name or (path.suffix and path.is_file())):
        return
    rule = "a file must end in .py"
    if Path(f"{name}.py").is_file():
        raise ValueError(f"{rule}: name {name}.py")
    notebook = f": `jupyter nbconvert --to script {name}` makes one" if path.suffix == ".ipynb" else ""
    raise ValueError(rule + notebook)


def from_file(path: Path) -> ModuleType:
    """A file as a module of its name; files beside it can be imported by it."""
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    loader = AsWritten(path.stem, str(path.resolve()))
    spec = importlib.util.spec_from_file_location(path.stem, path.resolve(), loader=loader)
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


class AsWritten(SourceFileLoader):
    """Compiles a file as it is now.

    Bytecode that Python keeps beside it is known by the file's second and size alone, so that an edit of one digit
    within a second would be judged as it was before.
    """

    def get_code(self, fullname: str) -> CodeType:
        """From the text, whatever is kept."""
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


def adapted(found: Any, name: str) -> list[Subject]:
    """An object as subjects.

    Raises:
        ValueError: it is nothing that can be one; the message says what can.
    """
    from properties.subjects import course
    from properties.subjects.function import Function

    if isinstance(found, type) and issubclass(found, Subject):
        found = found()
    if isinstance(found, Subject):
        return [found]
    if isinstance(found, (list, tuple)) and found and all(isinstance(one, Subject) for one in found):
        return list(found)
    if is_torch_module(found):
        from properties.subjects.module import Module

        return [Module(found, name)]
    if course.is_course(found):
        return course.subjects(found, name)
    functions = {cell: getattr(found, cell) for cell in ("rnn", "lstm") if callable(getattr(found, cell, None))}
    if functions:
        alone = len(functions) == 1
        return [Function(function, name if alone else f"{name}:{cell}", cell) for cell, function in functions.items()]
    if callable(found) and (name in ("rnn", "lstm") or takes_a_sequence(found)):
        return [Function(found, name, name)]
    classes = [kind for kind in own_classes(found) if is_torch_module(kind) or issubclass(kind, Subject)]
    if len(classes) == 1:
        return adapted(classes[0], classes[0].__name__)
    choice = ""
    if classes:
        names = ", ".join(kind.__name__ for kind in classes)
        choice = f", which has the classes {names}: name one as {Path(found.__file__).name}:{classes[-1].__name__}"
    raise ValueError(f"a subject must be {FORMS}; got {name!r}, a {type(found).__name__}{choice}.")


def own_classes(found: Any) -> list[type]:
    """The classes that a module (a file) defines itself, in its order; of anything else none."""
    if not isinstance(found, ModuleType):
        return []
    own = (a for a in vars(found).values() if isinstance(a, type) and a.__module__ == found.__name__)
    return list(dict.fromkeys(own))  # one may have several names


def takes_a_sequence(function: Callable[..., Any]) -> bool:
    """Whether a function's arguments begin with x and h0."""
    return list(inspect.signature(function).parameters)[:2] == ["x", "h0"]


def is_torch_module(found: Any) -> bool:
    """Whether it is a torch.nn.Module or a class of them; torch is not imported for it."""
    kind = found if isinstance(found, type) else type(found)
    return any(base.__module__ == "torch.nn.modules.module" and base.__name__ == "Module" for base in kind.__mro__)
