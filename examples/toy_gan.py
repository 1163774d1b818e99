"""A small GAN of points on a ring, for the trainers beside this file. It needs only torch."""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import relu, softplus


def real_points(count: int) -> Tensor:
    """Points [count, 2] of eight normal distributions on a circle."""
    angle = torch.randint(8, (count,)) * (math.pi / 4)
    return torch.stack([angle.cos(), angle.sin()], dim=1) + 0.05 * torch.randn(count, 2)


class ToyGAN:
    """Two networks, their optimizers and one training step."""

    def __init__(self, g_lr: float, d_lr: float, loss: str) -> None:
        self.generator = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 2))
        self.discriminator = nn.Sequential(nn.Linear(2, 64), nn.LeakyReLU(0.2), nn.Linear(64, 1))
        self.g_adam = torch.optim.Adam(self.generator.parameters(), lr=g_lr, betas=(0.5, 0.99))
        self.d_adam = torch.optim.Adam(self.discriminator.parameters(), lr=d_lr, betas=(0.5, 0.99))
        self.loss = loss

    def step(self, batch: int) -> tuple[float, float]:
        """Trains both players once; the discriminator's and the generator's loss."""
        real, fake = self.discriminator(real_points(batch)), self.discriminator(self.sample(batch))
        if self.loss == "hinge":
            d_loss = relu(1 - real).mean() + relu(1 + fake).mean()
        else:
            d_loss = softplus(-real).mean() + softplus(fake).mean()
        self.d_adam.zero_grad()
        d_loss.backward()
        self.d_adam.step()
        out = self.discriminator(self.generator(torch.randn(batch, 8)))
        g_loss = -out.mean() if self.loss == "hinge" else softplus(-out).mean()
        self.g_adam.zero_grad()
        g_loss.backward()
        self.g_adam.step()
        return d_loss.item(), g_loss.item()

    @torch.no_grad()
    def sample(self, count: int) -> Tensor:
        """Points [count, 2] of the generator."""
        points: Tensor = self.generator(torch.randn(count, 8))
        return points

    def distance(self) -> float:
        """Energy distance between 1,000 samples and 1,000 real points; lower is better."""
        fake, real = self.sample(1000), real_points(1000)
        between = 2 * torch.cdist(fake, real).mean()
        return float(between - torch.cdist(fake, fake).mean() - torch.cdist(real, real).mean())

    def state(self) -> dict:
        """All that a checkpoint needs."""
        parts = (self.generator, self.discriminator, self.g_adam, self.d_adam)
        return {str(number): part.state_dict() for number, part in enumerate(parts)}

    def load(self, state: dict) -> None:
        """Continues from a checkpoint."""
        for number, part in enumerate(
            (self.generator, self.discriminator, self.g_adam, self.d_adam)
        ):
            part.load_state_dict(state[str(number)])
