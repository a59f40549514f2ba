"""Secrets, known by their shape or by the name before them, replaced by labels before anything is written.

Regular expressions are made when a text first looks as if it might hold one: most processes never need them.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from re import Pattern

KEY = "[API_KEY]"
TOKEN = "[TOKEN]"
JWT = "[JWT]"
PRIVATE_KEY = "[PRIVATE_KEY]"
CREDENTIALS = "[CREDENTIALS]"
SECRET = "[SECRET]"

_HINTS = (
    "sk-", "sk_", "rk_", "pk_", "pk-", "whsec_", "AKIA", "ASIA", "AIza", "ya29.", "gh", "glpat-", "xox", "xapp-",
    "hf_", "gsk_", "xai-", "r8_", "pplx-", "fw_", "nvapi-", "tvly-", "lsv2_", "npm_", "pypi-", "SG.", "dop_v1_",
    "dapi", "jina_", "tgp_v1_", "csk-", "eyJ", "PRIVATE KEY", "://", "earer ",
)  # fmt: skip
_KEYS = (
    r"sk-[A-Za-z0-9_-]{8,}", r"csk-[A-Za-z0-9]{20,}", r"[srp]k-lf-[0-9a-f-]{20,}",
    r"[srp]k_(?:live|test|prod)_[A-Za-z0-9]{10,}", r"whsec_[A-Za-z0-9+/=]{16,}", r"sk_[A-Za-z0-9]{32,}",
    r"A(?:KIA|SIA)[A-Z0-9]{16}", r"AIza[A-Za-z0-9_-]{30,}", r"ya29\.[A-Za-z0-9_-]{20,}",
    r"gh[pousr]_[A-Za-z0-9]{30,}", r"github_pat_[A-Za-z0-9_]{22,}", r"glpat-[A-Za-z0-9_-]{16,}",
    r"xox[abeoprs]-[A-Za-z0-9-]{10,}", r"xapp-[A-Za-z0-9-]{10,}", r"hf_[A-Za-z0-9]{20,}", r"gsk_[A-Za-z0-9]{20,}",
    r"xai-[A-Za-z0-9]{20,}", r"r8_[A-Za-z0-9]{20,}", r"pplx-[A-Za-z0-9]{20,}", r"fw_[A-Za-z0-9]{16,}",
    r"nvapi-[A-Za-z0-9_-]{20,}", r"tvly-[A-Za-z0-9_-]{16,}", r"lsv2_[a-z]{2}_[A-Za-z0-9_]{20,}",
    r"npm_[A-Za-z0-9]{30,}", r"pypi-[A-Za-z0-9_-]{16,}", r"SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}",
    r"dop_v1_[0-9a-f]{40,}", r"dapi[0-9a-f]{32}", r"jina_[A-Za-z0-9_-]{20,}", r"tgp_v1_[A-Za-z0-9_-]{20,}",
)  # fmt: skip
_SHAPES = (
    (
        r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----[^-]*"
        r"(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----)?",
        PRIVATE_KEY,
    ),
    (r"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)*", JWT),
    # a backslash and n: a line end in code, or in JSON within a text
    (rf"(?:(?<![A-Za-z0-9_])|(?<=\\[nrt]))(?:{'|'.join(_KEYS)})", KEY),
    (r"(?i)(?<![A-Za-z0-9_])(bearer\s+)[A-Za-z0-9._~+/=-]{12,}", rf"\g<1>{TOKEN}"),
    (r"(://)[^\s/?#\"'<>]{1,512}@", rf"\g<1>{CREDENTIALS}@"),
)
_QUERY = (
    r"(?i)([?&;](?:[a-z0-9_.-]{0,40}(?:key|token|secret|password|passwd|signature|credential)|auth|authorization|sig|pwd|"
    r"code)=)[^&;\s\"'<>#]+"
)
# what a name ends with if its value is a secret: OPENAI_API_KEY, --api-key, x-api-key, client_secret
_NAME = (
    r"(?:api[_-]?key|access[_-]?key|account[_-]?key|subscription[_-]?key|secret[_-]?key|private[_-]?key|"
    r"_key|-key|token|secret|password|passwd|passphrase|pwd|credentials?|authorization|cookie|"
    r"[_-]auth|apikey)"
)
_ASSIGNMENTS = (
    # a header, whose value goes on to the end of the line or of the quotes
    (r"(?i)((?:proxy-)?authorization|(?:set-)?cookie)(\s{0,3}:\s{0,3})[^\"'\r\n\\]+", rf"\g<1>\g<2>{SECRET}"),
    # NAME=value, NAME: value, "name": "value"
    (
        rf"(?i)({_NAME}[\"']?\s{{0,3}}[=:]\s{{0,3}}[\"']?)"
        rf"((?<=')[^']+(?=')|(?<=\")[^\"]+(?=\")|[^\s\"'&;,<>{{}}\[\]]+)",
        rf"\g<1>{SECRET}",
    ),
    # --name value
    (rf"(?i)((?:^|\s)--?[a-z0-9_.-]{{0,60}}{_NAME}\s+[\"']?)([^\s\"'-][^\s\"']*)", rf"\g<1>{SECRET}"),
)
_FLAG = rf"(?i)^--?[a-z0-9_.-]*{_NAME}$"
_CREDENTIAL_FLAGS = ("-u", "--user", "--proxy-user")  # curl's

_made: dict[str, Pattern[str]] = {}

# roles, models and hosts come again with every call; ids do not, and fill what is left
harmless: set[str] = set()
"""Texts that were looked at before; nobody else adds to them."""
_REMEMBERED = 1024
_SHORT = 64  # characters


def scrubbed(text: str) -> str:
    """The text without keys of known shapes, bearer tokens and credentials in URLs."""
    if text in harmless:
        return text
    for hint in _HINTS:
        if hint in text:
            return with_shapes_replaced(text)
    if len(text) <= _SHORT and len(harmless) < _REMEMBERED:
        harmless.add(text)
    return text


def with_shapes_replaced(text: str) -> str:
    """As `scrubbed`, for long texts, which are worth searching anyway."""
    for shape, label in _SHAPES:
        text = _pattern(shape).sub(label, text)
    if "=" in text:
        text = _pattern(_QUERY).sub(rf"\g<1>{SECRET}", text)
    return text


def without_assignments(text: str) -> str:
    """The text without the values of what names itself a key, token, password or cookie."""
    for shape, label in _ASSIGNMENTS:
        text = _pattern(shape).sub(label, text)
    return text


def is_secret_name(name: str) -> bool:
    """Whether a value under this name is to be taken for a secret."""
    return _pattern(rf"(?i)^[a-z0-9_.\s-]*{_NAME}$").match(name) is not None


def command_without_secrets(words: Sequence[str]) -> list[str]:
    """A command line whose keys, headers and variables hold labels, for the record of what was run."""
    return list(_words(words))


def _words(words: Iterable[str]) -> Iterable[str]:
    follows = ""
    for word in words:
        if follows == "secret" and not word.startswith("--"):
            yield SECRET
        elif follows == "credentials" and ":" in word:
            yield CREDENTIALS
        else:
            yield with_shapes_replaced(without_assignments(word))
        follows = ""
        if _pattern(_FLAG).match(word):
            follows = "secret"
        elif word in _CREDENTIAL_FLAGS:
            follows = "credentials"


def _pattern(text: str) -> Pattern[str]:
    made = _made.get(text)
    if made is None:
        import re

        made = _made[text] = re.compile(text)
    return made
