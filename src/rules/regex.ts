/**
 * Reads the regular expressions that name regular languages: no back references, no word boundaries, no code.
 * Nothing is ever matched with backtracking: an expression becomes a finite automaton (dfa.ts) or is refused.
 */

/** Flat pairs of first and last code point, ascending and apart. */
export type Ranges = readonly number[];

export type Regex =
  | { readonly kind: 'set'; readonly ranges: Ranges }
  | { readonly kind: 'sequence'; readonly parts: readonly Regex[] }
  | { readonly kind: 'choice'; readonly parts: readonly Regex[] }
  | { readonly kind: 'repeat'; readonly part: Regex; readonly least: number; readonly most: number }
  /** At its place the rest of the text must begin with `part`, or must not. */
  | { readonly kind: 'ahead'; readonly part: Regex; readonly negative: boolean }
  | { readonly kind: 'start' }
  | { readonly kind: 'end' };

/** What is not an expression, or not one that an automaton can hold; the message completes "pattern ...". */
export class BadRegex extends Error {
  override readonly name = 'BadRegex';
}

const LAST = 0x10ffff;
/** Every character that UTF-8 can spell. */
export const ANY: Ranges = [0, 0xd7ff, 0xe000, LAST];
const DIGIT: Ranges = [48, 57];
const WORD: Ranges = [48, 57, 65, 90, 95, 95, 97, 122];
const SPACE: Ranges = [
  9, 13, 32, 32, 0xa0, 0xa0, 0x1680, 0x1680, 0x2000, 0x200a, 0x2028, 0x2029, 0x202f, 0x202f, 0x205f,
  0x205f, 0x3000, 0x3000, 0xfeff, 0xfeff,
];
const NEWLINE: Ranges = [10, 10, 13, 13, 0x2028, 0x2029];
const DEEPEST = 64;
const MOST_REPEATS = 4096;

/** @throws BadRegex */
export function parseRegex(source: string): Regex {
  const parser = new Parser(source);
  const regex = parser.choice(0);
  parser.expectEnd();
  return regex;
}

class Parser {
  readonly #chars: readonly string[];
  #at = 0;

  constructor(source: string) {
    this.#chars = [...source.toWellFormed()];
  }

  expectEnd(): void {
    if (this.#at < this.#chars.length) throw this.#bad(`has ) without (`);
  }

  choice(depth: number): Regex {
    if (depth > DEEPEST) throw this.#bad(`nests deeper than ${DEEPEST}`);
    const parts = [this.#sequence(depth)];
    while (this.#take('|')) parts.push(this.#sequence(depth));
    return parts.length === 1 ? parts[0]! : { kind: 'choice', parts };
  }

  #sequence(depth: number): Regex {
    const parts: Regex[] = [];
    while (this.#at < this.#chars.length && this.#peek() !== '|' && this.#peek() !== ')')
      parts.push(this.#repeated(this.#atom(depth)));
    return parts.length === 1 ? parts[0]! : { kind: 'sequence', parts };
  }

  #repeated(part: Regex): Regex {
    const bounds = this.#bounds();
    if (bounds === null) return part;
    if (part.kind === 'start' || part.kind === 'end' || part.kind === 'ahead')
      throw this.#bad('repeats what reads nothing');
    this.#take('?'); // lazy or not, the language is the same
    if (this.#bounds() !== null) throw this.#bad('has a quantifier after a quantifier');
    return { kind: 'repeat', part, ...bounds };
  }

  #bounds(): { least: number; most: number } | null {
    if (this.#take('*')) return { least: 0, most: Infinity };
    if (this.#take('+')) return { least: 1, most: Infinity };
    if (this.#take('?')) return { least: 0, most: 1 };
    const rest = this.#chars.slice(this.#at, this.#at + 16).join('');
    const found = /^\{(\d{1,6})(,(\d{1,6})?)?\}/.exec(rest);
    if (found === null) return null;
    this.#at += found[0].length;
    const least = Number(found[1]);
    const most = found[2] === undefined ? least : Number(found[3] ?? Infinity);
    if (most < least) throw this.#bad(`repeats from ${least} to ${most} times`);
    if (least > MOST_REPEATS || (most !== Infinity && most > MOST_REPEATS))
      throw this.#bad(`repeats more than ${MOST_REPEATS} times`);
    return { least, most };
  }

  #atom(depth: number): Regex {
    const char = this.#next();
    switch (char) {
      case '^':
        return { kind: 'start' };
      case '$':
        return { kind: 'end' };
      case '.':
        return { kind: 'set', ranges: without(NEWLINE) };
      case '(':
        return this.#group(depth);
      case '[':
        return { kind: 'set', ranges: this.#class() };
      case '\\':
        return { kind: 'set', ranges: this.#escape() };
      case '*':
      case '+':
      case '?':
        throw this.#bad(`has ${char} with nothing to repeat`);
      default:
        return { kind: 'set', ranges: single(char) };
    }
  }

  #group(depth: number): Regex {
    let ahead: boolean | null = null;
    if (this.#take('?')) {
      const kind = this.#next();
      if (kind === '=' || kind === '!') ahead = kind === '!';
      else if (kind === '<' && this.#peek() !== '=' && this.#peek() !== '!') this.#until('>');
      else if (kind !== ':') throw this.#bad(`has a group (?${kind}, which is not served`);
    }
    const part = this.choice(depth + 1);
    if (!this.#take(')')) throw this.#bad('has ( without )');
    return ahead === null ? part : { kind: 'ahead', part, negative: ahead };
  }

  #class(): Ranges {
    const negative = this.#take('^');
    const ranges: number[] = [];
    while (!this.#take(']')) {
      const low = this.#member();
      const isRange = this.#peek() === '-' && (this.#chars[this.#at + 1] ?? ']') !== ']';
      if (!isRange) {
        ranges.push(...low);
        continue;
      }
      this.#next();
      const high = this.#member();
      if (low.length !== 2 || high.length !== 2 || low[0] !== low[1] || high[0] !== high[1])
        throw this.#bad('has a range between sets');
      if (low[0]! > high[0]!) throw this.#bad('has a range that runs backwards');
      ranges.push(low[0]!, high[0]!);
    }
    return negative ? without(ranges) : union(ranges);
  }

  #member(): Ranges {
    const char = this.#next();
    if (char !== '\\') return single(char);
    return this.#take('b') ? [8, 8] : this.#escape();
  }

  #escape(): Ranges {
    const char = this.#next();
    const set = SETS[char];
    if (set !== undefined) return set;
    if (char === 'x') return this.#hex(2);
    if (char === 'u') return this.#take('{') ? this.#braced() : this.#hex(4);
    const control = CONTROLS[char];
    if (control !== undefined) return [control, control];
    if (/[A-Za-z1-9]/.test(char)) throw this.#bad(`has \\${char}, which is not served`);
    return single(char);
  }

  #hex(digits: number): Ranges {
    const text = this.#chars.slice(this.#at, this.#at + digits).join('');
    if (text.length < digits || !/^[0-9A-Fa-f]+$/.test(text))
      throw this.#bad('has a broken escape');
    this.#at += digits;
    return union([Number.parseInt(text, 16), Number.parseInt(text, 16)]);
  }

  #braced(): Ranges {
    const text = this.#until('}');
    const code = /^[0-9A-Fa-f]{1,6}$/.test(text) ? Number.parseInt(text, 16) : LAST + 1;
    if (code > LAST) throw this.#bad('has a broken escape');
    return union([code, code]);
  }

  #until(end: string): string {
    let text = '';
    for (let char = this.#next(); char !== end; char = this.#next()) text += char;
    return text;
  }

  #peek(): string {
    return this.#chars[this.#at] ?? '';
  }

  #take(char: string): boolean {
    if (this.#peek() !== char) return false;
    this.#at++;
    return true;
  }

  #next(): string {
    const char = this.#chars[this.#at++];
    if (char === undefined) throw this.#bad('ends too early');
    return char;
  }

  #bad(what: string): BadRegex {
    return new BadRegex(`${what} (at position ${Math.min(this.#at, this.#chars.length)})`);
  }
}

const single = (char: string): Ranges => [char.codePointAt(0)!, char.codePointAt(0)!];

/** Ascending and apart, without surrogates. */
function union(ranges: Ranges): Ranges {
  const pairs = Array.from({ length: ranges.length / 2 }, (_, i) => [
    ranges[2 * i]!,
    ranges[2 * i + 1]!,
  ]);
  const merged: number[] = [];
  for (const [low, high] of pairs.toSorted((a, b) => a[0]! - b[0]!) as [number, number][]) {
    if (merged.length > 0 && low <= merged.at(-1)! + 1)
      merged[merged.length - 1] = Math.max(merged.at(-1)!, high);
    else merged.push(low, high);
  }
  return merged.length === 0 ? merged : intersection(merged, ANY);
}

/** Every character outside `ranges`. */
function without(ranges: Ranges): Ranges {
  const gaps: number[] = [];
  let from = 0;
  const taken = union(ranges);
  for (let i = 0; i < taken.length; i += 2) {
    if (taken[i]! > from) gaps.push(from, taken[i]! - 1);
    from = taken[i + 1]! + 1;
  }
  if (from <= LAST) gaps.push(from, LAST);
  return intersection(gaps, ANY);
}

function intersection(a: Ranges, b: Ranges): Ranges {
  const shared: number[] = [];
  for (let [i, j] = [0, 0]; i < a.length && j < b.length;) {
    const [low, high] = [Math.max(a[i]!, b[j]!), Math.min(a[i + 1]!, b[j + 1]!)];
    if (low <= high) shared.push(low, high);
    if (a[i + 1]! < b[j + 1]!) i += 2;
    else j += 2;
  }
  return shared;
}

const SETS: Readonly<Record<string, Ranges>> = {
  d: DIGIT,
  D: without(DIGIT),
  w: WORD,
  W: without(WORD),
  s: SPACE,
  S: without(SPACE),
};
const CONTROLS: Readonly<Record<string, number>> = { n: 10, r: 13, t: 9, f: 12, v: 11, 0: 0 };
