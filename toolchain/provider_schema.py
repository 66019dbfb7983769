"""Compares the schema of a provider that was built here with its published Python package.

The package is the reference: a program that uses it sends exactly these names and types. The comparison covers every
resource and every function.
"""

import collections.abc
import inspect
import typing
from types import ModuleType, UnionType
from typing import Any

import pulumi
from pulumi import _types as sdk

Shape = str | list["Shape"] | dict[str, "Shape"]
"""A type, independent of the language: a scalar's name, [kind, item], or {property: shape}.

Example: `Optional[Input[Sequence[str]]]` → `["list", "string"]`.
"""

_SCALARS = {bool: "boolean", int: "integer", float: "number", str: "string"}  # in this order: bool is an int too


def differences(schema: dict[str, Any], package: ModuleType, left_out: set[str]) -> list[str]:
    """Return one line per difference. `left_out` names resources, functions and properties that are known to be
    missing."""
    texts: list[str] = []
    for token, resource in _resources(package):
        if token in left_out:
            continue
        declared = schema["resources"].get(token)
        if not declared:
            texts.append(f"{token}: missing")
            continue
        arguments = getattr(package, f"{resource.__name__}Args")
        outputs = _of_properties(sdk.resource_types(resource))
        texts += _compare(
            f"{token} inputs", _of_schema(schema, declared.get("inputProperties", {})), _of_class(arguments), left_out
        )
        texts += _compare(f"{token} outputs", _of_schema(schema, declared.get("properties", {})), outputs, left_out)
        texts += _compare(
            f"{token} required inputs",
            dict.fromkeys(declared.get("requiredInputs", []), "required"),
            dict.fromkeys(_required(arguments), "required"),
            left_out,
        )
    if provider := getattr(package, "ProviderArgs", None):
        declared_config = schema["provider"].get("inputProperties", {})
        texts += _compare("provider", _of_schema(schema, declared_config), _of_class(provider), left_out)
    return texts + _function_differences(schema, package, left_out)


def _function_differences(schema: dict[str, Any], package: ModuleType, left_out: set[str]) -> list[str]:
    texts: list[str] = []
    results = {
        name: value for name, value in vars(package).items() if name.startswith("Get") and sdk.is_output_type(value)
    }
    for token, declared in schema.get("functions", {}).items():
        name = token.rpartition(":")[2]
        result = results.pop(f"{name[:1].upper()}{name[1:]}Result", None)
        if result is None:
            texts.append(f"{token}: not in the package")
            continue
        outputs = _of_schema(schema, declared["outputs"]["properties"])
        texts += _compare(f"{token} outputs", outputs, _of_properties(sdk.output_type_types(result)), left_out | {"id"})
    return texts + [f"{name}: missing" for name in results if name not in left_out]


def _resources(package: ModuleType) -> list[tuple[str, type[pulumi.CustomResource]]]:
    return [
        (value.pulumi_type, value)  # type: ignore[attr-defined]  # set by its decorator
        for value in vars(package).values()
        if inspect.isclass(value)
        and issubclass(value, pulumi.CustomResource)
        and not issubclass(value, pulumi.ProviderResource)
    ]


def _required(arguments: type) -> list[str]:
    names = sdk.input_type_py_to_pulumi_names(arguments)
    parameters = inspect.signature(arguments.__init__).parameters.values()  # type: ignore[misc]
    return [names[p.name] for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is p.empty]


def _of_class(cls: type) -> dict[str, Shape]:
    return _of_properties(sdk.output_type_types(cls) if sdk.is_output_type(cls) else sdk.input_type_types(cls))


def _of_properties(types: dict[str, type]) -> dict[str, Shape]:
    return {name: _of_annotation(annotation) for name, annotation in types.items()}


def _of_annotation(annotation: Any) -> Shape:
    """The shape of `Optional[Input[Sequence[Input[XArgs]]]]` and the like."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in {typing.Union, UnionType, pulumi.Output}:
        return _of_annotation(arguments[0])  # Input[T] is Union[T, Awaitable[T], Output[T]]
    if origin is collections.abc.Sequence:
        return ["list", _of_annotation(arguments[0])]
    if origin is collections.abc.Mapping:
        return ["map", _of_annotation(arguments[1])]
    if not inspect.isclass(annotation):
        return "any"
    if sdk.is_input_type(annotation) or sdk.is_output_type(annotation):
        return _of_class(annotation)
    return next((name for kind, name in _SCALARS.items() if issubclass(annotation, kind)), "any")


def _of_schema(schema: dict[str, Any], properties: dict[str, Any]) -> dict[str, Shape]:
    return {name: _of_type(schema, declared) for name, declared in properties.items()}


def _of_type(schema: dict[str, Any], declared: dict[str, Any]) -> Shape:
    if "$ref" in declared:
        if declared["$ref"] == "pulumi.json#/Any":
            return "any"
        target = schema["types"][declared["$ref"].removeprefix("#/types/")]
        return _of_schema(schema, target["properties"]) if "properties" in target else str(target["type"])
    if declared["type"] == "array":
        return ["list", _of_type(schema, declared["items"])]
    if declared["type"] == "object":
        return ["map", _of_type(schema, declared.get("additionalProperties", {"type": "string"}))]
    return str(declared["type"])


def _compare(where: str, ours: Shape, theirs: Shape, left_out: set[str]) -> list[str]:
    if isinstance(ours, dict) and isinstance(theirs, dict):
        # The engine gives every resource an id; upstream declares it only for some.
        result = [f"{where}: {name} is not in the package" for name in sorted(ours.keys() - theirs.keys() - {"id"})]
        result += [f"{where}: {name} is missing" for name in sorted(theirs.keys() - ours.keys() - left_out)]
        for name in sorted(ours.keys() & theirs.keys()):
            result += _compare(f"{where}.{name}", ours[name], theirs[name], left_out)
        return result
    if isinstance(ours, list) and isinstance(theirs, list) and ours[0] == theirs[0]:
        return _compare(f"{where}[]", ours[1], theirs[1], left_out)
    return [] if ours == theirs else [f"{where}: {ours}, in the package {theirs}"]
