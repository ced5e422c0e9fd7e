"""The processor's configuration: defaults, then a file, then the environment, then flags; the last word wins.

Every value keeps the place it came from, so whatever is wrong is reported where the user wrote it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from sloburn.errors import ConfigError, Problem
from sloburn.sli.dedupe import DEFAULT_CAPACITY
from sloburn.sli.loss_points import OUR_EXPORTERS
from sloburn.spec.cursor import Cursor
from sloburn.spec.syntax import compose

PREFIX = "SLOBURN_"
MAX_PORT = 65535

_LISTS = ("slos", "alertmanager", "collector_exporters")
MAX_TIME_SCALE = 3600


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens; port 0 takes any free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessorConfig:
    """What `sloburn serve` needs to know.

    Args:
        slos: SLO documents, and folders of them.
        watch: Read the SLO documents again when they change; else only SIGHUP does.
        data: Folder of the store.
        otlp_http: Where OTLP/HTTP is received.
        otlp_grpc: Where OTLP/gRPC is received.
        listen: Where page, API and metrics are served.
        tls_certificate: Certificate of both receivers (PEM); None for plain text.
        tls_key: Its key.
        tls_client_authority: Whose certificates senders must show; None to ask for none.
        bearer_token_file: File that holds the token senders must show; None to ask for none.
        alertmanager: Addresses of Alertmanagers that are told of every alert.
        page_url: Address under which people reach the status page, for links in alerts.
        trace_url: Address of a trace in a trace viewer, with ``{trace_id}`` in it, for links on the page.
        max_body_bytes: Largest request taken, before and after inflation.
        dedupe_spans: How many counted spans are remembered for 15 minutes, so that one that is sent again counts once.
            Each takes 16 bytes, the newest 2 million up to 112; with less room they are remembered for less long.
        time_scale: How many times faster than written every window runs; 1 in production.
        collector_exporters: Patterns of the names of a Collector's exporters that send to us: what they report as lost
            is missing here.
    """

    slos: tuple[Path, ...] = ()
    watch: bool = True
    data: Path = Path("sloburn-data")
    otlp_http: Address = Address("127.0.0.1", 4318)
    otlp_grpc: Address = Address("127.0.0.1", 4317)
    listen: Address = Address("127.0.0.1", 4321)
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    tls_client_authority: Path | None = None
    bearer_token_file: Path | None = None
    alertmanager: tuple[str, ...] = ()
    page_url: str = ""
    trace_url: str = ""
    max_body_bytes: int = 64 * 1024 * 1024
    dedupe_spans: int = DEFAULT_CAPACITY
    time_scale: int = 1
    collector_exporters: tuple[str, ...] = OUR_EXPORTERS


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A value as the user wrote it.

    Args:
        texts: One text, or several for a list.
        place: Where it was written, for messages.
        base: Folder that relative paths start from.
    """

    texts: tuple[str, ...]
    place: str
    base: Path = Path()


def load_config(
    *, file: Path | None, environ: Mapping[str, str], flags: Mapping[str, str | list[str] | None]
) -> ProcessorConfig:
    """Put the configuration together.

    Args:
        file: Configuration file (YAML), if any.
        environ: The environment; ``SLOBURN_DATA`` sets `data`, and so on. Lists are separated by commas.
        flags: Values of the command line by key; None where a flag was not given.

    Raises:
        ConfigError: Something is wrong; it lists every problem, each with its place and what was expected.
    """
    problems: list[str] = []
    settings = {**_from_file(file, problems), **_from_environment(environ), **_from_flags(flags)}
    values: dict[str, Any] = {}
    for key, setting in settings.items():
        try:
            values[key] = _READERS[key](setting)
        except ValueError as error:
            problems.append(f"{setting.place}: {error}")
    config = ProcessorConfig() if problems else ProcessorConfig(**values)
    problems += () if problems else (*_clashes(config), *_incomplete_tls(config))
    if problems:
        raise ConfigError("\n".join(problems))
    return config


def _keys() -> tuple[str, ...]:
    return tuple(field.name for field in fields(ProcessorConfig))


def _from_flags(flags: Mapping[str, str | list[str] | None]) -> dict[str, Setting]:
    given = {key: value for key, value in flags.items() if value}
    return {
        key: Setting(texts=(value,) if isinstance(value, str) else tuple(value), place=f"--{key.replace('_', '-')}")
        for key, value in given.items()
        if value
    }


def _from_environment(environ: Mapping[str, str]) -> dict[str, Setting]:
    settings = {}
    for key in _keys():
        text = environ.get(PREFIX + key.upper(), "")
        if text:
            texts = tuple(text.split(",")) if key in _LISTS else (text,)
            settings[key] = Setting(texts=texts, place=PREFIX + key.upper())
    return settings


def _from_file(file: Path | None, problems: list[str]) -> dict[str, Setting]:
    if file is None:
        return {}
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        problems.append(f"{file}: cannot be read: {getattr(error, 'strerror', None) or error}")
        return {}
    root, wrong = compose(text, str(file))
    found: list[Problem] = list(wrong)
    settings: dict[str, Setting] = {}
    if root is not None:
        at = Cursor(node=root, file=str(file), line=1, path="", problems=found)
        settings = {key: _setting(key, value, file) for key, value in at.record(*_keys()).fields.items()}
    problems += [str(problem) for problem in found]
    return settings


def _setting(key: str, at: Cursor, file: Path) -> Setting:
    items = at.items() if at.is_list else (at,)
    texts = tuple(str(item.node.value) if item.is_scalar and not item.is_null else "" for item in items)
    return Setting(texts=texts, place=f"{at.file}:{at.line}: {key}", base=file.parent)


def _one(setting: Setting) -> str:
    if len(setting.texts) != 1:
        raise ValueError(f"found {len(setting.texts)} values; expected one")
    return setting.texts[0]


def _address(setting: Setting) -> Address:
    text = _one(setting)
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not (port.isascii() and port.isdigit()) or int(port) > MAX_PORT:
        raise ValueError(f"found {text!r}; expected HOST:PORT with a port from 0 to {MAX_PORT}, like 127.0.0.1:4318")
    return Address(host, int(port))


def _path(setting: Setting) -> Path:
    if not _one(setting):
        raise ValueError("found nothing; expected a path")
    return setting.base / _one(setting)


def _url(text: str) -> str:
    if not text.startswith(("http://", "https://")) or len(text.split("/")[2]) == 0:
        raise ValueError(f"found {text!r}; expected an address such as http://127.0.0.1:9093")
    return text


def _trace_url(text: str) -> str:
    if "{trace_id}" not in text:
        raise ValueError(f"found {text!r}; expected an address such as http://127.0.0.1:16686/trace/{{trace_id}}")
    return _url(text)


def _file(setting: Setting) -> Path:
    path = _path(setting)
    if not path.is_file():
        raise ValueError(f"found {str(path)!r}, which is no file; expected one that can be read")
    return path


def _paths(setting: Setting) -> tuple[Path, ...]:
    if not setting.texts or not all(setting.texts):
        raise ValueError("found nothing; expected files or folders of SLO documents")
    return tuple(setting.base / text.strip() for text in setting.texts)


def _names(setting: Setting) -> tuple[str, ...]:
    names = tuple(text.strip() for text in setting.texts)
    if not names or not all(names):
        raise ValueError("found nothing; expected names of a Collector's exporters, such as otlp_http/sloburn")
    return names


def _whole(least: int, most: int) -> Callable[[Setting], int]:
    def read(setting: Setting) -> int:
        text = _one(setting)
        if not (text.isascii() and text.isdigit()) or not least <= int(text) <= most:
            raise ValueError(f"found {text!r}; expected a whole number from {least} to {most}")
        return int(text)

    return read


def _yes_or_no(setting: Setting) -> bool:
    text = _one(setting)
    if text not in ("true", "false"):
        raise ValueError(f"found {text!r}; expected true or false")
    return text == "true"


_READERS: dict[str, Callable[[Setting], object]] = {
    "slos": _paths,
    "watch": _yes_or_no,
    "data": _path,
    "otlp_http": _address,
    "otlp_grpc": _address,
    "listen": _address,
    "tls_certificate": _file,
    "tls_key": _file,
    "tls_client_authority": _file,
    "bearer_token_file": _file,
    "alertmanager": lambda setting: tuple(_url(text) for text in setting.texts),
    "page_url": lambda setting: _url(_one(setting)),
    "trace_url": lambda setting: _trace_url(_one(setting)),
    "max_body_bytes": _whole(1024, 2**31 - 1),
    "dedupe_spans": _whole(10_000, 10**9),
    "time_scale": _whole(1, MAX_TIME_SCALE),
    "collector_exporters": _names,
}


def _clashes(config: ProcessorConfig) -> Iterable[str]:
    used: dict[Address, str] = {}
    for key in ("otlp_http", "otlp_grpc", "listen"):
        address: Address = getattr(config, key)
        other = used.setdefault(address, key)
        if other != key and address.port:
            yield f"{other} and {key} are both {address}; expected three different addresses"


def _incomplete_tls(config: ProcessorConfig) -> Iterable[str]:
    if (config.tls_certificate is None) is not (config.tls_key is None):
        yield "tls_certificate and tls_key belong together; expected both or neither"
    elif config.tls_client_authority and not config.tls_certificate:
        yield "tls_client_authority asks senders for certificates; expected tls_certificate and tls_key beside it"
