/** A storm on WebSockets: drawn requests, cancels and messages that are none, after which each socket is still usable. */

import { once } from 'node:events';
import { WebSocket } from 'ws';
import { pooled } from '../support/pooled.ts';
import { bodyOf } from './bodies.ts';
import { breakSocket } from './broken_frames.ts';
import { Chance } from './chance.ts';
import { hostile, spoil, write } from './hostile.ts';
import { CROWD, DEADLINE_MS } from './storm.ts';

/** What is spoken at a path: the frame that asks, and the field that names a request. */
interface Spoken {
  readonly path: string;
  readonly type: string;
  readonly name: 'id' | 'stream_id';
  /** A request that is answered. */
  readonly plain: object;
}

const SPOKEN: readonly Spoken[] = [
  {
    path: '/v1/chat/completions',
    type: 'chat.completion.create',
    name: 'id',
    plain: { messages: [{ role: 'user', content: 'x' }], max_tokens: 1 },
  },
  {
    path: '/v1/completions',
    type: 'completion.create',
    name: 'id',
    plain: { prompt: 'x', max_tokens: 1 },
  },
  {
    path: '/v1/responses',
    type: 'response.create',
    name: 'stream_id',
    plain: { input: 'x', max_output_tokens: 1 },
  },
];
export const SOCKETS: readonly string[] = SPOKEN.map(({ path }) => path);

/** Fewer than a socket may have requests. */
const FRAMES = 12;
/** ws closes the sockets of those who send 60 pings before any is answered: beside these, none does. */
const PINGS = 4;

export interface Frames {
  readonly base: string;
  readonly path: string;
  /** Frames, over all sockets. */
  readonly cases: number;
  readonly seed: number;
  /** The first socket; the others follow it. */
  readonly from?: number;
}

/** Frames received, by their type or the code of their error; and what was wrong. */
export async function stormFrames({ base, path, cases, seed, from = 0 }: Frames) {
  const received: Record<string, number> = {};
  const spoken = SPOKEN.find((one) => one.path === path)!;
  const sockets = Array.from({ length: Math.ceil(cases / FRAMES) }, (_, i) => from + i);
  const found = await pooled(sockets, CROWD, async (number) => {
    const chance = new Chance(seed * 1_000_003 + number);
    try {
      const wrong =
        (await messages(base, spoken, chance, received)) ??
        (await breakSocket(base, path, opening(spoken), chance));
      return wrong === null ? null : `socket ${number}: ${wrong}`;
    } catch (error) {
      return `socket ${number} was not opened: ${String(error)}`;
    }
  });
  const faults = found.filter((it) => it !== null);
  return { statuses: received, faults, sockets: 2 * sockets.length };
}

/** A request that is long at work, with a socket's first name. */
const opening = ({ type, name, plain }: Spoken): string =>
  JSON.stringify({ ...plain, type, [name]: 'a', max_tokens: 60, max_output_tokens: 60 });

/** Null, or what was wrong with a socket that has to live through all of its messages. */
async function messages(
  base: string,
  spoken: Spoken,
  chance: Chance,
  received: Record<string, number>,
): Promise<string | null> {
  const ws = new WebSocket(`${base.replace('http', 'ws')}${spoken.path}`);
  const wrong: string[] = [];
  const frames = Array.from({ length: FRAMES }, () => messageOf(spoken, chance));
  ws.on('error', (error) => wrong.push(String(error)));
  const ended = once(ws, 'close').then(([code]) => `closed with code ${String(code)}`);
  const late = new Promise<string>((resolve) =>
    setTimeout(() => resolve('no answer to the last'), DEADLINE_MS).unref(),
  );
  const answered = new Promise<null>((resolve) =>
    ws.on('message', (data: Buffer) => {
      const fault = faultOf(data.toString(), received);
      if (fault !== null) wrong.push(fault);
      if (isLast(data.toString())) resolve(null);
    }),
  );
  await Promise.race([once(ws, 'open'), ended]);
  for (const frame of frames) send(ws, frame, chance);
  const { type, name, plain } = spoken;
  ws.send(JSON.stringify({ type, [name]: LAST, ...plain }));
  const end = await Promise.race([answered, ended, late]);
  if (chance.is(0.5)) ws.close();
  else ws.terminate();
  const what = wrong[0] ?? end;
  return what === null ? null : `${what}: ${frames.join(' ').slice(0, 3000)}`;
}

const LAST = 'the.last';
const isLast = (text: string): boolean =>
  text.includes(`"${LAST}"`) && /"type":"(done|response\.(completed|incomplete))"/.test(text);

/** Counts a frame of the server's; null, or what is wrong with it. */
function faultOf(text: string, received: Record<string, number>): string | null {
  const frame = JSON.parse(text) as { type?: unknown; error?: { code?: unknown } };
  const kind = String(frame.type === 'error' ? frame.error?.code : frame.type);
  received[kind] = (received[kind] ?? 0) + 1;
  if (kind === 'undefined') return `a frame without a type or a code: ${text.slice(0, 200)}`;
  return /"code":"(internal_error|reward_failed)"/.test(text) ? text.slice(0, 300) : null;
}

/** A frame that has to be answered, or taken in silence. */
function messageOf({ path, type, name }: Spoken, chance: Chance): string {
  if (chance.is(0.1))
    return chance.pick(['', '{', 'null', '[]', '"x"', '{"type":7}', '['.repeat(9000)]);
  const id = chance.pick(['a', 'b', 'c', '', 'x'.repeat(300), '__proto__']);
  const given = { [name]: chance.is(0.9) ? id : hostile(chance) };
  if (chance.is(0.2)) return write({ type: 'response.cancel', ...given });
  const frame: Record<string, unknown> = { type, ...given, ...bodyOf(path, chance) };
  if (chance.is(0.5)) spoil(frame, chance);
  return write(frame);
}

/** Whole, in fragments, as binary, or after pings. */
function send(ws: WebSocket, frame: string, chance: Chance): void {
  if (ws.readyState !== ws.OPEN) return;
  for (let i = 0; i < PINGS && chance.is(0.5); i++) ws.ping('x'.repeat(100));
  if (chance.is(0.1)) return ws.send(Buffer.from(frame), { binary: true });
  const cut = chance.is(0.2) ? chance.integer(0, frame.length) : frame.length;
  if (cut < frame.length) ws.send(frame.slice(0, cut), { fin: false });
  ws.send(cut < frame.length ? frame.slice(cut) : frame);
}
