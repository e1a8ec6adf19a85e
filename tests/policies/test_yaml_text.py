"""YAML text to values with places: what is read, what is refused, and that nothing is ever raised."""

import itertools

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from rollbackd.policies.text.yaml_text import MAX_FAULTS, parse


def values(text: str) -> list[object]:
    parsed = parse(text, "f.yaml")
    assert parsed.faults == ()
    return [document.root.data for document in parsed.documents]


def refusals(text: str) -> list[str]:
    return [str(fault) for fault in parse(text, "f.yaml").faults]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param("off", "off", id="off-is-a-word"),
        pytest.param("on", "on", id="on-is-a-word"),
        pytest.param("yes", "yes", id="yes-is-a-word"),
        pytest.param("true", True, id="true"),
        pytest.param("1:30", "1:30", id="no-sexagesimals"),
        pytest.param("0123", 123, id="no-octal-by-leading-zero"),
        pytest.param("0o17", 15, id="octal"),
        pytest.param("0x1F", 31, id="hexadecimal"),
        pytest.param("1_000", "1_000", id="no-underscores"),
        pytest.param("2024-01-01", "2024-01-01", id="no-dates"),
        pytest.param("1e3", 1000.0, id="exponent"),
        pytest.param("-.5", -0.5, id="bare-fraction"),
        pytest.param(".inf", float("inf"), id="infinity"),
        pytest.param("~", None, id="null"),
        pytest.param("'5'", "5", id="quoted-number-is-a-string"),
        pytest.param("=", "=", id="no-value-tag"),
        pytest.param("9" * 5000, "9" * 5000, id="an-integer-beyond-all-use-stays-text"),
    ],
)
def test_plain_scalars_mean_what_yaml_1_2_says(text: str, value: object) -> None:
    assert values(f"a: {text}") == [{"a": value}]


def test_every_document_of_a_file_is_read_and_empty_ones_are_skipped() -> None:
    assert values("a: 1\n---\n---\nb: 2\n") == [{"a": 1}, {"b": 2}]


def test_a_byte_order_mark_is_not_part_of_the_text() -> None:
    assert values("\ufeffa: 1\n") == [{"a": 1}]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param(
            "a: &x [1]\n",
            ["f.yaml:1:4: document 1 › a: expected a value without an anchor, found the anchor '&x'; anchors are not supported: repeat the value"],
            id="anchor",
        ),
        pytest.param(
            "metadata: {name: shop}\nspec:\n  a: *x\n",
            ["f.yaml:3:6: policy 'shop' › a: expected a value written out, found the alias '*x'; aliases are not supported: repeat the value"],
            id="alias",
        ),
        pytest.param(
            "<<: {a: 1}\n",
            ["f.yaml:1:1: document 1: expected a key, found the merge key '<<'; merge keys are not supported: write the keys out"],
            id="merge-key",
        ),
        pytest.param("a: 1\nb: 2\na: 3\n", ["f.yaml:3:1: document 1: expected each key once, found 'a' again; first at line 1"], id="duplicate-key"),
        pytest.param(
            "a: !!python/object:os.system x\n",
            [
                "f.yaml:1:4: document 1 › a: expected a value without a tag, found the tag 'tag:yaml.org,2002:python/object:os.system'; "
                "tags are not supported: remove it"
            ],
            id="python-tag",
        ),
        pytest.param("1: a\n", ["f.yaml:1:1: document 1: expected a string as key, found 1; write '1' in quotes"], id="number-as-key"),
        pytest.param("? [a]\n: b\n", ["f.yaml:1:3: document 1: expected a string as key, found a list"], id="list-as-key"),
        pytest.param(
            "a:\n  b: [1,\n",
            ["f.yaml:3:1: document 1 › a › b: expected valid YAML, found a syntax error: did not find expected node content"],
            id="unclosed-list",
        ),
        pytest.param(
            "a:\n\t- b\n",
            [
                "f.yaml:2:1: document 1 › a: expected valid YAML, found a syntax error: found character that cannot start any token; "
                "indent with spaces, never tabs"
            ],
            id="tab",
        ),
        pytest.param(
            "a: %5\n",
            [
                "f.yaml:1:4: document 1 › a: expected valid YAML, found a syntax error: found character that cannot start any token; "
                "text that begins with this character needs quotes"
            ],
            id="percent-first",
        ),
        pytest.param(
            "a: 1\rb: %5\r",
            [
                "f.yaml:2:4: document 1 › b: expected valid YAML, found a syntax error: found character that cannot start any token; "
                "text that begins with this character needs quotes"
            ],
            id="lines-that-end-as-on-old-machines",
        ),
        pytest.param(
            "a: \x07\n",
            ["f.yaml:1:4: text: expected printable text, found the character U+0007; save the file as UTF-8 text"],
            id="control-character",
        ),
        pytest.param(
            "a: \ud800\n", ["f.yaml:1:4: text: expected printable text, found the character U+D800; save the file as UTF-8 text"], id="surrogate"
        ),
        pytest.param(
            "%TAG ! !x\n---\na: 1\n",
            ["f.yaml:1:1: text: expected YAML without directives, found '%TAG ! !x'; remove the line: it changes nothing here"],
            id="directive",
        ),
        pytest.param(
            "a: " + "x" * (1 << 20),
            ["f.yaml:1:1: text: expected at most 1 MiB, found 1,048,579 bytes; split it into several files"],
            id="over-a-mebibyte",
        ),
        pytest.param(
            "a: 1\na: 2\nb: *x\n",
            [
                "f.yaml:2:1: document 1: expected each key once, found 'a' again; first at line 1",
                "f.yaml:3:4: document 1 › b: expected a value written out, found the alias '*x'; aliases are not supported: repeat the value",
            ],
            id="two-faults-at-once",
        ),
    ],
)
def test_what_could_be_read_in_two_ways_is_refused_with_its_place(text: str, said: list[str]) -> None:
    assert refusals(text) == said


def test_nesting_beyond_twenty_levels_is_refused_without_reading_on() -> None:
    # The C scanner alone needs minutes for this text: the test ends only because nothing behind level 20 is read.
    (fault,) = parse("[" * 500_000, "f.yaml").faults
    assert (fault.column, fault.expected) == (21, "at most 20 levels of nesting")


def test_an_alias_bomb_is_refused_at_its_first_anchor() -> None:
    levels = "abcdefghi"
    bomb = "a: &a [x,x]\n" + "".join(f"{new}: &{new} [{','.join([f'*{old}'] * 9)}]\n" for old, new in itertools.pairwise(levels))
    assert refusals(bomb)[0].startswith("f.yaml:1:4: document 1 › a: expected a value without an anchor")


def test_a_flood_of_faults_ends_at_a_hundred() -> None:
    assert len(parse("- *a\n" * 5000, "f.yaml").faults) == MAX_FAULTS


def test_without_the_c_loader_the_same_is_read() -> None:
    text = "a: off\nb: &x [1, '2']\nc: *x\n"
    assert parse(text, "f.yaml", yaml.SafeLoader) == parse(text, "f.yaml")


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet=st.sampled_from("ab: -[]{}&*!?|>'\"%#,\n\t<~1.@`\\"), max_size=80))
def test_any_text_is_read_or_refused_never_raised(text: str) -> None:
    parsed = parse(text, "f.yaml")
    assert all(fault.line >= 1 and fault.column >= 1 for fault in parsed.faults)
