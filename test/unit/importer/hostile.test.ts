/**
 * Checkpoints that are damaged or hostile, imported as a user would: each is refused with the file at fault and the
 * reason, the model that stood there before is still what it was, and nothing half-written is beside it.
 */

import {
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { importModel } from '../../../src/importer/import.ts';
import { repeatedKey } from '../../../src/importer/repeated_key.ts';
import { randomCheckpoint } from './checkpoint.ts';

const WEIGHTS = 'model.safetensors';
const INDEX = 'model.safetensors.index.json';
const NORM = 'model.norm.weight';

type Header = Record<string, { dtype: string; shape: number[]; data_offsets: [number, number] }>;

const parts = (folder: string) => {
  const bytes = readFileSync(join(folder, WEIGHTS));
  const length = Number(bytes.readBigUInt64LE());
  const text = bytes.subarray(8, 8 + length).toString();
  return { text, header: JSON.parse(text) as Header, data: bytes.subarray(8 + length) };
};

function write(folder: string, header: string, data: Uint8Array): void {
  const text = Buffer.from(header);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  writeFileSync(join(folder, WEIGHTS), Buffer.concat([length, text, data]));
}

/** Changes an entry of the header, or the data. */
const lie =
  (change: (header: Header, data: Buffer) => void) =>
  (folder: string): void => {
    const { header, data } = parts(folder);
    change(header, data);
    write(folder, JSON.stringify(header), data);
  };

const rewrite =
  (name: string, change: (json: Record<string, unknown>) => void) =>
  (folder: string): void => {
    const path = join(folder, name);
    const json = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
    change(json);
    writeFileSync(path, JSON.stringify(json));
  };

/** The weights as a shard, and an index that says where they are; `also` adds to it. */
const shard =
  (also: (map: Record<string, string>, folder: string) => string | undefined) =>
  (folder: string): void => {
    const one = 'model-00001-of-00002.safetensors';
    const { header } = parts(folder);
    renameSync(join(folder, WEIGHTS), join(folder, one));
    const map = Object.fromEntries(
      Object.keys(header)
        .filter((name) => name !== '__metadata__')
        .map((name): [string, string] => [name, one]),
    );
    const text = also(map, folder) ?? JSON.stringify({ weight_map: map });
    writeFileSync(join(folder, INDEX), text);
  };

const CASES: readonly (readonly [what: string, harm: (folder: string) => void, said: RegExp])[] = [
  [
    'truncated weights',
    (folder) => {
      const { text, data } = parts(folder);
      write(folder, text, data.subarray(0, data.length - 4));
    },
    /model\.safetensors: tensor .* lies at \d+ to \d+; the file holds \d+ bytes/,
  ],
  [
    'a header that is larger than the file',
    (folder) => {
      const bytes = readFileSync(join(folder, WEIGHTS));
      bytes.writeBigUInt64LE(2n ** 40n);
      writeFileSync(join(folder, WEIGHTS), bytes);
    },
    /model\.safetensors announces a header of 1099511627776 bytes/,
  ],
  [
    'overlapping tensors',
    lie((header) => {
      const { data_offsets } = header[NORM]!;
      header[NORM]!.data_offsets = [data_offsets[0] - 4, data_offsets[1] - 4];
    }),
    /model\.safetensors: tensor model\.norm\.weight lies at .* overlaps the one before it/,
  ],
  [
    'a tensor listed twice',
    (folder) => {
      const { text, header, data } = parts(folder);
      const again = `${JSON.stringify(NORM)}:${JSON.stringify(header[NORM])}`;
      write(folder, `{${again},${text.slice(1)}`, data);
    },
    /model\.safetensors: its header lists model\.norm\.weight twice/,
  ],
  [
    'a tensor without values',
    lie((header) => {
      header['model.extra'] = { dtype: 'F32', shape: [0, 64], data_offsets: [0, 0] };
    }),
    /tensor model\.extra has no place in a Llama/,
  ],
  [
    'a weight without values',
    lie((header) => {
      const { data_offsets } = header[NORM]!;
      header['model.pad'] = { ...header[NORM]!, data_offsets };
      header[NORM] = { dtype: 'F32', shape: [0], data_offsets: [0, 0] };
    }),
    /tensor model\.norm\.weight is \[0\]; the config asks for \[64\]/,
  ],
  [
    'a shape whose product no number holds',
    lie((header) => (header[NORM]!.shape = [2 ** 40, 2 ** 40])),
    /model\.safetensors: tensor model\.norm\.weight spans 256 bytes; F32 \[1099511627776, 1099511627776\] takes/,
  ],
  [
    'offsets beyond exact numbers',
    lie((header) => (header[NORM]!.data_offsets = [2 ** 60, 2 ** 60 + 256])),
    /model\.safetensors: tensor model\.norm\.weight has no data_offsets/,
  ],
  [
    'whole numbers as weights',
    lie((header) => Object.assign(header[NORM]!, { dtype: 'I32' })),
    /model\.safetensors: tensor model\.norm\.weight is stored as I32; weights are F32, F16, BF16/,
  ],
  [
    'a weight that is no number',
    lie((_, data) => data.writeFloatLE(NaN, data.length - 4)),
    /model\.safetensors: tensor .* holds NaN at value \d+/,
  ],
  [
    'a shard that is missing',
    shard((map) => void (map[NORM] = 'model-00002-of-00002.safetensors')),
    /has no model-00002-of-00002\.safetensors/,
  ],
  [
    'a shard outside the folder',
    shard((map) => void (map[NORM] = '../model.safetensors')),
    /index\.json: tensor model\.norm\.weight is in "\.\.\/model\.safetensors"; a shard is a \.safetensors file beside/,
  ],
  [
    'a shard that is a link',
    shard((map, folder) => {
      const name = 'model-00002-of-00002.safetensors';
      symlinkSync(join(folder, Object.values(map)[0]!), join(folder, name));
      map[NORM] = name;
      return undefined;
    }),
    /model-00002-of-00002\.safetensors is a link/,
  ],
  [
    'an index that is a link',
    (folder) => {
      shard(() => undefined)(folder);
      renameSync(join(folder, INDEX), join(folder, 'elsewhere.json'));
      symlinkSync(join(folder, 'elsewhere.json'), join(folder, INDEX));
    },
    /index\.json is a link/,
  ],
  [
    'an index that names a tensor twice',
    shard((map) => {
      const again = `${JSON.stringify(NORM)}:"model-00002-of-00002.safetensors",`;
      return `{"weight_map":{${again}${JSON.stringify(map).slice(1)}}`;
    }),
    /model\.safetensors\.index\.json says model\.norm\.weight twice/,
  ],
  [
    'a tensor in two shards',
    shard((map, folder) => {
      const [one] = Object.values(map);
      writeFileSync(
        join(folder, 'model-00002-of-00002.safetensors'),
        readFileSync(join(folder, one!)),
      );
      map[NORM] = 'model-00002-of-00002.safetensors';
      return undefined;
    }),
    /model-0000\d-of-00002\.safetensors holds tensor .*; model\.safetensors\.index\.json does not say so/,
  ],
  [
    'a tokenizer with more tokens than the embedding',
    rewrite('tokenizer.json', (json) => {
      json['added_tokens'] = [{ id: 4000, content: '<|more|>', special: true }];
    }),
    /tokenizer\.json has token id 4000; the model has 320 tokens/,
  ],
  [
    'a template that loops',
    rewrite('tokenizer_config.json', (json) => {
      json['chat_template'] =
        '{% for i in range(9999) %}{% for j in range(9999) %}{% endfor %}{% endfor %}';
    }),
    /tokenizer_config\.json: .*ran for more than 1000 ms/,
  ],
  [
    'a template that is a link',
    (folder) => {
      writeFileSync(join(folder, 'elsewhere'), 'x');
      symlinkSync(join(folder, 'elsewhere'), join(folder, 'chat_template.jinja'));
    },
    /chat_template\.jinja is a link/,
  ],
  [
    'a rope of an unknown type',
    rewrite('config.json', (json) => (json['rope_scaling'] = { rope_type: 'mystic', factor: 2 })),
    /config\.json: rope_scaling: rope_type is "mystic"/,
  ],
  [
    'an architecture of its own code',
    rewrite('config.json', (json) =>
      Object.assign(json, {
        architectures: ['MyLlama'],
        auto_map: { AutoModelForCausalLM: 'modeling.MyLlama' },
      }),
    ),
    /config\.json: architectures is \["MyLlama"\]/,
  ],
  [
    'a config that says a field twice',
    (folder) => {
      const path = join(folder, 'config.json');
      writeFileSync(path, `{"hidden_size":32,${readFileSync(path, 'utf8').slice(1)}`);
    },
    /config\.json says hidden_size twice/,
  ],
];

test.each(CASES)('%s: refused with file and reason, and nothing is left', (_, harm, said) => {
  const { folder: from } = randomCheckpoint();
  const models = join(from, 'models');
  const options = { from, to: join(models, 'tiny'), role: 'policy', created: 1 } as const;
  importModel(options);
  const before = readFileSync(join(models, 'tiny', 'manifest.json'), 'utf8');
  harm(from);
  expect(() => importModel({ ...options, force: true })).toThrow(said);
  expect(readFileSync(join(models, 'tiny', 'manifest.json'), 'utf8')).toBe(before);
  expect(readdirSync(models)).toEqual(['tiny']);
  rmSync(models, { recursive: true });
  expect(() => importModel(options)).toThrow(said);
  mkdirSync(models, { recursive: true });
  expect(readdirSync(models)).toEqual([]);
});

test('code that a checkpoint brings is neither run nor copied: a known architecture is its definition', () => {
  const { folder: from } = randomCheckpoint();
  rewrite('config.json', (json) => {
    json['auto_map'] = { AutoModelForCausalLM: 'modeling.LlamaForCausalLM' };
  })(from);
  writeFileSync(join(from, 'modeling.py'), 'raise SystemExit("it ran")');
  const to = join(from, 'models', 'tiny');
  const { files } = importModel({ from, to, role: 'policy', created: 1 });
  expect(Object.keys(files)).not.toContain('modeling.py');
  expect(readdirSync(to).filter((name) => name.endsWith('.py'))).toEqual([]);
});

test('a key that is said twice is found at any depth, however it is written', () => {
  expect(repeatedKey('{"a":1,"b":{"a":2,"c":[{"d":1},{"d":2}]}}')).toBe(null);
  expect(repeatedKey('{"a":1,"b":{"c":2,"c" : 3}}')).toBe('c');
  expect(repeatedKey('{"a":"\\"b\\":1","\\u0061":{}}')).toBe('a');
  expect(repeatedKey('["a","a"]')).toBe(null);
});
