"""Before and after a search: the plan of ``--dry-run``, the closing screen, and all the rest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from shlex import join, quote
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.text import Text

from gantune.config import AnyConfig, Command, ExternalConfig, dump_config
from gantune.config.command import SETTINGS_FILES
from gantune.io.formatting import (
    approximate_duration,
    count,
    duration,
    format_value,
    number,
    share,
)
from gantune.report import tables
from gantune.report.analysis.spending import saved_by, scoring_share
from gantune.report.findings import cure, cures, why_no_score
from gantune.report.next_search import Suggestion, suggestions
from gantune.report.terminal.tables import (
    TableView,
    finals_view,
    leaderboard_view,
    new_table,
    outcome_counts_line,
)
from gantune.report.wording import left_over
from gantune.run_folder.info import DataInfo
from gantune.run_folder.run import RunFolder
from gantune.scores.text import extra_metrics_text, held_out_text, score_text
from gantune.tuner.answer import Answer, answer
from gantune.tuner.descriptions import further_lines, margin_lines, ranked_text, score_name
from gantune.tuner.state import RunState

if TYPE_CHECKING:
    from gantune.space import SearchSpace
    from gantune.tuner.prepare import Cost, Search

_MOST_CLASSES = 30  # in a table
_MOST_LINES = 15  # of the closing screen
_MOST_ROWS = 5  # of its table
_AROUND_ROWS = 3  # lines of a table beside its rows: title, headings and a rule
_SHORT_KIMG = 1000.0  # a training below it still depends on the number of updates


def print_summary(console: Console, state: RunState, *, interrupted: bool = False) -> None:
    """Prints the closing screen: the answer, the best trials, and the next command to type.

    It has at most 15 lines; ``print_everything`` has the rest. ``interrupted``: the user stopped
    the search, which can be resumed.
    """
    first = answer(state)
    head: list[RenderableType] = [Text(first.text, _style(state, first))]
    head += [] if state.survivors else map(Text, why_no_score(state))
    head += map(Text, further_lines(state.ranking) if state.winner is not None else ())
    tail: list[RenderableType] = [
        _counts_line(state),
        *_next_steps(state, interrupted, suggestions(state)),
    ]
    table = _closing_table(state)
    blocks: list[list[RenderableType]] = [head, tail]
    room = _MOST_LINES - _height(console, [*head, *tail])
    if table.rows:
        rows = max(min(room - _AROUND_ROWS, _MOST_ROWS, len(table.rows)), 1)
        shown = _with_start(table.rows, rows)
        title = Text(table.title, "dim", no_wrap=True, overflow="ellipsis")
        # In a group, as the console joins texts and forgets their own settings.
        view: list[RenderableType] = [Group(title), TableView(replace(table, rows=tuple(shown)))]
        room -= _AROUND_ROWS + len(shown)
        blocks.insert(1, view)
    for index, block in enumerate(blocks):
        if room > 0 and index:
            console.print()
            room -= 1
        for part in block:
            console.print(part, soft_wrap=isinstance(part, _Unbroken))


def print_everything(console: Console, state: RunState, *, interrupted: bool = False) -> None:
    """Prints data, leaderboard, finals, winner, stopped trials, remarks, suggestions and files."""
    print_data(console, state.folder)
    first = answer(state)
    console.print()
    console.print(Text(first.text, _style(state, first)))
    console.print(_counts_line(state))
    found = suggestions(state)
    for block in (_ranking(state), _stopping(state), _remarks(state), _try_next(found)):
        parts = list(block)
        if parts:
            console.print()
        for part in parts:
            console.print(part)
    console.print()
    for line in (*_files(state), *_next_steps(state, interrupted, found)):
        console.print(line, soft_wrap=True)


class _Unbroken(Text):
    """A line that the console never breaks, so that it can be copied."""


def _style(state: RunState, first: Answer) -> str:
    if first.is_success:
        return "bold green"
    is_failure = state.best is None and not state.paused and bool(state.outcome_counts)
    return "bold red" if is_failure else "bold yellow"


def _height(console: Console, parts: Sequence[RenderableType]) -> int:
    """Lines that the parts take."""
    return sum(
        1 if isinstance(part, _Unbroken) else len(console.render_lines(part, pad=False))
        for part in parts
    )


def _counts_line(state: RunState) -> Text:
    """``dcgan: 60 trials and 9 finals in 7m 06s: 8 completed, 52 pruned by rank``."""
    finals = sum(record.outcome is not None for record in state.finalists)
    runs = count(state.outcome_counts.total(), "trial")
    runs += f" and {count(finals, 'final')}" if finals else ""
    line = Text.assemble(
        f"{state.study}: {runs} in {duration(state.seconds)}: ", outcome_counts_line(state)
    )
    saved = saved_by(state)
    if saved.kimg:
        line.append(f"; early stops saved {share(saved.share)}")
    return line


def _closing_table(state: RunState) -> tables.Table:
    """The finals, or else the best trials, without columns that say nothing."""
    if state.ranking:
        table, keys = tables.finals(state), ("rank", "trial", "mean", "recall", "coverage")
    else:
        table = tables.leaderboard(state, most_pruned=0)
        keys = ("rank", "trial", "score", "recall", "coverage")
    if not table.rows:
        return table
    said = [key for key in keys if any(c.text != tables.NONE for c in table.column(key))]
    return table.select(*said)


def _with_start(rows: Sequence[tables.Row], most: int) -> list[tables.Row]:
    """The first rows, and the start recipe's where it is further down."""
    shown = list(rows[:most])
    starts = [row for row in rows[most:] if any(cell.suffix == "start" for cell in row.cells)]
    return [*shown[: most - 1], starts[0]] if starts and most > 1 else shown


def print_found(console: Console, folder: RunFolder) -> DataInfo | None:
    """Prints what the run learns, where it learns images."""
    data = folder.read_info().data if folder.info.exists() else None
    if data is not None:
        console.print(Text(data.found))
    return data


def print_data(console: Console, folder: RunFolder) -> None:
    """Prints what the run learns, and its classes by number, as ``gantune sample --class`` does."""
    data = print_found(console, folder)
    if data is None or not data.classes:
        return
    table = new_table()
    for heading, side in (("class", "right"), ("name", "left"), ("images", "right")):
        table.add_column(heading, justify="right" if side == "right" else "left")
    for index, (name, size) in enumerate(data.classes.items()):
        if index == _MOST_CLASSES:
            table.add_row("...", f"{len(data.classes) - index:,} more", "")
            break
        table.add_row(str(index), Text(name), f"{size:,}")
    console.print(table)


def _ranking(state: RunState) -> Iterator[RenderableType]:
    if not state.survivors:
        yield from map(Text, why_no_score(state))
        return
    yield leaderboard_view(state)
    yield Text()
    if state.ranking:
        yield finals_view(state)
        yield Text()
    best, winner = state.survivors[0], state.winner
    assert best.score is not None
    if winner is None:
        beside = extra_metrics_text(best.score.recall, best.score.coverage)
        yield Text(f"Trial {best.number}: {score_text(best.score)}, one seed; {beside}", "bold")
    else:
        beside = extra_metrics_text(winner.recall, winner.coverage)
        text = f"Trial {winner.origin}: {score_name(state)} {ranked_text(winner)}; {beside}"
        yield Text(text, "bold")
    held_out = best.score.held_out if winner is None else winner.held_out
    if held_out is not None:
        yield Text(held_out_text(score_name(state), held_out))
    yield from (Text(f"margin: {line}, on one seed") for line in margin_lines(state))
    if winner is not None:
        yield from map(Text, further_lines(state.ranking))
    if winner is not None and best.number != winner.origin:
        yield Text(
            f"Trial {best.number} has the best score of the search ({format_value(best.value)}, "
            "one seed), so Optuna calls it the best trial; over fresh seeds it is not."
        )


def _stopping(state: RunState) -> Iterator[RenderableType]:
    table = tables.spending(state)
    if table.rows:
        yield TableView(table)
        saved = saved_by(state)
        if saved.kimg:
            yield Text(str(saved))
    for one in cures(state):
        yield Text(f"against {one.rule}, for trial {one.trial}: {one.proposals[0]}")


def _remarks(state: RunState) -> Iterator[Text]:
    scoring = scoring_share(state)
    if scoring is not None and state.outcome_counts:  # earlier it says nothing about the search
        yield Text(str(scoring))
    sizes = {r.params["batch_size"] for r in state.trials if "batch_size" in r.params}
    is_short = any(record.budget_kimg < _SHORT_KIMG for record in state.trials)
    if len(sizes) < 2 or not is_short:
        return
    ended = [record.outcome for record in state.survivors if record.outcome is not None]
    steps = {outcome.step for outcome in ended if outcome.ending == "completed"}
    here = f" (here {min(steps):,} to {max(steps):,} generator steps)" if len(steps) > 1 else ""
    yield Text(
        "A budget in kimg fixes the number of images, not of updates: in a short search small "
        f"batches get more updates{here}, which favours them. Finalists that train longer "
        "(finalists: {kimg: 4x} in the space) show whether a winner lasts."
    )


def _files(state: RunState) -> Iterator[Text]:
    """Files to look at."""
    folder = state.folder
    training = state.best_training
    if state.best is None or training is None:
        yield _named("files", str(folder.path))
        return
    home, saved = folder.trial(state.best.name), folder.trial(training.name).external_best
    yield _named("config", str(folder.best))
    if saved.exists():
        yield _named("saved", f"{saved}, what the trainer wrote")
    if home.path.exists() and (home.grids() or not home.external_best.exists()):
        yield _named("samples", f"{home.path}/samples-*.png")
    if home.neighbours.exists():
        yield _named("neighbours", str(home.neighbours))
    yield _named("trials", str(folder.table))


def _next_steps(state: RunState, interrupted: bool, found: Sequence[Suggestion]) -> Iterator[Text]:
    """The report, and commands to type. ``found``: what to try next."""
    folder = state.folder
    if folder.report.exists():
        yield _named("report", f"{folder.report}, to open in a browser")
    training = state.best_training
    if training is not None:
        yield _named("train it", f"gantune train {quote(str(folder.best))}", "bold cyan")
        checkpoint = folder.trial(training.name).best
        if checkpoint.exists():
            sample = f"gantune sample {quote(str(checkpoint))} -n 64 -o grid.png"
            yield _named("sample it", sample, "bold cyan")
    elif (what := cure(state)) is not None and what.command:
        more = ", ..." if len(what.proposals) > 1 else ""
        yield _named(
            "cure it", what.command, "bold cyan", f"{what.rule}: {what.proposals[0]}{more}"
        )
    yield _named("all of it", f"gantune status {quote(str(folder.path))} --all")
    if found:
        more = f"; {count(len(found) - 1, 'more suggestion')}" if len(found) > 1 else ""
        command = f"gantune next {quote(str(folder.path))} -o next.yaml"
        yield _named("next", command, "bold cyan", f"{found[0].what}{more}")
    if interrupted:
        left = f"; it was stopped with {left_over(state)}" if state.paused else ""
        text = f"run the same command again; no finished trial is lost{left}"
        yield _named("resume", text)


def _try_next(found: Sequence[Suggestion]) -> Iterator[Text]:
    """What to try next, and why."""
    if found:
        yield Text("Try next", "bold")
    for one in found:
        yield Text(f"- {one}.")


def _named(name: str, text: str, style: str = "", comment: str = "") -> Text:
    line = _Unbroken.assemble((f"{name:<11}", "dim"), (text, style))
    return line.append(f"  # {comment}", "dim") if comment else line


def _example(command: Command, config: AnyConfig) -> str:
    """The command line of a config, with words in place of the files of its run."""
    assert isinstance(config, ExternalConfig)
    words = {"folder": "FOLDER", "device": "DEVICE"}
    words |= {name: name.upper() for name in SETTINGS_FILES}
    return join(command.command_line(config.values, words, resumes=False))


def print_plan(console: Console, search: Search) -> None:
    """Prints the first trial's whole config as YAML, then the estimated cost as comments.

    The output is itself a config that can be trained. An unknown speed is measured by training for
    about two seconds; an external trainer is not called, so its cost stays unknown.
    """
    from gantune.tuner.prepare import estimate_cost

    console.print(Text(dump_config(search.config)), soft_wrap=True, end="")
    placement, cost = search.placement, estimate_cost(search)
    devices = ", ".join(dict.fromkeys(placement.devices))
    threads = count(placement.threads, "thread")
    trainer = search.space.own_trainer
    lines = [
        *([f"starts: {_example(trainer, search.config)}"] if isinstance(trainer, Command) else []),
        *([] if search.real is None else [f"data: {search.real.found}"]),
        f"run folder: {search.folder.path}",
        f"workers: {len(placement.devices)} on {devices}, {threads} each",
        *(f"measured, without scoring: {sentence}" for sentence in placement.measured),
    ]
    if search.ray is not None and search.workers == "auto":
        lines[-1] = "workers: as many as fit into the Ray cluster; the cost is for one"
    if cost is None:
        lines.append("cost: unknown, as the trainer is your own and was not run")
    else:
        lines.append(f"speed: about {number(cost.images_per_second)} images/s in all")
        lines += _cost_lines(search.space, cost)
    for line in lines:
        console.print(Text(f"# {line}", "dim"), soft_wrap=True)


def _cost_lines(space: SearchSpace, cost: Cost) -> list[str]:
    """What a search trains, how long that takes, and what may end it before."""
    budget, lines = space.budget, []
    if cost.kimg is not None and cost.seconds is not None:
        trials = "as many trials as fit" if budget.trials is None else count(budget.trials, "trial")
        finals = " and the finals" if space.finalists.top else ""
        most, why = "at most", " if nothing is stopped early"
        if space.pruning.pauses:
            most, kept = "about", "the best and the exempt" if space.pruning.exempt else "the best"
            why = f", as {space.pruning.rule} pauses all but {kept} at each rung"
        what = f"{most} {number(cost.kimg)} kimg for {trials}{finals}"
        lines.append(f"cost: {what}, {approximate_duration(cost.seconds)} of training{why}")
    if budget.time is not None and (cost.seconds is None or cost.seconds > budget.time):
        lines.append(f"it ends after {duration(budget.time)} (budget.time), finals included")
    if budget.patience is not None:
        trials = count(budget.patience, "trial")
        lines.append(f"it ends after {trials} without a better score (budget.patience)")
    return lines
