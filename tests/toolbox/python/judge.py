"""What botocore's model of a service with the Query protocol says about a response: every element known and in its
place, every error one that the operation can return. botocore itself skips elements that it does not know, so a
misspelt one would just be missing."""

import xml.etree.ElementTree as ElementTree

# Of all AWS services ("Common Errors" in the API reference); models do not list them.
COMMON = {
    "InvalidAction": 400,
    "InvalidParameterCombination": 400,
    "InvalidParameterValue": 400,
    "MalformedQueryString": 400,
    "MissingAction": 400,
    "MissingParameter": 400,
}


class Judge:
    """Looks at every response of the clients that it watches."""

    def __init__(self):
        self.seen = set()
        self.errors = set()

    def watch(self, client):
        client.meta.events.register("after-call", self._after_call)
        return client

    def _after_call(self, http_response, parsed, model, **_):
        status = http_response.status_code
        root = _bare(ElementTree.fromstring(http_response.content), model.metadata["xmlNamespace"])
        if status >= 300:
            self._error(model, status, parsed["Error"]["Code"], root)
            return
        self.seen.add(model.name)
        assert root.tag == f"{model.name}Response", root.tag
        assert root.find("ResponseMetadata/RequestId").text, "no request id"
        if model.output_shape is not None:
            result = root.find(model.output_shape.serialization["resultWrapper"])
            assert result is not None, f"{model.name}: no result"
            _structure(model.output_shape, result, model.name)

    def _error(self, model, status, code, root):
        listed = {shape.error_code: shape.metadata["error"]["httpStatusCode"] for shape in model.error_shapes}
        expected = listed.get(code, COMMON.get(code))
        assert expected == status, f"{model.name}: {code} with {status}, not one of {sorted(listed)}"
        assert root.tag == "ErrorResponse", root.tag
        assert root.find("RequestId").text, "no request id"
        self.errors.add(code)


def _bare(root, namespace):
    """The document without its namespace, in which every element has to be."""
    prefix = f"{{{namespace}}}"
    for element in root.iter():
        assert element.tag.startswith(prefix), f"{element.tag} is not in {namespace}"
        element.tag = element.tag.removeprefix(prefix)
    return root


def _structure(shape, element, path):
    for child in element:
        names = {member.serialization.get("name", key): member for key, member in shape.members.items()}
        assert child.tag in names, f"{path}/{child.tag} is not in the model"
        _value(names[child.tag], child, f"{path}/{child.tag}")


def _value(shape, element, path):
    if shape.type_name == "structure":
        _structure(shape, element, path)
    elif shape.type_name == "list":
        item = shape.member.serialization.get("name", "member")
        for child in element:
            assert child.tag == item, f"{path}: {child.tag} instead of {item}"
            _value(shape.member, child, f"{path}/{item}")
    else:
        assert not list(element), f"{path} has children"
        if shape.type_name == "boolean":
            assert element.text in ("true", "false"), f"{path}: {element.text}"
        if shape.enum if hasattr(shape, "enum") else []:
            assert element.text in shape.enum, f"{path}: {element.text} is not one of {shape.enum}"
