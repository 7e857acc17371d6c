/** A request made valid, once: wire fields and catalog to a Plan, or a ServeError with the path of the field at fault. */

import { ServeError } from '../core/errors.ts';
import { check, show, wrong } from '../core/fields.ts';
import { RuleCompiler } from '../rules/compile.ts';
import { admit } from './admit.ts';
import { policyCard } from './catalog.ts';
import type { Catalog } from './catalog.ts';
import { chatSource, completionSources } from './prompt.ts';
import { chatSchema, completionSchema } from './schema.ts';
import type { CompletionWire } from './schema.ts';
import type { Admitted, Ambient } from './request.ts';

/** Parses requests against one catalog. */
export interface Planner {
  chat(body: unknown, ambient: Ambient): Admitted;
  completion(body: unknown, ambient: Ambient): Admitted;
}

export function planner(catalog: Catalog): Planner {
  const chat = chatSchema(catalog.limits);
  const completion = completionSchema(catalog.limits);
  const { codec } = policyCard(catalog);
  const rules = new RuleCompiler(catalog.policy, codec.vocabulary, catalog.limits.rules);
  return {
    chat(body, ambient) {
      const wire = check(chat, unwrapped(body), '');
      const { model, preset } = chosenModel(wire.model, catalog);
      const asked = wire.max_completion_tokens ?? wire.max_tokens ?? null;
      const at = wire.max_completion_tokens ? 'max_completion_tokens' : 'max_tokens';
      return admit(
        { catalog, wire, model, preset, rules, ambient },
        {
          sources: [chatSource(wire.messages)],
          maxTokens: { asked, at, fallback: Infinity },
          logprobs: chatLogprobs(wire.logprobs ?? false, wire.top_logprobs ?? null),
          echo: false,
          bestOf: null,
        },
      );
    },
    completion(body, ambient) {
      const wire = check(completion, unwrapped(body), '');
      const { model, preset } = chosenModel(wire.model, catalog);
      refuseUnserved(wire);
      const { vocabulary } = policyCard(catalog).codec;
      return admit(
        { catalog, wire, model, preset, rules, ambient },
        {
          sources: completionSources(wire.prompt, catalog.limits.branches, vocabulary.size),
          maxTokens: { asked: wire.max_tokens ?? null, at: 'max_tokens', fallback: 16 },
          logprobs: wire.logprobs ?? null,
          echo: wire.echo ?? false,
          bestOf: (wire.best_of ?? 1) > (wire.n ?? 1) ? (wire.best_of ?? null) : null,
        },
      );
    },
  };
}

/** `extra_body` is the Python SDK's way to add fields; written literally, it is read as if it had been used. */
function unwrapped(body: unknown): unknown {
  if (typeof body !== 'object' || body === null || !('extra_body' in body)) return body;
  const { extra_body: extra, ...rest } = body;
  if (extra === null) return rest;
  if (typeof extra !== 'object' || Array.isArray(extra))
    throw wrong('extra_body', extra, 'an object of further fields, such as {"alignment": {...}}');
  return { ...extra, ...rest };
}

function chosenModel(asked: string | null | undefined, catalog: Catalog) {
  const name = asked ?? catalog.policy;
  const preset = catalog.presets.get(name) ?? null;
  if (name === catalog.policy || preset) return { model: name, preset };
  const served = [catalog.policy, ...catalog.presets.keys()].join(', ');
  const role = catalog.models.get(name)?.role;
  const what = role ? `a ${role} model, which does not answer by itself` : 'not served here';
  throw new ServeError(
    'model_not_found',
    `model is ${show(name)}, ${what}; models here: ${served}`,
    'model',
  );
}

function chatLogprobs(asked: boolean, top: number | null): number | null {
  if (asked) return top ?? 0;
  if (top === null || top === 0) return null;
  throw new ServeError(
    'invalid_value',
    `top_logprobs is ${top} without logprobs; set logprobs to true, or leave both out`,
    'top_logprobs',
  );
}

function refuseUnserved(wire: CompletionWire): void {
  const n = wire.n ?? 1;
  if (wire.suffix)
    throw wrong('suffix', wire.suffix, 'left out: these models only continue a prompt');
  if (wire.echo && typeof wire.logprobs === 'number')
    throw wrong('logprobs', wire.logprobs, 'left out with echo: prompts have no log-probs here');
  if (wire.best_of && wire.best_of < n)
    throw wrong('best_of', wire.best_of, `at least n, which is ${n}`);
}
