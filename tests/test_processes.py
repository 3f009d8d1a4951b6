"""What the processes of a run say together."""

import pytest

from openmagvit2 import console, processes
from openmagvit2.errors import UserError


def broken() -> None:
    raise UserError('The folder is not free.')


@pytest.mark.parametrize('main', [True, False])
def test_an_error_of_the_main_process_is_printed_once(monkeypatch, capfd, main):
    def broadcast(answer: list) -> None:
        if not main:
            answer[0] = UserError('The folder is not free.')

    monkeypatch.setattr(processes, 'is_main_process', lambda: main)
    monkeypatch.setattr(processes, 'broadcast_object_list', broadcast)
    monkeypatch.setattr('sys.argv', ['a'])
    assert console.tool()(lambda: processes.on_main(broken))() == 2
    assert capfd.readouterr().err == ('error: The folder is not free.\n' if main else '')
