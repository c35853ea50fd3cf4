// The difference of two texts, line by line: [" "|"-"|"+", line].

const limit = 1500; // lines of what differs, on either side; beyond it, one replaces the other

export function diff(before, after) {
  const a = before.split("\n"), b = after.split("\n");
  let head = 0, tail = 0;
  while (head < a.length && head < b.length && a[head] === b[head]) head++;
  while (tail < a.length - head && tail < b.length - head && a[a.length - 1 - tail] === b[b.length - 1 - tail]) tail++;
  const x = a.slice(head, a.length - tail), y = b.slice(head, b.length - tail);
  const out = a.slice(0, head).map((l) => [" ", l]);
  if (x.length > limit || y.length > limit) out.push(...x.map((l) => ["-", l]), ...y.map((l) => ["+", l]));
  else out.push(...middle(x, y));
  out.push(...a.slice(a.length - tail).map((l) => [" ", l]));
  return out;
}

function middle(x, y) {
  const longest = Array.from({ length: x.length + 1 }, () => new Uint16Array(y.length + 1));
  for (let i = x.length - 1; i >= 0; i--)
    for (let j = y.length - 1; j >= 0; j--)
      longest[i][j] = x[i] === y[j] ? longest[i + 1][j + 1] + 1 : Math.max(longest[i + 1][j], longest[i][j + 1]);
  const out = [];
  let i = 0, j = 0;
  while (i < x.length || j < y.length) {
    if (i < x.length && j < y.length && x[i] === y[j]) { out.push([" ", x[i]]); i++; j++; }
    else if (i < x.length && (j === y.length || longest[i + 1][j] >= longest[i][j + 1])) out.push(["-", x[i++]]);
    else out.push(["+", y[j++]]);
  }
  return out;
}
