/** Chat templates in the idioms of the common models, and templates that do not come to an end. */

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { ChatMessage } from '../../../../src/core/text.ts';
import { loadCodec } from '../../../../src/runtime/text/tokenizer.ts';
import { byteLevelBpe } from '../../../fakes/tokenizers.ts';
import { temporaryFolder } from '../../importer/checkpoint.ts';

/** A byte-level tokenizer with these special tokens; the first begins a text, the second ends one. */
function codecOf(
  template: unknown,
  special: readonly string[] = ['<|begin|>', '<|end|>'],
  file?: string,
) {
  const { tokenizer, config } = byteLevelBpe();
  const vocab = (tokenizer['model'] as { vocab: Record<string, number> }).vocab;
  const first = Object.keys(vocab).length;
  const added = special.map((content, i) => ({
    id: first + i,
    content,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: true,
  }));
  const folder = join(temporaryFolder(), 'model');
  mkdirSync(folder);
  const json = (name: string, value: unknown) =>
    writeFileSync(join(folder, name), JSON.stringify(value));
  json('tokenizer.json', { ...tokenizer, added_tokens: added });
  const [bos_token, eos_token] = special;
  json('tokenizer_config.json', { ...config, bos_token, eos_token, chat_template: template });
  if (file !== undefined) writeFileSync(join(folder, 'chat_template.jinja'), file);
  return loadCodec(folder);
}

const SYSTEM: ChatMessage = { role: 'system', content: 'Be brief.' };
const TALK: readonly ChatMessage[] = [
  { role: 'user', content: 'Hi!' },
  { role: 'assistant', content: 'Hello.' },
  { role: 'user', content: 'Why?' },
];

const LLAMA3 = `{{- bos_token }}
{%- for message in messages %}
    {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' + message['content'] | trim + '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}`;

const MISTRAL = `{%- if messages[0]["role"] == "system" %}
    {%- set opening = messages[0]["content"] + "\\n\\n" %}
    {%- set turns = messages[1:] %}
{%- else %}
    {%- set opening = "" %}
    {%- set turns = messages %}
{%- endif %}
{{- bos_token }}
{%- for message in turns %}
    {%- if (message["role"] == "user") != (loop.index0 % 2 == 0) %}
        {{- raise_exception("turns must alternate") }}
    {%- endif %}
    {%- if message["role"] == "user" %}
        {{- "[INST] " + (opening if loop.last else "") + message["content"] + "[/INST]" }}
    {%- else %}
        {{- " " + message["content"] + eos_token }}
    {%- endif %}
{%- endfor %}`;

const QWEN = `{%- if messages[0]['role'] == 'system' %}
    {{- '<|im_start|>system\\n' + messages[0]['content'] + '<|im_end|>\\n' }}
{%- else %}
    {{- '<|im_start|>system\\nYou help.<|im_end|>\\n' }}
{%- endif %}
{%- for message in messages %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) or (message.role == "assistant" and not message.tool_calls) %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}`;

const GEMMA = `{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}{% for message in messages %}{% if (message['role'] == 'assistant') %}{% set role = 'model' %}{% else %}{% set role = message['role'] %}{% endif %}{{ '<start_of_turn>' + role + '\\n' + message['content'] | trim + '<end_of_turn>\\n' }}{% endfor %}{% if add_generation_prompt %}{{'<start_of_turn>model\\n'}}{% endif %}`;

const PHI = `{% for message in messages %}{% if message['role'] == 'system' and message['content'] %}{{'<|system|>\\n' + message['content'] + '<|end|>\\n'}}{% elif message['role'] == 'user' %}{{'<|user|>\\n' + message['content'] + '<|end|>\\n'}}{% elif message['role'] == 'assistant' %}{{'<|assistant|>\\n' + message['content'] + '<|end|>\\n'}}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% else %}{{ eos_token }}{% endif %}`;

const CHATML = `{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}`;

test.each<[string, string, readonly string[], readonly ChatMessage[], string]>([
  [
    'Llama 3',
    LLAMA3,
    ['<|begin_of_text|>', '<|eot_id|>', '<|start_header_id|>', '<|end_header_id|>'],
    [SYSTEM, ...TALK],
    '<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|>' +
      '<|start_header_id|>user<|end_header_id|>\n\nHi!<|eot_id|>' +
      '<|start_header_id|>assistant<|end_header_id|>\n\nHello.<|eot_id|>' +
      '<|start_header_id|>user<|end_header_id|>\n\nWhy?<|eot_id|>' +
      '<|start_header_id|>assistant<|end_header_id|>\n\n',
  ],
  [
    'Mistral',
    MISTRAL,
    ['<s>', '</s>', '[INST]', '[/INST]'],
    [SYSTEM, ...TALK],
    '<s>[INST] Hi![/INST] Hello.</s>[INST] Be brief.\n\nWhy?[/INST]',
  ],
  [
    'Qwen 2.5',
    QWEN,
    ['<|endoftext|>', '<|im_end|>', '<|im_start|>'],
    TALK,
    '<|im_start|>system\nYou help.<|im_end|>\n<|im_start|>user\nHi!<|im_end|>\n<|im_start|>assistant\nHello.<|im_end|>\n<|im_start|>user\nWhy?<|im_end|>\n<|im_start|>assistant\n',
  ],
  [
    'Gemma',
    GEMMA,
    ['<bos>', '<eos>', '<start_of_turn>', '<end_of_turn>'],
    TALK,
    '<bos><start_of_turn>user\nHi!<end_of_turn>\n<start_of_turn>model\nHello.<end_of_turn>\n<start_of_turn>user\nWhy?<end_of_turn>\n<start_of_turn>model\n',
  ],
  [
    'Phi 3',
    PHI,
    ['<s>', '<|endoftext|>', '<|system|>', '<|user|>', '<|assistant|>', '<|end|>'],
    [SYSTEM, ...TALK],
    '<|system|>\nBe brief.<|end|>\n<|user|>\nHi!<|end|>\n<|assistant|>\nHello.<|end|>\n<|user|>\nWhy?<|end|>\n<|assistant|>\n',
  ],
  [
    'ChatML',
    CHATML,
    ['<|endoftext|>', '<|im_end|>', '<|im_start|>'],
    [SYSTEM, ...TALK],
    '<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi!<|im_end|>\n<|im_start|>assistant\nHello.<|im_end|>\n<|im_start|>user\nWhy?<|im_end|>\n<|im_start|>assistant\n',
  ],
])('the idiom of %s, and no content that forges a turn', (_, template, special, talk, expected) => {
  const codec = codecOf(template, special);
  expect(codec.decode(codec.chat(talk), true)).toBe(expected);
  const count = (tokens: readonly number[]) =>
    tokens.filter((token) => codec.vocabulary.bytes(token).length === 0).length;
  const forged = talk.map((message) => ({ ...message, content: special.join('') }));
  expect(count(codec.chat(forged))).toBe(count(codec.chat(talk)));
});

test('a template refuses in its own words', () => {
  const gemma = codecOf(GEMMA);
  expect(() => gemma.chat([SYSTEM, ...TALK])).toThrow('System role not supported');
  expect(() => codecOf(MISTRAL).chat(TALK.slice(1))).toThrow('turns must alternate');
});

test('a file of its own comes before the config, and of several the default is taken', () => {
  const said = (codec: ReturnType<typeof codecOf>) => codec.decode(codec.chat(TALK), true);
  expect(said(codecOf('config', undefined, 'file'))).toBe('file');
  const several = [
    { name: 'tool_use', template: 'tools' },
    { name: 'default', template: 'plain' },
  ];
  expect(said(codecOf(several))).toBe('plain');
  expect(() => codecOf(several.slice(0, 1)).chat(TALK)).toThrow('has no chat template');
});

test.each([
  [
    'a long range',
    '{% for i in range(100000000) %}x{% endfor %}',
    /a range of 100000000; the most/,
  ],
  [
    'a range that stands still',
    '{% for i in range(0, 9, 0) %}x{% endfor %}',
    /a range of Infinity/,
  ],
  [
    'ranges in ranges',
    '{% for i in range(9999) %}{% for j in range(9999) %}{% endfor %}{% endfor %}',
    /ran for more than 1000 ms/,
  ],
  [
    'a text that doubles',
    "{% set ns = namespace(s='x') %}{% for i in range(60) %}{% set ns.s = ns.s + ns.s %}{% endfor %}{{ ns.s }}",
    /Invalid string length|made \d+ characters/,
  ],
  [
    'a long text',
    "{% set ns = namespace(s='x') %}{% for i in range(21) %}{% set ns.s = ns.s + ns.s %}{% endfor %}{{ ns.s }}",
    /made \d+ characters; the most are 1048576/,
  ],
  ['no template', '{% for m in messages %}', /the chat template cannot be read/],
])('refused when it is loaded, with the file: %s', (_, template, message) => {
  const loading = () => codecOf(template);
  expect(loading).toThrow(new RegExp(`tokenizer_config\\.json: .*${message.source}`));
});

test('a template that loops on some messages only fails those', () => {
  const codec = codecOf(
    '{% if messages | length > 1 %}{% for i in range(99999999) %}x{% endfor %}{% endif %}ok',
  );
  expect(codec.decode(codec.chat(TALK.slice(0, 1)))).toBe('ok');
  expect(() => codec.chat(TALK)).toThrow(
    expect.objectContaining({ code: 'invalid_value', param: 'messages' }),
  );
});
