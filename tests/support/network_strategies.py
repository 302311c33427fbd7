"""Random networks: groups, trust, sizes, expressions, keys and where they are."""

from __future__ import annotations

from hypothesis import strategies as st

from shoal.logs import equivalent, location, metadata, web
from shoal.preferred.globs import is_valid_glob
from shoal.values.key import Key
from shoal.values.uuid import UUID
from tests.support.network import Network

HERE = UUID("eeeeeeee-0000-4000-8000-000000000005")
CLUSTER = UUID("acbbbbbb-0000-8000-8000-000000000003")
REPOSITORIES = (
    HERE,
    CLUSTER,
    *map(
        UUID,
        (
            "11111111-0000-4000-8000-000000000001",
            "99999999-0000-4000-8000-000000000002",
            "aaaaaaaa-0000-4000-8000-000000000003",
            "dddddddd-0000-4000-8000-000000000004",
            "DDDDDDDD-0000-4000-8000-000000000006",
            "0",  # no UUID by its form, but one for git-annex
        ),
    ),
)
_UNLISTED = UUID("77777777-0000-4000-8000-000000000007")  # only location logs speak of it
_STANDARD = (
    *("client", "transfer", "backup", "incrementalbackup", "smallarchive", "archive", "source"),
    *("manual", "public", "unwanted"),
)
_GROUPS = ("g", "g", "g", "pool", "pool", "trusted", "é", "a:b", "x=1")
_FILES = (
    *("a.txt", "b.bin", "sub/c.txt", "sub/deep/d e.dat", "archive/f", "x/archive/old.txt"),
    *("public/é.txt", "sub/public/日本.md", "it's", "b\\c", "[x]", ".hidden/z", "B.TXT", "public"),
)
_DIGESTS = ("2c26b46b68ffc68ff99b453c1d304134", "fcde2b2edba56bf408601fb721fe9b5c")


def _several(values: tuple[str, ...], most: int) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(values), max_size=most, unique=True)


# Expressions

_NUMBERS = st.sampled_from(
    [
        *["1"] * 12, *["2"] * 8, *["3"] * 3, "0", "4", "9", "-1", "1x", "01", "0x2", "0o1", "-0",
        "2_", "2-1", "99999999999999999999", "-99999999999999999999",
        "", "+1", "1.5", "x", "1e1", "1:", "\u0661",
    ]
)  # fmt: skip
_SIZES = st.builds(
    str.__add__,
    st.sampled_from(
        [
            "0", "1", "10", "1.5", "0.5", "2.5", "999", "1000", "1024", "1e3", "-1", "0x10", "1.",
            ".5", "+1", "1,5", "NaN", "Infinity", "1_000", "", "1e400", "12345",
        ]
    ),
    st.sampled_from(
        [
            "", "", "b", "B", "k", "kb", "kB", "KB", "kib", "ki", "mb", "gigabytes", "kbit", "bit",
            "kbyte", "kilobyte", "TB", "qb", "kb/s", "b5", "é", "zib",
        ]
    ),
)  # fmt: skip
_PIECES = st.sampled_from(
    [
        "*", "*", "*", "?", "/", "sub", "archive", "public", ".txt", ".", "a", "[a-c]", "[!a]",
        "[^b]", "[[:alpha:]]", "[]x]", "\\", "'", "`", "<", ">", "é", "日", "-", "b", "//", "**",
        "[x]", "{",
    ]
)  # fmt: skip


def _is_usable(glob: str) -> bool:
    """The real program ends where a glob is no valid pattern: see docs/differences.md."""
    one_word = not set(glob) & set(" ()")
    return one_word and is_valid_glob(glob) and is_valid_glob(glob, file=False)


_globs = (
    st.sampled_from(
        ["*", "*.txt", "sub/*", "*/archive/*", "?.*", "*é*", "[ab].*", "日?.md", *_FILES]
    )
    | st.lists(_PIECES, max_size=6).map("".join)
).filter(_is_usable)
_groups = st.sampled_from([*_GROUPS, *_STANDARD, "nobody", ""])
_levels = st.sampled_from(["trusted", "semitrusted", "untrusted", "dead"])
_who = st.one_of(
    _groups, _levels, _levels.map("{}+".format), _groups.map("{}+".format), st.just("trusted++")
)
_FIELDS = st.sampled_from(
    ["tag", "TAG", "year", "year", "lastchanged", "tag-lastchanged", "nofield", "é", "_", "a.b", ""]
)
_VALUES = st.sampled_from(
    [
        "work", "WORK", "*", "w?rk", "1999", "2000", "2000.0", "2e3", "0x7d0", "2000x",
        "2023-11-15", "2024", "20*", "", "NaN",
        "-5",
    ]
)  # fmt: skip
# The real program counts up to the number, however large: see docs/differences.md.
_small_numbers = _NUMBERS.filter(lambda text: len(text) < 10)
_amount = st.one_of(
    st.sampled_from(["", "", "", ":lackingcopies", ":lackingcopies:1"]),
    _small_numbers.map(":{}".format),
)


def _term(name: str, *values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.tuples(*values).map(lambda drawn: f"{name}={''.join(drawn)}")


_balanced = st.one_of(
    *[
        _term(name, st.sampled_from(["g", "g", "g", "pool", "pool"]) | _groups, _amount)
        for name in ("balanced", "fullybalanced", "sizebalanced", "fullysizebalanced")
    ]
)
_copies = st.one_of(
    _term("copies", _NUMBERS),
    _term("copies", _who, st.just(":"), _NUMBERS),
    _term("lackingcopies", _NUMBERS),
    _term("approxlackingcopies", _NUMBERS),
    _term("lackingcopies", _who, st.just(":"), _NUMBERS),
    _term("approxlackingcopies", _groups, st.just(":"), _NUMBERS),
    _term("inallgroup", _groups),
    _term("onlyingroup", _groups),
)
_others = st.one_of(
    st.sampled_from(
        ["anything", "nothing", "present", "present", "inpreferreddir", "securehash", "unused"]
    ),
    st.sampled_from(["standard", "groupwanted"]),
    _term("include", _globs),
    _term("exclude", _globs),
    _term("largerthan", _SIZES),
    _term("smallerthan", _SIZES),
    _term("inbackend", st.sampled_from(["SHA256E", "SHA256", "WORM", "URL", "VURL", "sha256", ""])),
    _term("metadata", _FIELDS, st.sampled_from(["=", "=", "<", "<=", ">", ">=", ""]), _VALUES),
    _term("url", _globs | st.sampled_from(["*example.com*", "http*", "*", "HTTP*", "yt:*"])),
    st.sampled_from(
        ["present=1", "include", "balanced", "copies", "Include=*", "AND", "&&", "in=g"]
    ),
)
_terms = st.one_of(_balanced, _copies, _copies, _others, _others)


@st.composite
def _mixed(draw: st.DrawFn) -> str:
    """Terms with connectives and parentheses between them, mostly well-formed."""
    count = draw(st.integers(1, 5))
    words = []
    for number in range(count):
        if number:
            words += draw(st.sampled_from([["and"], ["or"], ["and"], ["or"], [], ["or", "and"]]))
        words += draw(
            st.sampled_from([[], [], [], ["not"], ["("], ["(", "not"], ["not", "("], ["not"] * 2])
        )
        words.append(draw(_terms))
        words += draw(st.sampled_from([[], [], [], [")"], [")", ")"]]))
    return " ".join(words)


_SOUND = ("standard", "groupwanted", "present", "anything", "balanced=g", "sizebalanced=pool:2")
expressions = st.one_of(
    _mixed(), _mixed(), _mixed(), _terms, st.sampled_from([*_SOUND, "", "or", "()"])
)


# What the git-annex branch says

_clocks = st.sampled_from(
    ["1700000000s", "1700000000s", "1700000001.5s", "0s", "-5s", "1600000000s"]
)


@st.composite
def _uuid_log(draw: st.DrawFn, values: st.SearchStrategy[str | None]) -> bytes:
    """Lines of the old style: UUID, value, timestamp; sometimes two for one repository."""
    lines = []
    for repo in draw(st.permutations([*REPOSITORIES, REPOSITORIES[2]])):
        if (value := draw(values)) is not None:
            lines.append(f"{repo} {value} timestamp={draw(_clocks)}\n")
    return "".join(lines).encode("utf-8", "surrogateescape")


@st.composite
def _max_sizes(draw: st.DrawFn) -> bytes:
    sizes = st.sampled_from(
        [
            None, None, "0", "1", "1000", "5000", "20000", "1000000", "3000000", "10000000000",
            "1000000000000000000000000", "0x1000", "1e3", "-5", "5000abc",
        ]
    )  # fmt: skip
    lines = []
    for repo in REPOSITORIES:
        if (size := draw(sizes)) is not None:
            lines.append(f"{draw(_clocks)} {repo} {size}\n")
    return "".join(lines).encode()


@st.composite
def _group_wanted(draw: st.DrawFn) -> bytes:
    lines = [
        f"{draw(_clocks)} {group} {draw(expressions)}\n"
        for group in draw(_several(("g", "pool", "client", "é"), 2))
    ]
    return "".join(lines).encode("utf-8", "surrogateescape")


_preferred_dirs = st.sampled_from([None, None, None, "public", "sub", "archive", "x/archive", ""])


@st.composite
def _remote_log(draw: st.DrawFn) -> bytes:
    lines = []
    for repo in REPOSITORIES[2:]:
        if (directory := draw(_preferred_dirs)) is not None:
            exported = draw(st.sampled_from(["", "", "", " exporttree=yes"]))
            lines.append(
                f"{repo}{exported} name=n preferreddir={directory} type=S3 timestamp=1700000000s\n"
            )
    return "".join(lines).encode()


@st.composite
def _of_all(draw: st.DrawFn) -> dict[str, bytes]:
    """Logs that do not belong to one key."""
    groups = st.builds(
        lambda some, standard: " ".join([*some, *standard]) or None,
        _several(_GROUPS[2:], 3),
        st.one_of(st.just([]), _several(_STANDARD, 1), _several(_STANDARD, 2)),
    )
    trust = st.sampled_from([None, None, None, None, "1", "0", "?", "X"])
    described = "".join(f"{repo} name timestamp=1700000000s\n" for repo in REPOSITORIES)
    required = st.one_of(st.none(), st.none(), st.none(), expressions)
    numcopies = draw(st.sampled_from([None, None, "1", "2", "2", "3", "0", "-1", "x", "2 "]))
    nodes = draw(_several(REPOSITORIES[2:6], 3))
    logs = {
        "uuid.log": described.encode(),
        "group.log": draw(_uuid_log(groups)),
        "trust.log": draw(_uuid_log(trust)),
        "preferred-content.log": draw(_uuid_log(st.one_of(expressions, expressions, st.none()))),
        "required-content.log": draw(_uuid_log(required)),
        "group-preferred-content.log": draw(_group_wanted()),
        "maxsize.log": draw(_max_sizes()),
        "remote.log": draw(_remote_log()),
        "cluster.log": f"1700000000s {CLUSTER} {' '.join(nodes)}\n".encode(),
    }
    if numcopies is not None:
        logs["numcopies.log"] = f"{draw(_clocks)} {numcopies}\n".encode()
    return logs


# Keys

_key_sizes = st.sampled_from([None, None, 0, 1, 999, 1000, 1024, 4096, 15_000, 2_000_000, 10**18])
_backends = st.sampled_from(
    [
        b"SHA256E", b"SHA256E", b"SHA256", b"MD5", b"SHA1E", b"WORM", b"URL", b"VURL", b"XFOO",
        b"SKEIN256",
    ]
)  # fmt: skip


@st.composite
def _keys(draw: st.DrawFn, number: int) -> Key:
    backend = draw(_backends)
    name = f"{_DIGESTS[number % 2]}{number}".encode()
    if backend == b"URL":
        name = b"http&c%%example.com%" + name
    return Key(backend, name + (b".txt" if backend.endswith(b"E") else b""), draw(_key_sizes))


_statuses = st.sampled_from("1100X")
_places = st.sampled_from([*REPOSITORIES, _UNLISTED])


@st.composite
def _location_log(draw: st.DrawFn) -> bytes:
    holders = draw(st.lists(_places, max_size=5, unique=True))
    lines = [f"1700000000s 1 {repo}\n" for repo in holders]
    for repo in draw(st.lists(_places, max_size=2)):
        lines.append(f"{draw(_clocks)} {draw(_statuses)} {repo}\n")
    return "".join(lines).encode()


_URLS = (
    "http://example.com/1",
    "https://x.org/a?b",
    "yt:http://v.example.com/2",
    ":http://o/",
    "quvi:q",
)
_SET = (
    "tag +work",
    "tag +Work +play",
    "year +1999",
    "year +2000",
    "year +2000.0 +abc +1999-5",
    "é +1",
)


@st.composite
def _of_key(draw: st.DrawFn, key: Key) -> dict[str, bytes]:
    """Logs of one key."""
    logs = {location.path(key): draw(_location_log())}
    if urls := draw(_several(_URLS, 2)):
        lines = [f"1700000000s {draw(st.sampled_from('1110'))} {url}\n" for url in urls]
        logs[web.path(key)] = "".join(lines).encode()
    if fields := draw(_several(_SET, 2)):
        lines = [f"{draw(_clocks)} {field}\n" for field in fields]
        logs[metadata.path(key)] = "".join(lines).encode()
    if key.backend == b"VURL":
        known = draw(st.sampled_from([None, "SHA256-s5--abc", "MD5-s5--abc"]))
        if known is not None:
            logs[equivalent.path(key)] = f"1700000000s 1 {known}\n".encode()
    return logs


_LINES = (
    *("*.txt annex.numcopies=3", "sub/* annex.numcopies=1", "* annex.numcopies=2"),
    *("*.bin annex.numcopies=x", "public/** annex.numcopies=0", "*.md !annex.numcopies"),
)


@st.composite
def networks(draw: st.DrawFn) -> Network:
    """Networks that are seen from HERE."""
    names = draw(st.lists(st.sampled_from(_FILES), min_size=2, max_size=10, unique=True))
    if "public" in names:  # a file, so no directory
        names = [name for name in names if not name.startswith("public/")]
    keys = [draw(_keys(number)) for number in range(draw(st.integers(1, len(names))))]
    files = {
        name: keys[number] if number < len(keys) else draw(st.sampled_from(keys))
        for number, name in enumerate(names)
    }
    branch = draw(_of_all())
    for key in keys:
        branch |= draw(_of_key(key))
    config = {}
    if (
        threshold := draw(st.sampled_from([None, None, "50", "1", "0", "99", "100%", "x"]))
    ) is not None:
        config["annex.fullybalancedthreshhold"] = threshold
    if (copies := draw(st.sampled_from([None, None, "2", "0", "x"]))) is not None:
        config["annex.numcopies"] = copies
    return Network(
        here=HERE,
        repositories=REPOSITORIES,
        branch=branch,
        files=files,
        contents=frozenset(draw(st.lists(st.sampled_from(keys), max_size=4, unique=True))),
        attributes="".join(f"{line}\n" for line in draw(_several(_LINES, 3))),
        config=config,
    )
