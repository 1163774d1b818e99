"""Reads back what a tracker has stored, each through its own files."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Stored:
    """One run as its tracker has it."""

    config: dict[str, str] = field(default_factory=dict)
    numbers: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    """Pairs of kimg and value by name, in order."""
    pictures: int = 0
    texts: str = ""
    """The ending and its remark."""

    def add(self, name: str, kimg: float, value: float) -> None:
        self.numbers.setdefault(name, []).append((kimg, round(value, 4)))


def from_tensorboard(folder: Path) -> dict[str, Stored]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams import metadata

    found = {}
    for place in sorted(folder.glob("tensorboard/*/*")):
        sizes = {"scalars": 0, "images": 0, "tensors": 0}
        events, stored = EventAccumulator(str(place), size_guidance=sizes), Stored()
        events.Reload()
        tags = events.Tags()
        for name in tags["scalars"]:
            for one in events.Scalars(name):
                stored.add(name, one.step / 1000, one.value)
        stored.pictures = sum(len(events.Images(name)) for name in tags["images"])
        for name in tags["tensors"]:
            if name == "ending":
                stored.texts = events.Tensors(name)[0].tensor_proto.string_val[0].decode()
        content = events.SummaryMetadata(metadata.SESSION_START_INFO_TAG).plugin_data.content
        started = metadata.parse_session_start_info_plugin_data(content)
        for name, value in started.hparams.items():
            stored.config[name] = str(value.WhichOneof("kind") and getattr_of(value))
        found[f"{place.parent.name}/{place.name}"] = stored
    return found


def getattr_of(value: Any) -> Any:
    """What a value of protobuf's ``Value`` is."""
    return getattr(value, value.WhichOneof("kind"))


def from_wandb(folder: Path) -> dict[str, Stored]:
    from wandb.proto import wandb_internal_pb2

    record_of = wandb_internal_pb2.Record.FromString  # type: ignore[attr-defined]
    found: dict[str, Stored] = {}
    for file in sorted(folder.glob("wandb/offline-run-*/*.wandb")):
        name = ""
        for content in _wandb_records(file.read_bytes()):
            record = record_of(content)
            kind = record.WhichOneof("record_type")
            if kind == "run":
                name = record.run.display_name.partition("/")[2]
                stored = found.setdefault(name, Stored())
                for item in record.run.config.update:
                    stored.config.setdefault(item.key or ".".join(item.nested_key), _text(item))
            elif kind == "history":
                cells = {
                    item.key or ".".join(item.nested_key): json.loads(item.value_json)
                    for item in record.history.item
                }
                stored.pictures += any(key.startswith("samples") for key in cells)
                for key, value in cells.items():
                    if isinstance(value, int | float) and not key.startswith("_") and key != "kimg":
                        stored.add(key, cells["kimg"], value)
            elif kind == "summary":
                stored.texts += " ".join(item.value_json for item in record.summary.update)
    return found


def _text(item: Any) -> str:
    return str(json.loads(item.value_json))


def _wandb_records(content: bytes) -> Iterator[bytes]:
    """The records of a file in the format of LevelDB's logs, after W&B's header of 7 bytes."""
    block, at, parts = 32_768, 7, []
    while at + 7 <= len(content):
        if block - at % block < 7:
            at += block - at % block
            continue
        _, length, kind = struct.unpack("<IHB", content[at : at + 7])
        parts.append(content[at + 7 : at + 7 + length])
        at += 7 + length
        if kind in (1, 4):  # whole, or the last part
            yield b"".join(parts)
            parts = []


def from_mlflow(folder: Path) -> dict[str, Stored]:
    from mlflow import MlflowClient

    client, found = MlflowClient((folder / "mlruns").resolve().as_uri()), {}
    for experiment in client.search_experiments():
        for run in client.search_runs([experiment.experiment_id]):
            stored = Stored(config=dict(run.data.params))
            for name in run.data.metrics:
                for metric in client.get_metric_history(run.info.run_id, name):
                    stored.add(name, metric.step / 1000, metric.value)
            stored.pictures = len(client.list_artifacts(run.info.run_id, "samples"))
            stored.texts = f"{run.data.tags.get('ending')} {run.data.tags.get('remark')}"
            found[str(run.info.run_name)] = stored
    return found


READERS: dict[str, Callable[[Path], dict[str, Stored]]] = {
    "tensorboard": from_tensorboard,
    "wandb": from_wandb,
    "mlflow": from_mlflow,
}
