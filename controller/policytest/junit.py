"""The result as JUnit XML, which every CI server reads. Pure."""

import re
from collections import defaultdict
from datetime import timedelta
from xml.etree import ElementTree

from rollbackd.controller.policytest.report import Result, failure_lines
from rollbackd.controller.policytest.run import Outcome
from rollbackd.policies.text.faults import Fault

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(result: Result) -> str:
    """One suite for each file. A test that is not as expected is a failure; a fault of a file is an error, since its tests were not run."""
    cases: dict[str, list[tuple[Outcome, timedelta]]] = defaultdict(list)
    faults: dict[str, list[Fault]] = defaultdict(list)
    for outcome, took in result.outcomes:
        cases[outcome.case.file].append((outcome, took))
    for fault in result.loaded.faults:
        faults[fault.file].append(fault)
    root = ElementTree.Element("testsuites", name="rollbackd test")
    for file in dict.fromkeys((*result.loaded.files, *faults)):
        _suite(root, file, cases[file], faults[file])
    for attribute in ("tests", "failures", "errors"):
        root.set(attribute, str(sum(int(suite.get(attribute, "0")) for suite in root)))
    ElementTree.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(root, encoding="unicode")}\n'


def _suite(root: ElementTree.Element, file: str, cases: list[tuple[Outcome, timedelta]], faults: list[Fault]) -> None:
    failed = sum(not outcome.passed for outcome, _ in cases)
    took = sum((took for _, took in cases), timedelta(0))
    counts = {"tests": str(len(cases) + len(faults)), "failures": str(failed), "errors": str(len(faults))}
    suite = ElementTree.SubElement(root, "testsuite", {"name": _xml(file), **counts, "time": _seconds(took)})
    for outcome, one in cases:
        case = ElementTree.SubElement(suite, "testcase", {"classname": _xml(file), "name": _xml(outcome.case.name), "time": _seconds(one)})
        if outcome.mismatches:
            failure = ElementTree.SubElement(case, "failure", {"message": _xml(str(outcome.mismatches[0])), "type": "expectation"})
            failure.text = _xml("\n".join(failure_lines(outcome)))
    for fault in faults:
        case = ElementTree.SubElement(suite, "testcase", {"classname": _xml(file), "name": f"{fault.line}:{fault.column}", "time": "0.000"})
        ElementTree.SubElement(case, "error", {"message": _xml(fault.message), "type": "fault"}).text = _xml(str(fault))


def _seconds(took: timedelta) -> str:
    return f"{took.total_seconds():.3f}"


def _xml(text: str) -> str:
    """The text without the characters that XML cannot carry."""
    return _NOT_XML.sub("\ufffd", text)
