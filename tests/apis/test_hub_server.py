"""Models go to the hub and back, and each failure names the repository and the remedy."""

import numpy as np
import pytest
from hub_server import Refusal, serve
from huggingface_hub import constants

from openmagvit2.apis import Generator, Tokenizer, official
from openmagvit2.errors import UserError

IMAGES = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
NAME = 'someone/model'

# Older versions bind the address of the hub on import, where the fixture cannot replace it.
pytest.importorskip('huggingface_hub', minversion='1.0')


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """An empty hub, which huggingface_hub takes for the real one, and an empty cache."""
    with serve() as (hub, address):
        monkeypatch.setattr(constants, 'ENDPOINT', address)
        template = f'{address}/{{repo_id}}/resolve/{{revision}}/{{filename}}'
        monkeypatch.setattr(constants, 'HUGGINGFACE_CO_URL_TEMPLATE', template)
        monkeypatch.setattr(constants, 'HF_HUB_CACHE', str(tmp_path / 'cache'))
        monkeypatch.setattr(constants, 'HF_HUB_DISABLE_XET', True, raising=False)
        yield hub


def test_a_tokenizer_goes_to_the_hub_and_back(tokenizer, hub, monkeypatch):
    first = tokenizer.push_to_hub(NAME).rpartition('/')[2]
    # What a larger model left there would be read in place of the new file.
    tree = hub.trees[first] | {'model.safetensors.index.json': b'{}', 'model-1.safetensors': b''}
    hub.add(NAME, 'main', tree | {'notes.txt': b''})
    second = tokenizer.push_to_hub(NAME).rpartition('/')[2]
    kept = {'README.md', 'config.json', 'model.safetensors', 'notes.txt'}
    assert hub.trees[second].keys() == kept
    indices = tokenizer.encode(IMAGES)
    assert Tokenizer.from_pretrained(NAME, device='cpu').encode(IMAGES).equal(indices)
    monkeypatch.setattr(constants, 'HF_HUB_OFFLINE', True)
    assert Tokenizer.from_pretrained(NAME, device='cpu').encode(IMAGES).equal(indices)
    with pytest.raises(
        UserError, match=r'other/model cannot be downloaded.*: HF_HUB_OFFLINE is set'
    ):
        Tokenizer.from_pretrained('other/model')


def test_revisions(tokenizer, hub):
    generator = Generator.from_config('tiny/ar_32', device='cpu')
    commit = generator.push_to_hub(NAME, revision='new').rpartition('/')[2]
    assert hub.repos[NAME]['new'][-1] == commit and not hub.trees[hub.commit(NAME)]
    for revision in ('new', commit):
        again = Generator.from_pretrained(NAME, revision=revision, device='cpu')
        np.testing.assert_array_equal(again.sample([3], seed=1), generator.sample([3], seed=1))
    with pytest.raises(UserError, match=r'someone/model .*: it has no revision v3; choose another'):
        Generator.from_pretrained(NAME, revision='v3')
    with pytest.raises(UserError, match=r'someone/model holds no model|no config\.json'):
        Generator.from_pretrained(NAME)


@pytest.mark.parametrize(
    ('status', 'code', 'remedy'),
    [
        (401, 'RepoNotFound', 'it does not exist or is private; check the name, or log in with'),
        (401, '', 'the hub requires a valid access token; log in with `hf auth login`'),
        (403, '', 'the access token does not permit it; use one that does'),
        (403, 'GatedRepo', 'access to it must be granted; ask for it on its page'),
        (404, 'RevisionNotFound', 'it has no revision None; choose another branch, tag or commit'),
        (500, '', "Server error '500 Internal Server Error'.*; check the network and call again"),
    ],
)
def test_a_refusal_is_one_sentence_with_a_remedy(tokenizer, hub, status, code, remedy):
    hub.refuse = Refusal(status, code)
    with pytest.raises(UserError, match=rf'^{NAME} cannot be downloaded from the hub: {remedy}'):
        Tokenizer.from_pretrained(NAME)
    with pytest.raises(UserError, match=rf'^{NAME} cannot be written on the hub: {remedy}'):
        tokenizer.push_to_hub(NAME)


def test_a_second_try_goes_on_after_a_lost_connection(tokenizer, hub, monkeypatch):
    tokenizer.push_to_hub(NAME)
    hub.cut['model.safetensors'] = 1000
    monkeypatch.setattr('time.sleep', lambda seconds: None)
    with pytest.raises(UserError, match=r'someone/model .*; check the network and call again\.$'):
        Tokenizer.from_pretrained(NAME)
    hub.cut.clear()
    assert Tokenizer.from_pretrained(NAME, device='cpu')


def test_a_damaged_copy_in_the_cache(tokenizer, hub, tmp_path):
    tokenizer.push_to_hub(NAME)
    Tokenizer.from_pretrained(NAME, device='cpu')
    (path,) = tmp_path.glob('cache/*/snapshots/*/model.safetensors')
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    folder = tmp_path / 'cache' / 'models--someone--model'
    with pytest.raises(UserError, match=f'; delete {folder} to download {NAME} again, or remove'):
        Tokenizer.from_pretrained(NAME, device='cpu')


def test_an_official_file_that_is_missing_or_another(hub, monkeypatch):
    entry = dict(file='a.pt', repository=NAME, sha256='0' * 64)
    monkeypatch.setattr(official, 'model_info', lambda name: dict(official=entry))
    hub.repos[NAME] = {}
    hub.add(NAME, 'main', {'b.pt': b'x'})
    with pytest.raises(
        UserError, match=rf'a\.pt of {NAME} cannot be downloaded: it has no such file'
    ):
        official.fetch_file('tiny', entry)
    entry['file'] = 'b.pt'
    with pytest.raises(UserError, match=rf'not the published b\.pt of {NAME}: .*; delete .*blobs'):
        official.fetch_file('tiny', entry)


def test_names_without_an_owner_are_refused_before_anything_is_sent(tokenizer):
    with pytest.raises(
        UserError, match='model is not the name of a hub repository; use owner/name'
    ):
        tokenizer.push_to_hub('model')
