"""Your own GAN trainer: `gantune search own_trainer` calls it. Copy it and change it."""

from __future__ import annotations

from typing import Any

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn.functional import relu, softplus


def train(config: dict[str, Any], session: Any) -> None:
    device, generator, critic = session.device, *make_networks(config)
    generator.to(device)
    critic.to(device)
    g_adam = torch.optim.Adam(generator.parameters(), lr=config["lr"], betas=(0.5, 0.99))
    d_adam = torch.optim.Adam(critic.parameters(), lr=config["critic"]["lr"], betas=(0.5, 0.99))
    parts = {"generator": generator, "critic": critic, "g_adam": g_adam, "d_adam": d_adam}
    saved = session.checkpoint_dir / "last.pt"
    if saved.exists():  # after a crash or a kill: saved at the last rung
        for name, state in torch.load(saved).items():
            parts[name].load_state_dict(state)

    digits = torch.tensor(load_digits().images / 8 - 1, dtype=torch.float32).unsqueeze(1).to(device)
    batch, latent = config["batch"], config["latent"]
    order = torch.Generator().manual_seed(config["seed"] + round(1000 * session.kimg))
    kimg, step = session.kimg, 0

    def draw(count: int) -> Tensor:
        """Images [count, 1, 8, 8] in [-1, 1], which gantune scores."""
        return generator(torch.randn(count, latent, device=device))

    while not session.should_stop:
        real = digits[torch.randint(len(digits), (batch,), generator=order).to(device)]
        d_loss = critic_loss(critic(real), critic(draw(batch).detach()), config["loss"])
        d_adam.zero_grad()
        d_loss.backward()
        d_adam.step()

        fake = draw(batch)
        out = critic(fake)
        g_loss = -out.mean() if config["loss"] == "hinge" else softplus(-out).mean()
        g_adam.zero_grad()
        g_loss.backward()
        g_adam.step()

        step, kimg = step + 1, kimg + batch / 1000
        if step % 20 == 0:
            spread = fake.std(dim=0).mean() / digits.std(dim=0).mean()
            session.report(kimg=kimg, step=step, d_loss=d_loss, g_loss=g_loss, spread=spread)
            if session.should_score:
                torch.save({name: part.state_dict() for name, part in parts.items()}, saved)
                session.score(images=draw, value_range=(-1, 1))


def make_networks(config: dict[str, Any]) -> tuple[nn.Module, nn.Module]:
    """Two small networks: from latents to images [N, 1, 8, 8], from images to one number each."""
    width, latent, drop = config["width"], config["latent"], config["critic"]["dropout"]
    generator = nn.Sequential(
        *(nn.Linear(latent, width), nn.BatchNorm1d(width), nn.ReLU()),
        *(nn.Linear(width, width), nn.BatchNorm1d(width), nn.ReLU()),
        *(nn.Linear(width, 64), nn.Tanh(), nn.Unflatten(1, (1, 8, 8))),
    )
    critic = nn.Sequential(
        *(nn.Flatten(), nn.Linear(64, width), nn.LeakyReLU(0.2), nn.Dropout(drop)),
        *(nn.Linear(width, width), nn.LeakyReLU(0.2), nn.Dropout(drop), nn.Linear(width, 1)),
    )
    return generator, critic


def critic_loss(real: Tensor, fake: Tensor, loss: str) -> Tensor:
    """The critic's loss on real and on generated images."""
    if loss == "hinge":
        return relu(1 - real).mean() + relu(1 + fake).mean()
    return softplus(-real).mean() + softplus(fake).mean()
