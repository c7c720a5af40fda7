"""Records that were asked for in the wrong suite: whoever has written a task of his own forgets --suite."""

from __future__ import annotations

from factories import make_record

from pare_bench.records.store import Store


def test_records_of_another_suite_are_named(pare_bench, tmp_path):
    """Seen by a newcomer with a suite of his own: two runs of nas360 were the only advice."""
    store = Store(tmp_path)
    for method in ("pare", "orca"):
        for seed in range(3):
            store.save(make_record(method, "advection", 0.2, seed=seed, suite="pdebench", metric="nrmse"))
    store.save(make_record("pare", "anneal", 0.2, suite="openml"))
    code, _, err = pare_bench("compare", "pare", "orca", "--out", str(tmp_path))
    assert code == 3
    assert "for suite 'nas360', track clean" in err
    assert "there are some for suite 'pdebench'\nhint: --suite pdebench\n" in err
    code, _, err = pare_bench("compare", "pare", "orca", "--out", str(tmp_path), "--suite", "pdebench", "--task", "advection")
    assert code == 0, err
    # Where only one of them was run the advice is to run.
    code, _, err = pare_bench("compare", "pare", "constant", "--out", str(tmp_path))
    assert "hint: pare-bench run --method pare --suite nas360" in err
