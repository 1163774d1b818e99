"""Advice on settings of a space that are valid but rarely intended."""

from __future__ import annotations

from tests.space.conftest import Load, Problems

OPEN = "generator: {lr: {low: 1e-5, high: 1e-2, log: true}}"
CLIPPED = "loss: wgan, penalties: {weight_clip: {}}"


def test_advice_for_every_trial(load: Load) -> None:
    note = load(f"trial: {{{CLIPPED}, discriminator: {{norm: spectral}}, {OPEN}}}").note
    assert note.startswith("advice: weight_clip with discriminator.norm spectral")
    assert len(note.splitlines()) == 1


def test_advice_for_some_trials(load: Load) -> None:
    space = load(f"trial: {{{CLIPPED}, discriminator: {{norm: {{choices: [none, spectral]}}}}}}")
    assert space.note.startswith("advice for some trials: weight_clip with discriminator.norm")


def test_problem_of_a_single_combination_of_decisions_is_found(load: Load) -> None:
    text = """
        trial:
          choose:
            loss: {hinge: {loss: hinge}, wgan: {loss: wgan}}
            bound: {r1: {penalties: {r1: {}}}, nothing: {}}
        """
    assert load(text).note.startswith("advice for some trials: loss wgan without weight_clip")
    assert load(text, "bound=r1").note == load(text, "loss=hinge").note == ""


def test_usual_space_has_no_advice(load: Load) -> None:
    assert load(f"trial: {{{CLIPPED}, {OPEN}}}").note == ""


def test_long_advice_is_shortened(load: Load) -> None:
    losses = "[minimax, vanilla, hinge, lsgan, relativistic]"
    norms = "{norm: {choices: [none, batch, spectral]}}"
    penalties = "{weight_clip: {}, r1: {}}"
    text = f"trial: {{loss: {{choices: {losses}}}, penalties: {penalties}, discriminator: {norms}}}"
    lines = load(text).note.splitlines()
    assert len(lines) == 6
    assert lines[0].startswith("advice: weight_clip with r1")  # what most trials have comes first
    assert lines[-1] == "advice: 3 more like this"


def test_advice_does_not_replace_problems_of_start(problems: Problems) -> None:
    (line,) = problems(
        f"trial: {{{CLIPPED}, discriminator: {{norm: spectral}}}}\nstart: [{{a: 1}}]"
    )
    assert "unknown name 'a'" in line


def test_the_number_of_classes_cannot_be_searched(problems: Problems) -> None:
    (line,) = problems("trial: {data: {classes: {choices: [2, 10]}}}")
    assert "data.classes: cannot be searched" in line


def test_conditional_may_be_searched(load: Load) -> None:
    space = load("trial: {network: {conditional: {choices: [true, false]}}}")
    assert space.values_at("network.conditional") == [True, False]
