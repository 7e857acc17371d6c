/** Readers that stop reading, over WebSocket and SSE: what waits for them, when they are closed, and what their neighbours feel. */

import { once } from 'node:events';
import { connect } from 'node:net';
import { WebSocket } from 'ws';
import { measureServed } from '../../bench/served.ts';
import { figure } from '../../support/watch.ts';
import { ENDLESS, quantile, type Row } from './ask.ts';

/** Some 40 MB: more than kernels buffer. */
const LARGE = {
  ...ENDLESS,
  prompt: 'One day, Tom',
  n: 32,
  max_tokens: 300,
  logprobs: 20,
  stream: true,
};
const NEIGHBOURS = 8;
const WINDOW = { warmMs: 1000, windowMs: 6000 };
/** Windows before, while and after somebody stands still; three fit into the 30 s that this may last. */
const [BEFORE, BESIDE, AFTER] = [2, 3, 2];
const LOOK_MS = 500;

export async function slowReaders({ port, base }: { port: number; base: string }): Promise<Row[]> {
  const rows: Row[] = [];
  for (const [name, open] of Object.entries({ WebSocket: stoppedSocket, SSE: stoppedSse })) {
    const closed = await figure(base, 'ws_slow_closed_total');
    const alone = await windows(port, base, BEFORE);
    const began = performance.now();
    const leave = await open(port);
    await still(base); // what it takes to fill its buffers is a request like any other
    const ended = untilClosed(base, closed);
    const beside = await windows(port, base, BESIDE);
    const { at, stuck, buffered } = await ended;
    leave();
    alone.push(...(await windows(port, base, AFTER)));
    const seconds = (at - (stuck ?? began)) / 1000;
    rows.push(
      [
        `a ${name} reader that stops: closed after`,
        `${seconds.toFixed(1)} s${name === 'WebSocket' ? `; ${(Math.max(...buffered) / 1024).toFixed(0)} KB waited for it at most (p50 ${(quantile(buffered, 0.5) / 1024).toFixed(0)})` : ' (from its request on)'}`,
        '30 s; 1 MB',
      ],
      [
        `inter-token p99 of ${NEIGHBOURS} neighbours, alone and beside it: medians of ${BEFORE + AFTER} and ${BESIDE} windows (least, most)`,
        `${inMs(alone)} / ${inMs(beside)} ms`,
        'within 10 %',
      ],
    );
  }
  return rows;
}

/** The neighbours' p99, in milliseconds, of so many windows in turn, while the page of metrics is looked at as it always is here. */
async function windows(port: number, base: string, n: number): Promise<number[]> {
  let over = false;
  const looking = (async () => {
    while (!over) {
      await figure(base, 'ws_buffered_bytes');
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  })();
  const body = { ...ENDLESS, prompt: 'One day, Lily', max_tokens: 150 };
  const p99: number[] = [];
  for (let i = 0; i < n; i++)
    p99.push((await measureServed(port, NEIGHBOURS, WINDOW, [body])).itl.p99);
  over = true;
  await looking;
  return p99;
}

const inMs = (values: readonly number[]): string => {
  const [least, middle, most] = [0, 0.5, 1].map((q) => quantile(values, q).toFixed(2));
  return `${middle} (${least}, ${most})`;
};

/** When the server has closed one more that was slow, when bytes first waited for it, and how many did at each look. */
async function untilClosed(base: string, closed: number) {
  const buffered: number[] = [];
  let stuck: number | null = null;
  while ((await figure(base, 'ws_slow_closed_total')) === closed) {
    buffered.push(await figure(base, 'ws_buffered_bytes'));
    if (stuck === null && (buffered.at(-1) ?? 0) > 0) stuck = performance.now();
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS)); // the page itself takes milliseconds
  }
  return { at: performance.now(), stuck, buffered };
}

/** Resolves once nothing is generated any more: the reader that stopped holds its request up. */
async function still(base: string): Promise<void> {
  for (let before = -1, now = 0; before !== now;) {
    before = await figure(base, 'iterations_total');
    await new Promise((resolve) => setTimeout(resolve, 300));
    now = await figure(base, 'iterations_total');
  }
}

async function stoppedSocket(port: number): Promise<() => void> {
  const ws = new WebSocket(`ws://127.0.0.1:${port}/v1/completions`);
  await once(ws, 'open');
  const { stream: _, ...body } = LARGE;
  ws.send(JSON.stringify({ type: 'completion.create', id: 'slow', ...body }));
  await once(ws, 'message');
  ws.pause();
  ws.on('error', () => undefined);
  return () => ws.terminate();
}

async function stoppedSse(port: number): Promise<() => void> {
  const body = JSON.stringify(LARGE);
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  socket.write(
    `POST /v1/completions HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
  await once(socket, 'readable');
  return () => socket.destroy();
}
