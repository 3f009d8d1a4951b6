"""Packaging of openmagvit2; requirements live in requirements/*.txt."""

from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent


def requirements(name: str) -> list[str]:
    """Lines of requirements/<name>.txt without comments and blanks."""
    lines = (ROOT / 'requirements' / f'{name}.txt').read_text().splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith('#')]


setup(
    name='openmagvit2',
    version='0.1.0',
    description='Discrete image tokenizers and auto-regressive image generation, assembled from registries.',
    license='Apache-2.0',
    packages=find_packages(include=['openmagvit2', 'openmagvit2.*']),
    package_data={'openmagvit2.datasets': ['embedded/*']},
    python_requires='>=3.10',
    install_requires=requirements('runtime'),
    extras_require={name: requirements(name) for name in ('tests', 'docs', 'msgpack', 'optional')},
)
