"""gantune's own trainer under a session: ``train(config, session)``."""

from dataclasses import asdict

from gantune.config import TrialConfig
from gantune.gan.trainer import Trainer
from gantune.gan.weights import Weights
from gantune.scores import RealImages
from gantune.trial.checkpoints import StateDictStore
from gantune.trial.session import Session


def train(
    config: TrialConfig, session: Session, *, real: RealImages, start: Weights | None = None
) -> None:
    """Trains on ``real`` until the budget or the session ends it.

    ``start``: another run's weights to start from; a resumed run has them behind it. Raises
    ``CheckpointError`` where they are of other networks.
    """
    trainer = Trainer(config, real.learned, session.device, real.held_out)
    trainer.on_batch = session.heartbeat
    store = StateDictStore(session.folder, trainer)
    if not session.start(store, store.position):
        if start is not None:
            trainer.start_from(start)
        session.score_start(trainer.sample)
    for tick in () if session.should_stop else trainer:
        session.record(asdict(tick))
        if session.should_score:
            session.score_samples(trainer.sample)
        if session.should_stop:
            break
