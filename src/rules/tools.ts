/** Calls of tools, or something else: the first token decides, since nothing else begins with the tag of a call. */

import { CALL, CALL_TAG } from '../core/call.ts';
import type { PlacedRule } from './compile.ts';
import type { Json } from './json.ts';
import type { State } from './network.ts';

export interface ToolsAsk {
  readonly kind: 'tools';
  readonly functions: readonly CallableFunction[];
  /** Several calls may follow each other. */
  readonly many: boolean;
  /** What an answer without calls is; null: there is none. */
  readonly otherwise: PlacedRule | 'anything' | null;
}

export interface CallableFunction {
  readonly name: string;
  /** Of its arguments, and where it stands in the request. */
  readonly schema: unknown;
  readonly at: string;
}

/** Writes what is part of a tools rule but not particular to it. */
interface Parts {
  schema(schema: unknown, at: string, from: State, to: State): void;
  rule(rule: PlacedRule, from: State, to: State): void;
}

export function writeTools(
  ask: ToolsAsk,
  json: Json,
  start: State,
  end: State,
  parts: Parts,
): void {
  const { network } = json;
  const [call, named, done] = [network.state(), network.state(), network.state()];
  network.jump(start, call);
  network.literal(call, CALL.open, named);
  for (const { name, schema, at } of ask.functions) {
    const [given, closing] = [network.state(), network.state()];
    network.literal(named, name + CALL.middle, given);
    parts.schema(schema, at, given, closing);
    network.literal(closing, CALL.close, done);
  }
  network.jump(done, end);
  if (ask.many) network.literal(done, CALL.next, call);
  if (ask.otherwise === 'anything') writeText(json, start);
  else if (ask.otherwise !== null) parts.rule(ask.otherwise, start, end);
}

/** Any text that does not begin with the tag; it may end anywhere. */
function writeText({ network }: Json, start: State): void {
  const free = network.free();
  let at = network.state();
  network.jump(start, at);
  for (const byte of new TextEncoder().encode(CALL_TAG)) {
    network.final(at);
    if (byte > 0) network.edge(at, 0, byte - 1, free);
    if (byte < 255) network.edge(at, byte + 1, 255, free);
    const next = network.state();
    network.edge(at, byte, byte, next);
    at = next;
  }
}
