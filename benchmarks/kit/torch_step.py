"""The grid's update as a PyTorch user would write it: the other side of `benchmarks/step.py`."""

import time
from collections.abc import Callable

import torch

_MOMENTUM = 0.9


def _loss(objective: str, weight, bias, x, eps, strength):
    def reconstruct(z):
        return torch.relu(z @ weight.T + bias) @ weight

    def error(y):
        return ((x - y) ** 2).sum(-1).mean()

    if objective == "dae":
        return error(reconstruct(x + strength.sqrt() * eps))
    a = x @ weight.T + bias
    h = torch.relu(a)
    y = h @ weight
    loss = error(y)
    if objective == "edae":
        step = (strength.sqrt() * eps) @ weight.T * (a > 0)
        return loss - 2 * ((x - y) * (step @ weight)).sum(-1).mean()
    if objective in ("cae", "mdae"):
        lengths = (weight**2).sum(-1)
        power = lengths if objective == "cae" else lengths**2
        return loss + strength * ((a > 0).to(a.dtype).mean(0) * power).sum()
    if objective == "sae":
        rho = h.mean(0)
        inside = -torch.log1p(-rho.clamp(max=0.99))
        return loss + strength * (inside + 100.0 * (rho - 0.99).clamp(min=0)).sum()
    return loss


def _update(weight, bias, momentum, momentum_bias, gradient, gradient_bias, rate):
    """Momentum in the tangent space of unit rows, then a step and renormalization."""
    direction = _MOMENTUM * momentum + gradient
    direction = direction - (direction * weight).sum(-1, keepdim=True) * weight
    direction_bias = _MOMENTUM * momentum_bias + gradient_bias
    moved = weight - rate * direction
    moved = moved * (moved**2).sum(-1, keepdim=True).rsqrt()
    return moved, bias - rate * direction_bias, direction, direction_bias


def variants(
    objective: str,
    n: int,
    m: int,
    models: int,
    *,
    batch: int,
    rate: float,
    device: str = "cpu",
    only: str | None = None,
) -> dict[str, Callable[[int], float]]:
    """Seconds of `steps` updates of all models: eager loop, compiled loop, vmap.

    With `only`, that variant alone, which may then also be "torch reduce-overhead" (CUDA graphs).
    """
    torch._dynamo.reset()  # or the eighth variant of one function is no longer compiled
    torch.manual_seed(0)
    samples = torch.randn(5000, n, device=device)
    strengths = torch.linspace(0, 1, models, device=device)

    def fresh():
        weight = torch.randn(models, m, n, device=device)
        weight = weight / weight.norm(dim=-1, keepdim=True)
        bias = torch.zeros(models, m, device=device)
        return [weight, bias, torch.zeros_like(weight), torch.zeros_like(bias)]

    def until_done() -> float:
        if device != "cpu":
            torch.cuda.synchronize()
        return time.perf_counter()

    def one_step(weight, bias, momentum, momentum_bias, x, eps, strength):
        gradient = torch.func.grad(
            lambda w, b: _loss(objective, w, b, x, eps, strength), argnums=(0, 1)
        )(weight, bias)
        return _update(weight, bias, momentum, momentum_bias, *gradient, rate)

    def eager_step(weight, bias, momentum, momentum_bias, x, eps, strength):
        weight, bias = weight.requires_grad_(), bias.requires_grad_()
        gradient = torch.autograd.grad(
            _loss(objective, weight, bias, x, eps, strength), (weight, bias)
        )
        with torch.no_grad():
            return _update(weight, bias, momentum, momentum_bias, *gradient, rate)

    def graphed():
        step = torch.compile(one_step, mode="reduce-overhead")

        def run(*arguments):  # what a graph returns is overwritten by its next call
            torch.compiler.cudagraph_mark_step_begin()
            return [t.clone() for t in step(*arguments)]

        return loop(run)

    def loop(step):
        states = [list(parts) for parts in zip(*fresh(), strict=True)]

        def run(steps: int) -> float:
            begin = until_done()
            for _ in range(steps):
                x = samples[torch.randint(len(samples), (batch,), device=device)]
                eps = torch.randn_like(x)
                for k in range(models):
                    states[k] = [t.detach() for t in step(*states[k], x, eps, strengths[k])]
            return until_done() - begin

        return run

    def batched():
        state = fresh()
        step = torch.func.vmap(one_step, in_dims=(0, 0, 0, 0, None, None, 0))

        def run(steps: int) -> float:
            nonlocal state
            begin = until_done()
            for _ in range(steps):
                x = samples[torch.randint(len(samples), (batch,), device=device)]
                state = step(*state, x, torch.randn_like(x), strengths)
            return until_done() - begin

        return run

    known = {
        "torch eager": lambda: loop(eager_step),
        "torch.compile": lambda: loop(torch.compile(one_step)),
        "torch.func.vmap": batched,
    }
    if only is not None:
        return {only: (known | {"torch reduce-overhead": graphed})[only]()}
    return {name: make() for name, make in known.items()}
