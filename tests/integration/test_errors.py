"""Bad input: one clear line, a hint, the documented exit code, no traceback, nothing run."""

from __future__ import annotations

import pytest

RUN = ("run", "--method", "constant", "--preset", "smoke")


@pytest.mark.parametrize(
    ("argv", "code", "words"),
    [
        (("run", "--method", "pere"), 2, ["unknown method 'pere'", "did you mean 'pare'?"]),
        ((*RUN, "--task", "egc"), 2, ["no task 'egc'", "did you mean 'ecg'?"]),
        ((*RUN, "--suite", "nas361"), 2, ["unknown suite 'nas361'", "did you mean 'nas360'?"]),
        (("run", "--method", "pare", "--preset", "cpus"), 2, ["unknown preset 'cpus'", "did you mean 'cpu'?"]),
        ((*RUN, "-o", "recipe.learning_rat=1"), 2, ["unknown path 'recipe.learning_rat'", "did you mean 'recipe.learning_rate'?"]),
        ((*RUN, "-o", "nonsense=1"), 2, ["unknown path 'nonsense'"]),
        ((*RUN, "-o", "nonsense"), 2, ["path=value"]),
        ((*RUN, "-o", "mixer.begin=1"), 2, ["method 'constant' has no mixer"]),
        (("run", "--method", "pare", "-o", "mixer.begn=0.5"), 2, ["has no parameter 'begn'", "did you mean 'begin'?"]),
        (("run", "--method", "pare", "-o", "mixer.begin=5"), 2, ["begin", "5"]),
        (("run", "--method", "pare", "-o", "selector=gatekeeper"), 2, ["unknown selector 'gatekeeper'"]),
        ((*RUN, "-o", "recipe.batch_size=none"), 2, ["recipe.batch_size"]),
        ((*RUN, "--seeds", "3-1"), 2, ["--seeds '3-1'"]),
        ((*RUN, "--device", "gpu7"), 2, ["--device 'gpu7'"]),
        ((*RUN, "--tier", "official", "--task", "satellite", "--fail-fast"), 3, ["official"]),
        ((*RUN, "--tier", "bogus"), 2, ["tier", "bogus"]),
        ((*RUN, "--track", "paqer"), 2, ["track", "paqer", "'clean' or 'paper'"]),
        ((*RUN[:3], "--preset", "papers"), 2, ["unknown preset 'papers'", "did you mean 'paper'?"]),
        (("show", "preset", "paper"), 2, ["preset 'paper' has values for each task"]),
        (("show", "method", "pare", "--task", "ecg"), 2, ["belong to presets"]),
        ((*RUN, "--no-such-option"), 2, ["no such option", "--no-such-option"]),
        (("rnu",), 2, ["rnu"]),
        (("list", "selectorz"), 2, ["unknown kind 'selectorz'"]),
        (("show", "method", "orka"), 2, ["unknown method 'orka'", "did you mean 'orca'?"]),
    ],
)
def test_one_line_a_hint_and_the_exit_code(pare_bench, tmp_path, argv, code, words):
    out = ("--out", str(tmp_path)) if argv[0] == "run" else ()
    got, _, err = pare_bench(*argv, *out)
    lines = [line for line in err.splitlines() if line.startswith(("error:", "hint:"))]
    assert got == code, err
    assert [line.partition(":")[0] for line in lines] == ["error", "hint"], err
    for word in words:
        assert word.lower() in lines[0].lower()
    assert "Traceback" not in err
    assert not list(tmp_path.glob("records/*/*/*/*.json"))


def test_an_unwritable_out_is_found_before_any_training(pare_bench, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("a file stands where the folder should be")
    code, _, err = pare_bench(*RUN, "--task", "satellite", "--out", str(blocked))
    assert code == 5
    assert f"--out '{blocked}' cannot be written" in err
    assert "hint: choose a writable folder" in err


def test_a_missing_gpu_is_an_environment_fault(pare_bench, tmp_path):
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    code, _, err = pare_bench(
        "run", "--method", "full_finetune", "--task", "satellite", "--preset", "smoke", "--device", "cuda", "--out", str(tmp_path)
    )
    assert code == 5
    assert "device 'cuda' is not available" in err
