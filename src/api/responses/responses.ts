/** POST /v1/responses, in OpenAI's words: one answer as items, in events of its own, and kept to be gone on from. */

import type { Recall } from '../../plan/responses.ts';
import { byStream } from '../sockets/dialect.ts';
import type { Surface } from '../surface.ts';
import { ID_PREFIX, outputItems, responseObject, statusOf } from './object.ts';
import type { ResponseStore } from './store.ts';
import { ResponseWriter } from './writer.ts';
import type { Keep } from './writer.ts';

/** Events begin with their type. */
const TYPE_AT = '{"type":"'.length;
const typeOf = (event: string): string => event.slice(TYPE_AT, event.indexOf('"', TYPE_AT));

/** Where responses are kept. */
interface Stores {
  readonly shared: ResponseStore;
  /** What is not to be stored, where it may still be gone on from: a socket's own memory. */
  readonly own: ResponseStore | null;
  /** A memory for one more socket. */
  another(): ResponseStore;
}

export const responses = (stores: Stores): Surface => ({
  endpoint: '/v1/responses',
  idPrefix: ID_PREFIX,
  createFrame: 'response.create',
  chunkFrame: 'response.event',
  dialect: byStream,
  sse: { message: (event) => `event: ${typeOf(event)}\ndata: ${event}\n\n`, end: '' },
  forSocket: () => responses({ ...stores, own: stores.another() }),
  plan(planner, body, ticket) {
    const planned = planner.response(body, ticket, recall(stores, ticket.grant.salt));
    const { input, conversation, store } = planned.asked;
    const keep: Keep = (response, text) =>
      (store ? stores.shared : stores.own)?.keep({
        owner: ticket.grant.salt,
        response,
        input,
        conversation,
        text,
      });
    return {
      ...planned,
      writer: (created) => new ResponseWriter(planned, created, keep),
      whole({ choices }, created, reports) {
        const { text, draws, reason } = choices.get(0) ?? { text: '', draws: [], reason: null };
        const status = statusOf(reason);
        const output = outputItems(planned, text, draws, status);
        const response = responseObject(planned, created, { status, reports }, output);
        keep(response, text);
        return response;
      },
    };
  },
});

function recall({ shared, own }: Stores, owner: string): Recall {
  const [here, everywhere] = [own?.recall(owner), shared.recall(owner)];
  return {
    conversation: (id) => here?.conversation(id) ?? everywhere.conversation(id),
    item: (id) => here?.item(id) ?? everywhere.item(id),
  };
}
