"""The page: what it says, that nothing of a record becomes markup, and that it needs nothing but itself."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest
from factories import make_grid, make_record

from pare_bench.cli import main
from pare_bench.leaderboard.build import build
from pare_bench.records.record import CurveRecord, TrainingRecord
from pare_bench.records.store import Store
from pare_bench.records.variants import short_names
from pare_bench.registry.names import Registry
from pare_bench.report import charts
from pare_bench.report.content import Versions, sections
from pare_bench.report.drawing import svg
from pare_bench.report.numbers import count, duration, number
from pare_bench.report.page import known_pictures, page
from pare_bench.report.ranking import pareto_front

pytest.importorskip("vl_convert", reason="vl-convert-python is not installed (extra report)")

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)> {{ 7 * 7 }} \"'><svg/onload=alert(3)>"
TRAINING = {
    "train": TrainingRecord(
        curve=tuple(CurveRecord(epoch=epoch, step=epoch, train_loss=1 / epoch, validation=0.5 / epoch) for epoch in (1, 2, 3)),
        best_epoch=3,
        steps=3,
        stopped="epochs",
    )
}


def grid():
    records = make_grid({"pare": {"ecg": [0.2, 0.3], "satellite": [0.5, 0.4]}, "orca": {"ecg": [0.4, 0.3], "satellite": [0.2, 0.3]}})
    costs = {"pare": 9.0, "orca": 3.0}
    return [
        record.model_copy(
            update={"seconds": {"train": costs[record.method.name], "prepare": 100.0}, "parameters_trained": 1000, "training": TRAINING}
        )
        for record in records
    ] + [make_record("naive", "ecg", status="failed", reason=HOSTILE, command=f"pare-bench {HOSTILE}")]


def made(records, **options):
    return page(records, summaries={"ecg": "heart <b>beats</b>"}, pictures={}, **options)


class Reader(HTMLParser):
    """Collects tags with their attributes, text, and ids."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.tags, self.words = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def test_content_follows_the_leaderboard():
    (section,) = sections(grid(), {"ecg": "heart"}, max_runs=100)
    methods = build(grid())["divisions"][0]["methods"]
    assert [row.label for row in section.ranked] == ["orca", "pare"]
    assert {row.label: row.mean_rank for row in section.ranked} == {name: methods[name]["mean_rank"] for name in ("orca", "pare")}
    assert [row.label for row in section.partial] == ["naive"]
    assert section.partial[0].problems == ("no run on satellite", f"failed: {HOSTILE} (on ecg seed 0)")
    cell = section.ranked[1].cells["ecg"]
    # Student's t with one degree of freedom: half a width of 12.706 * 0.05.
    assert (cell.mean, cell.half, cell.rank) == (pytest.approx(0.25), pytest.approx(12.7062 * 0.05, rel=1e-4), 1)
    # Making the data is nobody's cost; two tasks, mean over seeds.
    assert {row.label: row.seconds for row in section.ranked} == {"pare": 18.0, "orca": 6.0}
    assert section.tasks[0].summary == "heart"


def test_runs_beyond_the_limit_are_counted_and_those_that_count_come_first():
    old = make_record("pare", "ecg", 0.9, code="old", finished="2025-01-01T00:00:00+00:00")
    records = [*grid(), old]
    (section,) = sections(records, {}, max_runs=9)
    shown = [run.run_id for group in section.groups for run in group.runs]
    assert len(shown) == 9
    assert old.run_id not in shown
    assert section.left_out == 1
    text = made(records, max_runs=2)
    assert "8 runs are not shown one by one" in text
    assert len(re.findall(r'id="run-', text)) == 2


def of_version(version, **fields):
    return make_record(**fields).model_copy(update={"method_version": version})


def test_runs_of_earlier_versions_are_named():
    later = [of_version(2, task="satellite", seed=seed, code="later") for seed in (0, 1)]
    records = [*make_grid({"pare": {"ecg": [0.2, 0.3], "satellite": [0.1, 0.1]}, "orca": {"ecg": [0.4]}}), *later]
    versions = Versions({"pare": 2, "orca": 1}, {"ecg": 3})
    (section,) = sections(records, {}, max_runs=0, versions=versions)
    assert section.earlier == (
        "2 runs of version 1 of method 'pare' (now 2)",
        "3 runs of version 1 of task 'ecg' (now 3)",
    )
    text = page(records, summaries={}, pictures={}, versions=versions)
    assert "2 runs of version 1 of method &#39;pare&#39; (now 2)" in text
    assert "earlier versions" not in page(records, summaries={}, pictures={})


def test_curves_over_training_examples_where_sizes_differ():
    small = [
        record.model_copy(update={"task": record.task.model_copy(update={"sizes": {"train": 2, "val": 4, "test": 4}, "data_sha256": "a" * 64})})
        for record in make_grid({"pare": {"ecg": [0.8, 0.6]}}, code="small")
    ]
    (section,) = sections([*grid(), *small], {}, max_runs=0)
    assert section.tasks[0].fractions == {"pare": [(2, pytest.approx(0.7)), (8, pytest.approx(0.25))]}
    assert section.tasks[1].fractions == {}
    assert "over the number of training examples" in made([*grid(), *small])


def test_no_text_of_a_record_becomes_markup():
    records = grid()
    evil = make_record("pare", "ecg", 0.1, seed=5, metric="error_rate").model_copy(
        update={"environment": records[0].environment.model_copy(update={"device": HOSTILE, "libraries": {HOSTILE: HOSTILE}})}
    )
    text = made([*records, evil], title=HOSTILE)
    reader = Reader(text)
    assert len(reader.all("script")) == 1
    assert not any(name.startswith("on") for _, attributes in reader.tags for name in attributes)
    assert {attributes["src"][:5] for attributes in reader.all("img")} <= {"data:"}
    assert HOSTILE in "".join(reader.words)
    assert "{{ 7 * 7 }}" in text


def test_labels_in_charts_are_text():
    records = make_grid({"pare": {"ecg": [0.2, 0.1]}, "orca": {"ecg": [0.3, 0.3]}})
    command = "pare-bench run -o mixer=</text><script>1</script>"
    text = made([*records, *(make_record("pare", "ecg", 0.5, seed=s, command=command, config={"precision": "bfloat16"}) for s in (0, 1))])
    for chart in re.findall(r"<svg .*?</svg>", text, re.DOTALL):
        tags = {element.tag for element in ET.fromstring(chart).iter()}  # noqa: S314 - our own output
        assert tags <= {"svg", "g", "path", "line", "rect", "text", "tspan", "title"}
    assert len(Reader(text).all("script")) == 1


def test_the_page_loads_nothing_and_allows_only_its_own_script():
    text = made(grid())
    reader = Reader(text)
    assert not re.search(r"""(src|href|action|poster|data)\s*=\s*["']?(https?:)?//""", text)
    assert "url(" not in text
    assert "@import" not in text
    policy = next(attributes["content"] for attributes in reader.all("meta") if attributes.get("http-equiv") == "Content-Security-Policy")
    for tag in ("style", "script"):
        (body,) = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        assert f"{tag}-src 'sha256-{base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()}'" in policy
    assert "default-src 'none'" in policy
    assert not any("style" in attributes for _, attributes in reader.tags)


def test_ids_are_unique_and_links_lead_somewhere():
    reader = Reader(made([*grid(), make_record(tier="official"), make_record(preset="smoke")]))
    ids = [attributes["id"] for _, attributes in reader.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = {attributes["href"][1:] for attributes in reader.all("a")}
    assert targets
    assert targets <= set(ids)


def test_each_run_has_its_command_environment_and_curves():
    text = made(grid())
    assert text.count("<pre ") == 9
    assert "pare-bench run --method pare" in text
    assert text.count("stage train: training loss") >= 4
    assert "Python 3.11.0" in text


def test_the_same_records_give_the_same_page_in_any_order():
    assert made(grid()) == made(grid()[::-1])


def test_a_page_of_nothing_says_so():
    assert "There are no records yet" in made([])


def test_the_front_of_cost_and_score():
    points = {"cheap": (1.0, 3.0), "middle": (2.0, 2.0), "worse": (3.0, 2.0), "best": (4.0, 1.0), "twin": (1.0, 3.0)}
    assert pareto_front(points) == ["cheap", "middle", "best"]


def test_the_pictures_of_ranks_and_profiles_show_every_method():
    ranks = {"pare": 1.4, "orca": 1.9, "full_finetune": 2.7}
    picture = svg(charts.critical_difference(ranks, [["pare", "orca"]], 1.05), "ranks")
    profiles = svg(charts.profiles({"pare": [(1, 0.5), (2, 1.0)], "orca": [(1, 0.5), (4, 1.0)]}, "ratio to the best", "share of tasks"), "profiles")
    assert all(f">{name}<" in picture for name in ranks)
    assert "pare: mean rank 1.40" in picture
    assert "not told apart: pare, orca" in picture
    assert "critical difference 1.05" in picture
    assert all(f">{name}<" in profiles for name in ("pare", "orca"))
    assert 'role="img" aria-label="profiles"' in profiles


def test_charts_name_methods_by_what_tells_them_apart():
    """The first official division has eight methods with one and the same smaller budget: their labels filled the charts."""
    budget, body = "budget.epochs=10", "backbone.model=minilm"
    labels = [f"orca[{budget}]", f"pare[{budget}]", f"pare[{body},{budget}]", "constant", "mine[stages=[1,2],x=3]"]
    names = short_names(labels)
    assert names == dict(zip(labels, ["orca", "pare", f"pare[{body}]", "constant", "mine"], strict=True))
    assert short_names(["pare", f"pare[{budget}]"]) == {"pare": "pare", f"pare[{budget}]": f"pare[{budget}]"}
    spec = charts.profiles({label: [(1, 0.5), (2, 1.0)] for label in labels}, f"ratio to {labels[0]}", "share of tasks")
    spec["data"]["values"].append({"says": labels[1]})
    found = charts.renamed(spec, names)
    assert found["encoding"]["color"]["scale"]["domain"] == list(names.values())
    assert found["encoding"]["x"]["title"] == "ratio to orca"
    assert {each["line"] for each in found["data"]["values"][:-1]} == set(names.values())
    assert found["data"]["values"][-1] == {"says": labels[1]}
    records = make_grid({"pare": {"ecg": [0.3, 0.31]}, "orca": {"ecg": [0.4, 0.41]}}, command=f"pare-bench run -o {budget}")
    assert "Names in charts leave out the settings" in made(records)
    assert "Names in charts" not in made(make_grid({"pare": {"ecg": [0.3, 0.31]}, "orca": {"ecg": [0.4, 0.41]}}))


def test_numbers_are_short():
    assert [number(value) for value in (None, 0.0, 0.25, 12.3456, 123456.0, 1e-5)] == ["-", "0.0000", "0.2500", "12.35", "1.235e+05", "1e-05"]
    assert [duration(value) for value in (None, 8.24, 186.0, 8640.0)] == ["-", "8.2 s", "3.1 min", "2.4 h"]
    assert [count(value) for value in (None, 12, 1234, 3.4e6, 5.6e9)] == ["-", "12", "1.2 k", "3.4 M", "5.6 G"]


def test_pictures_of_all_suites_are_found():
    registry = Registry.from_environment()
    known = known_pictures()
    for suite in ("nas360", "pdebench"):
        assert set(registry.spec("suite", suite).tasks) <= set(known)
    assert max(path.stat().st_size for path in known.values()) < 100_000


@pytest.fixture
def store(tmp_path):
    made = Store(tmp_path / "store")
    for record in grid():
        # The metric that the task has: a record with another one does not count.
        name = "macro_f1_error" if record.task.name == "ecg" else "error_rate"
        made.save(record.model_copy(update={"metrics": tuple(metric.model_copy(update={"name": name}) for metric in record.metrics)}))
    return made


def test_build_and_check(store, capsys):
    path = store.root / "leaderboard.json"
    assert main(["leaderboard", "build", "--check", "--out", str(store.root)]) == 6
    assert not path.exists()
    assert main(["leaderboard", "build", "--out", str(store.root)]) == 0
    content = path.read_bytes()
    assert main(["leaderboard", "build", "--check", "--out", str(store.root)]) == 0
    path.write_bytes(content + b" ")
    assert main(["leaderboard", "build", "--check", "--out", str(store.root)]) == 6
    assert "pare-bench leaderboard build" in capsys.readouterr().err
    assert main(["leaderboard", "build", "--out", str(store.root)]) == 0
    assert path.read_bytes() == content
    next(store.records_folder.rglob("*.json")).write_text("{")
    assert main(["leaderboard", "build", "--out", str(store.root)]) == 4
    assert main(["leaderboard", "build", "--out", str(store.root / "nothing")]) == 3


@pytest.mark.parametrize("form", ["table", "md", "csv", "json"])
def test_show(store, capsys, form):
    assert main(["leaderboard", "show", "--out", str(store.root), "--format", form]) == 0
    text = capsys.readouterr().out
    assert "orca" in text
    assert main(["leaderboard", "show", "--out", str(store.root), "--tier", "official"]) == 3


def test_site(store, capsys):
    assert main(["leaderboard", "site", "--out", str(store.root), "--no-pictures", "--title", "our <board>"]) == 0
    path = store.root / "site" / "index.html"
    assert capsys.readouterr().out.strip() == str(path)
    assert "<title>our &lt;board&gt;</title>" in path.read_text()
