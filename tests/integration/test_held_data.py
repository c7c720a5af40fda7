"""What a method can do to the data it is scored on: nothing that reaches the score."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pare_bench.contracts.examples import LazyExamples
from pare_bench.contracts.task import Split, Splits
from pare_bench.errors import RunFault
from pare_bench.records.store import Store
from pare_bench.runs.held import Seal, checked_outputs, handed, read_only

TINY = ("--preset", "smoke", "-o", "size.train=16", "-o", "size.val=8", "-o", "size.test=8", "-o", "budget.epochs=1")
PLUGIN = """
import numpy as np
import torch
from pare_bench import MethodSpec, hookimpl
from pare_bench_baselines.fine_tuning import FullFineTuning

@hookimpl
def pare_bench_methods():
    yield MethodSpec(name="foreign", summary="A method.", target="plugin_of_foreign:Foreign", slots=("backbone", "embedder"))

class Foreign(FullFineTuning):
    def fit(self, data, context):
        {before}
        predictor = super().fit(data, context)
        {after}
        return predictor
"""
THROUGH_TORCH = "import warnings; warnings.simplefilter('ignore'); torch.from_numpy(data.{part})[:] = 0"


def run(install, pare_bench, tmp_path, *options, before="pass", after="pass"):
    install("foreign", PLUGIN.format(before=before, after=after))
    code, _, err = pare_bench("run", "--method", "foreign", "--task", "satellite", "--out", str(tmp_path / "out"), *TINY, *options)
    (record,) = Store(tmp_path / "out").records()
    return code, record, err


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """Records of plain fine-tuning, which the foreign method is, by track."""
    from pare_bench.cli import main

    out = tmp_path_factory.mktemp("plain")
    for track in ("clean", "paper"):
        assert main(["run", "--method", "full_finetune", "--task", "satellite", "--out", str(out), "--track", track, *TINY]) == 0
    return {record.track: record for record in Store(out).records()}


@pytest.mark.parametrize("track", ["clean", "paper"])
@pytest.mark.parametrize("part", ["train.targets", "train.inputs", "val.targets", "val.inputs"])
def test_arrays_that_a_method_is_handed_cannot_be_written(install, pare_bench, tmp_path, track, part):
    code, record, _ = run(install, pare_bench, tmp_path, "--track", track, before=f"data.{part}[:] = 0")
    assert (code, record.status) == (1, "failed")
    assert "read-only" in record.reason


@pytest.mark.parametrize("track", ["clean", "paper"])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("part", ["train.targets", "val.targets"])
def test_writing_through_torch_moves_neither_floor_nor_score(install, pare_bench, tmp_path, plain, track, when, part):
    """Seen: training targets set to 0 moved the recorded floor, and on track paper validation targets set to the predictions gave error 0."""
    _, record, _ = run(install, pare_bench, tmp_path, "--track", track, **{when: THROUGH_TORCH.format(part=part)})
    assert record.status == "ok"
    assert record.floor == plain[track].floor
    if when == "after":
        assert record.metrics == plain[track].metrics
        assert record.predictions_sha256 == plain[track].predictions_sha256


def test_inputs_that_are_read_again_are_what_they_were(install, pare_bench, tmp_path, plain):
    _, record, _ = run(install, pare_bench, tmp_path, "--track", "paper", after=THROUGH_TORCH.format(part="val.inputs"))
    assert (record.status, record.metrics) == ("ok", plain["paper"].metrics)


@pytest.mark.parametrize("part", ["inputs", "targets"])
def test_a_test_split_that_has_changed_is_a_failed_run(install, pare_bench, tmp_path, part):
    """Bundled and official data are read once: of those, a change is found."""
    found = "[each.test for each in gc.get_objects() if isinstance(each, task.Splits)]"
    after = f"import gc; import pare_bench.contracts.task as task; [part.{part}.fill(0) for part in {found}]"
    install("foreign", PLUGIN.format(before="pass", after=after))
    words = ("--suite", "openml", "--task", "openml_37", "--preset", "smoke", "-o", "budget.epochs=1")
    code, _, _ = pare_bench("run", "--method", "foreign", "--out", str(tmp_path / "out"), *words)
    (record,) = Store(tmp_path / "out").records()
    assert (code, record.status, record.task.tier) == (1, "failed", "bundled")
    assert record.reason == f"the method has changed the {part} that it is scored on"
    assert "torch.tensor" in record.hint


def test_a_predictor_that_writes_into_what_it_predicts_is_a_failed_run(install, pare_bench, tmp_path):
    after = "own = predictor.predict; predictor.predict = lambda inputs: (torch.from_numpy(inputs).zero_(), own(inputs))[1]"
    code, record, _ = run(install, pare_bench, tmp_path, after=after)
    assert (code, record.status) == (1, "failed")
    assert "changed the inputs" in record.reason


def test_a_method_that_rewrites_its_configuration_does_not_rewrite_the_record(install, pare_bench, tmp_path, plain):
    before = "context.config.task.params['made_up'] = 1; context.config.backbone.params.clear()"
    _, record, _ = run(install, pare_bench, tmp_path, after=before)
    assert record.config.backbone == plain["clean"].config.backbone
    assert "made_up" not in record.config.task.params
    code, out, _ = pare_bench("leaderboard", "validate", str(tmp_path / "out"), "--format", "json")
    assert (code, json.loads(out)["problems"]) == (0, [])


OUTPUTS = {
    "one class too few": ("np.zeros((len(inputs), 23), np.float32)", "float32 [8, 23], this task takes floating-point numbers [8, 24]"),
    "one example too few": ("np.zeros((len(inputs) - 1, 24), np.float32)", "float32 [7, 24]"),
    "classes instead of logits": ("np.zeros(len(inputs), np.int64)", "int64 [8]"),
    "one more axis": ("np.zeros((len(inputs), 24, 1), np.float32)", "float32 [8, 24, 1]"),
    "complex": ("np.zeros((len(inputs), 24), np.complex64)", "complex64 [8, 24]"),
    "objects": ("np.full((len(inputs), 24), None)", "object [8, 24]"),
    "nothing": ("None", "object []"),
    "not finite": ("np.full((len(inputs), 24), np.nan, np.float32)", "are not finite"),
    "too large for float32": ("np.full((len(inputs), 24), 1e300)", "are not finite"),
}


@pytest.mark.parametrize("outputs", OUTPUTS)
def test_predictions_that_do_not_fit_are_a_failed_run_and_no_score(install, pare_bench, tmp_path, outputs):
    made, said = OUTPUTS[outputs]
    code, record, _ = run(install, pare_bench, tmp_path, after=f"predictor.predict = lambda inputs: {made}")
    assert (code, record.status, record.metrics, record.floor) == (1, "failed", (), None)
    assert said in record.reason


def test_numbers_of_weights_that_are_none_are_a_failed_run(install, pare_bench, tmp_path):
    """Seen: the record could not be made, and the command ended with a traceback."""
    code, record, _ = run(install, pare_bench, tmp_path, after="predictor.parameters_total = 'many'")
    assert (code, record.status) == (1, "failed")
    assert "parameters_total" in record.reason


def splits(val_is_test=False):
    def part(seed):
        rng = np.random.default_rng(seed)
        return Split(rng.normal(size=(4, 1, 3)).astype(np.float32), rng.integers(0, 2, 4), {"groups": np.arange(4)})

    test = part(2)
    return Splits(part(0), test if val_is_test else part(1), test)


def test_a_validation_split_that_is_the_test_split_is_handed_over_without_its_answers():
    made = splits(val_is_test=True)
    _, val = handed(made)
    assert np.array_equal(val.targets, made.test.targets)
    assert not np.may_share_memory(val.targets, made.test.targets)
    assert not np.may_share_memory(val.extras["groups"], made.test.extras["groups"])
    assert np.may_share_memory(val.inputs, made.test.inputs)  # no copy of what may be large; a change of it is found


def test_examples_that_are_not_in_memory_pass_as_they_are():
    lazy = LazyExamples((4, 2), np.float32, lambda indices: np.zeros((len(indices), 2), np.float32))
    split = Split(lazy, np.zeros(4))
    assert read_only(split).inputs is lazy
    Seal(split).check(split)


@pytest.mark.parametrize("name", ["inputs", "targets", "groups"])
def test_the_seal_finds_a_change_of_one_value(name):
    split = splits().test
    seal = Seal(split)
    seal.check(split)
    array = split.extras["groups"] if name == "groups" else getattr(split, name)
    array.flat[-1] += 1
    with pytest.raises(RunFault, match=f"changed the {name} that"):
        seal.check(split)


def test_outputs_in_double_precision_are_taken_as_float32():
    found = checked_outputs(np.ones((2, 3)), 2, (3,))
    assert found.dtype == np.float32
