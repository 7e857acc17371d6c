/** Who is let in, by HTTP and by WebSocket alike. */

import type { Context } from '../context.ts';
import { Origins } from './browsers.ts';
import { Keys } from './keys.ts';

export interface Access {
  readonly keys: Keys;
  readonly origins: Origins;
  /** Paths that need no key. */
  readonly open: ReadonlySet<string>;
}

export const accessOf = ({ settings, ambient }: Context): Access => ({
  keys: new Keys(settings.keys, () => ambient.ms()),
  origins: new Origins(settings.origins),
  open: new Set(['/health', ...settings.open_routes]),
});
