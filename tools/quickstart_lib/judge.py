"""A small classifier, trained here on real images only, that says which class a sample shows."""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from openmagvit2.checkpoint import read_checkpoint
from openmagvit2.engine.precision import fastest_precision


class Judge(nn.Sequential):
    """Map gray images (B, 1, 28, 28) in [-1, 1] to logits (B, 10)."""

    def __init__(self) -> None:
        def block(a: int, b: int) -> list[nn.Module]:
            return [
                nn.Conv2d(a, b, 3, padding=1, bias=False),
                nn.BatchNorm2d(b),
                nn.ReLU(),
                nn.MaxPool2d(2),
            ]

        # Clothes are in the same place in all images, so a linear layer over all positions tells
        # them apart with a tenth of the operations that more convolutions would take.
        classifier = [
            nn.Flatten(),
            nn.Dropout(0.2),
            nn.Linear(32 * 7 * 7, 128),
            nn.ReLU(),
            nn.Linear(128, 10),
        ]
        super().__init__(*block(1, 16), *block(16, 32), *classifier)


def to_gray(images: np.ndarray) -> Tensor:
    """Map uint8 (B, 28, 28, 3) to float (B, 1, 28, 28) in [-1, 1]."""
    return torch.from_numpy(images).float().mean(-1)[:, None] / 127.5 - 1


def train_judge(
    images: np.ndarray, labels: np.ndarray, path: Path, epochs: int = 6, seed: int = 0
) -> Judge:
    """Train a judge on uint8 (N, 28, 28, 3), with random mirroring and shifts of up to 2 pixels,
    and keep it in ``path``; if that file exists, read it instead.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        judge = Judge()
        if path.is_file():
            judge.load_state_dict(read_checkpoint(path)['state_dict'])
            return judge.eval()
        x, y = to_gray(images), torch.from_numpy(labels).long()
        lower = fastest_precision('cpu').dtype == 'bfloat16'
        steps = epochs * (len(x) // 100)
        optimizer = torch.optim.AdamW(judge.parameters(), weight_decay=0.01)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, steps)
        bar = tqdm(total=steps, desc='judge', mininterval=1, dynamic_ncols=True)
        for _ in range(epochs):
            for rows in torch.randperm(len(x)).split(100):
                batch = x[rows].flip(-1) if torch.rand(()) < 0.5 else x[rows]
                top, left = torch.randint(5, (2,)).tolist()
                batch = F.pad(batch, (2, 2, 2, 2), value=-1)[:, :, top : top + 28, left : left + 28]
                with torch.autocast('cpu', torch.bfloat16, enabled=lower):
                    logits = judge(batch)
                loss = F.cross_entropy(logits.float(), y[rows])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
                bar.update()
        bar.close()
    beside = path.with_suffix('.tmp')
    torch.save(dict(state_dict=judge.state_dict()), beside)
    beside.rename(path)
    return judge.eval()


@torch.no_grad()
def accuracy(judge: Judge, images: np.ndarray, labels: np.ndarray) -> float:
    """Return the fraction of uint8 (N, 28, 28, 3) in which the judge sees the label."""
    guesses = torch.cat([judge(batch).argmax(-1) for batch in to_gray(images).split(500)])
    return float((guesses.numpy() == labels).mean())


def diversity(
    samples: np.ndarray, labels: np.ndarray, real: np.ndarray, real_labels: np.ndarray
) -> float:
    """Return the mean RMS distance between samples of a class, divided by that between real images
    of the class, averaged over classes.
    """
    ratios = [
        _spread(samples[labels == c]) / _spread(real[real_labels == c]) for c in np.unique(labels)
    ]
    return float(np.mean(ratios))


def _spread(images: np.ndarray) -> float:
    flat = torch.from_numpy(images).float().mean(-1).flatten(1)
    return float(torch.pdist(flat).mean()) / flat.shape[1] ** 0.5
