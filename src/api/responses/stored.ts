/** What can be done with a response by its id: read it, its input, forget it, or cancel it while it streams. */

import type { Request } from 'express';
import { ServeError } from '../../core/errors.ts';
import { check, integer, oneOf, show, text, tolerant, wrong } from '../../core/fields.ts';
import type { Context } from '../context.ts';
import { callerOf } from '../reply.ts';
import { ID_PREFIX } from './object.ts';
import type { Kept, ResponseStore } from './store.ts';

/** A request about the response that its path names, and what answers it. */
type About = (req: Request) => object | Promise<object>;

interface StoredRoutes {
  readonly read: About;
  readonly forget: About;
  readonly input: About;
  readonly cancel: About;
}

/** Responses of one key are not there for another. */
const owner = ({ res }: Request): string => (res ? callerOf(res).grant.salt : '');
const idOf = (req: Request): string => String(req.params['id']);

export function storedRoutes({ work }: Context, store: ResponseStore): StoredRoutes {
  const held = (req: Request): Kept => {
    const kept = store.get(idOf(req), owner(req));
    if (kept) return kept;
    throw notHeld(req);
  };
  return {
    read(req) {
      if (req.query['stream'] === 'true')
        throw wrong('stream', 'true', 'left out: only the request that asked for it streams');
      return held(req).response;
    },
    forget(req) {
      if (!store.delete(idOf(req), owner(req))) throw notHeld(req);
      return { id: idOf(req), object: 'response', deleted: true };
    },
    input: (req) => page(held(req), req.query),
    async cancel(req) {
      const over = work.cancel(idOf(req), owner(req));
      if (over === null) throw ended(held(req));
      await over;
      const kept = store.get(idOf(req), owner(req));
      return kept?.response ?? { id: idOf(req), object: 'response', status: 'cancelled' };
    },
  };
}

const notHeld = (req: Request): ServeError =>
  new ServeError(
    'not_found',
    `no response ${show(idOf(req))} is held here, or not any more`,
    'response_id',
  );

const ended = ({ response }: Kept): ServeError =>
  new ServeError(
    'invalid_value',
    `response ${show(response.id)} has ended (${response.status}); only one that still streams can be cancelled`,
    'response_id',
  );

export const pageSchema = tolerant({
  limit: text(3)
    .regex(/^[1-9]\d*$/, 'an integer from 1 to 100')
    .transform(Number)
    .pipe(integer(1, 100))
    .default(20),
  order: oneOf(['asc', 'desc']).default('desc'),
  after: text(256, 1).optional(),
});

/** A page of OpenAI's cursor lists. */
function page({ response, input }: Kept, query: unknown): object {
  const { limit, order, after } = check(pageSchema, query, '');
  const prefix = response.id.slice(ID_PREFIX.length);
  const all = input.map((item, i) => ({ id: `item_${prefix}_${i}`, ...item }));
  if (order === 'desc') all.reverse();
  const start = after === undefined ? 0 : all.findIndex(({ id }) => id === after) + 1;
  if (after !== undefined && start === 0) throw wrong('after', after, 'the id of an item before');
  const data = all.slice(start, start + limit);
  return {
    object: 'list',
    data,
    first_id: data[0]?.id ?? null,
    last_id: data.at(-1)?.id ?? null,
    has_more: start + limit < all.length,
  };
}
