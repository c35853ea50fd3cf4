// The view of keys: the tree, and the node that was chosen.

import * as api from "./api.js";
import { copy, duration, empty, h, moment, plural, problem, say } from "./dom.js";
import { confirmDelete, edit, makeKey } from "./change.js";
import { Tree, parentOf } from "./tree.js";
import { valueView } from "./value.js";

const link = (key) => "#/keys" + api.path(key);

const quoted = (word) => `'${word.replaceAll("'", "'\\''")}'`; // for a shell

// holds says what a directory has.
function holds(children) {
  const dirs = children.filter((c) => c.dir).length, nodes = plural(children.length, "node");
  return dirs === children.length ? `${plural(dirs, "directory", "directories")} here.` : dirs ? `${nodes} here, ${plural(dirs, "directory", "directories")} among them.` : `${nodes} here.`;
}

export function keysView(app) {
  const tree = new Tree((key) => { location.hash = link(key); if (key === shown) open(key); });
  const detail = h("section", { class: "detail", "aria-label": "The node" });
  const filter = h("input", {
    type: "search", class: "input", id: "filter", placeholder: "Filter by name, or go to /a/key", "aria-label": "Filter by name at any depth, or go to a key that begins with a slash",
    autocomplete: "off", spellcheck: "false", oninput: () => later(), onkeydown: (e) => {
      if (e.key === "Enter" && filter.value.startsWith("/")) location.hash = link(filter.value);
      if (e.key === "ArrowDown") { e.preventDefault(); tree.el.focus(); }
    },
  });
  let timer, shown = null, asked = 0, countdown;
  const later = () => {
    clearTimeout(timer);
    if (!filter.value.startsWith("/")) timer = setTimeout(() => tree.filter(filter.value), 200);
  };
  const showHidden = h("input", {
    type: "checkbox", onchange: () => {
      tree.showHidden = showHidden.checked;
      tree.refresh();
    },
  });
  const newKey = h("button", { class: "button narrow", type: "button", onclick: () => makeKey(app, "/", changed) }, "New key");
  const el = h("div", { class: "keys" },
    h("section", { class: "browse", "aria-label": "All keys" },
      h("div", { class: "tools" }, filter,
        h("label", { class: "check" }, showHidden, "Hidden"),
        h("button", { class: "button", type: "button", onclick: () => tree.refresh() }, "Refresh"), newKey),
      tree.note, tree.el),
    detail);

  async function open(key) {
    const mine = ++asked;
    shown = key;
    clearInterval(countdown);
    try {
      const [{ node, index }, access] = await Promise.all([api.get(key, { sorted: true }), app.access(key)]);
      if (mine !== asked) return;
      await show({ key, ...node }, index, access);
    } catch (err) {
      if (mine !== asked) return;
      el.classList.add("chosen");
      const create = err.code === 100 && await app.access(key).then((a) => a.write, () => false);
      detail.replaceChildren(heading(key),
        err.code === 100 ? empty("There is no such key.", null, create && h("button", { class: "button main", onclick: () => makeKey(app, key, changed) }, "Make it"))
          : err.code === 110 ? empty("You may not read this key.", "Log in as a user whose roles allow it.") : problem(err, () => open(key)));
    }
  }

  async function changed(key) {
    const here = location.hash;
    app.forget();
    await tree.refresh();
    if (here !== location.hash) return; // the user has gone elsewhere meanwhile
    if (link(key) === here) await open(key);
    else location.hash = link(key);
  }

  function heading(key) {
    const parts = key === "/" ? [] : key.slice(1).split("/");
    return h("div", { class: "heading" },
      h("a", { class: "back", href: "#/keys/" }, "All keys"),
      h("h1", { class: "mono" }, h("a", { href: "#/keys/" }, "/"), parts.map((p, i) => [i > 0 && "/", h("a", { href: link("/" + parts.slice(0, i + 1).join("/")), "aria-current": i === parts.length - 1 ? "page" : undefined }, p)])));
  }

  async function show(node, index, access) {
    const root = node.key === "/", children = node.nodes ?? [];
    el.classList.toggle("chosen", !root);
    newKey.hidden = !(root && access.write); // elsewhere it is beside the node
    const facts = [["Kind", node.dir ? "directory" : "file"]];
    if (!root) facts.push(["Created at index", node.createdIndex], ["Modified at index", node.modifiedIndex]);
    facts.push(["The tree's index", index]);
    const ttl = h("span");
    if (node.expiration) {
      facts.push(["Expires", h("span", null, ttl, h("span", { class: "quiet" }, ` at ${moment(node.expiration)}`))]);
      const end = Date.now() + node.ttl * 1000; // the member's clock may be another
      const tick = () => {
        const left = Math.max(0, (end - Date.now()) / 1000);
        ttl.textContent = left > 0 ? `in ${duration(Math.ceil(left))}` : "now";
        if (left <= 0) { clearInterval(countdown); setTimeout(() => shown === node.key && changed(node.key), 1500); }
      };
      tick();
      countdown = setInterval(tick, 1000);
    }
    const curl = `curl ${quoted(`${app.clientURL()}/v2/keys${api.path(node.key)}`)}${api.user() ? ` -u ${quoted(api.user())}` : ""}`;
    detail.replaceChildren(heading(node.key),
      h("div", { class: "actions" },
        !node.dir && access.write && h("button", { class: "button main", type: "button", onclick: () => edit(app, node, changed) }, "Edit"),
        node.dir && access.write && h("button", { class: "button main", type: "button", onclick: () => makeKey(app, root ? "/" : node.key + "/", changed) }, "New key"),
        h("button", { class: "button", type: "button", onclick: (e) => { copy(curl); e.target.textContent = "Copied"; setTimeout(() => (e.target.textContent = "Copy as curl"), 1500); }, "data-copies": curl }, "Copy as curl"),
        h("a", { class: "button", href: `#/live?key=${encodeURIComponent(node.key)}` }, "Watch"),
        !root && access.write && h("button", { class: "button danger", type: "button", onclick: () => confirmDelete(app, node, () => changed(parentOf(node.key))) }, "Delete")),
      h("dl", { class: "facts" }, facts.map(([k, v]) => h("div", null, h("dt", null, k), h("dd", null, v)))),
      node.dir
        ? root && !children.length ? empty("There are no keys yet.", access.write ? "Make the first one with New key." : `Make the first one: curl ${app.clientURL()}/v2/keys/message -XPUT -d value=Hello`)
          : h("p", { class: "quiet" }, children.length ? holds(children) : "This directory is empty.")
        : valueView(node.value ?? ""));
    await tree.reveal(node.key, node.dir);
    say(`${node.key}, ${node.dir ? "directory" : "file"}`);
  }

  return {
    el,
    title: "Keys",
    enter: (rest) => {
      let key = "/";
      try { key = decodeURIComponent(rest) || "/"; } catch { /* a broken link leads to the root */ }
      open(key.length > 1 ? key.replace(/\/+$/, "") || "/" : "/");
    },
    leave: () => clearInterval(countdown),
    focusFilter: () => filter.focus(),
    again: () => { tree.refresh(); if (shown) open(shown); },
  };
}
