"""Whatever the text, parsing ends with a tree and diagnostics."""

from hypothesis import given, settings
from hypothesis import strategies as st

from trxc.diagnostics.diagnostic import Diagnostics
from trxc.source import Source
from trxc.syntax import parse, parse_expression, parse_item, scan_items

TEXT = (
    "layer model fn const use extern data train mesh weights for from as input output param state carry dim next "
    "require if else when in and or not true false none A x y float ( ) [ ] { } , : = == < -> => |> >> + - * @ ^ . "
    '... ? ! & ; \' " "s" 1 2.5 1e3 ## # é \\ \n \n \n \r\n'
)
WORDS = st.sampled_from(TEXT.split(" "))
SOUP = st.lists(WORDS, max_size=60).map(" ".join)


def check(text: str) -> None:
    source, diagnostics = Source("soup.trx", text), Diagnostics()
    file = parse(source, diagnostics)
    for item in file.items:
        assert 0 <= item.span.start <= item.span.end <= len(text)
    for found in diagnostics:
        assert found.span is not None and 0 <= found.span.start <= found.span.end <= len(text)
        assert not any(hidden in found.message for hidden in ("LPAR", "RBRACE", "_NL", "WORD", "$END"))
        str(found)
    for chunk in scan_items(source).values():
        parse_item(source, chunk, Diagnostics())
    parse_expression(source, Diagnostics())


@given(SOUP)
@settings(max_examples=150, deadline=None)
def test_token_soup(text: str) -> None:
    check(text)


@given(SOUP)
@settings(max_examples=100, deadline=None)
def test_token_soup_in_a_body(text: str) -> None:
    check("layer A(a: int = 3) {\n  input x: any\n" + text + "\n  output x\n}\nfn b(x) = x\n")


@given(st.text(max_size=80))
@settings(max_examples=100, deadline=None)
def test_any_text(text: str) -> None:
    check(text)
