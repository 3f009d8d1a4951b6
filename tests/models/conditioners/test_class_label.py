"""Labels as rows of a separate embedding, or of the token embedding."""

import pytest
import torch

from openmagvit2.errors import UserError
from openmagvit2.models.conditioners import ClassLabel, TokenLabel
from openmagvit2.models.conditioners.base import Conditioner
from openmagvit2.models.heads import CodeEmbedding, TokenEmbedding


def test_rows_of_the_own_table():
    conditioner = ClassLabel(num_classes=3, dim=4)
    prefix, pooled = conditioner.embed(dict(label=torch.tensor([2, -1, 3])), None)
    assert prefix.shape == (3, 1, 4) and pooled.equal(prefix[:, 0])
    assert pooled.equal(conditioner.weight[[2, 3, 3]])
    assert conditioner.null(2)['label'].tolist() == [3, 3]
    assert list(conditioner.state_dict()) == ['weight']


def test_conditions_are_dropped_by_the_samples_own_numbers():
    conditioner = ClassLabel(num_classes=3, dim=4, dropout=0.25)
    data = dict(label=torch.tensor([0, 1, 2, 2]))
    uniform = torch.tensor([0.2, 0.25, 0.9, 0.0])
    assert conditioner.drop(data, uniform)['label'].tolist() == [3, 1, 2, 3]
    torch.manual_seed(0)
    many = dict(label=torch.zeros(20_000, dtype=torch.int64))
    assert (conditioner.drop(many)['label'] == 3).float().mean().item() == pytest.approx(
        0.25, abs=0.01
    )
    assert ClassLabel(num_classes=3, dim=4, dropout=0.0).drop(data) is data


@pytest.mark.parametrize(('rows', 'first'), [('codes', 0), ('behind', 6)])
def test_rows_of_the_tokens_table(rows, first):
    conditioner, tokens = (
        TokenLabel(num_classes=3, rows=rows),
        TokenEmbedding([6, 5], 4, more_rows=3),
    )
    conditioner.check_tokens(tokens)
    prefix, pooled = conditioner.embed(dict(label=torch.tensor([2, 0])), tokens)
    assert pooled.equal(tokens[0].weight[[first + 2, first]]) and prefix.equal(pooled[:, None])
    assert not list(conditioner.parameters()) and conditioner.null(1) is None


def test_what_labels_without_a_null_class_cannot_do():
    conditioner = TokenLabel(num_classes=3)
    for labels in ([-1], [3]):
        with pytest.raises(UserError, match=r'the model has no null class\), got'):
            conditioner.requests(labels)
    with pytest.raises(UserError, match='has label -1, but .*, without a null class'):
        conditioner.check_batch(dict(label=torch.tensor([0, -1])))
    conditioner.dropout = 0.1
    with pytest.raises(UserError, match='TokenLabel has no null condition'):
        conditioner.drop(dict(label=torch.tensor([0])))
    with pytest.raises(
        UserError, match=r'3 classes need 9 rows .* which has 6;.* model.head.more_rows'
    ):
        TokenLabel(num_classes=3, rows='behind').check_tokens(TokenEmbedding([6], 4))
    for tokens in (None, CodeEmbedding([6], 4, row_dim=2)):
        with pytest.raises(UserError, match='needs a head with a token embedding'):
            conditioner.check_tokens(tokens)
    with pytest.raises(UserError, match="must be one of codes, behind, got 'first'"):
        TokenLabel(rows='first')


def test_sampling_all_classes_needs_numbered_classes():
    assert list(ClassLabel(num_classes=3, dim=2).classes('stop')) == [0, 1, 2]
    with pytest.raises(
        UserError, match='^model.conditioner: Conditioner is not conditioned on class labels; stop'
    ):
        Conditioner().classes('stop')
