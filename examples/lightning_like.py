"""A trainer in the style of Lightning: counts steps, writes `metrics.csv` and `.ckpt` files."""

import argparse
import csv
from pathlib import Path

import torch
from toy_gan import ToyGAN

parser = argparse.ArgumentParser()
parser.add_argument("--default_root_dir", type=Path, required=True)
parser.add_argument("--max_steps", type=int, default=1000)
parser.add_argument("--batch_size", type=int, default=100)
parser.add_argument("--lr_g", type=float, default=1e-3)
parser.add_argument("--lr_d", type=float, default=1e-3)
parser.add_argument("--loss", choices=["hinge", "vanilla"], default="vanilla")
parser.add_argument("--seed_everything", type=int, default=0)
parser.add_argument("--ckpt_path", type=Path)
options = parser.parse_args()

torch.manual_seed(options.seed_everything)
gan, step, rows = ToyGAN(options.lr_g, options.lr_d, options.loss), 0, []
if options.ckpt_path:
    checkpoint = torch.load(options.ckpt_path)
    gan.load(checkpoint["state"])
    step = checkpoint["global_step"]
version = len([*options.default_root_dir.glob("lightning_logs/version_*")])
folder = options.default_root_dir / "lightning_logs" / f"version_{version}"
(folder / "checkpoints").mkdir(parents=True)
while step < options.max_steps:
    d_loss, g_loss = gan.step(options.batch_size)
    step += 1
    if step % 10 == 0:
        rows.append({"step": step, "d_loss_step": d_loss, "g_loss_step": g_loss})
    if step % 50 == 0 or step == options.max_steps:  # the columns of validation come late
        file = folder / "checkpoints" / f"step={step}.ckpt"
        torch.save({"state": gan.state(), "global_step": step}, file)
        rows.append({"step": step, "val_distance": gan.distance()})
    if step % 10 == 0 or step == options.max_steps:
        names = list(dict.fromkeys(name for row in rows for name in row))
        with (folder / "metrics.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, names)
            writer.writeheader()
            writer.writerows(rows)
