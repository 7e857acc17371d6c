/** What a request may spend. A spent budget ends its search with the best so far: the strategy unwinds, and knows nothing of it. */

/** tokens: drawn by the policy, over all branches. ms: since the request began. */
export type Budget = 'tokens' | 'ms';

/** What a wait rejects with once a budget is spent: of an engine's session, or of the request's signal. */
export class BudgetSpent extends Error {
  override readonly name = 'BudgetSpent';
  readonly budget: Budget;

  constructor(budget: Budget) {
    super(`the budget of ${budget} is spent`);
    this.budget = budget;
  }
}
