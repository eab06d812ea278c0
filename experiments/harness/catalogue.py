"""The experiments there are, and where each one's sweep and analysis stand."""

from __future__ import annotations

import ast
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from experiments.harness.endings import UsageError
from experiments.harness.engine import HOLLOW, on_device
from experiments.harness.sweep import PRESETS, Group, Options
from experiments.tasks.arguments import DataError

EXPERIMENTS = ("gradient_flow", "memory", "modes", "language_model", "instrument", "speed", "speed_gpu")


VERDICTS = "verification"
"""The report that is no experiment's: the verdicts on subjects, which `verify` gives."""


def chosen(name: str) -> tuple[str, ...]:
    """The experiments that a name on the command line means: its own, or every one for "all".

    Raises:
        UsageError: there is no such experiment.
    """
    if name == "all":
        return EXPERIMENTS
    if name not in EXPERIMENTS:
        raise UsageError(f"there is no experiment {name!r}; there are all, {', '.join(EXPERIMENTS)}.")
    return (name,)


def reported(name: str) -> tuple[str, ...]:
    """The reports that a name on the command line means.

    Raises:
        UsageError: there is no such report.
    """
    every = (*EXPERIMENTS, VERDICTS)
    if name not in (*every, "all"):
        raise UsageError(f"there is no report {name!r}; there are all, {', '.join(every)}.")
    return every if name == "all" else (name,)


def sweep(name: str, preset: str, options: Options) -> list[Group]:
    """The groups of an experiment, in the sweep's order.

    Raises:
        UsageError: there is no such preset, or a file of the user's cannot be used.
    """
    if preset not in PRESETS:
        raise UsageError(f"there is no preset {preset!r}; there are {', '.join(PRESETS)}.")
    try:
        return import_module(f"experiments.{name}.sweep").groups(preset, options)
    except DataError as error:
        raise UsageError(" ".join(str(error).split())) from error


def chosen_engine(form: str, device: str) -> str:
    """The engine on its device, as `on_device` takes them from the command line.

    Raises:
        UsageError: it cannot compute there, there is no such device, or no numba.
    """
    try:
        return on_device(form, device)
    except ValueError as error:
        raise UsageError(str(error).replace("`device`", "--device").replace("`engine`", "--engine")) from error


def named_engine(form: str, device: str) -> str:
    """The engine on its device; a device that is named, and numba, is taken at its word: it may be another machine's.

    Raises:
        UsageError: the engine cannot compute there.
    """
    if form == "compiled" and device in ("auto", "cpu"):
        return form
    named = form in ("auto", "torch") and device not in ("auto", "cpu")
    return f"torch:{device}" if named else chosen_engine(form, device)


def refuse_absent(engine: str) -> None:
    """Looks for an engine's device here, and for numba.

    Raises:
        UsageError: there is no such device, or no numba.
    """
    form, named, device = engine.partition(":")
    chosen_engine(form, device if named else "cpu")


def refuse_nameless(engine: str) -> None:
    """Refuses an engine on what is no device of any machine.

    Raises:
        UsageError: torch cannot read its name.
    """
    _, named, device = engine.partition(":")
    if named and not is_name(device):
        raise UsageError(f"--device must be what torch calls a device, such as cuda or cuda:1; got {device!r}.")


def is_name(device: str) -> bool:
    """Whether torch takes this for the name of a device, on whatever machine that may be."""
    import torch

    try:
        return torch.device(device).type != HOLLOW
    except RuntimeError:
        return False


def alone(name: str) -> bool:
    """Whether an experiment's groups disturb each other, as clocks do: they run one at a time, after all others."""
    return getattr(import_module(f"experiments.{name}.sweep"), "ALONE", False)


def spared(name: str, folder: Path) -> str:
    """Why an experiment's report in a folder is not to be written anew by this machine, or ""."""
    return getattr(import_module(f"experiments.{name}.sweep"), "spared", lambda folder: "")(folder)


def analysis(name: str) -> ModuleType:
    """The module whose `analyse` makes an experiment's report from records; imported late, since it draws."""
    return import_module(f"experiments.{name}.analysis")


def predicted(name: str) -> list[str]:
    """What an experiment predicts before it is run, in lines; none where it has no module `predicted`."""
    package = f"experiments.{name}"
    return list(import_module(f"{package}.predicted").lines()) if find_spec(f"{package}.predicted") else []


def about(name: str) -> str:
    """The first line of what an experiment's folder says of itself, read without importing it."""
    source = (Path(__file__).parent.parent / name / "__init__.py").read_text("utf-8")
    return (ast.get_docstring(ast.parse(source)) or "").split("\n")[0]
