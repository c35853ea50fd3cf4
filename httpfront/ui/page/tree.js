// The tree of keys: directories are read as they are opened, and only the rows in sight are
// elements, so that a directory may have a hundred thousand children.

import * as api from "./api.js";
import { count, h, plural, say } from "./dom.js";

const rowHeight = 30; // px, as in style.css
const spare = 12; // rows beyond the edges
const matchLimit = 5000;

export const parentOf = (key) => key.slice(0, key.lastIndexOf("/")) || "/";
export const nameOf = (key) => key.slice(key.lastIndexOf("/") + 1);
const hidden = (key) => nameOf(key).startsWith("_");

export class Tree {
  // pick is called with the key that the user has chosen.
  constructor(pick) {
    this.pick = pick;
    this.dirs = new Map([["/", { open: true }]]); // by key: { open, children, loading, failed }
    this.rows = [];
    this.at = 0; // the row that the keyboard is on
    this.selected = null;
    this.needle = "";
    this.showHidden = false;
    this.found = null; // the rows that a filter has found
    this.inner = h("div", { class: "tree-rows", role: "presentation" });
    this.el = h("div", {
      class: "tree", role: "tree", "aria-label": "Keys", tabindex: "0",
      onscroll: () => this.draw(), onkeydown: (e) => this.key(e), onclick: (e) => this.click(e),
    }, this.inner);
    this.note = h("p", { class: "note" });
    new ResizeObserver(() => this.draw()).observe(this.el);
  }

  get query() { return this.showHidden ? { showHidden: true } : {}; }

  // load reads a directory's children.
  async load(key) {
    const dir = this.dirs.get(key);
    dir.loading = true;
    this.layout();
    try {
      const { node } = await api.get(key, { sorted: true, ...this.query });
      dir.children = node.nodes ?? [];
      dir.failed = null;
      say(`${key}: ${plural(dir.children.length, "node")}`);
    } catch (err) {
      dir.failed = err.message;
    }
    dir.loading = false;
    this.layout();
  }

  async toggle(key, open) {
    const dir = this.dirs.get(key) ?? {};
    this.dirs.set(key, dir);
    dir.open = open ?? !dir.open;
    if (dir.open && !dir.children && !dir.loading) await this.load(key);
    else this.layout();
  }

  // refresh reads all open directories again.
  async refresh() {
    for (const [key, dir] of this.dirs) {
      if (dir.open && this.reachable(key)) await this.load(key);
      else this.dirs.delete(key);
    }
    if (this.needle) await this.filter(this.needle);
  }

  reachable(key) {
    for (let k = key; k !== "/"; ) {
      k = parentOf(k);
      if (!this.dirs.get(k)?.open) return false;
    }
    return true;
  }

  // reveal opens the directories above key, and key if it is one, and puts the row into sight.
  // A hidden node is not in v2's listings: it is put where it would be. A directory that was
  // chosen in the tree stays as the tree has it.
  async reveal(key, isDir) {
    const arrived = this.selected !== key;
    this.selected = key;
    const root = this.dirs.get("/");
    if (!root.children && !root.loading) await this.load("/");
    if (key !== "/") {
      const above = [];
      for (let k = parentOf(key); ; k = parentOf(k)) { above.unshift(k); if (k === "/") break; }
      for (const k of above) {
        const dir = this.dirs.get(k);
        if (!dir?.open || !dir.children) await this.toggle(k, true);
      }
      for (const [i, k] of [...above.slice(1), key].entries()) {
        const children = this.dirs.get(above[i]).children;
        if (children && hidden(k) && !children.some((c) => c.key === k)) children.push({ key: k, dir: k !== key || isDir });
      }
      if (arrived && isDir) await this.toggle(key, true);
    }
    this.layout();
    const row = this.rows.findIndex((r) => r.node?.key === key);
    if (row >= 0) { this.at = row; this.show(row); }
    this.draw();
  }

  layout() {
    if (this.found) {
      this.rows = this.found.map((node) => ({ node, depth: 0, flat: true, size: this.found.length }));
    } else {
      this.rows = [];
      this.flatten("/", 0);
    }
    this.at = Math.min(this.at, Math.max(0, this.rows.length - 1));
    this.inner.style.height = `${this.rows.length * rowHeight}px`;
    this.draw();
  }

  flatten(key, depth) {
    const dir = this.dirs.get(key);
    if (dir.failed) this.rows.push({ depth, words: dir.failed, failed: true });
    else if (!dir.children) this.rows.push({ depth, words: "Loading…" });
    else if (!dir.children.length) this.rows.push({ depth, words: key === "/" ? "There are no keys yet." : "Empty" });
    for (const [i, node] of (dir.children ?? []).entries()) {
      this.rows.push({ node, depth, place: i + 1, size: dir.children.length });
      if (node.dir && this.dirs.get(node.key)?.open) this.flatten(node.key, depth + 1);
    }
  }

  draw() {
    const top = this.el.scrollTop, height = this.el.clientHeight || 600;
    const from = Math.max(0, Math.floor(top / rowHeight) - spare);
    const to = Math.min(this.rows.length, Math.ceil((top + height) / rowHeight) + spare);
    this.inner.replaceChildren(...this.rows.slice(from, to).map((row, i) => this.element(row, from + i)));
    const active = this.at >= from && this.at < to && this.rows[this.at];
    if (active) this.el.setAttribute("aria-activedescendant", `row-${this.at}`);
    else this.el.removeAttribute("aria-activedescendant");
  }

  element(row, i) {
    const { node, depth } = row;
    const open = node?.dir && !row.flat && Boolean(this.dirs.get(node.key)?.open);
    const el = h("div", {
      id: `row-${i}`, class: `row${i === this.at ? " at" : ""}${node && node.key === this.selected ? " selected" : ""}${row.failed ? " failed" : ""}`,
      role: "treeitem", "data-row": i, "aria-level": depth + 1, "aria-posinset": row.place ?? i + 1, "aria-setsize": row.size,
      "aria-expanded": node?.dir && !row.flat ? String(open) : undefined, "aria-selected": String(Boolean(node && node.key === this.selected)),
    });
    el.style.top = `${i * rowHeight}px`;
    el.style.paddingInlineStart = `${10 + Math.min(depth, 12) * 16}px`;
    if (!node) {
      el.classList.add("quiet");
      el.append(row.words);
      return el;
    }
    el.append(...[
      h("span", { class: node.dir ? `twist${open ? " open" : ""}` : "leaf", "aria-hidden": "true" }),
      h("span", { class: "name" }, row.flat ? this.marked(node.key) : nameOf(node.key), node.dir && h("span", { class: "quiet" }, "/")),
      !node.dir && node.value !== undefined && h("span", { class: "peek", "aria-hidden": "true" }, node.value.slice(0, 80)),
    ].filter(Boolean));
    return el;
  }

  marked(key) {
    const i = key.toLowerCase().lastIndexOf(this.needle);
    return i < 0 ? key : h("span", null, key.slice(0, i), h("mark", null, key.slice(i, i + this.needle.length)), key.slice(i + this.needle.length));
  }

  show(i) {
    const top = i * rowHeight, view = this.el.clientHeight;
    if (top < this.el.scrollTop) this.el.scrollTop = top;
    else if (top + rowHeight > this.el.scrollTop + view) this.el.scrollTop = top + rowHeight - view;
  }

  move(i) {
    this.at = Math.max(0, Math.min(this.rows.length - 1, i));
    this.show(this.at);
    this.draw();
  }

  choose(i) {
    const node = this.rows[i]?.node;
    if (!node) return;
    this.at = i;
    this.selected = node.key;
    this.draw();
    this.pick(node.key);
  }

  click(e) {
    const i = Number(e.target.closest("[data-row]")?.dataset.row ?? NaN);
    const row = this.rows[i];
    if (!row?.node) return;
    if (row.node.dir && !row.flat && (e.target.closest(".twist") || this.selected === row.node.key || !this.dirs.get(row.node.key)?.open)) this.toggle(row.node.key);
    if (!e.target.closest(".twist")) this.choose(i);
  }

  key(e) {
    if (e.ctrlKey || e.altKey || e.metaKey) return;
    const row = this.rows[this.at], node = row?.node, page = Math.max(1, Math.floor(this.el.clientHeight / rowHeight) - 1);
    const open = node?.dir && this.dirs.get(node.key)?.open;
    switch (e.key) {
      case "ArrowDown": this.move(this.at + 1); break;
      case "ArrowUp": this.move(this.at - 1); break;
      case "PageDown": this.move(this.at + page); break;
      case "PageUp": this.move(this.at - page); break;
      case "Home": this.move(0); break;
      case "End": this.move(this.rows.length - 1); break;
      case "Enter": case " ": this.choose(this.at); break;
      case "ArrowRight":
        if (!node?.dir || row.flat) return;
        if (open) this.move(this.at + 1);
        else this.toggle(node.key, true);
        break;
      case "ArrowLeft":
        if (row?.flat) return;
        if (open) this.toggle(node.key, false);
        else if (row?.depth) {
          let i = this.at;
          while (i > 0 && this.rows[i].depth >= row.depth) i--;
          this.move(i);
        }
        break;
      default: return;
    }
    e.preventDefault();
  }

  // filter lists the keys at any depth whose names contain the text.
  async filter(text) {
    this.search?.abort();
    this.needle = text.trim().toLowerCase();
    if (!this.needle) {
      this.found = null;
      this.note.textContent = "";
      this.layout();
      return;
    }
    const search = (this.search = new AbortController());
    this.found = [];
    this.at = 0;
    let seen = 0, drawn = performance.now();
    const tell = (end) => {
      this.note.textContent = `${plural(this.found.length, "match", "matches")} in ${plural(seen, "node")}${end}`;
      this.layout();
    };
    try {
      for await (const node of api.names("/", this.query, search.signal)) {
        seen++;
        if (nameOf(node.key).toLowerCase().includes(this.needle)) this.found.push(node);
        if (this.found.length >= matchLimit) {
          search.abort();
          tell(` so far: the first ${count(matchLimit)} are shown`);
          return;
        }
        if (performance.now() - drawn > 200) { drawn = performance.now(); tell(" so far…"); }
      }
      tell("");
      say(this.note.textContent);
    } catch (err) {
      if (err.name !== "AbortError") this.note.textContent = err.message;
    }
  }
}
