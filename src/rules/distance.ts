/**
 * How many tokens suffice from each state to the end of its rule. An upper bound that can always be walked down:
 * from a state at distance d some single token leads to d - 1. It counts tokens that stay within one rule, so the
 * true number may be smaller. Knuth 1977, "A generalization of Dijkstra's algorithm", over the network's moves.
 */

import { FAR, JUMP, type RuleNetwork } from '../core/rule.ts';
import { NONE, type Trie } from './trie.ts';
import type { Work } from './work.ts';

/** From a state, `cost` tokens and then what its targets take: two for a call, the rule and what comes after. */
interface Move {
  readonly from: number;
  readonly cost: number;
  readonly to: number;
  /** JUMP: there is only one. */
  readonly back: number;
  open: number;
}

/** Steps of work that looking for a byte of the vocabulary takes, and each that is found. */
const SEEK = 5;
const LOOK = 5;

/** Fills in `network.distances`. @throws TooLarge */
export function measure(network: RuleNetwork, trie: Trie, work: Work): void {
  const { distances, finals } = network;
  distances.fill(FAR);
  const into = movesInto(network, trie, work);
  const buckets: number[][] = [[]];
  finals.forEach((final, state) => final && buckets[0]!.push(state));
  for (let distance = 0; distance < Math.min(buckets.length, FAR); distance++) {
    const bucket = buckets[distance] ?? [];
    for (const state of bucket) {
      if (distances[state] !== FAR) continue;
      distances[state] = distance;
      for (const move of into[state]!) {
        if (--move.open > 0 || distances[move.from] !== FAR) continue;
        const rest = move.back === JUMP ? 0 : distances[move.back]!;
        const total = move.cost + distances[move.to]! + rest;
        (buckets[total] ??= []).push(move.from);
      }
    }
  }
}

/** By target. */
function movesInto(network: RuleNetwork, trie: Trie, work: Work): Move[][] {
  const { finals, calls } = network;
  const into = Array.from(finals, (): Move[] => []);
  const add = (from: number, cost: number, to: number, back: number): void => {
    const two = back !== JUMP && back !== to;
    const move = { from, cost, to, back, open: two ? 2 : 1 };
    into[to]!.push(move);
    if (two) into[back]!.push(move);
  };
  const walk = new TokenWalk(network, trie, work);
  for (let state = 0; state < finals.length; state++) {
    for (let i = calls.first[state]!; i < calls.first[state + 1]!; i++)
      add(state, 0, calls.rule[i]!, calls.back[i]!);
    for (const to of walk.from(state)) add(state, 1, to, JUMP);
  }
  return into;
}

/**
 * Where single tokens lead within a rule. Where every byte is a token, longer ones are followed along exact
 * bytes only: keys and constants are spelled with few tokens, and a set of bytes never needs more than one.
 */
class TokenWalk {
  readonly #network: RuleNetwork;
  readonly #trie: Trie;
  readonly #work: Work;
  #reached = new Set<number>();

  constructor(network: RuleNetwork, trie: Trie, work: Work) {
    [this.#network, this.#trie, this.#work] = [network, trie, work];
  }

  from(state: number): ReadonlySet<number> {
    this.#reached = new Set();
    this.#walk(state, 0);
    return this.#reached;
  }

  #walk(state: number, node: number): void {
    const { first, low, high, to } = this.#network.edges;
    const { spellsAll } = this.#trie;
    this.#work.spend(SEEK * (first[state + 1]! - first[state]!));
    for (let e = first[state]!; e < first[state + 1]!; e++) {
      const exact = low[e] === high[e];
      if (spellsAll && !exact) {
        if (node === 0) this.#reached.add(to[e]!);
      } else this.#follow(node, low[e]!, high[e]!, to[e]!);
    }
  }

  #follow(node: number, low: number, high: number, to: number): void {
    const { bytes, nodes, token, first } = this.#trie;
    for (let c = childFrom(this.#trie, node, low); c < first[node + 1]!; c++) {
      if (bytes[c]! > high) return;
      this.#work.spend(LOOK);
      const child = nodes[c]!;
      if (token[child] !== NONE) this.#reached.add(to);
      this.#walk(to, child);
    }
  }
}

/** The first child of a node whose byte is not below `low`: they ascend. */
function childFrom({ first, bytes }: Trie, node: number, low: number): number {
  let [from, end] = [first[node]!, first[node + 1]!];
  while (from < end) {
    const middle = (from + end) >> 1;
    if (bytes[middle]! < low) from = middle + 1;
    else end = middle;
  }
  return from;
}
