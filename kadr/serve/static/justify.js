// Justified rows: every photo keeps its form, every row is as wide as the grid and about as high as wanted.

// ratios: width / height of each photo. Returns {left, top, width, height, row} of each, and the height of all.
export function justify(ratios, width, wanted, gap) {
  const boxes = [];
  let top = 0;
  let row = 0;
  for (let start = 0; start < ratios.length; row += 1) {
    let end = start;
    let sum = 0;
    while (end < ratios.length && (end === start || sum * wanted + gap * (end - start - 1) < width)) {
      sum += ratios[end];
      end += 1;
    }
    const full = (width - gap * (end - start - 1)) / sum;
    const fewer = sum - ratios[end - 1];
    const without = fewer ? (width - gap * (end - start - 2)) / fewer : Infinity;
    if (end - start > 1 && Math.abs(without - wanted) < Math.abs(full - wanted)) {
      end -= 1;
      sum = fewer;
    }
    const fitting = (width - gap * (end - start - 1)) / sum;
    const height = Math.round(end === ratios.length ? Math.min(fitting, wanted) : fitting);
    let left = 0;
    for (let i = start; i < end; i += 1) {
      const isLast = i === end - 1 && height === Math.round(fitting);
      const wide = isLast ? width - left : Math.round(ratios[i] * height);
      boxes.push({ left, top, width: wide, height, row });
      left += wide + gap;
    }
    top += height + gap;
    start = end;
  }
  return { boxes, height: Math.max(0, top - gap) };
}
