// The view of the cluster, as this member sees it.

import * as api from "./api.js";
import { bytes, count, duration, empty, h, plural, problem, table } from "./dom.js";

export function clusterView(app) {
  const body = h("div", null, h("p", { class: "quiet" }, "Loading…"));
  const el = h("div", { class: "page" }, h("h1", null, "Cluster"), body);
  let here = false;

  async function look() {
    try {
      const [{ members }, self, ready] = await Promise.all([api.json("/v2/members"), api.json("/v2/stats/self"), app.readiness()]);
      const shards = await withLag().catch((err) => (err.status === 401 ? null : Promise.reject(err)));
      if (here) body.replaceChildren(...sections(members, self, shards, ready));
    } catch (err) {
      if (here) body.replaceChildren(problem(err, look));
    }
  }

  // A linearizable read ends when this member has applied what its leaders had: what it applied
  // meanwhile is, at most, how far it was behind.
  async function withLag() {
    const before = await api.json("/v2/copse/shards"), began = performance.now();
    const caught = await api.send("HEAD", "/v2/keys/", { query: { quorum: true }, signal: AbortSignal.timeout(4000) }).then(() => true, () => false);
    const took = (performance.now() - began) / 1000, after = await api.json("/v2/copse/shards");
    const was = new Map([...before.shards, ...(before.order ? [before.order] : [])].map((s) => [s.id, s.appliedIndex]));
    const lag = (s) => ({ ...s, lag: caught ? s.appliedIndex - was.get(s.id) : null });
    return { ...after, shards: after.shards.map(lag), order: after.order && lag(after.order), took: caught ? took : null };
  }

  function sections(members, self, shards, ready) {
    const name = new Map(members.map((m) => [m.id, m.name || m.id]));
    const groups = shards ? [...(shards.order ? [{ ...shards.order, order: true }] : []), ...shards.shards] : [];
    const leads = (id) => groups.filter((s) => s.leader === id).map((s) => (s.order ? "order" : String(s.id)));
    return [
      h("section", { "aria-labelledby": "ready" }, h("h2", { id: "ready" }, "This member ", ready.checks.length > 0 && h("span", { class: `badge ${ready.ok ? "good" : "bad"}` }, ready.ok ? "ready" : "not ready")),
        h("ul", { class: "checks" }, ready.checks.map((c) => h("li", null, h("span", { class: `badge ${c.ok ? "good" : "bad"}` }, c.ok ? "ok" : "fails"), " ", c.ok && c.name === "draining" ? "not draining" : c.name, c.why && h("span", { class: "quiet" }, `: ${c.why}`)))),
        disk()),
      h("section", { "aria-labelledby": "alerts" }, h("h2", { id: "alerts" }, "Alerts"), alerts()),
      h("section", { "aria-labelledby": "members" }, h("h2", { id: "members" }, plural(members.length, "member")),
        table("Members", ["Name", "Id", "Client URLs", "Leads"], members.toSorted((a, b) => a.name.localeCompare(b.name, "en", { numeric: true })).map((m) => [
          h("span", null, h("strong", null, m.name || "not started yet"), m.id === self.id && h("span", { class: "badge" }, "this one")),
          h("code", null, m.id), h("span", { class: "mono" }, (m.clientURLs ?? []).join(" ") || "unknown"),
          shards ? leads(m.id).join(", ") || "nothing" : m.id === self.leaderInfo?.leader ? "yes" : "no"]))),
      h("section", { "aria-labelledby": "shards" }, h("h2", { id: "shards" }, shards ? plural(shards.shards.length, "shard") : "Shards"),
        !shards ? empty("Shards are shown to users with the role root.", "Log in as one.")
          : [table("Shards", ["Shard", "Leader", "Term", "Behind", "Applied", "Index", "Keys", "Size", "Watchers"], groups.map((s) => [
            s.order ? "order" : String(s.id), s.leader ? name.get(s.leader) ?? s.leader : h("span", { class: "badge bad" }, "none"), count(s.term),
            s.leader === self.id ? "leads" : s.lag === null ? h("span", { class: "badge bad" }, "unknown") : s.lag > 0 ? `up to ${plural(s.lag, "entry", "entries")}` : "none",
            count(s.appliedIndex), count(s.index), s.keys === undefined ? "" : count(s.keys), bytes(s.bytes), s.watchers === undefined ? "" : count(s.watchers)])),
          h("p", { class: "quiet" }, shards.took === null ? "A linearizable read wasn't answered in four seconds: how far this member is behind its leaders isn't known."
            : `A linearizable read, which waits until this member has what its leaders had, took ${duration(shards.took)}.`)]),
    ];
  }

  function disk() {
    const value = (n) => app.metric(n);
    const free = value("copse_disk_free_bytes"), size = value("copse_disk_size_bytes"), reserve = value("copse_disk_reserve_bytes");
    if (free === undefined || !size) return h("p", { class: "quiet" }, "The disk isn't known yet.");
    return h("div", { class: "disk" }, h("h3", null, "Disk"),
      h("meter", { min: "0", max: String(size), value: size - free, "aria-label": "Disk in use" }),
      h("p", null, `${bytes(free)} of ${bytes(size)} are free. Writes that grow the store are refused below ${bytes(reserve)}.`));
  }

  function alerts() {
    const all = app.alerts();
    if (!all) return h("p", { class: "quiet" }, "The metrics haven't been read yet.");
    const words = { fires: "fires", waits: "holds" };
    const lines = all.filter((a) => a.holds?.length).map((a) => h("li", null,
      h("span", { class: `badge ${a.state === "fires" ? "bad" : "warn"}` }, words[a.state]), " ", h("strong", null, a.rule.name), h("span", { class: "quiet" }, ` (${a.rule.severity})`),
      h("ul", null, a.holds.map((x) => h("li", null, x.text, x.left > 0 && h("span", { class: "quiet" }, ` Prometheus would wait ${duration(x.left)} more.`))))));
    const unknown = all.filter((a) => a.state === "unknown");
    return h("div", null,
      lines.length ? h("ul", { class: "alerts" }, lines) : h("p", null, h("span", { class: "badge good" }, "quiet"), ` None of ${plural(all.length - unknown.length, "alert")} would fire, by what the page has seen since it was opened ${duration(app.age())} ago.`),
      unknown.length > 0 && h("details", null, h("summary", null, `${plural(unknown.length, "alert is", "alerts are")} not evaluated here`), h("ul", null, unknown.map((a) => h("li", null, h("strong", null, a.rule.name), `: ${a.why}.`)))));
  }

  return { el, title: "Cluster", enter: () => { here = true; look(); }, leave: () => { here = false; }, again: look, scraped: look };
}
