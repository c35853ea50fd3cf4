// As much of PromQL as the alerts and the graphs need, over a History: selectors, ranges,
// rate, increase, histogram_quantile, time, sum, min and max by labels, arithmetic,
// comparisons and `and`. compile refuses anything beyond that, or
// beyond the hour that is kept, with the reason. A rate is the difference between the first and the
// last value kept of its range; Prometheus extrapolates besides.

import { interval, points } from "./metrics.js";

const token = /\s*(?:(\d+(?:\.\d+)?(?:e[+-]?\d+)?)([smhd](?!\w))?|([a-zA-Z_:][\w:]*)|("(?:[^"\\]|\\.)*")|(=~|!~|!=|==|<=|>=|[-+*/<>=(){}\[\],]))/y;
const unit = { s: 1, m: 60, h: 3600, d: 86400 };
const keep = interval * points;

function tokens(text) {
  const list = [];
  token.lastIndex = 0;
  const whole = text.trimEnd();
  while (token.lastIndex < whole.length) {
    const from = token.lastIndex, m = token.exec(whole);
    if (!m) throw new Error(`can't read ${whole.slice(from)}`);
    if (m[1] !== undefined) list.push({ number: Number(m[1]) * (m[2] ? unit[m[2]] : 1) });
    else if (m[3] !== undefined) list.push({ word: m[3] });
    else if (m[4] !== undefined) list.push({ text: JSON.parse(m[4]) });
    else list.push({ sign: m[5] });
  }
  return list;
}

// compile returns { names, eval(history, n) }: the metrics that the expression needs, and its
// value at the nth scrape, a number or a list of { labels, value }. It throws an Error that says
// why the expression can't be evaluated by a page.
export function compile(text) {
  const list = tokens(text), names = new Set();
  let at = 0;
  const is = (sign) => list[at]?.sign === sign;
  const word = (w) => list[at]?.word === w;
  const take = (sign) => { if (!is(sign)) throw new Error(`expects ${sign}`); at++; };
  const binary = (below, signs) => () => {
    let left = below();
    while (list[at] && signs.includes(list[at].sign ?? list[at].word)) {
      const op = list[at].sign ?? list[at].word;
      at++;
      let on = null; // the labels to match by; all, if it isn't said
      if (word("on")) { at++; on = labels(); }
      left = combine(op, left, below(), on);
    }
    return left;
  };
  const product = binary(primary, ["*", "/"]);
  const sum = binary(product, ["+", "-"]);
  const compared = binary(sum, ["==", "!=", "<", ">", "<=", ">="]);
  const whole = binary(compared, ["and"]);

  function primary() {
    if (is("(")) { at++; const e = whole(); take(")"); return e; }
    const t = list[at++];
    if (t?.number !== undefined) return () => t.number;
    if (t?.word === undefined) throw new Error("expects a metric");
    if (["sum", "min", "max"].includes(t.word)) return aggregate(t.word);
    if (is("(")) return call(t.word);
    return selector(t.word);
  }
  function aggregate(how) {
    let by = [];
    if (word("by")) { at++; by = labels(); }
    take("(");
    const e = whole();
    take(")");
    return (h, n) => group(how, by, e(h, n));
  }
  function labels() {
    const names = [];
    take("(");
    while (!is(")")) { names.push(list[at++].word); if (is(",")) at++; }
    at++;
    return names;
  }
  function call(name) {
    take("(");
    if (name === "time") { take(")"); return (h, n) => h.time(n); }
    if (name === "histogram_quantile") {
      const q = whole(); take(",");
      const e = whole(); take(")");
      return (h, n) => quantile(q(h, n), e(h, n));
    }
    if (name !== "rate" && name !== "increase") throw new Error(`${name} is beyond what the page evaluates`);
    const e = whole();
    take(")");
    return (h, n) => e(h, n, name);
  }
  function selector(name) {
    if (name === "up") throw new Error("only Prometheus knows whether a member can be scraped");
    names.add(name);
    const tests = [];
    if (is("{")) {
      at++;
      while (!is("}")) {
        const label = list[at++].word, how = list[at++].sign, value = list[at++].text;
        if (label !== "job" && label !== "instance") tests.push(matcher(label, how, value)); // Prometheus adds those two
        if (is(",")) at++;
      }
      at++;
    }
    const matches = (s) => tests.every((t) => t(s.labels));
    if (!is("[")) {
      return (h, n) => h.of(name).filter(matches).map((s) => ({ labels: s.labels, value: s.values[n % points] })).filter((s) => !Number.isNaN(s.value));
    }
    at++;
    const range = list[at++].number;
    take("]");
    if (range > keep) throw new Error(`it looks back ${range / 3600} hours, and the page keeps one`);
    return (h, n, how) => h.of(name).filter(matches).map((s) => ({ labels: s.labels, value: growth(h, s.values, n, range, how) })).filter((s) => !Number.isNaN(s.value));
  }
  const e = whole();
  if (at < list.length) throw new Error("has more than the page reads");
  return { names, eval: e };
}

function matcher(label, how, value) {
  const regexp = how.includes("~") ? new RegExp(`^(?:${value})$`) : null;
  return (labels) => {
    const has = labels[label] ?? "";
    return (regexp ? regexp.test(has) : has === value) === !how.startsWith("!");
  };
}

function growth(h, values, n, range, how) {
  const end = h.time(n);
  let first = NaN, last = NaN, from = NaN, to = NaN, grown = 0;
  for (let i = n; i >= h.first && end - h.time(i) <= range + interval / 2; i--) {
    const v = values[i % points];
    if (Number.isNaN(v)) continue;
    if (Number.isNaN(last)) { last = v; to = h.time(i); }
    else grown += first >= v ? first - v : first; // it has begun anew in between
    first = v;
    from = h.time(i);
  }
  if (!(to > from)) return NaN;
  return how === "rate" ? grown / (to - from) : grown;
}

const identity = (labels, without) => Object.keys(labels).filter((k) => k !== without).sort().map((k) => `${k}=${labels[k]}`).join(",");

function group(how, by, vector) {
  const groups = new Map();
  for (const { labels, value } of vector) {
    const kept = Object.fromEntries(by.filter((k) => labels[k] !== undefined).map((k) => [k, labels[k]]));
    const id = identity(kept), g = groups.get(id);
    if (!g) groups.set(id, { labels: kept, value });
    else g.value = how === "sum" ? g.value + value : Math[how](g.value, value);
  }
  return [...groups.values()];
}

function quantile(q, vector) {
  const groups = new Map();
  for (const { labels, value } of vector) {
    const id = identity(labels, "le");
    if (!groups.has(id)) groups.set(id, { labels: Object.fromEntries(Object.entries(labels).filter(([k]) => k !== "le")), buckets: [] });
    groups.get(id).buckets.push({ le: labels.le === "+Inf" ? Infinity : Number(labels.le), n: value });
  }
  return [...groups.values()].map(({ labels, buckets }) => {
    buckets.sort((a, b) => a.le - b.le);
    const rank = q * buckets.at(-1).n, i = buckets.findIndex((b) => b.n >= rank);
    if (!(rank > 0) || i < 0) return { labels, value: NaN };
    const low = i ? buckets[i - 1] : { le: 0, n: 0 };
    if (buckets[i].le === Infinity) return { labels, value: low.le };
    return { labels, value: low.le + ((buckets[i].le - low.le) * (rank - low.n)) / (buckets[i].n - low.n) };
  }).filter((s) => !Number.isNaN(s.value));
}

const arithmetic = { "+": (a, b) => a + b, "-": (a, b) => a - b, "*": (a, b) => a * b, "/": (a, b) => a / b };
const comparison = { "==": (a, b) => a === b, "!=": (a, b) => a !== b, "<": (a, b) => a < b, ">": (a, b) => a > b, "<=": (a, b) => a <= b, ">=": (a, b) => a >= b };

function combine(op, left, right, on) {
  const same = (labels) => identity(on ? Object.fromEntries(on.filter((k) => labels[k] !== undefined).map((k) => [k, labels[k]])) : labels);
  return (h, n) => {
    const a = left(h, n), b = right(h, n);
    const of = arithmetic[op], holds = comparison[op];
    if (typeof a === "number" && typeof b === "number") return of ? of(a, b) : Number(holds(a, b));
    if (typeof b === "number") return of ? a.map((s) => ({ labels: s.labels, value: of(s.value, b) })) : a.filter((s) => holds(s.value, b));
    if (typeof a === "number") return of ? b.map((s) => ({ labels: s.labels, value: of(a, s.value) })) : b.filter((s) => holds(a, s.value));
    const others = new Map(b.map((s) => [same(s.labels), s.value]));
    const pairs = a.filter((s) => others.has(same(s.labels)));
    if (op === "and") return pairs;
    if (holds) return pairs.filter((s) => holds(s.value, others.get(same(s.labels))));
    return pairs.map((s) => ({ labels: s.labels, value: of(s.value, others.get(same(s.labels))) }));
  };
}
