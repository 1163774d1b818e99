"""A trainer in the style of StyleGAN: counts kimg, writes `stats.jsonl`, snapshots and a metric."""

import argparse
import json
from pathlib import Path

import torch
from toy_gan import ToyGAN

parser = argparse.ArgumentParser()
parser.add_argument("--outdir", type=Path, required=True)
parser.add_argument("--glr", type=float, default=1e-3)
parser.add_argument("--dlr", type=float, default=1e-3)
parser.add_argument("--kimg", type=int, default=100)
parser.add_argument("--tick", type=int, default=1, help="kimg between two lines")
parser.add_argument("--snap", type=int, default=5, help="ticks between two snapshots")
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--resume", type=Path)
options = parser.parse_args()

torch.manual_seed(options.seed)
gan, kimg = ToyGAN(options.glr, options.dlr, "vanilla"), 0
if options.resume:
    gan.load(torch.load(options.resume))
    kimg = int(options.resume.stem.rpartition("-")[2])
    print(f"Resuming from {options.resume}")
options.outdir.mkdir(parents=True, exist_ok=True)
while kimg < options.kimg:
    for _ in range(options.tick * 10):
        d_loss, g_loss = gan.step(100)
    kimg += options.tick
    if kimg % (options.tick * options.snap) == 0:
        snapshot = options.outdir / f"network-snapshot-{kimg:06}.pkl"
        torch.save(gan.state(), snapshot)
        metric = {"results": {"fid50k_full": gan.distance()}, "snapshot_pkl": snapshot.name}
        with (options.outdir / "metric-fid50k_full.jsonl").open("a") as file:
            file.write(json.dumps({"metric": "fid50k_full", **metric}) + "\n")
    stats = {"Progress/kimg": kimg, "Loss/D/loss": d_loss, "Loss/G/loss": g_loss}
    with (options.outdir / "stats.jsonl").open("a") as file:
        file.write(json.dumps({name: {"num": 1, "mean": v, "std": 0} for name, v in stats.items()}))
        file.write("\n")
