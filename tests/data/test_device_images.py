from __future__ import annotations

import numpy as np
import pytest
import torch

from gantune.data import ImageSet
from gantune.data.device_images import DeviceImages
from tests.data.making import load, noise

CPU = torch.device("cpu")


def generator(seed: int = 0, device: torch.device = CPU) -> torch.Generator:
    return torch.Generator(device).manual_seed(seed)


def test_batches_are_floats_between_minus_1_and_1() -> None:
    array = np.array([0, 51, 255], np.uint8)[:, None, None, None].repeat(4, 2).repeat(4, 3)
    images = DeviceImages(ImageSet(array, "a", "b"), CPU)
    batch = images.batch(torch.tensor([2, 0, 1, 1]), generator())
    assert batch.dtype == torch.float32
    assert batch.shape == (4, 1, 4, 4)
    assert batch[:, 0, 0, 0].tolist() == pytest.approx([1, -1, -0.6, -0.6])
    assert (len(images), images.shape) == (3, (3, 1, 4, 4))
    assert images.resident


def test_a_read_only_memory_map_warns_of_nothing_and_stays_whole() -> None:
    images = load("digits")
    before = images.array.copy()
    batch = DeviceImages(images, CPU, flip=True).batch(torch.arange(64), generator())
    batch.zero_()
    assert np.array_equal(images.array, before)


def test_flips_are_of_each_image_apart_and_half_of_them() -> None:
    array = noise(400, 3, 4, 4)
    images = DeviceImages(ImageSet(array, "a", "b"), CPU, flip=True)
    batch = images.batch(torch.arange(400), generator())
    plain = torch.from_numpy(array).float() / 127.5 - 1
    same = torch.isclose(batch, plain).flatten(1).all(1)
    mirrored = torch.isclose(batch, plain.flip(3)).flatten(1).all(1)
    assert (same ^ mirrored).all()
    assert 160 < int(mirrored.sum()) < 240
    assert torch.equal(batch, images.batch(torch.arange(400), generator()))
    assert not torch.equal(batch, images.batch(torch.arange(400), generator(1)))


def test_a_batch_lies_in_memory_as_asked_for() -> None:
    images = ImageSet(noise(5, 3, 4, 4), "a", "b")
    for layout in (torch.contiguous_format, torch.channels_last):
        batch = DeviceImages(images, CPU, flip=True, layout=layout).batch(
            torch.tensor([4, 1, 1]), generator()
        )
        assert batch.is_contiguous(memory_format=layout)
        plain = DeviceImages(images, CPU, flip=True).batch(torch.tensor([4, 1, 1]), generator())
        assert torch.equal(batch, plain)


def test_without_flips_no_random_numbers_are_drawn() -> None:
    drawn = generator()
    DeviceImages(load("digits"), CPU).batch(torch.arange(4), drawn)
    assert torch.equal(drawn.get_state(), generator().get_state())


def test_points_come_as_they_are() -> None:
    points = load("gaussians:ring")
    images = DeviceImages(points, CPU, flip=True)
    batch = images.batch(torch.tensor([5, 3]), generator())
    assert np.array_equal(batch.numpy(), points.array[[5, 3]])
    assert images.shape == (10_000, 2)


def test_labels_and_their_shares_are_on_the_device() -> None:
    labels = np.array([2, 0, 2, 2], np.int64)
    labels.setflags(write=False)  # as of a memory map
    images = DeviceImages(ImageSet(noise(4, 1, 4, 4), "a", "b", labels, ("x", "y", "z")), CPU)
    assert images.labels is not None and images.label_shares is not None
    assert images.labels.dtype == torch.int64
    assert images.labels.tolist() == [2, 0, 2, 2]
    assert images.label_shares.dtype == torch.float32
    assert images.label_shares.tolist() == [0.25, 0.0, 0.75]


def test_without_labels_there_are_no_shares() -> None:
    images = DeviceImages(ImageSet(noise(4, 1, 4, 4), "a", "b"), CPU)
    assert images.labels is None and images.label_shares is None


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("memory_share", [0.4, 0.0])
def test_on_a_gpu_resident_or_not_batches_are_the_same(memory_share: float) -> None:
    cuda = torch.device("cuda")
    array = noise(100, 3, 8, 8)
    labelled = ImageSet(array, "a", "b", np.arange(100) % 2, ("even", "odd"))
    images = DeviceImages(labelled, cuda, flip=True, memory_share=memory_share)
    assert images.resident == (memory_share > 0)
    indices = torch.arange(99, -1, -1, device=cuda)
    batch = images.batch(indices, generator(device=cuda))
    assert images.labels is not None and images.labels.device.type == "cuda"
    whole = DeviceImages(ImageSet(array, "a", "b"), cuda, flip=True)
    assert torch.equal(batch, whole.batch(indices, generator(device=cuda)))
