"""A trainer in the style of pix2pix: counts epochs, writes `loss_log.txt` and folders of images.

It learns to complete handwritten digits of which only the upper half is seen.
"""

import argparse
import time
from pathlib import Path

import torch
from PIL import Image
from sklearn.datasets import load_digits
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits as bce

parser = argparse.ArgumentParser()
parser.add_argument("--checkpoints_dir", type=Path, required=True)
parser.add_argument("--name", default="digits")
parser.add_argument("--n_epochs", type=int, default=10)
parser.add_argument("--lr", type=float, default=2e-4)
parser.add_argument("--lambda_L1", type=float, default=100.0)
parser.add_argument("--continue_train", action="store_true")
parser.add_argument("--epoch_count", type=int, default=1)
options = parser.parse_args()

folder = options.checkpoints_dir / options.name
folder.mkdir(parents=True, exist_ok=True)
target = torch.tensor(load_digits().images / 8 - 1, dtype=torch.float32).flatten(1)
given = target.clone()
given[:, 32:] = 0
G = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Dropout(0.2), nn.Linear(128, 64), nn.Tanh())
D = nn.Sequential(nn.Linear(128, 128), nn.LeakyReLU(0.2), nn.Linear(128, 1))
if options.continue_train:
    G.load_state_dict(torch.load(folder / "latest_net_G.pth"))
    D.load_state_dict(torch.load(folder / "latest_net_D.pth"))
g_adam = torch.optim.Adam(G.parameters(), lr=options.lr, betas=(0.5, 0.999))
d_adam = torch.optim.Adam(D.parameters(), lr=options.lr, betas=(0.5, 0.999))
for epoch in range(options.epoch_count, options.n_epochs + 1):
    start = time.time()
    for batch in torch.randperm(len(target)).split(64):
        real, fake = torch.cat([given[batch], target[batch]], 1), G(given[batch])
        pair = torch.cat([given[batch], fake], 1)
        real_out, fake_out = D(real), D(pair.detach())
        D_real = bce(real_out, torch.ones_like(real_out))
        D_fake = bce(fake_out, torch.zeros_like(fake_out))
        d_adam.zero_grad()
        ((D_real + D_fake) / 2).backward()
        d_adam.step()
        out = D(pair)
        G_GAN = bce(out, torch.ones_like(out))
        G_L1 = options.lambda_L1 * (fake - target[batch]).abs().mean()
        g_adam.zero_grad()
        (G_GAN + G_L1).backward()
        g_adam.step()
    line = (
        f"(epoch: {epoch}, iters: {len(target)}, time: {time.time() - start:.3f}, data: 0.001) "
        f"G_GAN: {G_GAN:.3f} G_L1: {G_L1:.3f} D_real: {D_real:.3f} D_fake: {D_fake:.3f} "
    )
    print(line)
    torch.save(G.state_dict(), folder / "latest_net_G.pth")
    torch.save(D.state_dict(), folder / "latest_net_D.pth")
    samples = folder / "samples" / f"epoch_{epoch:03}"
    samples.mkdir(parents=True, exist_ok=True)
    with torch.no_grad():
        images = ((G(given[:500]) + 1) * 127.5).round().byte().reshape(-1, 8, 8).numpy()
    for number, image in enumerate(images):
        Image.fromarray(image).save(samples / f"{number:04}_fake_B.png")
    with (folder / "loss_log.txt").open("a") as file:
        file.write(line + "\n")
