/** Requests of OpenAI's Python SDK 2.54.0, as it sent them (test/data/python_sdk.jsonl), headers and all. */

import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import { expect, test } from 'vitest';
import { served } from '../fakes/server.ts';
import type { Json, Served } from '../fakes/server.ts';

interface Recorded {
  readonly method: string;
  readonly path: string;
  readonly headers: Record<string, string>;
  readonly body: string;
}

const recorded = readFileSync(new URL('../data/python_sdk.jsonl', import.meta.url), 'utf8')
  .trimEnd()
  .split('\n')
  .map((line) => JSON.parse(line) as Recorded);

interface Answered {
  readonly status: number;
  readonly text: string;
  readonly requestId: unknown;
}

/** As recorded: fetch would put headers of its own beside them. */
function replay({ port }: Served, { method, path, headers, body }: Recorded): Promise<Answered> {
  return new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', port, method, path, headers }, (res) => {
      let text = '';
      res.setEncoding('utf8').on('data', (piece: string) => (text += piece));
      res.on('end', () => {
        const requestId = res.headers['x-request-id'];
        resolve({ status: res.statusCode ?? 0, text, requestId });
      });
    });
    asked.on('error', reject).end(body);
  });
}

const GONE = new Set(['/v1/responses/resp_x']);

test.each(recorded)('$method $path $body', async (one) => {
  await using server = await served();
  const { status, text, requestId } = await replay(server, one);
  expect(status, text).toBe(GONE.has(one.path) ? 404 : 200);
  expect(requestId).toBe(one.headers['x-request-id'] ?? requestId);
  if (one.method !== 'POST') return;
  const asked = JSON.parse(one.body) as Json;
  expect(
    text.startsWith(asked['stream'] === true ? 'data: ' : '{') || text.startsWith('event: '),
  ).toBe(true);
  const { opening } = server.inference.plans[0]!;
  const guided = one.body.includes('alignment');
  expect(opening.guidance.uses.map(({ weight }) => weight)).toEqual(guided ? [0.5] : []);
  expect(opening.maxTokens).toBe(
    asked['max_tokens'] ?? asked['max_completion_tokens'] ?? asked['max_output_tokens'],
  );
  expect(opening.rule === null).toBe(!one.body.includes('json_schema'));
});

test('every kind of request was recorded', () => {
  expect(new Set(recorded.map(({ path }) => path)).size).toBe(6);
  expect(recorded).toHaveLength(16);
});
