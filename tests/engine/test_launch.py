"""Start several processes, and report the errors of loader workers."""

import socket
from datetime import timedelta

import pytest
from mmengine.config import Config
from torch.utils.data import DataLoader

from openmagvit2 import console
from openmagvit2.datasets import FashionMNIST
from openmagvit2.engine import launch
from openmagvit2.errors import UserError

SLURM = dict(
    SLURM_PROCID='11',
    SLURM_NTASKS='32',
    SLURM_LOCALID='3',
    SLURM_JOB_ID='123456',
    SLURM_STEP_ID='0',
)


@pytest.mark.parametrize('num_workers', [0, 1])
def test_a_mistake_is_one_sentence_with_and_without_workers(num_workers):
    data = FashionMNIST(num_images=10, pipeline=[dict(type='CenterCrop', size=64)])
    with pytest.raises(ValueError) as caught:
        next(iter(DataLoader(data, num_workers=num_workers)))
    assert (
        console.message(caught.value)
        == 'CenterCrop(size=64) got an image of 28x28; put Resize(size=64) before it.'
    )


@pytest.mark.parametrize(
    ('launcher', 'name'),
    # A batch script of slurm has all but the number of the step.
    [('pytorch', 'RANK'), ('slurm', 'SLURM_PROCID'), ('slurm', 'SLURM_STEP_ID')],
)
def test_a_launcher_outside_its_environment(launcher, name, monkeypatch):
    for other, value in SLURM.items():
        monkeypatch.setenv(other, value)
    monkeypatch.delenv(name, raising=False)
    with pytest.raises(ValueError, match=f'--launcher {launcher}: {name} is not set'):
        launch.start(launcher)


@pytest.mark.parametrize(('settings', 'seconds'), [({}, 1800), (dict(timeout=45), 45)])
def test_the_group_has_the_timeout_of_the_config(settings, seconds, monkeypatch):
    given = {}
    monkeypatch.setattr(launch.torch.cuda, 'is_available', lambda: False)
    monkeypatch.setattr(
        launch.dist,
        'init_process_group',
        lambda name, timeout: given.update(backend=name, timeout=timeout),
    )
    monkeypatch.setattr(
        launch.dist, 'new_group', lambda backend, timeout: given.update(long=timeout)
    )
    for name, value in dict(RANK='0', WORLD_SIZE='1').items():
        monkeypatch.setenv(name, value)
    launch.start('pytorch', Config(dict(env_cfg=dict(dist_cfg=settings))))
    assert given['backend'] == 'gloo' and given['timeout'] == timedelta(seconds=seconds)
    assert given['long'] >= timedelta(hours=24)


@pytest.fixture
def joined(monkeypatch):
    """Record how a process group is made, in an environment without a launcher."""
    given = {}
    for name in ('RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'MASTER_ADDR', 'MASTER_PORT'):
        # Set them first, so that monkeypatch removes what the launch sets.
        monkeypatch.setenv(name, 'x')
        monkeypatch.delenv(name)
    for name in ('SLURM_STEP_NODELIST', 'SLURM_JOB_NODELIST'):
        monkeypatch.delenv(name, raising=False)

    def join(backend, timeout):
        names = ('RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'MASTER_ADDR', 'MASTER_PORT')
        given.update(backend=backend, **{name: launch.os.environ.get(name) for name in names})

    monkeypatch.setattr(launch.socket, 'getaddrinfo', lambda host, port: [])
    monkeypatch.setattr(launch.dist, 'init_process_group', join)
    monkeypatch.setattr(launch, 'make_long_group', lambda: None)
    return given


def gpus(monkeypatch, count: int) -> list[int]:
    """Simulate a machine with some GPUs; the returned list receives those that are selected."""
    chosen: list[int] = []
    monkeypatch.setattr(launch.torch.cuda, 'is_available', lambda: count > 0)
    monkeypatch.setattr(launch.torch.cuda, 'device_count', lambda: count)
    monkeypatch.setattr(launch.torch.cuda, 'set_device', chosen.append)
    return chosen


@pytest.mark.parametrize(('count', 'backend'), [(0, 'gloo'), (8, 'nccl')])
def test_slurm_on_four_nodes(joined, monkeypatch, count, backend):
    chosen = gpus(monkeypatch, count)
    for name, value in (SLURM | dict(SLURM_STEP_NODELIST='gpu[07-09,12]')).items():
        monkeypatch.setenv(name, value)
    launch.start('slurm')
    assert joined == dict(
        backend=backend,
        RANK='11',
        WORLD_SIZE='32',
        LOCAL_RANK='3',
        MASTER_ADDR='gpu07',
        MASTER_PORT='23456',
    )
    assert chosen == [3] * bool(count)


def test_the_steps_of_a_job_have_ports_of_their_own(joined, monkeypatch):
    gpus(monkeypatch, 0)
    for name, value in (SLURM | dict(SLURM_STEP_ID='2')).items():
        monkeypatch.setenv(name, value)
    launch.start('slurm')
    assert joined['MASTER_PORT'] == '25474'


def test_given_addresses_are_kept(joined, monkeypatch):
    gpus(monkeypatch, 0)
    for name, value in (SLURM | dict(MASTER_ADDR='10.0.0.1', MASTER_PORT='29500')).items():
        monkeypatch.setenv(name, value)
    launch.start('slurm')
    assert (joined['MASTER_ADDR'], joined['MASTER_PORT']) == ('10.0.0.1', '29500')
    launch.start('slurm', Config(dict(env_cfg=dict(dist_cfg=dict(port=29600)))))
    assert joined['MASTER_PORT'] == '29600'


@pytest.mark.parametrize('number', [socket.EAI_NONAME, socket.EAI_AGAIN])
def test_a_node_without_an_address(joined, monkeypatch, number):
    def unknown(host, port):
        raise socket.gaierror(number, 'unknown')

    gpus(monkeypatch, 0)
    monkeypatch.setattr(launch.socket, 'getaddrinfo', unknown)
    for name, value in (SLURM | dict(SLURM_STEP_NODELIST='n[1-2]')).items():
        monkeypatch.setenv(name, value)
    if number == socket.EAI_AGAIN:
        # A name server that does not answer for a while.
        launch.start('slurm')
        assert joined['MASTER_ADDR'] == 'n1'
    else:
        with pytest.raises(
            UserError, match='n1, the name of the first node, has no address.*set M'
        ):
            launch.start('slurm')


@pytest.mark.parametrize(
    ('nodes', 'first'),
    [
        ('node1', 'node1'),
        ('node1,node2', 'node1'),
        ('node[01-04,07]', 'node01'),
        ('a[3,5-7],b1', 'a3'),
        ('r[1-2]-n[03,04].x,c', 'r1-n03.x'),
        ('127.0.0.1', '127.0.0.1'),
    ],
)
def test_the_first_of_slurms_nodes(nodes, first):
    assert launch.first_host(nodes) == first


@pytest.mark.parametrize(
    ('launcher', 'count', 'number', 'gpu'),
    [('pytorch', 8, 7, 7), ('pytorch', 1, 1, None), ('pytorch', 4, 4, None), ('slurm', 1, 5, 0)],
)
def test_each_process_has_a_gpu(joined, monkeypatch, launcher, count, number, gpu):
    chosen = gpus(monkeypatch, count)
    place = SLURM | dict(RANK='1', WORLD_SIZE='2', LOCAL_RANK=str(number))
    for name, value in (place | dict(SLURM_LOCALID=str(number))).items():
        monkeypatch.setenv(name, value)
    if gpu is None:
        with pytest.raises(UserError, match=rf'has {count} GPUs? and process {number} \(from 0\)'):
            launch.start(launcher)
    else:
        launch.start(launcher)
    assert chosen == ([] if gpu is None else [gpu])


def test_an_accelerator_that_supports_one_process(joined, monkeypatch):
    gpus(monkeypatch, 0)
    monkeypatch.setattr(launch, 'get_device', lambda: 'mps')
    for name in ('RANK', 'WORLD_SIZE'):
        monkeypatch.setenv(name, '1')
    with pytest.raises(UserError, match='here is mps; leave --launcher out'):
        launch.start('pytorch')


@pytest.mark.parametrize('place', ['init_process_group', 'new_group'])
def test_processes_that_cannot_connect(monkeypatch, place):
    def refuse(*args, **kwargs):
        raise RuntimeError('Gloo connectFullMesh failed with [127.0.1.1]:1234\nand so on')

    gpus(monkeypatch, 0)
    monkeypatch.setattr(launch.dist, 'init_process_group', lambda *args, **kwargs: None)
    monkeypatch.setattr(launch.dist, place, refuse)
    for name in ('RANK', 'WORLD_SIZE'):
        monkeypatch.setenv(name, '1')
    with pytest.raises(UserError, match=r'join the others \(Gloo connect.*1234\)\..*GLOO_SOCKET'):
        launch.start('pytorch')


def test_a_launcher_without_an_address(monkeypatch):
    gpus(monkeypatch, 0)
    for name in ('MASTER_ADDR', 'MASTER_PORT'):
        monkeypatch.delenv(name, raising=False)
    for name in ('RANK', 'WORLD_SIZE'):
        monkeypatch.setenv(name, '1')
    with pytest.raises(UserError, match='MASTER_ADDR expected, but not set'):
        launch.start('pytorch')


@pytest.mark.parametrize('value', [-1, '30', True])
def test_a_timeout_is_a_positive_number(value, monkeypatch):
    for name in ('RANK', 'WORLD_SIZE'):
        monkeypatch.setenv(name, '1')
    with pytest.raises(UserError, match=r'env_cfg.dist_cfg.timeout must be a positive number'):
        launch.start('pytorch', Config(dict(env_cfg=dict(dist_cfg=dict(timeout=value)))))
