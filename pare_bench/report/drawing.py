"""Vega-Lite specifications to SVG that stands in the page itself: no script, no network, colours from the page's style sheet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree as ET

from pare_bench.errors import EnvironmentFault

#: Version of Vega-Lite that the specifications are written for; the renderer carries several.
VERSION = "5.21"
#: Width of every chart in pixels: what a phone shows without shrinking the text.
WIDTH = 360
_SVG = "{http://www.w3.org/2000/svg}"
_ELEMENTS = frozenset({"svg", "g", "path", "line", "rect", "text", "tspan"})
_ATTRIBUTES = frozenset(
    {
        "d", "x", "y", "x1", "x2", "y1", "y2", "dx", "dy", "width", "height", "viewBox", "transform", "fill", "fill-opacity", "opacity", "stroke",
        "stroke-dasharray", "stroke-linecap", "stroke-linejoin", "stroke-miterlimit", "stroke-opacity", "stroke-width", "font-size", "font-weight",
        "text-anchor",
    }
)  # fmt: skip
_FONT = "Arial, Helvetica, sans-serif"
_TEXT = {"labelColor": "var(--ink)", "titleColor": "var(--ink)", "labelFontSize": 11, "titleFontSize": 11, "titleFontWeight": "normal"}
_CONFIG = {
    "background": "transparent",
    "font": _FONT,
    # Readers whose fonts are wider than those the renderer measured with still see whole labels.
    "padding": {"left": 16, "right": 8, "top": 5, "bottom": 5},
    "view": {"stroke": None},
    "axis": {**_TEXT, "gridColor": "var(--line)", "domainColor": "var(--line)", "tickColor": "var(--line)", "labelLimit": 150},
    "legend": {**_TEXT, "labelLimit": 320, "orient": "bottom", "columns": 2},
}


def svg(spec: Mapping[str, Any], title: str) -> str:
    """Return a chart as an ``<svg>`` element named ``title``; descriptions of marks become tooltips.

    Only shapes and text are taken over from the renderer, so that nothing else can get into the page.

    Raises:
        EnvironmentFault: the renderer is not installed.
    """
    try:
        import vl_convert
    except ImportError as error:
        raise EnvironmentFault("the site needs the package 'vl-convert-python'", hint="pip install 'pare-bench[report]'") from error
    fitted = {"width": WIDTH, "autosize": {"type": "fit", "contains": "padding"}, "config": _CONFIG, **spec}
    drawn = ET.fromstring(vl_convert.vegalite_to_svg(fitted, vl_version=VERSION))  # noqa: S314 - the renderer's own output
    kept = _kept(drawn)
    kept.set("role", "img")
    kept.set("aria-label", title)
    kept.set("class", "chart")
    return ET.tostring(kept, encoding="unicode")


def _kept(element: ET.Element) -> ET.Element:
    copy = ET.Element(element.tag.removeprefix(_SVG))
    for name, value in element.attrib.items():
        if name in _ATTRIBUTES:
            copy.set(name, value)
    copy.text = element.text
    said = element.get("aria-label")
    if said and element.get("aria-roledescription") not in (None, "axis", "legend", "group mark container", "mark container"):
        ET.SubElement(copy, "title").text = said
    for child in element:
        if child.tag.removeprefix(_SVG) in _ELEMENTS and child.get("display") != "none":
            copy.append(_kept(child))
    return copy
