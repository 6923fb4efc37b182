// The console's own behaviour: small, and every page works without it except dialogs and live fragments.

// <h-confirm>: its button opens the dialog inside it; the form in the dialog does the work.
class Confirm extends HTMLElement {
  connectedCallback() {
    this.addEventListener("click", (event) => {
      const dialog = this.querySelector("dialog");
      if (event.target.closest("[data-open]")) dialog.showModal();
      else if (event.target.closest("[data-cancel]") || event.target === dialog) dialog.close();
    });
  }
}
customElements.define("h-confirm", Confirm);

// <h-toast>: leaves by itself, unless it reports an error.
class Toast extends HTMLElement {
  connectedCallback() {
    this.addEventListener("click", (event) => event.target.closest("button") && this.remove());
    if (!this.hasAttribute("keep")) this.timer = setTimeout(() => this.remove(), 6000);
  }
  disconnectedCallback() { clearTimeout(this.timer); }
}
customElements.define("h-toast", Toast);

// <h-copy value="...">: copies and says so.
class Copy extends HTMLElement {
  connectedCallback() {
    this.addEventListener("click", async () => {
      await navigator.clipboard.writeText(this.getAttribute("value"));
      const button = this.querySelector("button");
      const label = button.textContent;
      button.textContent = this.getAttribute("done");
      setTimeout(() => (button.textContent = label), 1500);
    });
  }
}
customElements.define("h-copy", Copy);

// <h-vanish seconds="60" done="...">: what it holds goes away by itself, also when the tab is left.
class Vanish extends HTMLElement {
  connectedCallback() {
    this.timer = setTimeout(() => this.clear(), 1000 * Number(this.getAttribute("seconds")));
    this.left = () => document.hidden && this.clear();
    document.addEventListener("visibilitychange", this.left);
  }
  disconnectedCallback() {
    clearTimeout(this.timer);
    document.removeEventListener("visibilitychange", this.left);
  }
  clear() { this.textContent = this.getAttribute("done"); }
}
customElements.define("h-vanish", Vanish);

// The sidebar on phones.
const sidebar = document.querySelector(".sidebar");
function showSidebar(open) {
  sidebar?.classList.toggle("open", open);
  document.querySelectorAll("[data-menu]").forEach((button) => button.setAttribute("aria-expanded", String(open)));
  if (open) sidebar.querySelector("a")?.focus();
}
document.addEventListener("click", (event) => {
  if (event.target.closest("[data-menu]")) showSidebar(!sidebar.classList.contains("open"));
  else if (event.target.closest(".backdrop")) showSidebar(false);
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") showSidebar(false);
});

// The entry of the page in view, wherever the menu has to scroll; and what somebody folded stays as she left it.
sidebar?.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest" });
document.addEventListener("click", (event) => {
  const kept = event.target.closest("summary")?.parentElement;
  if (kept?.dataset.keep) document.cookie = `${kept.dataset.keep}=${kept.open ? "" : "open"}; path=/; max-age=31536000; samesite=lax`;
});

// Filter bars apply when a choice is made; text fields wait for Enter.
document.addEventListener("change", (event) => {
  const bar = event.target.closest("form.filterbar");
  if (bar && event.target.matches("select, input[type=checkbox]")) bar.requestSubmit();
});

// Days and times are typed in one way whatever the language of the browser; its own calendar opens by the button beside.
const DAY = /^(\d{4})\s*[-/.年]\s*(\d{1,2})\s*[-/.月]\s*(\d{1,2})\s*日?$|^(\d{4})(\d{2})(\d{2})$/;
const TIME = /^(\d{1,2}):?(\d{2})$/;
function isoDay(text) {
  const parts = text.match(DAY)?.slice(1).filter(Boolean);
  const day = parts && [parts[0], parts[1].padStart(2, "0"), parts[2].padStart(2, "0")].join("-");
  return day && !Number.isNaN(Date.parse(day)) ? day : null;
}
function isoTime(text) {
  const [, hours, minutes] = text.match(TIME) ?? [];
  return minutes && hours < 24 && minutes < 60 ? `${hours.padStart(2, "0")}:${minutes}` : null;
}
function written(kind, text) {
  if (kind === "day") return isoDay(text);
  if (kind === "time") return isoTime(text);
  const [, day, time] = text.replace("T", " ").match(/^(.*\S)\s+(\S+)$/) ?? [];
  return day && isoDay(day) && isoTime(time) ? `${isoDay(day)} ${isoTime(time)}` : null;
}
document.addEventListener("change", (event) => {
  const input = event.target;
  if (!input.dataset?.pick) return;
  const text = input.value.normalize("NFKC").trim();
  const value = written(input.dataset.pick, text);
  input.setCustomValidity(text && !value ? input.dataset.wrong : "");
  input.value = value ?? text;
}, true);
document.addEventListener("input", (event) => event.target.dataset?.pick && event.target.setCustomValidity(""), true);
document.addEventListener("click", (event) => {
  const open = event.target.closest(".pick-open");
  if (!open) return;
  const [input, native] = open.parentElement.querySelectorAll("input");
  const value = written(input.dataset.pick, input.value.normalize("NFKC").trim()) ?? "";
  native.value = value.replace(" ", "T");
  try { native.showPicker(); } catch { input.focus(); }
});
document.addEventListener("change", (event) => {
  if (!event.target.matches(".pick-native")) return;
  event.stopPropagation();
  const input = event.target.parentElement.querySelector("[data-pick]");
  input.value = event.target.value.replace("T", " ");
  for (const type of ["input", "change"]) input.dispatchEvent(new Event(type, { bubbles: true }));
  input.closest("form.filterbar")?.requestSubmit();
  input.focus();
}, true);

// A form that is on its way cannot be sent again by a double click.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post" || form.hasAttribute("hx-post")) return;
  setTimeout(() => form.querySelectorAll("button:not([type=button])").forEach((button) => (button.disabled = true)));
  setTimeout(() => event.submitter?.disabled && event.submitter.setAttribute("aria-busy", "true"), 400); // it takes longer
});
window.addEventListener("pageshow", (event) => {
  if (event.persisted) document.querySelectorAll("form button:disabled").forEach((button) => {
    button.disabled = false;
    button.removeAttribute("aria-busy");
  });
});

// What somebody wrote and did not save (`data-unsaved`; "changed" when the page came back from the server with it) is not
// lost by a wrong click: the browser asks first.
function changed(event) {
  const form = event.target.closest?.("form[data-unsaved]");
  if (form && event.target.closest("input, select, textarea, button[type=button][hx-post]")) form.dataset.unsaved = "changed";
}
document.addEventListener("input", changed);
document.addEventListener("click", (event) => event.target.closest("button") && changed(event));
document.addEventListener("submit", (event) => {
  if (event.target.dataset.unsaved) event.target.dataset.unsaved = "";
});
window.addEventListener("beforeunload", (event) => {
  if (document.querySelector("form[data-unsaved=changed]")) event.preventDefault();
});

// Fragments that could not be fetched say so instead of standing still: what the page opened without, in its own place
// (its `template[data-failed]`, whose button lets it be asked for again); all others in a toast.
const awaited = new WeakMap();
document.addEventListener("htmx:responseError", showTrouble);
document.addEventListener("htmx:sendError", showTrouble);
function showTrouble(event) {
  const place = event.detail.elt;
  const failed = place.querySelector(":scope > template[data-failed]");
  if (failed) {
    awaited.set(place, [...place.childNodes]);
    place.removeAttribute("aria-busy");
    place.replaceChildren(failed.content.cloneNode(true));
    return;
  }
  const holder = document.querySelector(".toasts");
  const template = document.getElementById("trouble");
  if (holder && template && !holder.querySelector(".trouble")) holder.append(template.content.cloneNode(true));
}
document.addEventListener("click", (event) => {
  const place = event.target.closest("[data-again]")?.closest("[hx-get]");
  if (!awaited.has(place)) return;
  place.setAttribute("aria-busy", "true");
  place.replaceChildren(...awaited.get(place));
  place.dispatchEvent(new Event("again"));
});
