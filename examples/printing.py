"""A trainer that only prints, in the style of the PyTorch DCGAN example. It cannot resume."""

import argparse

import torch
from toy_gan import ToyGAN

parser = argparse.ArgumentParser()
parser.add_argument("--niter", type=int, default=25, help="epochs")
parser.add_argument("--batchSize", type=int, default=100)
parser.add_argument("--lr", type=float, default=1e-3)
parser.add_argument("--manualSeed", type=int, default=0)
options = parser.parse_args()

torch.manual_seed(options.manualSeed)
gan, batches = ToyGAN(options.lr, options.lr, "vanilla"), 4000 // options.batchSize
print("Random Seed: ", options.manualSeed)
for epoch in range(options.niter):
    for batch in range(batches):
        d_loss, g_loss = gan.step(options.batchSize)
        if batch % 10 == 0:
            print(
                f"[{epoch}/{options.niter}][{batch}/{batches}] "
                f"Loss_D: {d_loss:.4f} Loss_G: {g_loss:.4f}"
            )
    print(f"Epoch {epoch + 1}/{options.niter} distance: {gan.distance():.5f}")
