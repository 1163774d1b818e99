"""The presets: all thresholds of all rules in one table, and a space file's changes to them."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from gantune.errors import ConfigError, Problem
from gantune.health.rules import (
    RULES,
    CollapsedSpread,
    CriticDead,
    Cycling,
    DiscriminatorWon,
    Exploding,
    GeneratorIdle,
    GeneratorVanished,
    NonFinite,
    Rule,
    Stillborn,
    Worsened,
)
from gantune.io.validation import comma_list, name_hint
from gantune.io.yaml_document import Document, KeyPath

PRESETS: dict[str, tuple[Rule, ...]] = {
    "default": (
        NonFinite(skipped=1.0),
        Exploding(loss=20.0, critic_loss=1e4, gradient=1e6, growth=100.0, patience=0.1),
        CollapsedSpread(spread=0.05, warm_up=0.5, shortest=10.0, patience=0.15),
        DiscriminatorWon(loss=0.02, movement=0.15, rise=0.05, progress=0.5, patience=0.2),
        CriticDead(loss=1e-4, patience=0.2),
        GeneratorVanished(gradient=1e-8, step=1e-3, patience=0.25, step_patience=0.1),
        GeneratorIdle(distance=0.5, rise=0.1, after=0.12, shortest=10.0, patience=0.1),
        Cycling(growth=1.5, width=2.0, turns=4, patience=0.4),
        Worsened(lasting=1.5, highest=2.0, scores=2, patience=0.1),
        Stillborn(
            goal=0.25, after=0.25, shortest=10.0, spread=0.2, rise=0.05, patience=0.2, fid=150.0
        ),
    ),
    "strict": (
        NonFinite(skipped=0.5),
        Exploding(loss=10.0, critic_loss=1e3, gradient=1e5, growth=30.0, patience=0.1),
        CollapsedSpread(spread=0.07, warm_up=0.3, shortest=5.0, patience=0.1),
        DiscriminatorWon(loss=0.05, movement=0.2, rise=0.1, progress=0.33, patience=0.15),
        CriticDead(loss=1e-3, patience=0.15),
        GeneratorVanished(gradient=1e-7, step=3e-3, patience=0.15, step_patience=0.08),
        GeneratorIdle(distance=0.6, rise=0.2, after=0.08, shortest=5.0, patience=0.05),
        Cycling(growth=1.25, width=1.0, turns=3, patience=0.3),
        Worsened(lasting=1.3, highest=1.5, scores=2, patience=0.05),
        Stillborn(
            goal=0.1, after=0.2, shortest=5.0, spread=0.4, rise=0.1, patience=0.15, fid=120.0
        ),
    ),
    "lenient": (
        NonFinite(skipped=2.0),
        Exploding(loss=100.0, critic_loss=1e5, gradient=1e7, growth=1e3, patience=0.2),
        CollapsedSpread(spread=0.02, warm_up=0.7, shortest=20.0, patience=0.3),
        DiscriminatorWon(loss=0.005, movement=0.1, rise=0.03, progress=0.7, patience=0.4),
        CriticDead(loss=1e-5, patience=0.4),
        GeneratorVanished(gradient=1e-9, step=1e-4, patience=0.4, step_patience=0.2),
        GeneratorIdle(distance=0.3, rise=0.05, after=0.25, shortest=20.0, patience=0.2),
        Cycling(growth=2.0, width=5.0, turns=6, patience=0.5),
        Worsened(lasting=2.0, highest=3.0, scores=5, patience=0.2),
        Stillborn(
            goal=0.6, after=0.5, shortest=20.0, spread=0.15, rise=0.03, patience=0.3, fid=200.0
        ),
    ),
    "off": (),
}
"""The rules of each preset, in the order in which they are checked."""


def read_stability(value: object, document: Document | None = None) -> tuple[Rule, ...]:
    """Reads the ``stability`` of a space file.

    ``value``: the name of a preset, or a mapping from rules to the name of a preset (also ``off``)
    or to changed thresholds. The key ``preset`` names the base, by default ``default``.
    ``document`` gives the position of each problem. Raises ``ConfigError`` with every problem.
    """
    reader = _Reader(document or Document(value))
    rules = reader.read({"preset": value} if isinstance(value, str) else value)
    if reader.problems:
        raise ConfigError(reader.problems)
    return rules


class _Reader:
    """Turns a ``stability`` value into rules and collects problems."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.problems: list[Problem] = []

    def read(self, value: object) -> tuple[Rule, ...]:
        if not isinstance(value, Mapping):
            self._report(
                (),
                f"a preset ({comma_list(PRESETS)}) or a mapping of rules belongs here, "
                f"not {value!r}",
            )
            return ()
        rules = dict(self._preset(("preset",), value.get("preset", "default")))
        for name, setting in value.items():
            if name == "preset":
                continue
            if name not in RULES:
                self._report((name,), f"unknown rule{name_hint(str(name), RULES)}")
            elif isinstance(setting, Mapping):
                rule = rules.get(name) or _by_name("default")[name]
                rules[name] = self._changed(rule, setting)
            else:
                rules.pop(name, None)
                rules |= {k: v for k, v in self._preset((name,), setting).items() if k == name}
        return tuple(rules[name] for name in RULES if name in rules)

    def _preset(self, path: KeyPath, name: object) -> Mapping[str, Rule]:
        if isinstance(name, str) and name in PRESETS:
            return _by_name(name)
        self._report(path, f"no preset {name!r}{name_hint(str(name), PRESETS)}")
        return {}

    def _changed(self, rule: Rule, thresholds: Mapping[str, Any]) -> Rule:
        known = rule.model_dump()
        try:
            return type(rule).model_validate(known | dict(thresholds))
        except ValidationError as error:
            for detail in error.errors():
                message = (
                    detail["msg"][:1].lower() + detail["msg"][1:] + f", not {detail['input']!r}"
                )
                name = detail["loc"][0]
                if name not in known:
                    message = f"unknown threshold{name_hint(str(name), known)}"
                self._report((rule.name, name), message)
            return rule

    def _report(self, path: KeyPath, message: str) -> None:
        path = ("stability", *path)
        text = f"{'.'.join(map(str, path))}: {message}"
        self.problems.append(self.document.problem(path, text))


def _by_name(preset: str) -> dict[str, Rule]:
    return {rule.name: rule for rule in PRESETS[preset]}
