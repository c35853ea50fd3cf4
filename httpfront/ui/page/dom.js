// Elements, and the words for numbers and times. Text only ever becomes text: nothing here
// makes HTML of a string.

function build(el, props, children) {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) el.addEventListener(name.slice(2), value);
    else if (name === "value" || name === "checked" || name === "disabled" || name === "hidden") el[name] = value;
    else el.setAttribute(name, value === true ? "" : value);
  }
  el.append(...children.flat(Infinity).filter((c) => c !== undefined && c !== null && c !== false));
  return el;
}

export const h = (tag, props, ...children) => build(document.createElement(tag), props, children);
export const svg = (tag, props, ...children) => build(document.createElementNS("http://www.w3.org/2000/svg", tag), props, children);

const numbers = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });

export const count = (n) => numbers.format(n);
export const plural = (n, one, many = one + "s") => `${count(n)} ${n === 1 ? one : many}`;
export const rough = (n) => (Math.abs(n) >= 1000 ? numbers.format(n) : short.format(n));

export function bytes(n) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let i = 0;
  while (Math.abs(n) >= 1024 && i < units.length - 1) { n /= 1024; i++; }
  return `${short.format(n)} ${units[i]}`;
}

export function duration(seconds) {
  const s = Math.abs(seconds);
  if (s < 1e-3) return `${short.format(seconds * 1e6)} µs`;
  if (s < 1) return `${short.format(seconds * 1e3)} ms`;
  if (s < 60) return `${short.format(seconds)} s`;
  if (s < 3600) return `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`;
  if (s < 48 * 3600) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86400)} days`;
}

export const clock = (date) => new Date(date).toLocaleTimeString("en-GB");
export const moment = (date) => new Date(date).toLocaleString("sv-SE");

// say announces text to screen readers.
export function say(text) {
  document.getElementById("said").textContent = text;
}

export function empty(title, text, ...more) {
  return h("div", { class: "empty" }, h("p", { class: "empty-title" }, title), text && h("p", null, text), ...more);
}

export function problem(err, again) {
  return h("div", { class: "problem", role: "alert" }, h("p", null, err.message ?? String(err)),
    again && h("button", { class: "button", onclick: again }, "Try again"));
}

// table makes a table whose cells carry their heading, for narrow screens.
export function table(caption, headings, rows) {
  return h("table", null,
    h("caption", { class: "unseen" }, caption),
    h("thead", null, h("tr", null, headings.map((t) => h("th", { scope: "col" }, t)))),
    h("tbody", null, rows.map((cells) => h("tr", null, cells.map((c, i) => h("td", { "data-heading": headings[i] }, c))))));
}

export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch { // the clipboard is for secure origins only
    const area = h("textarea", { class: "unseen", value: text });
    (document.querySelector("dialog[open]") ?? document.body).append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  say("Copied");
}
