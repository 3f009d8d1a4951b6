"""Reconstruct images: python tools/reconstruct.py CONFIG CKPT IMAGE_OR_FOLDER… --out-dir DIR."""

import argparse
import glob
import sys
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from openmagvit2.apis import Tokenizer
from openmagvit2.errors import UserError
from openmagvit2.folders import make_folder
from openmagvit2.visualization import image_grid, save_image

SUFFIXES = {'.jpg', '.jpeg', '.png', '.webp', '.bmp'}


def find(paths: list[str]) -> list[Path]:
    """Files as they are, folders by their images, patterns by what matches."""
    files: list[Path] = []
    for path in map(Path, paths):
        matches = [Path(name) for name in sorted(glob.glob(str(path), recursive=True))] if glob.has_magic(str(path)) else []
        if matches and not path.exists():
            files += [match for match in matches if match.suffix.lower() in SUFFIXES]
        elif path.is_dir():
            inside = sorted(p for p in path.rglob('*') if p.suffix.lower() in SUFFIXES)
            if not inside:
                raise UserError(f'{path} holds no images ({", ".join(sorted(SUFFIXES))}).')
            files += inside
        elif path.is_file():
            files.append(path)
        else:
            raise UserError(f'{path} does not exist.')
    return files


def main() -> int:
    parser = argparse.ArgumentParser(description='Reconstruct images with a tokenizer, and print the PSNR of each.')
    parser.add_argument('config', help='config file of a tokenizer')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('images', nargs='+', help="images, folders, or patterns as 'photos/**/*.jpg'")
    parser.add_argument('--out-dir', default='reconstructions', help='receives the reconstructions as PNG, and grid.png (originals above)')
    parser.add_argument('--device', default=None)
    args = parser.parse_args()
    pairs = []
    try:
        files = find(args.images)
        tokenizer = Tokenizer.from_config(args.config, args.checkpoint, args.device)
        make_folder(args.out_dir)
        for i, path in enumerate(tqdm(files, desc='images')):
            out = tokenizer.reconstruct(path)[0]
            with Image.open(path) as opened:
                original = np.array(opened.convert('RGB'))
            error = np.square(original.astype(np.float64) - out).mean()
            tqdm.write(f'{path}: {10 * np.log10(255**2 / error) if error else float("inf"):.2f} dB')
            # The number keeps files of one name in different folders apart.
            save_image(out, Path(args.out_dir) / f'{i:05d}_{path.stem}.png')
            if len(pairs) < 8:
                pairs.append((original, out))
    except UserError as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    save_image(image_grid([[a for a, _ in pairs], [b for _, b in pairs]]), Path(args.out_dir) / 'grid.png')
    print(f'{len(files)} reconstructions and grid.png in {args.out_dir}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
