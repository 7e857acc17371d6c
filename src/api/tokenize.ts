/** POST /tokenize and /detokenize: any model's own ids for a text or a chat, and back. */

import type { Request, Response } from 'express';
import { z } from 'zod';
import { ServeError } from '../core/errors.ts';
import {
  anything,
  check,
  flag,
  list,
  oneOf,
  perLimits,
  show,
  text,
  tolerant,
  wrong,
} from '../core/fields.ts';
import type { Catalog, Limits, ModelCard } from '../plan/catalog.ts';
import { refuseForbidden } from '../plan/grant.ts';
import type { Grant } from '../plan/grant.ts';
import { chatSource, render, tokenIds, wellFormed } from '../plan/prompt.ts';
import { jsonBody } from './body.ts';
import { conducted } from './conduct.ts';
import type { Context } from './context.ts';
import { callerOf } from './reply.ts';

export const tokenizeSchema = perLimits(({ messages }: Limits) =>
  tolerant({
    model: text(256, 1).nullish(),
    prompt: z.string('a string').nullish(),
    messages: list(
      tolerant({
        role: oneOf(['system', 'developer', 'user', 'assistant']),
        content: anything,
      }),
      messages,
      1,
    ).nullish(),
    /** Whether a prompt gets the start token; true, as completions do. */
    add_special_tokens: flag.nullish(),
    return_token_strs: flag.nullish(),
  }),
);

export const detokenizeSchema = tolerant({ model: text(256, 1).nullish(), tokens: anything });

/** An answer, and how many tokens it was made of. */
interface Counted {
  readonly tokens: number;
  readonly answer: object;
}

/** A handler that charges what was counted. One token is asked for first: a spent allowance is refused before any work. */
export const counted = (
  context: Context,
  endpoint: string,
  count: (catalog: Catalog, body: unknown, grant: Grant) => Counted,
): ((req: Request, res: Response) => Promise<void>) =>
  conducted(context, endpoint, async (task, req, res) => {
    const caller = callerOf(res);
    task.begin(1);
    const body = await jsonBody(req, context.settings.body_bytes);
    const { tokens, answer } = count(context.catalog, body, caller.grant);
    task.spend(Math.max(1, tokens)); // what is not valid costs nothing
    res.setHeaders(new Map(Object.entries(caller.headers)));
    res.json(answer);
    return { kind: 'ok' };
  });

export function tokenize(catalog: Catalog, body: unknown, grant: Grant): Counted {
  const wire = check(tokenizeSchema(catalog.limits), body, '');
  const card = anyModel(catalog, wire.model, grant);
  const ids = tokensOf(card, wire);
  const answer = {
    count: ids.length,
    max_model_len: Math.min(card.context, catalog.maxLength),
    tokens: ids,
    token_strs: wire.return_token_strs ? ids.map((id) => card.codec.decode([id], true)) : null,
  };
  return { tokens: ids.length, answer };
}

function tokensOf(card: ModelCard, wire: z.output<ReturnType<typeof tokenizeSchema>>) {
  const { prompt, messages } = wire;
  if (messages) return render(card, chatSource(messages), null, '');
  if (typeof prompt !== 'string') throw wrong('prompt', undefined, 'a string, or give messages');
  wellFormed(prompt, 'prompt');
  const source = { kind: 'text', text: prompt, at: 'prompt' } as const;
  const whole = render(card, source, null, '');
  return wire.add_special_tokens === false ? card.codec.encode(prompt) : whole;
}

const LONGEST = 1_000_000;

export function detokenize(catalog: Catalog, body: unknown, grant: Grant): Counted {
  const wire = check(detokenizeSchema, body, '');
  const { codec } = anyModel(catalog, wire.model, grant);
  const ids = tokenIds(wire.tokens, codec.vocabulary.size, 'tokens', LONGEST);
  return { tokens: ids.length, answer: { prompt: codec.decode(ids, true) } };
}

function anyModel(catalog: Catalog, asked: string | null | undefined, grant: Grant): ModelCard {
  const name = asked ?? catalog.policy;
  refuseForbidden(grant, [{ name, at: 'model' }]);
  const card = catalog.models.get(catalog.presets.get(name)?.policy ?? name);
  if (card) return card;
  throw new ServeError(
    'model_not_found',
    `model is ${show(name)}, which is not a model of this server: ${[...catalog.models.keys()].join(', ')}`,
    'model',
  );
}
