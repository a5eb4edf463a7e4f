"""The kind of what pydantic checks. Imported where a program annotates with it."""

from __future__ import annotations

import json
import sys
from typing import Any, cast

from metaml._values.kinds import Definitions, Kind, Place, Problems, QueryField, Schema, wrong

__all__ = ["Model"]


class Model(Kind):
    """What pydantic checks, by its own rules."""

    noun = "an object"

    def __init__(self, label: str, annotation: Any, pydantic: Any) -> None:
        self.label = label
        self.owner = annotation
        self._invalid: Any = pydantic.ValidationError
        self._model = isinstance(annotation, type) and hasattr(annotation, "model_validate")
        if self._model:
            strict = annotation.model_config.get("strict")
            self._check: Any = annotation.model_validate
            self._check_json: Any = annotation.model_validate_json if strict else None
            self._own_schema: Any = annotation.model_json_schema
        else:
            adapter = pydantic.TypeAdapter(annotation)
            self._check, self._check_json, self._own_schema = adapter.validate_python, None, adapter.json_schema
        self._properties: dict[str, Any] = {}
        try:
            self._schema: Schema = self._own_schema(ref_template="{model}")
        except Exception:  # pydantic's, for a field that no schema can tell: it is checked all the same
            self._schema = {}
        self._defs: dict[str, Any] = self._schema.pop("$defs", {})
        top = self._defs.get(self._schema["$ref"], {}) if "$ref" in self._schema else self._schema
        self.fields = top.get("type") == "object"
        self._properties = top.get("properties", {})
        self.exact = (dict,) if self.fields else ()
        self.takes_text = top.get("type") == "string"
        self.as_json = self.fields
        self._plain = top.get("type") in ("string", "integer", "number", "boolean", "array", "null")

    def convert(self, value: Any, at: Place, problems: Problems) -> Any:
        try:
            if self._check_json is not None and not _has_files(value):
                return self._check_json(json.dumps(value))
            return self._check(value)
        except self._invalid as error:
            for found in error.errors(include_url=False, include_context=False, include_input=False):
                text = found["msg"]
                if found["type"] == "missing":
                    text = "is missing"
                elif text.startswith("Input should "):
                    text = "must " + text[len("Input should ") :]
                else:
                    text = f"is not right: {text}"
                wrong(problems, [*at, *found["loc"]], text)
            return None

    def text(self, value: Any, at: Place, problems: Problems) -> Any:
        if self.fields and isinstance(value, (str, bytes)):
            try:
                value = json.loads(value)
            except (ValueError, RecursionError):
                return wrong(problems, at, "must be an object, as JSON")
        elif self.fields and isinstance(value, dict):
            value = {name: self._field(self._properties.get(name, {}), one) for name, one in value.items()}
        return self.convert(value, at, problems)

    def _field(self, schema: Schema, value: Any) -> Any:
        """A field of a query or a form: JSON, where it holds an object; a list of one, where it is a list."""
        if not isinstance(value, (str, bytes)):
            return value
        if self._structured(schema):
            try:
                value = json.loads(value)
            except (ValueError, RecursionError):
                return value  # pydantic says what is wrong with it
        return [value] if schema.get("type") == "array" and not isinstance(value, list) else value

    def _structured(self, schema: Schema, depth: int = 0) -> bool:
        """Whether a schema is of an object, or of a list of such."""
        if depth > 8:
            return False
        if "$ref" in schema:
            return self._structured(self._defs.get(schema["$ref"], {}), depth + 1)
        if schema.get("type") == "array":
            return self._structured(schema.get("items", {}), depth + 1)
        choices = schema.get("anyOf", []) + schema.get("oneOf", []) + schema.get("allOf", [])
        return schema.get("type") == "object" or any(self._structured(one, depth + 1) for one in choices)

    def takes(self, value: dict[str, Any]) -> bool:
        return not self._plain

    def schema(self, definitions: Definitions) -> Schema:
        names: dict[str, Schema] = {}

        def moved(schema: Any) -> Any:
            if isinstance(schema, list):
                return [moved(one) for one in schema]
            if not isinstance(schema, dict):
                return schema
            if isinstance(name := schema.get("$ref"), str) and name in self._defs:
                if name not in names:
                    names[name] = definitions.reference(
                        sys.intern(json.dumps(self._defs[name], sort_keys=True)), name, lambda: moved(self._defs[name])
                    )
                return {**schema, **names[name]}
            return {
                key: {at: names_of(one) for at, one in mapping.items()}
                if key == "mapping" and isinstance(mapping, dict)
                else moved(mapping)
                for key, mapping in schema.items()
            }

        def names_of(name: Any) -> Any:
            return moved({"$ref": name})["$ref"] if isinstance(name, str) else moved(name)

        if self._model:
            return definitions.reference(self.owner, self.label, lambda: moved(self._schema))
        return cast(Schema, moved(self._schema))

    def query(self, definitions: Definitions) -> list[QueryField] | None:
        if not self.fields:
            return None
        whole = self.schema(definitions)
        top = definitions.schemas.get(whole.get("$ref", "").rpartition("/")[2], whole)
        needed = top.get("required", [])
        return [
            QueryField(name, schema, name in needed, self._structured(self._properties.get(name, {})))
            for name, schema in top.get("properties", {}).items()
        ]


def _has_files(value: Any) -> bool:
    """Whether there are files of a form among the fields, which are no JSON."""
    fields = value.values() if isinstance(value, dict) else [value]
    return any(isinstance(one, bytes) for field in fields for one in (field if isinstance(field, list) else [field]))
