"""Loading of images in one process (read, resize, center crop), compared with plain pipelines of
PIL and torchvision.
"""

import argparse
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import numpy as np
import torch
from PIL import Image

from benchmarks.machine import Machine, seconds_of
from benchmarks.report import Result
from openmagvit2 import console
from openmagvit2.datasets import ImageFolder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark to the command line."""
    parser.add_argument('--images', type=console.count, default=64, help='number of JPEG files')
    parser.add_argument('--size', type=console.count, default=256)
    parser.add_argument('--repeats', type=console.count, default=9)


def measure(args: argparse.Namespace, machine: Machine) -> Iterator[Result]:
    """Yield one result, compared with the faster of the two plain pipelines."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, f'{i:04}.jpg') for i in range(args.images)]
        for i, path in enumerate(paths):
            _photograph(i).save(path, quality=90)
        pipeline = [dict(type='Resize', size=args.size), dict(type='CenterCrop', size=args.size)]
        data = ImageFolder(data_root=folder, pipeline=pipeline)
        plain = dict(PIL=_pil(args.size), torchvision=_torchvision(args.size))
        functions: dict[str, Callable[[], object]] = {
            'here': lambda: [data[i] for i in range(len(data))],
            **{name: lambda f=f: [f(path) for path in paths] for name, f in plain.items()},
        }
        # In turns, so that a slow minute of the machine is a slow one for all of them.
        turns = [
            {name: seconds_of(f, repeats=1) for name, f in functions.items()}
            for _ in range(args.repeats)
        ]
        times = {name: median(turn[name] for turn in turns) for name in functions}
        best = min(plain, key=times.__getitem__)
        distance = max(
            (data[i]['image'].int() - plain['PIL'](path).int()).abs().max().item()
            for i, path in enumerate(paths[:4])
        )
        yield Result(
            f'ImageFolder, JPEG of 500x375 to {args.size} pixels, one process',
            times['here'],
            args.images,
            'images',
            plain=times[best],
            plain_of=best,
            notes=[f'largest difference to PIL: {distance} of 255'],
        )


def _photograph(seed: int) -> Image.Image:
    """Return an image that is as smooth as a photograph, of ImageNet's usual size."""
    noise = np.random.default_rng(seed).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((500, 375), Image.Resampling.BICUBIC)


def _pil(size: int) -> Callable[[Path], torch.Tensor]:
    def load(path: Path) -> torch.Tensor:
        with Image.open(path) as file:
            image = file.convert('RGB')
        width, height = image.size
        short = min(width, height)
        image = image.resize(
            (size * width // short, size * height // short), Image.Resampling.BILINEAR
        )
        left, top = (round((side - size) / 2) for side in image.size)
        image = image.crop((left, top, left + size, top + size))
        return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()

    return load


def _torchvision(size: int) -> Callable[[Path], torch.Tensor]:
    from torchvision import transforms

    change = transforms.Compose(
        [
            transforms.Resize(size, transforms.InterpolationMode.BILINEAR),
            transforms.CenterCrop(size),
            transforms.PILToTensor(),
        ]
    )
    return lambda path: change(Image.open(path).convert('RGB'))
