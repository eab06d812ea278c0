"""Where a subject's cases are run: guarded, so that whatever it does ends as a sentence about the law it broke.

`InProcess` runs a subject here: exceptions and results of a wrong form become sentences, changed arguments are noticed
and put back, and a failing case can be shown with its numbers and explained. `properties.child` runs one in a process
of the subject's own.
"""

from __future__ import annotations

import contextlib
import copy
import traceback
import warnings
from collections.abc import Callable, Collection, Iterator
from numbers import Real
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from properties.cases import Plan
from properties.explain import explain
from properties.form import look, mistake
from properties.handed_in import Form, arrays_of, form_of, other_form, reform
from properties.laws import TALLY, Broken, Guard, Law, may_leave_out
from properties.reduce import bare
from properties.roundoff import declared_by, granted
from properties.snippet import Shown, shown
from properties.subject import Subject
from properties.subjects.plain import in_roundoffs

METHODS = (
    *("forward", "backward", "backwards", "double_backward", "stack", "stack_backward", "feed_back"),
    *("head", "head_backward", "loss", "updates", "clip", "export", "restore"),
)
"""What a law may ask of a subject."""

SUITE = Path(__file__).parent


class Description(NamedTuple):
    """What the suite asks of a subject before it runs a case."""

    name: str
    version: str
    cells: tuple[str, ...]
    dtypes: tuple[str, ...]
    capabilities: frozenset[str]
    pooled: bool
    share: float
    alphas: dict[str, float]


def description(subject: Subject) -> Description:
    """A subject's own words.

    Raises:
        ValueError: its cells, dtypes or capabilities are no words, its alpha is no number from 0 to 4 roundoffs, or its
            `activation_error` is out of bounds, or stands beside `products`.
    """
    declared_by(subject)
    cells, dtypes, capabilities = (words_of(subject, name) for name in ("cells", "dtypes", "capabilities"))
    alphas = {dtype: alpha_of(subject, dtype) for dtype in dtypes}
    about = (subject.name, subject.version, cells, dtypes, frozenset(capabilities))
    return Description(*about, subject.pooled, subject.share, alphas)


def words_of(subject: Subject, attribute: str) -> tuple[str, ...]:
    """A subject's attribute that lists words: a string alone would be taken for its letters.

    Raises:
        ValueError: it does not.
    """
    found = getattr(subject, attribute)
    if isinstance(found, str) or not isinstance(found, Collection) or not all(isinstance(one, str) for one in found):
        raise ValueError(
            f"`{attribute}` of {subject.name} must be words in a tuple, a list or a set, even one alone; got {found!r}."
        )
    return tuple(found)


def alpha_of(subject: Subject, dtype: str) -> float:
    """A subject's alpha in units of its roundoff; see `in_roundoffs`."""
    alpha = subject.alpha(dtype)
    return in_roundoffs(subject.name, alpha / subject.u(dtype) if isinstance(alpha, Real) else alpha)


class Described(Guard):
    """A guard that says of its subject what laws ask."""

    def __init__(self, about: Description) -> None:
        self.about = about
        self.name, self.version, self.cells, self.dtypes, self.capabilities, self.pooled, self.share, self.alphas = (
            about
        )


class InProcess(Described):
    """A subject in this process."""

    def __init__(self, subject: Subject) -> None:
        super().__init__(description(subject))
        self.subject = subject
        self.reported = False
        self.explained: dict[tuple[str, str], str] = {}

    def case(self, law: Law, cell: str, dtype: str, plan: Plan) -> float | None:
        """See Guard."""
        before = dict(vars(TALLY))  # the suite's own, where that is in this process too
        TALLY.reset()
        try:
            with self.caught(law, cell, dtype, plan) as subject:
                law.body(subject=subject, cell=cell, dtype=dtype, plan=plan)
            return TALLY.worst
        finally:
            vars(TALLY).update(before)

    def open(self, law: Law, cell: str, dtype: str) -> Player:
        """See Guard."""
        return Player(self, law, cell, dtype)

    @contextlib.contextmanager
    def caught(self, law: Law, cell: str, dtype: str, plan: Plan | None) -> Iterator[Any]:
        """The subject to ask, watched: what it raises becomes Broken, and so does the first argument it changes."""
        of = f"{cell} {dtype}, {plan}"
        watched = Watched(self.subject, law.name, of)
        try:
            with warnings.catch_warnings(), granted(self.subject):
                warnings.simplefilter("ignore")
                yield watched
        except Exception as error:
            if error is not watched.raised:  # it arose in the law's own lines
                self.report(watched, of)  # first: it may be why the law is broken
                if isinstance(error, AssertionError) or not watched.bad:
                    raise
                raise Broken(f"{self.name}: {watched.bad} {of}", form=mistake(watched.bad)) from error
            kind, at, text = type(error).__name__, where(error), one_line(error)
            alike = f"{kind}{at or bare(f': {text}')}"  # in a library's own code: its words, without the case's sizes
            sentence = f"{self.name}: raised {kind}{at}: {text}. {of}"
            raise Broken(sentence, kind="raised", name=kind, form=alike) from error
        self.report(watched, of)

    def report(self, watched: Watched, of: str) -> None:
        """Says that an argument was changed: once, since law "purity" itself says it whenever it is so."""
        if watched.changed and not self.reported:
            self.reported = True
            raise Broken(f"{self.name}: {watched.changed} {of}", kind="changed", law="purity") from None

    def shown(self, law: Law, cell: str, dtype: str, plan: Plan) -> Shown:
        """The failing case with its numbers; see properties.snippet."""
        with granted(self.subject):
            return shown(self.subject, law, cell, dtype, plan)

    def explain(self, cell: str, dtype: str) -> str:
        """What would explain wrong values or gradients, in words, or ""; see properties.explain. Found out once."""
        if (cell, dtype) not in self.explained:
            with warnings.catch_warnings(), np.errstate(all="ignore"), granted(self.subject):
                warnings.simplefilter("ignore")
                self.explained[cell, dtype] = explain(self.subject, cell, dtype)
        return self.explained[cell, dtype]


class Player:
    """A machine's player whose calls are guarded."""

    def __init__(self, guard: InProcess, law: Law, cell: str, dtype: str) -> None:
        self.guard, self.law, self.cell, self.dtype = guard, law, cell, dtype
        self.player = law.player(guard.subject, cell, dtype)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*args: Any) -> None:
            plan = next((a for a in args if isinstance(a, Plan)), None)
            with self.guard.caught(self.law, self.cell, self.dtype, plan) as subject:
                self.player.subject = subject
                getattr(self.player, name)(*args)

        return call


class Watched:
    """A subject whose calls are looked at: what it changed of its arguments is put back and said, and so is a result
    that has not the form that its call asks for."""

    def __init__(self, subject: Subject, law: str, of: str) -> None:
        self.watched, self.law, self.of = subject, law, of
        self.compared = law != "purity"  # whose cases look for themselves
        self.changed, self.raised = "", None
        self.malformed, self.absent = "", {}

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.watched, name)
        if name not in METHODS:
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            given = [(n, a) for n, a in arrays_of(args, kwargs) if a.flags.writeable] if self.compared else []
            before = [(form_of(a), a.copy()) for _, a in given]
            result = None
            try:
                result = found(*args, **kwargs)
            except Exception as error:
                self.raised = None if isinstance(error, Broken) else error
                if isinstance(error, Broken):  # an adapter has looked at what its function gives
                    error.facts["form"] = mistake(str(error))
                raise
            finally:
                changed = [
                    (called, array, form, was)
                    for (called, array), (form, was) in zip(given, before, strict=True)
                    if form_of(array) != form or array.tobytes() != was.tobytes()
                ]
                if changed:
                    result = copy.deepcopy(result)  # it may be, or see, what is put back
                for one in changed:
                    self.put_back(name, *one)
            self.look_at(name, args, kwargs, result)
            return result

        return call

    def put_back(self, method: str, name: str, array: np.ndarray, form: Form, was: np.ndarray) -> None:
        """Says what changed, once, and undoes it."""
        reformed = other_form(name, array, form)
        if reformed:
            self.changed = self.changed or f"{method} {reformed}"
            reform(array, form)
        if not self.changed:
            other = (array != was) & ~(np.isnan(array) & np.isnan(was)) | (np.signbit(array) != np.signbit(was))
            place = tuple(map(int, np.argwhere(other)[0])) if other.any() else (0,) * array.ndim
            self.changed = (
                f"{method} changed {name} of shape {was.shape}: its entry {list(place)} was {was[place]!s}, "
                f"is {array[place]!s}."
            )
        array[...] = was

    def look_at(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        """Looks at a result's form.

        Raises:
            Broken: it has not the one that the call asks for, and the law cannot do with another.
        """
        wrong, absent, breaks = look(self.law, name, args, kwargs, result)
        self.malformed = self.malformed or wrong
        asked = (one for one in absent if not may_leave_out(self.watched, one.removeprefix("gradient by ")))
        self.absent |= dict.fromkeys(asked, name)
        if breaks:
            raise Broken(f"{self.watched.name}: {wrong} {self.of}", form=mistake(wrong))

    @property
    def bad(self) -> str:
        """What of the results so far a law may have stumbled over, in words, or ""."""
        absent = ", ".join(f"the {what} of {method}" for what, method in self.absent.items())
        return self.malformed or (f"{absent} must be given; None came." if absent else "")


def where(error: BaseException) -> str:
    """The file and line of the subject's own code in which an exception arose, or ""."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not Path(f.filename).is_relative_to(SUITE)]
    own = [f for f in frames if "site-packages" not in f.filename and not f.filename.startswith("<")]
    return f" ({Path(own[-1].filename).name}, line {own[-1].lineno})" if own else ""


def one_line(error: BaseException) -> str:
    """What an exception says, in a line of at most 300 characters."""
    text = " ".join(str(error).split()) or "without a message"
    return (text if len(text) <= 300 else text[:297] + "...").rstrip(".")
