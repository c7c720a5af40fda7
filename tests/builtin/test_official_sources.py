"""Published proxy data sets, from small files in their published form, against readings of the same files by other means."""

import io
import pickle
import shutil
import tarfile

import numpy as np
import pytest
import torch
from official_files import cifar10, conll2003, conll2003_features, pascal_voc, tiny_imagenet
from PIL import Image
from torchvision import transforms
from torchvision.io import decode_image, read_file

from pare_bench.builtin.backbones.language import NanoText
from pare_bench.builtin.backbones.swin import NanoSwin
from pare_bench.builtin.sources.cifar10 import Cifar10, cropped_and_mirrored
from pare_bench.builtin.sources.conll2003 import Conll2003, entity_starts
from pare_bench.builtin.sources.conll2003_features import Conll2003Features
from pare_bench.builtin.sources.pascal_voc import PascalVoc, foreground_and_class
from pare_bench.builtin.sources.tiny_imagenet import TinyImagenet, crop_box, resized_crops
from pare_bench.builtin.sources.tokenization import bundled_tokenizer
from pare_bench.conformance import check, check_task
from pare_bench.contracts.task import Split, Splits, TaskSize
from pare_bench.datasets.official import OfficialFiles, official_data
from pare_bench.datasets.token_file import TokenFile, write_tokens
from pare_bench.errors import DataMissingError, IntegrityError, UsageError
from pare_bench.model.source import Source
from pare_bench.registry.names import Registry
from pare_bench.seeds import stream

WRITERS = {
    Cifar10: cifar10,
    TinyImagenet: tiny_imagenet,
    PascalVoc: pascal_voc,
    Conll2003: conll2003,
    Conll2003Features: conll2003_features,
}
PROXIES = pytest.mark.parametrize("proxy", list(WRITERS), ids=lambda proxy: proxy.name)


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A data root that holds the small files of every proxy."""
    root = tmp_path_factory.mktemp("published")
    for module in WRITERS.values():
        module.write(root)
    return root


@pytest.fixture
def damaged(published, tmp_path):
    """Return ``damaged(proxy)``: a root with a copy of its files, and their folder, to be spoilt."""

    def copy(proxy):
        shutil.copytree(published / proxy.name, tmp_path / proxy.name)
        return tmp_path, tmp_path / proxy.name

    return copy


def read(proxy, root, track="clean", **params):
    task = proxy(proxy.Params(**params))
    return task.official(OfficialFiles(root, task.name, task.official_files), track)


def order(proxy, count, *, most=5000, subset=0):
    return stream(proxy.name, proxy.version, "subset", subset).permutation(count)[:most]


# What all of them have in common


@PROXIES
def test_shapes_types_and_one_subset_for_both_tracks(proxy, published):
    clean, paper = (official_data(proxy(), published, track).splits for track in ("clean", "paper"))
    for name in ("train", "val", "test"):
        one, other = getattr(clean, name), getattr(paper, name)
        assert np.array_equal(one.targets, other.targets)
        assert np.array_equal(np.asarray(one.inputs), np.asarray(other.inputs))
        assert one.targets.dtype == np.int64
        if len(one):
            assert 0 <= one.targets.min() <= one.targets.max() < proxy.target.num
    assert len(clean.train) >= 10


@PROXIES
def test_a_smaller_subset_begins_a_larger_one(proxy, published):
    whole, part = read(proxy, published).train, read(proxy, published, max_samples=5).train
    assert len(part) == 5 or proxy is PascalVoc  # images without an object are left out afterwards
    assert np.array_equal(part.targets, whole.targets[: len(part)])
    assert np.array_equal(np.asarray(part.inputs), np.asarray(whole.inputs[: len(part)]))


@PROXIES
def test_the_digest_follows_files_and_parameters(proxy, published, damaged):
    root, folder = damaged(proxy)
    first, same, fewer = official_data(proxy(), published), official_data(proxy(), root), official_data(proxy(proxy.Params(max_samples=5)), published)
    assert first.sha256 == same.sha256 != fewer.sha256
    shutil.rmtree(folder)
    WRITERS[proxy].write(root, seed=1)
    assert official_data(proxy(), root).sha256 != first.sha256


@PROXIES
def test_without_files_it_says_how_to_get_them(proxy, tmp_path):
    with pytest.raises(DataMissingError, match=f"'{proxy.name}'") as raised:
        official_data(proxy(), tmp_path)
    assert raised.value.hint == f"pare-bench data fetch {proxy.name}"
    with pytest.raises(DataMissingError, match="no generated twin") as raised:
        proxy().generated(0, TaskSize(4, 4, 4))
    assert f"-o source={proxy.stand_in}" in raised.value.hint


@PROXIES
def test_check_says_that_it_cannot_be_checked_here(proxy, pare_bench, monkeypatch, tmp_path):
    monkeypatch.setenv("PARE_BENCH_DATA", str(tmp_path))
    code, out, _ = pare_bench("check", proxy.name, "--format", "md")
    assert code == 0
    assert f"| task | {proxy.name} | cannot be checked here |" in out


@PROXIES
def test_check_reads_the_files_where_they_are(proxy, published, monkeypatch):
    monkeypatch.setenv("PARE_BENCH_DATA", str(published))
    assert check(Registry.from_environment(), "task", proxy.name) == []


def test_a_declared_fault_is_found_without_files(monkeypatch, tmp_path):
    class Odd(Cifar10):
        version = 0

    monkeypatch.setenv("PARE_BENCH_DATA", str(tmp_path))
    spec = Registry.from_environment().spec("task", "cifar10")
    assert [problem.partition(",")[0] for problem in check_task(Odd, spec=spec)] == ["version is 0"]
    with pytest.raises(DataMissingError):
        check_task(Cifar10, spec=spec)


def test_check_finds_what_is_wrong_with_published_data(monkeypatch, published):
    class Odd(Cifar10):
        def official(self, files, track):
            splits = super().official(files, track)
            return Splits(Split(splits.train.inputs[:, :1], splits.train.targets + 8), splits.val, splits.test)

    monkeypatch.setenv("PARE_BENCH_DATA", str(published))
    problems = " ".join(check_task(Odd, spec=Registry.from_environment().spec("task", "cifar10")))
    assert "inputs are float32 of shape (1, 32, 32)" in problems
    assert "targets leave [0.0, 9.0]" in problems


# CIFAR-10


def cifar_rows(folder, names):
    batches = [pickle.loads((folder / "cifar-10-batches-py" / name).read_bytes(), encoding="bytes") for name in names]  # noqa: S301 - our own file
    return np.concatenate([batch[b"data"] for batch in batches]), np.concatenate([batch[b"labels"] for batch in batches])


def test_cifar10_values(published):
    splits = read(Cifar10, published)
    rows, labels = cifar_rows(published / "cifar10", [f"data_batch_{number}" for number in range(1, 6)])
    chosen = order(Cifar10, 40)
    assert np.array_equal(splits.train.targets, labels[chosen])
    for channel, row, column in ((0, 0, 0), (1, 5, 30), (2, 31, 31)):
        stored = rows[chosen, 1024 * channel + 32 * row + column]
        assert np.array_equal(splits.train.inputs[:, channel, row, column], stored.astype(np.float32) / np.float32(255))
    assert np.array_equal(splits.train.inputs, (rows[chosen].reshape(-1, 3, 32, 32) / 255).astype(np.float32))
    rows, labels = cifar_rows(published / "cifar10", ["test_batch"])
    assert np.array_equal(np.concatenate([splits.val.targets, splits.test.targets]), labels)
    assert np.array_equal(np.concatenate([splits.val.inputs, splits.test.inputs]), (rows.reshape(-1, 3, 32, 32) / 255).astype(np.float32))
    assert (len(splits.val), len(splits.test)) == (12, 12)


def test_an_archive_that_is_not_the_published_one_is_refused(tmp_path):
    (tmp_path / "cifar10").mkdir()
    with tarfile.open(tmp_path / "cifar10" / "cifar-10-python.tar.gz", "w:gz") as archive:
        archive.addfile(tarfile.TarInfo("cifar-10-batches-py/test_batch"), io.BytesIO(b""))
    with pytest.raises(IntegrityError, match="published is 6d958be0"):
        read(Cifar10, tmp_path)


def test_cifar10_augmentation_is_a_crop_of_the_padded_image_and_a_mirror():
    images = np.arange(50 * 3 * 6 * 5, dtype=np.float32).reshape(50, 3, 6, 5) + 1
    padded = np.pad(images, ((0, 0), (0, 0), (2, 2), (2, 2)))
    found = cropped_and_mirrored(images, 2, np.random.default_rng(0))
    seen = set()
    for index in range(50):
        hits = [
            (top, left, mirrored)
            for top in range(5)
            for left in range(5)
            for mirrored in (False, True)
            if np.array_equal(found[index], padded[index, :, top : top + 6, left : left + 5][:, :, :: -1 if mirrored else 1])
        ]
        assert len(hits) == 1
        seen.add(hits[0])
    assert {top for top, _, _ in seen} == {left for _, left, _ in seen} == set(range(5))
    assert {mirrored for _, _, mirrored in seen} == {False, True}


# Tiny ImageNet


@pytest.mark.filterwarnings("ignore:The image decoding:DeprecationWarning")
def test_tiny_imagenet_values(published):
    splits = read(TinyImagenet, published)
    folder = published / "tiny_imagenet" / "tiny-imagenet-200"
    names = sorted(path.name for path in (folder / "train").iterdir())
    listed = sorted((folder / "train").glob("*/images/*.JPEG"))
    assert (len(names), len(listed), len(splits.train)) == (200, 201, 201)
    for position, index in enumerate(order(TinyImagenet, 201)):
        assert names[splits.train.targets[position]] == listed[index].parts[-3]
        # Another decoder, which may round differently.
        other = decode_image(read_file(str(listed[index])), mode="RGB").numpy() / 255
        assert np.abs(splits.train.inputs[np.array([position])][0] - other).max() < 2.5 / 255
    rows = [line.split("\t")[:2] for line in (folder / "val" / "val_annotations.txt").read_text().splitlines()]
    assert [names[label] for label in (*splits.val.targets, *splits.test.targets)] == [owner for _, owner in rows]
    other = decode_image(read_file(str(folder / "val" / "images" / rows[7][0])), mode="RGB").numpy() / 255
    assert np.abs(splits.test.inputs[np.array([1])][0] - other).max() < 2.5 / 255


def test_tiny_imagenet_takes_the_released_subset_where_it_is(damaged):
    root, folder = damaged(TinyImagenet)
    small = folder / "tiny-imagenet-200" / "train_10"
    for name in ("n02", "n01"):
        (small / name).mkdir(parents=True)
        for number in range(3):
            tiny_imagenet.picture(np.random.default_rng(number)).save(small / name / f"{number}.JPEG")
    splits = read(TinyImagenet, root)
    assert sorted(splits.train.targets.tolist()) == [0, 0, 0, 1, 1, 1]
    assert len(read(TinyImagenet, root, folder="train").train) == 201


def test_tiny_imagenet_without_the_validation_part(damaged):
    root, folder = damaged(TinyImagenet)
    shutil.rmtree(folder / "tiny-imagenet-200" / "val")
    splits = read(TinyImagenet, root)
    assert (len(splits.train), len(splits.val), len(splits.test)) == (201, 0, 0)


def test_random_crops_have_the_published_area_and_ratio():
    rng = np.random.default_rng(0)
    boxes = np.array([crop_box(64, rng) for _ in range(4000)])
    widths, heights = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    assert boxes.min() >= 0
    assert boxes.max() <= 64
    areas, ratios = widths * heights / 64**2, widths / heights
    assert 0.07 < areas.min() < 0.1
    assert 0.95 < areas.max() <= 1
    assert 0.7 < ratios.min() < 0.8
    assert 1.25 < ratios.max() < 1.42
    # torchvision's own, on the same sizes.
    torch.manual_seed(0)
    theirs = np.array([transforms.RandomResizedCrop.get_params(torch.zeros(3, 64, 64), (0.08, 1.0), (3 / 4, 4 / 3))[2:] for _ in range(4000)])
    assert abs(areas.mean() - (theirs.prod(1) / 64**2).mean()) < 0.02
    assert abs(np.log(ratios).std() - np.log(theirs[:, 1] / theirs[:, 0]).std()) < 0.01


def test_the_whole_picture_cropped_is_the_picture():
    images = np.random.default_rng(0).integers(0, 256, (3, 3, 16, 16)) / np.float32(255)

    class Whole:
        def uniform(self, low, high):
            return high if high == 1.0 else 0.0

        def integers(self, low, high):
            return 0

        def random(self):
            return 0.9

    assert np.array_equal(resized_crops(images.astype(np.float32), Whole()), images.astype(np.float32))


# Pascal VOC


def test_pascal_voc_values(published):
    splits = read(PascalVoc, published)
    folder = published / "pascal_voc" / "VOCdevkit" / "VOC2012"
    listed = (folder / "ImageSets" / "Segmentation" / "train.txt").read_text().split()
    resize = transforms.Resize((224, 224))
    nearest = transforms.Resize((128, 128), interpolation=transforms.InterpolationMode.NEAREST)
    position = 0
    for index in order(PascalVoc, len(listed)):
        with Image.open(folder / "SegmentationClass" / f"{listed[index]}.png") as opened:
            mask = np.array(nearest(opened))
        objects = np.where(mask == 255, 0, mask)
        if not objects.any():
            continue
        with Image.open(folder / "JPEGImages" / f"{listed[index]}.jpg") as opened:
            image = transforms.ToTensor()(resize(opened)).numpy()
        assert np.array_equal(splits.train.inputs[np.array([position])][0], image)
        assert np.array_equal(splits.train.extras["foreground"][position], objects > 0)
        values, counts = np.unique(objects[objects > 0], return_counts=True)
        assert splits.train.targets[position] == values[counts.argmax()] - 1
        position += 1
    assert position == len(splits.train) == pascal_voc.TRAIN - 1
    assert (len(splits.val), len(splits.test)) == (4, 4)


def test_an_object_too_small_for_the_resized_mask_decides_and_none_gives_none(tmp_path):
    values = np.zeros((400, 400), np.uint8)
    values[1, 2] = 7
    pascal_voc.save_mask(tmp_path / "small.png", values)
    foreground, label = foreground_and_class(tmp_path / "small.png")
    assert (foreground.any(), label) == (False, 6)
    pascal_voc.save_mask(tmp_path / "none.png", np.full((20, 20), 255, np.uint8))
    assert foreground_and_class(tmp_path / "none.png")[1] is None


def test_a_mask_without_a_palette_gets_no_invented_classes(tmp_path):
    values = np.zeros((300, 300), np.uint8)
    values[:, 150:] = 20
    Image.fromarray(values).save(tmp_path / "grey.png")
    foreground, label = foreground_and_class(tmp_path / "grey.png")
    assert label == 19
    assert np.array_equal(foreground, np.broadcast_to(np.arange(128) >= 64, (128, 128)))


def test_the_released_lists_are_used_where_they_lie(damaged):
    root, folder = damaged(PascalVoc)
    listed = (folder / "VOCdevkit" / "VOC2012" / "ImageSets" / "Segmentation" / "train.txt").read_text().split()
    (folder / "labeled.txt").write_text("".join(f"JPEGImages/{name}.jpg SegmentationClass/{name}.png\n" for name in listed[4:9]))
    (folder / "val.txt").write_text(f"{listed[10]}\n{listed[11]}\n")
    splits = read(PascalVoc, root)
    assert (len(splits.train), len(splits.val), len(splits.test)) == (5, 1, 1)


# CoNLL-2003


def test_conll2003_values(published):
    splits = read(Conll2003, published)
    tokenizer = bundled_tokenizer()
    kinds = ["PER", "ORG", "LOC", "MISC"]
    expected = []
    for block in (published / "conll2003" / "eng.train").read_text().split("\n\n"):
        rows = [line.split() for line in block.splitlines() if line and not line.startswith("-DOCSTART-")]
        counts = [0] * 4
        for number, row in enumerate(rows):
            previous = rows[number - 1][3] if number else "O"
            visible = len(tokenizer.encode("".join(f" {other[0]}" for other in rows[:number])).ids) < 30
            if row[3] != "O" and visible and (row[3].startswith("B-") or previous[2:] != row[3][2:]):
                counts[kinds.index(row[3][2:])] += 1
        if sum(counts):
            ids = tokenizer.encode("".join(f" {row[0]}" for row in rows)).ids[:30]
            window = [0, *ids, 2] + [1] * (30 - len(ids))
            expected.append((window, 2 * counts.index(max(counts)) + (sum(count > 0 for count in counts) > 1)))
    chosen = order(Conll2003, len(expected))
    assert splits.train.inputs.tolist() == [expected[index][0] for index in chosen]
    assert splits.train.targets.tolist() == [expected[index][1] for index in chosen]
    assert set(splits.train.targets.tolist()) == set(range(8))
    assert (splits.train.inputs == 1).any()
    assert splits.train.inputs.dtype == np.int64


def test_both_ways_to_mark_entities_give_the_same():
    original = ["I-PER", "I-PER", "O", "I-ORG", "I-LOC", "B-LOC", "I-LOC", "O", "I-MISC"]
    every_beginning = ["B-PER", "I-PER", "O", "B-ORG", "B-LOC", "B-LOC", "I-LOC", "O", "B-MISC"]
    assert entity_starts(original) == entity_starts(every_beginning) == [(0, 0), (3, 1), (4, 2), (5, 2), (8, 3)]


def test_copies_under_other_names_are_read(damaged, published):
    root, folder = damaged(Conll2003)
    for old, new in (("eng.train", "train.txt"), ("eng.testa", "valid.txt"), ("eng.testb", "test.txt")):
        (folder / old).rename(folder / new)
    assert np.array_equal(read(Conll2003, root).train.inputs, read(Conll2003, published).train.inputs)


def test_another_tokenizer(published, tmp_path):
    from transformers import PreTrainedTokenizerFast

    wrapped = PreTrainedTokenizerFast(tokenizer_object=bundled_tokenizer(), cls_token="</s>", sep_token="<s>", pad_token="<mask>")  # noqa: S106
    wrapped.save_pretrained(tmp_path)
    ours, theirs = (read(Conll2003, published, **params).train.inputs for params in ({}, {"tokenizer": str(tmp_path)}))
    assert np.array_equal(np.choose(np.minimum(ours, 4), [2, 3, 0, 1, ours]), theirs)


# Features


def test_published_features_are_the_first_rows(published):
    splits = read(Conll2003Features, published, max_samples=30)
    tokens, labels = (np.load(published / "conll2003_features" / f"text_{kind}_32.npy") for kind in ("xs", "ys"))
    assert np.array_equal(splits.train.inputs, tokens[:30])
    assert np.array_equal(splits.train.targets, labels[:30])
    assert np.array_equal(splits.val.inputs, tokens[30:])
    assert len(splits.test) == 0


@pytest.mark.parametrize("names", [("text_xs_32.npy", "text_ys_32.npy"), ("text_xs.npy", "text_ys.npy")])
def test_arrays_of_objects_are_read_in_the_sandbox(published, tmp_path, names):
    folder = tmp_path / "conll2003_features"
    folder.mkdir()
    tokens, labels = (np.load(published / "conll2003_features" / f"text_{kind}_32.npy") for kind in ("xs", "ys"))
    objects = np.empty(len(tokens), object)
    objects[:] = list(tokens)
    np.save(folder / names[0], objects, allow_pickle=True)
    np.save(folder / names[1], np.array(labels.tolist(), object), allow_pickle=True)
    splits = read(Conll2003Features, tmp_path)
    assert np.array_equal(splits.train.inputs, tokens)
    assert np.array_equal(splits.train.targets, labels)


def token_file(path, *, dim=128, count=20, classes=8, **changes):
    rng = np.random.default_rng(0)
    tokens, labels = rng.standard_normal((count, 32, dim)).astype(np.float32), np.arange(count) % classes
    write_tokens(path, TokenFile(changes.get("tokens", tokens), changes.get("labels", labels), classes, {"task": "conll2003"}))
    return tokens, labels


def test_a_built_file_that_is_not_there(tmp_path):
    with pytest.raises(DataMissingError, match=r"no file of source tokens 'mine\.safetensors'") as raised:
        read(Conll2003Features, tmp_path, path="mine.safetensors")
    assert "build-source" in raised.value.hint


@pytest.mark.parametrize("absolute", [True, False])
def test_a_built_file_is_read(tmp_path, absolute):
    path = tmp_path / "conll2003_features" / "mine.safetensors"
    tokens, labels = token_file(path)
    splits = read(Conll2003Features, tmp_path, path=str(path) if absolute else "mine.safetensors")
    assert np.array_equal(splits.train.inputs, tokens)
    assert np.array_equal(splits.train.targets, labels)


# Bad files


def spoil_cifar10(folder):
    path = folder / "cifar-10-batches-py" / "data_batch_3"
    path.write_bytes(path.read_bytes()[:-4000])


def spoil_tiny_class(folder):
    shutil.rmtree(next(iter((folder / "tiny-imagenet-200" / "train").iterdir())))


def spoil_tiny_listing(folder):
    (folder / "tiny-imagenet-200" / "val" / "val_annotations.txt").write_text("val_0.JPEG n01443537\n")


def spoil_tiny_pixels(folder):
    for path in (folder / "tiny-imagenet-200" / "train").glob("*/images/*.JPEG"):
        path.write_bytes(path.read_bytes()[:300])


def spoil_tiny_size(folder):
    for path in (folder / "tiny-imagenet-200" / "train").glob("*/images/*.JPEG"):
        Image.new("RGB", (32, 64)).save(path)


def voc(folder):
    return folder / "VOCdevkit" / "VOC2012"


def spoil_voc_mask_mode(folder):
    path = next(iter(voc(folder).glob("SegmentationClass/*.png")))
    Image.new("RGB", (50, 50)).save(path)


def spoil_voc_mask_class(folder):
    path = next(iter(voc(folder).glob("SegmentationClass/*.png")))
    pascal_voc.save_mask(path, np.full((50, 50), 21, np.uint8))


def spoil_voc_list(folder):
    (voc(folder) / "ImageSets" / "Segmentation" / "train.txt").write_text("2008_000001\n")


def spoil_voc_empty_list(folder):
    (voc(folder) / "ImageSets" / "Segmentation" / "train.txt").write_text("\n\n")


def spoil_conll_columns(folder):
    (folder / "eng.testa").write_text("EU NNP I-NP I-ORG\nrejects VBZ I-VP\n\n")


def spoil_conll_tag(folder):
    (folder / "eng.testb").write_text("EU NNP I-NP I-ORGANISATION\n\n")


def spoil_conll_sentences(folder):
    (folder / "eng.train").write_text("-DOCSTART- -X- O O\n\nNothing NN I-NP O\n\n")


def spoil_conll_page(folder):
    (folder / "eng.train").write_text("<!DOCTYPE html><html>not found</html>")


def spoil_features_shape(folder):
    np.save(folder / "text_xs_32.npy", np.zeros((40, 32, 700), np.float32))


def spoil_features_number(folder):
    np.save(folder / "text_ys_32.npy", np.zeros(39, np.int64))


def spoil_features_range(folder):
    np.save(folder / "text_ys_32.npy", np.arange(40) % 9)


def spoil_features_finite(folder):
    tokens = np.load(folder / "text_xs_32.npy")
    tokens[7, 3, 5] = np.nan
    np.save(folder / "text_xs_32.npy", tokens)


def spoil_features_cut(folder):
    path = folder / "text_xs_32.npy"
    path.write_bytes(path.read_bytes()[:-1000])


def spoil_features_code(folder):
    class Bad:
        def __reduce__(self):
            return (print, ("ran",))

    np.save(folder / "text_ys_32.npy", np.array([Bad()] * 40, object), allow_pickle=True)


BAD = [
    (Cifar10, spoil_cifar10, "data_batch_1|data_batch_3"),
    (TinyImagenet, spoil_tiny_class, "holds 199 class folders with pictures, 200 were expected"),
    (TinyImagenet, spoil_tiny_listing, "val_annotations.txt' line 1 has no class"),
    (TinyImagenet, spoil_tiny_pixels, "cannot be decoded"),
    (TinyImagenet, spoil_tiny_size, "has 32x64 pixels, 64x64 were expected"),
    (PascalVoc, spoil_voc_mask_mode, "mode 'RGB', one of class numbers"),
    (PascalVoc, spoil_voc_mask_class, "holds class 21, 0 to 20 and 255 were expected"),
    (PascalVoc, spoil_voc_list, "names '2008_000001', which has no mask"),
    (PascalVoc, spoil_voc_empty_list, "train.txt' names no image"),
    (Conll2003, spoil_conll_columns, "eng.testa' line 2 is 'rejects VBZ I-VP'"),
    (Conll2003, spoil_conll_tag, "eng.testb' line 1 is 'EU NNP I-NP I-ORGANISATION'"),
    (Conll2003, spoil_conll_sentences, "eng.train' holds no sentence with an entity"),
    (Conll2003, spoil_conll_page, "is a web page"),
    (Conll2003Features, spoil_features_shape, r"shape \(40, 32, 700\), floats \(n, 32, 768\) were expected"),
    (Conll2003Features, spoil_features_number, r"shape \(39,\), integers \(40,\) were expected"),
    (Conll2003Features, spoil_features_range, "labels from 0 to 8, 0 to 7 were expected"),
    (Conll2003Features, spoil_features_finite, "tokens that are not finite"),
    (Conll2003Features, spoil_features_cut, "text_xs_32.npy"),
    (Conll2003Features, spoil_features_code, "text_ys_32.npy"),
]


@pytest.mark.parametrize(("proxy", "spoil", "message"), BAD, ids=[spoil.__name__ for _, spoil, _ in BAD])
def test_a_bad_file_is_one_clear_line(proxy, spoil, message, damaged, capfd):
    root, folder = damaged(proxy)
    spoil(folder)
    with pytest.raises(IntegrityError, match=message) as raised:
        np.asarray(read(proxy, root).train.inputs)
    assert "\n" not in str(raised.value)
    assert "ran" not in capfd.readouterr().out.split()


def test_a_built_file_that_changed_is_refused(tmp_path):
    path = tmp_path / "mine.safetensors"
    token_file(path)
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    with pytest.raises(IntegrityError, match="does not have the digest"):
        read(Conll2003Features, tmp_path, path=str(path))
    path.write_bytes(content[:-900])
    with pytest.raises(IntegrityError, match="no file of source tokens"):
        read(Conll2003Features, tmp_path, path=str(path))
    token_file(path, classes=9)
    with pytest.raises(IntegrityError, match="labels from 0 to 8"):
        read(Conll2003Features, tmp_path, path=str(path))


# As sources


def test_a_source_reads_pictures_when_they_are_drawn(published):
    split = read(PascalVoc, published).train
    source = Source(split, 20)
    assert not isinstance(source.inputs, torch.Tensor)
    backbone = NanoSwin()
    torch.manual_seed(0)
    batch = source.draw(backbone, 6, torch.zeros(1))
    torch.manual_seed(0)
    indices = torch.randint(len(split), (6,)).numpy()
    assert torch.equal(batch.labels, torch.from_numpy(split.targets[indices]))
    assert torch.equal(batch.masks(), torch.from_numpy(split.extras["foreground"][indices]))
    with torch.no_grad():
        assert torch.equal(batch.tokens, backbone.embed_source(torch.from_numpy(split.inputs[indices])))


def test_a_source_is_augmented_as_its_task_says(published):
    split = read(Cifar10, published).train
    backbone = NanoSwin()
    torch.manual_seed(0)
    batch = Source(split, 10, augment=Cifar10().augment).draw(backbone, 5, torch.zeros(1))
    torch.manual_seed(0)
    indices = torch.randint(len(split), (5,)).numpy()
    rng = np.random.default_rng(int(torch.randint(2**62, ())))
    with torch.no_grad():
        expected = backbone.embed_source(torch.from_numpy(cropped_and_mirrored(split.inputs[indices], 4, rng)))
        plain = backbone.embed_source(torch.from_numpy(split.inputs[indices]))
    assert torch.equal(batch.tokens, expected)
    assert not torch.allclose(batch.tokens, plain)


def test_embedded_tokens_pass_unchanged_and_must_fit(tmp_path, published):
    path = tmp_path / "mine.safetensors"
    tokens, labels = token_file(path)
    source = Source(read(Conll2003Features, tmp_path, path=str(path)).train, 8, embedded=True)
    torch.manual_seed(0)
    batch = source.draw(NanoText(), 7, torch.zeros(1))
    torch.manual_seed(0)
    indices = torch.randint(20, (7,)).numpy()
    assert torch.equal(batch.tokens, torch.from_numpy(tokens[indices]))
    pooled, found = source.features(NanoText(), torch.device("cpu"), 9, batch_size=4)
    assert torch.allclose(pooled, torch.from_numpy(tokens[:9].mean(1)), atol=1e-6)
    assert found.tolist() == labels[:9].tolist()
    wide = Source(read(Conll2003Features, published).train, 8, embedded=True)
    with pytest.raises(UsageError, match="768 wide, the backbone takes 128"):
        wide.draw(NanoText(), 2, torch.zeros(1))


def test_a_source_in_memory_is_drawn_as_before():
    rng = np.random.default_rng(0)
    split = Split(rng.random((9, 3, 8, 8), dtype=np.float32), np.arange(9))
    torch.manual_seed(3)
    batch = Source(split, 9).draw(NanoSwin(), 4, torch.zeros(1))
    torch.manual_seed(3)
    assert batch.labels.tolist() == torch.randint(9, (4,)).tolist()


RUNS = [
    ("cifar10", "ninapro"),
    ("tiny_imagenet", "spherical"),
    ("pascal_voc", "darcy_flow"),
    ("conll2003", "satellite"),
]


@pytest.mark.parametrize("method", ["pare", "orca"])
@pytest.mark.parametrize(("proxy", "task"), RUNS)
def test_methods_learn_from_published_proxies(method, proxy, task, published, pare_bench, monkeypatch, tmp_path):
    monkeypatch.setenv("PARE_BENCH_DATA", str(published))
    options = ["size.train=16", "size.val=8", "size.test=8", "budget.max_steps=2", "recipe.batch_size=8", f"source={proxy}", "source.max_samples=12"]
    flags = [flag for option in options for flag in ("-o", option)]
    command = ("run", "--method", method, "--task", task, "--tier", "generated", "--preset", "smoke", "--device", "cpu", *flags)
    code, out, err = pare_bench(*command, "--out", str(tmp_path))
    assert code == 0, err
    assert "| ok |" in out


def test_a_run_with_tokens_of_another_width_is_one_line(published, pare_bench, monkeypatch, tmp_path):
    monkeypatch.setenv("PARE_BENCH_DATA", str(published))
    options = ("size.train=16", "size.val=8", "size.test=8", "source=conll2003_features")
    flags = [flag for option in options for flag in ("-o", option)]
    command = ("run", "--method", "pare", "--task", "satellite", "--tier", "generated", "--preset", "smoke", "--device", "cpu", *flags)
    code, _, err = pare_bench(*command, "--out", str(tmp_path))
    assert code == 2
    assert "768 wide, the backbone takes 128" in err


def test_a_published_source_has_no_generated_size(pare_bench):
    code, _, err = pare_bench("run", "--method", "pare", "--task", "satellite", "-o", "source=conll2003", "-o", "source_size.train=50", "--dry-run")
    assert code == 2
    assert "source 'conll2003' is read from its published files and has no source_size" in err
    assert "-o source.max_samples=NUMBER" in err
