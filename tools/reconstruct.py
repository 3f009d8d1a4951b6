"""Reconstruct images: python tools/reconstruct.py CONFIG CKPT IMAGE_OR_FOLDER… --out-dir DIR
[--size N].

Exit codes: 0, all images are done; 1, some files cannot be read and are listed, all others are
done; 2, a mistake before the first image, such as a path that does not exist.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from openmagvit2 import console
from openmagvit2.errors import UserError

# Slow imports are inside the functions, so that --help does not wait for them.
if TYPE_CHECKING:
    from openmagvit2.apis import Tokenizer
    from openmagvit2.datasets.transforms import CenterCrop, Resize

GRID_COLUMNS = 8
# Maximum side of an image in the grid, whose cells have the size of the largest image.
GRID_SIDE = 512
# File systems allow 255 bytes for a name, and a character takes up to 4.
LONGEST_NAME = 60


def fitting(tokenizer: 'Tokenizer', size: int | None) -> list['Resize | CenterCrop']:
    """Return the transforms of images to a square of ``size`` pixels or, without ``size``, to the
    only size that the tokenizer accepts, if any.

    Raises:
        UserError: The tokenizer does not accept images of ``size``.
    """
    from openmagvit2.datasets.transforms import CenterCrop, Resize

    encoder = tokenizer.model.encoder
    only = encoder.image_size
    if size is None and only is None:
        return []
    crop = only if size is None else (size, size)
    if only is not None:
        encoder.check_size(crop)
    if size is None:
        print(
            f'{type(encoder).__name__} accepts only {crop[0]}x{crop[1]}: images are resized to '
            f'cover that, and cropped at the center.'
        )
    return [Resize(size=max(crop)), CenterCrop(size=crop)]


def reconstruct(
    tokenizer: 'Tokenizer',
    files: Sequence[Path],
    out_dir: Path,
    background: str,
    transforms: Sequence['Resize | CenterCrop'] = (),
) -> list[UserError]:
    """Write the reconstructions and the grid; return the errors of files that cannot be read or
    have a size that the tokenizer does not accept.
    """
    from tqdm import tqdm

    from openmagvit2.evaluation.pixel_errors import psnr_of_images
    from openmagvit2.io import UnreadableImage, read_image
    from openmagvit2.visualization import save_grid, save_image, shrink

    pairs, failed = [], []
    for i, path in enumerate(tqdm(files, desc='images')):
        try:
            image = read_image(path, background)
        except UnreadableImage as error:
            failed.append(error)
            continue
        for transform in transforms:
            image = transform(dict(image=image))['image']
        try:
            (out,) = tokenizer.reconstruct(image)
        except UserError as error:
            # Images of a folder may differ in size, and only some may fit.
            failed.append(UserError(f'{path}: {error} --size N resizes it to a square.'))
            continue
        tqdm.write(f'{ascii_if_needed(path)}: {psnr_of_images(image, out):.2f} dB')
        # The number distinguishes files of the same name in different folders.
        save_image(out, out_dir / f'{i:05d}_{path.stem[:LONGEST_NAME]}.png')
        if len(pairs) < GRID_COLUMNS:
            pairs.append((shrink(image, GRID_SIDE), shrink(out, GRID_SIDE)))
    if pairs:
        save_grid([[image for image, _ in pairs], [out for _, out in pairs]], out_dir)
    return failed


def begin(
    tokenizer: 'Tokenizer',
    files: Sequence[Path],
    out_dir: str,
    background: str,
    size: int | None,
) -> None:
    """Create the folder, or check that its reconstructions come from the same settings.

    Raises:
        UserError: They come from other settings or have no record of them, or the folder contains
            input images.
    """
    from openmagvit2.checkpoint.hashing import weights_hash
    from openmagvit2.io import claim

    # Otherwise, the next call would read the reconstructions as images.
    if Path(out_dir).resolve() in {file.parent.resolve() for file in files}:
        raise UserError(f'--out-dir {out_dir} has input images; choose another folder.')
    settings = dict(weights=weights_hash(tokenizer.model), background=background, size=size)
    numbered = f'{"[0-9]" * 5}_*.png'
    if claim(out_dir, settings, 'reconstructions.json', numbered, 'reconstructions'):
        print(
            f'{out_dir} has reconstructions of the same tokenizer; those with the number and name '
            f'of these images are replaced.'
        )


def ascii_if_needed(path: Path) -> str:
    """Return the path as text, with escapes for characters that the terminal cannot show."""
    encoding = sys.stdout.encoding or 'utf-8'
    return str(path).encode(encoding, 'backslashreplace').decode(encoding)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Reconstruct images with a tokenizer, and print the PSNR of each.'
    )
    parser.add_argument('config', help='config file of a tokenizer')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument(
        'images', nargs='+', help="images, folders, or patterns such as 'photos/**/*.jpg'"
    )
    parser.add_argument(
        '--out-dir',
        default='reconstructions',
        help='folder for the reconstructions as PNG, their settings, and grid.png (originals '
        f'above, at most {GRID_SIDE} pixels wide and high)',
    )
    parser.add_argument(
        '--background',
        default='white',
        help="color behind transparent pixels, such as black or '#808080'; default: white",
    )
    parser.add_argument(
        '--size',
        type=int,
        help='resize the shorter side to this and crop the center; default: no change, or the only '
        'size that the tokenizer accepts',
    )
    parser.add_argument('--device', **console.DEVICE)
    return parser.parse_args()


@console.tool(smaller='use smaller images, with --size')
def main() -> int:
    args = parse_args()

    from openmagvit2.apis import Tokenizer
    from openmagvit2.io import gather_images, to_color

    to_color(args.background)
    files = gather_images(args.images)
    tokenizer = Tokenizer.from_config(args.config, args.checkpoint, args.device)
    transforms = fitting(tokenizer, args.size)
    begin(tokenizer, files, args.out_dir, args.background, args.size)
    failed = reconstruct(tokenizer, files, Path(args.out_dir), args.background, transforms)
    for error in failed:
        print(f'error: {error}', file=sys.stderr)
    if failed:
        print(
            f'error: {len(failed)} of {len(files)} images cannot be reconstructed', file=sys.stderr
        )
    grid = ' and grid.png' if len(failed) < len(files) else ''
    print(f'{len(files) - len(failed)} reconstructions{grid} in {args.out_dir}')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
