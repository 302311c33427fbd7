"""Receiving a content: partial files, resuming, placing and giving up."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from shoal.errors import LocalProtocolError, NotEnoughSpace, TransferInProgress
from shoal.git.repository import Repository
from shoal.values.backend import verifier
from shoal.values.key import Key
from tests.support.annexrepo import THERE, descriptors, key_of, make_annex

CONTENT = bytes(range(256)) * 40
KEY = key_of(CONTENT)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return make_annex(tmp_path / "repo")


def _partial(repository: Repository) -> Path:
    return Path(repository.objects.temp_path(KEY))


def _transfers(repository: Repository) -> list[str]:
    top = Path(repository.annex_path("transfer"))
    return sorted(str(path.relative_to(top)) for path in top.rglob("*") if path.is_file())


def test_content_comes_in_pieces(repository: Repository) -> None:
    """In any number of buffers of any kind; visible only at the end."""
    receiving = repository.objects.receive(KEY, THERE, "file")
    assert receiving.offset == 0
    pieces: list[bytes | bytearray | memoryview] = [
        CONTENT[:10],
        bytearray(CONTENT[10:20]),
        memoryview(CONTENT)[20:30],
        b"",
    ]
    receiving.write(pieces)
    receiving.write([CONTENT[i : i + 1] for i in range(30, 1000)])
    receiving.write([CONTENT[1000:]])
    assert not repository.objects.present(KEY)
    assert receiving.received == len(CONTENT)
    assert receiving.finish()
    assert repository.objects.present(KEY)
    assert len(_transfers(repository)) == 3
    receiving.end(failed=False)
    assert _transfers(repository) == []
    assert not _partial(repository).exists()


def test_nothing_is_made_before_the_first_byte(repository: Repository) -> None:
    """Asking for the offset only leaves no trace."""
    receiving = repository.objects.receive(KEY, THERE)
    receiving.end(failed=None)
    assert not _partial(repository).exists()
    assert _transfers(repository) == []


def test_a_broken_transfer_resumes(repository: Repository) -> None:
    """Where it stopped, and what is there can be hashed."""
    receiving = repository.objects.receive(KEY, THERE)
    receiving.write([CONTENT[:5000]])
    receiving.end(failed=True)
    assert _transfers(repository) == [f"failed/download/{THERE}/{KEY}"]
    again = repository.objects.receive(KEY, THERE)
    assert again.offset == 5000
    again.write([CONTENT[5000:]])
    verifying = verifier(KEY)
    assert verifying is not None
    again.hash_written(verifying, 0, again.received)
    assert verifying.matches()
    again.finish()
    again.end(failed=False)
    assert _transfers(repository) == []


def test_a_read_only_partial_file_resumes(repository: Repository) -> None:
    """An earlier process may have frozen it."""
    _partial(repository).parent.mkdir()
    _partial(repository).write_bytes(CONTENT[:100])
    _partial(repository).chmod(0o444)
    receiving = repository.objects.receive(KEY, THERE)
    assert receiving.offset == 100
    receiving.write([CONTENT[100:]])
    assert receiving.finish()
    receiving.end(failed=False)


def test_what_was_added_behind_our_back_goes(repository: Repository) -> None:
    """The offset that the sender was told counts."""
    _partial(repository).parent.mkdir()
    _partial(repository).write_bytes(CONTENT[:100])
    receiving = repository.objects.receive(KEY, THERE)
    with _partial(repository).open("ab") as file:
        file.write(b"foreign")
    receiving.write([CONTENT[100:200]])
    receiving.end(failed=True)
    assert _partial(repository).read_bytes() == CONTENT[:200]


def test_wrong_content_is_deleted(repository: Repository) -> None:
    """With the directory that a downloading program left beside its partial file."""
    work = _partial(repository).parent / f"work.{KEY}"
    work.mkdir(parents=True)
    (work / "part").touch()
    _partial(repository).touch()
    receiving = repository.objects.receive(KEY, THERE)
    receiving.write([b"wrong"])
    receiving.discard()
    assert list(_partial(repository).parent.iterdir()) == []
    assert _transfers(repository) == [f"failed/download/{THERE}/{KEY}"]


def test_one_receiver_at_a_time(repository: Repository) -> None:
    """The second is refused at once, and may come when the first is done."""
    receiving = repository.objects.receive(KEY, THERE)
    before = descriptors()
    with pytest.raises(TransferInProgress):
        repository.objects.receive(KEY, THERE)
    assert descriptors() == before
    receiving.end(failed=None)
    repository.objects.receive(KEY, THERE).end(failed=None)


def test_the_disk_reserve_comes_first(tmp_path: Path) -> None:
    """Nothing is locked or made when there is no room."""
    config = {"annex.diskreserve": "1000 exabytes"}
    repository = make_annex(tmp_path / "repo", config=config)
    before = descriptors()
    with pytest.raises(NotEnoughSpace):
        repository.objects.receive(KEY, THERE)
    assert descriptors() == before
    assert _transfers(repository) == []


def test_a_key_without_a_size_can_be_given_one(repository: Repository) -> None:
    """So that the reserve is kept for it too."""
    key = Key.parse(b"URL--http://example.org/")
    repository.objects.receive(key, THERE, size=10).end(failed=None)
    with pytest.raises(NotEnoughSpace):
        repository.objects.receive(key, THERE, size=10**18)


def test_files_are_copied_in_the_kernel(repository: Repository, tmp_path: Path) -> None:
    """Whole or in part; a source that is too short is noticed."""
    source = tmp_path / "source"
    source.write_bytes(b"head" + CONTENT)
    receiving = repository.objects.receive(KEY, THERE)
    with source.open("rb") as file:
        assert receiving.copy(file.fileno(), 4, 1000) == 1000
        receiving.write([CONTENT[1000:1010]])
        assert receiving.copy(file.fileno(), 1014, 10**9) == len(CONTENT) - 1010
        assert receiving.copy(file.fileno(), 10**6, 10) == 0
    assert _partial(repository).read_bytes() == CONTENT
    receiving.end(failed=None)


def test_shared_blocks_are_the_whole_content_or_nothing(
    repository: Repository, tmp_path: Path
) -> None:
    """Where the file system cannot share, the partial file stays empty."""
    source = tmp_path / "source"
    source.write_bytes(CONTENT)
    receiving = repository.objects.receive(KEY, THERE)
    with source.open("rb") as file:
        shared = receiving.share(file.fileno(), len(CONTENT))
    assert receiving.received == (len(CONTENT) if shared else 0)
    assert _partial(repository).read_bytes() == (CONTENT if shared else b"")
    receiving.end(failed=None)


def test_nothing_is_written_after_the_end(repository: Repository) -> None:
    """A late thread gets an error, and the end waits for one that is writing."""
    receiving = repository.objects.receive(KEY, THERE)
    receiving.write([CONTENT[:10]])
    ending = threading.Thread(target=receiving.end, kwargs={"failed": True})
    ending.start()
    ending.join()
    with pytest.raises(LocalProtocolError):
        receiving.write([CONTENT[10:20]])
    receiving.discard()
    assert _partial(repository).read_bytes() == CONTENT[:10]
    assert receiving.over
