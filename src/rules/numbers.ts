/** JSON numbers within bounds, as regular expressions. Every text is in bounds; not every number in bounds has a text. */

/** Integers of 15 digits are exact in every JSON reader. */
const LARGEST = 999_999_999_999_999;
const DECIMALS = 6;

export interface Bounds {
  readonly minimum: number;
  readonly maximum: number;
  /** Whether the bounds themselves are left out. */
  readonly above: boolean;
  readonly below: boolean;
}

/** Null: no integer is within. */
export function integers({ minimum, maximum, above, below }: Bounds): string | null {
  const low = above ? Math.floor(minimum) + 1 : Math.ceil(minimum);
  const high = below ? Math.ceil(maximum) - 1 : Math.floor(maximum);
  return between(Math.max(low, -LARGEST), Math.min(high, LARGEST));
}

/** Digits are bounded, so that every text reads as a finite number. */
export const FREE_NUMBER = '-?(0|[1-9][0-9]{0,14})(\\.[0-9]{1,15})?([eE][+-]?[0-9]{1,2})?';

/** Null: no number is within that has at most six decimals. */
export function numbers(bounds: Bounds): string | null {
  const { minimum, maximum, above, below } = bounds;
  if (minimum === -Infinity && maximum === Infinity) return FREE_NUMBER;
  const parts = [integers(bounds), positives(bounds)];
  const mirrored = { minimum: -maximum, maximum: -minimum, above: below, below: above };
  const negative = positives(mirrored);
  if (negative !== null) parts.push(`-(${negative})`);
  return joined(parts);
}

/** Decimals from 0 on. */
function positives({ minimum, maximum, above, below }: Bounds): string | null {
  if (maximum < 0) return null;
  const least = Math.max(minimum, 0);
  const [whole, last] = [Math.floor(least), Math.floor(maximum)];
  if (whole > LARGEST) return null;
  const open = above && least === minimum;
  if (whole === last) return decimals(whole, least, maximum, open, below);
  // n.d lies below n + 1, so whole numbers from the least to the one before the last take any decimals.
  const first = whole === least ? whole + Number(open) : whole + 1;
  const any = between(first, Math.min(last - 1, LARGEST));
  const parts = [any === null ? null : `(${any})\\.[0-9]{1,15}`];
  if (open && whole === least) parts.push(`${whole}\\.[0-9]{0,14}[1-9]`);
  if (whole < least) parts.push(decimals(whole, least, whole + 1, open, true));
  if (last < maximum) parts.push(decimals(last, last, maximum, false, below));
  return joined(parts);
}

/** Between two bounds with the same whole part. */
function decimals(whole: number, low: number, high: number, above: boolean, below: boolean) {
  const scale = 10 ** DECIMALS;
  const first = Math.max(0, Math.ceil((low - whole) * scale)) + Number(above);
  const last = Math.floor((high - whole) * scale) - Number(below);
  if (first > last || last >= scale) return null;
  const padded = (n: number): string => String(n).padStart(DECIMALS, '0');
  return `${whole}\\.(${sameLength(padded(first), padded(last))})`;
}

/** Integers from `low` to `high`; null if there are none. */
function between(low: number, high: number): string | null {
  if (low > high) return null;
  const parts: string[] = [];
  if (low < 0) parts.push(`-(${naturals(Math.max(1, -high), -low)})`);
  if (high >= 0) parts.push(naturals(Math.max(0, low), high));
  return parts.join('|');
}

function naturals(low: number, high: number): string {
  const parts: string[] = [];
  for (let digits = String(low).length; digits <= String(high).length; digits++) {
    const least = digits === 1 ? 0 : 10 ** (digits - 1);
    parts.push(sameLength(String(Math.max(low, least)), String(Math.min(high, 10 ** digits - 1))));
  }
  return parts.join('|');
}

/** Texts of digits from `low` to `high`, both of one length. */
function sameLength(low: string, high: string): string {
  if (low === high) return low;
  const [rest, zeros, nines] = [
    low.length - 1,
    '0'.repeat(low.length - 1),
    '9'.repeat(low.length - 1),
  ];
  const [a, b] = [Number(low[0]), Number(high[0])];
  if (a === b) return `${a}(${sameLength(low.slice(1), high.slice(1))})`;
  const parts: string[] = [];
  const first = low.slice(1) === zeros ? a : a + 1;
  const last = high.slice(1) === nines ? b : b - 1;
  if (first > a) parts.push(`${a}(${sameLength(low.slice(1), nines)})`);
  if (first <= last) parts.push(`[${first}-${last}]${rest > 0 ? `[0-9]{${rest}}` : ''}`);
  if (last < b) parts.push(`${b}(${sameLength(zeros, high.slice(1))})`);
  return parts.join('|');
}

function joined(parts: readonly (string | null)[]): string | null {
  const given = parts.filter((part) => part !== null);
  return given.length === 0 ? null : given.join('|');
}
