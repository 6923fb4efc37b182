// <h-pick>: a select (single or multiple) that one fills by typing; the select stays the truth. What it offers comes
// from the page (`source`: the id of a datalist) or from the server (`url`), which answers {values: [[value, label]], more}.
const SHOWN = 50;

class Pick extends HTMLElement {
  connectedCallback() {
    if (this.ready) return;
    this.ready = true;
    this.select = this.querySelector("select");
    this.box = this.appendChild(Object.assign(document.createElement("div"), { className: "pick" }));
    this.input = document.createElement("input");
    this.list = Object.assign(document.createElement("ul"), { className: "pick-list", hidden: true });
    this.list.id = `${this.select.id}-list`;
    this.list.setAttribute("role", "listbox");
    const label = this.closest(".field")?.querySelector("label");
    Object.entries({
      type: "text", role: "combobox", autocomplete: "off", placeholder: this.getAttribute("hint") ?? "",
      "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": this.list.id, id: `${this.select.id}-search`,
    }).forEach(([name, value]) => this.input.setAttribute(name, value));
    label?.setAttribute("for", this.input.id);
    this.append(this.list);
    this.draw();
    this.setAttribute("ready", "");
    this.input.addEventListener("input", (event) => { event.stopPropagation(); this.offer(); });
    this.input.addEventListener("focus", () => this.offer());
    this.input.addEventListener("blur", () => setTimeout(() => this.close(), 150));
    this.input.addEventListener("keydown", (event) => this.key(event));
    this.list.addEventListener("mousedown", (event) => event.preventDefault());
    this.list.addEventListener("click", (event) => this.take(event.target.closest("li")));
    this.box.addEventListener("click", (event) => this.drop(event.target.closest("button")?.value));
  }

  chosen() { return [...this.select.selectedOptions].filter((option) => option.value); }

  draw() {
    this.box.replaceChildren(...this.chosen().map((option) => {
      const chip = Object.assign(document.createElement("span"), { className: "badge badge-accent", textContent: option.textContent });
      const button = Object.assign(document.createElement("button"), { type: "button", value: option.value, textContent: "×" });
      button.setAttribute("aria-label", `${this.getAttribute("remove")} ${option.textContent}`);
      chip.append(" ", button);
      return chip;
    }), this.input);
    this.input.placeholder = this.chosen().length ? "" : this.getAttribute("hint") ?? "";
  }

  offer() {
    const wanted = this.input.value.trim();
    this.asked?.abort();
    clearTimeout(this.later);
    if (this.hasAttribute("source")) { this.show(this.known(wanted.toLowerCase()), wanted); return; }
    if (this.list.hidden) this.say(this.getAttribute("busy"));
    this.later = setTimeout(() => this.ask(wanted), wanted ? 180 : 0);
  }

  // The matches of a short list, which came with the page.
  known(wanted) {
    const options = [...document.getElementById(this.getAttribute("source"))?.options ?? []];
    const fits = (option) => !wanted || `${option.textContent} ${option.value}`.toLowerCase().includes(wanted);
    return options.filter(fits).map((option) => [option.value, option.textContent]);
  }

  // The matches of a long list, from the server; a newer question makes an older answer void.
  async ask(wanted) {
    this.asked = new AbortController();
    try {
      const answer = await fetch(`${this.getAttribute("url")}?q=${encodeURIComponent(wanted)}`, { signal: this.asked.signal });
      if (!answer.ok) throw new Error(String(answer.status));
      const { values, more } = await answer.json();
      if (document.activeElement === this.input) this.show(values, wanted, more);
    } catch (problem) {
      if (problem.name !== "AbortError") this.say(this.getAttribute("trouble"));
    }
  }

  show(values, wanted, more) {
    const taken = new Set(this.chosen().map((option) => option.value));
    const found = values.filter(([value]) => !taken.has(value));
    this.list.replaceChildren(...found.slice(0, SHOWN).map(([value, label], index) => {
      const item = Object.assign(document.createElement("li"), { textContent: label, id: `${this.list.id}-${index}` });
      item.dataset.value = value;
      item.setAttribute("role", "option");
      return item;
    }));
    if (!found.length) this.note(this.getAttribute("none"));
    else if (more || found.length > SHOWN) this.note(this.getAttribute("more"));
    this.open();
    this.point(wanted && found.length ? 0 : -1);
  }

  say(text) { this.list.replaceChildren(); this.note(text); this.open(); this.point(-1); }

  note(text) {
    if (!text) return;
    const note = Object.assign(document.createElement("li"), { className: "pick-note", textContent: text });
    note.setAttribute("role", "option");
    note.setAttribute("aria-disabled", "true");
    this.list.append(note);
  }

  open() {
    this.list.hidden = false;
    this.input.setAttribute("aria-expanded", "true");
  }

  point(index) {
    const items = [...this.list.querySelectorAll("li[data-value]")];
    this.at = items.length ? (index + items.length) % items.length : -1;
    if (index < 0) this.at = -1;
    items.forEach((item, place) => item.setAttribute("aria-selected", String(place === this.at)));
    items[this.at]?.scrollIntoView({ block: "nearest" });
    if (this.at >= 0) this.input.setAttribute("aria-activedescendant", items[this.at].id);
    else this.input.removeAttribute("aria-activedescendant");
  }

  key(event) {
    const count = this.list.querySelectorAll("li[data-value]").length;
    if (event.key === "ArrowDown") { event.preventDefault(); this.list.hidden ? this.offer() : this.point((this.at + 1) % Math.max(count, 1)); }
    else if (event.key === "ArrowUp") { event.preventDefault(); this.point(this.at <= 0 ? count - 1 : this.at - 1); }
    else if (event.key === "Enter") { event.preventDefault(); this.take(this.list.querySelectorAll("li[data-value]")[this.at]); }
    else if (event.key === "Escape") { event.stopPropagation(); this.close(); }
    else if (event.key === "Backspace" && !this.input.value) this.drop(this.chosen().at(-1)?.value);
  }

  take(item) {
    if (!item?.dataset.value) return;
    if (!this.select.multiple) [...this.select.options].forEach((option) => option.value && option.remove());
    this.select.append(new Option(item.textContent, item.dataset.value, true, true));
    this.changed();
    if (!this.select.multiple) this.close();
  }

  drop(value) {
    const option = value && [...this.select.options].find((one) => one.value === value);
    if (!option) return;
    option.remove();
    this.changed();
  }

  changed() {
    this.input.value = "";
    this.draw();
    this.input.focus();
    this.close();
    this.select.dispatchEvent(new Event("input", { bubbles: true }));
  }

  close() {
    this.asked?.abort();
    clearTimeout(this.later);
    this.list.hidden = true;
    this.input.setAttribute("aria-expanded", "false");
  }
}
customElements.define("h-pick", Pick);

// The list of new conditions: Escape closes it and gives the focus back.
document.addEventListener("keydown", (event) => {
  const adder = event.key === "Escape" && event.target.closest?.("details.adder[open]");
  if (adder) { adder.open = false; adder.querySelector("summary").focus(); }
});
