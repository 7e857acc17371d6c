/** Asks a server for tables, one after another: rows are printed and written as they come, with a guess of the time left. */

import { writeFileSync } from 'node:fs';
import type { Served } from '../support/server.ts';
import { asking, markdown, type Question } from './asked.ts';

export interface Asked {
  readonly prompts: number;
  /** A file that holds all rows that are done at any time; left out: none. */
  readonly out: string | undefined;
  /** A fresh server for a table. */
  open(question: Question): Promise<Served>;
}

export async function tabulate(questions: readonly Question[], asked: Asked): Promise<void> {
  const { prompts, out } = asked;
  const whole = questions.reduce((sum, { seconds }) => sum + seconds, 0);
  const began = performance.now();
  /** Seconds that the estimates gave what is done. */
  let foreseen = 0;
  let page = '';
  for (const question of questions) {
    const { title, head, size, seconds } = question;
    const rows: (readonly string[])[] = [];
    const section = (): string =>
      `### ${title}\n\n${markdown({ head, rows, notes: [question.note(prompts)] })}\n\n`;
    const start = performance.now();
    await using server = await asked.open(question);
    for await (const row of question.rows(asking(server.base), prompts)) {
      rows.push(row);
      foreseen += seconds / size;
      const left = ((whole - foreseen) * secondsSince(began)) / foreseen / 60;
      console.log(
        `${row.join(' | ')}   (${secondsSince(began)} s, about ${left.toFixed(1)} minutes left)`,
      );
      if (out !== undefined) writeFileSync(out, page + section());
    }
    page += section();
    console.log(`\n${section()}(${secondsSince(start)} s)\n`);
  }
}

const secondsSince = (then: number): number => Math.round((performance.now() - then) / 1000);
