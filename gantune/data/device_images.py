"""``DeviceImages``: images as uint8 on the training device, normalised and flipped there."""

import warnings

import numpy as np
import torch
from torch import Tensor

from gantune.data.image_set import ImageSet


class DeviceImages:
    """All real images with their labels, as uint8 on the device, drawn by index.

    Where they would take more than ``memory_share`` of a CUDA device's free memory they stay in
    host memory (memory-mapped, if they are), and each batch is copied, which waits for the device
    once to read the indices. ``layout``: the order of a batch in memory.
    """

    def __init__(
        self,
        images: ImageSet,
        device: torch.device,
        *,
        flip: bool = False,
        layout: torch.memory_format = torch.contiguous_format,
        memory_share: float = 0.4,
    ) -> None:
        with warnings.catch_warnings():
            # torch warns of read-only memory maps; nothing writes to them here.
            warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
            host = torch.from_numpy(images.array)
        self.shape: tuple[int, ...] = tuple(host.shape)
        """[N, C, H, W], or [N, 2] for points."""
        self._flip = flip and not images.is_points
        self._device, self._layout = device, layout
        self.resident = (
            device.type != "cuda"
            or host.nbytes <= memory_share * torch.cuda.mem_get_info(device)[0]
        )
        """Whether the images are on the device."""
        self._data = host.to(device) if self.resident else host
        self.labels: Tensor | None = None
        """int64 [N] on the device, in range(classes); ``None`` without labels."""
        self.label_shares: Tensor | None = None
        """float32 [classes] on the device: each class's share of the images."""
        if images.labels is not None:
            labels = torch.from_numpy(images.labels.astype(np.int64))  # a copy: maps are read-only
            counts = torch.bincount(labels, minlength=images.class_count)
            self.labels = labels.to(device)
            self.label_shares = (counts / len(labels)).to(device, torch.float32)

    def __len__(self) -> int:
        return self.shape[0]

    def batch(
        self, indices: Tensor, generator: torch.Generator, part: slice = slice(None)
    ) -> Tensor:
        """Images at ``indices`` (int64 [n], on the device), [n, C, H, W] in [-1, 1], in torch's
        default dtype.

        Points are returned unchanged, [n, 2]. With ``flip`` each image is flipped left to right
        with probability 1/2, drawn by ``generator`` on the same device; without, it is not used.
        ``part``: gives only these of the n. Does not wait for the device where the images are
        resident.
        """
        mine = indices[part]
        if self.resident:
            rows = self._data.index_select(0, mine)
        else:
            rows = self._data.index_select(0, mine.cpu())
            rows = rows.pin_memory().to(self._device, non_blocking=True)
        if rows.is_floating_point():
            return rows
        if self._flip:
            draws = torch.rand(len(indices), generator=generator, device=self._device)
            is_flipped = draws[part] < 0.5
            rows = torch.where(is_flipped[:, None, None, None], rows.flip(3), rows)
        dtype = torch.get_default_dtype()
        return rows.to(dtype, memory_format=self._layout).div_(127.5).sub_(1)
