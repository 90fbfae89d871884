// Justified layout: place images in rows that fill the width of the grid, without changing their aspect ratios.
//
// Images are appended page by page. Only the last row is computed again when images follow.

export class JustifiedLayout {
  // width: width of the grid in pixels. rowHeight: target height of a row in pixels. gap: distance between images in pixels.
  // headingHeight: height of the heading of a section in pixels.
  constructor(width, rowHeight, gap, headingHeight) {
    Object.assign(this, { width, rowHeight, gap, headingHeight, ratios: [], sections: [], boxes: [], rows: [], headings: [] });
  }

  // Append images. ratios: aspect ratio (width / height) of each image. sections: title of the section of each image, or null.
  append(ratios, sections) {
    this.ratios.push(...ratios);
    this.sections.push(...sections);
    const lastRow = this.rows.pop();
    let start = lastRow?.start ?? 0;
    let top = lastRow?.top ?? 0;
    this.boxes.length = start;
    while (start < this.ratios.length) {
      const isNewSection = start === 0 || this.sections[start] !== this.sections[start - 1];
      if (this.headings.at(-1)?.start === start) top = this.headings.pop().top;
      if (isNewSection && this.sections[start] !== null) {
        this.headings.push({ start, top, title: this.sections[start] });
        top += this.headingHeight;
      }
      const end = this.#findRowEnd(start);
      top += this.#placeRow(start, end, top) + this.gap;
      start = end;
    }
  }

  get height() {
    const row = this.rows.at(-1);
    return row ? row.top + row.height : 0;
  }

  // Return the index of the first row that ends below a vertical position in pixels.
  rowAt(top) {
    let low = 0;
    let high = this.rows.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.rows[middle].top + this.rows[middle].height < top) low = middle + 1;
      else high = middle;
    }
    return Math.min(low, this.rows.length - 1);
  }

  // Return the index of the horizontally nearest image in a row, or null if the row does not exist.
  nearestInRow(index, row) {
    if (!this.rows[row]) return null;
    const centre = centreOf(this.boxes[index]);
    const { start, end } = this.rows[row];
    let nearest = start;
    for (let i = start; i < end; i += 1) {
      if (Math.abs(centreOf(this.boxes[i]) - centre) < Math.abs(centreOf(this.boxes[nearest]) - centre)) nearest = i;
    }
    return nearest;
  }

  // Place the images from `start` to `end` (exclusive) in a new row. Return the height of the row.
  #placeRow(start, end, top) {
    const fullHeight = this.#heightToFill(start, end);
    const isShort = end === this.ratios.length || this.sections[end] !== this.sections[start];
    const height = Math.round(isShort ? Math.min(fullHeight, this.rowHeight) : fullHeight);
    const fillsWidth = height === Math.round(fullHeight);
    let left = 0;
    for (let i = start; i < end; i += 1) {
      const width = i === end - 1 && fillsWidth ? this.width - left : Math.round(this.ratios[i] * height);
      this.boxes.push({ left, top, width, height, row: this.rows.length });
      left += width + this.gap;
    }
    this.rows.push({ start, end, top, height });
    return height;
  }

  // Return the end index (exclusive) that brings the height of the row from `start` closest to the target height.
  #findRowEnd(start) {
    const { ratios, sections, rowHeight } = this;
    let end = start + 1;
    const continues = () => end < ratios.length && sections[end] === sections[start];
    while (continues() && this.#heightToFill(start, end) > rowHeight) end += 1;
    if (end - start === 1) return end;
    const difference = Math.abs(this.#heightToFill(start, end) - rowHeight);
    const shorterDifference = Math.abs(this.#heightToFill(start, end - 1) - rowHeight);
    return shorterDifference < difference ? end - 1 : end;
  }

  // Return the row height at which the images from `start` to `end` (exclusive) fill the width.
  #heightToFill(start, end) {
    let sum = 0;
    for (let i = start; i < end; i += 1) sum += this.ratios[i];
    return (this.width - this.gap * (end - start - 1)) / sum;
  }
}

const centreOf = (box) => box.left + box.width / 2;
