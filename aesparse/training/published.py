"""Published sparse auto-encoders, read from their files without torch.

Shapes: N samples, n inputs, m hidden units.
"""

import os
from pathlib import Path

from aesparse.errors import InputError
from aesparse.losses.objectives import get_objective
from aesparse.models import published
from aesparse.options import shortened
from aesparse.training.trained_model import TrainedModel

__all__ = ["read_published"]


def read_published(
    path: str | os.PathLike[str],
    *,
    kind: str | None = None,
    k: int | None = None,
    subtract_decoder_bias: bool | None = None,
) -> TrainedModel:
    """A published sparse auto-encoder as a trained model, to encode, decode and measure.

    Three layouts are read:

    - a folder that SAELens wrote, with `cfg.json` and `sae_weights.safetensors`, of the
      architectures standard, topk, jumprelu and gated, as its versions 3 to 6 write them;
    - a `.safetensors` file with the same arrays: `W_enc [n, m]`, `W_dec [m, n]`, `b_dec [n]` and
      `b_enc [m]`, for JumpReLU also `threshold [m]`, for a gated model `b_gate`, `b_mag` and
      `r_mag` in the place of `b_enc`;
    - Gemma Scope's `params.npz`, or its folder: JumpReLU, whose encoder subtracts no bias.

    Codes are those of the publishers' encoder and reconstructions those of its decoder, up to
    rounding. The parameters are float32, float64 where the file is. A factor of the decoder
    (`finetuning_scaling_factor`) and top-k codes in units of the atoms' lengths
    (`rescale_acts_by_decoder_norm`) are folded into the matrices. Where SAELens takes the
    activations of attention heads (`hook_z`), a row is those of all heads of a sample, one head
    after the other.

    Args:
        path: the folder or the file.
        kind: the architecture, as SAELens calls it, where a lone file does not say it, or other
            than `cfg.json` says; by default as the file says.
        k: how many units are active, of a top-k model that does not say it.
        subtract_decoder_bias: whether `b_dec` is subtracted from the inputs before they are
            encoded; a lone `.safetensors` file does not say it.

    Returns:
        A `TrainedModel` of a `DictionaryModel`, whose objective for measurements is the
        reconstruction error alone.

    Raises:
        InputError: for files of other kinds and damaged ones, arrays that are missing, unknown, of
            other shapes or not finite, other architectures and activations, normalized
            activations, and where safetensors, of the extra `weights`, is not installed.

    >>> import tempfile
    >>> import numpy as np
    >>> path = f"{tempfile.mkdtemp()}/params.npz"
    >>> W = np.array([[1.0, 0.0, -1.0], [0.0, 1.0, -1.0]], np.float32)
    >>> np.savez(path, W_enc=W, b_enc=np.zeros(3), W_dec=W.T, b_dec=np.zeros(2),
    ...     threshold=np.array([0.5, 0.5, 1.5]))
    >>> trained = read_published(path)
    >>> h = trained.encode(np.array([[2.0, 0.25], [-1.0, -1.0]]))
    >>> h.tolist(), trained.decode(h).tolist()
    ([[2.0, 0.0, 0.0], [0.0, 0.0, 2.0]], [[2.0, 0.0], [-2.0, -2.0]])
    """
    if not isinstance(path, str | os.PathLike):
        raise InputError(
            f"The path is {shortened(path)}; expected that of a folder or a file, such as "
            "'params.npz'."
        )
    model, params = published.read(
        Path(path), kind=kind, k=k, subtract_decoder_bias=subtract_decoder_bias
    )
    return TrainedModel(model, params, {}, objective=get_objective("ae"))
