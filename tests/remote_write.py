"""Native histograms written into a real Prometheus: no text format carries them, so they are pushed, in as much protobuf and Snappy as that takes."""

import struct
import urllib.request
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

FLAGS = ("--web.enable-remote-write-receiver", "--enable-feature=native-histograms")


@dataclass(frozen=True, slots=True)
class Native:
    """A native histogram at ``second``. ``counts``: of its consecutive positive buckets, the first of which is number ``first`` of ``schema``.

    Bucket i ends at 2^(i * 2^-schema); ``zero``: observations of about 0.
    """

    second: int
    counts: Sequence[int]
    first: int = 0
    schema: int = 0
    zero: int = 0


@dataclass(frozen=True, slots=True)
class Plain:
    """A number at ``second``."""

    second: int
    value: float


def push(url: str, series: Iterable[tuple[Mapping[str, str], Sequence[Native | Plain]]]) -> None:
    """The series, by their labels (``__name__`` among them), are in the Prometheus at ``url``. Raises HTTPError where it refuses them."""
    body = _snappy(b"".join(_field(1, _series(labels, samples)) for labels, samples in series))
    headers = {
        "Content-Encoding": "snappy",
        "Content-Type": "application/x-protobuf",
        "X-Prometheus-Remote-Write-Version": "0.1.0",
    }
    request = urllib.request.Request(f"{url}/api/v1/write", body, headers)
    with urllib.request.urlopen(request, timeout=10):
        pass


def _series(labels: Mapping[str, str], samples: Sequence[Native | Plain]) -> bytes:
    named = [_field(1, _field(1, name.encode()) + _field(2, value.encode())) for name, value in sorted(labels.items())]
    return b"".join([*named, *(_field(4, _histogram(one)) if isinstance(one, Native) else _field(2, _plain(one)) for one in samples)])


def _plain(sample: Plain) -> bytes:
    return _double(1, sample.value) + _number(2, sample.second * 1000)


def _histogram(sample: Native) -> bytes:
    deltas = [after - before for before, after in zip([0, *sample.counts], sample.counts, strict=False)]
    span = _number(1, _zigzag(sample.first)) + _number(2, len(sample.counts))
    return b"".join(
        [
            _number(1, sum(sample.counts) + sample.zero),
            _double(3, float(sum(sample.counts))),
            _number(4, _zigzag(sample.schema)),
            _double(5, 1e-128),
            _number(6, sample.zero),
            _field(11, span),
            _field(12, b"".join(_varint(_zigzag(delta)) for delta in deltas)),
            _number(15, sample.second * 1000),
        ]
    )


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def _zigzag(number: int) -> int:
    return number << 1 if number >= 0 else (-number << 1) - 1


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _double(field: int, value: float) -> bytes:
    return _varint(field << 3 | 1) + struct.pack("<d", value)


def _field(field: int, body: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(body)) + body


def _snappy(body: bytes) -> bytes:
    """As Snappy, uncompressed: literals only."""
    pieces = [body[start : start + 0x10000] for start in range(0, len(body), 0x10000)]
    return _varint(len(body)) + b"".join(bytes([61 << 2]) + struct.pack("<H", len(piece) - 1) + piece for piece in pieces)
