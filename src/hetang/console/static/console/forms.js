// What browsers say in their own language, said in the page's; and uploads that show how far they are. Every form works
// without it. The words stand in <template id="words">.
const words = document.getElementById("words")?.dataset ?? {};

// What is missing or wrong in a field.
function complaint(input) {
  const wrong = input.validity;
  if (wrong.valueMissing) return input.type === "checkbox" ? words.tick : input.matches("select") ? words.choose : words.fill;
  if (wrong.typeMismatch) return input.type === "url" ? words.url : words.email;
  if (wrong.rangeUnderflow) return words.least?.replace("{}", input.min);
  if (wrong.rangeOverflow) return words.most?.replace("{}", input.max);
  return wrong.badInput ? words.bad : "";
}
document.addEventListener("invalid", (event) => {
  const input = event.target;
  if (!input.validity.customError && input.type !== "radio") input.setCustomValidity(complaint(input) ?? "");
}, true);
for (const kind of ["input", "change"]) document.addEventListener(kind, (event) => event.target.dataset?.pick || event.target.setCustomValidity?.(""), true);  // days: hetang.js

// The native field lies invisibly over ours, so clicking, dropping a file and the keyboard work as ever.
function dress(root) {
  for (const input of root.querySelectorAll("input[type=file]:not([data-dressed])")) {
    input.dataset.dressed = "";
    const frame = document.createElement("span");
    frame.className = "filepick";
    frame.innerHTML = '<span class="button" aria-hidden="true"></span><span class="name" aria-hidden="true"></span>';
    frame.querySelector(".button").textContent = input.multiple ? words.files : words.file;
    const name = frame.querySelector(".name");
    const tell = () => (name.textContent = [...input.files].map((file) => file.name).join(", ") || words.none);
    input.addEventListener("change", tell);
    input.before(frame);
    frame.append(input);
    tell();
  }
}
if (words.file) {
  dress(document);
  document.addEventListener("htmx:load", (event) => dress(event.target));
}

// <form data-upload>: a large file shows how far it is, and can be stopped.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.matches("[data-upload]") || event.defaultPrevented || !form.querySelector("input[type=file]")?.files.length) return;
  event.preventDefault();
  const shown = document.getElementById("uploading").content.firstElementChild.cloneNode(true);
  const bar = shown.querySelector("progress");
  const request = new XMLHttpRequest();
  const stop = () => { shown.remove(); form.querySelectorAll("button").forEach((button) => (button.disabled = false)); };
  request.upload.onprogress = (sent) => { bar.max = sent.total; bar.value = sent.loaded; };
  request.upload.onload = () => bar.removeAttribute("value"); // it is there; now it is read
  request.onload = () => (request.status < 400 ? location.assign(request.responseURL) : answered(form, request.responseText));
  request.onerror = () => { stop(); form.dispatchEvent(new CustomEvent("htmx:sendError", { bubbles: true })); };
  shown.querySelector("button").addEventListener("click", () => { request.abort(); stop(); });
  form.append(shown);
  request.open("POST", form.action);
  request.send(new FormData(form));
});
function answered(form, text) {
  const page = new DOMParser().parseFromString(text, "text/html").getElementById("main");
  if (page) document.getElementById("main").replaceChildren(...page.childNodes);
  dress(document);
}
