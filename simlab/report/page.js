"use strict";
// The page says everything without this script; it adds sorting, copying, a list that closes, and open groups on paper.

function sortKey(cell, numeric) {
  if (!numeric) return cell.textContent.trim();
  return cell.dataset.v === undefined ? null : Number(cell.dataset.v);
}

function compare(a, b, numeric, sign) {
  const empty = numeric ? null : "";
  if (a === empty || b === empty) return (a === empty) - (b === empty); // empty cells last, whichever way
  if (numeric) return sign * (a < b ? -1 : a > b ? 1 : 0); // not a - b: inf minus inf is not a number
  return sign * a.localeCompare(b, "en", { numeric: true });
}

function sortBy(heading) {
  const row = heading.parentElement;
  const body = heading.closest("table").tBodies[0];
  const at = Array.from(row.cells).indexOf(heading);
  const numeric = heading.classList.contains("number");
  const sign = heading.getAttribute("aria-sort") === "ascending" ? -1 : 1;
  for (const other of row.cells) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
  const lines = Array.from(body.rows, (line) => ({ line, key: sortKey(line.cells[at], numeric) }));
  lines.sort((a, b) => compare(a.key, b.key, numeric, sign));
  body.append(...lines.map((entry) => entry.line));
}

for (const heading of document.querySelectorAll("table.sortable th[scope=col]")) {
  const button = document.createElement("button");
  button.type = "button";
  button.append(...heading.childNodes);
  button.addEventListener("click", () => sortBy(heading));
  heading.append(button);
}

function select(element) {
  const range = document.createRange();
  range.selectNodeContents(element);
  const selection = getSelection();
  selection.removeAllRanges();
  selection.addRange(range);
}

for (const line of document.querySelectorAll(".command")) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy";
  button.textContent = "Copy";
  button.setAttribute("aria-live", "polite");
  button.addEventListener("click", async () => {
    const code = line.querySelector("code");
    try {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = "Copied";
    } catch {
      select(code); // where the browser withholds the clipboard, Ctrl-C is one key away
      button.textContent = "Selected";
    }
    setTimeout(() => (button.textContent = "Copy"), 1500);
  });
  line.append(button);
}

// The list of contents closes behind whoever has chosen from it, or looked elsewhere.
const contents = document.querySelector(".contents");
addEventListener("click", (event) => {
  if (event.target.closest(".contents a") || !contents.contains(event.target)) contents.open = false;
});
addEventListener("keydown", (event) => {
  if (event.key === "Escape") contents.open = false;
});

// On paper nothing can be opened.
let closed = [];
addEventListener("beforeprint", () => {
  closed = Array.from(document.querySelectorAll("details.group:not([open])"));
  for (const group of closed) group.open = true;
});
addEventListener("afterprint", () => {
  for (const group of closed) group.open = false;
});
