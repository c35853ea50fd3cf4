// The view of events: those of a subtree as they come. A stream that breaks is begun again
// from the index behind the last event, so nothing is missed; where the member no longer has
// that index, the gap is shown.

import * as api from "./api.js";
import { clock, count, empty, h, plural, problem, say } from "./dom.js";

const limit = 500; // events on the page; older ones go
const heldLimit = 2000; // events that come while the view is paused
const pauses = [500, 1000, 2000, 5000]; // ms between attempts

export function liveView(app) {
  const key = h("input", { class: "input mono", name: "key", value: "/", spellcheck: "false", autocomplete: "off" });
  const since = h("input", { class: "input", name: "index", type: "number", min: "1", placeholder: "now" });
  const needle = h("input", { class: "input", type: "search", placeholder: "Filter by key or value", "aria-label": "Filter by key or value", oninput: () => sift() });
  const action = h("select", { class: "input", "aria-label": "Action", onchange: () => sift() },
    ["All actions", "set", "create", "update", "compareAndSwap", "delete", "compareAndDelete", "expire"].map((a, i) => h("option", { value: i ? a : "" }, a)));
  const pause = h("button", { class: "button", type: "button", "aria-pressed": "false", onclick: () => setPaused(!paused) }, "Pause");
  const clear = h("button", { class: "button", type: "button", onclick: () => { list.replaceChildren(); total = 0; sift(); } }, "Clear");
  const state = h("p", { class: "note", role: "status" });
  const list = h("ol", { class: "events", "aria-label": "Events, the newest first" });
  const none = h("div");
  const el = h("div", { class: "live page" },
    h("h1", null, "Live"),
    h("form", { class: "tools", onsubmit: (e) => { e.preventDefault(); location.hash = "#/live?" + new URLSearchParams({ key: key.value || "/", ...(since.value && { index: since.value }) }); begin(); } },
      h("label", { class: "field" }, "At and below", key), h("label", { class: "field" }, "From index", since),
      h("button", { class: "button main" }, "Watch")),
    h("div", { class: "tools" }, needle, action, pause, clear), state, none, list);

  let stop = null, paused = false, held = [], dropped = 0, next = 0, total = 0;

  function setPaused(on) {
    paused = on;
    pause.setAttribute("aria-pressed", String(on));
    pause.textContent = on ? "Go on" : "Pause";
    if (on) return tell();
    if (dropped) put(gap(`${plural(dropped, "event")} came while the view was paused and are not shown: it holds ${count(heldLimit)}.`));
    for (const event of held) put(row(event));
    held = [];
    dropped = 0;
    tell();
  }

  function tell(words) {
    if (words) state.dataset.words = words;
    state.textContent = state.dataset.words + (paused ? ` Paused: ${plural(held.length, "event waits", "events wait")}.` : "");
  }

  function put(item) {
    total++;
    none.replaceChildren();
    hide(item);
    list.prepend(item);
    if (list.children.length > limit) list.lastChild.remove();
  }

  const gap = (words) => h("li", { class: "gap" }, words);

  function row(event) {
    const { node, prevNode } = event;
    const side = (title, n, kind) => h("div", { class: kind }, h("span", { class: "quiet" }, title), h("code", { class: !n && "quiet" }, !n ? "nothing" : n.dir ? "a directory" : (n.value ?? "nothing").slice(0, 2000)));
    const item = h("li", { class: "event" },
      h("div", { class: "event-head" }, h("span", { class: "badge" }, event.action), h("a", { class: "mono", href: "#/keys" + api.path(node.key) }, node.key),
        h("span", { class: "quiet" }, `index ${node.modifiedIndex}, ${clock(event.at)}`)),
      h("div", { class: "sides" }, side("before", prevNode, "gone"), side("after", ["delete", "expire", "compareAndDelete"].includes(event.action) ? null : node, "new")));
    item.words = `${node.key} ${prevNode?.value ?? ""} ${node.value ?? ""}`.toLowerCase();
    item.action = event.action;
    return item;
  }

  function hide(item) {
    item.hidden = item.words !== undefined && (!item.words.includes(needle.value.toLowerCase()) || (action.value !== "" && item.action !== action.value));
  }

  function sift() {
    for (const item of list.children) hide(item);
    const seen = [...list.children].some((i) => !i.hidden);
    none.replaceChildren(...(seen ? [] : [total ? empty("No event on this page matches.") : empty("Nothing has changed yet.", "Events appear here as they happen.")]));
  }

  async function begin() {
    stop?.abort();
    const mine = (stop = new AbortController()), at = key.value || "/";
    list.replaceChildren();
    held = [];
    dropped = 0;
    total = 0;
    next = Number(since.value) || 0;
    sift();
    tell(`Connecting…`);
    for (let failures = 0; !mine.signal.aborted; ) {
      try {
        if (!next) next = (await index(mine.signal)) + 1;
        await follow(at, mine.signal, () => { failures = 0; });
      } catch (err) {
        if (mine.signal.aborted) return;
        if (err.code === 401) {
          const now = await index(mine.signal).catch(() => err.index);
          put(gap(`Gap: the events from index ${next} to ${now} may be missing. This member keeps only the latest ones, and the index has left its window (errorCode 401). The view goes on from index ${now + 1}.`));
          say("There is a gap in the events");
          next = now + 1;
          continue;
        }
        if (err.status === 401 || err.status === 403 || err.status === 400) {
          tell("Not watching.");
          none.replaceChildren(problem(err.code === 110 ? { message: "You may not read this. Log in as a user whose roles allow it." } : err));
          return;
        }
        tell(`Disconnected. Going on from index ${next} as soon as the member answers; nothing is missed.`);
      }
      await new Promise((done) => setTimeout(done, pauses[Math.min(failures++, pauses.length - 1)]));
    }
  }

  // index is the tree's; it comes with the answer about any key, even one that doesn't exist.
  const index = (signal) => api.send("HEAD", "/v2/keys" + api.path(key.value || "/"), { signal }).then(api.indexOf, (err) => (err.status === 404 ? err.index : Promise.reject(err)));

  async function follow(at, signal, connected) {
    const resp = await api.send("GET", "/v2/keys" + api.path(at), { query: { wait: true, stream: true, recursive: true, waitIndex: next }, signal });
    connected();
    tell(`Watching ${at} from index ${next}.`);
    for await (const event of api.objects(resp)) {
      event.at = Date.now();
      next = event.node.modifiedIndex + 1;
      if (!paused) put(row(event));
      else if (held.length < heldLimit) held.push(event);
      else { held.shift(); held.push(event); dropped++; }
      if (paused) tell();
    }
  }

  return {
    el,
    title: "Live",
    enter: (_, query) => {
      key.value = query.get("key") ?? key.value;
      since.value = query.get("index") ?? "";
      begin();
    },
    leave: () => { stop?.abort(); stop = null; },
    again: () => begin(),
  };
}
