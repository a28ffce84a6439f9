"""The ReLU auto-encoder of `SparseAutoencoder` as a PyTorch user would write it.

Tied weights with rows of length 1, ½ E ‖x − y‖² + λ E Σ_j h_j, Adam. Shapes: N samples, n inputs,
m hidden units, B batch.
"""

import torch


def loss(weight: torch.Tensor, bias: torch.Tensor, x: torch.Tensor, strength: float):
    """The error and the penalty of a batch `x` `[B, n]`; a number."""
    h = torch.relu(x @ weight.T + bias)
    return (0.5 * ((x - h @ weight) ** 2).sum(1) + strength * h.sum(1)).mean()


def trained(
    X: torch.Tensor, units: int, strength: float, *, rate: float, batch: int, epochs: int, seed: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """W `[m, n]` and b `[m]` after all epochs over `X` `[N, n]`; the last N mod B are left out."""
    torch.manual_seed(seed)
    limit = (6 / (X.shape[1] + units)) ** 0.5
    weight = torch.empty(units, X.shape[1]).uniform_(-limit, limit)
    weight /= weight.norm(dim=1, keepdim=True)
    weight.requires_grad_()
    bias = torch.zeros(units, requires_grad=True)
    optimizer = torch.optim.Adam([weight, bias], lr=rate)
    for _ in range(epochs):
        for rows in torch.randperm(len(X))[: len(X) // batch * batch].split(batch):
            optimizer.zero_grad()
            loss(weight, bias, X[rows], strength).backward()
            with torch.no_grad():  # in the tangent space of unit rows, and back to them
                weight.grad -= (weight.grad * weight).sum(1, keepdim=True) * weight
            optimizer.step()
            with torch.no_grad():
                weight /= weight.norm(dim=1, keepdim=True)
    return weight.detach(), bias.detach()
