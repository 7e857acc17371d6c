/** Regular expressions to deterministic automata over characters, by subsets (Rabin and Scott 1959), and products of them. */

import { ANY, BadRegex, parseRegex, type Ranges, type Regex } from './regex.ts';
import { Work } from './work.ts';

interface Move {
  /** Code points. */
  readonly low: number;
  readonly high: number;
  readonly to: number;
}

/** State 0 is the start. What has no move has no future. */
export interface Dfa {
  readonly accepts: readonly boolean[];
  readonly moves: readonly (readonly Move[])[];
}

const MOST_STATES = 2048;
/** Steps of work: each place or range that is looked at, each state, and each of an automaton still to be determinised. */
const STEP = 16;
const STATE = 200;
const NFA_STATE = 40;
/**
 * The texts that an expression matches.
 * @param search whether a match may stand anywhere in the text, as `pattern` means it, or must be all of it
 * @throws BadRegex
 */
export function regexDfa(source: string, search: boolean, work: Work): Dfa {
  const alternatives = split(parseRegex(source), search);
  if (alternatives.every(({ aheads }) => aheads.length === 0))
    return determinised({ kind: 'choice', parts: alternatives.map(({ body }) => body) }, work);
  return alternatives
    .map(({ body, aheads }) =>
      aheads.reduce((dfa, ahead) => narrowed(dfa, ahead, work), determinised(body, work)),
    )
    .reduce((all, one) => product(all, one, (a, b) => a || b, work));
}

const fixed = new Map<string, Dfa>();

/** As regexDfa of an expression of our own, never a client's: compiled once. */
export function fixedDfa(source: string): Dfa {
  let dfa = fixed.get(source);
  if (dfa === undefined) fixed.set(source, (dfa = regexDfa(source, false, new Work(Infinity))));
  return dfa;
}

/** Texts of `least` to `most` characters. */
export const lengthDfa = (least: number, most: number, work: Work): Dfa =>
  determinised({ kind: 'repeat', part: { kind: 'set', ranges: ANY }, least, most }, work);

/** Texts that both accept. */
export const both = (a: Dfa, b: Dfa, work: Work): Dfa => product(a, b, (x, y) => x && y, work);

/** Every text of `dfa` but these. */
export const except = (dfa: Dfa, texts: readonly string[], work: Work): Dfa => {
  const parts = texts.map((text): Regex => ({
    kind: 'sequence',
    parts: [...text].map((c) => ({ kind: 'set', ranges: [c.codePointAt(0)!, c.codePointAt(0)!] })),
  }));
  return product(dfa, determinised({ kind: 'choice', parts }, work), (a, b) => a && !b, work);
};

const REST: Regex = {
  kind: 'repeat',
  part: { kind: 'set', ranges: ANY },
  least: 0,
  most: Infinity,
};

type Ahead = Extract<Regex, { kind: 'ahead' }>;

function narrowed(dfa: Dfa, { part, negative }: Ahead, work: Work): Dfa {
  const begins = determinised({ kind: 'choice', parts: split(part, false).map(open) }, work);
  return product(dfa, begins, negative ? (a, b) => a && !b : (a, b) => a && b, work);
}

/** What follows a look-ahead's own text is free, unless it ends with $. */
const open = ({ body, ended }: Alternative): Regex =>
  ended ? body : { kind: 'sequence', parts: [body, REST] };

interface Alternative {
  readonly body: Regex;
  readonly aheads: readonly Ahead[];
  readonly ended: boolean;
}

/** Anchors and look-aheads are served where they begin or end an alternative of the whole expression. */
function split(regex: Regex, search: boolean): Alternative[] {
  if (regex.kind === 'choice') return regex.parts.flatMap((part) => split(part, search));
  const parts = regex.kind === 'sequence' ? [...regex.parts] : [regex];
  const started = parts[0]?.kind === 'start' && parts.shift() !== undefined;
  const ended = parts.at(-1)?.kind === 'end' && parts.pop() !== undefined;
  const aheads: Ahead[] = [];
  for (let next = parts[0]; next?.kind === 'ahead' && (started || !search); next = parts[0]) {
    aheads.push(next);
    parts.shift();
  }
  const [only] = parts;
  if (parts.length === 1 && only?.kind === 'choice' && !started && !ended)
    return split(only, search);
  if (search && !started) parts.unshift(REST);
  if (search && !ended) parts.push(REST);
  return [{ body: { kind: 'sequence', parts }, aheads, ended }];
}

/** Thompson's construction. */
class Nfa {
  readonly #work: Work;
  readonly sets: { readonly ranges: Ranges; readonly to: number }[][] = [];
  readonly jumps: number[][] = [];

  constructor(work: Work) {
    this.#work = work;
  }

  state(): number {
    if (this.sets.length > 4 * MOST_STATES) throw new BadRegex('is too large');
    this.#work.spend(NFA_STATE);
    this.jumps.push([]);
    return this.sets.push([]) - 1;
  }

  add(regex: Regex, from: number): number {
    switch (regex.kind) {
      case 'set': {
        const to = this.state();
        this.sets[from]!.push({ ranges: regex.ranges, to });
        return to;
      }
      case 'sequence':
        return regex.parts.reduce((at, part) => this.add(part, at), from);
      case 'choice': {
        const ends = regex.parts.map((part) => this.add(part, this.#after(from)));
        const to = this.state();
        for (const end of ends) this.jumps[end]!.push(to);
        return to;
      }
      case 'repeat':
        return this.#repeat(regex, from);
      case 'ahead':
      case 'start':
      case 'end':
        throw new BadRegex('has an anchor or a look-ahead inside, which is not served');
      default:
        return regex satisfies never;
    }
  }

  #repeat({ part, least, most }: Extract<Regex, { kind: 'repeat' }>, from: number): number {
    let at = from;
    for (let i = 0; i < least; i++) at = this.add(part, at);
    if (most === Infinity) {
      const loop = this.#after(at);
      this.jumps[this.add(part, loop)]!.push(loop);
      return this.#after(loop);
    }
    const exits = [at];
    for (let i = least; i < most; i++) exits.push((at = this.add(part, this.#after(at))));
    const to = this.state();
    for (const exit of exits) this.jumps[exit]!.push(to);
    return to;
  }

  #after(from: number): number {
    const to = this.state();
    this.jumps[from]!.push(to);
    return to;
  }
}

function determinised(regex: Regex, work: Work): Dfa {
  const nfa = new Nfa(work);
  const start = nfa.state();
  const final = nfa.add(regex, start);
  return explored(closure(nfa, [start], work), (set) => ({
    accepts: set.includes(final),
    moves: partition(nfa, set, work).map(({ low, high, to }) => ({
      low,
      high,
      to: closure(nfa, to, work),
    })),
  }));
}

/** Everything reachable without reading, ascending. */
function closure(nfa: Nfa, states: readonly number[], work: Work): number[] {
  const seen = new Set(states);
  for (const state of seen) {
    work.spend(STEP * (1 + nfa.jumps[state]!.length));
    for (const to of nfa.jumps[state]!) seen.add(to);
  }
  return [...seen].toSorted((a, b) => a - b);
}

/** The characters that a set of states reads, cut where the targets change. */
function partition(nfa: Nfa, states: readonly number[], work: Work) {
  work.spend(STATE);
  const edges = states.flatMap((state) => nfa.sets[state]!);
  const cuts = new Set<number>();
  for (const { ranges } of edges)
    for (let i = 0; i < ranges.length; i += 2) cuts.add(ranges[i]!).add(ranges[i + 1]! + 1);
  const points = [...cuts].toSorted((a, b) => a - b);
  const targets = points.map((): number[] => []);
  const place = new Map(points.map((point, i) => [point, i]));
  for (const { ranges, to } of edges)
    for (let i = 0; i < ranges.length; i += 2) {
      const end = place.get(ranges[i + 1]! + 1)!;
      for (let at = place.get(ranges[i]!)!; at < end; at++) {
        work.spend(STEP);
        targets[at]!.push(to);
      }
    }
  return points.flatMap((low, i) =>
    targets[i]!.length === 0 ? [] : [{ low, high: points[i + 1]! - 1, to: targets[i]! }],
  );
}

function product(a: Dfa, b: Dfa, accept: (a: boolean, b: boolean) => boolean, work: Work): Dfa {
  const movesOf = (dfa: Dfa, state: number): readonly Move[] =>
    state < 0 ? [] : dfa.moves[state]!;
  return explored([0, 0], ([p, q]) => {
    const [left, right] = [movesOf(a, p!), movesOf(b, q!)];
    work.spend(STATE + STEP * (left.length + right.length));
    const cuts = [...left, ...right].flatMap(({ low, high }) => [low, high + 1]);
    const points = [...new Set(cuts)].toSorted((x, y) => x - y);
    const [inLeft, inRight] = [targetsAt(left, points), targetsAt(right, points)];
    const moves = points.slice(0, -1).flatMap((low, i) => {
      const to = [inLeft[i]!, inRight[i]!];
      return to[0]! < 0 && to[1]! < 0 ? [] : [{ low, high: points[i + 1]! - 1, to }];
    });
    return { accepts: accept(a.accepts[p!] ?? false, b.accepts[q!] ?? false), moves };
  });
}

/** Where the character at each point leads, or -1; moves and points ascend. */
function targetsAt(moves: readonly Move[], points: readonly number[]): number[] {
  let next = 0;
  return points.map((point) => {
    while (next < moves.length && moves[next]!.high < point) next++;
    const move = moves[next];
    return move !== undefined && move.low <= point ? move.to : -1;
  });
}

interface Seen {
  readonly accepts: boolean;
  readonly moves: readonly { readonly low: number; readonly high: number; readonly to: number[] }[];
}

/** Numbers what can be reached from `start`, in the order it is found. */
function explored(start: number[], look: (set: number[]) => Seen): Dfa {
  const ids = new Map([[start.join(), 0]]);
  const queue = [start];
  const [accepts, moves]: [boolean[], Move[][]] = [[], []];
  for (const set of queue) {
    const seen = look(set);
    accepts.push(seen.accepts);
    const out: Move[] = [];
    for (const { low, high, to: target } of seen.moves) {
      const key = target.join();
      const known = ids.get(key);
      const to = known ?? queue.push(target) - 1;
      if (known === undefined) ids.set(key, to);
      if (to >= MOST_STATES) throw new BadRegex(`needs more than ${MOST_STATES} states`);
      const last = out.at(-1);
      if (last?.to === to && last.high === low - 1) out[out.length - 1] = { ...last, high };
      else out.push({ low, high, to });
    }
    moves.push(out);
  }
  return { accepts, moves };
}
