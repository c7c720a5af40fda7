"""Runs as event files of TensorBoard's, a folder for each: ``<place>/<suite>/<task>/<tier>/<method>-seed<seed>-<run id>``."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2
from tensorboard.plugins.hparams.summary_v2 import hparams_pb
from tensorboard.plugins.text.summary_v2 import text_pb
from tensorboard.summary.writer.record_writer import RecordWriter

from pare_bench_tracking import told

_STATUS = {"ok": api_pb2.STATUS_SUCCESS, "skipped": api_pb2.STATUS_SUCCESS, "failed": api_pb2.STATUS_FAILURE}


class Store:
    """A folder for ``tensorboard --logdir``; a run whose process has died goes on in its folder, and one that has ended gets another."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self._open: dict[str, _Folder] = {}

    def started(self, run_id: str, config: Any) -> None:
        """Open a folder and write the settings."""
        words = told.words(config)
        name = f"{words['method']}-seed{words['seed']}-{run_id}"
        parent = self.place / words["suite"] / words["task"] / words["tier"]
        number = 1
        while (folder := _Folder(parent / (name if number == 1 else f"{name}-{number}"))).ended:
            number += 1
        folder.open()
        if not folder.written:
            folder.write(hparams_pb({**told.settings(config), "run_id": run_id}, trial_id=folder.path.name))
            folder.write(text_pb("run", told.title(config)))
        self._open[run_id] = folder

    def epoch(self, run_id: str, stage: str, epoch: int, loss: float, score: float | None, rate: float) -> None:
        """Write an epoch, unless it is written."""
        self._open[run_id].points([(stage, epoch, told.point(stage, loss, score, rate))])

    def finished(self, run_id: str, record: Any) -> None:
        """Write what is missing, scores, outcome and status."""
        if run_id not in self._open:
            self.started(run_id, record.config)
        folder = self._open.pop(run_id)
        try:
            folder.points(told.curve(record))
            folder.write(_scalars(told.results(record)))
            lines = [f"- {name}: {text}" for name, text in told.outcome(record).items()]
            folder.write(text_pb("outcome", "\n".join(lines)))
            folder.end(_STATUS[record.status])
        finally:
            folder.close()


class _Folder:
    """The event files of a run; each process that works on it adds one."""

    def __init__(self, path: Path) -> None:
        """Read what is there; a file that ends in the middle of an event counts up to there."""
        self.path = path
        self.written: set[tuple[str, int]] = set()
        self.ended = False
        self.close: Callable[[], None] = lambda: None
        if not path.is_dir():
            return
        # 0: all points. Its own file is opened later, so it holds those of earlier processes alone.
        known = EventAccumulator(str(path), size_guidance={"scalars": 0, "tensors": 1})
        known.Reload()
        tags = known.Tags()
        self.ended = metadata.SESSION_END_INFO_TAG in tags["tensors"]
        for name in tags["scalars"]:
            if name.endswith("/loss"):
                self.written |= {(name.removesuffix("/loss"), each.step) for each in known.Scalars(name)}

    def open(self) -> None:
        """Make the folder and a file of this process's own."""
        self.path.mkdir(parents=True, exist_ok=True)
        name = f"events.out.tfevents.{time.time():.6f}.{socket.gethostname()}.{os.getpid()}"
        # Written at once, without the thread of EventFileWriter: what a crash leaves behind is whole, and a full disk is told to who writes.
        self._file = (self.path / name).open("xb")
        self._events, self.close = RecordWriter(self._file), self._file.close
        self._add(Event(wall_time=time.time(), file_version="brain.Event:2"))

    def write(self, summary: Summary, step: int = 0) -> None:
        """Write a summary, down to the disk's cache."""
        self._add(Event(wall_time=time.time(), step=step, summary=summary))

    def points(self, points: Iterable[tuple[str, int, dict[str, float]]]) -> None:
        """Write epochs that are not written."""
        for stage, epoch, values in points:
            if (stage, epoch) not in self.written:
                self.write(_scalars(values), epoch)
                self.written.add((stage, epoch))

    def end(self, status: int) -> None:
        """Write the status, as the table of settings (HPARAMS) reads it."""
        info = plugin_data_pb2.SessionEndInfo(status=status, end_time_secs=time.time())
        data = metadata.create_summary_metadata(plugin_data_pb2.HParamsPluginData(session_end_info=info))
        self.write(Summary(value=[Summary.Value(tag=metadata.SESSION_END_INFO_TAG, metadata=data, tensor=metadata.NULL_TENSOR)]))

    def _add(self, event: Event) -> None:
        self._events.write(event.SerializeToString())
        self._file.flush()


def _scalars(values: dict[str, float]) -> Summary:
    return Summary(value=[Summary.Value(tag=name, simple_value=value) for name, value in values.items()])
