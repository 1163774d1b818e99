"""A network of the user's own, named in the space file."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from gantune.errors import ScoreError
from gantune.scores import Extractor, load_extractor, resolve_extractor
from tests.scores.conftest import evaluator, made_up, shown

Write = Callable[[str], None]

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


def test_a_worker_finds_it_from_another_folder(write: Write, tmp_path: Path) -> None:
    write(_SOUND)
    extractor = resolve(tmp_path)
    code = (
        "import sys; from pathlib import Path; from gantune.scores import load_extractor;"
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
    with pytest.raises(ScoreError, match=r"extractor\.json: .*the factory gives other weights"):
        load_extractor(tmp_path / "run")


def test_weights_that_differ_each_time_are_refused_at_once(write: Write, tmp_path: Path) -> None:
    write(_SOUND.replace("torch.ones(3", "torch.tensor(list(__import__('os').urandom(3))"))
    with pytest.raises(ScoreError, match=r"must give the same each time: load them from a file"):
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
        ("    def f():\n        return 3", "own_net:f", r"the factory gives a int, no nn\.Module"),
        (net("return images.float()"), "own_net:factory", r"shape \[5, 1, 16, 16\] for 5 images"),
        (net("return images.float().sum()"), "own_net:factory", r"shape \[\] for 5 images"),
        (net("return torch.ones(len(images), 0)"), "own_net:factory", r"shape \[5, 0\] for"),
        (net("return torch.ones(1, 4)"), "own_net:factory", r"shape \[1, 4\] for 5 images"),
        (net("return torch.ones(len(images), len(images))"), "own_net:factory", r"gives 2 and 5 f"),
        (net("return images.flatten(1)"), "own_net:factory", r"gives torch\.uint8; a float tensor"),
        (net("return [images]"), "own_net:factory", r"gives list; a float tensor"),
        (net("return images.flatten(1) / 0"), "own_net:factory", r"not finite"),
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
