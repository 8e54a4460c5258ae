"""Reading the XML of the Query protocol, which SNS still answers in."""

from __future__ import annotations

from xml.etree import ElementTree as ET

__all__ = ("error", "members", "root", "text")


def root(body: bytes) -> ET.Element:
    """Parse an answer.

    Raises:
        ValueError: not XML, not UTF-8, or XML with a document type: AWS sends none, and without one no entity can be
            declared that expands to gigabytes or reads a file.
    """
    document = body.decode("utf-8")
    if "<!DOCTYPE" in document:
        raise ValueError("an answer with a document type is not AWS's")
    try:
        return ET.fromstring(document)  # noqa: S314 -- no document type, so no entities
    except ET.ParseError as exc:
        raise ValueError(f"not XML ({exc})") from exc


def text(element: ET.Element, path: str) -> str:
    """Give the text at a path such as ``PublishResult/MessageId``, in whatever namespace.

    Raises:
        KeyError: there is no such element.
    """
    found = element.find(_any_namespace(path))
    if found is None:
        raise KeyError(path)
    return found.text or ""


def members(element: ET.Element, path: str) -> list[ET.Element]:
    """Give the ``member`` elements of a list; an absent list is empty, as AWS leaves out empty ones."""
    return element.findall(_any_namespace(path + "/member"))


def error(body: bytes) -> tuple[str, str]:
    """Give code and message of an error answer.

    https://docs.aws.amazon.com/sns/latest/api/CommonErrors.html

    Raises:
        ValueError: not XML.
        KeyError: XML without an error in it.
    """
    document = root(body)
    found = document if document.tag.rpartition("}")[2] == "Error" else document.find(".//{*}Error")
    if found is None:
        raise KeyError("Error")
    message = found.find("{*}Message")
    return text(found, "Code"), (message.text or "") if message is not None else ""


def _any_namespace(path: str) -> str:
    return "/".join("{*}" + name for name in path.split("/"))
