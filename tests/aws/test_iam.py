"""The shipped IAM documents are those of the declared calls, and every declared call is one that Amazon has."""

import json

import botocore.session
import pytest

from rollbackd.adapters.aws.calls import ASSUME_ROLE, GET_CALLER_IDENTITY, Call, Extra, declare
from rollbackd.adapters.aws.declarations import ALL
from rollbackd.adapters.aws.iam import policy
from tests.aws.iam import made, written

READ = Call("ecs", "DescribeServices", ("arn:a",))
WRITE = Call("ecs", "UpdateService", ("arn:a",), writes=True, conditions=(("ArnEquals", "ecs:cluster", "arn:c"),))
OPT_IN = Call("ecs", "RegisterTaskDefinition", writes=True, opt_in="reregister")
PASS = Extra("iam:PassRole", ("arn:role",), opt_in="reregister")
ADAPTER = declare("test", (READ, WRITE, OPT_IN), extra=(PASS,), denied=("ecs:DeleteService",))


def test_the_documents_are_up_to_date() -> None:
    assert written() == made(), "python -m tests.aws.iam"


def test_a_policy_grants_what_is_declared_and_denies_what_never_happens() -> None:
    assert policy(ADAPTER) == {
        "Version": "2012-10-17",
        "Statement": [
            {"Sid": "Read1", "Effect": "Allow", "Action": ["ecs:DescribeServices"], "Resource": ["arn:a"]},
            {
                "Sid": "Write2",
                "Effect": "Allow",
                "Action": ["ecs:UpdateService"],
                "Resource": ["arn:a"],
                "Condition": {"ArnEquals": {"ecs:cluster": "arn:c"}},
            },
            {"Sid": "Never", "Effect": "Deny", "Action": ["ecs:DeleteService"], "Resource": "*"},
        ],
    }


def test_what_needs_an_opt_in_has_a_document_of_its_own() -> None:
    assert '"Action": ["ecs:RegisterTaskDefinition"]' in json.dumps(policy(ADAPTER, opt_in="reregister"))
    assert '"Action": ["iam:PassRole"]' in json.dumps(policy(ADAPTER, opt_in="reregister"))
    assert "RegisterTaskDefinition" not in json.dumps(policy(ADAPTER))


@pytest.mark.parametrize("call", sorted({call for declared in ALL for call in declared.calls} | {ASSUME_ROLE, GET_CALLER_IDENTITY}, key=str), ids=str)
def test_every_declared_call_is_an_operation_of_its_service(call: Call) -> None:
    assert call.operation in botocore.session.get_session().get_service_model(call.service).operation_names
