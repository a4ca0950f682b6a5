// Numbers as text.

// The relative precision of float32.
const ROUNDING = 2 ** -24;

/** A number as text: a short decimal in full, any other with four significant digits. */
export function written(value) {
  return special(value) ?? minus(short(value, 5) ?? rounded(value));
}

/** Like `written`, with two digits less, for the small cells of tables. */
export function brief(value) {
  return special(value) ?? minus(short(value, 4, 4) ?? roughly(value)).replace(/^(−?)0\./, "$1.");
}

/** A fraction as a percentage. */
export function percent(part) {
  const value = 100 * part;
  if (value === 0 || value === 100) return `${value} %`;
  if (value > 0 && value < 0.01) return "< 0.01 %";
  if (value > 99.99 && value < 100) return "> 99.99 %";
  return `${value >= 99.95 || value < 9.995 ? value.toFixed(2) : value.toFixed(1)} %`;
}

/** A count with its noun: "1 step", "2,000 steps". */
export function count(number, noun, nouns = `${noun}s`) {
  return `${number.toLocaleString("en")} ${number === 1 ? noun : nouns}`;
}

/** The range of some numbers, as a sentence. */
export function range(values) {
  let least = Infinity,
    most = -Infinity;
  for (const value of values) {
    if (value < least) least = value;
    if (value > most) most = value;
  }
  return `From ${written(least)} to ${written(most)}.`;
}

function special(value) {
  if (value === 0) return "0";
  if (value === null || Number.isNaN(value)) return "not a number";
  return Number.isFinite(value) ? null : minus(value > 0 ? "∞" : "-∞");
}

/** The number in full, if a decimal of so few digits is exact; else null. */
function short(value, digits, places = Infinity) {
  const near = Number(value.toPrecision(digits));
  if (Math.abs(near - value) > ROUNDING * Math.abs(value)) return null;
  const size = Math.abs(near);
  if (size >= 1e-4 && size < 1e5) {
    const text = String(near);
    return (text.split(".")[1] ?? "").length <= places ? text : null;
  }
  return places === Infinity ? scientific(near.toExponential()) : null;
}

function rounded(value) {
  const size = Math.abs(value);
  if (size < 1e-3 || size >= 99999.5) return scientific(value.toExponential(2));
  return size < 999.95 ? value.toPrecision(4) : value.toFixed(0);
}

function roughly(value) {
  const size = Math.abs(value);
  if (size < 9.995e-5 || size >= 99999.5) return scientific(value.toExponential(0));
  return value.toFixed(size < 0.00995 ? 4 : size < 9.995 ? 2 : size < 999.95 ? 1 : 0);
}

function scientific(text) {
  const [mantissa, power] = text.split("e");
  const raised = [...power.replace("+", "")].map((d) => (d === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[d]));
  const ten = `10${raised.join("")}`;
  return /^-?1$/.test(mantissa) ? mantissa.replace("1", ten) : `${mantissa}·${ten}`;
}

function minus(text) {
  return text.replace(/^-/, "−");
}
