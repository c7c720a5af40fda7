"""Distributions of plugins/ and a moody method, put on the path of commands in processes of their own, as pip would."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

PLUGINS = Path(__file__).parents[2] / "plugins"
TINY = ("--preset", "smoke", "-o", "size.train=8", "-o", "size.val=4", "-o", "size.test=4")
MOODY_PLUGIN = """
from pare_bench import MethodSpec, hookimpl

@hookimpl
def pare_bench_methods():
    yield MethodSpec(name="moody", summary="A method.", target="method_of_moody:Moody", slots=())
"""
#: A method that notes each try with its process, and then does what its mood says.
MOODY = """
import os, time
from pathlib import Path
from pare_bench.contracts.method import Method
from pare_bench.contracts.params import Params

class Moody(Method):
    class Params(Params):
        folder: str = ""
        moods: list[str] = ["good"]

    def fit(self, data, context):
        mood = self.params.moods[context.config.seed % len(self.params.moods)]
        tries = Path(self.params.folder) / f"seed {context.config.seed}"
        with tries.open("a") as file:
            file.write(f"{os.getpid()}\\n")
        if mood == "dies" or (mood == "dies once" and len(tries.read_text().split()) == 1):
            os._exit(7)
        if mood == "raises":
            raise RuntimeError("no idea")
        if mood == "prints":
            print("I print")
            os.system("echo a child prints")
        while mood == "sleeps" or (mood == "sleeps once" and len(tries.read_text().split()) == 1):
            time.sleep(0.01)
        return context.registry.build("method", "constant").fit(data, context)
"""


def installed(site: Path, *distributions: str) -> dict[str, str]:
    """Write what pip would of some distributions and of the moody method below ``site``, and return the environment of commands that find them."""
    site.mkdir(exist_ok=True)
    folders = []
    for name in distributions:
        project = tomllib.loads((PLUGINS / name / "pyproject.toml").read_text())["project"]
        _information(site, project["name"], project["version"], project["entry-points"]["pare_bench"])
        folders.append(str(PLUGINS / name))
    (site / "plugin_of_moody.py").write_text(MOODY_PLUGIN)
    (site / "method_of_moody.py").write_text(MOODY)
    _information(site, "pare-bench-moody", "1.0", {"moody": "plugin_of_moody"})
    path = os.pathsep.join([str(site), *folders, os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}


def _information(site: Path, name: str, version: str, points: dict[str, str]) -> None:
    folder = site / f"{name.replace('-', '_')}-{version}.dist-info"
    folder.mkdir(exist_ok=True)
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (folder / "entry_points.txt").write_text("[pare_bench]\n" + "".join(f"{key} = {value}\n" for key, value in points.items()))


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "pare_bench", *words]


def run(environment: dict[str, str], *words: str, timeout: float = 240) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command("run", *words), env=environment, capture_output=True, text=True, timeout=timeout, check=False)


def moody(folder: Path, *moods: str) -> tuple[str, ...]:
    listed = ", ".join(f'"{mood}"' for mood in moods)
    return ("-m", "moody", "-t", "satellite", *TINY, "-o", f"method.folder={folder}", "-o", f"method.moods=[{listed}]")
