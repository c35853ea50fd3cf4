// The member's metrics: what it says now, and what it has said since the page was opened,
// for an hour at most.

export const interval = 5; // seconds
export const points = 720; // an hour of them
const seriesLimit = 4000;

const line = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/;
const label = /(\w+)="((?:[^"\\]|\\.)*)"/g;

// parse reads Prometheus' text format.
export function parse(text) {
  const samples = [];
  for (const l of text.split("\n")) {
    const m = l[0] === "#" ? null : line.exec(l);
    if (!m) continue;
    const labels = {};
    for (const [, name, value] of (m[2] ?? "").matchAll(label)) labels[name] = value.replace(/\\(.)/g, (_, c) => (c === "n" ? "\n" : c));
    samples.push({ name: m[1], id: m[1] + (m[2] ?? ""), labels, value: m[3] === "+Inf" ? Infinity : Number(m[3]) });
  }
  return samples;
}

// History keeps the series whose names are wanted, in rings of equal length.
export class History {
  constructor(wanted) {
    this.wanted = wanted; // a Set of names
    this.times = new Float64Array(points).fill(NaN); // seconds
    this.series = new Map(); // by name: a Map by id
    this.next = 0; // how many scrapes there have been
    this.kept = 0;
  }

  add(seconds, samples) {
    const at = this.next++ % points;
    this.times[at] = seconds;
    for (const all of this.series.values()) for (const s of all.values()) s.values[at] = NaN;
    for (const { name, id, labels, value } of samples) {
      if (!this.wanted.has(name)) continue;
      if (!this.series.has(name)) this.series.set(name, new Map());
      const all = this.series.get(name);
      let s = all.get(id);
      if (!s) {
        if (this.kept >= seriesLimit) continue;
        this.kept++;
        s = { labels, values: new Float64Array(points).fill(NaN) };
        all.set(id, s);
      }
      s.values[at] = value;
    }
  }

  // The numbers of the scrapes that are still kept, the oldest first.
  get first() { return Math.max(0, this.next - points); }
  time(n) { return this.times[n % points]; }
  of(name) { return [...(this.series.get(name)?.values() ?? [])]; }
}
