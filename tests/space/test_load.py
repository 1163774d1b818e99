"""Finding and reading a space, and errors at its top level."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

import gantune.space
from gantune.config.extractor import CHOICES, ExtractorChoice
from gantune.errors import SpaceError
from gantune.io.yaml_document import format_document
from gantune.space import load_space, space_differences
from gantune.space.settings import SpaceFile
from tests.space.conftest import Load, Problems, every_shipped_space


def test_everything_that_is_public() -> None:
    assert all(hasattr(gantune.space, name) for name in gantune.space.__all__)


def test_reading_a_space_needs_no_torch_and_no_optuna() -> None:
    code = (
        "import sys, gantune.space.load as load; load.load_space('dcgan').first_config();"
        "print([name for name in ('torch', 'optuna') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_top_level_values(load: Load) -> None:
    space = load("""
        budget: {trials: 5, time: 1h30m, max_failed: 1}
        objective: {samples: 500, extractor: random}
        trial: {}
        stability: {preset: strict}
        pruning: {rule: none, rungs: [25%, 0.5], startup: 2}
        finalists: {top: 1, seeds: 2, kimg: 4x}
        sampler: {name: qmc, seed: 3}
        """)
    assert space.study == "s"
    assert (space.budget.trials, space.budget.time, space.budget.max_failed) == (5, 5400.0, 1)
    assert (space.objective.samples, space.objective.rung_samples) == (500, 1000)
    assert space.stability == {"preset": "strict"}
    assert (space.pruning.rule, space.pruning.rungs) == ("none", (0.25, 0.5))
    assert space.finalists.budget(40) == 160
    assert (space.sampler.name, space.sampler.seed) == ("qmc", 3)


@pytest.mark.parametrize(
    ("text", "seconds"), [("2h", 7200), ("90m", 5400), ("45s", 45), ("1.5h", 5400), ("30", 30)]
)
def test_times(load: Load, text: str, seconds: float) -> None:
    assert load(f"budget: {{time: {text}}}\ntrial: {{}}").budget.time == seconds


def test_budget_without_a_time(load: Load) -> None:
    assert load("budget: {trials: 3, time: null}\ntrial: {}").budget.time is None


@pytest.mark.parametrize(("kimg", "budget"), [("null", 40), ("160", 160), ("1.5x", 60)])
def test_length_of_finals(load: Load, kimg: str, budget: float) -> None:
    assert load(f"finalists: {{kimg: {kimg}}}\ntrial: {{}}").finalists.budget(40) == budget


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "s.yaml: the file is empty"),
        ("a: [1", "s.yaml:1:6: not YAML"),
        ("- 1", "s.yaml:1:1: not a space"),
        ("trial: 3", "s.yaml:1:1: trial: a mapping belongs here, not 3"),
        ("study: x", "s.yaml:1:1: trial: is missing"),
        ("trial: {}\ntrial: {}", "s.yaml:2:1: duplicate key 'trial' (first on line 1)"),
        ("trial: {}\nbudgt: {}", "s.yaml:2:1: budgt: unknown name (did you mean 'budget'?)"),
        ("loss: hinge", "s.yaml:1:1: this is a training configuration, not a space"),
        ("trial: {}\nstudy: a b", "s.yaml:2:1: study: 'a b' cannot name a study"),
        ("trial: {}\nbudget: {}", "s.yaml:2:1: budget: the search would never end"),
        ("trial: {}\nbudget: {time: 2x}", "s.yaml:2:10: budget.time: '2x' is not a duration"),
        ("trial: {}\nbudget: {time: 0s}", "s.yaml:2:10: budget.time: input should be greater"),
        ("trial: {}\nbudget: {trials: '3'}", "budget.trials: '3' is text where a number belongs"),
        ("trial: {}\nobjective: {score: is}", "objective.score: input should be 'fid'"),
        ("trial: {}\nstability: laxer", "stability: one of default, strict, lenient, off or rules"),
        ("trial: {}\nstability: strickt", "(did you mean 'strict'?)"),
        ("trial: {}\nstability: 3", "stability: one of default, strict, lenient, off or rules"),
        (
            "trial: {kimg: -1}\nstability:\n  explodin: off\n  stillborn: {gaol: 1}",
            "s.yaml:3:3: stability.explodin: unknown rule (did you mean 'exploding'?)\n"
            "s.yaml:4:15: stability.stillborn.gaol: unknown threshold (did you mean 'goal'?)",
        ),
        (
            "trial: {}\nobjective: {extractor: clasifier}",
            "s.yaml:2:13: objective.extractor: 'clasifier' is unknown (did you mean 'classifier'?)",
        ),
        (
            "trial: {}\nobjective: {extractor: 'a.b:'}",
            "s.yaml:2:13: objective.extractor: 'a.b:' is no network of one's own; write package",
        ),
        (
            "trial: {}\nobjective: {extractor: random, weights: a.pth, resize: antialias}",
            "s.yaml:2:32: objective.weights: is for inception and dinov2 alone, and the extractor "
            "is 'random'; leave it out, or take inception or dinov2\ns.yaml:2:48: objective.resize",
        ),
        (
            "trial: {}\nobjective: {also: [fd_inf, fd_dinov]}",
            "s.yaml:2:13: objective.also: 'fd_dinov' is unknown (did you mean 'fd_dinov2'?)",
        ),
        ("trial: {}\nobjective: {weights: 3}", "s.yaml:2:13: objective.weights: input should be"),
        ("trial: {}\nobjective: {resize: legcy}", "(did you mean 'legacy'?)"),
        ("trial: {}\npruning: {rungs: 25%}", "pruning.rungs: a list such as [25%, 50%, 75%]"),
        ("trial: {}\npruning: {rungs: [0]}", "pruning.rungs: 0 is not a share of the budget"),
        ("trial: {}\npruning: {rungs: [100%]}", "'100%' is not a share of the budget"),
        ("trial: {}\npruning: {rungs: [0.5, 25%]}", "pruning.rungs: each rung must be larger"),
        (
            "trial: {}\npruning: {rungs: [25.1%, 0.254]}",
            "pruning.rungs: 25.1% and 25.4% are the same whole percent; remove one of them",
        ),
        ("trial: {}\npruning: {rungs: [0.996]}", "0.996 is 100% in whole percents; rungs go from"),
        ("trial: {}\npruning: {rungs: [0.4%]}", "'0.4%' is 0% in whole percents; rungs go from 1%"),
        ("trial: {}\npruning: {exempt: 2}", "exempt: a list of trials such as [0, 1] belongs"),
        ("trial: {}\npruning: {exempt: [0, -1]}", "exempt: -1 is no number of a trial"),
        ("trial: {}\npruning: {rule: medain}", "not 'medain' (did you mean 'median'?)"),
        ("trial: {}\nfinalists: {kimg: 4y}", "finalists.kimg: '4y' is not a length"),
        ("trial: {}\nfinalists: {kimg: 0x}", "finalists.kimg: '0x' is not a length"),
        ("trial: {}\nsampler: {name: tpee}", "not 'tpee' (did you mean 'tpe'?)"),
        ("trial: {}\nsampler: {seed: -1}", "sampler.seed: input should be greater"),
    ],
)
def test_wrong_files(problems: Problems, text: str, message: str) -> None:
    assert message in "\n".join(problems(text))


def test_parts_whose_lines_are_all_commented_out(load: Load) -> None:
    bare = load("trial: {}")
    parts = [name for name in SpaceFile.model_fields if name != "trial"]
    space = load("trial: {}\n" + "".join(f"{name}:\n  # a: 1\n" for name in parts))
    assert all(getattr(space, name) == getattr(bare, name) for name in SpaceFile.model_fields)
    assert space.hash == bare.hash


def test_penalties_may_be_none(load: Load) -> None:
    text = """
        trial:
          penalties: none
          choose: {penalty: {plain: {penalties: null}, r1: {penalties: {r1: {}}}}}
        """
    space = load(text)
    assert space.configs_of({"penalty": "plain"}).penalties.r1 is None
    assert space.configs_of({"penalty": "r1"}).penalties.r1 is not None
    assert space.hash == load(text.replace("none", "{}").replace("null", "{}")).hash


@pytest.mark.parametrize("name", [*CHOICES, "package.module:factory"])
def test_every_extractor_may_be_named(name: str, load: Load) -> None:
    space = load(f"objective: {{extractor: '{name}'}}\ntrial: {{}}")
    assert space.objective.choice() == ExtractorChoice(name)


def test_inception_weights_are_found_from_the_file_s_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "s.yaml"
    path.write_text("objective: {weights: a.pth, resize: antialias}\ntrial: {}\n")
    space = load_space(path)
    assert space.objective.choice() == ExtractorChoice("auto", f"{tmp_path / 'a.pth'}", "antialias")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    typed = load_space(path, ["objective.weights=a.pth"])
    assert typed.objective.weights == f"{tmp_path / 'here' / 'a.pth'}"
    assert typed.hash != space.hash


def test_all_problems_at_once_in_the_file_s_order(problems: Problems) -> None:
    found = problems("""\
        budget: {trials: many}
        trial:
          generator: {lr: {low: 1, high: '2'}, beta: 1}
          discriminator: {lr: {low: 1e-2, high: 1e-3}}
          batch_size: {choices: []}
          choose: {loss: {a: {loss: hnge}}}
        start: [{kimg: 1}]
        finalist: {}
        """)
    assert [line.split(":")[1] for line in found] == ["1", "3", "3", "4", "5", "6", "8"]


def test_a_shipped_space_by_name_has_no_note(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "dcgan").mkdir()
    monkeypatch.chdir(tmp_path)
    space = load_space("dcgan")
    assert (space.study, space.note) == ("dcgan", "")


def test_missing_path_with_the_name_of_a_shipped_space(tmp_path: Path) -> None:
    path = tmp_path / "spaces" / "dcgan.yaml"
    space = load_space(path)
    assert space.note == f"{path} does not exist; using the shipped space 'dcgan'"
    path.parent.mkdir()
    path.write_text("study: own\ntrial: {}\n")
    assert load_space(path).study == "own"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("dcgann", "dcgann: no such file (did you mean 'dcgan'?)"),
        ("spaces/dcgam.yaml", "(did you mean 'dcgan'?)"),
        ("nothing.yaml", "no such file; shipped spaces: dcgan, dcgan28, "),
        ("dcgan.txt", "dcgan.txt: no such file"),
        ("x" * 300, "cannot be read"),
        ("a\0b", "no such file"),
        ("/", "is a folder"),
    ],
)
def test_files_that_are_not_there(name: str, message: str) -> None:
    with pytest.raises(SpaceError) as caught:
        load_space(name)
    assert message in str(caught.value)


def test_file_with_a_similar_name_is_suggested(tmp_path: Path) -> None:
    (tmp_path / "faces.yaml").write_text("trial: {}\n")
    with pytest.raises(SpaceError, match="did you mean 'faces'"):
        load_space(tmp_path / "face.yaml")


def test_a_hash_covers_what_a_score_depends_on(load: Load) -> None:
    base = (
        "objective: {samples: 500}\ntrial: {kimg: 10, generator: {lr: {low: 1e-5, high: 1e-2}}}\n"
    )
    space = load(base)
    same = [
        "# words\nobjective: {samples: 500}\n"
        "trial:\n  generator: {lr: {high: 0.01, low: 0.00001}}\n  kimg: 10.0\n",
        base + "study: other\nbudget: {trials: 3, time: 2h}\nfinalists: {top: 5}\nstart: [{}]\n",
    ]
    for text in same:
        assert load(text).hash == space.hash
        assert space_differences(space, load(text)) == []
    other = {
        "objective.samples": base.replace("500", "501"),
        "trial.kimg": base.replace("kimg: 10", "kimg: 11"),
        "trial.generator.lr": base.replace("1e-5", "1e-6"),
        "trial.seed": base.replace("kimg: 10", "kimg: 10, seed: 1"),
        "trial.choose.a": base.replace("kimg: 10", "kimg: 10, choose: {a: {x: {}}}"),
        "stability": base + "stability: strict\n",
        "pruning.rungs": base + "pruning: {rungs: [50%]}\n",
        "sampler.seed": base + "sampler: {seed: 1}\n",
    }
    for key, text in other.items():
        assert load(text).hash != space.hash
        assert [line.partition(":")[0] for line in space_differences(space, load(text))] == [key]


def test_an_override_changes_the_hash(load: Load) -> None:
    text = "trial: {kimg: 10}\n"
    assert load(text, "kimg=11").hash == load(text.replace("10", "11")).hash
    assert load(text, "budget.trials=3").hash == load(text).hash


def test_differences_show_both_values(load: Load) -> None:
    one = load("trial: {generator: {lr: {low: 1e-5, high: 1e-2, log: true}}}")
    other = load("trial: {generator: {lr: 2e-4}, kimg: 30}")
    assert space_differences(one, other) == [
        "trial.generator.lr: {low: 1e-5, high: 0.01, log: true} → 2e-4",
        "trial.kimg: nothing → 30",
    ]


@every_shipped_space
def test_the_resolved_tree_is_the_same_space(name: str, tmp_path: Path) -> None:
    rate = "lr=3e-4" if name == "own_trainer" else "generator.lr=3e-4"
    space = load_space(name, [rate, "data.source=some/images"][: 1 + ("dc" in name)])
    path = tmp_path / "space.yaml"
    path.write_text(format_document(space.resolved_tree()))
    again = load_space(path)
    assert (again.hash, again.study) == (space.hash, space.study)
    assert again.start_points() == space.start_points()
    assert again.first_config() == space.first_config()


def test_space_can_be_pickled() -> None:
    space = load_space("dcgan")
    again = pickle.loads(pickle.dumps(space))
    assert (again.hash, again.first_config()) == (space.hash, space.first_config())


def test_first_config_is_sampled_without_start_entries(load: Load) -> None:
    text = "trial: {generator: {lr: {low: 1e-3, high: 1e-2}}, batch_size: {choices: [8, 16]}}"
    config = load(text).first_config()
    assert 1e-3 <= config.generator.lr <= 1e-2
    assert load(text).first_config() == config


@pytest.mark.parametrize("params", [{}, {"kimg": 9.0}, {"kimg": "1"}])
def test_parameters_of_another_space(load: Load, params: dict[str, object]) -> None:
    with pytest.raises(SpaceError, match="parameter kimg is"):
        load("trial: {kimg: {low: 1, high: 2}}").configs_of(params)


@pytest.mark.parametrize(
    ("path", "largest"), [("batch_size", 64), ("kimg", 40), ("generator.lr", 0.01)]
)
def test_largest(load: Load, path: str, largest: float) -> None:
    space = load("""
        trial:
          choose: {a: {x: {batch_size: 32}, y: {batch_size: {choices: [16, 64]}}}}
          generator: {lr: {low: 1e-3, high: 1e-2}}
        """)
    assert space.largest(path) == largest


def test_order_in_the_file_does_not_change_samples(load: Load) -> None:
    import optuna

    texts = [
        "trial: {kimg: {low: 1, high: 2}, choose: {a: {x: {}, y: {seed: 1}}}}",
        "trial: {choose: {a: {y: {seed: 1}, x: {}}}, kimg: {high: 2, low: 1}}",
    ]
    draws = []
    for text in texts:
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
        space = load(text)
        draws.append(json.dumps([space.sample_config(study.ask()).model_dump() for _ in range(5)]))
    assert draws[0] == draws[1]


def test_the_place_of_images_is_in_the_name_of_the_folder_only(load: Load) -> None:
    first, second = (load(f"study: s\ntrial: {{data: {{source: {p}}}}}\n") for p in ("/a", "/b"))
    assert first.hash == second.hash
    assert first.hash_with_source != second.hash_with_source
    assert not space_differences(first, second)
    assert load("study: s\ntrial: {data: {source: digits}}\n").hash != first.hash


def test_files_of_weights_are_relative_to_the_space(load: Load, tmp_path: Path) -> None:
    space = load("trial: {}\nobjective: {also: [fd_inf, dinov2-b14=w/b.pth]}\n")
    assert space.objective.also == ("fd_inf", f"dinov2-b14={tmp_path}/w/b.pth")
    assert load("trial: {}\nobjective: {also: fid=w.pth}\n").objective.also == (
        f"fid={tmp_path}/w.pth",
    )
