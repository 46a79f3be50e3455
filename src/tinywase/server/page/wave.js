// A recording as a picture: layers of peaks over each other, a marked part, a cursor.

const DRAGGED_PX = 4; // less is a click

export class Wave {
  layers = []; // {peaks, color: name of a CSS variable}
  segments = []; // [start, stop] in seconds, drawn as a line below
  marked = null; // [start, stop] in seconds
  cursor = null; // seconds
  duration = 0;
  #canvas;

  // onMark([start, stop]) while somebody drags, onSeek(seconds) where somebody clicks.
  constructor(canvas, { onMark = null, onSeek = null } = {}) {
    this.#canvas = canvas;
    new ResizeObserver(() => this.draw()).observe(canvas);
    let began = null;
    canvas.addEventListener("pointerdown", (event) => {
      began = event.offsetX;
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (began === null || !onMark || Math.abs(event.offsetX - began) < DRAGGED_PX) return;
      onMark([began, event.offsetX].map((x) => this.#seconds(x)).sort((a, b) => a - b));
    });
    canvas.addEventListener("pointerup", (event) => {
      if (began !== null && onSeek && Math.abs(event.offsetX - began) < DRAGGED_PX) onSeek(this.#seconds(began));
      began = null;
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  #seconds(x) {
    const share = Math.max(0, Math.min(1, x / this.#canvas.clientWidth));
    return share * this.duration;
  }

  draw() {
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    const sharp = window.devicePixelRatio || 1;
    this.#canvas.width = width * sharp;
    this.#canvas.height = height * sharp;
    const pen = this.#canvas.getContext("2d");
    pen.scale(sharp, sharp);
    const color = (name) => getComputedStyle(this.#canvas).getPropertyValue(name);
    const x = (seconds) => (this.duration ? (seconds / this.duration) * width : 0);
    const strip = this.segments.length ? 8 : 0;
    const middle = (height - strip) / 2;
    const loudest = Math.max(1e-6, ...this.layers.map(({ peaks }) => peaks.reduce((a, b) => Math.max(a, b), 0)));
    for (const layer of this.layers) {
      pen.fillStyle = color(layer.color);
      const step = width / layer.peaks.length;
      layer.peaks.forEach((peak, i) => {
        const size = Math.max(0.5, (peak / loudest) * (middle - 2));
        pen.fillRect(i * step, middle - size, Math.max(0.6, step), 2 * size);
      });
    }
    pen.fillStyle = color("--voice");
    for (const [start, stop] of this.segments) pen.fillRect(x(start), height - 5, Math.max(1, x(stop) - x(start)), 4);
    if (this.marked) {
      pen.fillStyle = color("--chosen");
      pen.fillRect(x(this.marked[0]), 0, x(this.marked[1]) - x(this.marked[0]), height);
      pen.fillStyle = color("--voice");
      for (const edge of this.marked) pen.fillRect(x(edge) - 1, 0, 2, height);
    }
    if (this.cursor !== null) {
      pen.fillStyle = color("--text");
      pen.fillRect(x(this.cursor), 0, 1.5, height);
    }
  }
}
