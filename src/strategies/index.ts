/** The table of names. A new strategy is a file beside this one and a line here. */

import type { Strategy } from '../core/strategy.ts';
import { args } from './args.ts';
import { beam } from './beam.ts';
import { bestOfN } from './best_of_n.ts';
import { mcts } from './mcts.ts';
import { particles } from './particles.ts';
import { sample } from './sample.ts';
import { segmentBeam } from './segment_beam.ts';
import { segmentRejection } from './segment_rejection.ts';
import { vote } from './vote.ts';

/** Parameters are checked by each strategy's own `parse`; the table forgets their type. */
export const strategies: Readonly<Record<string, Strategy<unknown>>> = {
  sample,
  best_of_n: bestOfN,
  beam,
  segment_beam: segmentBeam,
  segment_rejection: segmentRejection,
  args,
  particles,
  mcts,
  vote,
};
