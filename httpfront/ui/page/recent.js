// The view of recent occurrences on this member.

import * as api from "./api.js";
import { bytes, count, duration, empty, h, moment, problem, table } from "./dom.js";

export function recentView(app) {
  const body = h("div", null, h("p", { class: "quiet" }, "Loading…"));
  const el = h("div", { class: "page" }, h("h1", null, "Recent"), h("p", { class: "quiet" }, "The last hundred of each kind on this member since its start, the newest first."), body);
  let here = false;

  async function look() {
    try {
      const [all, { members }] = await Promise.all([api.json("/v2/copse/recent"), api.json("/v2/members")]);
      if (here) body.replaceChildren(...sections(all, new Map(members.map((m) => [m.id, m.name]))));
    } catch (err) {
      if (here) body.replaceChildren(err.status === 401 ? empty("This is shown to users with the role root.", "Log in as one.") : problem(err, look));
    }
  }

  const section = (title, list, none, ...content) => h("section", null, h("h2", null, title, " ", h("span", { class: "quiet" }, count(list.length))), list.length ? content : h("p", { class: "quiet" }, none));

  function sections({ slow, slowSeconds, outdated, leaders }, name) {
    const paths = slow.some((r) => r.path);
    return [
      section("Slow requests", slow, slowSeconds ? `No request has taken longer than ${duration(slowSeconds)}.` : "Slow requests aren't noted: --slow-request is 0.",
        table("Slow requests", ["When", "Request", "Status", "Took", "Queued", "Applying", "Sending", "Size", ...(paths ? ["Path"] : [])], slow.map((r) => [
          moment(r.at), h("span", null, h("strong", null, r.method), " ", h("code", null, r.route)), String(r.code), duration(r.seconds), r.queue ? duration(r.queue) : "", r.apply ? duration(r.apply) : "",
          duration(r.write), r.size === undefined ? "" : bytes(r.size), ...(paths ? [h("code", null, r.path ?? "")] : [])]))),
      section("Changes of leaders", leaders, "No leader has changed.",
        table("Changes of leaders", ["When", "Shard", "Leader", "Term"], leaders.map((c) => [moment(c.at), String(c.shard), c.leader ? name.get(c.leader) ?? c.leader : h("span", { class: "badge warn" }, "none known"), count(c.term)]))),
      section("Watches that came too late", outdated, "No watch was refused with errorCode 401.",
        h("p", { class: "quiet" }, "They asked for events that had left the window, and got errorCode 401."),
        table("Watches that came too late", ["When", "Asked for index", "The tree's index was", ...(outdated.some((o) => o.path) ? ["Path"] : [])], outdated.map((o) => [moment(o.at), count(o.waitIndex), count(o.index), ...(outdated.some((x) => x.path) ? [h("code", null, o.path ?? "")] : [])]))),
    ];
  }

  return { el, title: "Recent", enter: () => { here = true; look(); }, leave: () => { here = false; }, again: look, scraped: look };
}
