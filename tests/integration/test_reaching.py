"""A method that reaches for the test split: what is prevented, what is detected, and what is neither (SECURITY.md)."""

from __future__ import annotations

import numpy as np
import pytest

from pare_bench.errors import RunFault
from pare_bench.records.store import Store
from pare_bench.runs.seclusion import secluded

TINY = ("--preset", "smoke", "-o", "size.train=16", "-o", "size.val=8", "-o", "size.test=8")
PLUGIN = """
import gc, glob, json, os, subprocess, sys, threading
import numpy as np
from pare_bench import MethodSpec, hookimpl
from pare_bench_baselines.constant import Constant

@hookimpl
def pare_bench_methods():
    yield MethodSpec(name="foreign", summary="A method.", target="plugin_of_foreign:Foreign", slots=())

CACHE = os.environ["PARE_BENCH_CACHE"]
OUT = {out!r}
found = []

class Answers:
    parameters_total = parameters_trained = 0
    def __init__(self, targets):
        self.targets = np.asarray(targets)
    def predict(self, inputs):
        return np.eye(24, dtype=np.float32)[self.targets] * 10

def files(pattern):
    return [path for path in glob.glob(CACHE + "/generated/satellite/*/" + pattern) if "-16-8-8-" in path and "damaged" not in path]

class Foreign(Constant):
    def fit(self, data, context):
        plain = super().fit(data, context)
{reach}
        return Answers(found[0]) if found else plain
"""


def run(install, pare_bench, tmp_path, reach, *options):
    body = "\n".join(" " * 8 + line for line in reach.strip().splitlines())
    install("foreign", PLUGIN.format(reach=body, out=str(tmp_path / "out")))
    words = ("run", "--method", "foreign", "--task", "satellite", "--out", str(tmp_path / "out"), *TINY, *options)
    code, _, err = pare_bench(*words)
    (record,) = [each for each in Store(tmp_path / "out").records() if each.method.name == "foreign"]
    return code, record, err


@pytest.fixture
def answered(pare_bench, tmp_path):
    """A store with a run of another method, its predictions, and the data in the cache."""
    assert pare_bench("run", "--method", "constant", "--task", "satellite", "--out", str(tmp_path / "out"), *TINY)[0] == 0


#: Reaching that finds nothing: while a method learns, the test split is not in memory.
PREVENTED = {
    "the garbage collector": """
import pare_bench.contracts.task as task
for each in gc.get_objects():
    if isinstance(each, task.Splits) and len(each.test) == 8:
        found.append(each.test.targets)
""",
    "frames": """
frame = sys._getframe()
while frame is not None:
    for each in list(frame.f_locals.values()):
        if type(each).__name__ == "Splits":
            found.append(each.test.targets)
    frame = frame.f_back
""",
    "its own data": """
for split in (data.train, data.val):
    for array in (split.inputs, split.targets):
        while array.base is not None:
            array = array.base
            if array.size not in (split.inputs.size, split.targets.size):
                found.append(array)
""",
}


@pytest.mark.parametrize("way", PREVENTED)
def test_prevented(install, pare_bench, tmp_path, way):
    code, record, err = run(install, pare_bench, tmp_path, PREVENTED[way])
    assert (code, record.status) == (0, "ok"), err
    assert record.primary.value == pytest.approx(record.floor)  # it had nothing to answer with


#: Reaching that ends the run: (what it does, what the record says).
DETECTED = {
    "the cache of generated data": ("found.append(np.load(files('test.targets.npy')[0]))", "test.targets.npy"),
    "the cache, the error swallowed": (
        "try:\n    found.append(np.load(files('test.targets.npy')[0]))\nexcept BaseException:\n    pass",
        "has tried to open",
    ),
    "the cache, by os.open": ("os.close(os.open(files('test.inputs.npy')[0], os.O_RDONLY))", "test.inputs.npy"),
    "frames and what they lead to": (
        """
frame = sys._getframe()
while frame is not None:
    if "prepared" in frame.f_locals:
        found.append(frame.f_locals["prepared"].data.splits.test.targets)
        break
    frame = frame.f_back
""",
        "which holds what it is scored on",
    ),
    "the registry": ("found.append(context.registry.build('task', 'satellite'))", "builds task 'satellite'"),
    "records of others": ("open(glob.glob(OUT + '/records/*/*/*/*.json')[0]).read()", "/records/"),
    "predictions of others": ("np.load(glob.glob(OUT + '/predictions/*.npz')[0])", "/predictions/"),
}


@pytest.mark.usefixtures("answered")
@pytest.mark.parametrize("way", DETECTED)
def test_detected(install, pare_bench, tmp_path, way):
    reach, said = DETECTED[way]
    code, record, _ = run(install, pare_bench, tmp_path, reach)
    assert (code, record.status, record.metrics) == (1, "failed", ())
    assert said in record.reason


def test_cached_data_that_were_overwritten_are_no_longer_scored_on(install, pare_bench, tmp_path):
    """Another process writes, so nothing is seen; but the bytes are not those that the run id stands for."""
    reach = """
code = "import numpy, sys; path = sys.argv[1]; array = numpy.load(path); array[:] = 0; numpy.save(path, array)"
subprocess.run([sys.executable, "-c", code, files("test.targets.npy")[0]], check=True)
"""
    code, record, _ = run(install, pare_bench, tmp_path, reach)
    assert (code, record.status) == (0, "ok")  # made again, and the same
    assert record.primary.value == pytest.approx(record.floor)


#: Reaching that nobody sees: what SECURITY.md says it cannot keep out. A way that is closed one day moves up, and its line there goes.
NEITHER = {
    "another process": """
code = "import numpy, sys; print(numpy.load(sys.argv[1]).tolist())"
found.append(json.loads(subprocess.run([sys.executable, "-c", code, files("test.targets.npy")[0]], capture_output=True).stdout))
""",
    "another thread": """
thread = threading.Thread(target=lambda: found.append(np.load(files("test.targets.npy")[0])))
thread.start(), thread.join()
""",
    "the task made from its class": """
from pare_bench.registry.names import Registry
config = context.config
task = Registry.from_environment().build("task", "satellite", config.task.params)
found.append(task.generated(config.data_seed, config.size.task_size()).test.targets)
""",
    "the registry underneath": """
from pare_bench.registry.names import Registry
config = context.config
task = Registry.build(context.registry, "task", "satellite", config.task.params)
found.append(task.generated(config.data_seed, config.size.task_size()).test.targets)
""",
}


@pytest.mark.parametrize("way", NEITHER)
def test_neither_prevented_nor_detected(install, pare_bench, tmp_path, way):
    code, record, err = run(install, pare_bench, tmp_path, NEITHER[way])
    assert (code, record.status) == (0, "ok"), err
    assert record.primary.value == 0.0


def test_official_and_bundled_data_stay_in_memory(install, pare_bench, tmp_path):
    """They are read once, for that may take minutes: the garbage collector leads to them."""
    reach = """
import pare_bench.contracts.task as task
found.extend(each.test.targets for each in gc.get_objects() if isinstance(each, task.Splits))
"""
    source = PLUGIN.format(reach="\n".join(" " * 8 + line for line in reach.strip().splitlines()), out="").replace("eye(24", "eye(2")
    install("foreign", source)
    words = ("--suite", "openml", "--task", "openml_37", "--preset", "smoke", "--out", str(tmp_path / "out"))
    assert pare_bench("run", "--method", "foreign", *words)[0] == 0
    (record,) = Store(tmp_path / "out").records()
    assert record.primary.value == 0.0


def test_what_is_not_secluded_can_be_opened(tmp_path):
    for name in ("test.npy", "tests", "train.npy"):
        (tmp_path / name).write_text("")
    with secluded([tmp_path / "test"]):
        (tmp_path / "train.npy").read_text()
        (tmp_path / "tests").read_text()
    with pytest.raises(RunFault, match="has tried to open"), secluded([tmp_path / "test"]), pytest.raises(RunFault, match="opens"):
        (tmp_path / "test.npy").read_text()
    (tmp_path / "test.npy").read_text()


def test_a_link_is_followed(tmp_path):
    (tmp_path / "test.npy").write_bytes(b"")
    (tmp_path / "innocent").symlink_to(tmp_path / "test.npy")
    with pytest.raises(RunFault, match=r"test\.npy"), secluded([tmp_path / "test"]):
        np.fromfile(tmp_path / "innocent")
