"""What counts as a secret: names of fields that hold one, and texts that are one.

Names are judged word by word, so that ``user_password``, ``userPassword`` and ``X-Api-Key`` are found while
``max_tokens``, ``password_changed`` and ``author`` stay readable. Every pattern runs in time linear in its text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Final, Literal

# How a field is treated by its name: `unless_number` is for words such as token, which also count things.
Sensitivity = Literal["no", "unless_number", "always"]
# Gets what was found and the name of the rule that found it; returns what is written instead.
Replace = Callable[[str, str], str]
Judge = Callable[[str], Sensitivity]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_SECRET_WORDS: Final = _words(
    """password passwords passwd pwd passphrase passcode secret secrets credential credentials authorization cookie
    cookies apikey jwt csrf csrftoken xsrf xsrftoken cvv cvc ssn token tokens sessionid accesskey privatekey authtoken
    accesstoken refreshtoken idtoken clientsecret"""
)
# Names that are written as one word, such as PGPASSWORD.
_SECRET_ENDINGS: Final = ("password", "passwd", "passphrase", "secret", "apikey", "token")
# Secret only where the name ends with them: auth_failures and pin_to_top are something else.
_SECRET_LAST_WORDS: Final = frozenset({"auth", "bearer", "otp", "pass", "pin"})
_SECRET_PAIRS: Final = _words(
    """api_key access_key private_key secret_key encryption_key signing_key master_key account_key session_id
    session_key session_token amz_signature goog_signature card_number credit_card social_security connection_string"""
)
# Of the secrets, those that are often numbers; a number under any other name is a count.
_NUMERIC: Final = _words("password passwd pwd passcode cvv cvc ssn pin otp card_number credit_card")
# A secret's name, age or size is no secret.
_DESCRIBING_WORDS: Final = _words(
    """age at changed consent count counts enabled endpoint exists expired expires expiration expiry id in index kind
    len length limit method name path policy present provider required sent set size status strength timeout ttl type
    uri url usage used valid version"""
)
_WORDS: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_LONGEST_NAME = 200


def sensitivity(name: str, extra: Iterable[str] = ()) -> Sensitivity:
    """Judge a field by its name.

    Args:
        name: Its name in any spelling: ``user_password``, ``userPassword``, ``X-Api-Key``, ``db.password``.
        extra: Further names that are always secret, lower case, without punctuation.
    """
    name = name[-_LONGEST_NAME:]
    joined = "".join(filter(str.isalnum, name)).lower()
    if any(wanted in joined for wanted in extra):
        return "always"
    words = [word.lower() for word in _WORDS.findall(name)]
    is_described = bool(words) and words[-1] in _DESCRIBING_WORDS
    pairs = words[-2:] if is_described else words
    found = {f"{left}_{right}" for left, right in pairwise(pairs)} & _SECRET_PAIRS
    if not is_described:
        found |= _SECRET_WORDS.intersection(words) | _SECRET_LAST_WORDS.intersection(words[-1:])
        found |= {ending for ending in _SECRET_ENDINGS for word in words if word.endswith(ending)}
    if not found:
        return "no"
    return "unless_number" if found.isdisjoint(_NUMERIC) else "always"


_HEADER = re.compile(r"\b(?i:proxy-authorization|authorization|set-cookie|cookie)\\?[\"']?\s{0,3}[:=]\s{0,3}(?=\S)")
# Before a name may stand what an option begins with (--password=x), after it what a form does (user[password]=x).
# Its first letter comes before what must not precede it: `re` skips to letters fast.
_NAME = re.compile(r"([A-Za-z_](?<!\w.)(?<!\w[.-].)[\w.-]{1,63}+)\\?[\"']?\[?\]?\s{0,3}[=:]\s{0,3}")
_ENCODED_NAME = re.compile(r"(?:(?<=%5[Bb])|(?<!\w))([A-Za-z_][\w.-]{1,63}+)(?:%5[Bb])?%5[Dd]=")
# A pair among others as Python shows it, such as an ASGI header: [(b'x-api-key', b'x')].
_PAIR = re.compile(r"(?:(?<=\[)|(?<=, ))\(b?'([A-Za-z_][\w.-]{1,63}+)', b?(?=[\"'])")
# A value in quotes, in quotes that are escaped because all of it stands in quotes, or up to what ends a word.
_QUOTED = r"\\(?P<quote>[\"'])(?:[^\\]|\\(?!(?P=quote)))+|\"(?:[^\"\\]|\\.)+|'(?:[^'\\]|\\.)+"
_VALUE = re.compile(_QUOTED + r"|[^ \t\r\n,;&\"'(){}\[\]<>]+|\[redacted\]", re.DOTALL)
_LINE = re.compile(_QUOTED + r"|[^\r\n]+", re.DOTALL)
_IN_URL = r"[^ \t\r\n/?#\"'<>@]"
_USER_OF_URL = re.compile(rf"://({_IN_URL}{{1,512}}+(?:@{_IN_URL}{{1,512}}+)*?)@(?={_IN_URL}*+(?!@))")
_SCHEME = re.compile(r"\b((?i:bearer|basic)\s{1,3})(?=[^\s]{0,200}?(?:[0-9=]|[a-z][A-Z]))([\w.~+/=-]{8,})")
_WHOLES: Final[tuple[tuple[str, re.Pattern[str]], ...]] = (
    (
        "private key",
        re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]{0,40}-----|\Z)", re.DOTALL),
    ),
    ("jwt", re.compile(r"(?<![\w-])eyJ[\w-]{5,}+\.[\w-]{5,}+(?:\.[\w-]*+)?")),
    (
        "aws key",
        re.compile(r"(?<![A-Za-z0-9])(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}(?![A-Za-z0-9])"),
    ),
    (
        "token",
        re.compile(
            r"(?<![\w-])(?:gh[pousr]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|xox[abeprs]-[\w-]{10,}|"
            r"SG\.[\w-]{16,}\.[\w-]{16,}|"
            r"[sr]k_(?:live|test)_\w{10,}|sk-[\w-]{20,}|AIza[\w-]{30,}|npm_\w{30,}|pypi-[\w-]{30,}|hf_\w{20,})"
        ),
    ),
)
# Where only the address is the secret: a signed URL, a Slack webhook.
_SIGNATURE = re.compile(r"(?<![\w.-])((?i:sig|signature)=)([\w.~+/=%-]{16,})")
_WEBHOOK = re.compile(r"(/(?:services|workflows|triggers)/[TE][A-Z0-9]{5,}/)([\w/]{10,})")
_CARD = re.compile(r"(?<![\w.+-])\d{4}[ -]?\d{4,6}[ -]?\d{2,5}(?:[ -]?\d{1,4})?(?:[ -]?\d{1,3})?(?![\w-]|\.\d)")
# Spelled out: a repetition as the first element would keep `re` from skipping to the first digit.
_DIGITS = re.compile(r"[0-9][0-9][0-9][0-9][ -]?[0-9][0-9][0-9][0-9]").search
_MARKS = re.compile(r"[=:@]").search
# What OpenTelemetry's conventions write into url.query and url.full.
_REPLACED_BEFORE: Final = frozenset({"REDACTED"})
_SHORTEST_TOKEN = 13
_LEAST_CARD, _MOST_CARD = 10**12, 10**19

# Who issues cards: leading digits from, to, and lengths. https://en.wikipedia.org/wiki/Payment_card_number
_ISSUERS: Final = (
    (4, 4, (13, 16, 19)),  # Visa
    (51, 55, (16,)),  # Mastercard
    (2221, 2720, (16,)),  # Mastercard
    (34, 34, (15,)),  # American Express
    (37, 37, (15,)),  # American Express
    (300, 305, (14,)),  # Diners Club
    (36, 36, (14,)),  # Diners Club
    (38, 39, (14,)),  # Diners Club
    (6011, 6011, (16, 19)),  # Discover
    (644, 659, (16, 19)),  # Discover
    (3528, 3589, (16, 19)),  # JCB
    (62, 62, (16, 17, 18, 19)),  # UnionPay
)


def may_hold_secret(text: str) -> bool:
    """Tell in a fraction of a microsecond whether the patterns below are worth running: most texts hold none."""
    return _MARKS(text) is not None or (
        len(text) >= _SHORTEST_TOKEN and (_may_hold_token(text) or _has_pair(text) or _has_digits(text))
    )


def _may_hold_token(text: str) -> bool:
    """Look for signs one of which every token has; plain `in` beats one regular expression five times."""
    if "eyJ" in text or "IA" in text or "AIza" in text or "CCA" in text or "PRIVATE" in text or _has_scheme(text):
        return True
    if "SG." in text:
        return True
    if "_" in text and ("gh" in text or "github_" in text or "k_" in text or "npm_" in text or "hf_" in text):
        return True
    return "-" in text and ("glpat-" in text or "xox" in text or "sk-" in text or "pypi-" in text)


def _has_scheme(text: str) -> bool:
    return "earer" in text or "asic" in text or "EARER" in text


def _has_pair(text: str) -> bool:
    return "[(" in text


def _has_digits(text: str) -> bool:
    return _DIGITS(text) is not None


def replace_secrets(text: str, judge: Judge, replace: Replace) -> str:
    """Replace every secret in a text.

    Args:
        text: What to search.
        judge: Judges the name in ``name=value`` and ``name: value``.
        replace: Says what is written instead.
    """
    if _may_hold_token(text):
        for rule, pattern in _WHOLES:
            text = pattern.sub(lambda found, rule=rule: replace(found[0], rule), text)  # type: ignore[misc]
    text = _replace_in_addresses(text, replace)
    if "ookie" in text or "uthorization" in text or "OOKIE" in text or "UTHORIZATION" in text:
        text = _replace_after(text, _HEADER, _LINE, _always, lambda found: replace(found, "header"))
    if _has_scheme(text):
        text = _SCHEME.sub(lambda found: found[1] + replace(found[2], "authorization"), text)
    if "=" in text or ":" in text:
        text = _replace_after(text, _NAME, _VALUE, judge, lambda found: replace(found, "field"))
    if "%5" in text:
        text = _replace_after(text, _ENCODED_NAME, _VALUE, judge, lambda found: replace(found, "field"))
    if _has_pair(text):
        text = _replace_after(text, _PAIR, _VALUE, judge, lambda found: replace(found, "field"))
    if _has_digits(text):
        text = _CARD.sub(lambda found: replace(found[0], "card") if is_card(found[0]) else found[0], text)
    return text


def _replace_in_addresses(text: str, replace: Replace) -> str:
    if "@" in text:
        text = _USER_OF_URL.sub(lambda found: f"://{replace(found[1], 'url')}@", text)
    if "ig=" in text or "ignature=" in text:
        text = _SIGNATURE.sub(lambda found: found[1] + replace(found[2], "url"), text)
    if "/services/T" in text or "hooks.slack." in text:
        text = _WEBHOOK.sub(lambda found: found[1] + replace(found[2], "url"), text)
    return text


def _always(_: str) -> Sensitivity:
    return "always"


def _replace_after(
    text: str, names: re.Pattern[str], values: re.Pattern[str], judge: Judge, replace: Callable[[str], str]
) -> str:
    """Replace the value after each secret name; the others are searched on, as ``url=https://h/?token=x`` nests."""
    parts, done = [], 0
    for name in names.finditer(text):
        judged = judge(name[name.lastindex or 0]) if name.start() >= done else "no"
        value = values.match(text, name.end()) if judged != "no" else None
        if value is not None and (judged == "always" or not value[0].isdigit()):
            opening = 2 if value[0][:2] in ('\\"', "\\'") else int(value[0][0] in "\"'")
            secret = value[0][opening:]
            if not secret.startswith("[redacted") and secret not in _REPLACED_BEFORE:
                parts += [text[done : name.end()], value[0][:opening], replace(secret)]
                done = value.end()
    return "".join([*parts, text[done:]]) if parts else text


def is_card_number(value: int) -> bool:
    """Tell whether a whole number is a payment card's."""
    return _LEAST_CARD <= value < _MOST_CARD and is_card(str(value))


def is_card(text: str) -> bool:
    """Tell whether digits, with or without separators, are a payment card's number: issuer, length and check digit."""
    digits = text.replace(" ", "").replace("-", "")
    return _has_issuer(digits) and _passes_luhn(digits)


def _has_issuer(digits: str) -> bool:
    return any(
        len(digits) in lengths and first <= int(digits[: len(str(first))]) <= last for first, last, lengths in _ISSUERS
    )


def _passes_luhn(digits: str) -> bool:
    """Check the last digit (https://en.wikipedia.org/wiki/Luhn_algorithm)."""
    doubled = (int(digit) * 2 for digit in digits[-2::-2])
    return (sum(int(digit) for digit in digits[-1::-2]) + sum(value - 9 * (value > 9) for value in doubled)) % 10 == 0
