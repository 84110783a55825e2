"""Archives: the one named member comes out of any kind, and nothing else of a bad one."""

import io
import tarfile
import zipfile

import pytest

from datasets.archive import extract
from datasets.catalog import Pin, Remote
from datasets.errors import UserError
from tests.served import BODY, entry_of, get, left_behind, packed

pytestmark = pytest.mark.usefixtures("data_home")


BAD_ARCHIVES = {
    "a bomb": lambda: packed(content=b"\0" * (len(BODY) * 50)),
    "a member that leads outside": lambda: packed(member="../set/u.data"),
    "no such member": lambda: packed(member="other"),
    "half an archive": lambda: packed()[:-40],
    "no archive at all": lambda: b"<html>gone</html>",
}


@pytest.mark.parametrize("case", BAD_ARCHIVES)
def test_a_bad_archive_is_refused(server, data_home, case):
    server.answers["toy.zip"] = BAD_ARCHIVES[case]()
    archive = Remote("toy.zip", (server.url("toy.zip"),), None, None)
    with pytest.raises(UserError, match="archive that was refused"):
        get(entry_of(archive=archive))
    assert left_behind(data_home) == []
    assert not (data_home.parent / "set").exists()


def test_any_archive_will_do_when_the_member_is_the_right_one(server, data_home):
    server.answers["toy.zip"] = packed("renamed-folder/set/u.data")
    kept = get(entry_of(archive=Remote("toy.zip", (server.url("toy.zip"),), Pin("sha256", "0" * 64), None)))
    assert kept.verified
    assert kept.path.read_bytes() == BODY
    assert not list(data_home.rglob("toy.zip"))


@pytest.mark.parametrize("kind", ["symlink", "hardlink", "absolute", "device"])
def test_links_and_devices_are_not_unpacked(tmp_path, kind):
    secret = tmp_path / "secret"
    secret.write_text("secret")
    info = tarfile.TarInfo("/u.data" if kind == "absolute" else "u.data")
    info.type = {"symlink": tarfile.SYMTYPE, "hardlink": tarfile.LNKTYPE, "device": tarfile.CHRTYPE}.get(
        kind, tarfile.REGTYPE
    )
    info.linkname = str(secret)
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.addfile(info)
    with pytest.raises(UserError, match=r"not a regular file|no members|outside"):
        extract(tmp_path / "a.tar", "u.data", tmp_path / "out", 1000)
    zipped = zipfile.ZipInfo("u.data")
    zipped.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(zipped, str(secret))
    with pytest.raises(UserError, match="not a regular file"):
        extract(tmp_path / "a.zip", "u.data", tmp_path / "out", 1000)


@pytest.mark.parametrize("suffix", [".zip", ".tar", ".tar.gz", ".tar.bz2", ".tar.xz", ".gz", ".bz2", ".xz", "nested"])
def test_every_kind_of_archive_gives_its_member(tmp_path, suffix):
    import bz2
    import gzip
    import lzma

    path, member = tmp_path / f"a{suffix}", "set/u.data"
    if suffix in (".gz", ".bz2", ".xz"):
        path.write_bytes({".gz": gzip, ".bz2": bz2, ".xz": lzma}[suffix].compress(BODY))
        member = ""
    elif suffix == ".zip":
        path.write_bytes(packed())
    else:
        inner = tmp_path / "inner.tar"
        with tarfile.open(
            inner, "w:" + suffix.removeprefix(".tar").removeprefix(".").removeprefix("nested")
        ) as archive:
            info = tarfile.TarInfo("set/u.data")
            info.size = len(BODY)
            archive.addfile(info, io.BytesIO(BODY))
        path = inner.rename(path)
        if suffix == "nested":
            outer = tmp_path / "outer.zip"
            outer.write_bytes(packed("in/inner.tar", path.read_bytes()))
            path, member = outer, "inner.tar!set/u.data"
    extract(path, member, tmp_path / "out", len(BODY))
    assert (tmp_path / "out").read_bytes() == BODY
    with pytest.raises(UserError, match="unpacks to more"):
        extract(path, member, tmp_path / "out", len(BODY) - 1)
