/**
 * How many tokens suffice from each state to the end of its rule. An upper bound that can always be walked down:
 * from a state at distance d some single token leads to d - 1. It counts tokens that stay within one rule, so the
 * true number may be smaller. Knuth 1977, "A generalization of Dijkstra's algorithm", over the network's moves.
 */

import { FAR, JUMP, type RuleNetwork } from '../core/rule.ts';
import { TooLarge } from './network.ts';
import { NONE, type Trie } from './trie.ts';

/** From a state, `cost` tokens and then what its targets take: two for a call, the rule and what comes after. */
interface Move {
  readonly from: number;
  readonly cost: number;
  readonly targets: readonly number[];
  open: number;
}

/** Steps of the walk through the vocabulary. */
const MOST_WORK = 4_000_000;

/** Fills in `network.distances`. @throws TooLarge */
export function measure(network: RuleNetwork, trie: Trie): void {
  const { distances, finals } = network;
  distances.fill(FAR);
  const into = movesInto(network, trie);
  const buckets: number[][] = [[]];
  finals.forEach((final, state) => final && buckets[0]!.push(state));
  for (let distance = 0; distance < Math.min(buckets.length, FAR); distance++) {
    const bucket = buckets[distance] ?? [];
    for (const state of bucket) {
      if (distances[state] !== FAR) continue;
      distances[state] = distance;
      for (const move of into[state]!) {
        if (--move.open > 0 || distances[move.from] !== FAR) continue;
        const total = move.targets.reduce((sum, to) => sum + distances[to]!, move.cost);
        (buckets[total] ??= []).push(move.from);
      }
    }
  }
}

/** By target. */
function movesInto(network: RuleNetwork, trie: Trie): Move[][] {
  const { finals, calls } = network;
  const into = Array.from(finals, (): Move[] => []);
  const add = (from: number, cost: number, targets: readonly number[]): void => {
    const distinct = [...new Set(targets)];
    const move = { from, cost, targets, open: distinct.length };
    for (const to of distinct) into[to]!.push(move);
  };
  const walk = new TokenWalk(network, trie);
  for (let state = 0; state < finals.length; state++) {
    for (let i = calls.first[state]!; i < calls.first[state + 1]!; i++) {
      const [rule, back] = [calls.rule[i]!, calls.back[i]!];
      add(state, 0, back === JUMP ? [rule] : [rule, back]);
    }
    for (const to of walk.from(state)) add(state, 1, [to]);
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
  #left = MOST_WORK;
  #reached = new Set<number>();

  constructor(network: RuleNetwork, trie: Trie) {
    [this.#network, this.#trie] = [network, trie];
  }

  from(state: number): ReadonlySet<number> {
    this.#reached = new Set();
    this.#walk(state, 0);
    return this.#reached;
  }

  #walk(state: number, node: number): void {
    const { first, low, high, to } = this.#network.edges;
    const { spellsAll } = this.#trie;
    for (let e = first[state]!; e < first[state + 1]!; e++) {
      const exact = low[e] === high[e];
      if (spellsAll && !exact) {
        if (node === 0) this.#reached.add(to[e]!);
      } else this.#follow(node, low[e]!, high[e]!, to[e]!);
    }
  }

  #follow(node: number, low: number, high: number, to: number): void {
    const { first, bytes, nodes, token } = this.#trie;
    for (let c = first[node]!; c < first[node + 1]!; c++) {
      if (--this.#left < 0) throw new TooLarge('takes too much work to compile');
      const byte = bytes[c]!;
      if (byte < low || byte > high) continue;
      const child = nodes[c]!;
      if (token[child] !== NONE) this.#reached.add(to);
      this.#walk(to, child);
    }
  }
}
