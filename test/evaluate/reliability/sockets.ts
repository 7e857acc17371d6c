/** A thousand idle WebSockets beside 64 streams: what they hold, and whether the streams notice. */

import { once } from 'node:events';
import { WebSocket } from 'ws';
import { measureServed } from '../../bench/served.ts';
import { residentMb } from '../../support/watch.ts';
import { ENDLESS, type Row } from './ask.ts';

const IDLE = 1000;
const STREAMS = 64;
const WINDOW = { warmMs: 2000, windowMs: 8000 };

export async function idleSockets({ port, pid }: { port: number; pid: number }): Promise<Row[]> {
  const streams = () =>
    measureServed(port, STREAMS, WINDOW, [{ ...ENDLESS, prompt: 'One day, Tom', max_tokens: 150 }]);
  await streams(); // the first round warms both processes
  const without = await streams();
  const before = residentMb(pid);
  const sockets: WebSocket[] = [];
  for (let i = 0; i < IDLE; i++) {
    const ws = new WebSocket(`ws://127.0.0.1:${port}/v1/chat/completions`);
    await once(ws, 'open');
    sockets.push(ws);
  }
  const held = residentMb(pid);
  const beside = await streams();
  for (const ws of sockets) ws.terminate();
  const again = await streams();
  const p99 = [without, beside, again].map(({ itl }) => itl.p99.toFixed(2));
  return [
    [
      `memory of ${IDLE} idle WebSockets, HTTP process`,
      `${before.toFixed(0)} to ${held.toFixed(0)} MB (${((1024 * (held - before)) / IDLE).toFixed(0)} KB each)`,
      'stated',
    ],
    [
      `inter-token p99 of ${STREAMS} streams without, beside and again without them`,
      `${p99.join(' / ')} ms`,
      'within 10 %',
    ],
  ];
}
