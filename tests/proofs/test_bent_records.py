"""A bent record is refused by ``leaderboard validate`` and left off the board with the reason; docs/proofs.md says what is not detected.

Each is bent in three ways: by hand (the seal stays), with the seal taken out, and with a seal that fits, as whoever knows how would write it.
"""

from __future__ import annotations

import json
import os
import shutil

import numpy as np
import pytest
from factories import sealed
from proof_tools import TINY

from pare_bench.records import ranges
from pare_bench.records.predictions import PredictionsFolder, outputs_digest
from pare_bench.records.record import RunRecord
from pare_bench.registry.names import Registry
from pare_bench.scoring.tracks import released_metrics


def other_name(document):
    document["method"]["name"] = document["config"]["method"]["name"] = "pare"


def other_seed(document):
    document["seed"] = document["config"]["seed"] = 7


def other_params(document):
    document["config"]["recipe"]["learning_rate"] = 1.0


def into_failure(document):
    document |= {"status": "failed", "reason": "loss became nan"}


def score(value):
    return lambda document: document["metrics"][0].update(value=value)


BENDS = {
    # What is edited: (the edit, a word of the reason where the seal fits).
    "the score": (score(0.0625), "stored predictions give"),
    "the score, out of its range": (score(-0.5), "not between 0 and 1"),
    "the floor": (lambda document: document.update(floor=0.99), "stored predictions give"),
    "the seed": (lambda document: document.update(seed=7), "the configuration says"),
    "the seed, in the configuration too": (other_seed, "identity"),
    "a setting": (other_params, "identity"),
    "the method's name": (lambda document: document["method"].update(name="pare"), "the configuration says"),
    "the method's name, in the configuration too": (other_name, "identity"),
    "the method's parameters": (lambda document: document["slots"]["backbone"]["params"].update(pretrained=False), "the configuration says"),
    "the run id": (lambda document: document.update(run_id="0" * 16), "identity"),
    "the name of the metric": (lambda document: document["metrics"][0].update(name="accuracy"), "task 'satellite' has 'error_rate'"),
    "the metric's direction": (lambda document: document["metrics"][0].update(direction="maximise"), "task 'satellite' has 'error_rate'"),
    "a metric that is not there": (lambda document: document.update(metrics=[]), "one primary metric"),
    "a success made a failure": (into_failure, "has no scores"),
    "the time": (lambda document: document.update(finished="2000-01-01T00:00:00+00:00"), "before it started"),
    "the digest of the predictions": (lambda document: document.update(predictions_sha256="0" * 64), "not those that it was scored on"),
    "the data": (lambda document: document["task"].update(data_sha256="0" * 64), "identity"),
}


def record_of(out, method, seed):
    (path,) = (path for path in (out / "records/nas360/satellite" / method).glob("*.json") if json.loads(path.read_text())["seed"] == seed)
    return path


def entry(board, method):
    """What a leaderboard says of a method, whose label has its settings."""
    (division,) = board["divisions"]
    (found,) = (each for label, each in division["methods"].items() if label.partition("[")[0] == method)
    return found


def bend(path, edit, seal):
    document = json.loads(path.read_text())
    edit(document)
    if seal == "missing":
        document["content_sha256"] = None
    path.write_text(sealed(document) if seal == "fitting" else json.dumps(document, sort_keys=True, indent=2) + "\n")


def refused(pare_bench, out, victim, words):
    """Every command that makes something of records refuses the file by name and reason; the others count as before."""
    code, shown, _ = pare_bench("leaderboard", "validate", str(out), "--format", "json")
    problems = json.loads(shown)["problems"]
    assert code == 4
    assert {problem["path"] for problem in problems} == {str(victim)}
    assert any(words in f"{problem['field']} {problem['message']}" for problem in problems), problems
    code, _, err = pare_bench("leaderboard", "build", "--out", str(out))
    assert code == 4
    assert str(victim) in err
    assert words in err
    board = json.loads((out / "leaderboard.json").read_text())
    (left_off,) = board["left_off"]
    assert left_off["path"] == victim.relative_to(out).as_posix()
    assert words in left_off["reason"]
    assert entry(board, "full_finetune")["tasks"]["satellite"]["seeds"].keys() == {"1"}
    assert entry(board, "constant")["status"] == "complete"
    # Commands that do not compute scores again go by what was found.
    for verb in (("leaderboard", "show"), ("leaderboard", "export", "csv", "--to", "-")):
        code, shown, err = pare_bench(*verb, "--out", str(out))
        assert code == 4
        assert str(victim) in err
        assert victim.stem not in shown
    code, _, err = pare_bench("compare", "full_finetune", "constant", "--out", str(out))
    assert (code, str(victim) in err) == (4, True)


@pytest.mark.parametrize("seal", ["kept", "missing", "fitting"])
@pytest.mark.parametrize("what", BENDS)
def test_a_bent_record_is_refused_and_left_off_the_board(pare_bench, out, what, seal):
    edit, words = BENDS[what]
    victim = record_of(out, "full_finetune", 0)
    bend(victim, edit, seal)
    refused(pare_bench, out, victim, {"kept": "changed since it was written", "missing": "seal", "fitting": words}[seal])


def test_a_second_copy_in_anothers_place_is_refused_and_left_off(pare_bench, out):
    original = record_of(out, "full_finetune", 0)
    victim = original.parents[1] / "pare" / original.name
    victim.parent.mkdir()
    shutil.copy(original, victim)
    code, shown, _ = pare_bench("leaderboard", "validate", str(out), "--format", "json")
    assert code == 4
    assert {problem["path"] for problem in json.loads(shown)["problems"]} == {str(victim)}
    assert pare_bench("leaderboard", "build", "--out", str(out))[0] == 4
    board = json.loads((out / "leaderboard.json").read_text())
    assert [each["path"] for each in board["left_off"]] == [victim.relative_to(out).as_posix()]
    assert "the record belongs at" in board["left_off"][0]["reason"]
    assert entry(board, "full_finetune")["tasks"]["satellite"]["n"] == 2


def test_one_run_in_anothers_file_is_refused_and_left_off(pare_bench, out):
    victim = record_of(out, "full_finetune", 0)
    shutil.copy(record_of(out, "full_finetune", 1), victim)
    refused(pare_bench, out, victim, "the record belongs at")


def test_predictions_of_another_run_are_refused_and_the_record_left_off(pare_bench, out):
    victim = record_of(out, "full_finetune", 0)
    shutil.copy(out / "predictions" / f"{record_of(out, 'constant', 0).stem}.npz", out / "predictions" / f"{victim.stem}.npz")
    refused(pare_bench, out, victim, "predictions")


def test_predictions_and_digests_made_to_fit_do_not_give_the_score(pare_bench, out):
    """Better outputs under the old score, or a better score over the old outputs: all digests fit, the scores do not."""
    victim = record_of(out, "full_finetune", 0)
    record = RunRecord.from_json(victim.read_text())
    outputs = np.roll(PredictionsFolder(out / "predictions").load(record), 1, axis=1)
    kept = PredictionsFolder(out / "predictions", "full").save(record.run_id, outputs, lambda _: True)
    changed = record.model_copy(update={"predictions": kept, "predictions_sha256": outputs_digest(outputs)})
    victim.write_text(changed.to_json())
    refused(pare_bench, out, victim, "stored predictions give")


def test_outputs_that_do_not_fit_the_task_are_refused(pare_bench, out):
    victim = record_of(out, "full_finetune", 0)
    record = RunRecord.from_json(victim.read_text())
    outputs = PredictionsFolder(out / "predictions").load(record)[:3]
    kept = PredictionsFolder(out / "predictions", "full").save(record.run_id, outputs, lambda _: True)
    victim.write_text(record.model_copy(update={"predictions": kept, "predictions_sha256": outputs_digest(outputs)}).to_json())
    refused(pare_bench, out, victim, "do not fit the task")


def test_damaged_predictions_are_named_and_no_word_against_the_record(pare_bench, out):
    """A flipped bit in the evidence loses the evidence, not the score."""
    before = (out / "leaderboard.json").read_bytes()
    path = out / "predictions" / f"{record_of(out, 'full_finetune', 0).stem}.npz"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    code, shown, _ = pare_bench("leaderboard", "validate", str(out), "--format", "json")
    assert (code, [problem["field"] for problem in json.loads(shown)["problems"]]) == (4, ["predictions.file_sha256"])
    code, _, err = pare_bench("leaderboard", "build", "--out", str(out))
    assert code == 0
    assert f"predictions '{path}' are damaged" in err
    assert (out / "leaderboard.json").read_bytes() == before


def test_what_was_found_stands_in_later_runs_and_is_forgotten_with_the_record(pare_bench, out):
    victim = record_of(out, "full_finetune", 0)
    whole = victim.read_bytes()
    clean = json.loads((out / "leaderboard.json").read_text())
    bend(victim, score(0.0625), "fitting")
    assert pare_bench("leaderboard", "build", "--out", str(out))[0] == 4
    found = (out / "leaderboard.json").read_bytes()
    assert pare_bench("leaderboard", "build", "--check", "--out", str(out))[0] == 4
    record_of(out, "constant", 0).unlink()
    assert run(pare_bench, out, "constant") == 0
    assert [each["path"] for each in json.loads((out / "leaderboard.json").read_text())["left_off"]] == [victim.relative_to(out).as_posix()]
    assert json.loads(found)["left_off"] == json.loads((out / "leaderboard.json").read_text())["left_off"]
    victim.write_bytes(whole)
    assert pare_bench("leaderboard", "build", "--out", str(out))[0] == 0
    assert (out / "leaderboard.json").read_text().count("left_off") == 0
    assert entry(clean, "full_finetune") == entry(json.loads((out / "leaderboard.json").read_text()), "full_finetune")


def run(pare_bench, out, method):
    return pare_bench("run", "--method", method, "--task", "satellite", "--predictions", "full", "--out", str(out), *TINY)[0]


def test_a_bent_record_is_not_served_but_done_again(pare_bench, out):
    victim = record_of(out, "full_finetune", 0)
    before = json.loads(victim.read_text())
    bend(victim, score(-0.5), "fitting")
    assert run(pare_bench, out, "full_finetune") == 0
    assert json.loads(victim.read_text())["metrics"] == before["metrics"]
    assert [path.name for path in (out / "damaged").rglob("*.1")] == [f"{victim.name}.1"]


def test_without_predictions_only_a_run_done_again_shows_a_score_that_was_made_up(pare_bench, out, tmp_path):
    """The gap that docs/proofs.md states, and what closes it."""
    victim = record_of(out, "constant", 0)
    shutil.rmtree(out / "predictions")
    bend(victim, score(0.0625), "fitting")
    code, _, err = pare_bench("leaderboard", "validate", str(out))
    assert code == 0
    assert "3 not: no predictions are stored" in err
    for path in (record_of(out, "full_finetune", seed) for seed in (0, 1)):
        os.remove(path)  # noqa: PTH107
    file = tmp_path / "submission.zip"
    assert pare_bench("leaderboard", "bundle", str(file), "--out", str(out))[0] == 0
    code, shown, _ = pare_bench("leaderboard", "verify", str(file), "--rerun", "1", "--exact")
    assert (code, "different" in shown) == (6, True)


def test_the_range_of_every_bundled_metric_is_known():
    registry = Registry.from_environment()
    for name in registry.names("task"):
        task = registry.build("task", name)
        for metric in (*task.metrics, *released_metrics(task, 8)):
            low, high = ranges.range_of(metric.name)
            assert low == 0, (name, metric.name)
            assert high == (1 if metric.name.endswith(("_error", "_rate", "_recordings")) else float("inf")), (name, metric.name)
    assert ranges.range_of("a plugin's own") == (-float("inf"), float("inf"))
