"""The part "growth": its sweep, the mean field, how widths are extrapolated, and what claim N1 reads of it."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, optimize

from experiments import claims
from experiments.gradient_flow.findings import own
from experiments.gradient_flow.growth import analysis, experiment, predictions, sweep
from experiments.gradient_flow.growth.sweep import Size
from experiments.harness import figures
from experiments.harness.engine import engine
from properties.record import Record, read_csv, to_csv

OPTIONS = SimpleNamespace(engine="fast")
COMMITTED = Path(__file__).parents[3] / "reports" / "gradient_flow" / "results.csv"


@pytest.mark.parametrize("preset", tuple(sweep.PRESETS))
def test_a_sweep_holds_every_gain_once_as_plain_data(preset):
    """Each gain is one group with its own name and key; above 1 all widths, below 1 one."""
    groups = sweep.groups(preset, OPTIONS)
    assert len({g.key for g in groups}) == len({g.setting for g in groups}) == len(sweep.CHAOTIC) + 1
    assert all(json.loads(json.dumps(g.settings)) == g.settings for g in groups)
    assert [[size[0] for size in g.settings["sizes"]] for g in groups] == [list(predictions.SIZES)] * 3 + [[400]]


@pytest.mark.parametrize(("gain", "printed"), [(1.5, None), (2, "0.155"), (3, "0.310")])
def test_the_mean_field_is_what_another_integrator_gives(gain, printed):
    """q by a root of quad's integral, and the printed values."""

    def mean(function):
        return integrate.quad(lambda z: function(z) * math.exp(-z * z / 2) / math.sqrt(2 * math.pi), -12, 12)[0]

    q = optimize.brentq(lambda q: gain**2 * mean(lambda z: math.tanh(math.sqrt(q) * z) ** 2) - q, 1e-3, gain**2)
    other = 0.5 * math.log(gain**2 * mean(lambda z: math.cosh(math.sqrt(q) * z) ** -4))
    assert predictions.mean_field(gain) == pytest.approx(other, abs=1e-8)
    assert printed is None or f"{predictions.mean_field(gain):.3f}" == printed


def test_up_to_gain_one_the_state_dies_out():
    """lambda_1 = ln g, and continuous there."""
    assert predictions.mean_field(0.8) == pytest.approx(math.log(0.8), rel=1e-12)
    assert predictions.mean_field(1.01) == pytest.approx(0, abs=0.001)


def test_extrapolation_takes_out_what_falls_as_one_over_n_and_its_square():
    """Exact for a + b/N + c/N^2, whatever the three widths; seeds keep their axes."""
    for sizes in ((200, 400, 800), (10, 30, 70)):
        N = np.array(sizes, float)
        values = np.stack([0.3 - 5 / N + 70 / N**2, -1 + 2 / N])
        np.testing.assert_allclose(predictions.extrapolated(values, sizes), [0.3, -1], rtol=1e-12)


def small(sizes, **changes):
    """A small group at gain 2 with three seeds."""
    return replace(sweep.group(2.0, sizes, 3, OPTIONS), **changes)


def test_the_exponent_is_the_growth_of_a_product_of_step_jacobians():
    """The same number from an explicit product of W^T diag(1 - h^2), renormalised at every step."""
    twin, (N, rows, steps) = engine("numpy"), (12, 1, 30)
    got = experiment.exponents(twin, 2.0, N, [(5, 0)], rows, steps, "float64")
    W = experiment.weights(2.0, N, 5, 0)
    rng = experiment.draw.generator("gradient_flow", "growth", N, 5, 0, "state")
    h, v = experiment.start(rng, (rows, N))[0], experiment.direction(rng, (rows, N))[0]
    states = [h]
    for _ in range(sweep.BURN + steps + sweep.BEHIND):
        states.append(np.tanh(W @ states[-1]))
    grown = 0.0
    for t in reversed(range(sweep.BURN + 1, len(states) - 1)):
        v = W.T @ ((1 - states[t + 1] ** 2) * v)
        size = np.linalg.norm(v)
        v, grown = v / size, grown + (np.log(size) if t < sweep.BURN + steps + 1 else 0)
    assert got[0] == pytest.approx(grown / steps, abs=1e-9)


def test_below_gain_one_the_exponent_is_the_logarithm_of_the_spectral_radius():
    """The state dies out, and the map is linear: a real leading eigenvalue shows in any direction."""
    W = np.diag([0.8, 0.5, -0.3])
    twin = engine("numpy")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(experiment, "weights", lambda gain, N, seed, number: W)
        got = experiment.exponents(twin, 0.8, 3, [(0, 0)], 1, 60, "float64")
    assert got[0] == pytest.approx(math.log(0.8), abs=1e-9)


@pytest.mark.parametrize("name", ["fast", "torch"])
def test_other_engines_agree(name):
    """To rounding that a chaotic map at most multiplies by the exponent's growth over so few steps."""
    sizes = (Size(16, 2, 1, 1),)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(experiment, "BURN", 2), patch.setattr(experiment, "BEHIND", 2)
        ours, others = (experiment.run(small(sizes, engine=e), lambda *_: None) for e in ("numpy", name))
    for a, b in zip(ours, others, strict=True):
        assert a._replace(value=0) == b._replace(value=0) and a.value == pytest.approx(b.value, abs=1e-13)


def test_a_run_gives_every_seed_and_width_and_what_the_claim_reads():
    """lambda_1 by width is the mean over draws; N1 is the extrapolated value minus the mean field, and the widest."""
    sizes = (Size(10, 2, 1, 20), Size(20, 1, 2, 20), Size(40, 1, 1, 20))
    records = experiment.run(small(sizes), lambda *_: None)
    assert records == experiment.run(small(sizes), lambda *_: None)
    by_width = {(r.seed, r.index): r.value for r in records if r.metric == "lambda_1"}
    assert len(by_width) == 9
    for seed in range(3):
        limit = predictions.extrapolated(np.array([by_width[seed, N] for N in (10, 20, 40)]), (10, 20, 40))
        read = {r.setting: r.value for r in records if r.metric == "N1" and r.seed == seed}
        assert read["mean_field/gain=2"] == pytest.approx(limit - predictions.mean_field(2), abs=1e-12)
        assert read["lambda_1/gain=2"] == by_width[seed, 40]
    assert all(claims.CLAIMS["N1"].reads(r.source, r.metric, "mean_field/gain=2") for r in records if r.metric == "N1")


def planted(gain, low, high):
    """Records of three widths whose extrapolated values lie between two numbers."""
    rows = [
        Record("gradient_flow", f"growth/gain={gain:g}", seed, "lambda_1", N, value)
        for seed, value in enumerate(np.linspace(low, high, 16))
        for N in predictions.SIZES
    ]
    return pd.DataFrame(rows)


def test_the_table_says_whether_the_mean_field_is_inside():
    """Values around it: yes; values that all lie above: no."""
    form = predictions.mean_field(2)
    frames = [planted(2.0, form - 0.01, form + 0.01), planted(2.0, form + 0.01, form + 0.02)]
    for frame, word in zip(frames, ("yes", "no"), strict=True):
        table = analysis.width_table(analysis.by_width(frame)).frame
        assert (table["inside"] == word).all()


def test_the_title_tells_of_the_least_width_and_which_way_it_is_off():
    """A tenth above the mean field at N = 200, a half below it at 400: the first is said, as faster."""
    form = predictions.mean_field(2)
    frame = planted(2.0, form - 1e-6, form + 1e-6)
    moved = frame["index"].map({200: 0.1 * form, 400: -0.5 * form, 800: 0.0})
    title = analysis.title(analysis.by_width(frame.assign(value=frame.value + moved)))
    assert title.endswith("at N = 200 it is up to 10% faster")
    slower = analysis.by_width(frame.assign(value=frame.value - moved))
    assert analysis.title(slower).endswith("at N = 200 it is up to 10% slower")


def test_a_report_is_a_function_of_the_records_alone_and_draws_two_seeds(tmp_path):
    """Twice the same text and data, rows in any order; two seeds have wide intervals and are drawn all the same."""
    records = [r for g in sweep.groups("smoke", OPTIONS) for r in experiment.run(g, lambda *_: None)]
    (tmp_path / "results.csv").write_text(to_csv(records))
    frame = read_csv(tmp_path / "results.csv")
    with figures.style():
        a, b = (analysis.analyse(some).section for some in (frame, frame.sample(frac=1, random_state=1)))
        assert a.lead == b.lead and a.figures[0].data.to_csv() == b.figures[0].data.to_csv()
        assert figures.svg(a.figures[0].canvas, "growth").startswith("<svg")


# The measurement that is committed


@pytest.fixture(scope="module")
def measured():
    """The committed records of this part."""
    return own(read_csv(COMMITTED), "growth")


@pytest.mark.parametrize("gain", sweep.CHAOTIC)
def test_the_committed_limit_holds_the_mean_field(measured, gain):
    """At least 16 draws at each width; the 99 % interval of the extrapolated mean holds it."""
    limit = limits(measured, gain)
    assert len(limit) >= 16 and analysis.holds(limit, gain)


@pytest.mark.parametrize("gain", [2.0, 3.0])
@pytest.mark.parametrize("factor", [0.99, 1.01])
def test_a_gain_planted_a_hundredth_off_is_outside_of_the_committed_limit(measured, gain, factor):
    """The measurement is sharp enough to tell the gain to one per cent, either way."""
    assert not analysis.holds(limits(measured, gain), gain * factor)


def limits(measured, gain):
    """The extrapolated exponent of every seed."""
    some = measured[(measured.setting == f"growth/gain={gain:g}") & (measured.metric == "lambda_1")]
    wide = some.pivot(index="seed", columns="index", values="value")
    return predictions.extrapolated(wide.to_numpy(), tuple(int(N) for N in wide))
