"""Trains kept models further: from the last update of their file, with all that it kept, into a file beside it.

The new file begins as a copy that says it was stopped where the old one stands; `learning` then goes on from it, and
does so again after a kill.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from experiments.harness import saved
from experiments.harness.endings import Told, UsageError
from experiments.harness.engine import cores, engine, threads
from experiments.harness.executor import THREADS, keep_buffers
from experiments.harness.progress import Progress
from experiments.harness.saved import Saved, SavedError
from experiments.harness.sweep import Group, code
from experiments.language_model import learning
from experiments.language_model.characters import CONTIGUOUS, INTERLEAVED, task
from experiments.language_model.lanes import Lanes
from experiments.language_model.parts import EXPERIMENT, PARTS
from experiments.language_model.text.sweep import PART
from experiments.language_model.trained import Trained, finite, load, refusing
from experiments.tasks import text
from impl.spec import Model

NEEDED = ("T", "B", "reset", "lr", "clip", "decay", "evaluations", "lanes", "warmup")
"""The settings, beside those that `trained.load` asks for, that a training cannot go on without."""


class Diverged(Told):
    """A training has ended with models that are not finite; one line that says which."""


class Outcome(NamedTuple):
    """The file that was written, its seeds, the validation loss (E,) before and after, nats a character, and the seeds
    whose weights or loss are not finite any more."""

    path: Path
    seeds: list[int]
    before: np.ndarray
    after: np.ndarray
    diverged: list[int]


def done(asked: Any, corpus: str | Path | None, form: str) -> Outcome:
    """Trains further.

    Args:
        asked: file, updates, rate (None for the file's).
        corpus: the text, as `text.load` takes it.
        form: the engine.
    Raises:
        UsageError: an option, the file or the text cannot be used; one line.
    """
    check_numbers(asked)
    with refusing():
        return continued(load(asked.file), asked, corpus, form)


def told(done: Outcome, updates: int) -> str:
    """How the validation loss changed over so many updates and which file was written, in lines."""
    losses = {"before": done.before, f"after {updates:,} more updates": done.after}
    lines = [f"validation loss {when}: {in_words(loss, done.seeds)}" for when, loss in losses.items()]
    return "\n".join([*lines, str(done.path)])


def refuse_diverged(done: Outcome) -> None:
    """Lets no training that has diverged pass for one that has succeeded.

    Raises:
        Diverged: a model's weights or its loss are not finite.
    """
    if done.diverged:
        which = ", ".join(f"seed {seed}" for seed in done.diverged)
        what = "diverged, with weights or a loss that are not finite"
        raise Diverged(f"{what}: {which} in {done.path}; a smaller --rate may keep them so.")


def in_words(loss: np.ndarray, seeds: list[int]) -> str:
    """The median and each seed's."""
    each = ", ".join(f"seed {seed} {value:.4f}" for seed, value in zip(seeds, loss.tolist(), strict=True))
    return f"median {np.median(loss):.4f} nats a character ({each})"


def continued(trained: Trained, asked: Any, corpus: str | Path | None, form: str) -> Outcome:
    """Trains the models of a file further on their text, from where a stop left the new file if there is one.

    Raises:
        SavedError: the file lacks what a training goes on from.
        CorpusError: the text is another one.
    """
    check_settings(trained)
    group, source = group_of(trained, asked, corpus, form), source_of(trained, corpus)
    keep_buffers()
    with threadpool_limits(THREADS), threads(cores()):
        twin = engine(form)
        lanes, loss, look, facts = task(group, source, twin, trained.facts["setting"])
        model = twin.asarray(trained.model)
        begin(group, twin, lanes, model, trained.file)
        before = loss(model)
        with Bar(trained.facts["step"], group) as bar:
            model, _ = learning.learn(group, twin, lanes, model, look, bar.checkpoint, facts)
        after = loss(model)
    sound = finite(twin.numpy(model)) & np.isfinite(after)
    diverged = [seed for seed, is_sound in zip(group.seeds, sound, strict=True) if not is_sound]
    return Outcome(learning.path_of(group), list(group.seeds), before, after, diverged)


def group_of(trained: Trained, asked: Any, corpus: str | Path | None, form: str) -> Group:
    """The group whose training begins with the file's: its settings, with more updates, the last of them falling.

    The rate falls over a share of the further updates; `decay` is that of all updates, so the share itself is kept too,
    for the next continuation.
    """
    facts, s, path = trained.facts, trained.facts["settings"], trained.file.path
    updates, share = facts["step"] + asked.updates, s.get("share", s["decay"])
    more = {"updates": updates, "decay": share * asked.updates / updates, "share": share, "lr": asked.rate or s["lr"]}
    more["after"] = {name: facts[name] for name in ("key", "code", "step")}
    where = {"corpus": text.place(corpus), "keep": str(path.parent)}
    words = (EXPERIMENT, PARTS.version, f"{path.stem}-plus{asked.updates}", s | more, tuple(facts["seeds"]))
    return Group(*words, facts["dtype"], form, facts["data"], 1.0, **where)


def source_of(trained: Trained, corpus: str | Path | None) -> text.Text:
    """The text that the models were trained on.

    Raises:
        CorpusError: what was given, or the default text, is another one.
    """
    source, facts = text.load(corpus), trained.facts
    if (source.sha256, source.alphabet) != (facts["data"], trained.alphabet):
        asked = f"{facts['text']}, SHA-256 {facts['data']}"
        came = f"{corpus or 'the default text'}, SHA-256 {source.sha256}"
        raise text.CorpusError(f"`corpus` must be the text that the models have learnt, {asked}; got {came}.")
    return source


def begin(group: Group, twin: Any, lanes: Lanes, model: Model, file: Saved) -> None:
    """Writes the new file as it stands before the first of the further updates, unless some are done already.

    Raises:
        SavedError: the old file lacks what a training goes on from.
    """
    check_course(group, lanes, file)
    learning.update_of(group, twin, lanes, model, file)
    if learning.begun(group, twin, lanes, model).update is None:
        own = {"key": group.key, "setting": group.setting, "settings": group.settings, "engine": group.engine}
        saved.write(learning.path_of(group), file.arrays, file.facts | own | {"code": code(*learning.CODE)})


class Bar:
    """Progress in updates, with the time that is left."""

    def __init__(self, step: int, group: Group) -> None:
        self.step, done = step, saved.read(learning.path_of(group)).facts["step"] - step
        self.bar = Progress(group.settings["updates"] - step, initial=done, unit=" updates")

    def __enter__(self) -> Bar:
        """The bar itself."""
        return self

    def __exit__(self, *_: Any) -> None:
        """Ends the bar."""
        self.bar.close()

    def checkpoint(self, done: int, total: int) -> None:
        """What a training calls after each update."""
        self.bar.update(done - self.step - self.bar.n)


# What is refused


def check_numbers(asked: Any) -> None:
    """Refuses numbers that no training can be asked for."""
    if asked.updates < 1:
        raise UsageError(f"--updates must be 1 or more, since so many are added; got {asked.updates}.")
    if asked.rate is not None and not 0 < asked.rate < math.inf:
        raise UsageError(f"--rate must be a number above 0, since it is Adam's step size; got {asked.rate}.")


def check_settings(trained: Trained) -> None:
    """Refuses a file whose training was not that of text by characters, or which does not say how it went."""
    s, path = trained.facts["settings"], trained.file.path
    if s.get("part") != PART:
        raise SavedError(f"`path` must hold models of the part {PART}, whose training goes on; got {path} of the part "
                         f"{s.get('part')}.")  # fmt: skip
    needed = NEEDED + (("share",) if "share" in s else ())
    missing = [name for name in needed if not isinstance(s.get(name), int | float)]
    missing += [] if s.get("split") in (CONTIGUOUS, INTERLEAVED) else ["split"]
    missing += [name for name in ("key", "code", "data", "setting") if not isinstance(trained.facts.get(name), str)]
    if missing:
        raise SavedError(f"`path` must say how its training went; got {path}, which lacks {', '.join(missing)}.")


def check_course(group: Group, lanes: Lanes, file: Saved) -> None:
    """Refuses a file without places, random numbers and losses of as many models as it has."""
    E = len(group.seeds)
    saved.check(file, "lanes", lanes.at.shape, lanes.at.dtype.name)
    saved.check(file, "losses", (len(file.arrays.get("losses", ())), E), "float64")
    count = len(file.facts.get("rngs", ()))
    if count != E:
        raise SavedError(f"`rngs` must be {E}, one a model; got {count} in {file.path}.")
