"""Registers the baselines."""

from __future__ import annotations

from collections.abc import Iterator

from pare_bench import MethodSpec, hookimpl

_PACKAGE = "pare_bench_baselines"


@hookimpl
def pare_bench_methods() -> Iterator[MethodSpec]:
    """Yield ORCA, naive fine-tuning, the controls and the experts' networks."""
    yield MethodSpec(
        name="orca",
        summary="align the embedder, then fine-tune (Shen et al., ICML 2023)",
        target=f"{_PACKAGE}.orca:Orca",
        slots=("backbone", "embedder", "aligner", "source"),
    )
    yield MethodSpec(name="full_finetune", summary="naive fine-tuning of everything (NFT)", target=f"{_PACKAGE}.fine_tuning:FullFineTuning")
    yield MethodSpec(name="from_scratch", summary="the same network from random weights (control)", target=f"{_PACKAGE}.fine_tuning:FromScratch")
    yield MethodSpec(
        name="frozen_random", summary="random frozen body, embedder and head trained (control)", target=f"{_PACKAGE}.fine_tuning:FrozenRandom"
    )
    yield MethodSpec(name="linear_probe", summary="pretrained frozen body, embedder and head trained", target=f"{_PACKAGE}.fine_tuning:LinearProbe")
    yield MethodSpec(
        name="hand_designed",
        summary="the network that experts designed for the task, from scratch",
        target=f"{_PACKAGE}.hand_designed:HandDesigned",
        slots=(),
    )
    yield MethodSpec(name="constant", summary="the trivial predictor: the floor", target=f"{_PACKAGE}.constant:Constant", slots=())
    yield MethodSpec(
        name="persistence",
        summary="nothing changes: the second floor of fields that evolve",
        target=f"{_PACKAGE}.persistence:Persistence",
        slots=(),
    )
    tables = f"{_PACKAGE}.tabular"
    for name, summary, target in (
        ("logistic_regression", "logistic regression on tables, tuned", "forest:LogisticRegression"),
        ("random_forest", "random forest on tables, tuned", "forest:RandomForest"),
        ("xgboost", "XGBoost on tables, tuned (extra tabular)", "boosting:XGBoost"),
        ("lightgbm", "LightGBM on tables, tuned (extra tabular)", "boosting:LightGbm"),
        ("catboost", "CatBoost on tables, tuned (extra tabular)", "boosting:CatBoost"),
        ("tabpfn", "TabPFN on tables, as it comes (extra tabpfn)", "untuned:TabPfn"),
        ("autogluon", "AutoGluon on tables, a limited time (extra autogluon)", "untuned:AutoGluon"),
    ):
        yield MethodSpec(name=name, summary=summary, target=f"{tables}.{target}", slots=())
