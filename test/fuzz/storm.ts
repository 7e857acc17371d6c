/** A seeded storm of bodies on a running server, with a bystander whose text it must not change. */

import { Agent } from 'node:http';
import { pooled } from '../support/pooled.ts';
import { caseOf } from './bodies.ts';
import { Chance } from './chance.ts';
import { exchange, fault } from './exchange.ts';
import type { Answer } from './exchange.ts';
import { JSON_TYPE } from './hostile.ts';
import type { Sent } from './hostile.ts';

export interface Storm {
  readonly base: string;
  readonly endpoint: string;
  readonly cases: number;
  readonly seed: number;
  /** The first case; the others follow it. */
  readonly from?: number;
}

export interface Outcome {
  /** How many answers had each status. */
  readonly statuses: Readonly<Record<string, number>>;
  /** One sentence each, with the number of the case and its body. */
  readonly faults: readonly string[];
  readonly slowestMs: number;
}

/** Connections at a time; each is used again and again. */
export const CROWD = 8;
/** Of a hang, not of a busy machine. */
export const DEADLINE_MS = 300_000;

/** Case `i` is the same whatever was sent before it. */
export const caseAt = (endpoint: string, seed: number, i: number): Sent =>
  caseOf(endpoint, new Chance(seed * 1_000_003 + i));

export async function storm({ base, endpoint, cases, seed, from = 0 }: Storm): Promise<Outcome> {
  const statuses: Record<string, number> = {};
  const faults: string[] = [];
  let slowestMs = 0;
  const lines = Array.from({ length: CROWD }, (_, line) => line);
  await pooled(lines, CROWD, async (line) => {
    const connection = new Connection();
    for (let i = from + line; i < from + cases; i += CROWD) {
      const sent = caseAt(endpoint, seed, i);
      const start = performance.now();
      const { status, wrong } = await connection.send(`${base}${endpoint}`, sent);
      slowestMs = Math.max(slowestMs, performance.now() - start);
      statuses[status] = (statuses[status] ?? 0) + 1;
      if (wrong !== null)
        faults.push(`case ${i}: ${wrong}: ${sent.bytes.toString().slice(0, 600)}`);
    }
    connection.close();
  });
  return { statuses, faults, slowestMs };
}

/** One connection, which has to survive whatever is sent on it. */
class Connection {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 });
  /** The last answer said that the connection goes on. */
  #lasting = false;

  async send(url: string, sent: Sent): Promise<{ status: string; wrong: string | null }> {
    try {
      const answer = await exchange(url, sent, this.#agent, DEADLINE_MS);
      const lost = this.#lasting && !answer.reused;
      this.#lasting = answer.headers['connection'] !== 'close';
      await new Promise(setImmediate); // the agent takes the socket back
      return { status: `${answer.status}`, wrong: lost ? 'the connection was lost' : told(answer) };
    } catch (error) {
      this.#lasting = false;
      return { status: 'none', wrong: `no answer: ${String(error)}` };
    }
  }

  close(): void {
    this.#agent.destroy();
  }
}

const told = (answer: Answer): string | null => {
  const wrong = fault(answer);
  return wrong === null ? null : `${wrong}: ${answer.text.slice(0, 300)}`;
};

const BYSTANDER = {
  model: 'tales',
  prompt: 'One day, Lily',
  max_tokens: 60,
  seed: 11,
  logit_bias: { '0': -100 },
  stream: true,
  alignment: { guides: [{ model: 'arm-happy', weight: 0.5 }] },
};

/** The text of a seeded stream. */
export async function bystander(base: string): Promise<string> {
  const agent = new Agent();
  const sent = { bytes: Buffer.from(JSON.stringify(BYSTANDER)), headers: JSON_TYPE };
  const { status, text } = await exchange(`${base}/v1/completions`, sent, agent, DEADLINE_MS);
  if (status !== 200) throw new Error(`the bystander got ${status}: ${text}`);
  const chunks = text.split('\n\n').filter((line) => line.startsWith('data: {'));
  const said = chunks.map((line) => JSON.parse(line.slice(6)) as { choices?: { text: string }[] });
  // A failure has no choices: it is what the bystander heard.
  return said
    .map((chunk) => (chunk.choices ?? [{ text: JSON.stringify(chunk) }])[0]?.text)
    .join('');
}

/** Streams beside `work`, one after the other, at least one; the texts that differ from `alone`. */
export async function beside<T>(
  base: string,
  alone: string,
  work: Promise<T>,
): Promise<{ result: T; streams: number; changed: string[] }> {
  let over = false;
  const ended = work.finally(() => (over = true));
  const changed: string[] = [];
  let streams = 0;
  do {
    const text = await bystander(base);
    streams++;
    if (text !== alone) changed.push(text);
  } while (!over);
  return { result: await ended, streams, changed };
}

/** What is still held on a server where nothing runs; empty: nothing. Waits for what is being let go. */
export async function held(base: string): Promise<string[]> {
  const idle = ['requests_running', 'requests_waiting', 'kv_cache_usage_ratio', 'ws_connections'];
  let left: string[] = [];
  for (const end = Date.now() + 15_000; Date.now() < end;) {
    const page = await (await fetch(`${base}/metrics`)).text();
    left = idle.filter((name) => !page.includes(`\ncoxswain_${name} 0\n`));
    if (left.length === 0) break;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const { status } = await fetch(`${base}/ready`);
  return status === 200 ? left : [...left, `/ready says ${status}`];
}
