/** The verbs that strategies share. */

import type { Branch } from '../core/tree.ts';

export const alive = (branch: Branch): boolean => branch.finish === null;
