// Justified layout: place images in rows that fill the width of the grid, without changing their aspect ratios.

// Compute the position and size of every image.
// ratios: aspect ratio (width / height) of each image. width: width of the grid in pixels.
// rowHeight: target height of a row in pixels. gap: distance between images in pixels.
// Return { boxes: [{ left, top, width, height, row }], height }, with all lengths in pixels.
export function justify(ratios, width, rowHeight, gap) {
  const boxes = [];
  let top = 0;
  let row = 0;
  for (let start = 0; start < ratios.length; row += 1) {
    const end = findRowEnd(ratios, start, width, rowHeight, gap);
    const fullHeight = heightToFill(ratios, start, end, width, gap);
    const isLastRow = end === ratios.length;
    const height = Math.round(isLastRow ? Math.min(fullHeight, rowHeight) : fullHeight);
    const fillsWidth = height === Math.round(fullHeight);
    let left = 0;
    for (let i = start; i < end; i += 1) {
      const boxWidth = i === end - 1 && fillsWidth ? width - left : Math.round(ratios[i] * height);
      boxes.push({ left, top, width: boxWidth, height, row });
      left += boxWidth + gap;
    }
    top += height + gap;
    start = end;
  }
  return { boxes, height: Math.max(0, top - gap) };
}

// Return the end index (exclusive) that brings the height of the row from `start` closest to the target height.
function findRowEnd(ratios, start, width, rowHeight, gap) {
  let end = start + 1;
  while (end < ratios.length && heightToFill(ratios, start, end, width, gap) > rowHeight) end += 1;
  if (end - start === 1) return end;
  const difference = Math.abs(heightToFill(ratios, start, end, width, gap) - rowHeight);
  const shorterDifference = Math.abs(heightToFill(ratios, start, end - 1, width, gap) - rowHeight);
  return shorterDifference < difference ? end - 1 : end;
}

// Return the row height at which the images from `start` to `end` (exclusive) fill the width.
function heightToFill(ratios, start, end, width, gap) {
  const sum = ratios.slice(start, end).reduce((total, ratio) => total + ratio, 0);
  return (width - gap * (end - start - 1)) / sum;
}
