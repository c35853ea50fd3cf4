// The page: its views, its log-in, and what it asks the member every few seconds. Each view
// is a file of its own; the way to the member is api.js.

import { Alerts } from "./alerts.js";
import * as api from "./api.js";
import { dialog } from "./change.js";
import { clusterView } from "./cluster.js";
import { h, problem, say } from "./dom.js";
import * as glance from "./glance.js";
import { keysView } from "./keys.js";
import { liveView } from "./live.js";
import { History, interval, parse } from "./metrics.js";
import { recentView } from "./recent.js";

const $ = (id) => document.getElementById(id);
const opened = Date.now();

let settings = {}, alerts = null, looked = null, newest = [], ready = { ok: false, checks: [] }, member = "This member", clientURL = location.origin;
let may = { auth: false, user: "", write: false }; // with the root key
const rights = new Map(); // by key

const app = {
  history: null,
  // access returns what the client may do with a key.
  access: async (key) => {
    if (!rights.has(key)) {
      const all = await api.json("/v2/copse/access", { query: { key } });
      rights.set(key, { ...all, write: all.write && (settings.write || all.user !== "") });
    }
    return rights.get(key);
  },
  forget: () => rights.clear(),
  readiness: async () => ready,
  metric: (name) => newest.find((s) => s.name === name)?.value,
  alerts: () => looked,
  age: () => Math.ceil((Date.now() - opened) / 1000),
  clientURL: () => clientURL,
};

const views = { keys: keysView(app), live: liveView(app), cluster: clusterView(app), glance: glance.glanceView(app), recent: recentView(app) };
let current = null;

function route() {
  const [, name = "keys", rest = ""] = /^#\/(\w+)(.*)$/.exec(location.hash) ?? [];
  const view = views[name] ?? views.keys, [path, query] = rest.split("?");
  if (view !== current) {
    current?.leave();
    current = view;
    $("main").replaceChildren(view.el);
    document.title = `${view.title} · ${member} · copse`;
    for (const a of document.querySelectorAll("nav a")) {
      if (views[a.dataset.view] === view) a.setAttribute("aria-current", "page");
      else a.removeAttribute("aria-current");
    }
  }
  view.enter(path, new URLSearchParams(query));
}

// watch reads the metrics and the probe, as long as the page is open.
async function watch() {
  try {
    const [metrics, probe] = await Promise.all([api.text("/metrics"), fetch("/readyz?verbose", { cache: "no-store" }).then((r) => r.text())]);
    newest = parse(metrics);
    app.history.add(Date.now() / 1000, newest);
    glance.record(app.history);
    looked = alerts.look(app.history, member);
    const checks = probe.split("\n").filter((l) => l.startsWith("[")).map((l) => {
      const [, sign, name, why] = /^\[(.)\](\S+)(?: ok| failed: (.*))?$/.exec(l) ?? [];
      return { ok: sign === "+", name, why };
    });
    ready = { ok: checks.length > 0 && checks.every((c) => c.ok), checks };
    const firing = looked.filter((a) => a.state === "fires").length;
    health(ready.ok ? firing ? "warn" : "good" : "bad", ready.ok ? firing ? `${firing} ${firing === 1 ? "alert" : "alerts"}` : "ready" : "not ready");
  } catch {
    ready = { ok: false, checks: [{ ok: false, name: "this member", why: "it doesn't answer the page" }] };
    health("bad", "no answer");
  }
  if (current?.scraped) current.scraped();
  setTimeout(watch, interval * 1000);
}

function health(how, words) {
  const el = $("health");
  el.className = `health ${how}`;
  if (el.textContent !== `${member}: ${words}`) el.replaceChildren(h("span", { class: "dot", "aria-hidden": "true" }), h("span", { class: "member" }, member), h("span", { class: "unseen" }, ": "), words);
}

// who asks the member who the client is, and shows it.
async function who() {
  rights.clear();
  may = await app.access("/");
  const mode = may.auth ? may.user ? "" : "not logged in" : settings.write ? "may write" : "read-only";
  $("mode").textContent = mode;
  $("mode").hidden = !mode;
  $("account").hidden = !may.auth;
  $("account").textContent = may.user ? `Log out ${may.user}` : "Log in";
}

function logIn() {
  const name = h("input", { class: "input", name: "user", required: true, autocomplete: "username", autocapitalize: "none", spellcheck: "false" });
  const password = h("input", { class: "input", name: "password", type: "password", autocomplete: "current-password" });
  const failed = h("div");
  const el = dialog("Log in", h("form", { method: "dialog", onsubmit: async (e) => {
    e.preventDefault();
    api.useCredentials(name.value, password.value);
    try {
      await who();
      if (may.user) {
        el.close();
        say(`Logged in as ${may.user}`);
        current.again();
        return;
      }
      failed.replaceChildren(problem({ message: "The user or the password is wrong." }));
    } catch (err) {
      failed.replaceChildren(problem(err));
    }
    api.useCredentials("", "");
  } },
  h("label", null, "User", name), h("label", null, "Password", password),
  location.protocol === "http:" && !["localhost", "127.0.0.1", "[::1]"].includes(location.hostname) && h("p", { class: "problem" }, "The password goes to the member unencrypted: this is http."),
  h("p", { class: "quiet" }, "The page keeps the password in memory only, until you log out or close it."), failed,
  h("div", { class: "actions" }, h("button", { class: "button main" }, "Log in"), h("button", { class: "button", type: "button", onclick: () => el.close() }, "Cancel"))));
  name.focus();
}

$("account").addEventListener("click", async () => {
  if (!api.user()) return logIn();
  api.useCredentials("", "");
  await who();
  say("Logged out");
  current.again();
});

addEventListener("keydown", (e) => {
  if (e.key !== "/" || e.ctrlKey || e.altKey || e.metaKey || e.target.closest("input, textarea, select, dialog")) return;
  e.preventDefault();
  if (current !== views.keys) location.hash = "#/keys/";
  setTimeout(views.keys.focusFilter);
});

let again; // the next attempt

async function start() {
  clearTimeout(again);
  try {
    const [all, yaml, self, { members }] = await Promise.all([api.json("settings.json"), api.text("alerts.yaml"), api.json("/v2/stats/self"), api.json("/v2/members")]);
    settings = all;
    alerts = new Alerts(yaml);
    member = self.name || member;
    clientURL = members.find((m) => m.id === self.id)?.clientURLs?.[0] ?? clientURL;
    await who();
  } catch (err) {
    $("main").replaceChildren(h("div", { class: "page" }, h("h1", null, "The member doesn't serve yet"), problem(err, start)));
    again = setTimeout(start, 3000);
    return;
  }
  app.history = new History(new Set([...alerts.names, ...glance.names]));
  addEventListener("hashchange", route);
  route();
  watch();
}

start();
