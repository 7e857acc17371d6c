import { readFileSync } from 'node:fs';
import { schedulesOf, counted, groupsOf, type Watched } from './schedules.ts';
const lines = readFileSync('/tmp/v_raw.jsonl', 'utf8')
  .trim()
  .split('\n')
  .map((l) => JSON.parse(l))
  .map((o) => ({ ...o, partial: new Map(o.partial) }));
for (const name of new Set(lines.map((l) => l.name))) {
  const answers: Watched[] = lines.filter((l) => l.name === name);
  console.log(name, answers.length);
  const P = [...new Set(answers.flatMap((a) => [...a.partial.keys()]))]
    .filter((p) => answers.filter((a) => a.partial.has(p)).length >= 100)
    .sort((a, b) => a - b);
  const all = schedulesOf(answers, P);
  for (const f of all) {
    console.log(
      f.n,
      'cv loss',
      (100 * f.loss).toFixed(2),
      'most',
      (100 * f.most).toFixed(2),
      'saved',
      (100 * f.saved).toFixed(1),
      [...f.alphas].map(([p, a]) => p + ':' + a).join(' '),
    );
    if (f.n < 32)
      for (const m of [f.n * 2]) {
        const c = groupsOf(answers, m).map((g) => counted(g, f.alphas));
        const t = (k: 'gain' | 'lost') => c.reduce((s, x) => s + x[k], 0);
        console.log('   in sample at', m, ((100 * t('lost')) / t('gain')).toFixed(2));
        const d = groupsOf(answers, f.n).map((g) => counted(g, f.alphas));
        const u = (k: 'gain' | 'lost') => d.reduce((s, x) => s + x[k], 0);
        console.log('   in sample at', f.n, ((100 * u('lost')) / u('gain')).toFixed(2));
      }
  }
}
