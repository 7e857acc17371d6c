/** What must hold where a request asks for log-probs of its prompts, or for no token beside them (`max_tokens: 0`). */

import { ServeError } from '../core/errors.ts';
import { wrong } from '../core/fields.ts';
import { agreement, sum } from '../core/math.ts';
import type { Alignment } from './alignment.ts';
import type { Asked } from './assemble.ts';
import type { Plan } from './plan.ts';

/** Whether the answer tells the log-probs of its prompts. */
export const readsPrompts = ({ echo, logprobs }: Pick<Asked, 'echo' | 'logprobs'>): boolean =>
  echo && logprobs !== null;

/**
 * @param limit numbers that one answer may tell of its prompts
 * @throws ServeError where the law is not known inside a prompt, or the answer would be too large
 */
export function refuseUnreadable(
  { logprobs }: Pick<Asked, 'logprobs'>,
  { values, lanes, budget }: Pick<Alignment, 'values' | 'lanes' | 'budget'>,
  { prompts, n, answers }: Pick<Plan, 'prompts' | 'n' | 'answers'>,
  limit: number,
): void {
  const unread = (why: string, at: string): ServeError =>
    new ServeError('invalid_value', `${at}: log-probs of a prompt (logprobs with echo) ${why}`, at);
  if (values.length > 0)
    throw unread('are those of models; leave out value guides, which judge answers', GUIDES);
  if (budget.ms !== null)
    throw unread('are told whole; leave out the budget in milliseconds', 'alignment.budget.ms');
  for (const {
    lanes: [policy, ...guides],
  } of prompts)
    guides.forEach(({ model, prompt }, i) => {
      if (agreement(policy!.prompt, prompt) === Math.max(policy!.prompt.length, prompt.length))
        return;
      const why = `need guides that read the request's own prompt; ${model} reads another`;
      throw unread(why, lanes[i + 1]!.own ? lanes[i + 1]!.at : GUIDES);
    });
  const each = n * answers * (1 + logprobs!);
  const numbers = each * sum(prompts.map((prompt) => prompt.lanes[0]!.prompt.length));
  if (numbers > limit)
    throw new ServeError(
      'invalid_value',
      `${numbers} log-probs of prompts (tokens x choices x (1 + logprobs)) were asked for; this server tells at most ${limit} in one answer`,
      'logprobs',
    );
}

const GUIDES = 'alignment.guides';

/**
 * Where no token is asked for, nothing is searched or judged.
 * @throws ServeError for what would have to be
 */
export function refuseSearchOfNothing(
  { maxTokens }: Asked,
  strategy: string,
  { rewards }: Pick<Alignment, 'rewards'>,
): void {
  if (maxTokens.asked !== 0) return;
  if (strategy === 'sample' && rewards === null) return;
  const what = rewards === null ? `the strategy ${strategy}` : 'rewards, which judge answers';
  throw wrong(maxTokens.at, 0, `at least 1 beside ${what}`);
}
