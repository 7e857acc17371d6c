import { expect, test } from 'vitest';
import { hashKey } from '../../src/ops/keys.ts';
import { Client, served } from '../fakes/server.ts';

const APP = 'https://app.example';
const preflight = {
  'access-control-request-method': 'POST',
  'access-control-request-headers': 'authorization, content-type, x-stainless-os',
};

const cors = ({ headers }: Response): [string | null, string | null] => [
  headers.get('access-control-allow-origin'),
  headers.get('vary'),
];

test('pages of listed origins may call, and others are told nothing', async () => {
  await using server = await served({ origins: [APP] });
  const from = (origin: string) => fetch(`${server.base}/v1/models`, { headers: { origin } });
  expect(cors(await from(APP))).toEqual([APP, 'Origin']);
  expect((await from(APP)).headers.get('access-control-expose-headers')).toContain('retry-after');
  for (const other of ['https://evil.example', 'https://app.example.evil.example', 'null'])
    expect(cors(await from(other))).toEqual([null, 'Origin']);
});

test('a preflight is answered without a key, for listed origins only', async () => {
  const keys = { a: { sha256: hashKey('secret') } };
  await using server = await served({ origins: [APP], keys });
  const asks = (origin: string) =>
    fetch(`${server.base}/v1/completions`, {
      method: 'OPTIONS',
      headers: { origin, ...preflight },
    });
  const answer = await asks(APP);
  expect([answer.status, ...cors(answer)]).toEqual([204, APP, 'Origin']);
  expect(answer.headers.get('access-control-allow-methods')).toContain('POST');
  expect(answer.headers.get('access-control-allow-headers')).toContain('x-stainless-os');
  const other = await asks('https://evil.example');
  expect([other.status, ...cors(other)]).toEqual([401, null, 'Origin']);
});

test('every answer is inert in a browser', async () => {
  await using server = await served();
  for (const path of ['/health', '/v1/models', '/nope', '/metrics']) {
    const { headers } = await fetch(server.base + path);
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect(headers.get('content-security-policy')).toContain("default-src 'none'");
    expect(headers.get('x-powered-by')).toBeNull();
  }
});

test('a WebSocket may come from no page but this server’s own and those listed', async () => {
  await using server = await served({ origins: [APP] });
  const from = (origin: string) => new Client(server.port, undefined, { origin });
  for (const origin of [APP, `http://127.0.0.1:${server.port}`]) {
    await using client = await from(origin).open();
    expect(client.closed).toBe(false);
  }
  for (const origin of ['https://evil.example', 'null', 'http://127.0.0.1:1'])
    await expect(from(origin).open()).rejects.toThrow('403');
});
