"""Writes a generator's weights for other programs, as safetensors."""

from pathlib import Path

from gantune.config import dump_config
from gantune.errors import RunError
from gantune.gan.checkpoint import load_weights


def write_safetensors(checkpoint: Path, file: Path) -> None:
    """Writes the average generator of a checkpoint: its tensors by their names in the state dict,
    and its config as YAML in the metadata ``config``.

    Raises ``RunError`` without the library, ``CheckpointError`` and ``OSError``.
    """
    try:
        from safetensors.torch import save_file
    except ImportError:
        raise RunError(
            "safetensors needs its library: pip install 'gantune[safetensors]'"
        ) from None
    weights = load_weights(checkpoint)
    tensors = {name: value.contiguous() for name, value in weights.generator_ema.items()}
    about = {"format": "pt", "config": dump_config(weights.config), "kimg": f"{weights.kimg:g}"}
    file.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, str(file), metadata=about)
