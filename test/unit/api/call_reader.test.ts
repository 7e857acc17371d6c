import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { CallReader, type Said } from '../../../src/api/call_reader.ts';
import { spellCall } from '../../../src/core/call.ts';

/** The calls and the text of what was said, joined. */
function heard(said: readonly Said[]): { text: string; calls: [string, string][] } {
  const all = { text: '', calls: [] as [string, string][] };
  for (const one of said)
    if (one.kind === 'text') all.text += one.text;
    else if (one.kind === 'call') all.calls.push([one.name, '']);
    else all.calls[one.index]![1] += one.text;
  return all;
}

function read(text: string, cuts: readonly number[]): Said[] {
  const reader = new CallReader();
  const ends = [...new Set(cuts.map((cut) => cut % (text.length + 1)))].toSorted((a, b) => a - b);
  const pieces = [0, ...ends].map((from, i) => text.slice(from, ends[i] ?? text.length));
  return [...pieces.flatMap((piece) => reader.read(piece)), ...reader.end()];
}

const cuts = fc.array(fc.nat(), { maxLength: 30 });
const calls = fc.array(
  fc.record({
    name: fc.stringMatching(/^[a-z_]{1,8}$/),
    arguments: fc
      .dictionary(fc.string(), fc.oneof(fc.jsonValue(), fc.constant('}\n</tool_call>\n"\\')))
      .map((value) => JSON.stringify(value)),
  }),
  { minLength: 1, maxLength: 3 },
);

test('calls are read back as they were spelled, wherever the text is cut', () => {
  fc.assert(
    fc.property(calls, cuts, (asked, at) => {
      const text = asked.map(spellCall).join('\n');
      expect(heard(read(text, at))).toEqual({
        text: '',
        calls: asked.map((call) => [call.name, call.arguments]),
      });
    }),
  );
});

test('any other text is text, also where it begins like a call', () => {
  const texts = fc.oneof(
    fc.string(),
    fc.constantFrom('<tool', '<tool_cal', '<tool_cars>', 'a <tool_call> later', '<'),
  );
  fc.assert(
    fc.property(texts, cuts, (text, at) => {
      expect(heard(read(text, at))).toEqual({ text, calls: [] });
    }),
  );
});

test('a call that breaks off is as far as it came', () => {
  const text = spellCall({ name: 'find', arguments: '{"a":[1,2]}' });
  expect(heard(read(text.slice(0, 20), []))).toEqual({ text: '', calls: [] });
  const cut = text.indexOf('[1');
  expect(heard(read(text.slice(0, cut), [5, 9]))).toEqual({
    text: '',
    calls: [['find', '{"a":']],
  });
});
