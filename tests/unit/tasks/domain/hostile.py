"""Texts that somebody may put into a form to make a shell, a server or a sidecar do more."""

import pytest

# never part of a plain word
UNSPEAKABLE = [
    pytest.param("", id="empty"),
    pytest.param(" ", id="blank"),
    pytest.param("a b", id="blank-inside"),
    pytest.param("a\nb", id="line-feed"),
    pytest.param("a\tb", id="tab"),
    pytest.param("a\x00b", id="nul"),
    pytest.param("a\x1b[2Jb", id="escape"),
    pytest.param("a --rm", id="flag-after-name"),
    pytest.param("../a", id="parent-directory"),
    pytest.param("a/b", id="slash"),
    pytest.param("a\\b", id="backslash"),
    pytest.param("a;b", id="semicolon"),
    pytest.param("a;rm -rf /", id="shell"),
    pytest.param("$(a)", id="substitution"),
    pytest.param("`a`", id="backquotes"),
    pytest.param("'a'", id="quotes"),
    pytest.param('"a"', id="double-quotes"),
    pytest.param("a'; DROP TABLE b", id="sql"),
    pytest.param("a#b", id="hash"),
    pytest.param("a%00b", id="percent"),
    pytest.param("a|b", id="pipe"),
    pytest.param("a\u202eb", id="right-to-left"),
    pytest.param("a\u00a0b", id="hard-blank"),
    pytest.param("a\u0301b", id="combining"),
    pytest.param("\ud800", id="lone-surrogate"),
]
# harmless inside of `--tables=`, or stripped there; not so as a name
ODD_NAMES = [
    pytest.param("a\n", id="trailing-line-feed"),
    pytest.param("-a", id="leading-dash"),
    pytest.param("--rm", id="flag"),
    pytest.param("a..b", id="double-dot"),
    pytest.param(".a", id="leading-dot"),
    pytest.param("a.", id="trailing-dot"),
]
HOSTILE = [*UNSPEAKABLE, *ODD_NAMES]
