"""What is predicted, in lines that `run` prints before it computes anything."""

from __future__ import annotations

from collections.abc import Iterator

from experiments.gradient_flow.growth.predictions import mean_field
from experiments.gradient_flow.growth.sweep import CHAOTIC
from experiments.gradient_flow.lags.predictions import half_life, log10_norm
from experiments.gradient_flow.lags.sweep import LAG, D, H
from experiments.gradient_flow.latch.predictions import threshold
from experiments.gradient_flow.latch.sweep import WEIGHTS
from experiments.gradient_flow.spectrum import predictions as spectrum
from experiments.gradient_flow.spectrum.sweep import T_MAX
from experiments.gradient_flow.starts import BIASES, MEASURED

T = 120
"""Steps of claim N15."""


def lines() -> Iterator[str]:
    """A line a closed form."""
    norms = (f"{start.setting} {log10_norm(start, D, H, T)[LAG]:+.2f}" for start in MEASURED)
    yield f"N15, log10 of |dL/ds| at lag {LAG} over lag 0: {', '.join(norms)}"
    yield f"half-life of the cell at b_f: {', '.join(f'{b:g}: {half_life(b):.4g}' for b in BIASES)} steps"
    yield f"N1, lambda_1 at infinite width by gain: {', '.join(f'{g:g}: {mean_field(g):.5f}' for g in CHAOTIC)}"
    fresh = spectrum.fresh(1.5, 32)
    yield f"fresh Gaussian maps, gain 1.5, N = 32: exponents {fresh[0]:.4f} to {fresh[-1]:.4f}"
    ends = ((start, spectrum.lstm(start, D, 32, T_MAX)) for start in MEASURED if start.cell == "lstm")
    yield f"largest exponent of the LSTM, H = 32: {', '.join(f'{s.setting} {form[0]:.3f}' for s, form in ends)}"
    yield f"threshold of the latch by w: {', '.join(f'{w:g}: {threshold(w):.6f}' for w in WEIGHTS)}"
