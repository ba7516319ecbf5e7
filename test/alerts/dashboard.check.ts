import { expect, it } from '@jest/globals';
import { fileAtRoot } from '../chart/render.js';
import { queryFaults } from './promtool.js';

interface Dashboard {
  readonly panels: readonly {
    readonly title: string;
    readonly targets?: readonly { readonly expr: string }[];
  }[];
}

/** The query of a panel that asks for this metric, as Grafana puts it for a release called `bff` in `apps`. */
function queryOf(panel: string, metric: string): string {
  const { panels } = JSON.parse(fileAtRoot('helm/nexudus-bff/files/dashboard.json')) as Dashboard;
  const targets = panels.find(({ title }) => title === panel)?.targets ?? [];
  const [query, ...others] = targets.map(({ expr }) => expr).filter((expr) => expr.includes(metric));
  if (query === undefined || others.length > 0) throw new Error(`${panel} asks not once for ${metric}`);
  return query.replaceAll('$namespace', 'apps').replaceAll('$job', 'bff-management');
}

it.each([
  { what: 'of all replicas without a database, each of which has its own', up: {}, sum: 5 },
  {
    what: 'once with a database, which all replicas see, be it away or not',
    up: {
      'nexudus_database_up{replica="a",backend="postgres"}': '1',
      'nexudus_database_up{replica="b",backend="postgres"}': '0',
    },
    sum: 3,
  },
])('the dashboard counts writes that wait $what', ({ up, sum }) => {
  const series = {
    'nexudus_quota_waiting{replica="a"}': '2',
    'nexudus_quota_waiting{replica="b"}': '3',
    ...up,
  };
  expect(queryFaults(queryOf('Under way', 'nexudus_quota_waiting'), series, sum)).toBe('');
});
