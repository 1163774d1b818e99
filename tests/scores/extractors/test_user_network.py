"""A network of the user's own, named in the space file."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from gantune.errors import ScoreError
from gantune.io import trust
from gantune.scores import Extractor, load_extractor, resolve_extractor
from tests.scores.conftest import evaluator, made_up, shown

Write = Callable[[str], None]


@pytest.fixture(autouse=True)
def _named(monkeypatch: pytest.MonkeyPatch) -> None:
    """All code of these tests is the user's own."""
    monkeypatch.setattr(trust, "_allowed", {"anything"})


_SOUND = """
    import torch

    class Means(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = torch.nn.Parameter(torch.ones(3, dtype=torch.bfloat16))
            self.drop = torch.nn.Dropout()

        def forward(self, images):
            x = images.double().mean(dim=(1, 3))[:, :3] * self.scale
            return self.drop(x)

    def factory():
        return Means()

    class nets:
        sound = Means
    """


_DEEP = """
    import torch
    from torch import nn

    def factory():
        wide = [layer for _ in range(6) for layer in (nn.Conv2d(64, 64, 3, padding=1), nn.ReLU())]
        return nn.Sequential(Cast(), nn.Conv2d(1, 64, 3), *wide, nn.Flatten())

    class Cast(nn.Module):
        def forward(self, images):
            return images.float() / 127.5 - 1
    """

_FLAT = "return images.flatten(1).float()"


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes ``own_net.py`` into the current folder, an empty one."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # two versions in one second

    def write(text: str) -> None:
        sys.modules.pop("own_net", None)
        lines = text.strip("\n").splitlines()
        Path("own_net.py").write_text("\n".join(line[4:] for line in lines) + "\n")

    return write


def resolve(tmp_path: Path, name: str = "own_net:factory") -> Extractor:
    return resolve_extractor(name, made_up(), tmp_path / "run")


def test_its_features_are_scored_under_its_name(write: Write, tmp_path: Path) -> None:
    write(_SOUND)
    images = made_up()
    extractor = resolve(tmp_path)
    assert (extractor.name, extractor.features) == ("own_net:factory", 3)
    features = extractor.module(torch.tensor(images.array))
    assert features.dtype == torch.float32
    rows = torch.tensor(images.array).double().mean(dim=(1, 3))[:, :3]
    torch.testing.assert_close(features, rows.float())
    own = evaluator(images, tmp_path / "run", "own_net:factory", samples=60)
    score = own.score(shown(torch.tensor(images.array)))
    assert score.name == "fid[own_net:factory]"
    assert score.value == pytest.approx(0, abs=1e-6)


def test_a_factory_inside_a_class(write: Write, tmp_path: Path) -> None:
    write(_SOUND)
    assert resolve(tmp_path, "own_net:nets.sound").features == 3


@pytest.mark.integration
def test_a_worker_finds_it_from_another_folder(write: Write, tmp_path: Path) -> None:
    write(_SOUND)
    extractor = resolve(tmp_path)
    code = (
        "import sys; from pathlib import Path; from gantune.scores import load_extractor;"
        "from gantune.io.trust import allow_everything; allow_everything();"
        "print(load_extractor(Path(sys.argv[1])).weights_hash)"
    )
    worker = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "run")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert worker.stdout.strip() == extractor.weights_hash


def test_changed_weights_are_refused(write: Write, tmp_path: Path) -> None:
    write(_SOUND)
    resolve(tmp_path)
    write(_SOUND.replace("torch.ones", "torch.zeros"))
    with pytest.raises(ScoreError, match=r"extractor\.json: .*the factory returns other weights"):
        load_extractor(tmp_path / "run")


def test_changed_code_with_the_same_weights_is_refused(write: Write, tmp_path: Path) -> None:
    write(_SOUND)
    before = resolve(tmp_path).weights_hash
    write(_SOUND.replace("* self.scale", "* self.scale * 18"))
    with pytest.raises(
        ScoreError, match=r"the factory returns other weights or features than befo"
    ):
        load_extractor(tmp_path / "run")
    assert resolve(tmp_path / "new").weights_hash != before


def test_changed_code_has_other_real_features(write: Write, tmp_path: Path) -> None:
    images, text = made_up(), net("return images.flatten(1).float()")
    shifted = shown(torch.tensor(images.array))
    for network in (text, text.replace("flatten(1)", "flip(3).flatten(1)")):
        write(network)
        own = evaluator(images, tmp_path / str(len(network)), "own_net:factory", samples=60)
        assert own.score(shifted).value == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize(
    "change",
    ["* 1.05", "+ 10", ".flip(3)", ".roll(1, 3)", "[:, :, :8].contiguous()", ".clamp(max=200)"],
)
def test_networks_without_weights_are_distinguished(
    change: str, write: Write, tmp_path: Path
) -> None:
    hashes = []
    for made in ("", change):
        write(net(f"return (images.float(){made}).flatten(1)"))
        hashes.append(resolve(tmp_path).weights_hash)
    assert hashes[0] != hashes[1]


def test_its_hash_does_not_hang_on_the_number_of_threads(write: Write, tmp_path: Path) -> None:
    write(_DEEP)
    first, counts, before = resolve(tmp_path), [], torch.get_num_threads()
    try:
        for threads in (1, 2, 4):
            torch.set_num_threads(threads)
            assert load_extractor(tmp_path / "run").weights_hash == first.weights_hash
            counts.append(torch.get_num_threads())
    finally:
        torch.set_num_threads(before)
    assert counts == [1, 2, 4]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            "if len(images) == 7: raise ValueError('seven')\n",
            r"\[7, 1, 16, 16\]: ValueError: seven",
        ),
        ("if len(images) == 7: return images.flatten(1)\n", r"gives torch\.uint8; a float tensor"),
        ("if len(images) == 7: return [images]\n", r"gives list; a float tensor"),
        ("if len(images) == 7: return images.float()\n", r"shape \[7, 1, 16, 16\] for 7 images"),
    ],
)
def test_one_that_fails_later_is_one_clear_message(
    body: str, message: str, write: Write, tmp_path: Path
) -> None:
    write(net(body + 12 * " " + "return images.flatten(1).half()"))
    extractor = resolve(tmp_path)
    with pytest.raises(ScoreError, match=f"^objective: extractor: 'own_net:factory' .*{message}"):
        extractor.module(torch.tensor(made_up().array[:7]))


def test_one_that_fails_at_a_whole_batch_is_refused_when_it_is_loaded(
    write: Write, tmp_path: Path
) -> None:
    write(net("return images.flatten(1) if len(images) == 250 else images.flatten(1).float()"))
    with pytest.raises(ScoreError, match=r"gives torch\.uint8"):
        resolve_extractor("own_net:factory", made_up(300), tmp_path / "run")


def test_lack_of_memory_is_said_at_once_and_later_stays_what_it_is(
    write: Write, tmp_path: Path
) -> None:
    write(net("torch.empty(1 << 60) if len(images) > 5 else 0\n" + 12 * " " + _FLAT))
    with pytest.raises(ScoreError, match=r"fails on uint8 \[60, 1, 16, 16\]: .*allocate memory"):
        resolve(tmp_path)
    write(net("torch.empty(1 << 60) if len(images) == 7 else 0\n" + 12 * " " + _FLAT))
    extractor = resolve(tmp_path)
    with pytest.raises(RuntimeError, match="DefaultCPUAllocator"):
        extractor.module(torch.tensor(made_up().array[:7]))


def test_weights_that_differ_each_time_are_refused_at_once(write: Write, tmp_path: Path) -> None:
    write(_SOUND.replace("torch.ones(3", "torch.tensor(list(__import__('os').urandom(3))"))
    with pytest.raises(
        ScoreError, match=r"must return the same each time: load the weights from a file"
    ):
        resolve(tmp_path)


def test_first_weights_that_torch_draws_are_the_same_each_time(
    write: Write, tmp_path: Path
) -> None:
    write(_SOUND.replace("torch.ones", "torch.randn"))
    torch.manual_seed(1)
    first = resolve(tmp_path)
    torch.manual_seed(2)
    assert load_extractor(tmp_path / "run").weights_hash == first.weights_hash


def net(body: str) -> str:
    return f"""
    import torch

    class Net(torch.nn.Module):
        def forward(self, images):
            {body}

    factory = Net
    """


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        ("", "no_net:factory", r"no module 'no_net', neither installed nor in .*here"),
        ("", "no.net:factory", r"no module 'no', neither"),
        (_SOUND, "own_net:factry", r"own_net has no 'factry' \(did you mean 'factory'\?\)"),
        ("    import nothing_such", "own_net:f", r"importing own_net fails: ModuleNotFoundError"),
        ("    1 / 0", "own_net:f", r"importing own_net fails: ZeroDivisionError: division"),
        (
            "    def f(x):\n        pass",
            "own_net:f",
            r"the factory fails: TypeError: f\(\) missing",
        ),
        (
            "    def f():\n        return 3",
            "own_net:f",
            r"the factory gives a int, not an nn\.Module",
        ),
        (net("return images.float()"), "own_net:factory", r"shape \[5, 1, 16, 16\] for 5 images"),
        (net("return images.float().sum()"), "own_net:factory", r"shape \[\] for 5 images"),
        (net("return torch.ones(len(images), 0)"), "own_net:factory", r"shape \[5, 0\] for"),
        (net("return torch.ones(1, 4)"), "own_net:factory", r"shape \[1, 4\] for 5 images"),
        (
            net("return torch.ones(len(images), len(images))"),
            "own_net:factory",
            r"gives 2 and 5 and 60 f",
        ),
        (net("return images.flatten(1)"), "own_net:factory", r"gives torch\.uint8; a float tensor"),
        (net("return [images]"), "own_net:factory", r"gives list; a float tensor"),
        (net("return images.flatten(1) / 0"), "own_net:factory", r"not finite"),
        ("    raise SystemExit", "own_net:f", r"importing own_net fails: SystemExit$"),
        (
            "    def f():\n        raise SystemExit(3)",
            "own_net:f",
            r"the factory fails: SystemExit: 3$",
        ),
        (net("raise SystemExit(0)"), "own_net:factory", r"fails on uint8 .*: SystemExit: 0$"),
        (net("return images.nothing"), "own_net:factory", r"fails on uint8 \[5, 1, 16, 16\]: Attr"),
    ],
)
def test_what_is_wrong_with_it_is_said(
    text: str, name: str, message: str, write: Write, tmp_path: Path
) -> None:
    write(text or "    pass")
    with pytest.raises(ScoreError, match=message) as error:
        resolve(tmp_path, name)
    assert str(error.value).startswith(f"objective: extractor: {name!r}")
    assert not (tmp_path / "run").exists()
