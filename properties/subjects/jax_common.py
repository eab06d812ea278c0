"""What the adapters of JAX libraries share: its settings, how exact its functions are, and the double backward."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from properties.subject import Call, Cotangent, Result
from properties.subjects.plain import Given, Plain, refuse_cotangent, refuse_undeclared

if not os.environ.get("JAX_PLATFORMS"):
    jax.config.update("jax_platforms", "cpu")
jax.config.update("jax_enable_x64", True)  # float64 would be float32 in silence without

SETTINGS = 'jax.config.update("jax_platforms", "cpu")\njax.config.update("jax_enable_x64", True)'
"""The same in a snippet, after its imports."""

ALPHA = 3.0
"""In u. XLA's tanh on CPU jumps to 1 at |x| = 20 in float64: just before, it is 1 - 7u where it must be 1.

In 13 million points of each dtype the error was 4u of the result, and 0.7u (float32) or 2.9u (float64) beyond that at
most; the logistic function needs none of it.
"""


class JaxPlain(Plain):
    """A subject in JAX, which differentiates `pulled(cell, given, lengths, cotangents)`, the gradients, once more."""

    def __init__(self, *args: Any, pulled: Callable[..., tuple], **options: Any) -> None:
        """As Plain; JAX compiles for every shape, so the cases' shapes come from a few."""
        super().__init__(*args, alpha=ALPHA, pooled=True, **options)
        self.pulled = pulled

    def double_backward(self, call: Call, cotangent: Cotangent, direction: Result) -> Result:
        """See Subject."""
        refuse_undeclared(self, call)
        refuse_cotangent(call, cotangent)
        cotangents = self.conventions.sequence(cotangent.h), *(*cotangent.last, None)[:2]
        # Two biases in one have one gradient, which both of ours get: the sum of their directions multiplies it.
        along = self.conventions.given(Call(call.cell, direction.params, direction.x, direction.state))
        found = twice(self.pulled, call.cell, self.conventions.given(call), call.lengths, cotangents, along)
        return self.conventions.result(call, jax.tree.map(np.array, found))


@partial(jax.jit, static_argnums=(0, 1))
def twice(pulled: Callable, cell: str, given: Given, lengths: Any, cotangents: tuple, along: Given) -> Given:
    """The gradient of <along, the gradients> by every argument."""

    def inner(given: Given) -> Any:
        first = pulled(cell, tuple(given), lengths, cotangents)
        return sum(jnp.vdot(d, v) for d, v in zip(jax.tree.leaves(first), jax.tree.leaves(along), strict=True))

    return jax.grad(inner)(given)
