"""The login page: plain HTML without a script, usable by keyboard and screen reader, in either colour scheme."""

import html
import re

LANDING = "/review/"
_OURS = re.compile(r"/review(?:/[A-Za-z0-9_./-]*)?(?:\?[A-Za-z0-9_=&.-]*)?")

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Log in - reader study</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 1rem/1.5 system-ui, sans-serif; margin: 0; min-height: 100vh; display: grid; place-items: center;
  background: #f2f5f8; color: #17212b; }}
main {{ width: min(22rem, 90vw); padding: 2rem; border-radius: 12px; background: #fff; border: 1px solid #c5d0db; }}
h1 {{ font-size: 1.3rem; margin: 0 0 1rem; }}
label {{ display: block; margin: 1rem 0 .25rem; font-weight: 600; }}
input {{ box-sizing: border-box; width: 100%; padding: .6rem; font: inherit; border: 1px solid #66788a;
  border-radius: 6px; background: #fff; color: inherit; }}
button {{ margin-top: 1.5rem; width: 100%; padding: .7rem; font: inherit; font-weight: 600; border: 0;
  border-radius: 6px; background: #0b5394; color: #fff; cursor: pointer; }}
:focus-visible {{ outline: 3px solid #e08a00; outline-offset: 2px; }}
.problem {{ margin: 0; padding: .6rem .8rem; border-left: 4px solid #b3261e; background: #fdecea; color: #5f1410; }}
.small {{ margin: 1.5rem 0 0; font-size: .85rem; color: #46566a; }}
@media (prefers-color-scheme: dark) {{
  body {{ background: #10161d; color: #e6edf3; }}
  main {{ background: #18212b; border-color: #3a4a5a; }}
  input {{ background: #10161d; border-color: #8b9bab; }}
  .problem {{ background: #3b1715; color: #ffd9d5; }}
  .small {{ color: #a9b8c6; }}
}}
</style>
</head>
<body>
<main>
<h1>Reader study</h1>
{problem}
<form method="post" action="/login" autocomplete="on">
<input type="hidden" name="next" value="{next}">
<label for="login">Login</label>
<input id="login" name="login" type="text" autocomplete="username" autocapitalize="none" spellcheck="false"
  required autofocus maxlength="64">
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" required maxlength="200">
<button type="submit">Log in</button>
</form>
<p class="small">Research software, not for clinical use.</p>
</main>
</body>
</html>
"""


def login_page(next_path: str, problem: str | None = None) -> str:
    """Return the page; `problem` is read out by a screen reader."""
    told = f'<p class="problem" role="alert">{html.escape(problem)}</p>' if problem else ""
    return _PAGE.format(problem=told, next=html.escape(safe_next(next_path), quote=True))


def safe_next(path: str) -> str:
    """Return where to go after logging in: a path of the panel, whatever was asked for.

    >>> safe_next("/review/?study=1"), safe_next("//evil.example/review"), safe_next("/review/..//x")
    ('/review/?study=1', '/review/', '/review/')
    """
    return path if _OURS.fullmatch(path) and ".." not in path and "//" not in path else LANDING
