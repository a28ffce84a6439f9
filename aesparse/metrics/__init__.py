"""Measurements: functions `measurement(trained, x) -> pytree of arrays` of one trained model.

Made on the device over any number of samples, by `fit(…, measure=…)` or afterwards.
"""

from aesparse.metrics.blocks import MEASURE_SAMPLES, block_means
from aesparse.metrics.codes import CodeQuality, DensityHistogram, code_quality, density_histogram
from aesparse.metrics.recovery import MatchedF1, Recovery, matched_f1, recovery
from aesparse.metrics.statistics import (
    DEAD_LIMIT,
    SMALL_CODE,
    CodeSizes,
    CodeStatistics,
    Metrics,
    Trained,
    UnitStatistics,
    activation_statistics,
    code_sizes,
    code_statistics,
    collapsed,
    diverged,
    summarize,
    unit_statistics,
)
from aesparse.metrics.theorem1 import (
    THEOREM1_SAMPLES,
    Theorem1Ratio,
    bias_gradient_bound,
    pushed_down,
    theorem1_ratio,
)

__all__ = [
    "DEAD_LIMIT",
    "MEASURE_SAMPLES",
    "SMALL_CODE",
    "THEOREM1_SAMPLES",
    "CodeQuality",
    "CodeSizes",
    "CodeStatistics",
    "DensityHistogram",
    "MatchedF1",
    "Metrics",
    "Recovery",
    "Theorem1Ratio",
    "Trained",
    "UnitStatistics",
    "activation_statistics",
    "bias_gradient_bound",
    "block_means",
    "code_quality",
    "code_sizes",
    "code_statistics",
    "collapsed",
    "density_histogram",
    "diverged",
    "matched_f1",
    "pushed_down",
    "recovery",
    "summarize",
    "theorem1_ratio",
    "unit_statistics",
]
