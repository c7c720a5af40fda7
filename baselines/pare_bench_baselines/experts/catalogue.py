"""All experts, in the order of the suites."""

from __future__ import annotations

from pare_bench_baselines.experts.deepsea import DEEPSEA
from pare_bench_baselines.experts.dilated_resnet import DILATED_RESNET
from pare_bench_baselines.experts.expert import Expert
from pare_bench_baselines.experts.fourier_operator import FOURIER_OPERATOR
from pare_bench_baselines.experts.pdebench import PDEBENCH_FNO, PDEBENCH_UNET
from pare_bench_baselines.experts.resnet1d import RESNET1D
from pare_bench_baselines.experts.rocket import ROCKET
from pare_bench_baselines.experts.semg_attention import SEMG_ATTENTION
from pare_bench_baselines.experts.spherical_cnn import SPHERICAL_CNN
from pare_bench_baselines.experts.unet import UNET
from pare_bench_baselines.experts.vgg_like import VGG_LIKE
from pare_bench_baselines.experts.wide_resnet import WIDE_RESNET

_ALL = (
    WIDE_RESNET,
    SPHERICAL_CNN,
    SEMG_ATTENTION,
    VGG_LIKE,
    FOURIER_OPERATOR,
    DILATED_RESNET,
    UNET,
    RESNET1D,
    ROCKET,
    DEEPSEA,
    PDEBENCH_FNO,
    PDEBENCH_UNET,
)

EXPERTS: dict[str, Expert] = {expert.name: expert for expert in _ALL}
BY_TASK: dict[str, Expert] = {task: expert for expert in _ALL for task in expert.tasks}
