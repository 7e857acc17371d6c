/** {"http": NAME}: a reward that another server computes. The config alone says which names there are, and where. */

import { ServeError } from '../../core/errors.ts';
import { show, text } from '../../core/fields.ts';
import { sourceKind } from './source.ts';

export const http = sourceKind(
  () => ({ http: text(256, 1) }),
  ({ http: name }, at, { remotes }) => {
    const card = remotes.get(name);
    if (card === undefined)
      throw new ServeError(
        'model_not_found',
        `${at}.http is ${show(name)}; this server's config names ${[...remotes.keys()].join(', ') || 'none'}`,
        `${at}.http`,
      );
    return {
      source: { kind: 'http', name },
      name,
      reads: card.reads,
      readings: [],
      remote: { name, at: `${at}.http` },
      stepwise: true,
      at: `${at}.http`,
    };
  },
);
