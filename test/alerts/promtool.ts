import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import type { AlertingRule, PrometheusRule, RecordingRule } from '../chart/custom-resources.js';
import { only, render } from '../chart/render.js';

/** Prometheus' own checker of rules; Debian has it in the package `prometheus`. */
const PROMTOOL = process.env['PROMTOOL'] ?? 'promtool';

/** What the chart makes of the rules for a release called `bff` in the namespace `apps`. */
export const { groups } = (
  only(render('full', { fullnameOverride: 'bff' }), 'PrometheusRule') as unknown as PrometheusRule
).spec;

const isAlert = (rule: RecordingRule | AlertingRule): rule is AlertingRule => 'alert' in rule;

export const alerts: readonly AlertingRule[] = groups.flatMap(({ rules }) => rules).filter(isAlert);

/** The labels with which Prometheus stores what it reads from a pod of that release. */
export const SCRAPED = 'namespace="apps",job="bff-management",pod="bff-1"';

/** A course of events, minute by minute unless it says otherwise, and what an alert makes of it. */
export interface Course {
  readonly alert: string;
  readonly what: string;
  /** Metric, with the labels that are its own in braces, to its values as promtool writes them. */
  readonly series: Readonly<Record<string, string>>;
  readonly everyMinutes?: number;
  /** When to look, as a duration after the beginning. */
  readonly at: string;
  /** Missing: it does not fire. */
  readonly fires?: {
    /** Those that differ from the usual ones; an empty one is not there. */
    readonly labels?: Readonly<Record<string, string>>;
    readonly description: string;
  };
}

/** Runs promtool on the rules, and on the course if there is one; returns what it found wrong. */
export function promtoolFaults(course?: Course): string {
  return course
    ? faultsOf(['test', 'rules', 'test.yaml'], { 'rules.yaml': { groups }, 'test.yaml': testOf(course) })
    : faultsOf(['check', 'rules', '--lint=all', '--lint-fatal', 'rules.yaml'], { 'rules.yaml': { groups } });
}

/**
 * Runs promtool on a query of one value; returns what it found wrong.
 *
 * @param series as in a course; of each the first value is looked at
 */
export function queryFaults(expr: string, series: Course['series'], value: number): string {
  const test = {
    input_series: inputOf(series),
    promql_expr_test: [{ expr, eval_time: '0', exp_samples: [{ value }] }],
  };
  return faultsOf(['test', 'rules', 'test.yaml'], { 'test.yaml': { tests: [test] } });
}

function faultsOf(args: readonly string[], files: Readonly<Record<string, object>>): string {
  const directory = mkdtempSync(join(tmpdir(), 'alerts-'));
  try {
    for (const [name, content] of Object.entries(files)) {
      writeFileSync(join(directory, name), stringify(content));
    }
    const run = spawnSync(PROMTOOL, args, { cwd: directory, encoding: 'utf8' });
    return run.status === 0 ? '' : run.stdout + run.stderr;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** The course in the words of promtool. */
function testOf({ alert, series, everyMinutes = 1, at, fires }: Course): object {
  const rule = alerts.find((candidate) => candidate.alert === alert);
  if (!rule) throw new Error(`no alert is called ${alert}`);
  const expected = fires && {
    exp_labels: Object.fromEntries(
      Object.entries({ namespace: 'apps', job: 'bff-management', ...fires.labels, ...rule.labels }).filter(
        ([, value]) => value !== '',
      ),
    ),
    exp_annotations: { ...rule.annotations, description: fires.description },
  };
  return {
    rule_files: ['rules.yaml'],
    evaluation_interval: `${everyMinutes}m`,
    tests: [
      {
        interval: `${everyMinutes}m`,
        input_series: inputOf(series),
        alert_rule_test: [{ eval_time: at, alertname: alert, exp_alerts: expected ? [expected] : [] }],
      },
    ],
  };
}

function inputOf(series: Course['series']): readonly object[] {
  return Object.entries(series).map(([name, values]) => ({ series: scraped(name), values }));
}

/** Adds the labels of the scrape: `m{reason="x"}` becomes `m{reason="x",namespace=…}`. */
function scraped(series: string): string {
  if (series.startsWith('kube_')) return series;
  return series.includes('{') ? series.replace('}', `,${SCRAPED}}`) : `${series}{${SCRAPED}}`;
}
