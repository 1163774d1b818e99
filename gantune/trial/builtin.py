"""gantune's own trainer under a session: ``train(config, session)``; and the ranks beside it."""

from dataclasses import asdict

import torch

from gantune.config import RESOLUTIONS, TrialConfig
from gantune.gan.checkpoint import checksum, load_checkpoint
from gantune.gan.ranks import ALONE, Ranks
from gantune.gan.trainer import Trainer
from gantune.gan.weights import Weights
from gantune.scores import RealImages
from gantune.trial.checkpoints import StateDictStore
from gantune.trial.records import Heartbeat
from gantune.trial.scoring import load_real_images
from gantune.trial.session import Session


def train(
    config: TrialConfig,
    session: Session,
    *,
    real: RealImages,
    start: Weights | None = None,
    ranks: Ranks = ALONE,
) -> None:
    """Trains on ``real`` until the budget or the session ends it.

    ``start``: another run's weights to start from; a resumed run has them behind it. Of several
    ``ranks`` this is the first; the others ``follow``. Raises ``CheckpointError`` where the weights
    are of other networks.
    """
    trainer = Trainer(config, real.learned, session.device, real.held_out, ranks)
    trainer.on_batch = session.heartbeat
    trainer.not_replayed.wait = session.scorer.wait
    store = StateDictStore(session.folder, trainer)
    resumed = session.start(store, store.position)
    ranks.share((config, start, session.folder.last if resumed else None))
    if not resumed:
        if start is not None:
            trainer.start_from(start)
        weights = trainer.generator_ema.state_dict()
        network = config.network.model_dump(mode="json")
        session.score_start(trainer.sample, checksum({"network": network, "weights": weights}))
    ticks = iter(trainer)
    while ranks.share(not session.should_stop) and (tick := next(ticks, None)) is not None:
        session.take_score()
        if session.should_stop:
            continue
        session.record(asdict(tick))
        if session.should_score:
            frozen = trainer.frozen_sampler if trainer.recorded_phases else None
            session.score_samples(trainer.sample, frozen)


def follow(device: torch.device, ranks: Ranks, heartbeat: Heartbeat) -> None:
    """Trains what the first rank trains, as long as that says so, and writes nothing."""
    config, start, last = ranks.share()
    pixels = RESOLUTIONS[config.network.name]
    real = load_real_images(config.data, pixels, progress=lambda *_: heartbeat())
    trainer = Trainer(config, real.learned, device, real.held_out, ranks)
    trainer.on_batch = heartbeat
    if last is not None:
        trainer.load_state_dict(load_checkpoint(last, device).trainer)
    elif start is not None:
        trainer.start_from(start)
    ticks = iter(trainer)
    while ranks.share() and next(ticks, None) is not None:
        pass
