/** What the log holds, and what it never does. */

import { request } from 'node:http';
import { expect, test } from 'vitest';
import { createLog, type LogLevel } from '../../src/ops/log.ts';
import { hashKey } from '../../src/ops/keys.ts';
import { Client, served } from '../fakes/server.ts';
import type { Json } from '../fakes/server.ts';

const SECRETS = [
  'sk-hidden-key',
  'sk-other-key',
  'secret prompt',
  'secret stop',
  'secret internals',
];

/** All that is logged while everything goes wrong that can. */
async function logged(level: LogLevel, settings: { log_prompts?: boolean } = {}): Promise<string> {
  let text = '';
  const log = createLog(level, { write: (line: string) => void (text += line) });
  const keys = { team: { sha256: hashKey('sk-hidden-key') } };
  await using server = await served({ keys, ...settings }, log);
  const post = (path: string, body: object, key = 'sk-hidden-key') =>
    server.post(path, body, {
      headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` },
    });
  const body = { model: 'tales', prompt: 'secret prompt', stop: ['secret stop'], max_tokens: 9 };
  const messages = [{ role: 'user', content: 'secret prompt' }];
  await post('/v1/completions', body);
  await post('/v1/completions', { ...body, stream: true }).then((answer) => answer.text());
  await post('/v1/completions', { ...body, prompt: 'secret prompt!fail' });
  await post('/v1/completions', { ...body, temperature: 'secret prompt' });
  await post('/v1/completions', body, 'sk-other-key');
  await post('/v1/chat/completions', { messages, max_tokens: 3 });
  await post('/v1/score', { model: 'rm-happy-a', queries: 'secret prompt', documents: '!fail' });
  await post('/tokenize', { prompt: 'secret prompt' });
  await fetch(`${server.base}/v1/models/secret%20prompt?key=sk-hidden-key`);
  const protocols = ['coxswain', 'openai-insecure-api-key.sk-hidden-key'];
  await using client = await new Client(server.port, undefined, { protocols }).open();
  client.ws.send('secret prompt');
  client.send({ type: 'completion.create', id: 'a', ...body });
  await client.until((frames) => frames.some(({ id, type }) => id === 'a' && type === 'done'));
  await new Promise((resolve) => {
    const broken = request({ port: server.port, path: '/v1/completions', method: 'POST' });
    broken.on('error', resolve).on('close', resolve).write('secret prompt');
    broken.destroy();
  });
  return text;
}

test.each(['debug', 'info', 'warn', 'error'] as const)(
  'no prompt and no key is in it at level %s',
  async (level) => {
    const text = await logged(level);
    for (const secret of SECRETS.slice(0, 4)) expect(text).not.toContain(secret);
    if (level === 'debug' || level === 'info') expect(text).toContain('"key":"team"');
  },
);

test('prompts are in it where the config asks for them; keys are not', async () => {
  const text = await logged('info', { log_prompts: true });
  expect(text).toContain('secret prompt');
  for (const key of SECRETS.slice(0, 2)) expect(text).not.toContain(key);
});

test('each request is one JSON line with its id, its end and its figures', async () => {
  const lines = (await logged('info')).trim().split('\n');
  const requests = lines
    .map((line) => JSON.parse(line) as Json)
    .filter(({ msg }) => msg === 'request');
  expect(requests[0]).toMatchObject({
    level: 'info',
    request: expect.stringMatching(/^req_/) as string,
    key: 'team',
    endpoint: '/v1/completions',
    code: 'ok',
    promptTokens: expect.any(Number) as number,
    completionTokens: 9,
  });
  expect(requests.map(({ code }) => code as string)).toContain('invalid_value');
  expect(requests.map(({ endpoint }) => endpoint as string)).toContain('/tokenize');
});

test('what goes wrong inside is not told to clients', async () => {
  await using server = await served();
  const body = { model: 'tales', prompt: '!fail', max_tokens: 9 };
  const response = await server.post('/v1/completions', body);
  expect(response.status).toBe(500);
  const text = await response.text();
  expect(text).not.toContain('secret internals');
  expect(text).toContain(response.headers.get('x-request-id') ?? 'no id');
});
