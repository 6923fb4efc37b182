// The search of the frame, the help dialog and the keys of lists. Everything has a way without scripts: /search, /help.

const editing = (target) => target.closest?.("input, textarea, select, [contenteditable]");

// <h-search>: the dialog of the search. Arrows walk the answers, Enter opens the chosen one (or the page of results).
class Search extends HTMLElement {
  connectedCallback() {
    this.dialog = this.querySelector("dialog");
    this.input = this.querySelector("input");
    this.addEventListener("keydown", (event) => this.walk(event));
    this.addEventListener("click", (event) => {
      if (event.target === this.dialog || event.target.closest("[data-close]")) this.dialog.close();
      else if (event.target.closest("a")) this.dialog.close();
    });
    this.dialog.addEventListener("close", () => {
      document.activeElement?.blur(); // the page itself takes no focus, and keys typed next are not for this field
      this.before?.focus({ preventScroll: true });
    });
  }
  open() {
    if (this.dialog.open) return;
    this.before = document.activeElement;
    this.dialog.showModal();
    this.input.select();
    this.input.focus();
    if (!this.querySelector(".palette-results").children.length) htmx.trigger(this.input, "search");
  }
  walk(event) {
    if (event.isComposing) return; // Enter and arrows belong to the input method while it is at work
    if (event.key === "Escape") { event.preventDefault(); this.dialog.close(); return; } // else it would only empty the field
    const links = [...this.querySelectorAll(".palette-results a")];
    const at = links.indexOf(document.activeElement);
    if (event.key === "ArrowDown" && links.length) this.go(event, links[Math.min(at + 1, links.length - 1)]);
    else if (event.key === "ArrowUp" && at >= 0) this.go(event, at === 0 ? this.input : links[at - 1]);
    else if (event.key === "Enter" && event.target === this.input && links.length && this.fresh()) this.go(event, links[0]).click();
    else if (at >= 0 && event.key.length === 1 && !event.metaKey && !event.ctrlKey) this.input.focus();
  }
  fresh() { return !this.input.classList.contains("htmx-request") && this.shown === this.input.value; }
  go(event, element) { event.preventDefault(); element.focus(); return element; }
}
customElements.define("h-search", Search);
document.addEventListener("htmx:afterSwap", (event) => {
  const search = event.target.closest("h-search");
  if (search) search.shown = new URLSearchParams(event.detail.pathInfo.finalRequestPath.split("?")[1]).get("q");
});

document.addEventListener("click", (event) => {
  if (event.metaKey || event.ctrlKey || event.shiftKey) return;
  if (event.target.closest("[data-open-search]")) { event.preventDefault(); document.querySelector("h-search")?.open(); }
  else if (event.target.closest("[data-open-help]")) { event.preventDefault(); document.getElementById("help-dialog")?.showModal(); }
});

// Keys. One letter each, only where nobody types, never with a modifier.
const rows = () => [...document.querySelectorAll("main .table-wrap tbody tr")].filter(way);
const way = (row) => row.querySelector("th a, td a");
function step(by) {
  const all = rows();
  const at = all.findIndex((row) => row.contains(document.activeElement));
  const next = all[at < 0 ? (by > 0 ? 0 : all.length - 1) : Math.max(0, Math.min(at + by, all.length - 1))];
  const target = next && (way(next) ?? next.querySelector("input, button, summary"));
  target?.focus();
  next?.scrollIntoView({ block: "nearest" });
}
const KEYS = {
  "/": () => document.querySelector("h-search")?.open() ?? true,
  "?": () => document.getElementById("help-dialog")?.showModal() ?? true,
  f: () => document.querySelector("main [data-search]")?.focus() ?? true,
  j: () => step(1) ?? true,
  k: () => step(-1) ?? true,
  x: () => rows().find((row) => row.contains(document.activeElement))?.querySelector("input[name=pick]")?.click() ?? true,
  "[": () => document.querySelector("a[rel=prev]")?.click() ?? true,
  "]": () => document.querySelector("a[rel=next]")?.click() ?? true,
};
// What a page offers by a letter of its own: `data-key` on its button, with a `<kbd>` beside it.
function own(key) {
  const target = /^[a-z]$/.test(key) && document.querySelector(`main [data-key="${key}"]:not(:disabled)`);
  return target ? () => target.click() : undefined;
}
document.addEventListener("keydown", (event) => {
  if (event.metaKey || event.ctrlKey || event.altKey || event.isComposing) return;
  if (editing(event.target) && !(event.key === "x" && event.target.name === "pick")) return;
  if (document.querySelector("dialog[open]")) return;
  const act = KEYS[event.key] ?? own(event.key);
  if (act) { event.preventDefault(); act(); }
});
