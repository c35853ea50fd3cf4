// A value as text, as JSON and as bytes.

import { bytes, count, h } from "./dom.js";

const textLimit = 256 << 10; // characters shown at first
const hexLimit = 16 << 10; // bytes

export function valueView(value) {
  const json = parseJSON(value);
  const forms = { Text: () => asText(value), JSON: () => asJSON(value, json), Hex: () => asHex(value) };
  const panel = h("div", { class: "value", role: "tabpanel", id: "value", tabindex: "0" });
  const tabs = Object.keys(forms).map((name, i) => h("button", {
    type: "button", role: "tab", class: "tab", "aria-controls": "value", id: `tab-${name}`,
    onclick: () => choose(i), onkeydown: (e) => {
      const to = { ArrowRight: i + 1, ArrowLeft: i - 1, Home: 0, End: 2 }[e.key];
      if (to === undefined) return;
      e.preventDefault();
      choose((to + 3) % 3);
      tabs[(to + 3) % 3].focus();
    },
  }, name));
  const choose = (i) => {
    tabs.forEach((t, j) => { t.setAttribute("aria-selected", String(i === j)); t.tabIndex = i === j ? 0 : -1; });
    panel.setAttribute("aria-labelledby", tabs[i].id);
    panel.replaceChildren(Object.values(forms)[i]());
  };
  choose(json.object ? 1 : 0);
  return h("section", { "aria-label": "Value" },
    h("div", { class: "tabs", role: "tablist", "aria-label": "The value as" }, tabs, h("span", { class: "quiet size" }, bytes(new Blob([value]).size))),
    panel);
}

function clipped(text, limit, shown) {
  const pre = h("pre", { class: "mono" }, text.slice(0, limit));
  if (text.length <= limit) return pre;
  const more = h("button", { class: "button", type: "button", onclick: () => { pre.textContent = text; more.remove(); } }, `Show all ${count(text.length)} ${shown}`);
  return h("div", null, pre, more);
}

function asText(value) {
  if (value === "") return h("p", { class: "quiet" }, "The value is empty.");
  return clipped(value, textLimit, "characters");
}

export function parseJSON(text) {
  try {
    const value = JSON.parse(text);
    return { object: typeof value === "object" && value !== null };
  } catch (err) {
    return { err };
  }
}

// format indents JSON. It keeps numbers as they are written: JavaScript would round large ones.
export function format(text) {
  let out = "", depth = 0;
  const line = () => "\n" + "  ".repeat(depth);
  const tokens = text.match(/"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g) ?? [];
  for (const [i, t] of tokens.entries()) {
    if (t === "{" || t === "[") {
      depth++;
      out += tokens[i + 1] === "}" || tokens[i + 1] === "]" ? t : t + line();
    } else if (t === "}" || t === "]") {
      depth--;
      out += tokens[i - 1] === "{" || tokens[i - 1] === "[" ? t : line() + t;
    } else out += t === "," ? t + line() : t === ":" ? ": " : t;
  }
  return out;
}

function asJSON(value, { err }) {
  if (!err) return clipped(format(value), textLimit, "characters");
  const at = /position (\d+)/.exec(err.message);
  if (!at && !/end of/.test(err.message)) return h("div", null, h("p", { class: "problem" }, `This isn't JSON. ${err.message}`), clipped(value, textLimit, "characters"));
  const place = at ? Number(at[1]) : value.length;
  const before = value.slice(0, place), line = before.split("\n").length, column = place - before.lastIndexOf("\n");
  return h("div", null,
    h("p", { class: "problem" }, `This isn't JSON. ${err.message.replace(/ in JSON.*| \(line.*/, "")}, in line ${line}, column ${column}:`),
    h("pre", { class: "mono" }, value.slice(Math.max(0, place - 200), place), h("mark", null, value.slice(place, place + 1) || "end"), value.slice(place + 1, place + 200)));
}

function asHex(value) {
  const all = new TextEncoder().encode(value), lines = [];
  for (let i = 0; i < Math.min(all.length, hexLimit); i += 16) {
    const row = [...all.subarray(i, i + 16)];
    lines.push(`${i.toString(16).padStart(6, "0")}  ${row.map((b) => b.toString(16).padStart(2, "0")).join(" ").padEnd(47)}  ${row.map((b) => (b > 31 && b < 127 ? String.fromCharCode(b) : "·")).join("")}`);
  }
  return h("div", null,
    value.includes("\ufffd") && h("p", { class: "quiet" }, "v2's JSON can't carry bytes that aren't UTF-8: each of them is shown as ef bf bd."),
    h("pre", { class: "mono hex" }, lines.join("\n") || "no bytes"),
    all.length > hexLimit && h("p", { class: "quiet" }, `The first ${bytes(hexLimit)} of ${bytes(all.length)}.`));
}
