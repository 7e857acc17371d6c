/** A server that computes a reward, or misbehaves, on a real port; and the reward that asks it. */

import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Reward } from '../../src/core/reward.ts';
import { httpReward } from '../../src/rewards/http.ts';
import type { HttpReward } from '../../src/rewards/http.ts';
import { PostFailure, postTo } from '../../src/runtime/post.ts';
import type { Address } from '../../src/runtime/post.ts';

export interface Item {
  readonly prompt: string;
  readonly messages?: unknown;
  readonly text: string;
  readonly complete: boolean;
}

export interface Asked {
  readonly headers: IncomingMessage['headers'];
  readonly items: readonly Item[];
  readonly bytes: number;
}

export interface Remote extends AsyncDisposable {
  readonly url: string;
  readonly asked: Asked[];
  /** Answers what comes next; the call's number counts from 0. */
  answer: (res: ServerResponse, asked: Asked, call: number) => void;
}

export const json = (res: ServerResponse, value: unknown, status = 200): void => {
  res.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
};

/** The score of a text is its length. */
export const honest = (res: ServerResponse, { items }: Asked): void =>
  json(res, { scores: items.map(({ text }) => text.length) });

export async function remote(answer: Remote['answer'] = honest): Promise<Remote> {
  const asked: Asked[] = [];
  const http = createServer((req, res) => {
    const pieces: Buffer[] = [];
    req.on('data', (piece: Buffer) => pieces.push(piece));
    req.on('end', () => {
      const body = Buffer.concat(pieces);
      const { items } = JSON.parse(body.toString()) as { items: Item[] };
      const one = { headers: req.headers, items, bytes: body.length };
      asked.push(one);
      served.answer(res, one, asked.length - 1);
    });
  });
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  const served: Remote = {
    url: `http://127.0.0.1:${(http.address() as AddressInfo).port}/score`,
    asked,
    answer,
    async [Symbol.asyncDispose]() {
      http.closeAllConnections();
      await new Promise((resolve) => http.close(resolve));
    },
  };
  return served;
}

export function asking(url: string, changes: Partial<HttpReward & Address> = {}): Reward {
  const { headers = {}, timeoutMs = 20_000, responseBytes = 4096, ...rest } = changes;
  return httpReward({
    name: 'taste',
    reads: 'prefix',
    post: postTo({ url, headers, timeoutMs, responseBytes }),
    passing: (error) => error instanceof PostFailure && error.passing,
    retries: 0,
    batch: 32,
    requestBytes: 4096,
    inFlight: 4,
    queue: 64,
    failures: 100,
    halfOpenMs: 60_000,
    now: () => performance.now(),
    ...rest,
  });
}
