"""Serving functions whose annotations pydantic checks."""

from __future__ import annotations

from typing import Any

import pytest
from signatures import PYDANTIC, check_inputs, post

from metaml._values.openapi import publish
from metaml._values.signature import Rejected, Signature


def test_pydantic_models_are_honoured(program: Any) -> None:
    pytest.importorskip("pydantic")

    def make(source: str) -> Signature:
        signature: Signature = program(source, before=PYDANTIC)
        return signature

    person = make("def serve(p: Person): pass")
    assert post(person, {"name": "N", "homes": [{"street": "S", "number": 3}]}).homes[0].number == 3
    check_inputs(person, 50)
    with pytest.raises(Rejected) as caught:
        post(person, {"name": "", "homes": [{"number": 0}]})
    assert caught.value.body["problems"] == [
        {"field": "p.name", "error": "is not right: String should have at least 1 character"},
        {"field": "p.homes[0].street", "error": "is missing"},
        {"field": "p.homes[0].number", "error": "must be greater than or equal to 1"},
    ]
    assert person.from_fields({"name": "N", "born": "2024-01-02"}).born.year == 2024
    query = publish(person, "/p")["openapi"]["paths"]["/p"]["get"]["parameters"]
    assert [(one["name"], one["required"]) for one in query] == [("name", True), ("homes", False), ("born", False)]
    assert publish(person, "/p")["example"]["name"] == "text"
    assert post(make("def serve(s: Strict): pass"), {"day": "2024-01-02"}).day.year == 2024
    assert post(make("def serve(ps: list[Pair]): pass"), [{"a": 1, "b": 2}])[0].b == 2
    assert post(make("def serve(n: Positive): pass"), 3) == 3
    with pytest.raises(Rejected) as caught:
        post(make("def serve(n: Positive): pass"), 0)
    assert caught.value.body["error"] == "n must be greater than 0"
    every = make("def serve(p: Person | None, n: Positive, ps: list[Pair], a: Address): pass")
    check_inputs(every, 100)
    openapi = pytest.importorskip("openapi_spec_validator")
    for signature in (person, every):
        openapi.validate(publish(signature, "/p")["openapi"])
