"""Data sets of images, labels and tokens, and image transforms."""

from openmagvit2.datasets import adm_transforms, transforms
from openmagvit2.datasets.base import ImageDataset
from openmagvit2.datasets.fashion_mnist import FashionMNIST
from openmagvit2.datasets.hugging_face import HFDataset
from openmagvit2.datasets.hugging_face_stream import HFStream
from openmagvit2.datasets.image_list import ImageList
from openmagvit2.datasets.images import Coco, ImageFolder, ImageNet
from openmagvit2.datasets.shards import TarShards
from openmagvit2.datasets.streams import ImageStream
from openmagvit2.datasets.tokens import TokenCache

__all__ = [
    'Coco',
    'FashionMNIST',
    'HFDataset',
    'HFStream',
    'ImageDataset',
    'ImageFolder',
    'ImageList',
    'ImageNet',
    'ImageStream',
    'TarShards',
    'TokenCache',
    'adm_transforms',
    'transforms',
]
