"""Target keys and what people type for them."""

import pytest

from rollbackd.policies.model.keys import namespace_of, parse_target


@pytest.mark.parametrize(
    ("typed", "key"),
    [
        pytest.param("shop/checkout", "kubernetes:default/shop/deployment/checkout", id="namespace-and-name"),
        pytest.param("kubernetes:shop/checkout", "kubernetes:default/shop/deployment/checkout", id="with-kind"),
        pytest.param("shop/deployment/checkout", "kubernetes:default/shop/deployment/checkout", id="with-the-object-s-kind"),
        pytest.param("kubernetes:eu/shop/deployment/checkout", "kubernetes:eu/shop/deployment/checkout", id="whole"),
        pytest.param(" command:deploy ", "command:deploy", id="command"),
        pytest.param("flagd:flagd/flags:a,b", "flagd:flagd/flags:a,b", id="flags"),
    ],
)
def test_what_people_type_becomes_a_key(typed: str, key: str) -> None:
    assert parse_target(typed, "default") == key


@pytest.mark.parametrize(
    "typed", ["", "checkout", "shop/", "kubernetes:", "a/b/c", "a/b/c/d/e", "Shop/checkout", "eu/shop/job/x", "command:", "command:a b"]
)
def test_what_names_no_target_is_refused_with_the_forms(typed: str) -> None:
    with pytest.raises(ValueError, match="names no target; write kubernetes:shop/checkout"):
        parse_target(typed, "default")


def test_a_cluster_cannot_be_left_out_where_there_are_several() -> None:
    with pytest.raises(ValueError, match="does not say which cluster"):
        parse_target("shop/checkout", None)


@pytest.mark.parametrize(
    ("key", "namespace"),
    [
        pytest.param("kubernetes:eu/shop/deployment/checkout", "shop", id="kubernetes"),
        pytest.param("command:deploy", "command:deploy", id="command"),
        pytest.param("flagd:flagd/flags:a,b", "flagd:flagd", id="flags"),
    ],
)
def test_guards_count_by_namespace_or_by_kind_and_place(key: str, namespace: str) -> None:
    assert namespace_of(key) == namespace
