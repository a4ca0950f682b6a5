// What the page shows: structure as JSON, numbers as one block of float32.

/** Numbers of one array, [channels][height][width] or [n], as views of the block. */
export class Numbers {
  /** `rows` lists the channels of the whole array that are here, if not all of them are. */
  constructor(values, shape, rows = null) {
    this.values = values;
    this.shape = shape;
    this.rows = rows;
  }

  get channels() {
    return this.shape.length === 3 ? this.shape[0] : 1;
  }
  get height() {
    return this.shape.length === 3 ? this.shape[1] : 1;
  }
  get width() {
    return this.shape[this.shape.length - 1];
  }
  get isMap() {
    return this.shape.length === 3;
  }

  /** The index of a channel, or an entry of the first axis, among those that are here; else −1. */
  row(channel) {
    return this.rows ? this.rows.indexOf(channel) : channel;
  }

  has(channel) {
    return this.row(channel) >= 0;
  }

  /** The number of a channel at a row and column; zero outside, where padding is. */
  at(channel, row, column) {
    if (row < 0 || column < 0 || row >= this.height || column >= this.width) return 0;
    return this.values[(this.row(channel) * this.height + row) * this.width + column];
  }

  /** One channel's numbers, or one entry of the first axis. */
  part(channel) {
    const size =
      this.isMap || this.shape.length > 1
        ? this.shape.slice(1).reduce((a, b) => a * b, 1)
        : this.shape[0];
    const at = this.row(channel) * size;
    return this.values.subarray(at, at + size);
  }

  /** With the rows of other numbers of the same array, as far as they are not here yet. */
  with(other) {
    if (!this.rows) return this;
    if (!other.rows) return other;
    const fresh = other.rows.filter((row) => !this.has(row));
    if (!fresh.length) return this;
    const size = this.values.length / this.rows.length || other.part(fresh[0]).length;
    const values = new Float32Array(this.values.length + fresh.length * size);
    values.set(this.values);
    fresh.forEach((row, n) => values.set(other.part(row), this.values.length + n * size));
    const rows = [...this.rows, ...fresh];
    return new Numbers(values, [rows.length, ...other.shape.slice(1)], rows);
  }

  /** The largest magnitude. */
  get reach() {
    this._reach ??= largest(this.values);
    return this._reach;
  }
}

/** The largest magnitude of some numbers. */
export function largest(values) {
  let most = 0;
  for (const value of values) if (Math.abs(value) > most) most = Math.abs(value);
  return most;
}

/** Unpack base64 of a zlib stream of float32, as Python's `zlib` and `base64` make it. */
export async function unpack(text) {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Float32Array(await new Response(stream).arrayBuffer());
}

/** Split a message of the server: 4 bytes of length, JSON, block. */
export function split(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const structure = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  return resolve(structure, new Float32Array(buffer, 4 + 4 * Math.ceil(length / 4)));
}

/** Replace every {"at": …, "shape": …} of the structure by its numbers. */
export function resolve(value, block) {
  if (Array.isArray(value)) return value.map((each) => resolve(each, block));
  if (value === null || typeof value !== "object") return value;
  if (Number.isInteger(value.at) && Array.isArray(value.shape)) {
    const size = value.shape.reduce((a, b) => a * b, 1);
    return new Numbers(block.subarray(value.at, value.at + size), value.shape, value.rows);
  }
  return Object.fromEntries(
    Object.entries(value).map(([key, each]) => [key, resolve(each, block)]),
  );
}
