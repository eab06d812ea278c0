"""For one step both twins give the same records, to the referee's bound for a correct implementation."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from experiments.gradient_flow import experiment, sweep
from experiments.gradient_flow.lags import experiment as lags
from experiments.gradient_flow.lags import sweep as lags_sweep
from experiments.gradient_flow.starts import MEASURED, STARTS
from experiments.harness.engine import engine
from impl.spec import STATES, tree_map, unpack
from properties.cases import judge
from properties.oracle import unit
from properties.subject import Call, Cotangent

OPTIONS = SimpleNamespace(engine="numpy")
TWINS = ("numpy", "torch")
U = unit("float64")[0]


def group_of(start, T=2, H=6, seeds=2):
    """A small group of the part "lags": at T = 2 lag 1 is one step back."""
    group = lags_sweep.group(start, lags_sweep.H, T, seeds, OPTIONS)
    return replace(group, settings=group.settings | {"H": H})


def judged_norm(group, e):
    """ln of |dL/ds_1| of one model with its bound: the exact norm, and how far entries within their bounds move it."""
    start = STARTS[group.settings["start"]]
    params, x, v = lags.drawn(group, start)
    last = lags.by_output(start.cell, v[e])
    call = Call(start.cell, tree_map(lambda a: a[e], params), x[:, e])
    judged = judge(call, Cotangent(np.zeros((len(x), *v[e].shape)), last), "float64")
    some = [judged[name].take(0) for name in ("h_t", "c_t")[: len(last)]]
    exact = np.concatenate([j.hi.ravel() for j in some])
    bound = np.concatenate([j.bound.ravel() for j in some])
    norm = np.linalg.norm(exact)
    return math.log(norm), float(np.abs(exact) @ bound / norm**2)


@pytest.mark.parametrize("start", MEASURED, ids=lambda start: start.setting)
def test_the_norm_one_step_back_is_exact_to_the_referees_bound_on_both_twins(start):
    """d ln|v| = v . dv / |v|^2, and the norm and its logarithm round by a few u of their own: for n terms n/2 + 4."""
    group = group_of(start)
    for name in TWINS:
        records = experiment.run(replace(group, engine=name), lambda *_: None)
        got = {r.seed: r.value * math.log(10) for r in records if r.metric == "log10_norm" and r.index == 1}
        for e, seed in enumerate(group.seeds):
            exact, bound = judged_norm(group, e)
            n = len(STATES[start.cell]._fields) * group.settings["H"]
            assert abs(got[seed] - exact) <= bound + (n / 2 + 4) * U * (1 + abs(exact))


@pytest.mark.parametrize("start", [s for s in MEASURED if s.kind in ("torch", "chrono")], ids=lambda s: s.setting)
def test_a_steps_jacobian_is_exact_to_the_referees_bound_on_both_twins(start):
    """What the spectra are made of: every entry of ds_1/ds_0, from unit cotangents."""
    group = group_of(start, T=24, seeds=1)
    params, x, _ = lags.drawn(group, start)
    x = x[:1]
    fields, H = len(STATES[start.cell]._fields), 6
    n = fields * H
    rows = STATES[start.cell](*np.split(np.eye(n), fields, -1))
    call = Call(start.cell, tree_map(lambda a: a[0], params), np.repeat(x[:, 0], n, 1))
    judged = judge(call, Cotangent(np.zeros((1, n, H)), rows), "float64")
    for name in TWINS:
        twin = engine(name)
        given = twin.asarray((params, x), "float64")
        cache = twin.plain.forward(start.cell, *given).cache.steps[0]
        J = lags.step_vjp(twin, start.cell, unpack(given[0]), cache, np.eye(n)[None])[0]
        for k, state in enumerate(("h0", "c0")[:fields]):
            assert judged[state].fraction(J[:, k * H : (k + 1) * H])[0] <= 1


def test_every_part_runs_through_the_sweep_of_the_experiment():
    """Each group says which part runs it, and no two parts share a setting."""
    groups = sweep.groups("smoke", OPTIONS)
    assert len({g.setting for g in groups}) == len({g.key for g in groups}) == len(groups)
    for part in dict.fromkeys(g.settings["part"] for g in groups):
        cheapest = min((g for g in groups if g.settings["part"] == part), key=lambda g: g.cost)
        assert {r.source for r in experiment.run(cheapest, lambda *_: None)} == {"gradient_flow"}
