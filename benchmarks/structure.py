"""The structure of the code in figures: modules, lines, imports, and files on three paths.

Counts how much code a reader of the package sees. The static figures come from the syntax trees.
The paths are traced while a small search runs: a file is on a path if one of its functions takes or
returns the traced value, alone or inside a record, a mapping or a sequence.

- ``lr``: a learning rate, from the space file to the optimizer that gets it.
- ``fid``: a score, from its rung to ``best.yaml`` and ``report.html``.
- ``verdict``: a verdict, from the tick that it judges to the study.

The script can measure any checkout, so it can compare two commits:

    python benchmarks/structure.py
    python benchmarks/structure.py --repo path/to/other/checkout --paths
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

PACKAGES = (
    *("version", "errors", "io", "events", "config", "health", "space", "data", "gan", "scores"),
    *("run_folder", "trial", "evaluation", "tuner", "report", "cli"),
)
"""From the lowest: a package imports only from packages before it."""

_LR = (0.000123456, 0.000123457)
_TRIAL = """
  data: {source: digits, resolution: 16}
  kimg: 1
  network: {name: dcgan, width: 4}
  batch_size: 16
  tick_kimg: 0.25
  discriminator: {lr: 2e-4}
"""
_HEALTHY = f"""
study: followed
budget: {{trials: 1}}
objective: {{score: fid, samples: 200, rung_samples: 100}}
trial: {_TRIAL}
  generator: {{lr: {{choices: [{_LR[0]}, {_LR[1]}]}}}}
stability: off
pruning: {{rule: median, rungs: [50%]}}
finalists: {{top: 1, seeds: 1}}
"""
_FAILING = f"""
study: followed
budget: {{trials: 1}}
objective: {{score: fid, samples: 200, rung_samples: 100}}
trial: {_TRIAL.replace("lr: 2e-4", "lr: 8").replace("kimg: 1", "kimg: 4")}
  loss: lsgan
  generator: {{lr: {{choices: [8, 9]}}}}
finalists: {{top: 1, seeds: 1}}
"""

# Runs in every process of the search, before anything else is imported.
_FOLLOWER = """
import json, os, sys, threading
_job = json.loads(os.environ["GANTUNE_FOLLOW"])
_root, _out, _stop = _job["root"], _job["out"], _job["stop"]
_texts, _numbers, _types = set(_job["texts"]), set(_job["numbers"]), set(_job["types"])
_hidden, _seen = tuple(_job["hidden"]), set()

def _contains(value, depth=4):
    kind = type(value)
    if kind is float:
        return value in _numbers
    if kind is str:
        return value in _texts
    if kind.__name__ in _types:
        return True
    if depth == 0:
        return False
    if kind is dict:
        return any(_contains(v, depth - 1) for v in list(value.values())[:80])
    if kind in (list, tuple):
        return any(_contains(v, depth - 1) for v in value[:80])
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return any(_contains(v, depth - 1) for v in value)
    if hasattr(kind, "__dataclass_fields__") or hasattr(kind, "model_fields"):
        inside = getattr(value, "__dict__", None)
        if inside is None:
            inside = {n: getattr(value, n, None) for n in getattr(kind, "__slots__", ())}
        return any(_contains(v, depth - 1) for v in list(inside.values()))
    return False

def _profile(frame, event, arg):
    code = frame.f_code
    name = code.co_filename
    if event == "call" and _stop == "optimizer" and name.endswith("torch/optim/optimizer.py"):
        if code.co_name == "__init__":
            open(_out + ".stop", "a").close()
    if event not in ("call", "return") or not name.startswith(_root):
        return
    file = name[len(_root):]
    if file in _seen or file.startswith(_hidden):
        return
    if event == "return":
        found = _contains(arg)
    else:
        names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        held = frame.f_locals
        found = any(_contains(held.get(n)) for n in names if n not in ("self", "cls"))
    if found and not (_stop and os.path.exists(_out + ".stop")):
        _seen.add(file)
        with open(_out, "a") as out:
            out.write(file + "\\n")

threading.setprofile(_profile)
sys.setprofile(_profile)
"""


def figures(package: Path) -> dict[str, Any]:
    """The static figures of the code in a folder."""
    trees = {file: ast.parse(file.read_text()) for file in sorted(package.rglob("*.py"))}
    lines = {file: len(file.read_text().splitlines()) for file in trees}
    folders = Counter(file.parent for file in trees)
    widest, width = folders.most_common(1)[0]
    edges = _imports(package, trees)
    overhead = sum(_overhead(tree) for tree in trees.values())
    return {
        "modules": len(trees),
        "lines": sum(lines.values()),
        "median_lines": statistics.median(lines.values()),
        "overhead_percent": round(100 * overhead / sum(lines.values()), 1),
        "widest_folder": f"{widest.relative_to(package.parent)}: {width}",
        "circles": len(_circles(edges)),
        "imports_upwards": sorted(_upwards(edges)),
    }


def _overhead(tree: ast.Module) -> int:
    """Lines that are imports, ``__all__`` and the module's docstring."""

    def counts(place: int, node: ast.stmt) -> bool:
        if isinstance(node, ast.Import | ast.ImportFrom):
            return True
        if isinstance(node, ast.If):
            return "TYPE_CHECKING" in ast.unparse(node.test)
        if isinstance(node, ast.Assign):
            return ast.unparse(node.targets[0]) == "__all__"
        return place == 0 and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)

    counted = [node for place, node in enumerate(tree.body) if counts(place, node)]
    return sum((node.end_lineno or node.lineno) - node.lineno + 1 for node in counted)


def _imports(package: Path, trees: Mapping[Path, ast.Module]) -> dict[str, set[str]]:
    """Which module imports which, inside functions and for typing included."""

    def name(file: Path) -> str:
        return ".".join(file.relative_to(package.parent).with_suffix("").parts).removesuffix(
            ".__init__"
        )

    modules = {name(file): tree for file, tree in trees.items()}
    edges: dict[str, set[str]] = {module: set() for module in modules}
    for module, tree in modules.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module in modules:
                wanted = (f"{node.module}.{alias.name}" for alias in node.names)
                edges[module] |= {w if w in modules else node.module for w in wanted}
            elif isinstance(node, ast.Import):
                edges[module] |= {a.name for a in node.names if a.name in modules}
        edges[module].discard(module)
    return edges


def _circles(edges: Mapping[str, set[str]]) -> list[set[str]]:
    """The groups of modules that import each other, directly or indirectly."""
    reached: dict[str, set[str]] = {}
    for start in edges:
        seen: set[str] = set()
        waiting = [start]
        while waiting:
            new = edges[waiting.pop()] - seen
            seen |= new
            waiting += new
        reached[start] = seen
    found: list[set[str]] = []
    for module in edges:
        group = {other for other in reached[module] if module in reached[other]}
        if group and group not in found:
            found.append(group)
    return found


def _upwards(edges: Mapping[str, set[str]]) -> Iterator[str]:
    rank = {package: place for place, package in enumerate(PACKAGES)}
    for module, wanted in edges.items():
        package = module.split(".")[1] if "." in module else None
        for other in wanted:
            above = other.split(".")[1] if "." in other else None
            if package in rank and (above is None or rank.get(above, -1) > rank[package]):
                yield f"{module} -> {other}"


def follow(repo: Path, python: str) -> dict[str, list[str]]:
    """The files on each of the three paths."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "sitecustomize.py").write_text(_FOLLOWER)
        healthy, failing = home / "healthy.yaml", home / "failing.yaml"
        healthy.write_text(_HEALTHY)
        failing.write_text(_FAILING)

        _search(repo, python, home, healthy, home / "first")
        scores = sorted(_scores(home / "first"))
        _search(repo, python, home, failing, home / "second")
        verdict = json.loads((home / "second/trials/0000/verdict.json").read_text())["verdict"]

        display = ["report/", "cli/"]
        jobs: dict[str, tuple[Path, dict[str, Any]]] = {
            "lr": (healthy, {"numbers": _LR, "stop": "optimizer", "hidden": display}),
            "fid": (healthy, {"numbers": scores, "hidden": []}),
            "verdict": (
                failing,
                {"texts": list(_texts(verdict)), "types": ["Tick", "Verdict"], "hidden": display},
            ),
        }
        found = {}
        for name, (space, job) in jobs.items():
            log = home / f"{name}.txt"
            blank = {"texts": [], "numbers": [], "types": [], "stop": "", "out": str(log)}
            job = {**blank, **job, "root": f"{repo / 'gantune'}{os.sep}"}
            _search(repo, python, home, space, home / name, job)
            found[name] = sorted(set(log.read_text().split()))
        return found


def _search(
    repo: Path,
    python: str,
    home: Path,
    space: Path,
    out: Path,
    job: Mapping[str, Any] | None = None,
) -> None:
    paths = [*([str(home)] if job else []), str(repo)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    if job:
        environment["GANTUNE_FOLLOW"] = json.dumps(job)
    command = [python, "-m", "gantune", "search", str(space), "--out", str(out), "--workers", "1"]
    subprocess.run(command, env=environment, cwd=home, check=True, stdout=subprocess.DEVNULL)


def _scores(run: Path) -> Iterator[float]:
    """Every value that a score had in a run, rungs and full scores."""
    for file in (*run.rglob("scores.jsonl"), *run.rglob("verdict.json")):
        for line in (
            file.read_text().splitlines() if file.suffix == ".jsonl" else [file.read_text()]
        ):
            record = json.loads(line)
            for part in (record, record.get("score") or {}):
                if isinstance(part.get("value"), float):
                    yield part["value"]


def _texts(verdict: Any) -> Iterator[str]:
    """The long texts of a verdict: its sentence."""
    values = verdict.values() if isinstance(verdict, dict) else [verdict]
    yield from (value for value in values if isinstance(value, str) and len(value) > 20)


def main() -> None:
    """Prints the figures of a checkout as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repo", type=Path, default=Path(__file__).resolve().parents[1])
    parser.add_argument(
        "--python", default=sys.executable, help="with the dependencies of the checkout"
    )
    parser.add_argument("--paths", action="store_true", help="also trace the three values")
    parser.add_argument("--files", action="store_true", help="name the files on the paths")
    options = parser.parse_args()
    repo = options.repo.resolve()
    result = figures(repo / "gantune")
    if options.paths:
        paths = follow(repo, options.python)
        result["files_opened"] = paths if options.files else {k: len(v) for k, v in paths.items()}
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
