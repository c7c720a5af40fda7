"""``pare-bench probe``: right on constructed sources, of which one is in every patch and one in a single patch; errors of one line."""

import json

import pytest

from pare_bench.model.source_probe import Probed, Reading

#: A target that is quick to make; the probe learns nothing from it but clutter.
SMALL = ("-o", "size.train=24", "-o", "size.val=4", "-o", "size.test=4")

SOURCES = '''
import numpy as np
from pare_bench import TaskSpec, hookimpl
from pare_bench.contracts.task import Classes, Field, InputShape, Split, TaskSize
from pare_bench.datasets.simulated import SimulatedTask, generate_splits
from pare_bench.metrics import error_rate
from pare_bench.contracts.task import Metric

COLOURS = np.stack(np.meshgrid([0.1, 0.9], [0.1, 0.9], [0.0, 0.33, 0.66, 1.0], indexing="ij"), -1).reshape(16, 3)


class Everywhere(SimulatedTask):
    """16 colours, each in every pixel."""

    name, version, inputs, target = "everywhere", 1, InputShape(3, (56, 56)), Classes(16)
    metrics = (Metric("error_rate", lambda outputs, split: error_rate(outputs, split.targets)),)
    sizes = {"cpu": TaskSize(64, 16, 16)}
    chunk = 64

    def generated(self, seed, size):
        return generate_splits(self, seed, size, workers=1)  # worker processes that live on do not know the folder of this test

    def simulate(self, split, count, index, rng):
        labels = np.arange(count) % 16
        images = np.full((count, 3, 56, 56), 0.5) + rng.normal(0, 0.02, (count, 3, 56, 56))
        self.paint(images, labels, rng)
        return Split(images.astype(np.float16), labels.astype(np.int64))

    def paint(self, images, labels, rng):
        images += COLOURS[labels][:, :, None, None] - 0.5


class OnePatch(Everywhere):
    """16 colours, each in one patch of the image."""

    name = "one_patch"

    def paint(self, images, labels, rng):
        for image, label, (row, column) in zip(images, labels, rng.integers(0, 14, (len(labels), 2))):
            image[:, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4] = COLOURS[label][:, None, None]


class Fields(Everywhere):
    """A source without classes."""

    name, target = "fields", Field((56, 56))


@hookimpl
def pare_bench_tasks():
    for name, owner in (("everywhere", "Everywhere"), ("one_patch", "OnePatch"), ("fields", "Fields")):
        yield TaskSpec(name=name, summary="a source", target=f"plugin_of_sources:{owner}", proxy=True, modality="image")
'''


def probed(intact, at_40, chance):
    mixes = (Reading(0.64, 125, 196, intact), Reading(0.4, 78, 196, at_40), Reading(0.16, 31, 196, 0.0))
    return Probed("source", "task", "body", 64, 2000, 1000, chance, intact, mixes)


@pytest.mark.parametrize(
    ("intact", "at_40", "chance", "faults"),
    [
        (0.9, 0.46, 0.02, []),
        (0.9, 0.45, 0.02, []),
        (0.9, 0.44, 0.02, ["keeps 49% of the intact accuracy"]),
        (0.12, 0.1, 0.02, []),
        (0.12, 0.09, 0.02, ["reaches 4.5 times chance"]),
        (0.54, 0.03, 0.016, ["keeps 6% of the intact accuracy", "reaches 1.9 times chance"]),
        (0.0, 0.0, 0.02, ["reaches 0.0 times chance"]),
        # With eight classes five times chance takes more than any reader of this source has.
        (0.52, 0.485, 0.125, ["reaches 3.9 times chance"]),
    ],
)
def test_rule(intact, at_40, chance, faults):
    found = probed(intact, at_40, chance).faults()
    assert len(found) == len(faults)
    assert all(fault in text for fault, text in zip(faults, found, strict=True))


@pytest.mark.slow
def test_a_class_in_every_patch_survives_and_one_in_a_single_patch_does_not(pare_bench, install):
    install("sources", SOURCES)
    found = {}
    for source in ("everywhere", "one_patch"):
        code, out, err = pare_bench("probe", "--source", source, "--task", "fsd50k", *SMALL, "--train", "800", "--test", "320", "--format", "json")
        found[source] = json.loads(out)
        assert code == (0 if source == "everywhere" else 6), err
        assert (found[source]["train"], found[source]["test"], found[source]["classes"]) == (800, 320, 16)
        assert found[source]["chance"] == 1 / 16
        assert [(mix["share"], mix["replaced"], mix["tokens"]) for mix in found[source]["mixes"]] == [
            (0.64, 125, 196),
            (0.4, 78, 196),
            (0.16, 31, 196),
        ]
    everywhere, one = found["everywhere"], found["one_patch"]
    assert (everywhere["fit"], everywhere["faults"]) == (True, [])
    assert everywhere["intact"] > 0.95
    assert everywhere["mixes"][1]["accuracy"] > 0.5
    assert one["fit"] is False
    assert one["intact"] > 3 / 16
    # The patch itself is among the source tokens of a mix in 40 % of the examples, whatever the reader.
    assert one["mixes"][1]["accuracy"] < 0.4 + 0.6 / 16 + 0.08


def test_text_is_probed_in_a_sequence_and_no_more_tokens_are_taken_than_there_are(pare_bench):
    arguments = ("probe", "--source", "docstrings", "--task", "satellite", *SMALL, "--train", "400", "--test", "200")
    code, out, err = pare_bench(*arguments, "--format", "json")
    found = json.loads(out)
    assert code == (0 if found["fit"] else 6), err
    assert (found["source"], found["backbone"], found["classes"]) == ("docstrings", "nano_text", 8)
    assert found["chance"] == pytest.approx(1 / 8, abs=0.02)
    assert found["intact"] > 2 / 8
    tokens = found["mixes"][0]["tokens"]
    assert [mix["replaced"] for mix in found["mixes"]] == [min(32, round(share * tokens)) for share in (0.64, 0.4, 0.16)]
    again = json.loads(pare_bench(*arguments, "--format", "json")[1])
    assert {**found, "seconds": 0} == {**again, "seconds": 0}


@pytest.mark.parametrize(
    ("at_40", "code", "row", "verdict"),
    [
        (0.5, 0, "| 40% replaced | 78 of 196 | 0.500 | 0.56 | 32.0 |", "fit: the class survives mixing"),
        (
            0.05,
            6,
            "| 40% replaced | 78 of 196 | 0.050 | 0.06 | 3.2 |",
            "unfit: at 40% replaced it keeps 6% of the intact accuracy, 50% are asked for; at",
        ),
    ],
)
def test_table_and_verdict(pare_bench, install, monkeypatch, at_40, code, row, verdict):
    install("sources", SOURCES)
    told = []
    monkeypatch.setattr("pare_bench.model.source_probe.probe", lambda setting, advance: told.append(setting) or probed(0.9, at_40, 1 / 64))
    found, out, err = pare_bench("probe", "--source", "one_patch", "--task", "fsd50k", *SMALL, "--train", "64", "--test", "20", "--format", "md")
    assert found == code
    assert (told[0].source_name, len(told[0].train.inputs), len(told[0].test.inputs)) == ("one_patch", 64, 20)
    lines = out.splitlines()
    assert lines[0] == "| examples | source tokens | accuracy | of intact | times chance |"
    assert lines[2] == "| intact | - | 0.900 | 1.00 | 57.6 |"
    assert row in lines
    assert "source in task, body body: 64 classes, chance 0.016; 2000 training and 1000 test examples" in err
    assert err.splitlines()[-1].startswith(verdict)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--task", "fsd51k"), 2, "did you mean 'fsd50k'"),
        (("--task", "fractals"), 2, "task 'fractals' is in no suite"),
        (("--task", "fsd50k", "--source", "textur"), 2, "did you mean 'textures'"),
        (("--task", "fsd50k", "--source", "fields"), 2, "task 'fields' cannot be a source: its target is Field, not Classes"),
        (("--task", "fsd50k", "--backbone", "nano_swim"), 2, "did you mean 'nano_swin'"),
        (("--task", "fsd50k", "--shares", "0.64,0.16"), 2, "--shares '0.64,0.16' must"),
        (("--task", "fsd50k", "--shares", "0.4,1.5"), 2, "--shares '0.4,1.5' must"),
        (("--task", "fsd50k", "--shares", "half"), 2, "--shares 'half' is no list of numbers"),
        (("--task", "fsd50k", "--preset", "gpu"), 2, "unknown preset 'gpu'"),
        (("--task", "fsd50k", "--device", "tpu"), 2, "--device 'tpu' is not a device"),
        (("--task", "fsd50k", "--train", "10"), 2, "--train"),
        (("--task", "fsd50k", "-o", "source.nothing=1"), 2, "has no parameter 'nothing'"),
        (("--task", "fsd50k", "--source", "cifar10"), 3, "cifar10"),
        ((), 2, "missing option"),
    ],
)
def test_errors_are_one_line(pare_bench, install, monkeypatch, tmp_path, arguments, code, message):
    install("sources", SOURCES)
    monkeypatch.setenv("PARE_BENCH_DATA", str(tmp_path))
    found, out, err = pare_bench("probe", *arguments, *(SMALL if "--task" in arguments else ()))
    assert found == code, err
    assert message in err
    assert out == ""
    assert sum(line.startswith("error: ") for line in err.splitlines()) == 1
