"""The check that metrics fit the model: a tokenizer or a generator."""

from collections.abc import Sequence

from openmagvit2.errors import UserError
from openmagvit2.evaluation.names import SHORT_NAMES
from openmagvit2.protocols import Staged
from openmagvit2.registry import METRICS, MODELS, Registry


def check_stages(evaluators: Sequence[dict], model: dict, source: str) -> None:
    """Raise UserError if a metric of tokenizers is used with a generator, or vice versa.

    Metrics and models without a ``stage``, such as those of other packages, are accepted. Nothing
    is built yet.

    Args:
        evaluators: Configs of metrics.
        model: Config of the model.
        source: File name of the config, for the error.
    """
    own = _stage(MODELS, model)
    for evaluator in evaluators:
        wanted = _stage(METRICS, evaluator)
        if None not in (own, wanted) and own != wanted:
            having = [
                name for name, metric in SHORT_NAMES.items() if _stage(METRICS, metric) == own
            ]
            raise UserError(
                f'{_name(evaluator)} needs a {wanted}; {source} is of a {own}, which has '
                f'{", ".join(having)}.'
            )


def _stage(registry: Registry, built: dict) -> str | None:
    cls = registry.find(built.get('type'))
    return cls.stage if isinstance(cls, Staged) else None


def _name(evaluator: dict) -> str:
    """Return the command line name of a metric, or its class name."""
    kind = evaluator['type']
    kind = kind if isinstance(kind, str) else kind.__name__
    return next((name for name, metric in SHORT_NAMES.items() if metric['type'] == kind), kind)
