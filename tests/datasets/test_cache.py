"""A process killed while it writes into the cache."""

import hashlib
import signal

import pytest

from datasets import load
from tests.served import BODY, start_child

pytestmark = pytest.mark.usefixtures("data_home")


@pytest.mark.parametrize("call", [1, 4, 9])
def test_kill_9_in_the_middle_of_a_cache_write(tmp_path, call):
    path = tmp_path / "a.tsv"
    path.write_bytes(BODY)
    expected = hashlib.sha256(BODY).hexdigest()
    code = """
import os, signal, sys
import numpy as np
from datasets import load
calls, real = 0, np.save
def dying(file, array, **more):
    global calls
    calls += 1
    if calls == {call}:
        open(file, 'wb').write(b'half'); os.kill(os.getpid(), signal.SIGKILL)
    real(file, array, **more)
np.save = dying
load(sys.argv[1])
""".replace("{call}", str(call))
    child = start_child(str(path), code.replace("{", "{{").replace("}", "}}"))
    _, err = child.communicate(timeout=60)
    assert child.returncode == -signal.SIGKILL, err
    split = load(str(path))
    assert split.source.sha256 == expected
    assert split.facts["interactions"] == 49 * 39
    assert load(str(path)).train.sha256() == split.train.sha256()
    assert not list((tmp_path / "home").rglob(".*.tmp"))
