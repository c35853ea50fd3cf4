// Graphs of the last hour, as far as the page was open.

import { bytes, clock, count, duration, h, rough, svg } from "./dom.js";
import { points } from "./metrics.js";
import { compile } from "./promql.js";

const quantile = (q, which) => `histogram_quantile(${q}, sum by (le) (rate(copse_http_request_duration_seconds_bucket{route="/v2/keys",method${which}}[1m])))`;

// Each line is [what it is, an expression whose values are added up].
const graphs = [
  { title: "Requests a second", form: rough, lines: [["all", "sum(rate(copse_http_requests_total[1m]))"], ["failed (5xx)", 'sum(rate(copse_http_requests_total{code=~"5.."}[1m]))']] },
  { title: "Latency of reads", form: duration, lines: [["p99", quantile(0.99, '="GET"')], ["p50", quantile(0.5, '="GET"')]] },
  { title: "Latency of writes", form: duration, lines: [["p99", quantile(0.99, '=~"PUT|POST|DELETE"')], ["p50", quantile(0.5, '=~"PUT|POST|DELETE"')]] },
  { title: "Watchers", form: count, lines: [["parked", "sum(copse_watchers)"]] },
  { title: "Age of the event window", form: duration, note: "how long a watcher may be away, at the present rate of changes",
    lines: [["about", "(max(copse_history_newest_index) - min(copse_history_oldest_index)) / sum(rate(copse_history_newest_index[5m]))"]] },
  { title: "Memory", form: bytes, lines: [["resident", "process_resident_memory_bytes"]] },
  { title: "CPU", form: (v) => `${rough(100 * v)} %`, note: "of one core", lines: [["busy", "rate(process_cpu_seconds_total[1m])"]] },
  { title: "Sync of the raft log", form: duration, lines: [["p99", "histogram_quantile(0.99, sum by (le) (rate(copse_raft_log_sync_duration_seconds_bucket[1m])))"]] },
].map((g) => ({ ...g, lines: g.lines.map(([name, text]) => ({ name, query: compile(text), values: new Float64Array(points).fill(NaN) })) }));

export const names = graphs.flatMap((g) => g.lines.flatMap((l) => [...l.query.names]));

// record evaluates the graphs at the newest scrape.
export function record(history) {
  const n = history.next - 1;
  for (const { lines } of graphs) {
    for (const l of lines) {
      const v = l.query.eval(history, n).reduce((sum, s) => sum + s.value, 0);
      l.values[n % points] = l.query.eval(history, n).length && Number.isFinite(v) ? v : NaN;
    }
  }
}

export function glanceView(app) {
  const grid = h("div", { class: "grid" });
  const note = h("p", { class: "quiet" });
  const el = h("div", { class: "page" }, h("h1", null, "At a glance"), note, grid);

  function draw() {
    const history = app.history, from = history.first, to = history.next;
    if (to === 0) { note.textContent = "The metrics haven't been read yet."; return; }
    note.textContent = `This member since ${clock(history.time(from) * 1000)}, when the page was opened; an hour at most.`;
    grid.replaceChildren(...graphs.map((g) => card(g, from, to, history)));
  }

  return { el, title: "At a glance", enter: draw, leave: () => {}, again: draw, scraped: draw };
}

const width = 320, height = 72;

function card({ title, form, note, lines }, from, to, history) {
  const value = (l, n) => l.values[n % points], last = to - 1;
  let top = 0;
  for (const l of lines) for (let n = from; n < to; n++) if (value(l, n) > top) top = value(l, n);
  const span = Math.max(60, history.time(last) - history.time(from)), end = history.time(last);
  const paths = lines.map((l, i) => {
    let d = "", pen = false, count = 0;
    for (let n = from; n < to; n++) {
      const v = value(l, n);
      if (Number.isNaN(v)) { pen = false; continue; }
      d += `${pen ? "L" : "M"}${(width - ((end - history.time(n)) / span) * width).toFixed(1)} ${(height - 2 - (top ? v / top : 0) * (height - 6)).toFixed(1)}`;
      pen = true;
      count++;
    }
    return count > 1 && svg("path", { d, class: `line line-${i}` });
  });
  const now = lines.map((l) => (Number.isNaN(value(l, last)) ? "none" : form(value(l, last))));
  const known = lines.some((l) => l.values.some((v) => !Number.isNaN(v)));
  const highest = known ? `at most ${top ? form(top) : "0"}` : "nothing measured yet";
  return h("section", { class: "card" },
    h("h2", null, title),
    h("p", { class: "figures" }, lines.map((l, i) => h("span", { class: `figure figure-${i}` }, h("strong", null, now[i]), ` ${l.name}`))),
    svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${title}: ${lines.map((l, i) => `${l.name} ${now[i]}`).join(", ")}; ${highest}`, preserveAspectRatio: "none" },
      svg("line", { x1: 0, x2: width, y1: height - 2, y2: height - 2, class: "axis" }), paths),
    h("p", { class: "quiet" }, highest, note && `; ${note}`));
}
