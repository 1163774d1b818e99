"""TensorBoard: event files in ``tensorboard/`` in the run folder, one folder for each run."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from PIL import Image
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.compat.proto.types_pb2 import DT_STRING
from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from gantune.tracking.tracker import TrackedRun, Tracker

_STATUS = {"completed": api_pb2.STATUS_SUCCESS, "pruned": api_pb2.STATUS_SUCCESS}


class TensorBoardTracker(Tracker):
    """Steps are real images, so that a kimg is 1,000 steps. The settings are on the tab HPARAMS."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._writers: dict[str, EventFileWriter] = {}

    @property
    def place(self) -> str:
        return f"tensorboard --logdir {self.folder / 'tensorboard'}"

    def open(self, run: TrackedRun) -> None:
        if run.name in self._writers:
            return
        folder = self.folder / "tensorboard" / run.name
        is_new = not folder.exists()
        self._writers[run.name] = EventFileWriter(str(folder))
        if is_new:
            started = plugin_data_pb2.SessionStartInfo(
                group_name=run.study, start_time_secs=time.time()
            )
            for name, value in run.config.items():
                hparam = started.hparams[name]
                if isinstance(value, bool):
                    hparam.bool_value = value
                elif isinstance(value, int | float):
                    hparam.number_value = value
                else:
                    hparam.string_value = str(value)
            content = plugin_data_pb2.HParamsPluginData(session_start_info=started)
            self._add_session(run, metadata.SESSION_START_INFO_TAG, content)

    def log(self, run: TrackedRun, kimg: float, numbers: Mapping[str, float]) -> None:
        values = [Summary.Value(tag=name, simple_value=value) for name, value in numbers.items()]
        self._add(run, kimg, values)

    def log_image(self, run: TrackedRun, kimg: float, name: str, picture: Path) -> None:
        with Image.open(picture) as opened:
            width, height = opened.size
        image = Summary.Image(
            height=height, width=width, colorspace=3, encoded_image_string=picture.read_bytes()
        )
        self._add(run, kimg, [Summary.Value(tag=name, image=image)])

    def end(self, run: TrackedRun, ending: str, numbers: Mapping[str, float], remark: str) -> None:
        kimg = numbers.get("kimg", 0.0)
        final = {f"final/{name}": value for name, value in numbers.items() if name != "kimg"}
        self.log(run, kimg, final)
        self._add_text(run, kimg, "ending", f"{ending}: {remark}" if remark else ending)
        status = _STATUS.get(ending, api_pb2.STATUS_FAILURE)
        ended = plugin_data_pb2.SessionEndInfo(status=status, end_time_secs=time.time())
        content = plugin_data_pb2.HParamsPluginData(session_end_info=ended)
        self._add_session(run, metadata.SESSION_END_INFO_TAG, content)
        self._writers.pop(run.name).close()

    def close(self) -> None:
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()

    def _add(self, run: TrackedRun, kimg: float, values: list[Summary.Value]) -> None:
        event = Event(step=round(1000 * kimg), wall_time=time.time(), summary=Summary(value=values))
        writer = self._writers[run.name]
        writer.add_event(event)
        writer.flush()

    def _add_text(self, run: TrackedRun, kimg: float, name: str, text: str) -> None:
        plugin = SummaryMetadata.PluginData(plugin_name="text")
        shape = TensorShapeProto(dim=[TensorShapeProto.Dim(size=1)])
        tensor = TensorProto(dtype=DT_STRING, string_val=[text.encode()], tensor_shape=shape)
        about = SummaryMetadata(plugin_data=plugin)
        self._add(run, kimg, [Summary.Value(tag=name, metadata=about, tensor=tensor)])

    def _add_session(
        self, run: TrackedRun, tag: str, content: plugin_data_pb2.HParamsPluginData
    ) -> None:
        about = metadata.create_summary_metadata(content)
        self._add(run, 0.0, [Summary.Value(tag=tag, metadata=about, tensor=metadata.NULL_TENSOR)])


make = TensorBoardTracker
