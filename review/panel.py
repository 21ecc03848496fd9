"""The page of the review panel: Gradio's shell around one viewer component of ours.

The component's template is constant and its script only loads our own module; data come by `fetch` from our routes
and are written as text. Nothing about a study is in the page itself, so nothing in it can unblind.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

TITLE = "Reader study"
PAGE = "/review"
ASSETS = f"{PAGE}/page"
STATIC = Path(__file__).with_name("static")

_TEMPLATE = '<div id="reading"><p class="loading" role="status">Loading the reader study ...</p></div>'
_BOOT = f"""import("{ASSETS}/panel.js").then(
  (panel) => panel.boot(element.querySelector("#reading")),
  () => {{ element.querySelector(".loading").textContent = "The page could not be loaded. Reload it."; }}
);"""
_HEAD = f"""<link rel="stylesheet" href="{ASSETS}/panel.css">
<link rel="modulepreload" href="{ASSETS}/panel.js">"""


class _Assets(StaticFiles):
    """Our own files; browsers ask each time whether they are still the same, so an update shows at once."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["cache-control"] = "no-cache"
        return response


def mount_panel(app: FastAPI, *, who: Callable[[Request], str | None]) -> None:
    """Add the page to `app` at /review; `who` tells the login of a request. Gradio takes seconds to load."""
    app.mount(ASSETS, _Assets(directory=STATIC), name="review-page")
    gradio = _gradio()
    gradio.mount_gradio_app(
        app,
        _page(gradio),
        path=PAGE,
        auth_dependency=who,
        run_history=False,
        footer_links=[],
        show_error=False,
        max_file_size="1kb",
        theme=gradio.themes.Default(),
        head=_HEAD,
        ssr_mode=False,
        enable_monitoring=False,
        pwa=False,
        mcp_server=False,
    )


def _gradio() -> Any:
    # Without this Gradio calls its makers' hosts when it is imported.
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    import gradio

    return gradio


def _page(gradio: Any) -> Any:
    with gradio.Blocks(title=TITLE, analytics_enabled=False, fill_width=True, fill_height=True) as page:
        gradio.HTML(
            value="",
            html_template=_TEMPLATE,
            js_on_load=_BOOT,
            apply_default_css=False,
            container=False,
            padding=False,
        )
    return page
