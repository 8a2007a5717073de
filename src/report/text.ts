// Numbers and texts for the page.

const ENTITIES: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

export const escaped = (text: string): string => text.replace(/[&<>"']/g, (each) => ENTITIES[each]!);

/** A number in as few digits as tell it: 12,345, 0.0123, 1.2e-5. */
export function short(value: number, digits = 4): string {
  if (!Number.isFinite(value)) return String(value);
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e9)) {
    return value
      .toExponential(digits - 2)
      .replace(/\.?0*e/, "e")
      .replace("e+", "e");
  }
  return value.toLocaleString(
    "en-US",
    size >= 1000 ? { maximumFractionDigits: 0 } : { maximumSignificantDigits: digits },
  );
}

/** Seconds for people. */
export function seconds(value: number): string {
  if (value < 60) return `${value.toFixed(value < 10 ? 1 : 0)} s`;
  const minutes = Math.round(value / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** Fewer digits than a double has: a plot shows no more. */
export const rounded = (value: number): number | null => (Number.isFinite(value) ? Number(value.toPrecision(5)) : null);
