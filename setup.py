"""Packaging of openmagvit2: requirements live in requirements/*.txt, the version in version.py."""

import re
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
EXTRAS = ('tests', 'docs', 'optional', 'msgpack', 'hf', 'demo')


def requirements(name: str) -> list[str]:
    """Lines of requirements/<name>.txt without comments and blanks."""
    lines = (ROOT / 'requirements' / f'{name}.txt').read_text().splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith('#')]


def version() -> str:
    """What openmagvit2/version.py states; importing it would import torch."""
    text = (ROOT / 'openmagvit2' / 'version.py').read_text()
    return re.search(r"^__version__ = '(.+)'$", text, re.MULTILINE)[1]


class BuildWithConfigs(build_py):
    """Puts ``configs/`` into a wheel as ``openmagvit2/.mim/configs``, where OpenMMLab's tools look
    too. A clone, also one that is installed with ``-e``, uses its own.
    """

    def run(self) -> None:
        """Build, then copy."""
        super().run()
        if not self.editable_mode:
            target = Path(self.build_lib) / 'openmagvit2' / '.mim' / 'configs'
            shutil.rmtree(target, ignore_errors=True)
            ignored = shutil.ignore_patterns('__pycache__', '*.pyc')
            shutil.copytree(ROOT / 'configs', target, ignore=ignored)

    def get_source_files(self) -> list[str]:
        """What a source distribution needs beside the package."""
        files = [*ROOT.glob('requirements/*.txt'), *ROOT.glob('configs/**/*.py')]
        files += ROOT.glob('configs/**/*.yml')
        return super().get_source_files() + [str(file.relative_to(ROOT)) for file in files]


setup(
    name='openmagvit2',
    version=version(),
    description='Discrete image tokenizers and token-based image generation from registries',
    long_description=(ROOT / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    packages=find_packages(include=['openmagvit2', 'openmagvit2.*']),
    package_data={'openmagvit2': ['py.typed'], 'openmagvit2.datasets': ['embedded/*']},
    python_requires='>=3.10',
    install_requires=requirements('runtime'),
    extras_require={name: requirements(name) for name in EXTRAS},
    cmdclass={'build_py': BuildWithConfigs},
)
