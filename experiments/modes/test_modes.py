"""How models answer in each mode, the law of the mode on what was trained, and what a group records."""

from __future__ import annotations

import itertools
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from experiments.harness import arms
from experiments.harness.engine import engine
from experiments.harness.sweep import Options
from experiments.harness.training import Batch, Pair
from experiments.modes import experiment, laws, rates, sweep
from experiments.modes.answering import MODES, choices, exchanged, other_rows, rows_of
from experiments.modes.data import DATA, DECIDING, kinds, shown
from experiments.tasks import answers, dates, digit_names, digits, moving_digits
from impl import draw
from impl.spec import Model, tree_map
from properties.record import Record

CELLS, N = ("rnn", "lstm"), 12
of_each_mode = pytest.mark.parametrize("mode", MODES)
of_each_cell = pytest.mark.parametrize("cell", CELLS)


@pytest.fixture(scope="module", params=["fast", "torch"])
def twin(request):
    """The engines that experiments usually run on."""
    return engine(request.param)


def group_of(mode, cell, inputs="own", name=None, seeds=2, **settings):
    """A small group of a mode."""
    task = DATA[name or DECIDING[mode]]
    group = sweep.group(task, cell, inputs, "smoke", Options("fast"))
    small = {"H": 6, "B": 8, "rows": N, "updates": 2, "every": 1}
    return replace(group, settings=group.settings | small | settings, seeds=tuple(range(seeds)))


def asked_of(mode, n=N):
    """Some test rows of a mode."""
    return rows_of(Batch(*DATA[DECIDING[mode]].test()), slice(0, n))


def models(mode, cell, twin):
    """Models at the start."""
    group = group_of(mode, cell)
    return experiment.initial(group, DATA[DECIDING[mode]], twin)


# How models answer


@of_each_mode
@of_each_cell
def test_no_answer_reaches_a_model(mode, cell, twin):
    """With other targets, and other words where the right ones stood for training, the choices are the same."""
    asked, model = asked_of(mode), models(mode, cell, twin)
    x = asked.x
    if mode == "delayed":
        x = Pair(x.source, np.concatenate([x.forced[:1], np.roll(x.forced[1:], 1, -1)]))
    if mode == "one_to_many":
        x = np.concatenate([x[:1], np.roll(x[1:], 1, -1)])
    blind = asked._replace(x=x, target=0 * asked.target)
    a, b = (choices(twin, cell, mode, model, some) for some in (asked, blind))
    assert a.shape == (len(asked.target), 2, N) and (a == b).all() and len(np.unique(a)) > 1


@of_each_mode
@of_each_cell
def test_the_twins_choose_alike(mode, cell):
    """In double precision both twins give the same choices from the same models."""
    asked, group = asked_of(mode), replace(group_of(mode, cell), dtype="float64")
    found = []
    for name in ("fast", "numpy", "torch"):
        twin = engine(name)
        found.append(choices(twin, cell, mode, experiment.initial(group, DATA[DECIDING[mode]], twin), asked))
    assert (found[0] == found[1]).all() and (found[1] == found[2]).all()


@of_each_mode
def test_a_models_choices_do_not_depend_on_its_group(mode, twin):
    """Member e of a group chooses what it would alone."""
    asked, model = asked_of(mode), models(mode, "lstm", twin)
    together = choices(twin, "lstm", mode, model, asked)
    for e in range(2):
        alone = choices(twin, "lstm", mode, tree_map(lambda a, e=e: a[e : e + 1], model), asked)
        assert (alone[:, 0] == together[:, e]).all()


def test_a_decoder_hears_itself_and_begins_with_nothing_said(twin):
    """By hand: the decoder's steps on the encoder's last state, each shown the class that it chose before."""
    asked, model = asked_of("delayed", 3), twin.asarray(models_float64("delayed"), "float64")
    chosen = choices(twin, "lstm", "delayed", model, asked)
    source, lengths = twin.asarray((asked.x.source, asked.lengths), "float64")
    state = twin.plain.forward("lstm", model.cell.encoder, source, None, lengths).last
    said = np.zeros((2, 3, dates.V))
    for step in range(len(asked.target)):
        run = twin.plain.forward("lstm", model.cell.decoder, twin.asarray(said[None]), state)
        best = twin.numpy(twin.head.forward(model.head, run.states.h))[0].argmax(-1)
        assert (best == chosen[step]).all()
        said, state = np.eye(dates.V)[best], run.last


def models_float64(mode):
    """The LSTMs of a mode, double precision, in the arrays of NumPy."""
    return experiment.initial(replace(group_of(mode, "lstm"), dtype="float64"), DATA[DECIDING[mode]], engine("numpy"))


# Other rows' inputs


@pytest.mark.parametrize("n", [2, 3, 8, 33])
def test_each_row_gets_another_rows_input_and_each_is_used_once(n):
    """A permutation without a fixed point: a row that kept its own input could be learnt from."""
    for seed in range(20):
        order = other_rows(draw.generator("other", seed), n)
        assert (order != np.arange(n)).all() and sorted(order) == [*range(n)]


@of_each_mode
def test_answers_stay_and_inputs_change_places(mode):
    """Target and words already said are the row's own; image, source, sequence or video are another's, lengths too."""
    own, order = asked_of(mode), other_rows(draw.generator("order"), N)
    other = exchanged(mode, own, order)
    assert (other.target == own.target).all()
    if mode == "delayed":
        assert (other.x.source == own.x.source[:, order]).all() and (other.x.forced == own.x.forced).all()
        assert (other.lengths == own.lengths[order]).all()
    elif mode == "one_to_many":
        assert (other.x[0] == own.x[0, order]).all() and (other.x[1:] == own.x[1:]).all()
        assert (other.mask == own.mask).all()
    else:
        assert (other.x == own.x[:, order]).all()


def test_one_answer_is_read_where_the_input_ends():
    """Many to one, rows of different lengths: the place of the answer goes with the input; aligned, it stays."""
    x, lengths = np.arange(12.0).reshape(4, 3, 1), np.array([4, 2, 1])
    mask, order = np.arange(4)[:, None] == lengths - 1, np.array([2, 0, 1])
    own = Batch(x, np.tile([0, 1, 2], (4, 1)), mask, lengths)
    assert (exchanged("many_to_one", own, order).mask == mask[:, order]).all()
    assert (exchanged("aligned", own, order).mask == mask).all()
    assert (exchanged("many_to_one", own, order).lengths == lengths[order]).all()


@of_each_mode
def test_a_control_is_trained_on_other_rows_inputs(mode):
    """Its batches are those of the models beside it with the inputs exchanged; no row keeps its own."""
    task, twin = DATA[DECIDING[mode]], engine("numpy")
    pairs = [experiment.batches(group_of(mode, "rnn", i, B=32), task, twin) for i in ("own", sweep.SHUFFLED)]
    for own, other in itertools.islice(zip(*pairs, strict=True), 2):
        a, b = (batch.x.source if mode == "delayed" else batch.x[:1] for batch in (own, other))
        assert (own.target == other.target).all()
        kept = (a == b).all(axis=(0, -1))
        same = (a[:, :, :, None] == a[:, :, None]).all(axis=(0, -1)).sum(-1) > 1  # drawn twice
        assert not (kept & ~same).any() and (~kept).any()


@of_each_mode
def test_each_model_of_a_control_has_a_ring_of_its_own(mode, monkeypatch):
    """So that the interval over seeds holds what other rings would give."""
    rings = []
    real = experiment.exchanged
    spy = lambda mode, own, order: rings.append(order) or real(mode, own, order)  # noqa: E731
    group = group_of(mode, "rnn")
    monkeypatch.setattr(experiment, "exchanged", spy)
    experiment.run(group, lambda done, total: None)
    assert len(rings) == len(group.seeds) and (rings[0] != rings[1]).any()


def test_one_row_has_no_other():
    """A ring asks for two."""
    with pytest.raises(ValueError, match="`n` must be at least 2, since one row has no other"):
        other_rows(draw.generator("other"), 1)


# The law on what was trained


@of_each_mode
@of_each_cell
def test_no_row_of_ours_breaks_the_law_of_its_mode(mode, cell, twin):
    """On either engine."""
    assert laws.broken(twin, cell, mode, models(mode, cell, twin), asked_of(mode)).tolist() == [0, 0]


def sees_the_input_again(twin):
    """A decoder that is shown its first input at every step."""

    def feed_back(cell, params, x, steps, following, state=None):
        return twin.plain.feed_back(cell, params, x, steps, lambda h: following(h) + x, state)

    return twin._replace(plain=with_(twin.plain, feed_back=feed_back))


def reads_the_mean(twin):
    """A loop whose last h is the mean over the steps."""

    def forward(cell, params, x, state=None, lengths=None):
        run = twin.scan.forward(cell, params, x, state, lengths)
        return run._replace(last=run.last._replace(h=run.states.h.mean(0)))

    return twin._replace(scan=with_(twin.scan, forward=forward))


def remembers_the_source(twin):
    """A decoder that sees what was read last, whatever state it begins with."""
    seen = []

    def forward(cell, params, x, state=None, lengths=None):
        seen.append(x)
        return twin.scan.forward(cell, params, x, state, lengths)

    def feed_back(cell, params, x, steps, following, state=None):
        return twin.plain.feed_back(cell, params, x + seen[-1].mean(0)[..., : dates.V], steps, following, state)

    return twin._replace(scan=with_(twin.scan, forward=forward), plain=with_(twin.plain, feed_back=feed_back))


def looks_ahead(twin):
    """A loop that takes the mean over all steps from its inputs."""

    def forward(cell, params, x, state=None, lengths=None):
        return twin.scan.forward(cell, params, x - x.mean(0), state, lengths)

    return twin._replace(scan=with_(twin.scan, forward=forward))


def with_(loop, **functions):
    """A time loop with other functions."""
    own = {name: getattr(loop, name) for name in ("forward", "backward", "feed_back") if hasattr(loop, name)}
    return SimpleNamespace(**own | functions)


@pytest.mark.parametrize(
    ("mode", "fault"),
    [*zip(MODES, (sees_the_input_again, reads_the_mean, remembers_the_source, looks_ahead), strict=True)],
    ids=MODES,
)
def test_a_fault_against_the_law_is_counted(mode, fault, twin):
    """Every row whose mode is broken is counted, in every model."""
    broken = laws.broken(fault(twin), "lstm", mode, models(mode, "lstm", twin), asked_of(mode))
    assert (broken > N / 2).all()


def test_rows_without_a_second_half_are_not_counted():
    """In the aligned mode nothing comes later for them; a single row has no other's second half."""
    x, lengths = np.zeros((5, 4, 1)), np.array([5, 3, 2, 1])
    asked = Batch(x, np.zeros((5, 4), int), None, lengths)
    assert laws.judged("aligned", asked).tolist() == [True, True, False, False]
    assert laws.judged("many_to_one", asked).all() and not laws.judged("aligned", rows_of(asked, slice(0, 1))).any()


def test_an_answer_read_one_step_early_breaks_the_law(twin):
    """Many to one, rows of their own lengths: the mask has to be at the last step."""
    rng, lengths = draw.generator("early"), np.array([4, 3, 2])
    x, step = rng.normal(size=(4, 3, 2)), np.arange(4)[:, None]
    cells = [Model(draw.uniform(rng, "rnn", 2, 6), draw.head(rng, 9, 6)) for _ in range(2)]
    model = twin.asarray(tree_map(lambda a: 5 * a, draw.group(cells)), "float64")
    for late, wanted in ((1, False), (2, True)):
        asked = Batch(x, np.zeros((4, 3), int), step == np.maximum(lengths - late, 0), lengths)
        assert (laws.broken(twin, "rnn", "many_to_one", model, asked) > 0).any() == wanted


def test_a_lost_model_breaks_no_law(twin):
    """NaN is what it was; a number in its place is not."""
    model = tree_map(lambda a: a * float("nan"), models("aligned", "rnn", twin))
    assert laws.broken(twin, "rnn", "aligned", model, asked_of("aligned")).tolist() == [0, 0]
    a = np.full((2, 1, 3, 4), np.nan)
    b = a.copy()
    b[1, 0, 2, 3] = 0.0
    assert laws.differ(a, a).tolist() == [[False] * 3] and laws.differ(a, b).tolist() == [[False, False, True]]


# What a group records


@of_each_mode
def test_a_group_records_what_it_says(mode):
    """One success, chance and control a seed; N5 is their difference; curves by update, steps, kinds and examples."""
    group = group_of(mode, "rnn")
    found = experiment.run(group, lambda done, total: None)
    task, base = DATA[DECIDING[mode]], group.setting.removesuffix("own")
    for inputs in ("own", "shuffled"):
        of = {m: values(found, base + inputs, m) for m in ("success", "chance", "N5", "rows")}
        assert all(len(v) == 2 for v in of.values()) and (of["rows"] == N).all()
        np.testing.assert_allclose(of["N5"], of["success"] - of["chance"], atol=1e-15)
        assert (of["chance"] == answers.blind(task, asked_of(mode).target, asked_of(mode).mask)).all()
    assert len(values(found, group.setting, "success_validation")) == 2 * 2
    steps = {"one_to_many": 6, "many_to_one": 8, "delayed": 10, "aligned": 16}[mode]
    assert len(values(found, group.setting, "success_by_step")) == 2 * steps
    assert values(found, f"{group.setting}/law=modes", "breaks").tolist() == [0, 0]
    shown_rows = {r.setting for r in found if "/example=" in r.setting}
    assert len(shown_rows) >= experiment.FIRST and {r.seed for r in found if "/example=" in r.setting} == {0}
    assert len({(r.setting, r.seed, r.metric, r.index) for r in found}) == len(found)


@of_each_mode
def test_the_other_twin_answers_what_counts_alike(mode, monkeypatch):
    """From the trained parameters; where it chose otherwise at every step that counts, every row would be told."""
    found = experiment.run(group_of(mode, "lstm"), lambda done, total: None)
    base = f"{mode}/data={DECIDING[mode]}/cell=lstm/inputs=own"
    assert values(found, base, "other_twin_differs").tolist() == [0, 0]
    real = experiment.choices
    other = lambda twin, *args: real(twin, *args) + (twin.plain.__name__ == "impl.torch_twin.scan")  # noqa: E731
    monkeypatch.setattr(experiment, "choices", other)
    found = experiment.run(group_of(mode, "lstm"), lambda done, total: None)
    assert values(found, base, "other_twin_differs").tolist() == [N, N]


def values(records, setting, metric):
    """The values of a setting's metric."""
    return np.array([r.value for r in records if (r.setting, r.metric) == (setting, metric)])


def test_a_control_records_its_success_alone():
    """A model that was trained on other rows' inputs has no kinds, no examples and no law."""
    found = experiment.run(group_of("many_to_one", "rnn", sweep.SHUFFLED), lambda done, total: None)
    assert {r.setting for r in found} == {"many_to_one/data=digit_rows/cell=rnn/inputs=shuffled_in_training"}


def test_the_success_of_kinds_adds_up_to_the_whole():
    """Weighted by their rows, the kinds' successes are the whole's."""
    found = experiment.run(group_of("many_to_one", "lstm"), lambda done, total: None)
    of_kinds = [r for r in found if "/kind=" in r.setting and r.seed == 0]
    right, rows = ([r.value for r in of_kinds if r.metric == m] for m in ("success", "rows"))
    whole = next(r.value for r in found if r.metric == "success" and r.seed == 0)
    assert sum(rows) == N and np.dot(right, rows) / N == pytest.approx(whole)


def test_runs_are_repeated_to_the_bit_and_cells_are_paired():
    """The same group gives the same records; RNN and LSTM of a seed see the same batches, other seeds others."""
    group = group_of("delayed", "lstm")
    assert experiment.run(group, lambda *_: None) == experiment.run(group, lambda *_: None)
    twin = engine("numpy")
    a, b = (next(experiment.batches(group_of("aligned", cell), moving_digits, twin)) for cell in CELLS)
    assert (a.x == b.x).all() and (a.x[:, 0] != a.x[:, 1]).any()


def test_an_encoder_and_its_decoder_start_apart():
    """Their weights are drawn from words of their own, and the decoder sees the symbols of what is written."""
    model = experiment.model(group_of("delayed", "lstm"), dates, 0)
    assert model.cell.encoder.weight_ih.shape[-1] == dates.D and model.cell.decoder.weight_ih.shape[-1] == dates.V
    assert (model.cell.encoder.weight_hh != model.cell.decoder.weight_hh).all()


# What test rows show


def test_kinds_name_every_row():
    """A name's, a digit's or a way of writing; steps that have labels of their own have none."""
    for task in (digit_names, DATA["digit_rows"], DATA["mnist1d"], dates):
        found = kinds(task)
        assert len(found.of_row) == task.test()[1].shape[1] and set(found.of_row) == {*range(len(found.names))}
    assert kinds(moving_digits).names == ()
    spelled = digit_names.spelled(digit_names.test()[1])
    assert [kinds(digit_names).names[k] for k in kinds(digit_names).of_row] == spelled


def test_what_is_shown_is_what_the_row_was_made_of():
    """Pixels are the source's own, a text is the date's, and the digit stands where the video has it."""
    assert (shown(digit_names, 5)["pixel"] == digits.data().test.pixels[5]).all()
    text = "".join(map(chr, shown(dates, 7)["source"]))
    assert text == dates.text(dates.test()[0].source[:, 7:8])[0]
    seen, frames = shown(moving_digits, 3), moving_digits.test()[0][:, 3].reshape(-1, 16, 16)
    for row, column, frame in zip(seen["row"], seen["column"], frames, strict=True):
        np.testing.assert_allclose(frame[row : row + 8, column : column + 8].ravel() * 16, seen["pixel"])


# The sweep


def test_both_cells_and_a_control_where_the_data_decide():
    """Every preset but the tour trains the control; every deciding data set stands in all presets."""
    for preset in ("smoke", "tour", "quick", "full"):
        found = {g.setting for g in sweep.groups(preset, Options("fast"))}
        for mode, name in DECIDING.items():
            for cell in CELLS:
                base = f"{mode}/data={name}/cell={cell}/inputs="
                assert base + "own" in found and (base + sweep.SHUFFLED in found) == (preset != "tour")


def test_the_sweep_has_distinct_keys_and_arms_of_both_cells():
    """No two groups are one, and each arm is of the cell that its setting says."""
    groups = sweep.groups("quick", Options("fast"))
    assert len({g.key for g in groups}) == len(groups)
    assert all(arms.ARMS[g.settings["arm"]].cell == g.setting.split("cell=")[1].split("/")[0] for g in groups)


def test_the_rate_is_that_of_the_highest_median_and_every_rate_was_tried():
    """rates.csv holds all rates of all data and cells by as many seeds each; groups train at the best of them."""
    found = pd.read_csv(rates.MEASURED)
    tried = found.groupby(["data", "cell", "rate"]).success.agg(["size", "median"])
    assert {*tried.index} == {(name, cell, lr) for name in DATA for cell in CELLS for lr in rates.RATES}
    assert (tried["size"] == len(rates.SEEDS)).all() and min(found.seed) >= 1000
    given = found.groupby(["data", "cell"]).updates.unique()
    assert {at: list(n) for at, n in given.items()} == {at: [sweep.SETTINGS[at].updates] for at in given.index}
    for group in sweep.groups("quick", Options("fast")):
        medians = tried.loc[group.settings["data"], group.setting.split("cell=")[1].split("/")[0]]["median"]
        best = medians[medians == medians.max()]
        assert group.settings["lr"] == best.index[0]


def test_the_table_of_rates_holds_the_last_look_of_every_seed():
    """Of the looks at the validation rows the last one counts."""
    records = [
        Record("modes", f"aligned/data=d/cell=rnn/inputs=own/rate={lr:g}", seed, "success_validation", n, lr * n + seed)
        for lr in (0.001, 0.01)
        for seed in (1000, 1001)
        for n in (10, 20)
    ]
    found = rates.table(pd.DataFrame(records[::-1]))
    assert found.columns.tolist() == ["data", "cell", "rate", "updates", "seed", "success"]
    assert found.values.tolist() == [
        ["d", "rnn", "0.001", 20, 1000, 1000.02],
        ["d", "rnn", "0.001", 20, 1001, 1001.02],
        ["d", "rnn", "0.01", 20, 1000, 1000.2],
        ["d", "rnn", "0.01", 20, 1001, 1001.2],
    ]
