"""Read and write files: the atomic writer, and the readers of images, folders and lists."""

from openmagvit2.io.arrays import map_array
from openmagvit2.io.atomic import remove_leftovers, write_atomically, write_text
from openmagvit2.io.folders import claim, make_folder, named_if_full
from openmagvit2.io.image_files import ENDINGS, find_images, gather_images
from openmagvit2.io.images import (
    IMAGE_RULES,
    Color,
    Source,
    UnreadableImage,
    read_image,
    read_picture,
    to_color,
)
from openmagvit2.io.parts import reserve, write_range
from openmagvit2.io.paths import reading, usable, usable_text
from openmagvit2.io.text import read_lines

__all__ = [
    'ENDINGS',
    'IMAGE_RULES',
    'Color',
    'Source',
    'UnreadableImage',
    'claim',
    'find_images',
    'gather_images',
    'make_folder',
    'map_array',
    'named_if_full',
    'read_image',
    'read_picture',
    'read_lines',
    'reading',
    'remove_leftovers',
    'reserve',
    'to_color',
    'usable',
    'usable_text',
    'write_atomically',
    'write_range',
    'write_text',
]
