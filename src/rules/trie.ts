/** The vocabulary by its bytes: a rule walks it once to learn which tokens it allows. */

import type { Vocabulary } from '../core/model.ts';
import type { Token } from '../core/tree.ts';

export interface Trie {
  /** Children of node n lie from first[n] to first[n + 1], by ascending byte. Node 0 is the empty text. */
  readonly first: Uint32Array;
  readonly bytes: Uint8Array;
  readonly nodes: Uint32Array;
  /** By node: the lowest token that it spells, or NONE. */
  readonly token: Int32Array;
  /** By token: the next one with the same bytes, or NONE. */
  readonly twin: Int32Array;
  /** Every byte is a token by itself: any text can be spelled from anywhere. */
  readonly spellsAll: boolean;
}

export const NONE = -1;

interface Node {
  readonly children: Map<number, Node>;
  readonly tokens: Token[];
}

const tries = new WeakMap<Vocabulary, Trie>();

/** Tokens that spell nothing, are never drawn or end an answer are left out. Kept for as long as the vocabulary. */
export function trieOf(vocabulary: Vocabulary): Trie {
  let trie = tries.get(vocabulary);
  if (trie === undefined) tries.set(vocabulary, (trie = build(vocabulary)));
  return trie;
}

function build(vocabulary: Vocabulary): Trie {
  const root: Node = { children: new Map(), tokens: [] };
  const banned = new Set(vocabulary.banned);
  let size = 1;
  for (let token = 0; token < vocabulary.size; token++) {
    const bytes = vocabulary.bytes(token);
    if (bytes.length === 0 || banned.has(token) || vocabulary.ends.has(token)) continue;
    let node = root;
    for (const byte of bytes) {
      let child = node.children.get(byte);
      if (child === undefined) {
        node.children.set(byte, (child = { children: new Map(), tokens: [] }));
        size++;
      }
      node = child;
    }
    node.tokens.push(token);
  }
  return flattened(root, size, vocabulary.size);
}

function flattened(root: Node, size: number, tokens: number): Trie {
  const first = new Uint32Array(size + 1);
  const bytes = new Uint8Array(size - 1);
  const nodes = new Uint32Array(size - 1);
  const token = new Int32Array(size).fill(NONE);
  const twin = new Int32Array(tokens).fill(NONE);
  const queue = [root];
  let edge = 0;
  let n = 0;
  for (const node of queue) {
    first[n] = edge;
    token[n++] = node.tokens[0] ?? NONE;
    node.tokens.slice(1).forEach((next, i) => (twin[node.tokens[i]!] = next));
    for (const [byte, child] of [...node.children].toSorted(([a], [b]) => a - b)) {
      bytes[edge] = byte;
      nodes[edge++] = queue.push(child) - 1;
    }
  }
  first[size] = edge;
  const singles = [...root.children.values()].filter((child) => child.tokens.length > 0).length;
  return { first, bytes, nodes, token, twin, spellsAll: singles === 256 };
}
