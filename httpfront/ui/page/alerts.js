// The alerts of deploy/prometheus, which the server hands on as they are, evaluated over what
// the page has seen of the metrics.

import { duration, rough } from "./dom.js";
import { compile } from "./promql.js";

// read takes the rules out of the file. It knows the form that the file has, not all of YAML.
export function read(yaml) {
  const rules = [];
  let block = null; // of an expression over several lines
  for (const line of yaml.split("\n")) {
    const m = /^(\s*)(?:- )?(\w+): ?(.*)$/.exec(line);
    if (block && (line.trim() === "" || !m || m[1].length > block.indent)) {
      block.rule.expr += " " + line.trim();
      continue;
    }
    block = null;
    if (!m || line.trim().startsWith("#")) continue;
    const [, indent, name, text] = m, value = text.replace(/ #[^"]*$/, ""), rule = rules.at(-1);
    if (name === "alert") rules.push({ name: value, expr: "", for: 0, severity: "", summary: "" });
    else if (!rule) continue;
    else if (name === "expr" && value === "|") block = { rule, indent: indent.length };
    else if (name === "expr") rule.expr = value;
    else if (name === "for") rule.for = Number.parseInt(value, 10) * { s: 1, m: 60, h: 3600 }[value.at(-1)];
    else if (name === "labels") rule.severity = /severity: (\w+)/.exec(value)?.[1] ?? "";
    else if (name === "summary") rule.summary = JSON.parse(value);
  }
  return rules.map((rule) => {
    rule.expr = rule.expr.trim();
    try {
      return { ...rule, query: compile(rule.expr) };
    } catch (err) {
      return { ...rule, why: err.message };
    }
  });
}

// Alerts follows which rules hold, and for how long.
export class Alerts {
  constructor(yaml) {
    this.rules = read(yaml);
    this.since = new Map(); // by rule and labels, seconds
  }

  get names() { return this.rules.flatMap((r) => (r.query ? [...r.query.names] : [])); }

  // look evaluates all rules at the newest scrape. member is the name of the instance in summaries.
  look(history, member) {
    const n = history.next - 1, now = history.time(n), since = new Map();
    const found = this.rules.map((rule) => {
      if (!rule.query) return { rule, state: "unknown", why: rule.why };
      const holds = rule.query.eval(history, n).map(({ labels, value }) => {
        const id = rule.name + JSON.stringify(labels), from = this.since.get(id) ?? now;
        since.set(id, from);
        return { text: fill(rule.summary, { ...labels, instance: member }, value), left: Math.max(0, rule.for - (now - from)) };
      });
      const state = holds.some((x) => x.left === 0) ? "fires" : holds.length ? "waits" : "quiet";
      return { rule, state, holds };
    });
    this.since = since;
    return found;
  }
}

const forms = { humanize: rough, humanizeDuration: duration, humanizePercentage: (v) => `${rough(100 * v)} %` };

function fill(summary, labels, value) {
  return summary.replace(/\{\{ \$(?:labels\.(\w+)|value)(?: \| (\w+))? \}\}/g, (_, label, form) => (label ? labels[label] ?? "" : (forms[form] ?? String)(value)));
}
