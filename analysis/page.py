"""The frame of the HTML report: its page, its look, and the few lines of script that sort tables.

Below 640 px the columns of a table would not fit, so each row becomes a card, its column titles beside the figures;
tables with many rows scroll inside their own box instead. The page itself never scrolls sideways.
"""

from __future__ import annotations

from string import Template

PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="$policy">
<meta name="color-scheme" content="light dark">
<title>$title</title>
<style>$style</style>
</head>
<body>
<header>
<h1>$title</h1>
<p>$subtitle</p>
<nav aria-label="Contents"><ul>$contents</ul></nav>
</header>
<main>
$body</main>
<script>$script</script>
</body>
</html>
""")

STYLE = """
:root { --ink: #1d2329; --faint: #5d6772; --line: #d5dae0; --paper: #fefefe; --shade: #f3f5f7; --link: #0b5fa5;
  --doubt: #9a3b00; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e8ec; --faint: #a3adb8; --line: #3a424b; --paper: #15191d; --shade: #1e2429; --link: #7fbdf2;
    --doubt: #ffab70; }
}
* { box-sizing: border-box; }
html { background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
body { margin: 0 auto; max-width: 1240px; padding: 1rem; overflow-wrap: break-word; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: .5rem 0; }
h2 { font-size: 1.3rem; margin: 2.5rem 0 .75rem; border-bottom: 1px solid var(--line); padding-bottom: .25rem; }
h3 { font-size: 1.05rem; margin: 1.75rem 0 .5rem; }
p, ul, dl { max-width: 75ch; }
header p { color: var(--faint); margin: .25rem 0 1rem; }
nav ul { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; list-style: none; margin: 0; padding: 0;
  max-width: none; }
a { color: var(--link); }
li { margin: .35rem 0; }
dt { font-weight: 600; margin-top: .5rem; }
dd { margin: 0 0 0 1.25rem; }
.pictures { display: flex; flex-wrap: wrap; gap: 1rem 2rem; align-items: flex-start; margin: 1rem 0; }
figure { flex: 1 1 420px; max-width: 560px; min-width: 0; margin: 0; }
figure svg { display: block; width: 100%; height: auto; }
.table { margin: 1rem 0; overflow-x: auto; }
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--faint); padding: 0 0 .5rem; }
th, td { padding: .4rem .45rem; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); }
th { vertical-align: bottom; background: var(--shade); }
th span[role] { cursor: pointer; }
th span:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
th[aria-sort] span::after { content: " \\2191"; }
th[aria-sort=descending] span::after { content: " \\2193"; }
.number { text-align: right; }
td small { display: block; color: var(--faint); font-size: .82em; }
td.number small { white-space: nowrap; }
td:last-child { min-width: 12rem; }
.wide td:last-child { min-width: 20rem; }
tr:target { background: var(--shade); }
.doubt { color: var(--doubt); font-weight: 600; }
@media (max-width: 640px) {
  body { padding: .75rem; }
  .cards thead { display: none; }
  .cards table, .cards tbody, .cards tr, .cards td, .cards caption { display: block; }
  .cards tr { border: 1px solid var(--line); border-radius: 6px; margin: 0 0 .75rem; padding: .25rem .6rem; }
  .cards td { display: flex; justify-content: space-between; gap: 1rem; text-align: right; padding: .25rem 0; }
  .cards td:last-child { border-bottom: 0; min-width: 0; }
  .cards td::before { content: attr(data-head); color: var(--faint); text-align: left; flex: 0 1 45%; }
  .cards td span { flex: 1 1 55%; min-width: 0; }
}
@media print {
  :root { --ink: #000; --faint: #444; --line: #bbb; --paper: #fff; --shade: #f3f5f7; --link: #000; --doubt: #000; }
  html { font-size: 11px; }
  body { max-width: none; padding: 0; }
  nav { display: none; }
  .table { overflow: visible; }
  th, td { padding: .2rem .3rem; }
  figure, tr, .cards { break-inside: avoid; }
  h2, h3, caption { break-after: avoid; }
  @page { size: A4 landscape; margin: 12mm; }
}
"""

# Sorts by data-sort where a cell has it, else by text; what has no figure goes to the end either way. Titles become
# buttons only here: without the script they are titles, and a browser repeats them on every printed page.
SCRIPT = """
"use strict";
for (const table of document.querySelectorAll("table")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const title = head.firstElementChild;
    title.tabIndex = 0;
    title.setAttribute("role", "button");
    title.addEventListener("click", () => sort(head, column));
    title.addEventListener("keydown", event => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      sort(head, column);
    });
  });
  function sort(head, column) {
    const down = head.getAttribute("aria-sort") === "ascending";
    heads.forEach(other => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const key = row => {
      const cell = row.cells[column];
      if (cell.dataset.sort !== undefined) return Number(cell.dataset.sort);
      return head.classList.contains("number") ? NaN : cell.textContent;
    };
    const order = (a, b) => {
      const x = key(a), y = key(b);
      if (typeof x === "string") return (down ? -1 : 1) * x.localeCompare(y);
      if (isNaN(x) || isNaN(y)) return isNaN(x) - isNaN(y);
      return (down ? -1 : 1) * (x === y ? 0 : x < y ? -1 : 1);
    };
    const body = table.tBodies[0];
    body.append(...[...body.rows].sort(order));
  }
}
"""
