import { describe, expect, test } from 'vitest';
import { ServeError } from '../../../src/core/errors.ts';
import type { RuleNetwork } from '../../../src/core/rule.ts';
import { ANYTHING } from '../../../src/plan/grant.ts';
import { planner } from '../../../src/plan/parse.ts';
import { Automaton } from '../../../src/rules/automaton.ts';
import { catalog } from '../../fakes/catalog.ts';
import { byteCodec } from '../../fakes/codec.ts';
import { spell } from '../../support/spell.ts';

const tales = { ...catalog.models.get('tales')!, context: 4096 };
const models = new Map([...catalog.models, ['tales', tales]]);
const plans = planner({ ...catalog, models, maxLength: 4096 });
const user = { role: 'user', content: 'x' };
const find = {
  type: 'function',
  function: {
    name: 'find',
    description: 'Finds.',
    parameters: { type: 'object', properties: { of: { enum: ['kite'] } }, required: ['of'] },
  },
};
const stop = { type: 'function', function: { name: 'stop' } };
const both = { messages: [user], tools: [find, stop], max_tokens: 200 };
const chat = (body: object) =>
  plans.chat(body, { id: 'chatcmpl-1', seed: 1, grant: ANYTHING, socket: false, request: 'req_1' });

const FIND = '<tool_call>\n{"name": "find", "arguments": {"of":"kite"}}\n</tool_call>';
const STOP = '<tool_call>\n{"name": "stop", "arguments": {}}\n</tool_call>';

/** What of `texts` the rule takes as a whole answer. */
function taken(rule: RuleNetwork | null, texts: readonly string[]): string[] {
  if (rule === null) return [...texts];
  const { start } = new Automaton(rule, byteCodec.vocabulary, 1 << 20);
  return texts.filter((text) => {
    let state = start;
    for (const token of byteCodec.encode(text)) {
      if (!state.next.tokens.includes(token)) return false;
      const next = state.after(token);
      if (next === null) return true; // free from here
      state = next;
    }
    return state.distance === 0;
  });
}

const TEXTS = ['', 'Hello', '<b>', '<tool_call>', '<tool_call>{}', FIND, STOP, `${FIND}\n${STOP}`];
const rule = (fields: object): RuleNetwork | null => chat({ ...both, ...fields }).plan.opening.rule;

describe('what answers may be', () => {
  test('auto: text, or calls', () => {
    const text = ['', 'Hello', '<b>'];
    expect(taken(rule({}), TEXTS)).toEqual([...text, FIND, STOP, `${FIND}\n${STOP}`]);
    expect(taken(rule({ parallel_tool_calls: false }), TEXTS)).toEqual([...text, FIND, STOP]);
  });

  test('required: calls; named: one call of that function; none: anything', () => {
    const calls = [FIND, STOP, `${FIND}\n${STOP}`];
    expect(taken(rule({ tool_choice: 'required' }), TEXTS)).toEqual(calls);
    const named = { type: 'function', function: { name: 'stop' } };
    expect(taken(rule({ tool_choice: named }), TEXTS)).toEqual([STOP]);
    expect(rule({ tool_choice: 'none' })).toBeNull();
    expect(rule({ tools: [], tool_choice: 'auto' })).toBeNull();
  });

  test('auto with a response format: its JSON, or calls', () => {
    const fields = { response_format: { type: 'json_object' }, parallel_tool_calls: false };
    expect(taken(rule(fields), [...TEXTS, '{"a": 1}'])).toEqual([FIND, STOP, '{"a": 1}']);
  });

  test('a call is only begun where there is room to end it', () => {
    const { start } = new Automaton(rule({ tool_choice: 'required' })!, byteCodec.vocabulary, 1e6);
    expect(start.distance).toBe(STOP.length);
    for (let seed = 0; seed < 20; seed++) {
      const { text, ended } = spell(start, byteCodec.vocabulary, { room: 140, seed });
      expect(ended).toBe(true);
      expect(text).toContain('</tool_call>');
    }
  });
});

test('prompts tell of tools, calls and results in plain words', () => {
  const { plan } = chat({
    ...both,
    messages: [
      { role: 'system', content: 'Be kind.' },
      user,
      {
        role: 'assistant',
        content: null,
        tool_calls: [
          { id: 'c1', type: 'function', function: { name: 'find', arguments: '{"of":"kite"}' } },
        ],
      },
      { role: 'tool', tool_call_id: 'c1', content: 'up a tree' },
    ],
  });
  const read = byteCodec.decode(plan.prompts[0]!.lanes[0]!.prompt);
  expect(read).toContain('Be kind.\n\nYou may call these functions:\n{"name":"find"');
  expect(read).toContain(`x${FIND}<tool_response>\nup a tree\n</tool_response>`);
});

test.each([
  [{ tools: {} }, 'tools'],
  [{ tools: Array(129).fill(find) }, 'tools'],
  [{ tools: [{ type: 'web_search' }] }, 'tools[0].type'],
  [{ tools: [{ type: 'function', function: { name: 'a b' } }] }, 'tools[0].function.name'],
  [{ tools: [find, find] }, 'tools[1].function.name'],
  [
    { tools: [{ type: 'function', function: { name: 'a', parameters: { type: 'string' } } }] },
    'tools[0].function.parameters.type',
  ],
  [
    {
      tools: [
        {
          type: 'function',
          function: { name: 'a', parameters: { properties: { b: { not: {} } } } },
        },
      ],
    },
    'tools[0].function.parameters.properties.b.not',
  ],
  [{ tool_choice: 'maybe' }, 'tool_choice'],
  [{ tool_choice: { type: 'function', function: { name: 'other' } } }, 'tool_choice.function.name'],
  [{ tools: [], tool_choice: 'required' }, 'tool_choice'],
  [{ messages: [user, { role: 'tool', content: 'x' }] }, 'messages[1].tool_call_id'],
  [
    { messages: [user, { role: 'assistant', tool_calls: [{ function: { name: 'a' } }] }] },
    'messages[1].tool_calls[0].function.arguments',
  ],
  [{ alignment: { guides: [{ rule: { choice: ['a'] } }] } }, 'alignment.guides[0].rule.choice'],
])('a chat with %j is refused at %s', (fields, param) => {
  let refusal: unknown = null;
  try {
    chat({ ...both, ...fields });
  } catch (error) {
    refusal = error;
  }
  expect(refusal).toBeInstanceOf(ServeError);
  expect(refusal).toMatchObject({ code: 'invalid_value', param });
});
