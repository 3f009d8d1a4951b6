"""Data sets of images, labels and tokens, and the transforms of images."""

from openmagvit2.datasets import adm_transforms, transforms
from openmagvit2.datasets.base import ImageDataset
from openmagvit2.datasets.fashion_mnist import FashionMNIST
from openmagvit2.datasets.images import Coco, ImageFolder, ImageList, ImageNet
from openmagvit2.datasets.shards import TarShards
from openmagvit2.datasets.tokens import TokenCache

__all__ = [
    'Coco',
    'FashionMNIST',
    'ImageDataset',
    'ImageFolder',
    'ImageList',
    'ImageNet',
    'TarShards',
    'TokenCache',
    'adm_transforms',
    'transforms',
]
