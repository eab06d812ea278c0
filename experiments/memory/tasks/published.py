"""What others published of these tasks, and what a pilot of ours measured: plain data, each with its source."""

from __future__ import annotations

from typing import NamedTuple


class Pilot(NamedTuple):
    """Of one arm on one task: the final values' least and largest (equal: one number), in the task's unit, after
    `updates`; or how many seeds solved, of how many, and the updates by which all had (again least and largest). None:
    not given."""

    values: tuple[float, float] | None = None
    updates: int | None = None
    solved_by: tuple[int, int] | None = None
    solved: tuple[int, int] | None = None


PILOT = {
    ("copy", "lstm_chrono"): Pilot((8.8, 12.6), 1500),
    ("copy", "lstm_b1"): Pilot((4.3, 6.8), 1500),
    ("copy", "rnn_uniform"): Pilot((0.0, 2.0), 3000),
    ("copy", "rnn_orthogonal"): Pilot((0.0, 2.0), 3000),
    ("parity", "lstm_b1"): Pilot(solved_by=(150, 150), solved=(8, 8)),
    ("parity", "rnn_uniform"): Pilot(solved_by=(400, 1200), solved=(8, 8)),
    ("parity", "rnn_orthogonal"): Pilot(solved_by=(400, 1200), solved=(8, 8)),
    ("flip_flop", "lstm_b1"): Pilot(solved_by=(200, 200), solved=(4, 4)),
    ("flip_flop", "rnn_uniform"): Pilot(solved_by=(250, 250), solved=(8, 8)),
    ("flip_flop", "rnn_orthogonal"): Pilot(solved_by=(250, 250), solved=(8, 8)),
    ("digits", "lstm_b1"): Pilot((0.75, 0.86), 600),
    ("digits", "rnn_orthogonal"): Pilot((0.58, 0.93)),
    ("mnist1d", "lstm_b1"): Pilot((0.76, 0.86), 1000),
    ("mnist1d", "rnn_orthogonal"): Pilot((0.44, 0.44)),
    ("mnist1d", "rnn_uniform"): Pilot((0.09, 0.22)),
}
"""A pilot with torch.nn.LSTM and a batched RNN, other seeds, 1 to 24 of them. Where it does not say which start a value
belongs to, the LSTM's is laid to b_f = 1, the RNN's to both starts."""

PILOT_ALIKE = ("parity", "flip_flop", "digits")
"""The tasks of which the pilot says that they do not tell the cells apart."""


class Published(NamedTuple):
    """One number of the literature.

    Attributes:
        task, cell, source, setting, unit, value: as published.
        comparable: what differs from our setting; "" where ours is theirs.
        laid: where it stands in the figure: "position" (between chance and the best), "sequences", or "" if nowhere.
        size: (family, H, B, D, steps, updates) of a run at its setting, where these are known: what it would cost.
    """

    task: str
    cell: str
    source: str
    setting: str
    unit: str
    value: float
    comparable: str
    laid: str = ""
    size: tuple[str, int, int, int, int, int] | None = None


HOCHREITER, GREYDANUS = "Hochreiter, Schmidhuber 1997", "Greydanus, Kobak 2024 (arXiv 2011.14439), table of results"
UNNAMED, BAI = "not named in our notes", "Bai, Kolter, Koltun 2018 (TCN); bits computed from its mean loss"
TALLEC, PASCANU = "Tallec, Ollivier 2018 (chrono)", "Pascanu, Mikolov, Bengio 2013"
DELETANG = "Deletang et al. 2023"
MORE_DATA = "a seventh more training data, longer training"

PUBLISHED = (
    Published("mnist1d", "GRU", GREYDANUS, "40 steps", "share right", 0.91, f"GRU; {MORE_DATA}", "position"),
    Published("mnist1d", "CNN", GREYDANUS, "40 steps", "share right", 0.94, f"no recurrence; {MORE_DATA}", "position"),
    Published("mnist1d", "MLP", GREYDANUS, "40 steps", "share right", 0.68, f"no recurrence; {MORE_DATA}", "position"),
    Published(
        "mnist1d", "logistic", GREYDANUS, "40 steps", "share right", 0.32, "a seventh more training data", "position"
    ),
    Published(
        "copy",
        "LSTM",
        BAI,
        "K = 10, T = 1000",
        "bits recalled of 30",
        -0.02,
        "K = 10, T = 1000",
        "position",
        ("lstm", 128, 32, 10, 1020, 1000),
    ),
    Published(
        "copy",
        "RNN",
        BAI,
        "K = 10, T = 1000",
        "bits recalled of 30",
        0.27,
        "K = 10, T = 1000",
        "position",
        ("rnn", 128, 32, 10, 1020, 1000),
    ),
    Published(
        "copy",
        "EURNN",
        UNNAMED,
        "K = 10, T = 1000",
        "bits recalled of 30",
        13.8,
        "K = 10, T = 1000; a unitary RNN, which is no arm here",
        "position",
    ),
    Published(
        "copy",
        "LSTM chrono",
        TALLEC,
        "K = 10, H = 128, RMSprop 1e-3",
        "largest T at which it leaves the plateau",
        2000,
        "a length, where ours is bits at one length; K = 10, H = 128, RMSprop",
    ),
    Published(
        "temporal_order_3",
        "LSTM",
        HOCHREITER,
        "length 100 to 110, experiment 6b",
        "sequences until solved",
        571_100,
        "length 100 to 110 (40 here), LSTM without forget gate, one sequence an update, its own criterion",
        "sequences",
    ),
    Published(
        "multiplication",
        "LSTM",
        HOCHREITER,
        "T = 100, experiment 5",
        "sequences until solved",
        482_000,
        "T = 100 (50 here), LSTM without forget gate, one sequence an update, its own criterion",
        "sequences",
    ),
    Published(
        "temporal_order",
        "LSTM",
        HOCHREITER,
        "length 100 to 110, experiment 6a",
        "sequences until solved",
        31_390,
        "two marks: the part on rising lengths has this task",
        "",
        ("lstm", 16, 32, 6, 100, 981),
    ),
    Published(
        "temporal_order",
        "RNN",
        PASCANU,
        "5 seeds",
        "longest length solved",
        200,
        "a length; two marks: the part on rising lengths has this task",
    ),
    Published(
        "adding",
        "LSTM",
        UNNAMED,
        "T = 100, H = 128, batch 50, Adam 2e-4",
        "updates until it leaves the plateau",
        3300,
        "H = 128 and a rate of 2e-4; the part on rising lengths has this task",
        "",
        ("lstm", 128, 50, 2, 100, 3300),
    ),
    Published(
        "adding",
        "LSTM",
        UNNAMED,
        "T = 500, H = 128, batch 50, Adam 2e-4",
        "updates until it leaves the plateau",
        9600,
        "H = 128, T = 500",
        "",
        ("lstm", 128, 50, 2, 500, 9600),
    ),
    Published(
        "adding",
        "LSTM",
        UNNAMED,
        "T = 1000, H = 128, batch 50",
        "updates without leaving the plateau",
        19_000,
        "H = 128, T = 1000",
        "",
        ("lstm", 128, 50, 2, 1000, 19_000),
    ),
    Published("adding", "LSTM", BAI, "T = 600", "mean squared error", 0.164, "T = 600; at chance (1/6)"),
    Published("adding", "RNN", BAI, "T = 600", "mean squared error", 0.177, "T = 600; at chance (1/6)"),
    *(
        Published(
            "adding",
            "LSTM",
            HOCHREITER,
            f"T = {T}, experiment 4",
            "sequences until solved",
            value,
            "the part on rising lengths has this task; LSTM without forget gate, its own criterion",
        )
        for T, value in ((100, 74_000), (500, 209_000), (1000, 853_000))
    ),
    Published(
        "parity",
        "LSTM",
        DELETANG,
        "trained to 40, tested to 500; H = 256, batch 128, rate 1e-3",
        "share right",
        0.999,
        "the least of four regular tasks, parity among them; H = 256, answer at the end alone, tested to 500",
        "position",
    ),
    Published(
        "sequential MNIST",
        "LSTM",
        UNNAMED,
        "784 steps, H = 100",
        "share right",
        0.989,
        "MNIST is the user's to bring; 784 steps, 60,000 pictures",
        "",
        ("lstm", 100, 32, 1, 784, 1000),
    ),
    *(
        Published("sequential MNIST", "RNN", UNNAMED, "784 steps", "share right", value, "MNIST is the user's to bring")
        for value in (0.350, 0.215)
    ),
    Published(
        "permuted MNIST",
        "LSTM",
        UNNAMED,
        "784 steps, H = 512",
        "share right",
        0.954,
        "MNIST is the user's to bring",
        "",
        ("lstm", 512, 32, 1, 784, 1000),
    ),
    Published(
        "permuted MNIST", "LSTM chrono", TALLEC, "784 steps", "share right", 0.963, "MNIST is the user's to bring"
    ),
)
"""As our notes have them: where those name no paper or table, none is named here. A size whose updates nobody states is
given for 1000 updates of 32 rows."""
