// Changes: each shows what it does before it does it, and none overwrites what somebody else
// has written meanwhile.

import * as api from "./api.js";
import { diff } from "./diff.js";
import { count, h, plural, problem, say } from "./dom.js";

let titles = 0;

export function dialog(title, ...content) {
  const id = `title-${++titles}`;
  const el = h("dialog", { "aria-labelledby": id, onclose: () => el.remove() }, h("h2", { id }, title), ...content);
  document.body.append(el);
  el.showModal();
  return el;
}

const cancel = () => h("button", { class: "button", type: "button", onclick: (e) => e.target.closest("dialog").close() }, "Cancel");

// form asks for a value, shows the difference, and then sends it.
function form(title, { key, value, ttl, fixed, words, write }) {
  const name = h("input", { class: "input mono", name: "key", value: key, disabled: fixed, required: true, spellcheck: "false", autocomplete: "off" });
  const text = h("textarea", { class: "input mono", name: "value", rows: "10", value, spellcheck: "false" });
  const life = h("input", { class: "input", name: "ttl", type: "number", min: "1", step: "1", value: ttl ?? "" });
  const step = h("div");
  const first = h("form", { method: "dialog", onsubmit: (e) => { e.preventDefault(); review(); } },
    h("label", null, "Key", name), h("label", null, "Value", text),
    h("label", null, "Time to live in seconds; empty: for ever", life),
    h("div", { class: "actions" }, h("button", { class: "button main" }, "Review the change"), cancel()));
  const el = dialog(title, step);
  step.append(first);
  if (fixed) { text.focus(); text.setSelectionRange(0, 0); text.scrollTop = 0; } else { name.focus(); name.setSelectionRange(key.length, key.length); }

  function review() {
    const failed = h("div");
    const save = h("button", { class: "button main", type: "button", onclick: async () => {
      save.disabled = true;
      try {
        await write(name.value, text.value, life.value);
        el.close();
        say(`${name.value} saved`);
      } catch (err) {
        save.disabled = false;
        failed.replaceChildren(problem(err.code === 101 ? { message: "Somebody has changed this key meanwhile, so nothing was written. Cancel, and look at the new value." }
          : err.code === 105 ? { message: "This key exists already, so nothing was written." } : err));
      }
    } }, "Save");
    step.replaceChildren(h("p", null, words(name.value)), changes(value, text.value, fixed), failed,
      h("div", { class: "actions" }, save, h("button", { class: "button", type: "button", onclick: () => step.replaceChildren(first) }, "Back"), cancel()));
    save.focus();
  }
}

function changes(before, after, existed) {
  if (existed && before === after) return h("p", { class: "quiet" }, "The value stays as it is.");
  const lines = existed ? diff(before, after) : after.split("\n").map((l) => ["+", l]);
  const spoken = { "-": "removed: ", "+": "added: ", " ": "" };
  const near = new Set(lines.flatMap(([how], i) => (how === " " ? [] : [i - 2, i - 1, i, i + 1, i + 2])));
  const out = [];
  for (const [i, [how, line]] of lines.entries()) {
    if (near.has(i)) out.push(h("div", { class: how === "-" ? "gone" : how === "+" ? "new" : "" }, h("span", { "aria-hidden": "true" }, how + " "), h("span", { class: "unseen" }, spoken[how]), line));
    else if (near.has(i - 1)) out.push(h("div", { class: "quiet" }, "…"));
  }
  return h("div", { class: "diff mono", tabindex: "0", role: "region", "aria-label": "What changes" }, out);
}

export function edit(app, node, done) {
  form("Edit", {
    key: node.key, value: node.value ?? "", ttl: node.ttl, fixed: true,
    words: () => `This is written only if the key is still as of index ${node.modifiedIndex} (compare-and-swap).`,
    write: async (key, value, ttl) => {
      await api.send("PUT", "/v2/keys" + api.path(key), { query: { prevIndex: node.modifiedIndex }, form: ttl ? { value, ttl } : { value } });
      await done(key);
    },
  });
}

export function makeKey(app, key, done) {
  form("New key", {
    key, value: "", fixed: false,
    words: (key) => `${key} is made, with the directories above it, unless it exists.`,
    write: async (key, value, ttl) => {
      if (!key.startsWith("/")) key = "/" + key;
      await api.send("PUT", "/v2/keys" + api.path(key), { query: { prevExist: false }, form: ttl ? { value, ttl } : { value } });
      await done(key.replace(/\/+$/, ""));
    },
  });
}

export function confirmDelete(app, node, done) {
  const stop = new AbortController();
  const words = h("p", null, node.dir ? "Counting what lies below…" : `It is deleted only if it is still as of index ${node.modifiedIndex} (compare-and-delete).`);
  const failed = h("div");
  const go = h("button", { class: "button danger", type: "button", disabled: node.dir, onclick: async () => {
    go.disabled = true;
    try {
      await api.send("DELETE", "/v2/keys" + api.path(node.key), { query: node.dir ? { dir: true, recursive: true } : { prevIndex: node.modifiedIndex } });
      el.close();
      say(`${node.key} deleted`);
      await done();
    } catch (err) {
      go.disabled = false;
      failed.replaceChildren(problem(err.code === 101 ? { message: "Somebody has changed this key meanwhile, so it was not deleted." } : err));
    }
  } }, "Delete");
  const el = dialog("Delete", h("p", { class: "mono strong" }, node.key), words, failed, h("div", { class: "actions" }, go, cancel()));
  el.addEventListener("close", () => stop.abort());
  if (node.dir) below();

  async function below() {
    try {
      let files = 0, dirs = -1; // not itself
      for await (const n of api.names(node.key, {}, stop.signal)) {
        if (n.dir) dirs++; else files++;
        if ((files + dirs) % 10000 === 0) words.textContent = `Counting what lies below: ${count(files + dirs)} so far…`;
      }
      words.textContent = files + dirs ? `This deletes the directory and what lies below it: ${plural(files, "file")} and ${plural(dirs, "directory", "directories")}, and hidden nodes, which v2 doesn't list. It can't be undone.`
        : "The directory lists nothing below it. Hidden nodes, which v2 doesn't list, are deleted with it.";
      go.textContent = files + dirs ? `Delete ${plural(files + dirs + 1, "node")}` : "Delete";
      go.disabled = false;
    } catch (err) {
      if (err.name !== "AbortError") failed.replaceChildren(problem(err));
    }
  }
}
