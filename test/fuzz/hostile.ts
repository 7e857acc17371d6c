/** What no client should send: values JavaScript cannot write, hostile sizes and shapes, and bytes that are no JSON. */

import type { Chance } from './chance.ts';

/** JSON, or what passes for it, that stands in a body as it is. */
export class Raw {
  readonly json: string;
  constructor(json: string) {
    this.json = json;
  }
}

/** As JSON.stringify, but for Raw. */
export function write(value: unknown): string {
  if (value instanceof Raw) return value.json;
  if (Array.isArray(value)) return `[${value.map((item) => write(item ?? null)).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value ?? null);
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  return `{${members.map(([key, member]) => `${JSON.stringify(key)}:${write(member)}`).join(',')}}`;
}

const nested = (open: string, close: string, depth: number) =>
  new Raw(open.repeat(depth) + close.repeat(depth));

const NUMBERS = [
  '1e309',
  '-1e309',
  '-0',
  '9007199254740993',
  '1e-400',
  '0.1',
  '-1',
  '0',
  '65537',
  '1e15',
  'NaN',
  'Infinity',
  '-Infinity',
  '0x10',
  '01',
  '+1',
  '.5',
  '2147483648',
  '4294967296.5',
].map((json) => new Raw(json));

const STRINGS = [
  ...['"\\ud800"', '"\\udfff x"', '"a\\u0000b"', '"\\ufeff"', '"\\u202e"'].map((s) => new Raw(s)),
  '',
  ' ',
  '__proto__',
  'constructor',
  'toString',
  '<|yes|>',
  '<|endoftext|>',
  '</s>',
  '🙂👩‍👩‍👧',
  'tales',
  'rm-happy-a',
  'arm-happy',
  '../../etc/passwd',
  'http://127.0.0.1/',
  '1',
  'null',
  'a'.repeat(257),
  'é'.repeat(2000),
  '\n'.repeat(500),
  '(a+)+$',
  '[',
  '(?=a)',
  'a{1,99999}',
];

const SHAPES = [
  null,
  true,
  false,
  [],
  {},
  [[]],
  [null],
  [{}],
  { type: {} },
  { '': '' },
  new Raw('{"__proto__":{"n":9},"constructor":{"prototype":{}}}'),
  new Raw('{"type":"beam","type":"mcts"}'),
  nested('[', ']', 2000),
  new Raw(`${'{"a":'.repeat(2000)}1${'}'.repeat(2000)}`),
  Array.from({ length: 3000 }, (_, i) => i),
  Array.from({ length: 400 }, () => 'a'),
  Object.fromEntries(Array.from({ length: 1500 }, (_, i) => [`${i}`, 1])),
];

/** One value that hardly fits anywhere. */
export const hostile = (chance: Chance): unknown => {
  const kind: readonly unknown[] = chance.pick([NUMBERS, NUMBERS, STRINGS, SHAPES]);
  return copied(chance.pick(kind));
};

/** What is drawn may be spoilt further: no later case may see that. */
function copied(value: unknown): unknown {
  if (value instanceof Raw || typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(copied);
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, copied(member)]));
}

/** Changes a random place within a value, in place: replaced, removed, or given a member it should not have. */
export function spoil(root: object, chance: Chance): void {
  let at = root as Record<string, unknown>;
  for (;;) {
    const keys = Object.keys(at);
    const key = keys.length > 0 ? chance.pick(keys) : 'n';
    const inner = at[key];
    const deeper = typeof inner === 'object' && inner !== null && !(inner instanceof Raw);
    if (deeper && chance.is(0.7)) {
      at = inner as Record<string, unknown>;
      continue;
    }
    const gone = chance.is(0.1);
    if (gone) delete at[key];
    else if (chance.is(0.1))
      at[chance.pick(['x', 'weight', 'type', 'n', 'seed', ''])] = hostile(chance);
    else at[key] = hostile(chance);
    return;
  }
}

/** A body as it goes over the wire. */
export interface Sent {
  readonly bytes: Buffer;
  readonly headers: Readonly<Record<string, string>>;
}

export const JSON_TYPE = { 'content-type': 'application/json' };

/** Spoils a body's bytes or headers, in one of the ways that come before any schema. */
export function spoilBytes(json: string, chance: Chance): Sent {
  const bytes = Buffer.from(json);
  const cut = chance.integer(0, bytes.length);
  const as = (changed: Buffer | string, headers: Sent['headers'] = JSON_TYPE): Sent => ({
    bytes: Buffer.from(changed),
    headers,
  });
  const ways: readonly (() => Sent)[] = [
    () => as(bytes.subarray(0, cut)),
    () => as(''),
    () => as(`\ufeff${json}`),
    () =>
      as(Buffer.concat([bytes.subarray(0, cut), Buffer.from([0xc0, 0xaf]), bytes.subarray(cut)])),
    () => as(Buffer.concat([bytes.subarray(0, cut), Buffer.alloc(3), bytes.subarray(cut)])),
    () => as(json + json),
    () => as(Buffer.from(json, 'utf16le')),
    () =>
      as(
        chance.pick(['null', '[]', '"prompt"', '7', 'true', '[{}]', '{}', 'undefined', "{'a':1}"]),
      ),
    () => as(json.replace(/^\{/, '{"model":7,"__proto__":{"model":"tales"},')),
    () => as(json.replace(/\}$/, ',"max_tokens":2,"n":1,"n":2}')),
    () => as('['.repeat(50_000)),
    () => as(`${'['.repeat(30_000)}${']'.repeat(30_000)}`),
    () => as(json.replace(/^\{/, `{"x":"${'y'.repeat(70_000)}",`)),
    () => as(json, {}),
    () =>
      as(json, {
        'content-type': chance.pick([
          'text/plain',
          'application/jsonp',
          ';',
          'multipart/form-data; boundary=x',
        ]),
      }),
    () =>
      as(json, { ...JSON_TYPE, 'content-encoding': chance.pick(['gzip', 'br', 'identity', 'x']) }),
    () => as(json, { ...JSON_TYPE, 'x-request-id': 'é'.repeat(300), 'x-long': 'h'.repeat(4000) }),
    () => as(json, { ...JSON_TYPE, expect: '100-continue' }),
  ];
  return chance.pick(ways)();
}
