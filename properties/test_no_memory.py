"""Law "no memory": no call sees an earlier one."""

from dataclasses import replace

import numpy as np
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from properties.cases import arrays, outputs, plans, results, stack_outputs
from properties.laws import TALLY, all_same_bits, fit, law

SEEN = ("mxnet#16037", "pytorch#65688")


class Player:
    """Makes the calls, keeps what they gave, and compares: it runs where the subject does."""

    def __init__(self, subject, cell, dtype):
        self.subject, self.cell, self.dtype = subject, cell, dtype
        self.seen = []

    def results(self, case):
        """All that the subject says of a case: outputs without a state (what it kept would show), with it, and more.

        The first step alone comes first: who takes a single step for a stream's next one goes on from the call before.
        """
        call, found = replace(case.call, state=None), {}
        for of, asked in (("one step", replace(call, x=call.x[:1], lengths=None)), ("all steps", call)):
            alone = outputs(self.subject.forward(asked))
            found |= {f"{name} of {of} without a state": a for name, a in alone.items()}
        found |= results(self.subject, case.call, case.cotangent)
        return found | (self.loss(case.cotangent.h) if "loss" in self.subject.capabilities else {})

    def loss(self, y):
        """Loss and gradient of some scores, whose targets go round."""
        targets = np.arange(y[..., 0].size).reshape(y.shape[:-1]) % y.shape[-1]
        return dict(zip(("loss", "dy"), self.subject.loss(y, targets), strict=True))

    def numbers(self, case):
        """The arrays of a case's call that hold numbers."""
        return [a for a in arrays(case.call) if a.dtype == self.dtype]

    def compare(self, case, what, wanted):
        """The case's results now against those wanted."""
        all_same_bits(self.subject, case, self.results(case), wanted, f"of {what}")

    def keep(self, n, case, wanted):
        """The n-th call's results, and a copy of them."""
        self.seen[n:] = [(case, wanted, {name: a.copy() for name, a in wanted.items()}), *self.seen[n + 1 :]]

    def call(self, plan):
        """A call of other sizes, weights and lengths."""
        case = plan.case(self.cell, self.dtype)
        self.keep(len(self.seen), case, self.results(case))

    def again(self, n):
        """An earlier call, unchanged, gives the same bits as it did."""
        case, _, wanted = self.seen[n]
        self.compare(case, "a repeated call", wanted)

    def change(self, n):
        """Weights and inputs that are written to count as they are now, as in arrays of their own; so when restored."""
        case = self.seen[n][0]
        for what, factor in (("changed", 0.5), ("restored", 1.0)):
            fresh = case.plan.case(self.cell, self.dtype)
            for array, now in zip(self.numbers(fresh), self.numbers(case), strict=True):
                array *= np.asarray(factor, array.dtype)
                now[...] = array
            wanted = self.results(fresh)
            self.compare(case, f"a call with {what} arrays", wanted)
        self.keep(n, case, wanted)

    def train_then_evaluate(self, plan):
        """A step in training leaves no trace in evaluation."""
        case = plan.case(self.cell, self.dtype)
        wanted = stack_outputs(self.subject.stack(case.stack))
        self.subject.stack(replace(case.stack, dropout=0.5, train=True))
        got = stack_outputs(self.subject.stack(replace(case.stack, dropout=0.5)))
        all_same_bits(self.subject, case, got, wanted, "in evaluation")

    def what_was_handed_out_stays(self):
        """No later call writes to an earlier result."""
        for case, given, copies in self.seen:
            all_same_bits(self.subject, case, given, copies, "handed out earlier")


class Calls(RuleBasedStateMachine):
    """Calls in any order: a new one, an earlier one again, an earlier one with other numbers in the same arrays.

    Whatever came between, equal numbers give equal bits: the same call again gives what it gave before, and changed
    arrays give what fresh ones with the same numbers do.
    """

    def __init__(self, subject, player):
        super().__init__()
        self.subject, self.player, self.seen = subject, player, 0

    @rule(plan=plans(largest=5) | plans(largest=5, lengths=True))
    def call(self, plan):
        """A call of other sizes, weights and lengths."""
        plan = plan if "lengths" in self.subject.capabilities else replace(plan, lengths=None)
        plan = fit(plan, self.subject)
        with TALLY.case(plan):
            self.player.call(plan)
        self.seen += 1

    @precondition(lambda self: self.seen)
    @rule(data=st.data())
    def again(self, data):
        """An earlier call, unchanged."""
        self.player.again(data.draw(st.integers(0, self.seen - 1)))

    @precondition(lambda self: self.seen)
    @rule(data=st.data())
    def change(self, data):
        """An earlier call with changed arrays, and with those restored.

        One rule for both: Hypothesis leaves rules out of a run, so that each further one is a chance less for the rest.
        """
        self.player.change(data.draw(st.integers(0, self.seen - 1)))

    @precondition(lambda self: {"layers", "dropout"} <= self.subject.capabilities)
    @rule(plan=plans(layers=(2,), largest=4))
    def train_then_evaluate(self, plan):
        """A step in training, between two in evaluation."""
        self.player.train_then_evaluate(plan)

    @invariant()
    def what_was_handed_out_stays(self):
        """No later call writes to an earlier result."""
        self.player.what_was_handed_out_stays()


@law("no memory", None, seen_in=SEEN, share=0.25, player=Player)
def test_no_call_sees_an_earlier_one(subject, cell, dtype, play):
    """Repeats, changed weights, other lengths, training, evaluation, in any order: equal numbers give equal bits."""
    play(Calls)
