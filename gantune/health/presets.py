"""The presets: all thresholds of all rules in one table, and a space file's changes to them."""

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

from gantune.errors import ConfigError, Problem
from gantune.health.rules import RULES, Rule
from gantune.io.validation import comma_list, name_hint
from gantune.io.yaml_document import Document, KeyPath

_THRESHOLDS: dict[str, dict[str, dict[str, float]]] = {
    "default": {
        "non_finite": dict(skipped=1.0),
        "exploding": dict(loss=20.0, critic_loss=1e4, gradient=1e6, growth=100.0, patience=0.1),
        "collapsed_spread": dict(spread=0.05, warm_up=0.5, shortest=10.0, patience=0.15),
        "discriminator_won": dict(loss=0.02, movement=0.15, rise=0.05, progress=0.5, patience=0.2),
        "critic_dead": dict(loss=1e-4, patience=0.2),
        "generator_vanished": dict(gradient=1e-8, step=1e-3, patience=0.25, step_patience=0.1),
        "generator_idle": dict(distance=0.5, rise=0.1, after=0.12, shortest=10.0, patience=0.1),
        "cycling": dict(growth=1.5, width=2.0, turns=4, patience=0.4),
        "worsened": dict(lasting=1.5, highest=2.0, scores=2, patience=0.1),
        "stillborn": dict(
            goal=0.25, after=0.25, shortest=10.0, spread=0.2, rise=0.05, patience=0.2, fid=150.0
        ),
    },
    "strict": {
        "non_finite": dict(skipped=0.5),
        "exploding": dict(loss=10.0, critic_loss=1e3, gradient=1e5, growth=30.0, patience=0.1),
        "collapsed_spread": dict(spread=0.07, warm_up=0.3, shortest=5.0, patience=0.1),
        "discriminator_won": dict(loss=0.05, movement=0.2, rise=0.1, progress=0.33, patience=0.15),
        "critic_dead": dict(loss=1e-3, patience=0.15),
        "generator_vanished": dict(gradient=1e-7, step=3e-3, patience=0.15, step_patience=0.08),
        "generator_idle": dict(distance=0.6, rise=0.2, after=0.08, shortest=5.0, patience=0.05),
        "cycling": dict(growth=1.25, width=1.0, turns=3, patience=0.3),
        "worsened": dict(lasting=1.3, highest=1.5, scores=2, patience=0.05),
        "stillborn": dict(
            goal=0.1, after=0.2, shortest=5.0, spread=0.4, rise=0.1, patience=0.15, fid=120.0
        ),
    },
    "lenient": {
        "non_finite": dict(skipped=2.0),
        "exploding": dict(loss=100.0, critic_loss=1e5, gradient=1e7, growth=1e3, patience=0.2),
        "collapsed_spread": dict(spread=0.02, warm_up=0.7, shortest=20.0, patience=0.3),
        "discriminator_won": dict(loss=0.005, movement=0.1, rise=0.03, progress=0.7, patience=0.4),
        "critic_dead": dict(loss=1e-5, patience=0.4),
        "generator_vanished": dict(gradient=1e-9, step=1e-4, patience=0.4, step_patience=0.2),
        "generator_idle": dict(distance=0.3, rise=0.05, after=0.25, shortest=20.0, patience=0.2),
        "cycling": dict(growth=2.0, width=5.0, turns=6, patience=0.5),
        "worsened": dict(lasting=2.0, highest=3.0, scores=5, patience=0.2),
        "stillborn": dict(
            goal=0.6, after=0.5, shortest=20.0, spread=0.15, rise=0.03, patience=0.3, fid=200.0
        ),
    },
    "off": {},
}

PRESETS: dict[str, tuple[Rule, ...]] = {
    preset: tuple(RULES[name].model_validate(thresholds) for name, thresholds in rules.items())
    for preset, rules in _THRESHOLDS.items()
}
"""The rules of each preset, in the order in which they are checked."""


def read_stability(value: object, document: Document | None = None) -> tuple[Rule, ...]:
    """Reads the ``stability`` of a space file.

    ``value``: the name of a preset, or a mapping from rules to the name of a preset (also ``off``)
    or to changed thresholds. The key ``preset`` names the base, by default ``default``.
    ``document`` gives the position of each problem. Raises ``ConfigError`` with every problem.
    """
    document = document or Document(value)
    problems: list[Problem] = []

    def report(path: KeyPath, message: str) -> None:
        path = ("stability", *path)
        problems.append(document.problem(path, f"{'.'.join(map(str, path))}: {message}"))

    def preset_rules(path: KeyPath, name: object) -> dict[str, Rule]:
        if isinstance(name, str) and name in PRESETS:
            return {rule.name: rule for rule in PRESETS[name]}
        report(path, f"no preset {name!r}{name_hint(str(name), PRESETS)}")
        return {}

    value = {"preset": value} if isinstance(value, str) else value
    if not isinstance(value, Mapping):
        what = f"a preset ({comma_list(PRESETS)}) or a mapping of rules belongs here"
        report((), f"{what}, not {value!r}")
        raise ConfigError(problems)
    rules = preset_rules(("preset",), value.get("preset", "default"))
    for name, setting in value.items():
        if name == "preset":
            continue
        if name not in RULES:
            report((name,), f"unknown rule{name_hint(str(name), RULES)}")
        elif isinstance(setting, Mapping):
            rule = rules.get(name) or preset_rules((), "default")[name]
            rules[name] = _changed(rule, setting, report)
        else:
            rules.pop(name, None)
            rules |= {k: v for k, v in preset_rules((name,), setting).items() if k == name}
    if problems:
        raise ConfigError(problems)
    return tuple(rules[name] for name in RULES if name in rules)


def _changed(
    rule: Rule, thresholds: Mapping[str, Any], report: Callable[[KeyPath, str], None]
) -> Rule:
    """The rule with other thresholds; as it was where they are wrong."""
    known = rule.model_dump()
    try:
        return type(rule).model_validate(known | dict(thresholds))
    except ValidationError as error:
        for detail in error.errors():
            name, what = detail["loc"][0], detail["msg"]
            message = f"{what[:1].lower()}{what[1:]}, not {detail['input']!r}"
            if name not in known:
                message = f"unknown threshold{name_hint(str(name), known)}"
            report((rule.name, name), message)
        return rule
