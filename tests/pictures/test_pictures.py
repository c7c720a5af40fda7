"""Pictures show the sample's own numbers: each panel is compared with the arrays that went in, for every kind of task, made up here."""

from __future__ import annotations

import builtins
import io

import numpy as np
import pytest
from PIL import Image

from pare_bench.contracts.task import Classes, Field, InputShape, Labels, PairMap
from pare_bench.errors import EnvironmentFault, UsageError
from pare_bench.pictures.classes import shown_ones
from pare_bench.pictures.figures import check_suffix, content_of, figure_of
from pare_bench.pictures.inputs import is_one_hot
from pare_bench.pictures.pairs import telling_channels
from pare_bench.pictures.sample import Prediction, Sample, spread, start_of

pytest.importorskip("matplotlib")


def make_sample(inputs, truth, target, *, outputs=None, extras=None, table=False, quantities=()):
    inputs = np.asarray(inputs)
    shape = InputShape(inputs.shape[0], inputs.shape[1:], table=table)
    prediction = None if outputs is None else Prediction("some_method", "0123456789abcdef", np.asarray(outputs), {"error": 0.25})
    return Sample("task", shape, target, "test", 3, 7, "generated", "clean", inputs, np.asarray(truth), extras or {}, quantities, prediction)


def panels(sample):
    """The panels of the figure of one sample by title; colour bars have none."""
    return {axis.get_title(): axis for axis in figure_of([sample]).axes if axis.get_title()}


def image(axis):
    (shown,) = axis.images
    return shown.get_array()


def curves(axis):
    return {line.get_label(): line.get_ydata() for line in axis.lines}


def values(*shape):
    return np.random.default_rng(5).normal(size=shape).astype(np.float32)


def test_a_field_on_a_plane_shows_input_target_prediction_and_error():
    inputs, truth, outputs = values(3, 6, 8), values(6, 8), values(6, 8) + 1
    shown = panels(make_sample(inputs, truth, Field((6, 8)), outputs=outputs))
    np.testing.assert_array_equal(image(shown["input, channel 1 of 3"]), inputs[0])
    np.testing.assert_array_equal(image(shown["target"]), truth)
    np.testing.assert_array_equal(image(shown["prediction"]), outputs)
    np.testing.assert_allclose(image(shown["prediction - target"]), outputs.astype(float) - truth)
    low, high = min(truth.min(), outputs.min()), max(truth.max(), outputs.max())
    assert shown["target"].images[0].get_clim() == shown["prediction"].images[0].get_clim() == (low, high)
    ends = shown["prediction - target"].images[0].get_clim()
    assert ends[0] == -ends[1] == -np.abs(outputs.astype(float) - truth).max()


def test_each_channel_of_a_field_has_a_row_with_its_start_in_the_targets_units():
    target = Field((4, 4), channels=2, persistence=((0, 3.0, 5.0), (1, 2.0, -1.0)))
    inputs, truth, outputs = values(2, 4, 4), values(2, 4, 4), values(2, 4, 4) * 2
    figure = figure_of([make_sample(inputs, truth, target, outputs=outputs, quantities=("height", "speed"))])
    maps = [axis for axis in figure.axes if axis.get_title()]
    assert [axis.get_ylabel() for axis in maps if axis.get_title() == "input (time 0)"] == ["height", "speed"]
    np.testing.assert_allclose(image(maps[0]), inputs[0].astype(float) * 3 + 5)
    np.testing.assert_allclose(image(maps[4]), inputs[1].astype(float) * 2 - 1)
    np.testing.assert_allclose(image(maps[7]), outputs[1].astype(float) - truth[1])


def test_a_field_along_a_line_is_drawn_as_curves_with_the_error_below():
    inputs, truth, outputs = values(1, 9), values(9), values(9) - 2
    figure = figure_of([make_sample(inputs, truth, Field((9,), persistence=((0, 1.0, 0.0),)), outputs=outputs)])
    above, middle, below = figure.axes
    np.testing.assert_array_equal(above.lines[0].get_ydata(), inputs[0])
    np.testing.assert_array_equal(curves(middle)["target"], truth)
    np.testing.assert_array_equal(curves(middle)["prediction"], outputs)
    np.testing.assert_allclose(below.lines[0].get_ydata(), outputs.astype(float) - truth)


def test_of_many_frames_the_first_and_the_last_are_shown():
    target = Field((5,), channels=12, persistence=((0, 1.0, 0.0), (1, 1.0, 0.0)) * 6)
    sample = make_sample(values(2, 5), values(12, 5), target, quantities=("a", "b"))
    titles = [axis.get_title() for axis in figure_of([sample]).axes]
    assert titles[:4] == ["input (at time 0)\na", "input (at time 0)\nb", "", ""]  # of later frames the input is the same
    assert titles[4:] == [f"target\n{name}, frame {frame} of 6" for frame in (1, 6) for name in "ab"]
    assert (spread(12, 4), spread(12, 1), spread(3, 4)) == ([0, 4, 7, 11], [11], [0, 1, 2])
    np.testing.assert_array_equal(start_of(sample, 11), sample.inputs[1])


def test_ignored_pixels_of_a_mask_are_left_out_and_outputs_are_probabilities():
    truth = (values(6, 6) > 0).astype(np.float32)
    outputs = np.linspace(-500, 500, 36).reshape(6, 6)
    ignore = np.zeros((6, 6), bool)
    ignore[2] = True
    shown = panels(make_sample(values(1, 6, 6), truth, Field((6, 6), "mask"), outputs=outputs, extras={"ignore": ignore}))
    with np.errstate(over="ignore"):
        probability = 1 / (1 + np.exp(-outputs))
    np.testing.assert_allclose(image(shown["prediction (probability)"]), probability, atol=1e-12)
    np.testing.assert_array_equal(np.ma.getmaskarray(image(shown["target (grey: ignored)"])), ignore)
    wrong = image(shown["prediction - target"])
    np.testing.assert_array_equal(np.ma.getmaskarray(wrong), ignore)
    np.testing.assert_allclose(np.asarray(wrong)[~ignore], (probability - truth)[~ignore], atol=1e-12)


def test_a_pair_map_shows_the_protein_without_its_padding():
    size, residues = 20, 6
    inside = np.zeros((size, size), bool)
    inside[5:11, 5:11] = True  # half of a padding of 10 in front
    inputs, truth, outputs = values(3, size, size), np.abs(values(size, size)) * 9, np.abs(values(size, size)) * 5
    inputs[0] = np.arange(size)[:, None]  # says something about rows alone
    inputs[2] *= 4
    extras = {"lengths": np.int64(residues)}
    sample = make_sample(inputs, truth, PairMap(size, padding=10), outputs=outputs, extras=extras)
    assert telling_channels(sample) == [1, 2]
    shown = panels(sample)
    target = image(shown["target (Å), 6 residues"])
    np.testing.assert_array_equal(np.ma.getmaskarray(target), ~inside)
    np.testing.assert_allclose(np.asarray(target)[inside], truth[inside])
    symmetric = (outputs + outputs.T) / 2
    np.testing.assert_allclose(np.asarray(image(shown["prediction (Å)"]))[inside], symmetric[inside], rtol=1e-6)
    np.testing.assert_allclose(np.asarray(image(shown["prediction - target"]))[inside], (symmetric - truth)[inside], rtol=1e-5, atol=1e-5)


def test_classes_have_bars_of_their_probabilities_and_the_true_one_is_marked():
    outputs = np.array([1.0, 3.0, 0.0, -2.0])
    figure = figure_of([make_sample(values(1, 30), np.int64(2), Classes(4), outputs=outputs)])
    series, bars = figure.axes
    np.testing.assert_array_equal(series.lines[0].get_ydata(), values(1, 30)[0])
    np.testing.assert_allclose([bar.get_width() for bar in bars.patches], np.exp(outputs) / np.exp(outputs).sum())
    assert [label.get_text() for label in bars.get_yticklabels()] == ["class 0", "class 1", "class 2", "class 3"]
    (mark,) = bars.lines
    assert mark.get_ydata()[0] == 2
    assert len({bar.get_facecolor() for number, bar in enumerate(bars.patches) if number != 2}) == 1
    assert bars.patches[2].get_facecolor() != bars.patches[0].get_facecolor()


def test_of_many_classes_the_most_probable_ones_and_the_true_one_have_bars():
    outputs = np.arange(100.0)
    sample = make_sample(values(3, 8, 8), np.int64(7), Classes(100), outputs=outputs)
    assert shown_ones(sample) == [7, *range(89, 100)]
    assert shown_ones(make_sample(values(3, 8, 8), np.int64(7), Classes(100))) == [7]


def test_labels_have_bars_too_and_wrong_ones_are_seen_however_many_are_true():
    truth = np.zeros(40, np.float32)
    truth[:20] = 1
    outputs = np.where(np.arange(40) == 33, 4.0, -3.0)
    sample = make_sample(values(1, 10), truth, Labels(40), outputs=outputs)
    assert 33 in shown_ones(sample)
    assert len([number for number in shown_ones(sample) if number < 20]) >= 12
    bars = figure_of([sample]).axes[1]
    widths = dict(zip([label.get_text() for label in bars.get_yticklabels()], [bar.get_width() for bar in bars.patches], strict=True))
    assert widths["label 33"] == pytest.approx(1 / (1 + np.exp(-4)))
    assert widths["label 0"] == pytest.approx(1 / (1 + np.exp(3)))


def test_a_photograph_keeps_its_colours():
    inputs = values(3, 5, 5)
    axis = figure_of([make_sample(inputs, np.int64(0), Classes(2))]).axes[0]
    expected = (np.moveaxis(inputs, 0, -1) - inputs.min()) / (inputs.max() - inputs.min())
    np.testing.assert_allclose(image(axis), expected, rtol=1e-6)


def test_a_table_has_a_bar_for_each_column_and_names_the_channels_of_categories():
    inputs = np.zeros((4, 3), np.float32)
    inputs[0] = (0.5, -2.0, 0.0)
    inputs[3, 2] = 1
    axis = figure_of([make_sample(inputs, np.int64(1), Classes(2), table=True)]).axes[0]
    assert [bar.get_width() for bar in axis.patches] == [0.5, -2.0, 0.0]
    assert [(text.get_text().strip(), text.get_position()[1]) for text in axis.texts] == [("channel 4", 2)]
    single = figure_of([make_sample(inputs[:1].T, np.int64(1), Classes(2), table=True)]).axes[0]
    assert [bar.get_width() for bar in single.patches] == [0.5, -2.0, 0.0]


def test_symbols_are_told_from_numbers():
    symbols = np.eye(4, dtype=np.float32)[[0, 3, 1, 1, 2]].T
    assert is_one_hot(symbols)
    assert not is_one_hot(symbols * 2)
    assert not is_one_hot(np.ones((2, 4)))
    axis = figure_of([make_sample(symbols, np.int64(0), Classes(2))]).axes[0]
    np.testing.assert_array_equal(image(axis), symbols)
    long = np.eye(4, dtype=np.float32)[np.arange(1000) % 4].T
    stack = figure_of([make_sample(long, np.int64(0), Classes(2))]).axes[0]
    assert [collection.get_label() for collection in stack.collections] == ["1", "2", "3", "4"]


@pytest.mark.parametrize("shape", [(32,), (40, 12), (2, 9, 9), (1, 9)])
def test_inputs_of_any_shape_are_drawn(shape):
    """Token numbers without a channel, embedded tokens, several maps, a curve: with a target of its own kind, and with a field on another grid."""
    sample = make_sample(values(*shape), np.int64(0), Classes(2)) if len(shape) > 1 else None
    if sample is None:
        sample = Sample("task", InputShape(1, shape), Classes(2), "train", 0, 1, "generated", "clean", np.arange(32), np.int64(0))
    assert content_of(figure_of([sample]), ".png").startswith(b"\x89PNG")
    if len(shape) > 1:
        assert content_of(figure_of([make_sample(values(*shape), values(2, 5, 5), Field((5, 5), channels=2))]), ".png")
        assert content_of(figure_of([make_sample(values(*shape), values(2, 5), Field((5,), channels=2))]), ".png")


def test_title_says_tier_track_run_and_scores():
    figure = figure_of([make_sample(values(1, 9), values(9), Field((9,)), outputs=values(9))])
    title = figure.subfigs[0].get_suptitle()
    assert title == "task: test sample 3 of 7\ngenerated data, clean track; some_method, run 0123456789abcdef: error 0.25"


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_same_samples_same_bytes_without_date_or_version(suffix):
    def content():
        return content_of(figure_of([make_sample(values(1, 9), values(9), Field((9,)), outputs=values(9))] * 2), suffix)

    first = content()
    assert first == content()
    assert b"atplotlib" not in first.replace(b'id="matplotlib', b"").replace(b"matplotlib.axis", b"")
    assert not any(word in first for word in (b"<dc:date>", b"tIME", b"tEXt"))


def test_colours_of_a_png_file_are_those_that_were_drawn():
    figure = figure_of([make_sample(values(1, 12, 12), values(12, 12), Field((12, 12)), outputs=values(12, 12) * 3)])
    kept_content = content_of(figure, ".png")
    plain = io.BytesIO()
    # The layout has settled: panels stand where they stood.
    figure.set_layout_engine("none")
    figure.savefig(plain, format="png", dpi=figure.dpi)
    with Image.open(plain) as drawn, Image.open(io.BytesIO(kept_content)) as kept:
        assert kept.size == drawn.size
        difference = np.abs(np.asarray(drawn.convert("RGB")).astype(int) - np.asarray(kept.convert("RGB")).astype(int))
    assert difference.max() <= 16


def test_files_are_png_or_svg(tmp_path):
    with pytest.raises(UsageError, match=r"neither a \.png nor an \.svg"):
        check_suffix(tmp_path / "picture.jpg")


def test_without_matplotlib_the_command_that_installs_it_is_said(monkeypatch):
    original = builtins.__import__

    def refuse(name, *arguments, **options):
        if name.partition(".")[0] == "matplotlib":
            raise ImportError(name)
        return original(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", refuse)
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    with pytest.raises(EnvironmentFault) as raised:
        figure_of([make_sample(values(1, 9), values(9), Field((9,)))])
    assert raised.value.hint == "pip install 'pare-bench[plot]'"
    assert raised.value.exit_code == 5
