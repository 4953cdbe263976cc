"""The frame of the HTML report: its page, its look, and the few lines of script that sort tables and open folds.

The page itself never scrolls sideways: a table that is wider than the screen scrolls inside its own box, the names of
its rows staying where they are. On paper there are no folds, no boxes and no colours that a printer would lose.

Without the script everything can be read; what it adds is sorting. It opens what is folded where a link leads into it
or the page is printed: browsers of today do both by themselves, older ones do not.
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
$letters<header>
<h1>$title</h1>
<p>$subtitle</p>
$left_out<nav aria-label="Contents"><ul>$contents</ul></nav>
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
h2 { font-size: 1.3rem; margin: 2rem 0 .75rem; border-bottom: 1px solid var(--line); padding-bottom: .25rem; }
h3 { font-size: 1.05rem; margin: 1.75rem 0 .5rem; }
p, ul, dl { max-width: 75ch; }
header p { color: var(--faint); margin: .25rem 0 1rem; }
nav ul { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; list-style: none; margin: 0; padding: 0;
  max-width: none; font-size: .9rem; }
nav li { margin: 0; }
a { color: var(--link); }
li { margin: .35rem 0; }
dt { font-weight: 600; margin-top: .5rem; }
dd { margin: 0 0 0 1.25rem; }
.statements { list-style: none; padding: 0; max-width: none; font-size: .95rem; }
.statements li { border-left: 3px solid var(--line); padding-left: .75rem; margin: .6rem 0; }
.statements a { display: block; font-weight: 600; }
details { border-top: 1px solid var(--line); }
summary { cursor: pointer; padding: .4rem 0; }
summary h3 { display: inline; font-size: 1rem; }
.letters { position: absolute; width: 0; height: 0; }
.pictures { display: flex; flex-wrap: wrap; gap: 1rem 2rem; align-items: flex-start; margin: 1rem 0; }
figure { flex: 1 1 420px; max-width: 560px; min-width: 0; margin: 0; }
figure svg { display: block; width: 100%; height: auto; }
.left-out { flex: 1 1 100%; margin: 0; }
.table { margin: 1rem 0; overflow-x: auto; }
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--faint); padding: 0 0 .5rem; }
th, td { padding: .4rem .45rem; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); }
thead th { vertical-align: bottom; background: var(--shade); }
.wide th[scope=row] { white-space: nowrap; }
th[scope=row] { font-weight: 400; position: sticky; left: 0; background: var(--paper); }
thead span[role] { cursor: pointer; }
thead span:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
th[aria-sort] span::after { content: " \\2191"; }
th[aria-sort=descending] span::after { content: " \\2193"; }
.n { text-align: right; }
td.n a { color: inherit; text-decoration: none; }
td.n a:hover, td.n a:focus-visible { text-decoration: underline; }
td small { display: block; color: var(--faint); font-size: .82em; }
td.n small { white-space: nowrap; }
td:last-child { min-width: 12rem; }
.wide td:last-child { min-width: 20rem; }
tr:target > * { background: var(--shade); }
.doubt { color: var(--doubt); font-weight: 600; }
@media (max-width: 640px) {
  body { padding: .75rem; }
  .wide th[scope=row] { white-space: normal; }
  caption { max-width: calc(100vw - 1.5rem); }
  .pictures { gap: 1rem 0; }
  figure { flex-basis: 100%; }
}
@media print {
  :root { --ink: #000; --faint: #444; --line: #bbb; --paper: #fff; --shade: #f3f5f7; --link: #000; --doubt: #000; }
  html { font-size: 11px; }
  body { max-width: none; padding: 0; }
  nav { display: none; }
  details::details-content { content-visibility: visible; block-size: auto; }
  summary { list-style: none; }
  .table { overflow: visible; }
  table { font-size: .8rem; }
  th, td { padding: .2rem .3rem; }
  th[scope=row] { position: static; }
  td:last-child, .wide td:last-child { min-width: 0; }
  figure svg { max-height: 160mm; }
  figure, tr, thead, .table:not(.wide) { break-inside: avoid; }
  h2, h3, summary, caption { break-after: avoid; }
  @page { size: A4 landscape; margin: 12mm; }
}
"""

# A figure sorts by its data-sort where it has one, else as it reads, bounds as their value; what has no figure goes to
# the end either way. Titles become buttons only here: without the script they are titles. They are no button elements:
# a browser leaves those out where it repeats a table's head on the next printed page.
SCRIPT = """
"use strict";
const key = (cell, number) => {
  if (cell.dataset.sort !== undefined) return Number(cell.dataset.sort);
  const text = (cell.firstChild?.textContent ?? "").trim();
  return number ? Number(text.replace(/^[<>]= |,/g, "") || NaN) : text;
};
const compare = (x, y) => {
  if (typeof x === "string" || typeof y === "string") return String(x).localeCompare(y, "en", { numeric: true });
  return x === y ? 0 : x < y ? -1 : 1;
};
const sort = (table, head) => {
  const column = head.cellIndex, number = head.classList.contains("n");
  const side = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", side > 0 ? "ascending" : "descending");
  const rows = [...table.tBodies[0].rows].map(row => [row, key(row.cells[column], number)]);
  rows.sort(([, x], [, y]) => Number.isNaN(x) - Number.isNaN(y) || (Number.isNaN(x) ? 0 : side * compare(x, y)));
  table.tBodies[0].append(...rows.map(([row]) => row));
};
for (const table of document.querySelectorAll("table")) {
  for (const head of table.tHead.rows[0].cells) {
    const title = head.firstElementChild;
    title.tabIndex = 0;
    title.setAttribute("role", "button");
    title.addEventListener("click", () => sort(table, head));
    title.addEventListener("keydown", event => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      sort(table, head);
    });
  }
}
for (const link of document.querySelectorAll("td.n a")) link.tabIndex = -1;
const reveal = () => {
  const place = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  for (let fold = place?.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
  place?.scrollIntoView();
};
addEventListener("hashchange", reveal);
if (location.hash) reveal();
let closed = [];
addEventListener("beforeprint", () => {
  closed = [...document.querySelectorAll("details:not([open])")];
  for (const fold of closed) fold.open = true;
});
addEventListener("afterprint", () => {
  for (const fold of closed) fold.open = false;
});
"""
