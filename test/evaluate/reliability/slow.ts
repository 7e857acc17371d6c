/** Readers that stop reading, over WebSocket and SSE: what waits for them, when they are closed, and what their neighbours feel. */

import { once } from 'node:events';
import { connect } from 'node:net';
import { WebSocket } from 'ws';
import { measureServed } from '../../bench/served.ts';
import { figure, figures } from '../../support/watch.ts';
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
const BODY = { ...ENDLESS, prompt: 'One day, Lily', max_tokens: 150 };
const WINDOW = { warmMs: 1000, windowMs: 6000 };
/** Times that neighbours are measured beside each of two readers that stop, with a window alone before and after. */
const ROUNDS = 2;
/** Windows beside one that stands still: they fit into the 30 s that this may last. */
const BESIDE = 3;
const LOOK_MS = 500;

export async function slowReaders({ port, base }: { port: number; base: string }): Promise<Row[]> {
  const rows: Row[] = [];
  for (const [name, open] of Object.entries({ WebSocket: stoppedSocket, SSE: stoppedSse })) {
    const alone: number[] = [];
    const beside: number[] = [];
    const closed: { readonly seconds: number; readonly buffered: readonly number[] }[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      await using looker = new Looker(base);
      alone.push(await neighbours(port), await neighbours(port));
      const began = performance.now();
      const gone = looker.untilClosed();
      const leave = await open(port);
      await still(base); // what it takes to fill its buffers is a request like any other
      for (let i = 0; i < BESIDE; i++) beside.push(await neighbours(port));
      const { at, stuck, buffered } = await gone;
      closed.push({ seconds: (at - (stuck ?? began)) / 1000, buffered });
      leave();
      alone.push(await neighbours(port));
    }
    const most = Math.max(...closed.map(({ seconds }) => seconds));
    const buffered = closed.flatMap((each) => each.buffered);
    const waited = `; ${(Math.max(...buffered) / 1024).toFixed(0)} KB waited for it at most (p50 ${(quantile(buffered, 0.5) / 1024).toFixed(0)})`;
    rows.push(
      [
        `a ${name} reader that stops, ${ROUNDS} times: closed after at most`,
        `${most.toFixed(1)} s${name === 'WebSocket' ? waited : ' (from its request on)'}`,
        '30 s; 1 MB',
      ],
      [
        `inter-token p99 of ${NEIGHBOURS} neighbours, alone and beside it: medians of ${alone.length} and ${beside.length} windows (least, most)`,
        `${inMs(alone)} / ${inMs(beside)} ms`,
        'within 10 %',
      ],
    );
  }
  return rows;
}

/** The neighbours' p99 in one window, in milliseconds. */
const neighbours = async (port: number): Promise<number> =>
  (await measureServed(port, NEIGHBOURS, WINDOW, [BODY])).itl.p99;

const inMs = (values: readonly number[]): string => {
  const [least, middle, most] = [0, 0.5, 1].map((q) => quantile(values, q).toFixed(2));
  return `${middle} (${least}, ${most})`;
};

interface Closing {
  /** When the server had closed one more that was slow. */
  readonly at: number;
  /** When bytes first waited for it; null: none was seen to. */
  readonly stuck: number | null;
  /** Bytes that waited at each look. */
  readonly buffered: readonly number[];
}

/** Reads the page of metrics at a steady pace, whoever else is there: it takes milliseconds that all windows have in common. */
class Looker implements AsyncDisposable {
  readonly #looking: Promise<void>;
  #onLook: (closed: number, buffered: number) => void = () => undefined;
  #over = false;

  constructor(base: string) {
    this.#looking = this.#look(base);
  }

  /** From here on until the server closes one more that is slow. */
  untilClosed(): Promise<Closing> {
    const buffered: number[] = [];
    let [first, stuck]: (number | null)[] = [null, null];
    return new Promise((resolve) => {
      this.#onLook = (closed, waiting) => {
        first ??= closed;
        buffered.push(waiting);
        if (waiting > 0) stuck ??= performance.now();
        if (closed > first) resolve({ at: performance.now(), stuck: stuck ?? null, buffered });
      };
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#over = true;
    await this.#looking;
  }

  async #look(base: string): Promise<void> {
    while (!this.#over) {
      const told = await figures(base);
      this.#onLook(told('ws_slow_closed_total'), told('ws_buffered_bytes'));
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  }
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
