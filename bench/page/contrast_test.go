package page

// contrast checks that each text can be read against what is behind it: 4.5 to 1, as WCAG
// asks.
func (b *tab) contrast(where string) {
	b.t.Helper()
	if bad := eval[string](b, `(() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgb = (c) => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = c; canvas.fillRect(0, 0, 1, 1); return canvas.getImageData(0, 0, 1, 1).data; };
  const light = (c) => { const [r, g, b] = [...c].slice(0, 3).map((v) => v / 255).map((v) => (v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)); return .2126 * r + .7152 * g + .0722 * b; };
  const bad = new Set();
  for (const e of document.querySelectorAll("body *")) {
    if (![...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()) || !e.offsetParent || e.disabled || e.closest(".unseen, .skip")) continue;
    let behind = e;
    while (behind && rgb(getComputedStyle(behind).backgroundColor)[3] < 255) behind = behind.parentElement;
    const a = light(rgb(getComputedStyle(e).color)), b = light(rgb(getComputedStyle(behind ?? document.body).backgroundColor));
    const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    if (ratio < 4.5) bad.add(e.className + " " + e.textContent.slice(0, 20) + " " + ratio.toFixed(2));
  }
  return [...bad].slice(0, 5).join("; ");
})()`); bad != "" {
		b.t.Errorf("%s can hardly be read: %s", where, bad)
	}
}
