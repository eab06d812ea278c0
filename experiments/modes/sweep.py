"""What is measured, as plain data: four modes on data of their own, both cells, and a control with nothing to learn; or
both cells on a file of the user's."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

from experiments.harness.costs import core_seconds
from experiments.harness.sweep import Group, Options
from experiments.modes import own
from experiments.modes.data import DATA, DECIDING, OWN
from experiments.modes.rates import rate

EXPERIMENT, VERSION = "modes", 1
ARMS = {"rnn": "rnn_orthogonal", "lstm": "lstm_b1"}
CLIP, DECAY = 1.0, 0.3
SEEDS = {"smoke": 8, "tour": 8, "quick": 8, "full": 16}
LOOKS = 12
"""Times that the validation rows are looked at while a group is trained."""

OWN_INPUTS, SHUFFLED = "own", "shuffled_in_training"


class Setting(NamedTuple):
    """How a cell is trained on some data: units, rows of a batch, updates in the quick preset."""

    H: int
    B: int
    updates: int


SETTINGS = {
    ("digit_names", "rnn"): Setting(32, 32, 300),
    ("digit_names", "lstm"): Setting(32, 32, 300),
    ("digit_rows", "rnn"): Setting(32, 32, 300),
    ("digit_rows", "lstm"): Setting(32, 32, 300),
    ("mnist1d", "rnn"): Setting(32, 32, 1000),
    ("mnist1d", "lstm"): Setting(32, 32, 1000),
    ("dates", "rnn"): Setting(64, 64, 1500),
    ("dates", "lstm"): Setting(64, 64, 750),
    ("moving_digits", "rnn"): Setting(64, 32, 300),
    ("moving_digits", "lstm"): Setting(64, 32, 300),
    ("moving_labels", "rnn"): Setting(64, 32, 800),
    ("moving_labels", "lstm"): Setting(64, 32, 800),
    (OWN, "rnn"): Setting(64, 32, 1000),
    (OWN, "lstm"): Setting(64, 32, 1000),
}

OWN_RATE = 3e-3
"""Adam's rate on a user's file, for which none is searched."""

SHARE = {"tour": {"digit_names": 1.0, "digit_rows": 1.0, "dates": 0.5, "moving_digits": 0.5, OWN: 0.3}}
SHARE |= {"quick": dict.fromkeys([*DATA, OWN], 1.0), "full": dict.fromkeys([*DATA, OWN], 3.0)}
SHARE["smoke"] = dict.fromkeys([*DATA, OWN], 0.0)
"""Times the quick preset's updates, by preset, for the data that it has."""

LEAST, ROWS = 4, {"smoke": 60}
"""Updates of a group, however small its share; the most held-out rows of a part, by preset: else all."""


def groups(preset: str, options: Options) -> list[Group]:
    """All seeds of each cell on each data set, and the control where the data decide; of the user's file alone if one
    is given.

    Raises:
        OwnError: the user's file does not fit.
    """
    if options.data is not None:
        return list(of_file(preset, options))
    names = [name for name in DATA if name in SHARE[preset]]
    pairs = [(name, inputs) for name in names for inputs in (OWN_INPUTS, SHUFFLED)]
    wanted = [(n, i) for n, i in pairs if i == OWN_INPUTS or (n in DECIDING.values() and preset != "tour")]
    return [group(DATA[name], cell, inputs, preset, options) for name, inputs in wanted for cell in ARMS]


def of_file(preset: str, options: Options) -> Iterator[Group]:
    """The groups of a user's file: every mode that it has labels for."""
    found = own.load(options.data)
    for mode in own.modes(found):
        for cell in ARMS:
            yield group(own.task(found, mode), cell, OWN_INPUTS, preset, options, found.sha256)


def group(
    task: Any, cell: str, inputs: str, preset: str, options: Options, sha256: str = "", lr: float | None = None
) -> Group:
    """One cell on some data, at the rate that was chosen unless another is given; `sha256` is that of a user's file."""
    at, seeds = SETTINGS[task.NAME, cell], SEEDS[preset]
    updates = max(LEAST, round(SHARE[preset][task.NAME] * at.updates))
    settings = {"mode": task.MODE, "data": task.NAME, "arm": ARMS[cell], "inputs": inputs}
    lr = lr or (OWN_RATE if task.NAME == OWN else rate(task.NAME, cell))
    settings |= {"H": at.H, "B": at.B, "lr": lr, "clip": CLIP, "decay": DECAY}
    settings |= {"updates": updates, "every": -(-updates // LOOKS), "rows": ROWS.get(preset)}
    return Group(
        experiment=EXPERIMENT,
        version=VERSION,
        setting=f"{task.MODE}/data={task.NAME}/cell={cell}/inputs={inputs}",
        settings=settings,
        seeds=tuple(range(seeds)),
        dtype="float32",
        engine=options.engine,
        data=sha256,
        cost=cost(task, cell, settings, seeds),
        corpus=str(options.data.absolute()) if sha256 else "",
    )


SHOWN = {"rnn": 1e-8, "lstm": 2e-8}
"""Core-seconds of a number of an input in an update, beside those of `core_seconds`: it is drawn, copied and, in the
gradient by the input weights, read again. What counts little in memory, with its one or two features, counts here."""

ANSWERED = 2
"""Times the cost of a row that is looked at: models that hear themselves do so by the plain loop."""


def cost(task: Any, cell: str, settings: dict[str, Any], seeds: int) -> float:
    """Predicted core-seconds of a group: it learns, looks at validation rows, and answers the test rows three times."""
    x, target, *_ = task.test()
    rows = (min(part()[1].shape[1], settings["rows"] or sys.maxsize) for part in (task.validation, task.test))
    looked = ANSWERED * sum(times * n for times, n in zip((LOOKS, 3), rows, strict=True))
    steps = len(x.source) + len(x.forced) if task.MODE == "delayed" else len(x)
    updates, H, B = settings["updates"], settings["H"], settings["B"]
    shown = SHOWN[cell] * updates * B * seeds * steps * task.D
    return shown + core_seconds(settings["arm"], H, B, seeds, steps, updates, looked, task.D, len(target))
