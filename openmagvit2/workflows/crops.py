"""The crops of each image in a token cache."""

from openmagvit2.errors import UserError

# Crops that `--crops` replaces.
CROPS = ('RandomCrop', 'CenterCrop', 'RandomTenCrop')
# Each view is a data set.
MOST_CROPS = 10000
CORNERS = ('center', 'top_left', 'top_right', 'bottom_left', 'bottom_right')


def views_of(pipeline: list[dict], crops: str, flip: bool) -> list[tuple[list[dict], int]]:
    """Return the pipeline and the epoch of each view of an image.

    Args:
        pipeline: Pipeline of the data set; ``crops`` replaces its crop, and its random flip is
            removed.
        crops: 'center'; 'ten': corners and center, each also mirrored; 'random:N': the crops of the
            first N epochs of training.
        flip: Also mirror each view.

    Raises:
        UserError: ``crops`` is invalid, or the pipeline has no crop to replace.
    """
    steps = [dict(step) for step in pipeline if step['type'] != 'RandomFlip']
    places = [i for i, step in enumerate(steps) if step['type'] in CROPS]
    kind, _, count = crops.partition(':')
    if kind == 'random' and count.isdecimal() and 0 < int(count) <= MOST_CROPS:
        views = [(steps, epoch) for epoch in range(int(count))]
    elif crops == 'center':
        views = [(_placed(steps, places, 'center'), 0)]
    elif crops == 'ten':
        if not places:
            raise UserError(
                f'--crops ten: the pipeline of the data set has no {" or ".join(CROPS)} to replace.'
            )
        views, flip = [(_placed(steps, places, corner), 0) for corner in CORNERS], True
    else:
        raise UserError(
            f"--crops must be 'center', 'ten', or 'random:N' with N from 1 to {MOST_CROPS}, got "
            f'{crops!r}.'
        )
    if flip:
        mirror = dict(type='RandomFlip', prob=1.0)
        views += [([*steps, mirror], epoch) for steps, epoch in views]
    return views


def _placed(steps: list[dict], places: list[int], corner: str) -> list[dict]:
    """Return the pipeline with its crop at a corner or at the center."""
    step = 'CenterCrop' if corner == 'center' else 'CornerCrop'
    extra = {} if corner == 'center' else dict(corner=corner)
    return [
        dict(type=step, size=old['size'], **extra) if i in places else old
        for i, old in enumerate(steps)
    ]
