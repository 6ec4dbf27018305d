"""JAX's loss of a linear classifier: composed, and compiled where its inputs are known."""

import jax
import jax.numpy as jnp


def loss(x, w, b, y):
    logits = x @ w.T if b is None else x @ w.T + b
    chosen = jnp.take_along_axis(logits, y[:, None], axis=1)[:, 0]
    return jnp.mean(jax.nn.logsumexp(logits, axis=1) - chosen)


def with_gradients(count):
    run = jax.value_and_grad(loss, argnums=tuple(range(count)))

    def flat(*inputs):
        value, gradients = run(*inputs)
        return value, *gradients

    return flat


def operations(x, w, b, y):
    """`forward` and `gradients`."""
    # Copies of them are made behind the scenes, and what they were made of is freed after that.
    jax.block_until_ready([values for values in (x, w, b, y) if values is not None])

    def compiled(function):
        # Here, so that what compiling takes is no part of a call.
        run = jax.jit(function).lower(x, w, b, y).compile()
        return lambda: jax.block_until_ready(run(x, w, b, y))

    count = 2 if b is None else 3
    return {"forward:composed": compiled(loss), "gradients:composed": compiled(with_gradients(count))}
